"""One recording in: readers, labels, channels, quality, preprocessing."""

"""Many recordings: recipes, preparation, the archive, splits, and the windows of a training."""

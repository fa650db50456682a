"""Training with Lightning Fabric: cross-entropy on drawn windows, MF1 on whole validation nights, best weights kept."""

"""Training with Lightning Fabric: cross-entropy on drawn windows, MF1 on whole validation nights, best weights kept."""

from anysleep.training.forecast import dry_run, forecast_memory, forecast_training_epoch
from anysleep.training.loop import Training, TrainingStopped
from anysleep.training.process import follow, forget

__all__ = [
    "Training",
    "TrainingStopped",
    "dry_run",
    "follow",
    "forecast_memory",
    "forecast_training_epoch",
    "forget",
]

"""Predictions of many nights: read ahead, staged on one or several devices, written night by night, then published."""

from anysleep.prediction.cohort import write_predictions
from anysleep.prediction.nights import without_gaps
from anysleep.staging.sources import Job, jobs_of_archive, jobs_of_files, pick_channels, result_name

__all__ = [
    "Job",
    "jobs_of_archive",
    "jobs_of_files",
    "pick_channels",
    "result_name",
    "without_gaps",
    "write_predictions",
]

"""Predictions of many nights: read ahead, staged on one or several devices, written night by night, then published."""

from anysleep.prediction.cohort import write_predictions
from anysleep.prediction.jobs import Job, Night, jobs_of_archive, jobs_of_files, pick_channels, result_name
from anysleep.prediction.nights import without_gaps

__all__ = [
    "Job",
    "Night",
    "jobs_of_archive",
    "jobs_of_files",
    "pick_channels",
    "result_name",
    "without_gaps",
    "write_predictions",
]

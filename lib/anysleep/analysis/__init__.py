"""From predictions to numbers."""

from anysleep.analysis.arousals import detect_arousals, match_arousals, score_arousals
from anysleep.analysis.statistics import sleep_statistics
from anysleep.analysis.traits import TRIPLETS, count_triplets
from anysleep.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    reliability,
    review_curve,
)
from anysleep.evaluation.metrics import (
    bootstrap_ratios,
    bootstrap_scores,
    confusion_matrix,
    paired_bootstrap,
    paired_bootstrap_of_means,
    stage_metrics,
    welch_as_published,
)
from anysleep.recordings.labels.consensus import consensus_hypnogram

__all__ = [
    "TRIPLETS",
    "bootstrap_ratios",
    "bootstrap_scores",
    "confusion_matrix",
    "consensus_hypnogram",
    "count_triplets",
    "detect_arousals",
    "expected_calibration_error",
    "fit_temperature",
    "match_arousals",
    "paired_bootstrap",
    "paired_bootstrap_of_means",
    "reliability",
    "review_curve",
    "score_arousals",
    "sleep_statistics",
    "stage_metrics",
    "welch_as_published",
]

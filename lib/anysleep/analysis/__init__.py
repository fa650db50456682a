"""From predictions to numbers."""

from anysleep.analysis.agreement import consensus_hypnogram
from anysleep.analysis.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability,
    review_curve,
)
from anysleep.analysis.intervals import (
    bootstrap_scores,
    paired_bootstrap,
    paired_bootstrap_of_means,
    welch_as_published,
)
from anysleep.analysis.metrics import confusion_matrix, stage_metrics

__all__ = [
    "bootstrap_scores",
    "brier_score",
    "confusion_matrix",
    "consensus_hypnogram",
    "expected_calibration_error",
    "fit_temperature",
    "paired_bootstrap",
    "paired_bootstrap_of_means",
    "reliability",
    "review_curve",
    "stage_metrics",
    "welch_as_published",
]

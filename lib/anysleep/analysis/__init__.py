"""From predictions to numbers."""

from anysleep.analysis.arousals import detect_arousals, match_arousals, score_arousals
from anysleep.analysis.definitions import STATISTICS, change_per_decade, reference_band, reference_bands
from anysleep.analysis.statistics import (
    change_from_coarsest,
    night_statistics,
    sleep_periods,
    sleep_statistics,
    stage_transitions,
    statistics_report,
    statistics_table,
)
from anysleep.analysis.traits import TRIPLETS, count_triplets
from anysleep.evaluation.calibration import expected_calibration_error, fit_temperature, reliability, review_curve
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

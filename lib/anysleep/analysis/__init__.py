"""From predictions to numbers."""

from anysleep.analysis.agreement import consensus_hypnogram
from anysleep.analysis.metrics import confusion_matrix, stage_metrics

__all__ = ["confusion_matrix", "consensus_hypnogram", "stage_metrics"]

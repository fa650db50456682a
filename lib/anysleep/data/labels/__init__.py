"""Hypnograms from the label formats of the field, one small file a format."""

from anysleep.data.labels.hypnogram import STANDARD_CODES, hypnogram_from_stages
from anysleep.data.labels.scoring import (
    LengthRule,
    Scoring,
    epochs_in,
    scoring_of_annotations,
    scoring_of_list,
    with_scoring,
)

__all__ = [
    "STANDARD_CODES",
    "LengthRule",
    "Scoring",
    "epochs_in",
    "hypnogram_from_stages",
    "scoring_of_annotations",
    "scoring_of_list",
    "with_scoring",
]

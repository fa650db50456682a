"""Hypnograms from the label formats of the field, one small file a format."""

from collections.abc import Callable

from anysleep.data.labels.bids import read_bids
from anysleep.data.labels.dod import read_dod_scorers
from anysleep.data.labels.edf import read_edf_scoring
from anysleep.data.labels.hypnogram import STANDARD_CODES, hypnogram_from_stages
from anysleep.data.labels.ids import read_ids
from anysleep.data.labels.mass import read_mass
from anysleep.data.labels.nsrr import read_nsrr
from anysleep.data.labels.physionet import read_physionet
from anysleep.data.labels.scoring import (
    LengthRule,
    Scoring,
    UnknownRule,
    epochs_in,
    scoring_of_annotations,
    scoring_of_list,
    with_scoring,
)
from anysleep.data.labels.text import read_text

LABEL_READERS: dict[str, Callable[..., Scoring]] = {
    "edf": read_edf_scoring,
    "nsrr": read_nsrr,
    "text": read_text,
    "bids": read_bids,
    "ids": read_ids,
    "physionet": read_physionet,
    "dod_scorers": read_dod_scorers,
    "mass": read_mass,
}
"""Format -> reader, called as `reader(path, codes=codes, epoch_s=epoch_s)`: stage of every label; how long a label of a
plain list lasts."""

__all__ = [
    "LABEL_READERS",
    "STANDARD_CODES",
    "LengthRule",
    "Scoring",
    "UnknownRule",
    "epochs_in",
    "hypnogram_from_stages",
    "scoring_of_annotations",
    "scoring_of_list",
    "with_scoring",
]

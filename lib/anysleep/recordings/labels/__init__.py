"""Hypnograms from the label formats of the field."""

from collections.abc import Callable
from pathlib import Path

from anysleep.recordings.labels.bids import read_bids
from anysleep.recordings.labels.edf import mass_files, read_edf_scoring, read_mass
from anysleep.recordings.labels.hypnogram import STANDARD_CODES, hypnogram_from_stages
from anysleep.recordings.labels.lists import read_dod_scorers, read_ids, read_yasa, scorer_files
from anysleep.recordings.labels.physionet import read_physionet
from anysleep.recordings.labels.scoring import (
    LengthRule,
    Scoring,
    StartRule,
    UnknownRule,
    arousals_scored,
    scoring_of_annotations,
    scoring_of_list,
    with_scoring,
)
from anysleep.recordings.labels.table import read_scoring_table
from anysleep.recordings.labels.xml import read_edfbrowser, read_nsrr, read_profusion, read_sleepware

LABEL_READERS: dict[str, Callable[..., Scoring]] = {
    "edf": read_edf_scoring,
    "nsrr": read_nsrr,
    "profusion": read_profusion,
    "sleepware": read_sleepware,
    "text": read_scoring_table,
    "table": read_scoring_table,
    "bids": read_bids,
    "ids": read_ids,
    "physionet": read_physionet,
    "dod_scorers": read_dod_scorers,
    "mass": read_mass,
    "yasa": read_yasa,
    "edfbrowser": read_edfbrowser,
}
"""Format -> reader, called as `reader(path, codes=codes, epoch_s=epoch_s)`: stage of every label; how long a label of a
plain list lasts. That of 'bids' takes the `column` of the stages, too, that of 'table' its `columns` and `skip_to`.
'text' is a 'table' whose columns nobody tells."""

_FILES: dict[str, Callable[[Path], list[Path]]] = {"dod_scorers": scorer_files, "mass": mass_files}


def label_files(reader: str, path: Path) -> list[Path]:
    """Every file that a reader of `LABEL_READERS` takes in when it is given `path`."""
    return _FILES[reader](path) if reader in _FILES else [path]

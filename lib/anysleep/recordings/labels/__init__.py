"""Hypnograms from the label formats of the field."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path

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
from anysleep.recordings.labels.table import read_bids, read_scoring_table
from anysleep.recordings.labels.text import bad_labels, read_xml
from anysleep.recordings.labels.xml import read_edfbrowser, read_nsrr, read_profusion, read_sleepware
from anysleep.recordings.reasons import BadRecording

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

BY_NAME = {
    "* base.edf": "mass", "*.edf": "edf", "*_events.tsv": "bids", "*.rml": "sleepware", "*.ids": "ids",
    "*.arousal": "physionet", "scorer_?/*.json": "dod_scorers", "*.json": "yasa",
} | dict.fromkeys(("*.txt", "*.csv", "*.tsv", "*.xlsx", "*.parquet", "*.annot", "*.eannot"), "text")  # fmt: skip
"""Pattern of a file and its folder, in small letters -> its reader; the first that fits. XML tells by its root."""
BY_ROOT = {"PSGAnnotation": "nsrr", "CMPStudyConfig": "profusion", "annotationlist": "edfbrowser"}

_FILES: dict[str, Callable[[Path], list[Path]]] = {"dod_scorers": scorer_files, "mass": mass_files}


def read_scoring(path: Path, reader: str = "", **options: object) -> Scoring:
    """What a label file says, by this reader, with its options, or by the one that name or root of the file tell.

    BadRecording where the file is damaged, no reader is told, or nothing in it is a stage.
    """
    scoring = LABEL_READERS[reader or _reader_of(path)](path, **options)
    if scoring.stages.empty:
        known: Iterable[str] = options.get("codes", STANDARD_CODES)  # type: ignore[assignment]
        raise BadRecording("label_code", f"nothing in the label file is a stage; known are {', '.join(known)}")
    return scoring


def _reader_of(path: Path) -> str:
    name = f"{path.parent.name}/{path.name}".lower()
    if name.endswith(".xml"):
        root = read_xml(path).tag
        reader = BY_ROOT.get(root, "")
    else:
        root, reader = "", next((reader for pattern, reader in BY_NAME.items() if fnmatchcase(name, pattern)), "")
    if not reader:
        what = f"<{root}>" if root else f"{path.suffix!r}"
        raise bad_labels(path, f"no label reader for {what}; a recipe can name one of {', '.join(LABEL_READERS)}")
    return reader


def label_files(reader: str, path: Path) -> list[Path]:
    """Every file that a reader of `LABEL_READERS` takes in when it is given `path`."""
    return _FILES[reader](path) if reader in _FILES else [path]

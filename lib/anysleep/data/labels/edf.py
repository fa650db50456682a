"""Stages and events in an EDF+ file of their own, as in Sleep-EDF (`SC4001EC-Hypnogram.edf`)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from anysleep.data.labels.hypnogram import STANDARD_CODES
from anysleep.data.labels.scoring import Scoring, scoring_of_annotations
from anysleep.data.labels.text import bad_labels
from anysleep.data.readers.edf import read_edf
from anysleep.stages import EPOCH_S


def read_edf_scoring(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The annotations, by the clock in the file's header. BadRecording where the file is missing or damaged.

    `epoch_s` is not used: annotations have onsets.
    """
    try:
        night = read_edf(path)
    except (FileNotFoundError, ValueError) as error:
        raise bad_labels(path, str(error)) from error
    scoring = scoring_of_annotations(night.annotations, codes)
    clock = {"start_time": night.start_time, "clock_unread": night.start_time is None}
    return replace(scoring, unread=night.unread, **clock)


def sleep_edf_scoring_beside(path: Path) -> Path | None:
    """Sleep-EDF's scoring of a recording: the same name but for the scorer's letter. ValueError where there are two."""
    if not path.stem.endswith("-PSG"):
        return None
    night = path.stem.removesuffix("-PSG")
    found = sorted({*path.parent.glob(f"{night[:-1]}?-Hypnogram.edf"), *path.parent.glob(f"{night}-Hypnogram.edf")})
    if len(found) > 1:
        raise ValueError(f"several scorings lie beside it ({len(found)} files); say which with hypnogram_path")
    return found[0] if found else None

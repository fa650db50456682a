"""Stages and events in an EDF+ file of their own, as in Sleep-EDF (`SC4001EC-Hypnogram.edf`)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from anysleep.recordings.labels.hypnogram import STANDARD_CODES
from anysleep.recordings.labels.scoring import Scoring, scoring_of_annotations
from anysleep.recordings.labels.text import bad_labels
from anysleep.recordings.reasons import BadRecording
from anysleep.stages import EPOCH_S

SLEEP_EDF = re.compile(r"(SC4|ST7)\d{3}[A-Z]\d", re.IGNORECASE)
"""A night of Sleep-EDF: cassette or telemetry, person, night, recorder, and a 0 where scorings have a letter."""
PSG, SCORING = "-psg", "-hypnogram.edf"


def read_edf_scoring(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The annotations, by the clock in the file's header. BadRecording where the file is missing or damaged.

    `epoch_s` is not used: annotations have onsets.
    """
    try:
        from anysleep.recordings.readers.edf import read_edf  # readers read labels, too

        night = read_edf(path)
    except (FileNotFoundError, ValueError) as error:
        raise bad_labels(path, str(error)) from error
    scoring = scoring_of_annotations(night.annotations, codes)
    clock = {"start_time": night.start_time, "clock_unread": night.start_time is None}
    return replace(scoring, unread=night.unread, **clock)


def scorings_among(files: Iterable[Path], recordings: Iterable[Path]) -> set[Path]:
    """Those of the files that are a scoring beside one of the recordings, see `sleep_edf_scoring_beside`."""
    scored = {(path.parent, _night(path.stem[: -len(PSG)])) for path in recordings if path.stem.lower().endswith(PSG)}
    named = {file: file.name[: -len(SCORING)] for file in files if file.name.lower().endswith(SCORING)}
    return {
        file
        for file, night in named.items()
        if not scored.isdisjoint({(file.parent, night.lower()), (file.parent, f"{night[:-1].lower()}/")})
        and file.is_file()
    }


def _night(stem: str) -> str:
    """What a scoring is called in small letters, with a slash for any scorer's letter."""
    return (f"{stem[:-1]}/" if SLEEP_EDF.fullmatch(stem) else stem).lower()


def sleep_edf_scoring_beside(path: Path) -> Path | None:
    """The scoring beside `a-PSG.edf`: `a-Hypnogram.edf`, or as Sleep-EDF names it, with the scorer's letter last.

    None where there is none; BadRecording where there are several.
    """
    found = sorted(scorings_among(path.parent.iterdir(), [path])) if path.stem.lower().endswith(PSG) else []
    if len(found) > 1:
        message = f"several scorings lie beside it ({len(found)} files); say which with hypnogram_path"
        raise BadRecording("label_file", message)
    return found[0] if found else None

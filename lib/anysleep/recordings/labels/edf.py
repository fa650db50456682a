"""Stages and events in EDF+ files of their own, as in Sleep-EDF and in the Montreal Archive of Sleep Studies (MASS)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.published import read_published
from anysleep.recordings.labels.hypnogram import STANDARD_CODES
from anysleep.recordings.labels.scoring import Scoring, scoring_of_annotations, seconds_between
from anysleep.recordings.labels.text import bad_labels
from anysleep.recordings.reasons import BadRecording, note
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
    # No name of a file holds a slash, so one can stand for the scorer's letter.
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


GROUP = "MicroArousal"
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
"""Name and value in an event such as <Event channel="EEG C4-LER" groupName="MicroArousal" name="CARSM expert"/>."""


def read_mass(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """Of MASS: stages of `01-03-0001 Base.edf`, events of `01-03-0001 Annotations.edf` where it lies beside.

    Micro-arousals become 'arousal EEG C4-LER'; those of channels that are no EEG are left out, with a warning. The same
    arousal on several channels stays as often as it was scored. The Annotations file lists spindles and other events,
    too, so a night without any arousal counts as not scored. `epoch_s` is not used: the file has onsets.
    BadRecording where a file is missing or damaged, or only one of two has a clock that can be read.
    """
    scoring = read_edf_scoring(path, codes)
    for beside in mass_files(path)[1:]:
        more = read_edf_scoring(beside, codes)
        if scoring.clock_unread != more.clock_unread:
            raise BadRecording("label_time", f"{path.name} and the events beside it need clock times, both")
        later_s = 0.0 if more.clock_unread else seconds_between(scoring.start_time, more.start_time)
        events = pd.concat([scoring.events, more.events.assign(onset_s=more.events.onset_s + later_s)])
        events = events.sort_values("onset_s", ignore_index=True, kind="stable")
        scoring = replace(scoring, events=events, unread=scoring.unread + more.unread)
    return replace(scoring, events=_named(scoring.events))


def mass_files(path: Path) -> list[Path]:
    """The Base file, and the Annotations file where there is one beside it."""
    beside = path.with_name(path.name.replace(" Base.", " Annotations."))
    return [path, beside] if beside != path and beside.is_file() else [path]


def _named(events: pd.DataFrame) -> pd.DataFrame:
    """Micro-arousals by a plain name, without those of channels that are no EEG."""
    attributes = [dict(ATTRIBUTE.findall(text)) for text in events.description]
    channels = [a.get("channel", "") if GROUP in (a.get("groupName"), a.get("name")) else None for a in attributes]
    pairs = list(zip(events.description, channels, strict=True))
    texts = [text if channel is None else f"arousal {channel}" for text, channel in pairs]
    elsewhere = np.array([channel is not None and not channel.startswith("EEG") for channel in channels], dtype=bool)
    if elsewhere.any():
        note(f"{elsewhere.sum()} micro-arousals are not of an EEG channel and are left out")
    return events.assign(description=texts)[~elsewhere].reset_index(drop=True)


def mass_trim_s(dataset: str, recording: str) -> float:
    """Seconds that the published study cut from the start of the signals. BadRecording for any other recording."""
    trims = {(row["dataset"], row["recording"]): float(row["trimmed_s"]) for row in read_published("mass_trims")}
    if (dataset, recording) not in trims:
        datasets = ", ".join(sorted({known for known, _ in trims}))
        raise BadRecording(
            "label_time", f"no trim is published for {recording!r} of {dataset!r}; there are recordings of {datasets}"
        )
    return trims[dataset, recording]

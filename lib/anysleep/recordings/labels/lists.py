"""Lists of stages that say by themselves what a stage is and how long it lasts: `codes` and `epoch_s` are not used."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.recordings.labels.consensus import consensus_hypnogram
from anysleep.recordings.labels.hypnogram import STAGE_CODES, STANDARD_CODES, quoted
from anysleep.recordings.labels.scoring import Scoring, scoring_of_list
from anysleep.recordings.labels.text import bad_labels, read_lines, seconds
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S


def read_ids(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """`hypnogram.ids` of the Danish Center for Sleep Medicine (DCSM): lines `start,duration,stage`, in s.

    By the recording's own time; commas or spaces between. BadRecording names a line that is otherwise.
    """
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            # At most twice: the name of a stage may hold commas and blanks.
            onset, duration, stage = line.replace(",", " ", 2).split(maxsplit=2)
            rows.append((seconds(onset), seconds(duration), stage))
        except ValueError:
            raise bad_labels(
                path, f"line {number} is {quoted([line])}; expected 'start,duration,stage', in s"
            ) from None
        if rows[-1][1] <= 0:
            raise bad_labels(path, f"the stage in line {number} lasts {duration} s")
    return Scoring(annotation_table(rows))


def read_yasa(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The JSON file of a `yasa.Hypnogram`: a stage for every so many seconds, by the clock where it has one.

    BadRecording where it is no whole file of this form.
    """
    try:
        content = json.loads("\n".join(read_lines(path)))
        labels = [_text_only(value) for value in content["values"]]
        lasting_s = pd.Timedelta(content["freq"]).total_seconds()
        start = content.get("start") and pd.Timestamp(content["start"]).tz_localize(None).to_pydatetime()
    except (KeyError, TypeError, ValueError) as error:
        raise bad_labels(path, f"this is no JSON file of a yasa Hypnogram: {error}") from error
    if not labels or not lasting_s > 0:
        raise bad_labels(path, "there are no stages that last")
    scoring = scoring_of_list(labels, lasting_s)
    return replace(scoring, start_time=start, epoch_s=None) if start else scoring


def _text_only(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no label")
    return value


N_SCORERS = 5
UNSCORED_IN_FILE = -1


def read_dod_scorers(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The consensus of the five scorers of the Dreem Open Datasets, as labels '0' to '4' and '9', `epoch_s` long each.

    Path and errors as of `read_each_scorer`.
    """
    return scoring_of_list([str(stage) for stage in consensus_hypnogram(read_each_scorer(path))], epoch_s)


def read_each_scorer(path: Path) -> np.ndarray:
    """What each scorer says, int8 (5, E), -1 where unscored: `scorer_1/<recording>.json` to `scorer_5`, a list each.

    `path` is the file of any one of them. BadRecording where one is missing or damaged, or they differ in length.
    """
    paths = scorer_files(path)
    if path not in paths:
        raise bad_labels(path, f"its folder is {path.parent.name!r}; expected scorer_1 to scorer_{N_SCORERS}")
    scorers = [_read_scorer(scorer) for scorer in paths]
    lengths = [len(scorer) for scorer in scorers]
    if len(set(lengths)) > 1:
        raise bad_labels(
            path, f"the scorers give {', '.join(map(str, lengths))} epochs; which belongs to which is not clear"
        )
    return np.array(scorers, dtype=np.int8)


def scorer_files(path: Path) -> list[Path]:
    """The files of all five scorers, by that of one."""
    return [path.parent.parent / f"scorer_{i + 1}" / path.name for i in range(N_SCORERS)]


def _read_scorer(path: Path) -> list[int]:
    try:
        stages = json.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise bad_labels(path, f"{path.parent.name} is no whole JSON file: {error}") from error
    known = (UNSCORED_IN_FILE, *STAGE_CODES)
    # type() is int: to isinstance, True is a whole number, too.
    if not isinstance(stages, list) or not stages or not all(type(s) is int and s in known for s in stages):
        raise bad_labels(path, f"{path.parent.name} is no list of stages {', '.join(map(str, known))}")
    return stages

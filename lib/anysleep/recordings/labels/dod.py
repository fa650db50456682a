"""The five scorers of the Dreem Open Datasets: `scorer_1/<recording>.json` to `scorer_5`, a list of numbers each."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from anysleep.recordings.labels.consensus import consensus_hypnogram
from anysleep.recordings.labels.hypnogram import STAGE_CODES, STANDARD_CODES
from anysleep.recordings.labels.scoring import Scoring, scoring_of_list
from anysleep.recordings.labels.text import bad_labels, read_lines
from anysleep.stages import EPOCH_S

N_SCORERS = 5
UNSCORED_IN_FILE = -1


def read_dod_scorers(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The consensus of all five scorers, the labels '0' to '4' and '9'; `path` is the file of any one of them.

    `codes` is not used: the votes must be stages already. BadRecording where a scorer is missing, a file is damaged, or
    the scorers differ in length.
    """
    return scoring_of_list([str(stage) for stage in consensus_hypnogram(read_each_scorer(path))], epoch_s)


def read_each_scorer(path: Path) -> np.ndarray:
    """What each of the five scorers says, int8 (5, E), -1 where unscored; `path` is the file of any one of them.

    BadRecording where a scorer is missing, a file is damaged, or the scorers differ in length.
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
    if not isinstance(stages, list) or not stages or not all(type(s) is int and s in known for s in stages):
        raise bad_labels(path, f"{path.parent.name} is no list of stages {', '.join(map(str, known))}")
    return stages

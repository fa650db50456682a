"""Lists of stages that say by themselves what a stage is and how long it lasts: `codes` and `epoch_s` are not used.

Several lists of one night have a consensus (Guillot et al. 2020, doi 10.1109/TNSRE.2020.3011181).
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from anysleep.recordings.labels.hypnogram import STAGE_CODES, STANDARD_CODES, quoted
from anysleep.recordings.labels.scoring import Scoring, scoring_of_list
from anysleep.recordings.labels.text import bad_labels, read_lines, seconds
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S, N_STAGES, UNSCORED


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


def soft_agreement(scorers: ArrayLike) -> np.ndarray:
    """How far each scorer agrees with the others, float64 (S,), 0 to 1.

    For a scorer, every epoch counts the share of votes that his stage gets from the others, relative to their most
    frequent stage; the mean over epochs is his soft agreement.
    """
    votes = _votes(scorers)  # (S, E, codes)
    others = votes.sum(axis=0) - votes
    relative = others / others.max(axis=2, keepdims=True)
    return (votes * relative).sum(axis=2).mean(axis=1)


def consensus_hypnogram(scorers: ArrayLike, n_kept: int = 4) -> np.ndarray:
    """The stage that most of the best-agreeing scorers give: int8 (E,), 9 where the vote is unscored.

    `scorers` are int (S, E): stages 0-4, -1 or 9 where unscored. They are ranked by `soft_agreement`; the best `n_kept`
    vote, all where there are fewer, and a tie goes to the highest-ranked scorer among those who gave a tied stage.
    Unscored is a vote like any stage.
    """
    votes = _votes(scorers)
    ranked = votes[np.argsort(-soft_agreement(scorers), kind="stable")][:n_kept]  # (n_kept, E, codes)
    # A vote of the r-th ranked adds less than one whole vote in all: enough to decide ties, and nothing else.
    rank_bonus = 0.5 ** np.arange(1, len(ranked) + 1)
    winner = np.einsum("sec,s->ec", ranked, 1 + rank_bonus).argmax(axis=1)
    return np.where(winner == N_STAGES, UNSCORED, winner).astype(np.int8)


def _votes(scorers: ArrayLike) -> np.ndarray:
    """One-hot float64 (S, E, 6); the sixth code is unscored."""
    scorers = np.asarray(scorers)
    if scorers.ndim != 2 or len(scorers) < 2:
        raise ValueError(f"scorers have shape {scorers.shape}; expected at least two rows, (scorers, epochs)")
    codes = np.where(np.isin(scorers, (-1, UNSCORED)), N_STAGES, scorers)
    if not np.isin(codes, range(N_STAGES + 1)).all():
        raise ValueError(f"unknown stage codes in {np.unique(scorers).tolist()}; known are 0-4, and -1 or 9")
    return np.eye(N_STAGES + 1)[codes.astype(int)]

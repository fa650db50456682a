"""The public scorers of the Dreem Open Datasets: five hypnograms a night at 30 s, and how far they agree."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.analysis.traits.transitions import count_triplets
from anysleep.evaluation.metrics import confusion_matrix, metrics_of_confusion
from anysleep.recordings.labels.consensus import consensus_hypnogram
from anysleep.recordings.labels.dod import read_each_scorer, scorer_files
from anysleep.recordings.reasons import BadRecording

Scorers = dict[tuple[str, str], np.ndarray]
"""(data set, recording) -> int8 (5, E), stages 0-4, -1 where unscored."""


def read_scorers(path: str | Path, note: Callable[[str, Path], object] = lambda role, path: None) -> Scorers:
    """Read an .npz with keys `<dataset>/<recording>`, or a folder with `<dataset>/scorer_1/<recording>.json` to 5.

    `note`, such as `Run.input`, is told of every file. Nights of a folder that cannot be read are left out, with a
    warning that says how many and why. ValueError where none is left.
    """
    path = Path(path)
    if path.is_file():
        note("scorers", path)
        with np.load(path) as content:
            scorers = {_split_key(key): content[key] for key in content.files}
    else:
        scorers = _read_folder(path, note)
    if not scorers:
        raise ValueError(
            f"no scored night in {path.name}; expected an .npz, or a folder with dodh/scorer_1/*.json and so on"
        )
    return scorers


def compare_scorers(scorers: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Each scorer against the consensus of the others, over epochs that both have scored.

    Columns dataset, recording, scorer (1-5), kappa, mf1; NaN where no epoch is scored by both.
    """
    rows = []
    for (dataset, recording), stages in scorers.items():
        for i, of_one in enumerate(stages):
            others = consensus_hypnogram(np.delete(stages, i, axis=0))
            scores = metrics_of_confusion(confusion_matrix(others, of_one))
            rows.append({"dataset": dataset, "recording": recording, "scorer": i + 1} | dict(scores[["kappa", "mf1"]]))
    return pd.DataFrame(rows)


def scored_nights(scorers: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Columns dataset, recording, subject; every night of these data sets is of another person."""
    rows = [{"dataset": dataset, "recording": recording, "subject": recording} for dataset, recording in scorers]
    return pd.DataFrame(rows)


def count_consensus(scorers: Mapping[tuple[str, str], np.ndarray], recordings: pd.DataFrame) -> list[np.ndarray]:
    """Triplets (blocks, 80) of the consensus of all five, at 30 s, of every recording."""
    hypnograms = [consensus_hypnogram(scorers[night.dataset, night.recording]) for night in recordings.itertuples()]
    return [count_triplets(hypnogram, 1, hypnogram) for hypnogram in hypnograms]


def _read_folder(folder: Path, note: Callable[[str, Path], object]) -> Scorers:
    scorers, reasons = {}, []
    for path in sorted(folder.glob("*/scorer_1/*.json")):
        try:
            scorers[path.parents[1].name, path.stem] = read_each_scorer(path)
        except BadRecording as error:
            reasons.append(str(error))
            continue
        for i, file in enumerate(scorer_files(path), start=1):
            note(f"night_{len(scorers)}_scorer_{i}", file)
    if reasons:
        warnings.warn(f"{len(reasons)} nights cannot be read, the first because {reasons[0]}", stacklevel=3)
    return scorers


def _split_key(key: str) -> tuple[str, str]:
    dataset, slash, recording = key.partition("/")
    if not slash:
        raise ValueError(f"key {key!r} is not <dataset>/<recording>, such as dodh/0d79f4b1-e74f-5e87-8e42-f9dd7112ada5")
    return dataset, recording

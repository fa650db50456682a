"""How far scorers agree who have scored the same nights: those of an archive, and of the Dreem Open Datasets."""

import warnings
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from anysleep.analysis.traits.transitions import count_triplets
from anysleep.datasets.archive import Archive
from anysleep.evaluation.metrics import confusion_matrix, metrics_of_confusion
from anysleep.recordings.labels.consensus import consensus_hypnogram
from anysleep.recordings.labels.lists import read_each_scorer, scorer_files
from anysleep.recordings.reasons import BadRecording
from anysleep.stages import STAGES

T = TypeVar("T")
Key = tuple[str, str]
"""Data set and recording."""
NightScorers = dict[Key, dict[str, np.ndarray]]
"""Night -> scorer -> int8 (E,), stages 0-4, 9 where unscored."""
Staged = Mapping[Key, np.ndarray]
"""Night -> int8 (E,), what one network says."""
LABELS, CONSENSUS, OTHERS = "labels", "consensus", "consensus of the others"
PLACE = ("level", "dataset", "recording", "scorer", "reference")
SCORES = ("kappa", "mf1", "accuracy", *(f"f1_{stage.lower()}" for stage in STAGES), "n_epochs")
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
        for i, confusion in _with_others(dict(enumerate(stages, start=1))).items():
            scores = metrics_of_confusion(confusion)
            rows.append({"dataset": dataset, "recording": recording, "scorer": i} | dict(scores[["kappa", "mf1"]]))
    return pd.DataFrame(rows)


def archived_scorers(archive: Archive, nights: pd.DataFrame) -> NightScorers:
    """Everybody who scored each of these nights: its labels, and the scorers beside. Nights of one are left out."""
    scorers: NightScorers = {}
    for key in zip(nights.dataset, nights.recording, strict=True):
        labels = archive.hypnogram(*key)
        of_night = ({} if labels is None else {LABELS: labels}) | archive.scorers(*key)
        if len(of_night) > 1:
            scorers[key] = of_night
    return scorers


def agreement_table(nights: NightScorers, networks: Mapping[str, Staged] | None = None) -> pd.DataFrame:
    """How far scorers agree epoch by epoch, over epochs that both have scored, from summed counts.

    Every pair of scorers once; of four or more, each with the consensus of the others (Guillot et al. 2020; of two it
    would be a scorer picked by the order). Networks with every scorer and, of three or more, with their consensus.

    Columns level ('dataset' or 'recording'), dataset, recording, scorer, reference, kappa, mf1, accuracy, f1_wake ...,
    n_epochs; NaN where no epoch is scored by both.
    """
    counts: dict[tuple[str, ...], np.ndarray] = {}
    for night, scorers in nights.items():
        staged = {name: of_nights[night] for name, of_nights in (networks or {}).items() if night in of_nights}
        for pair, confusion in {**_among(scorers), **_with_networks(scorers, staged)}.items():
            for place in (("dataset", night[0], ""), ("recording", *night)):
                counts[*place, *pair] = counts.get((*place, *pair), 0) + confusion
    scores = [metrics_of_confusion(confusion)[list(SCORES)].to_dict() for confusion in counts.values()]
    rows = [dict(zip(PLACE, key, strict=True)) | of_key for key, of_key in zip(counts, scores, strict=True)]
    return pd.DataFrame(rows, columns=[*PLACE, *SCORES]).sort_values("level", kind="stable", ignore_index=True)


def lanes(scorers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scorers of a night, and below them, of three or more, their consensus: what `plot_scorer_lanes` draws."""
    consensus = {CONSENSUS: consensus_hypnogram(list(scorers.values()))} if len(scorers) > 2 else {}
    return {**scorers, **consensus}


def _among(scorers: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    pairs = {(b, a): confusion_matrix(scorers[a], scorers[b]) for a, b in combinations(scorers, 2)}
    others = _with_others(scorers) if len(scorers) > 3 else {}
    return pairs | {(name, OTHERS): confusion for name, confusion in others.items()}


def _with_networks(
    scorers: Mapping[str, np.ndarray], staged: Mapping[str, np.ndarray]
) -> dict[tuple[str, str], np.ndarray]:
    return {
        (network, name): confusion_matrix(stages, of_network)
        for network, of_network in staged.items()
        for name, stages in lanes(scorers).items()
    }


def _with_others(scorers: Mapping[T, np.ndarray]) -> dict[T, np.ndarray]:
    """Confusion matrix (5, 5) of each scorer with the consensus of the others."""
    return {
        name: confusion_matrix(consensus_hypnogram([s for other, s in scorers.items() if other != name]), stages)
        for name, stages in scorers.items()
    }


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

"""Random forests that tell a trait from blocks of triplet counts, every recording by forests that never saw its person.

AnySleep, methods: transitions. A forest has 200 trees and learns from blocks; a recording's prediction is the mean of
its blocks' predictions. Everything random follows from numbers that name what is computed, so results depend neither on
the order of the work nor on the number of processes.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from anysleep.recordings.reasons import NothingToMeasure
from anysleep.recordings.tables import read_table
from anysleep.system.files import atomic_write, read_if_whole
from anysleep.system.jobs import n_cores, run_jobs, share_of
from anysleep.system.words import progress

N_TREES = 200

_FOLDS, _FORESTS, _SHUFFLES = 1, 2, 3
"""First number of each seed, so that folds, forests and shuffles draw from streams of their own."""


@dataclass(frozen=True)
class Nights:
    """What is to be told from what: R recordings, in the same order everywhere."""

    counts: dict[int, list[np.ndarray]]
    """Predictions per epoch -> triplet counts (blocks, 80) of every recording, at least one block each."""
    trait: np.ndarray
    """float (R,): age in years, or 1 for the positive class and 0 for the other."""
    person: np.ndarray
    """Who slept, text (R,)."""
    group: np.ndarray
    """Text (R,): recordings with the same one never stand on both sides of a fold."""
    is_class: bool

    def __post_init__(self) -> None:
        lengths = {len(self.trait), len(self.person), len(self.group), *map(len, self.counts.values())}
        if len(lengths) != 1 or not self.counts:
            raise ValueError(f"recordings differ in number: {sorted(lengths)}; give trait, person, group of each")
        if any(len(blocks) == 0 for nights in self.counts.values() for blocks in nights):
            raise ValueError("a recording has no block of sleep; leave it out")
        if self.is_class and not np.isin(self.trait, (0, 1)).all():
            raise ValueError(f"classes are {sorted(set(self.trait.tolist()))}; expected 0 and 1")


@dataclass(frozen=True)
class Settings:
    """How trees grow, in scikit-learn's words."""

    max_depth: int
    min_samples_leaf: int
    min_samples_split: int
    max_features: str
    """How many of the 80 counts each branch may choose from: sqrt or log2 of them."""


@dataclass(frozen=True, order=True)
class Repetition:
    """One repetition at one resolution: every recording is predicted once."""

    predictions_per_epoch: int
    n_folds: int
    """0 leaves out one group at a time."""
    repetition: int
    shuffle: int = -1
    """Which shuffle of the trait among persons; -1 for none."""
    settings: Settings | None = None
    """How its trees grow; None where that is drawn."""


def predict_repetition(nights: Nights, job: Repetition, seed: int) -> np.ndarray:
    """Predictions float (R,): ages, or 1 and 0."""
    trait = shuffled_trait(nights, job.shuffle, seed)
    folds = make_folds(nights, trait, job.n_folds, [_FOLDS, seed, job.repetition])
    random = np.random.default_rng([_FORESTS, seed, job.predictions_per_epoch, job.repetition])
    drawn = draw_settings(random)  # also where it is not used, so that the seeds below stay the same
    # Exact: whole numbers up to 16 million, and a block at 3840 has 691,200 predictions.
    counts = [blocks.astype(np.float32) for blocks in nights.counts[job.predictions_per_epoch]]
    predictions = np.empty(len(trait))
    for fold in np.unique(folds):
        forest_seed, tie_seed = random.integers(2**31, size=2)
        learnt, left_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        blocks = np.concatenate([counts[i] for i in learnt])
        targets = np.repeat(trait[learnt], [len(counts[i]) for i in learnt])
        forest = grow_forest(blocks, targets, nights.is_class, job.settings or drawn, int(forest_seed))
        predictions[left_out] = _decide(forest, [counts[i] for i in left_out], nights.is_class, int(tie_seed))
    return predictions


def make_folds(nights: Nights, trait: np.ndarray, n_folds: int, seed: Sequence[int]) -> np.ndarray:
    """The fold (R,) in which each recording is predicted: whole groups, for classes (R,) with like shares of both.

    ValueError where there are too few persons for so many folds.
    """
    check_folds(nights, n_folds)
    groups = np.unique(nights.group, return_inverse=True)[1]
    if n_folds == 0:
        return groups
    split_by = StratifiedGroupKFold if nights.is_class else GroupKFold
    state = int(np.random.default_rng(seed).integers(2**31))
    folds = np.empty(len(trait), dtype=int)
    # The first argument is for its length alone: blocks play no part in the folds.
    split = split_by(n_folds, shuffle=True, random_state=state).split(trait[:, np.newaxis], trait, groups)
    for fold, (_, left_out) in enumerate(split):
        folds[left_out] = fold
    return folds


def check_folds(nights: Nights, n_folds: int) -> None:
    """NothingToMeasure where there are too few persons for so many folds."""
    most = most_folds(nights)
    if most < max(n_folds, 2):
        rarer = " of the rarer class" if nights.is_class else ""
        raise NothingToMeasure(
            f"{most} persons{rarer} cannot fill {max(n_folds, 2)} folds; add persons or lower n_folds"
        )


def most_folds(nights: Nights) -> int:
    """The number of persons; for classes, that of the rarer one, as each fold needs a person of both."""
    if not nights.is_class:
        return len(set(nights.person))
    return min(len(set(nights.person[nights.trait == code])) for code in (0, 1))


def shuffled_trait(nights: Nights, shuffle: int, seed: int) -> np.ndarray:
    """The trait (R,) after a shuffle among persons, -1 for none. All nights of a person get the same one.

    A person whose age differs between nights brings that of the first one.
    """
    if shuffle < 0:
        return nights.trait
    _, first, persons = np.unique(nights.person, return_index=True, return_inverse=True)
    return np.random.default_rng([_SHUFFLES, seed, shuffle]).permutation(nights.trait[first])[persons]


def draw_settings(random: np.random.Generator) -> Settings:
    """Settings of a repetition, each value as likely as any other."""
    depth, leaf, split = (int(random.integers(2, 8)) for _ in range(3))
    return Settings(depth, leaf, split, ("sqrt", "log2")[random.integers(2)])


def read_settings(path: Path) -> list[Settings]:
    """Settings in a table (.csv, .tsv, .xlsx) with their names as columns, a row each. ValueError names a wrong row."""
    table, names = read_table(path), list(Settings.__annotations__)
    if any(list(table).count(name) != 1 for name in names) or table.empty:
        raise ValueError(f"{path.name} needs columns {', '.join(names)}, each once, and a row for each repetition")
    whole = table[names[:3]].apply(pd.to_numeric, errors="coerce")
    sound = (whole % 1 == 0).all(axis=1) & (whole >= [1, 1, 2]).all(axis=1) & table.max_features.isin(["sqrt", "log2"])
    if not sound.all():
        raise ValueError(
            f"{path.name}: row {(~sound).argmax() + 1} below the header needs whole numbers, of min_samples_split 2 or "
            "more, and sqrt or log2"
        )
    rows = zip(whole.astype(int).to_numpy().tolist(), table.max_features, strict=True)
    return [Settings(depth, leaf, split, max_features) for (depth, leaf, split), max_features in rows]


def grow_forest(
    blocks: np.ndarray, targets: np.ndarray, is_class: bool, settings: Settings, seed: int
) -> RandomForestClassifier | RandomForestRegressor:
    """The forest of blocks float32 (B, 80) with targets float (B,), for classes 0 and 1.

    Classes have balanced weights: blocks of the rarer class are drawn more often. (Before scikit-learn 1.9, which the
    study may have used, all were drawn alike and those of the rarer class weighed more in a tree.)
    """
    grown = {"n_estimators": N_TREES, "random_state": seed, **asdict(settings)}
    forest = RandomForestClassifier(class_weight="balanced", **grown) if is_class else RandomForestRegressor(**grown)
    return forest.fit(blocks, targets)


def predict_blocks(forest: RandomForestClassifier | RandomForestRegressor, blocks: np.ndarray) -> np.ndarray:
    """The mean of the trees (B,): ages, or the probability of class 1."""
    if isinstance(forest, RandomForestRegressor):
        return forest.predict(blocks)
    return forest.predict_proba(blocks) @ forest.classes_  # also where only one class was there to learn


def _decide(
    forest: RandomForestClassifier | RandomForestRegressor, counts: Sequence[np.ndarray], is_class: bool, seed: int
) -> np.ndarray:
    """One prediction a recording: the mean of its blocks; for classes of their votes, a tie by the toss of a coin."""
    of_blocks = predict_blocks(forest, np.concatenate(counts))
    values = (of_blocks > 0.5).astype(float) if is_class else of_blocks
    ends = np.cumsum([len(blocks) for blocks in counts])
    means = np.array([part.mean() for part in np.split(values, ends[:-1])])
    if not is_class:
        return means
    coins = np.random.default_rng(seed).integers(0, 2, len(means))
    return np.where(means == 0.5, coins, means > 0.5).astype(float)


VERSION = 1
"""Count up when something else is computed here, so that earlier results are not taken for it."""


def run_repetitions(
    nights: Nights, jobs: Collection[Repetition], seed: int, folder: Path, n_jobs: int, shard: str = ""
) -> dict[Repetition, np.ndarray]:
    """Predictions (R,) of every job, by `n_jobs` processes (0 for one per core) of one thread each.

    Each is written to `folder` under a name that holds all that decides it, and taken from there the next time. The
    results depend neither on the number of processes nor on how often the work was stopped. A `shard` such as `3/16`
    does its part only.

    ValueError where there are too few persons for the folds.
    """
    for n_folds in {job.n_folds for job in jobs}:
        check_folds(nights, n_folds)
    digests = {r: _digest(nights, r) for r in nights.counts}
    # Repetition by repetition, so that the time left can be judged early.
    ordered = sorted(set(jobs), key=lambda job: (job.repetition, job))
    paths = {job: folder / f"{_name(job, seed, digests)}.npz" for job in share_of(ordered, shard)}
    done = {job: predictions for job, path in paths.items() if (predictions := read_if_whole(path, _read)) is not None}
    left = [job for job in paths if job not in done]
    if done:
        print(f"{len(done)} of {len(paths)} repetitions were done before")
    work = ((_at(nights, job), job, seed, paths[job]) for job in left)
    n_processes = max(1, min(n_jobs or n_cores(), len(left)))
    computed = run_jobs(_compute, work, n_processes, start="spawn", n_threads=1)  # forked threads of OpenMP can hang
    return done | dict(future.result() for _, future in progress(computed, "repetitions", total=len(left)))


def _at(nights: Nights, job: Repetition) -> Nights:
    """What a process needs of the nights."""
    r = job.predictions_per_epoch
    return replace(nights, counts={r: nights.counts[r]})


def _compute(work: tuple[Nights, Repetition, int, Path]) -> tuple[Repetition, np.ndarray]:
    nights, job, seed, path = work
    predictions = predict_repetition(nights, job, seed)
    with atomic_write(path) as temporary:
        np.savez(temporary, predictions=predictions)
    return job, predictions


def _read(path: Path) -> np.ndarray:
    with np.load(path) as content:
        return content["predictions"]


def _digest(nights: Nights, predictions_per_epoch: int) -> str:
    """SHA-256 of everything in the nights that decides a job of this resolution."""
    counts = nights.counts[predictions_per_epoch]
    facts = [nights.person.tolist(), nights.group.tolist(), nights.trait.tolist(), nights.is_class]
    found = hashlib.sha256(json.dumps([*facts, [blocks.shape for blocks in counts]]).encode())
    for blocks in counts:
        # Low byte first, so that every machine finds the same.
        found.update(np.ascontiguousarray(blocks, dtype="<i8").tobytes())
    return found.hexdigest()


def _name(job: Repetition, seed: int, digests: dict[int, str]) -> str:
    versions = [VERSION, N_TREES, sklearn.__version__, np.__version__]
    drawn = {"settings"} if job.settings is None else set()  # by the seed, which is there
    what = {name: value for name, value in asdict(job).items() if name not in drawn}
    deciding = [what, seed, digests[job.predictions_per_epoch], versions]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

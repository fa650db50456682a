"""Repetitions of the forests, several at the same time; each is written when it is done, and never done twice."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import sklearn

from anysleep.analysis.traits.forests import N_TREES, Nights, Repetition, check_folds, predict_repetition
from anysleep.system.files import atomic_write, read_if_whole
from anysleep.system.jobs import n_cores, run_jobs, share_of
from anysleep.system.progress import progress

VERSION = 1
"""Count up when `forests` computes something else, so that earlier results are not taken for it."""


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
    paths = {job: folder / f"{_name(job, seed, digests)}.npz" for job in share_of(sorted(set(jobs), key=_order), shard)}
    done = {job: predictions for job, path in paths.items() if (predictions := read_if_whole(path, _read)) is not None}
    left = [job for job in paths if job not in done]
    if done:
        print(f"{len(done)} of {len(paths)} repetitions were done before")
    work = ((_at(nights, job), job, seed, paths[job]) for job in left)
    n_processes = max(1, min(n_jobs or n_cores(), len(left)))
    computed = run_jobs(_compute, work, n_processes, start="spawn", n_threads=1)  # forked threads of OpenMP can hang
    return done | dict(future.result() for _, future in progress(computed, "repetitions", total=len(left)))


def _order(job: Repetition) -> tuple[int, Repetition]:
    """Repetition by repetition, so that the time left can be judged early."""
    return job.repetition, job


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
        found.update(np.ascontiguousarray(blocks, dtype="<i8").tobytes())
    return found.hexdigest()


def _name(job: Repetition, seed: int, digests: dict[int, str]) -> str:
    versions = [VERSION, N_TREES, sklearn.__version__, np.__version__]
    deciding = [asdict(job), seed, digests[job.predictions_per_epoch], versions]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

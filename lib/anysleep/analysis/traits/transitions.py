"""Transition triplets: two changes of stage in a row, counted in blocks of sleep (AnySleep, methods: transitions).

A triplet is three predictions a, b, c in a row with a != b and b != c: the shortest visit to b that this resolution can
see. At 30 s that is half a minute of N1 between Wake and N2; at 128 predictions an epoch a flicker of a quarter second.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from anysleep.stages import N_STAGES, UNSCORED, WAKE

TRIPLETS = tuple(
    f"{a}{b}{c}"
    for a in range(N_STAGES)
    for b in range(N_STAGES)
    for c in range(N_STAGES)
    if a != b and b != c
)  # fmt: skip
"""The 80 patterns as stage codes, '010' to '434'; the place is the column of the counts."""

BLOCK_EPOCHS = 180
"""Epochs of 30 s in a block: 90 minutes, about a sleep cycle."""

_CODES = np.array([int(name, N_STAGES) for name in TRIPLETS])
"""What a triplet is as a number in base 5: 25 a + 5 b + c."""


def count_triplets(hypnogram: ArrayLike, predictions_per_epoch: int, hypnogram_per_epoch: ArrayLike) -> np.ndarray:
    """How often each triplet occurs in each block of a night's sleep: int64 (blocks, 80), columns as in `TRIPLETS`.

    Sleep goes from the first non-Wake epoch up to, not including, the last. It is cut into blocks of 180 epochs, the
    last one as long as it comes; no triplet crosses from one block into the next. Unscored epochs are not sleep, and a
    triplet with an unscored prediction does not count. There is no block where there is no sleep, or one epoch of it.

    `hypnogram` is int (P,), stages 0-4, and -1 or 9 where unscored, with `predictions_per_epoch` in 30 s, so P is that
    many times E. `hypnogram_per_epoch`, int (E,), is the same night at 30 s: it says when sleep begins and ends, so the
    blocks are the same at every resolution. ValueError where the lengths do not fit, or a code is unknown.
    """
    n_blocks, blocks, codes = _located(hypnogram, predictions_per_epoch, hypnogram_per_epoch)
    cells = np.bincount(blocks * N_STAGES**3 + codes, minlength=n_blocks * N_STAGES**3)
    return cells.reshape(n_blocks, N_STAGES**3)[:, _CODES]


def sleep_epochs(hypnogram_per_epoch: ArrayLike) -> slice:
    """From the first non-Wake epoch up to, not including, the last; empty where there is no sleep."""
    stages = _checked(hypnogram_per_epoch, "hypnogram_per_epoch")
    asleep = np.flatnonzero((stages != WAKE) & (stages != UNSCORED))
    return slice(int(asleep[0]), int(asleep[-1])) if len(asleep) else slice(0, 0)


def block_borders(hypnogram_per_epoch: ArrayLike) -> np.ndarray:
    """The epochs where the blocks of a night's sleep begin and, last, where it ends: int (blocks + 1,)."""
    sleep = sleep_epochs(hypnogram_per_epoch)
    return np.append(np.arange(sleep.start, sleep.stop, BLOCK_EPOCHS), sleep.stop)


def find_triplets(hypnogram: ArrayLike) -> np.ndarray:
    """Where triplets begin in stages (P,), whatever the block: int64 (n,), ascending."""
    return _starts(_checked(hypnogram, "hypnogram"))


def _starts(stages: np.ndarray) -> np.ndarray:
    changes = stages[1:] != stages[:-1]
    starts = np.flatnonzero(changes[:-1] & changes[1:])  # a != b and b != c
    return starts[np.all([stages[starts + i] != UNSCORED for i in range(3)], axis=0)]


def _located(
    hypnogram: ArrayLike, predictions_per_epoch: int, hypnogram_per_epoch: ArrayLike
) -> tuple[int, np.ndarray, np.ndarray]:
    """How many blocks there are, and the block and the code (n,) of every triplet that counts."""
    stages, n_epochs = _checked(hypnogram, "hypnogram"), len(np.asarray(hypnogram_per_epoch))
    if predictions_per_epoch < 1 or len(stages) != n_epochs * predictions_per_epoch:
        raise ValueError(
            f"{len(stages)} predictions are not {predictions_per_epoch} in each of {n_epochs} epochs; give the same "
            "night at both resolutions"
        )
    sleep = sleep_epochs(hypnogram_per_epoch)
    stages = stages[sleep.start * predictions_per_epoch : sleep.stop * predictions_per_epoch]
    n_in_block = BLOCK_EPOCHS * predictions_per_epoch
    starts = _starts(stages)
    starts = starts[starts % n_in_block < n_in_block - 2]  # all three in one block
    a, b, c = (stages[starts + i].astype(np.int64) for i in range(3))
    return math.ceil(len(stages) / n_in_block), starts // n_in_block, (a * N_STAGES + b) * N_STAGES + c


def _checked(hypnogram: ArrayLike, name: str) -> np.ndarray:
    """Stages (P,), 9 where unscored; without the copies of `stage_codes`, since a night at 3840 has four million."""
    stages = np.asarray(hypnogram)
    if stages.ndim != 1 or not (stages.size == 0 or np.issubdtype(stages.dtype, np.integer)):
        raise ValueError(f"{name} is {stages.dtype} of shape {stages.shape}; expected whole numbers, one a prediction")
    strange = (stages < 0) | (stages >= N_STAGES)
    if not strange.any():
        return stages
    unknown = set(np.unique(stages[strange]).tolist()) - {-1, UNSCORED}
    if unknown:
        raise ValueError(f"{name} holds unknown stage codes {sorted(unknown)}; known are 0-4, and -1 or 9")
    return np.where(strange, UNSCORED, stages)

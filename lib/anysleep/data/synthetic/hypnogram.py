"""The course of a night: a chain of stages with memory, and the moments inside epochs at which stages change.

The chain is a multinomial logistic regression of the next epoch's stage on the present stage, the age of the present
bout, the sleep so far, the time since the last REM epoch and the hours since sleep onset, with random effects per
night. Its coefficients were fitted to the consensus of the five scorers of the 80 nights of the Dreem Open Datasets
(Guillot et al. 2020, IEEE Trans Neural Syst Rehabil Eng 28:1955, MIT licence); stay probabilities and random effects
were then adjusted so that simulated stage shares, bout lengths and their spread between nights fit those nights. Only
these rounded coefficients are kept here. Age, sex and OSA do not enter.
"""

import numpy as np

from anysleep.stages import EPOCH_S, N1, N_STAGES, REM, WAKE

_PREDICTORS = (
    "one",
    "log bout age",
    "its square / 4",
    "sleep is young",
    "time since REM",
    "its square / 2",
    "hours / 4",
)

_COEFFICIENTS = np.array(  # (present stage, next stage, predictor): log-odds
    [
        [
            [1.40, 1.24, -0.21, 1.12, 1.40, -1.03, 0.67],
            [1.47, 0.16, -0.12, 1.06, 1.69, -1.19, 0.57],
            [-0.22, -0.25, -0.04, 0.90, 2.39, -1.50, -0.13],
            [-3.11, -0.11, -0.12, -0.72, 0.19, 0.34, -1.73],
            [0.36, -1.04, 0.49, -2.37, -5.67, 3.39, 0.62],
        ],
        [
            [0.42, -0.01, 0.59, 1.44, 1.72, -1.20, 0.31],
            [1.40, 0.32, 0.37, 1.84, 0.90, -0.77, 0.41],
            [2.09, 0.54, -0.67, 0.12, 1.65, -1.28, 0.02],
            [-3.82, -0.78, -0.21, -0.72, -0.17, 0.62, -1.52],
            [-0.09, -0.08, -0.09, -2.67, -4.10, 2.63, 0.78],
        ],
        [
            [-0.12, -0.08, 0.01, 1.70, 0.04, 0.00, 0.03],
            [-0.49, -0.23, 0.00, 1.98, 0.12, -0.06, 0.00],
            [2.83, 0.50, -0.24, 0.43, -0.58, 0.30, 0.03],
            [0.76, -0.84, 0.76, -1.66, 0.19, -0.25, -0.77],
            [-2.99, 0.64, -0.54, -2.44, 0.21, 0.01, 0.70],
        ],
        [
            [-0.70, 0.57, 0.07, -0.20, 0.73, -0.69, 0.10],
            [-2.55, 0.49, 0.03, -0.07, -0.79, 0.68, -0.10],
            [2.50, -0.88, 0.82, 0.43, 0.72, -0.65, 0.34],
            [4.04, 1.04, -0.39, -0.04, -0.09, -0.22, -0.17],
            [-3.00, -1.23, -0.53, -0.12, -0.57, 0.88, -0.17],
        ],
        [
            [-0.62, 0.99, -0.46, 0.10, 0.00, 0.00, 0.53],
            [-0.76, -0.46, 0.66, -0.01, 0.00, 0.00, 0.63],
            [0.31, -0.46, 0.81, -0.02, 0.00, 0.00, -0.03],
            [-2.30, -1.05, -0.52, 0.00, 0.00, 0.00, -1.50],
            [3.57, 0.97, -0.49, -0.06, 0.00, 0.00, 0.37],
        ],
    ]
)

_NIGHT_SD_OF_STAGE = np.array([0.20, 0.25, 0.10, 0.15, 0.12])
"""Between nights: SD of each stage's log-odds of being next."""

_NIGHT_SD_OF_STAYING = 0.27
"""Between nights: SD of the log-odds of staying in the present stage."""

_ONSET_SHAPE, _ONSET_SCALE, _ONSET_MAX = 1.1, 0.105, 0.42
"""Wake before sleep onset as a share of the recording: gamma distribution, cut."""

_FINAL_WAKE_MEAN, _FINAL_WAKE_MAX = 0.012, 0.2
"""Wake after the last awakening as a share of the recording: exponential distribution, cut."""

_OLDEST_BOUT = 80
"""Epochs after which a bout's age stops mattering."""

_EPOCHS_PER_H = 3600 // EPOCH_S


def simulate_hypnogram(n_epochs: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate the 30 s hypnogram of one night.

    Args:
        n_epochs: length in epochs, at least 1.
        rng: source of randomness.

    Returns:
        (n_epochs,) int8 stage codes 0-4.

    Raises:
        ValueError: if `n_epochs` is below 1.
    """
    if n_epochs < 1:
        raise ValueError(f"n_epochs is {n_epochs}; a night needs at least 1 epoch of {EPOCH_S} s.")
    onset = int(n_epochs * min(rng.gamma(_ONSET_SHAPE, _ONSET_SCALE), _ONSET_MAX))
    final_wake = int(n_epochs * min(rng.exponential(_FINAL_WAKE_MEAN), _FINAL_WAKE_MAX))
    hypnogram = np.full(n_epochs, WAKE, dtype=np.int8)
    hypnogram[onset : n_epochs - final_wake] = _simulate_sleep(n_epochs - final_wake - onset, rng)
    return hypnogram


def _simulate_sleep(n_epochs: int, rng: np.random.Generator) -> np.ndarray:
    """The chain itself, from sleep onset (an N1 epoch) on."""
    coefficients = _coefficients_of_a_night(rng)
    draws = rng.random(n_epochs)
    stages = np.empty(n_epochs, dtype=np.int8)
    stage, bout_age, since_rem, slept = N1, 0, 0, 0
    for epoch in range(n_epochs):
        stages[epoch] = stage
        bout_age += 1
        since_rem = 0 if stage == REM else since_rem + (slept > 0)
        slept += stage != WAKE
        log_odds = coefficients[stage] @ _predictors(bout_age, slept, since_rem, epoch)
        cumulated = np.cumsum(np.exp(log_odds - log_odds.max()))
        following = int(np.searchsorted(cumulated, draws[epoch] * cumulated[-1]))
        bout_age = bout_age if following == stage else 0
        stage = following
    return stages


def _coefficients_of_a_night(rng: np.random.Generator) -> np.ndarray:
    coefficients = _COEFFICIENTS.copy()
    coefficients[:, :, 0] += _NIGHT_SD_OF_STAGE * rng.standard_normal(N_STAGES)
    stay = np.arange(N_STAGES)
    coefficients[stay, stay, 0] += _NIGHT_SD_OF_STAYING * rng.standard_normal()
    return coefficients


def _predictors(bout_age: int, slept: int, since_rem: int, epoch: int) -> np.ndarray:
    """Values of `_PREDICTORS`; all arguments in epochs, `epoch` since sleep onset."""
    log_age = np.log(min(bout_age, _OLDEST_BOUT))
    rem_h = min(since_rem / _EPOCHS_PER_H, 2.5)
    hours = epoch / _EPOCHS_PER_H
    return np.array([1, log_age, log_age**2 / 4, np.exp(-slept / 20), rem_h, rem_h**2 / 2, hours / 4])


_MAX_SHIFT_S = 12
"""A stage may change up to this many seconds before or after the epoch border ..."""

_MAX_SHIFT_SINGLE_S = 7
"""... or this many if the bout that loses time lasts one epoch, which can lose at both ends."""


def stage_path(hypnogram: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stage in every second: as the hypnogram, but changing inside epochs instead of on their borders.

    Each epoch's stage keeps the majority (at least 16 s) of its epoch, as a scorer's label would.

    Args:
        hypnogram: (E,) stage codes.
        rng: source of randomness.

    Returns:
        (E * 30,) int8.
    """
    changes = np.flatnonzero(np.diff(hypnogram)) + 1  # first epochs of new bouts
    bout_lengths = np.diff(np.r_[0, changes, len(hypnogram)])
    may_lose = np.where(bout_lengths > 1, _MAX_SHIFT_S, _MAX_SHIFT_SINGLE_S)
    shifts = rng.integers(-may_lose[:-1], may_lose[1:] + 1)
    starts = np.r_[0, changes * EPOCH_S + shifts, len(hypnogram) * EPOCH_S]
    return np.repeat(hypnogram[np.r_[0, changes]], np.diff(starts))

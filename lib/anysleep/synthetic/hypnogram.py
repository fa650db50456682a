"""The course of a night: a chain of stages with memory, and the moments inside epochs at which stages change.

The chain is a multinomial logistic regression of the next epoch's stage on the present stage, the age of the present
bout, the sleep so far, the time since the last REM epoch and the hours since sleep onset, with random effects per
night. Its coefficients were fitted to the consensus of the five scorers of the 80 nights of the Dreem Open Datasets
(Guillot et al. 2020, IEEE Trans Neural Syst Rehabil Eng 28:1955, MIT licence); stay probabilities and random effects
were then adjusted so that simulated stage shares, bout lengths and their spread between nights fit those nights. Only
these rounded coefficients are kept here. Age, sex and OSA do not enter.

Other kinds of sleep shift the log-odds of these nights. Their directions are textbook knowledge (Carskadon and Dement,
Normal human sleep; Agnew et al. 1966, Psychophysiology 2:263 on the first night; ICSD-3 on narcolepsy, with REM within
15 minutes of sleep onset); their sizes are made up.
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
            [1.08, 1.22, -0.17, 1.26, 1.52, -1.08, 0.73],
            [1.34, 0.22, -0.25, 1.15, 1.80, -1.25, 0.60],
            [-0.26, -0.25, -0.04, 0.88, 2.49, -1.56, -0.13],
            [-2.85, -0.09, -0.18, -0.82, 0.31, 0.10, -1.77],
            [0.43, -1.10, 0.65, -3.97, -6.11, 3.79, 0.57],
        ],
        [
            [0.33, -0.02, 0.54, 1.53, 1.64, -1.13, 0.37],
            [1.32, 0.31, 0.34, 1.87, 0.77, -0.67, 0.47],
            [2.16, 0.52, -0.64, 0.23, 1.59, -1.25, -0.02],
            [-3.86, -0.71, -0.19, -0.81, -0.09, 0.61, -1.50],
            [0.05, -0.09, -0.06, -4.31, -3.90, 2.44, 0.67],
        ],
        [
            [-0.23, -0.05, -0.02, 1.67, 0.04, 0.02, 0.10],
            [-0.63, -0.22, -0.02, 1.93, 0.13, -0.04, 0.08],
            [2.94, 0.48, -0.22, 0.47, -0.62, 0.32, 0.02],
            [0.74, -0.94, 0.91, -0.42, 0.30, -0.32, -0.77],
            [-2.77, 0.72, -0.65, -5.15, 0.14, 0.03, 0.57],
        ],
        [
            [-0.67, 0.60, 0.02, 0.13, 0.74, -0.70, 0.03],
            [-2.48, 0.48, 0.02, -0.01, -0.79, 0.67, -0.07],
            [2.59, -0.93, 0.88, 0.15, 0.69, -0.64, 0.27],
            [4.03, 1.05, -0.42, 0.03, -0.07, -0.24, -0.24],
            [-3.22, -1.20, -0.49, -1.79, -0.57, 0.90, 0.01],
        ],
        [
            [-0.53, 1.00, -0.55, 0.65, 0.00, 0.00, 0.49],
            [-0.70, -0.67, 0.88, -0.11, 0.00, 0.00, 0.63],
            [0.28, -0.37, 0.70, -0.24, 0.00, 0.00, -0.02],
            [-2.49, -0.94, -0.45, -0.02, 0.00, 0.00, -1.43],
            [3.66, 0.99, -0.58, -0.29, 0.00, 0.00, 0.33],
        ],
    ]
)

_NIGHT_SD_OF_STAGE = np.array([0.25, 0.25, 0.10, 0.15, 0.05])
"""Between nights: SD of each stage's log-odds of being next."""

_NIGHT_SD_OF_STAYING = 0.25
"""Between nights: SD of the log-odds of staying in the present stage."""

_ONSET_SHAPE, _ONSET_SCALE, _ONSET_MAX = 1.1, 0.105, 0.40
"""Wake before sleep onset as a share of the recording: gamma distribution, cut."""

_FINAL_WAKE_MEAN, _FINAL_WAKE_MAX = 0.012, 0.2
"""Wake after the last awakening as a share of the recording: exponential distribution, cut."""

LONG_NIGHT, LEAST_REM = 720, 10
"""A night of 6 h and longer has 5 minutes of REM at least (both in epochs)."""

_SHIFT_OF_STAGE = {  # kind of sleep -> what is added to each stage's log-odds of being next, W N1 N2 N3 REM
    "usual": (0.0, 0.0, 0.0, 0.0, 0.0),
    "first night": (0.3, 0.2, 0.0, -0.1, -0.4),
    "insomnia": (0.8, 0.3, 0.0, -0.3, -0.1),
    "apnoea": (0.4, 0.9, 0.0, -1.0, -0.4),
    "split night": (0.4, 0.9, 0.0, -1.0, -0.4),
    "narcolepsy": (0.4, 0.4, 0.0, 0.0, 0.2),
    "old age": (0.4, 0.4, 0.0, -1.2, -0.1),
    "nap": (0.0, 0.0, 0.0, 0.0, 0.0),
}
_SHIFT_UNDER_CPAP = (-0.2, -0.3, 0.0, 0.8, 0.6)
"""Second half of a split night: deep sleep and REM rebound once the airway is kept open."""

SLEEP_KINDS = tuple(_SHIFT_OF_STAGE)
_ONSET_TIMES = {"insomnia": 2.0, "first night": 1.5, "narcolepsy": 0.3}
"""How much longer than usual it takes to fall asleep."""

_OLDEST_BOUT = 40
"""Epochs after which a bout's age stops mattering."""

_YOUNG_SLEEP = 40
"""Epochs of sleep within which sleep counts as young (exponential decay): REM hardly ever comes in it."""

_EPOCHS_PER_H = 3600 // EPOCH_S


def simulate_hypnogram(n_epochs: int, rng: np.random.Generator, sleep: str = "usual") -> np.ndarray:
    """The 30 s hypnogram of one night, int8 (n_epochs,), codes 0-4; from 6 h on it has 5 minutes of REM at least.

    ValueError unless `n_epochs` is above 0 and `sleep` one of `SLEEP_KINDS`.
    """
    if n_epochs < 1:
        raise ValueError(f"n_epochs is {n_epochs}; a night needs at least 1 epoch of {EPOCH_S} s.")
    if sleep not in SLEEP_KINDS:
        raise ValueError(f"sleep is {sleep!r}; there are {', '.join(SLEEP_KINDS)}.")
    while True:
        hypnogram = _draw_hypnogram(n_epochs, rng, sleep)
        if n_epochs < LONG_NIGHT or np.sum(hypnogram == REM) >= LEAST_REM:
            return hypnogram


def _draw_hypnogram(n_epochs: int, rng: np.random.Generator, sleep: str) -> np.ndarray:
    """Wake, sleep from its onset to the last awakening, Wake."""
    awake = rng.gamma(_ONSET_SHAPE, _ONSET_SCALE) * _ONSET_TIMES.get(sleep, 1.0)
    onset = int(n_epochs * min(awake, _ONSET_MAX))
    final_wake = int(n_epochs * min(rng.exponential(_FINAL_WAKE_MEAN), _FINAL_WAKE_MAX))
    hypnogram = np.full(n_epochs, WAKE, dtype=np.int8)
    hypnogram[onset : n_epochs - final_wake] = _simulate_sleep(n_epochs - final_wake - onset, rng, sleep)
    return hypnogram


def _simulate_sleep(n_epochs: int, rng: np.random.Generator, sleep: str) -> np.ndarray:
    """The chain itself, from sleep onset (an N1 epoch) on."""
    coefficients = _coefficients_of_a_night(rng, sleep)
    draws = rng.random(n_epochs)
    stages = np.empty(n_epochs, dtype=np.int8)
    stage, bout_age, since_rem, slept = N1, 0, 0, 0
    for epoch in range(n_epochs):
        if sleep == "split night" and epoch == n_epochs // 2:
            coefficients[:, :, 0] += np.subtract(_SHIFT_UNDER_CPAP, _SHIFT_OF_STAGE[sleep])
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


def _coefficients_of_a_night(rng: np.random.Generator, sleep: str) -> np.ndarray:
    """(5, 5, 7) like `_COEFFICIENTS`. In narcolepsy REM needs neither old sleep nor time since the last REM."""
    coefficients = _COEFFICIENTS.copy()
    if sleep == "narcolepsy":
        coefficients[:, REM, 3:6] = 0
    coefficients[:, :, 0] += _NIGHT_SD_OF_STAGE * rng.standard_normal(N_STAGES) + _SHIFT_OF_STAGE[sleep]
    stay = np.arange(N_STAGES)
    coefficients[stay, stay, 0] += _NIGHT_SD_OF_STAYING * rng.standard_normal()
    return coefficients


def _predictors(bout_age: int, slept: int, since_rem: int, epoch: int) -> np.ndarray:
    """Values of `_PREDICTORS`; all arguments in epochs, `epoch` since sleep onset."""
    log_age = np.log(min(bout_age, _OLDEST_BOUT))
    rem_h = min(since_rem / _EPOCHS_PER_H, 2.5)
    hours = epoch / _EPOCHS_PER_H
    return np.array([1, log_age, log_age**2 / 4, np.exp(-slept / _YOUNG_SLEEP), rem_h, rem_h**2 / 2, hours / 4])


_MAX_SHIFT_S = 12
"""A stage may change up to this many seconds before or after the epoch border ..."""

_MAX_SHIFT_SINGLE_S = 7
"""... or this many if the bout that loses time lasts one epoch, which can lose at both ends."""


def stage_path(hypnogram: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int8 (E * 30,): the stage in every second, as in the hypnogram (E,), but changing inside epochs.

    Each epoch's stage keeps the majority (at least 16 s) of its epoch, as a scorer's label would.
    """
    changes = np.flatnonzero(np.diff(hypnogram)) + 1  # first epochs of new bouts
    bout_lengths = np.diff(np.r_[0, changes, len(hypnogram)])
    may_lose = np.where(bout_lengths > 1, _MAX_SHIFT_S, _MAX_SHIFT_SINGLE_S)
    shifts = rng.integers(-may_lose[:-1], may_lose[1:] + 1)
    starts = np.r_[0, changes * EPOCH_S + shifts, len(hypnogram) * EPOCH_S]
    return np.repeat(hypnogram[np.r_[0, changes]], np.diff(starts))

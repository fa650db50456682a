"""One way to count: which samples and which epochs lie in a span of time. Second 0 is the first sample."""

import numpy as np

from anysleep.stages import EPOCH_S

LONGEST_S = 7 * 24 * 3600.0
"""No recording of sleep lasts longer; a file that says so is damaged."""
FASTEST_HZ = 1e5
"""No recorder of sleep samples faster."""
NO_GAPS = np.empty((0, 2))


def whole_epochs(duration_s: float) -> int:
    """Whole epochs of 30 s in a duration, which may be a rounding error short of a border."""
    return int(round(duration_s, 6) // EPOCH_S)


def samples_in(spans_s: np.ndarray, rate_hz: float, n_samples: int) -> np.ndarray:
    """bool (n_samples,): which samples lie in any of the spans (n, 2), in s."""
    inside = np.zeros(n_samples, dtype=bool)
    for start_s, end_s in spans_s:
        inside[round(start_s * rate_hz) : round(end_s * rate_hz)] = True
    return inside


def epochs_in(spans_s: np.ndarray, n_epochs: int, epoch_s: float = EPOCH_S) -> np.ndarray:
    """bool (n_epochs,): which epochs of `epoch_s` any of the spans (n, 2) touches."""
    touched = np.zeros(n_epochs, dtype=bool)
    for start_s, end_s in np.round(spans_s, 6):  # a rounding error does not touch an epoch
        touched[int(start_s // epoch_s) : int(-(-end_s // epoch_s))] = True
    return touched

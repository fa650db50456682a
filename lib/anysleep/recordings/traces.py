"""Channels as they are looked at: filtered for the eye, and fast from ten seconds to the whole night."""

from functools import cached_property

import numpy as np
from scipy.signal import butter, sosfiltfilt

BANDS_HZ = {"EEG": (0.3, 35.0), "EOG": (0.3, 10.0)}
"""What is shown of a type of channel; others are shown as recorded. Networks never see filtered signals."""
MARGIN_S = 20.0
"""Filtered before and after a window, so that its edges are those of the whole night."""
COARSE = 16
"""Samples in a bin of the lowest level of a pyramid; finer bins are made from the samples when they are asked for."""


def display_filter(signal: np.ndarray, rate_hz: float, band_hz: tuple[float, float]) -> np.ndarray:
    """Band-pass (T,) without delay (Butterworth, forwards and backwards); float32, NaN where the signal has none.

    A band that the rate cannot hold ends below half of it.
    """
    missing = ~np.isfinite(signal)
    filled = signal
    if missing.any():  # a step to zero would ring for seconds on both sides of a pause
        known = np.flatnonzero(~missing)
        filled = np.interp(np.arange(len(signal)), known, signal[known]) if len(known) else np.zeros(len(signal))
    low, high = band_hz[0], min(band_hz[1], 0.45 * rate_hz)
    sections = butter(2, (low, high), "bandpass", fs=rate_hz, output="sos")
    filtered = sosfiltfilt(sections, filled, padlen=min(int(3 * rate_hz), max(len(filled) - 1, 0)))
    return np.where(missing, np.nan, filtered).astype(np.float32)


def min_max(signal: np.ndarray, size: int) -> np.ndarray:
    """Smallest and largest value of every `size` samples of (T,): float32 (n, 2); NaN where a bin has no sample.

    The last bin may hold fewer.
    """
    whole = len(signal) // size * size
    bins = signal[:whole].reshape(-1, size)
    ends = [np.column_stack([np.fmin.reduce(bins, axis=1), np.fmax.reduce(bins, axis=1)])]
    if whole < len(signal):
        ends.append([[np.fmin.reduce(signal[whole:]), np.fmax.reduce(signal[whole:])]])
    return np.concatenate(ends).astype(np.float32, copy=False)


def halved(bins: np.ndarray) -> np.ndarray:
    """Bins (n, 2) of twice the size, (ceil(n / 2), 2)."""
    if len(bins) % 2:
        bins = np.concatenate([bins, bins[-1:]])  # paired with itself
    return np.column_stack([np.fmin(bins[::2, 0], bins[1::2, 0]), np.fmax(bins[::2, 1], bins[1::2, 1])])


class Trace:
    """One channel (T,) in its unit, filtered as its type is looked at, or as recorded.

    A window has as few bins as a picture has columns: `Trace(...).window(0, 30, 1200, filtered=True)`.
    """

    def __init__(self, signal: np.ndarray, rate_hz: float, kind: str):
        self.signal, self.rate_hz, self.band_hz = np.asarray(signal, dtype=np.float32), rate_hz, BANDS_HZ.get(kind)

    @cached_property
    def raw_pyramid(self) -> list[np.ndarray]:
        """Bins of 16, 32, 64 ... samples as recorded, (n, 2) each. Made once."""
        return _pyramid(self.signal)

    @cached_property
    def filtered(self) -> np.ndarray:
        """The whole night filtered, (T,). Made once; windows filter what they need where it is not there yet."""
        return self.signal if self.band_hz is None else display_filter(self.signal, self.rate_hz, self.band_hz)

    @cached_property
    def filtered_pyramid(self) -> list[np.ndarray]:
        """The same bins of the filtered night. Made once."""
        return self.raw_pyramid if self.band_hz is None else _pyramid(self.filtered)

    def window(self, start_s: float, end_s: float, n_columns: int, *, filtered: bool) -> tuple[int, int, np.ndarray]:
        """Samples in a bin, first sample, and the bins (n, 2) that lie in a span of time.

        n is between `n_columns` and its double, or less where there are no more samples: then bins hold one each.
        """
        first, last = max(int(start_s * self.rate_hz), 0), min(int(np.ceil(end_s * self.rate_hz)), len(self.signal))
        # The largest power of two with `n_columns` bins or more.
        size = 1 << max(int(np.log2(max((last - first) / n_columns, 1))), 0)
        first -= first % size  # bins lie where those of the whole night lie
        if size < COARSE:
            return size, first, min_max(self._samples(first, last, filtered), size)
        levels = self.filtered_pyramid if filtered else self.raw_pyramid
        level = min(int(np.log2(size / COARSE)), len(levels) - 1)
        size = COARSE << level
        return size, first - first % size, levels[level][first // size : -(-last // size)]  # the last bin rounded up

    def _samples(self, first: int, last: int, filtered: bool) -> np.ndarray:
        if not filtered or self.band_hz is None:
            return self.signal[first:last]
        # There `cached_property` keeps what it has made; to ask for it by its name would make it.
        if "filtered" in self.__dict__:
            return self.filtered[first:last]
        margin = int(MARGIN_S * self.rate_hz)
        begin = max(first - margin, 0)
        around = display_filter(self.signal[begin : last + margin], self.rate_hz, self.band_hz)
        return around[first - begin : last - begin]


def _pyramid(signal: np.ndarray) -> list[np.ndarray]:
    levels = [min_max(signal, COARSE)]
    while len(levels[-1]) > 1:
        levels.append(halved(levels[-1]))
    return levels

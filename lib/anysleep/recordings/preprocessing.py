"""From recorded signals to what the networks read: one rate, robust scale, bounded amplitude."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import resample_poly

from anysleep.recordings.recording import samples_in

CLIP_IQR = 20.0
"""Signals end at this many interquartile ranges from the median (U-Sleep, methods: preprocessing)."""

ROUNDING_S = 1e-6
"""Durations are known to a microsecond, as in `whole_epochs`."""


def preprocess(
    signals: ArrayLike | Sequence[ArrayLike],
    rate_hz: float | Sequence[float],
    target_hz: float = 128,
    *,
    names: Sequence[str] | None = None,
    gaps_s: ArrayLike = (),
) -> np.ndarray:
    """Resample every channel, subtract its median, divide by its interquartile range, clip to +-20; float32 (C, T').

    Median and range are those of the whole recording, after resampling (U-Sleep and AnySleep, methods). There is no
    band-pass, and the unit does not matter.

    Parameters
    ----------
    signals
        (C, T), or C one-dimensional arrays where channels have rates of their own; `names` them in error messages.
    rate_hz, target_hz
        Rate of all channels, or one a channel, which may be fractional (199.998); and rate of the result.
    gaps_s
        Pauses of the recorder (n, 2), start and end in s, as in `Recording.gaps_s`: their samples, which may be NaN,
        count for neither median nor range, and the result is 0 there.

    Raises
    ------
    ValueError
        A channel holds NaN or infinite samples or does not vary, durations differ, or a rate is not positive.
    """
    n_channels = len(signals)
    rates: list[Any] = [rate_hz] * n_channels if np.ndim(rate_hz) == 0 else list(rate_hz)
    names = [f"channel {i}" for i in range(n_channels)] if names is None else list(names)
    if not n_channels:
        raise ValueError("signals hold no channel")
    if not n_channels == len(rates) == len(names):
        raise ValueError(f"{n_channels} channels, {len(rates)} rates, {len(names)} names: one of each a channel")
    gaps_s = np.asarray(gaps_s, dtype=float).reshape(-1, 2)
    rows = [
        _preprocess_channel(signal, rate, target_hz, name, gaps_s)
        for signal, rate, name in zip(signals, rates, names, strict=True)  # one channel in memory at a time
    ]
    lengths = [len(row) for row in rows]
    if max(lengths) - min(lengths) > 1 + target_hz / min(rates):  # each may end a sample of its own rate apart
        seconds = ", ".join(f"{name} {n / target_hz:.3f} s" for name, n in zip(names, lengths, strict=True))
        raise ValueError(f"channels differ in duration: {seconds}")
    return np.stack([row[: min(lengths)] for row in rows])


def _preprocess_channel(
    signal: ArrayLike, rate_hz: float, target_hz: float, name: str, gaps_s: np.ndarray
) -> np.ndarray:
    signal = np.asarray(signal, dtype=np.float64)
    gap = samples_in(gaps_s, rate_hz, signal.size)
    _check_samples(signal[~gap] if gap.any() else signal, name)
    if gap.any():
        signal = np.where(gap, np.median(signal[~gap]), signal)  # a level that does not ring when resampled
    resampled = resample(signal, rate_hz, target_hz)
    return _scale(resampled, name, samples_in(gaps_s, target_hz, resampled.size))


def resample(signal: np.ndarray, rate_hz: float, target_hz: float) -> np.ndarray:
    """Polyphase resampling of a (T,) signal by the exact ratio of the two rates; float64.

    A fractional rate becomes the simplest fraction within a relative 1e-7, that is 4 ms in ten hours. The length does
    not: it is that of the whole duration, and where the fraction ends a sample too early, the last one is repeated.
    """
    if not (rate_hz > 0 and target_hz > 0 and np.isfinite([rate_hz, target_hz]).all()):
        raise ValueError(f"rates must be positive: rate_hz is {rate_hz}, target_hz is {target_hz}")
    ratio = _as_fraction(target_hz) / _as_fraction(rate_hz)
    n_samples = int((len(signal) / rate_hz + ROUNDING_S) * target_hz)
    resampled = resample_poly(signal, ratio.numerator, ratio.denominator)[:n_samples]
    return np.pad(resampled, (0, n_samples - len(resampled)), mode="edge")


def _as_fraction(rate_hz: float) -> Fraction:
    # The simplest that is near enough: the filter of `resample_poly` grows with the larger number of the ratio.
    for largest_denominator in (1, 10, 100, 1000, 10_000, 100_000):
        fraction = Fraction(rate_hz).limit_denominator(largest_denominator)
        if abs(fraction - Fraction(rate_hz)) <= 1e-7 * rate_hz:
            break
    return fraction


def _check_samples(signal: np.ndarray, name: str) -> None:
    if signal.ndim != 1 or signal.size == 0:
        raise ValueError(f"{name} has shape {signal.shape}; expected one axis with samples")
    not_finite = np.count_nonzero(~np.isfinite(signal))
    if not_finite:
        raise ValueError(
            f"{name} holds {not_finite} NaN or infinite samples of {signal.size}, the first at sample "
            f"{int(np.argmin(np.isfinite(signal)))}; leave the channel out, or cut or repair it first"
        )
    if signal.min() == signal.max():
        raise ValueError(f"{name} is constant at {signal[0]:g}: nothing was recorded; leave the channel out")


def _scale(signal: np.ndarray, name: str, gap: np.ndarray) -> np.ndarray:
    """(T,) float64 -> float32, in interquartile ranges around the median; 0 where `gap` is True."""
    first, median, third = np.percentile(signal[~gap] if gap.any() else signal, [25, 50, 75])
    if third == first:
        raise ValueError(
            f"{name} is flat at {median:g} for at least half of the recording (its interquartile range is 0), so it "
            "cannot be scaled; leave the channel out"
        )
    scaled = (signal - median) / (third - first)
    np.clip(scaled, -CLIP_IQR, CLIP_IQR, out=scaled)
    scaled[gap] = 0
    return scaled.astype(np.float32)

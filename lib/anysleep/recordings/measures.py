"""What the samples of one channel say, in numbers; what they mean is in `anysleep.recordings.quality`."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import periodogram

from anysleep.recordings.recording import NO_GAPS, samples_in
from anysleep.stages import EPOCH_S

PLAUSIBLE_UV = (1.0, 1000.0)
"""Interquartile range of EEG and EOG: quieter is noise of the amplifier, louder comes from no head."""
MIN_CONNECTED = 0.10
"""Share of live epochs of plausible amplitude from which the others are the odd ones."""
ODD_RATIO = 30.0
"""Times louder or quieter than the typical epoch: no stage, and no movement of 30 s, does that."""
MAINS_HZ = (50.0, 60.0)
LOUDNESS_SAMPLES = 1024
"""Enough of an epoch to know its interquartile range."""
SPECTRUM_PIECES, SPECTRUM_PIECE_S = 240, 4
"""Enough of the night to know its spectrum."""
MUSCLE_HZ = (25.0, 64.0)
"""Above the rhythms of sleep, and below what a network at 128 Hz can see."""


@dataclass(frozen=True)
class Measures:
    """What one channel's samples say, without the pauses of the recorder. Voltages in uV; NaN where unknown."""

    not_finite: int
    duration_s: float
    iqr: float
    """Interquartile range of the whole night, as the networks scale it."""
    offset: float
    """Median."""
    amplitude: float
    """Interquartile range within the typical live epoch: slow drift between epochs does not count."""
    flat_share: float
    """Share of seconds without any change."""
    flat_when: str
    clipped_share: float
    """Share of samples in runs at the largest or smallest value of the night, flat seconds left out."""
    line_noise_share: float
    """Power within 1 Hz of the mains, of that above 1 Hz, in the median piece of live signal."""
    line_noise_hz: float
    """50 or 60, whichever is stronger."""
    muscle_share: float
    """Power of `MUSCLE_HZ` without the mains, of that from 1 Hz, in the median piece of live signal."""
    n_epochs: int
    """Epochs without a pause or a bad sample; one where the signal is shorter than an epoch."""
    odd_epochs: int
    """Epochs `ODD_RATIO` times louder or quieter than the typical one."""
    disconnected_epochs: int
    """Odd epochs, and flat ones."""
    disconnected: str
    """How many of how many epochs, and when."""


def measure(signal: np.ndarray, rate_hz: float, gaps_s: np.ndarray = NO_GAPS) -> Measures:
    """Measure a signal (T,) at `rate_hz`; samples inside `gaps_s` (n, 2), in s, are left out."""
    recorded = ~samples_in(gaps_s, rate_hz, len(signal))
    usable = recorded & np.isfinite(signal)
    iqr, offset = _iqr_and_median(signal, usable)
    seconds, whole_seconds = _blocks(signal, usable, rate_hz, 1)
    flat = whole_seconds & (seconds.max(axis=1) == seconds.min(axis=1))
    epochs, whole_epochs = _blocks(signal, usable, rate_hz, EPOCH_S)
    loudness = _loudness(epochs, whole_epochs)
    amplitude = _typical(loudness[loudness > 0])
    # An epoch that is not whole is NaN, and so neither odd nor flat: nothing is above or below NaN.
    odd = (loudness > ODD_RATIO * amplitude) | ((loudness > 0) & (loudness < amplitude / ODD_RATIO))
    disconnected = odd | (loudness == 0)
    when = _when(disconnected, epochs.shape[1] / rate_hz)
    hz, power = _spectra(epochs[whole_epochs & ~disconnected], rate_hz)
    line_noise_share, line_noise_hz = _line_noise(hz, power)
    return Measures(
        duration_s=np.count_nonzero(recorded) / rate_hz,
        not_finite=int(np.count_nonzero(recorded & ~usable)),
        iqr=iqr,
        offset=offset,
        amplitude=amplitude,
        flat_share=float(flat.sum() / max(whole_seconds.sum(), 1)),
        flat_when=_when(flat, seconds.shape[1] / rate_hz),
        clipped_share=_clipped_share(seconds[whole_seconds & ~flat].ravel()),
        line_noise_share=line_noise_share,
        line_noise_hz=line_noise_hz,
        muscle_share=_muscle_share(hz, power),
        n_epochs=int(whole_epochs.sum()),
        odd_epochs=int(odd.sum()),
        disconnected_epochs=int(disconnected.sum()),
        disconnected=f"{disconnected.sum()} of {whole_epochs.sum()} epochs, {when}",
    )


def _iqr_and_median(signal: np.ndarray, usable: np.ndarray) -> tuple[float, float]:
    """From at most 100,000 samples, which settle both to a percent."""
    positions = np.linspace(0, len(signal) - 1, min(len(signal), 100_000)).astype(int)
    sample = signal[positions[usable[positions]]]
    if not sample.size:
        return np.nan, np.nan
    first, median, third = np.percentile(sample, [25, 50, 75]).tolist()
    return third - first, median


def _blocks(signal: np.ndarray, usable: np.ndarray, rate_hz: float, length_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Blocks (n, samples), and which (n,) hold usable samples only; one block where the signal is shorter."""
    samples = max(1, min(len(signal), max(2, int(round(length_s * rate_hz, 6)))))  # a single sample cannot change
    end = len(signal) // samples * samples
    return signal[:end].reshape(-1, samples), usable[:end].reshape(-1, samples).all(axis=1)


def _loudness(epochs: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """(E,) interquartile range within each epoch; NaN where it is not whole."""
    loudness = np.full(len(epochs), np.nan)
    if whole.any():
        thinned = epochs[whole, :: 1 + epochs.shape[1] // LOUDNESS_SAMPLES]
        ordered = np.sort(thinned, axis=1)  # faster than percentiles, and they need no interpolation here
        n_samples = ordered.shape[1]
        loudness[whole] = ordered[:, 3 * n_samples // 4] - ordered[:, n_samples // 4]
    return loudness


def _typical(loudness: np.ndarray) -> float:
    """Median of the epochs that sound like a head, which may be few of the night, else of all; 0 without any."""
    plausible = loudness[(loudness >= PLAUSIBLE_UV[0]) & (loudness <= PLAUSIBLE_UV[1])]
    loudness = plausible if len(plausible) > MIN_CONNECTED * len(loudness) else loudness
    return float(np.median(loudness)) if loudness.size else 0.0


def _clipped_share(samples: np.ndarray) -> float:
    if not samples.size:
        return np.nan
    extreme = np.flatnonzero((samples == samples.max()) | (samples == samples.min()))
    # Next to another one, before or after: a single peak is not clipped.
    in_run = (np.diff(extreme, prepend=-2) == 1) | (np.diff(extreme, append=-2) == 1)
    return float(in_run.sum() / samples.size)


def _spectra(epochs: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (F,) and the power (n, F) of pieces of live epochs; none of either where nothing is alive."""
    if not len(epochs):
        return np.zeros(1), np.zeros((0, 1))
    # The first seconds of every n-th epoch.
    pieces = epochs[:: 1 + len(epochs) // SPECTRUM_PIECES, : round(SPECTRUM_PIECE_S * rate_hz)]
    return periodogram(pieces, rate_hz, window="hann", axis=1)


def _line_noise(hz: np.ndarray, power: np.ndarray) -> tuple[float, float]:
    """Share and frequency of the stronger mains hum; NaN where the rate is too low."""
    shares = [(_share(power, _near(hz, mains), hz >= 1), mains) for mains in MAINS_HZ if mains + 1 <= hz[-1]]
    return max(shares, default=(np.nan, np.nan))  # the larger share first


def _muscle_share(hz: np.ndarray, power: np.ndarray) -> float:
    calm = ~np.any([_near(hz, mains) for mains in MAINS_HZ], axis=0) & (hz >= 1) & (hz <= MUSCLE_HZ[1])
    return _share(power, calm & (hz >= MUSCLE_HZ[0]), calm)


def _near(hz: np.ndarray, mains: float) -> np.ndarray:
    return np.abs(hz - mains) <= 1


def _share(power: np.ndarray, part: np.ndarray, whole: np.ndarray) -> float:
    """Power at frequencies `part` (F,) over that at `whole`, in the median piece (one may be flat); NaN without any."""
    if not len(power):
        return np.nan
    total = np.maximum(power[:, whole].sum(axis=1), np.finfo(np.float32).tiny)
    return float(np.median(power[:, part].sum(axis=1) / total))


def _when(bad: np.ndarray, block_s: float) -> str:
    """The time of the longest run of bad blocks in words, or into how many pieces they are scattered."""
    # Between zeros at both ends every run has a start and an end.
    starts, ends = np.flatnonzero(np.diff(bad.astype(int), prepend=0, append=0)).reshape(-1, 2).T
    if not starts.size:
        return ""
    longest = np.argmax(ends - starts)
    start, end = starts[longest], ends[longest]
    if 2 * (end - start) < bad.sum():
        return f"in {len(starts)} pieces"
    first, last = (f"{int(s // 3600):02d}:{int(s % 3600 // 60):02d} h" for s in (start * block_s, end * block_s))
    if end == len(bad):
        return f"from {first} on" if start else "from beginning to end"
    return f"mostly from {first} to {last}"

"""One recording: the whole night as hypnogram and spectrogram, and a few seconds of all channels."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.signal import spectrogram

from anysleep.figures.hypnodensity import hours_axis, plot_hypnogram, prediction_times
from anysleep.stages import EPOCH_S

SPECTROGRAM_MAX_HZ = 30


def plot_night(signal: np.ndarray, rate_hz: float, hypnogram: np.ndarray | None, title: str = "") -> Figure:
    """Hypnogram (E,) over the spectrogram of one channel (T,) on the same hours."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 4), sharex=True, layout="constrained")
    if hypnogram is None:
        top.text(0.5, 0.5, "no hypnogram", transform=top.transAxes, ha="center", va="center")
    else:
        plot_hypnogram(hypnogram, prediction_times(len(hypnogram), EPOCH_S, None), top)
    plot_spectrogram(signal, rate_hz, bottom)
    hours_axis(bottom)
    top.set_title(title, loc="left", fontsize="medium")
    return figure


def plot_spectrogram(signal: np.ndarray, rate_hz: float, ax: Axes) -> Axes:
    """Power in dB up to 30 Hz, half-overlapping windows of one epoch averaged from 4 s pieces."""
    hz, seconds, power = spectrogram(signal, rate_hz, nperseg=int(4 * rate_hz), noverlap=0)
    low = hz <= SPECTROGRAM_MAX_HZ
    decibels = 10 * np.log10(power[low] + 1e-12)
    image = ax.pcolormesh(
        seconds / 3600, hz[low], decibels, shading="auto", cmap="viridis", rasterized=True,
        vmin=np.percentile(decibels, 5), vmax=np.percentile(decibels, 99),
    )  # fmt: skip
    ax.figure.colorbar(image, ax=ax, label="dB", pad=0.01)
    ax.set_ylabel("frequency (Hz)")
    return ax


def plot_signals(
    signals: np.ndarray, rate_hz: float, channels: Sequence[str], ax: Axes, start_s: float = 0, spacing: float = 6
) -> Axes:
    """Channels (C, T), in interquartile ranges, one above the other."""
    seconds = start_s + np.arange(signals.shape[1]) / rate_hz
    offsets = -spacing * np.arange(len(signals))
    ax.plot(seconds, signals.T + offsets, color="black", linewidth=0.5)
    ax.set(yticks=offsets, yticklabels=channels, xlabel="seconds since start", ylim=(offsets[-1] - spacing, spacing))
    ax.margins(x=0)
    return ax

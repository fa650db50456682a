"""One night: hypnogram over hypnodensity or spectrogram, and a few seconds of all channels."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.signal import welch

from anysleep.analysis.arousals.events import runs_of
from anysleep.figures.looks import new_axes
from anysleep.recordings.lights import LightsTimes
from anysleep.stages import EPOCH_S, N1, N2, N3, N_STAGES, REM, STAGE_COLOURS, STAGES, UNSCORED, WAKE

if TYPE_CHECKING:  # else 08, which only reads tables, would load torch
    from anysleep.staging.stage import Staging

DEPTH = {WAKE: 0, REM: 1, N1: 2, N2: 3, N3: 4, UNSCORED: np.nan}
"""Height of each stage in a hypnogram, from the top; unscored epochs leave a gap."""
DEEP_FIRST = tuple(sorted(range(N_STAGES), key=DEPTH.get, reverse=True))
"""Stages from below, in whatever is stacked."""


ALIGNED = {"left": 0.07, "right": 0.88}
"""Borders of the axes of a night in any figure 10 inches wide, so that figures below each other line up."""
N_THIN_CHANGES = 200
"""Changes of stage in a hypnogram from which the lines between stages become thinner."""


def time_axis(ax: Axes, start_time: datetime | None) -> Axes:
    """Clock time where the start is known, else hours since the first sample."""
    if start_time is None:
        ax.set_xlabel("hours since start")
        return ax
    ax.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    ax.set_xlabel("clock time")
    return ax


def plot_hypnogram(hypnogram: np.ndarray, times: np.ndarray, ax: Axes) -> Axes:
    """Draw stages (P,) between their borders `times` (P + 1,) in the colour of each; thin lines join them."""
    depth = np.array([DEPTH[stage] for stage in hypnogram.tolist()])
    n_changes = np.count_nonzero(np.diff(hypnogram))
    width = 0.8 * N_THIN_CHANGES / max(n_changes, N_THIN_CHANGES)
    ax.stairs(depth, times, baseline=None, color="0.5", linewidth=width)
    for stage in range(N_STAGES):
        starts, ends = runs_of(hypnogram == stage).T
        colour = {"colors": STAGE_COLOURS[stage], "linewidth": 4}
        ax.hlines(np.full(len(starts), DEPTH[stage]), times[starts], times[ends], **colour)
    ax.set(ylim=(4.4, -0.4), yticks=range(N_STAGES), yticklabels=[STAGES[s] for s in DEEP_FIRST[::-1]])
    ax.margins(x=0)
    return ax


def plot_hypnodensity(hypnodensity: np.ndarray, times: np.ndarray, ax: Axes) -> Axes:
    """Draw stage probabilities (P, 5) stacked to one between the borders `times` (P + 1,)."""
    cumulated = np.cumsum(hypnodensity[:, list(DEEP_FIRST)], axis=1)
    cumulated = np.vstack([cumulated, cumulated[-1:]])  # steps need a value at the last border
    below = np.zeros(len(times))
    for i, stage in enumerate(DEEP_FIRST):
        style = {"color": STAGE_COLOURS[stage], "label": STAGES[stage], "linewidth": 0}
        # Rasterised without smoothing: a night at 128 predictions an epoch is 100,000 steps.
        ax.fill_between(times, below, cumulated[:, i], step="post", rasterized=True, antialiased=False, **style)
        below = cumulated[:, i]
    ax.set(ylim=(0, 1), ylabel="probability")
    ax.margins(x=0)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


def prediction_times(n_predictions: int, seconds_per_prediction: float, start_time: datetime | None) -> np.ndarray:
    """Borders of the predictions (P + 1,): clock times where the start is known, else hours since the start."""
    seconds = np.arange(n_predictions + 1) * seconds_per_prediction
    if start_time is None:
        return seconds / 3600
    return np.array([start_time + timedelta(seconds=float(s)) for s in seconds])


def draw_lights(lights_s: LightsTimes, start_time: datetime | None, *axes: Axes) -> None:
    """A thin line and its name where the lights went off and on, in s; nothing where that is not known."""
    for at_s, name, align in zip(lights_s, ("lights off", "lights on"), ("left", "right"), strict=True):
        for ax in axes if at_s is not None else ():
            at = prediction_times(1, at_s, start_time)[1]
            ax.axvline(at, color="black", linewidth=0.8, linestyle=":")
            place = {"x": at, "y": 0.19, "transform": ax.get_xaxis_transform()}  # between N2 and N3
            ax.text(s=f" {name} ", **place, ha=align, va="center", fontsize="x-small")


def plot_staging(
    hypnogram: np.ndarray,
    hypnodensity: np.ndarray,
    *,
    seconds_per_prediction: float,
    start_time: datetime | None = None,
    truth: np.ndarray | None = None,
    title: str = "",
    lights_s: LightsTimes = (None, None),
) -> Figure:
    """Hypnogram (P,) over hypnodensity (P, 5) on one time axis; an expert's hypnogram on top where there is one."""
    rows = [("scored", truth, EPOCH_S)] if truth is not None else []
    rows.append(("predicted", hypnogram, seconds_per_prediction))
    figure, axes = plt.subplots(len(rows) + 1, 1, figsize=(10, 1.6 * len(rows) + 2), sharex=True, gridspec_kw=ALIGNED)
    for ax, (name, stages, seconds) in zip(axes, rows, strict=False):
        plot_hypnogram(stages, prediction_times(len(stages), seconds, start_time), ax)
        ax.set_ylabel(name)
    times = prediction_times(len(hypnogram), seconds_per_prediction, start_time)
    plot_hypnodensity(hypnodensity, times, axes[-1])
    draw_lights(lights_s, start_time, *axes[:-1])
    time_axis(axes[-1], start_time)
    axes[0].set_title(title, loc="left", fontsize="medium")
    return figure


CLOSE_MIN = 3
"""Minutes of a close-up of resolutions."""


def around_first_n2(staging: "Staging") -> int:
    """The minute from which on `plot_resolutions` has the first N2 in its middle."""
    coarsest = min(staging.logits)
    deeper = np.isin(staging.hypnogram(coarsest), (N2, N3))
    return max(int(np.argmax(deeper)) * EPOCH_S // (60 * coarsest) - CLOSE_MIN // 2, 0)


def plot_resolutions(staging: "Staging", title: str, predictions_per_epoch: int, minute: int) -> Figure:
    """Three minutes as hypnodensity: at the coarsest resolution, at this one and at the finest, an axes each."""
    resolutions = sorted({min(staging.logits), predictions_per_epoch, max(staging.logits)})
    size = (10, 1 + 1.6 * len(resolutions))
    figure, axes = plt.subplots(len(resolutions), 1, figsize=size, sharex=True, squeeze=False, layout="constrained")
    for ax, r in zip(axes[:, 0], resolutions, strict=True):
        per_minute = r * 60 // EPOCH_S
        hypnodensity = staging.hypnodensity(r)[minute * per_minute :][: CLOSE_MIN * per_minute]
        minutes = minute + np.arange(len(hypnodensity) + 1) / per_minute
        plot_hypnodensity(hypnodensity, minutes, ax)
        ax.set_title(f"{title}: a prediction every {EPOCH_S / r:.3g} s", loc="left", fontsize="medium")
        if r != resolutions[0]:
            ax.get_legend().remove()
    axes[-1, 0].set_xlabel("minutes since start")
    return figure


SPECTROGRAM_MAX_HZ = 30
SPACING_IQR = 6
"""Distance between two channels, in interquartile ranges."""
POLARITY = "negative up"
"""As electroencephalographers draw: a K-complex begins with a peak."""
WINDOW_COLOUR = "#D55E00"
"""Vermilion of Okabe and Ito's palette, which no stage has."""
UNSCORED_STYLE = {"facecolor": "none", "edgecolor": "0.7", "hatch": "////", "linewidth": 0}
GAP_STYLE = {"color": "0.8", "linewidth": 0}


class Spectrogram(NamedTuple):
    """Power of one channel in every epoch."""

    hz: np.ndarray
    """(F,) frequencies, up to 30 Hz."""
    decibels: np.ndarray
    """(F, E); NaN where an epoch holds no signal."""


def night_spectrogram(signal: np.ndarray, rate_hz: float) -> Spectrogram:
    """Power density of a signal (T,), in dB, by Welch's method from pieces of 4 s within each whole epoch.

    ValueError where there is no whole epoch.
    """
    samples_per_epoch = int(rate_hz * EPOCH_S)
    n_epochs = len(signal) // samples_per_epoch
    if n_epochs == 0:
        raise ValueError(f"{len(signal)} samples at {rate_hz:g} Hz are less than one epoch of {EPOCH_S} s")
    epochs = signal[: n_epochs * samples_per_epoch].reshape(n_epochs, samples_per_epoch)
    hz, power = welch(epochs, rate_hz, nperseg=int(4 * rate_hz))
    power = power.T[hz <= SPECTROGRAM_MAX_HZ]
    decibels = 10 * np.log10(power, out=np.full(power.shape, np.nan), where=power > 0)
    return Spectrogram(hz[hz <= SPECTROGRAM_MAX_HZ], decibels)


def plot_night(
    signal: np.ndarray,
    rate_hz: float,
    hypnogram: np.ndarray | None,
    title: str = "",
    start_time: datetime | None = None,
    lights_s: LightsTimes = (None, None),
) -> Figure:
    """Hypnogram (E,) over the spectrogram of one channel (T,), on the time axis of `plot_staging`."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 4), sharex=True, gridspec_kw=ALIGNED)
    beside = figure.add_axes([ALIGNED["right"] + 0.01, 0.11, 0.01, 0.35])
    _plot_whole_night(night_spectrogram(signal, rate_hz), hypnogram, top, bottom, start_time, beside)
    draw_lights(lights_s, start_time, top)
    top.set_title(title, loc="left", fontsize="medium")
    return figure


def plot_overview(
    signals: np.ndarray,
    rate_hz: float,
    channels: Sequence[str],
    spectrogram: Spectrogram,
    hypnogram: np.ndarray | None,
    start_s: float,
    gaps_s: ArrayLike = (),
    title: str = "",
    iqr_uv: np.ndarray | None = None,
    lights_s: LightsTimes = (None, None),
) -> Figure:
    """The whole night as hypnogram and spectrogram, and below it a window of all channels.

    The window: `signals` (C, T) of the `channels` in interquartile ranges, from `start_s` on, the border of an epoch.
    The night: the `spectrogram` of the first channel, see `night_spectrogram`, stages (E,) or None, and pauses (n, 2)
    in s. `iqr_uv` is as in `plot_signals`, `lights_s` as in `draw_lights`.
    """
    close_up_inches = 0.8 + 0.35 * len(channels)
    figure = plt.figure(figsize=(10, 4 + close_up_inches), layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=[1.6, 1.8, close_up_inches])
    top, bottom = figure.add_subplot(grid[0]), figure.add_subplot(grid[2])
    middle = figure.add_subplot(grid[1], sharex=top)
    top.tick_params(labelbottom=False)

    _plot_whole_night(spectrogram, hypnogram, top, middle)
    draw_lights(lights_s, None, top)
    plot_signals(signals, rate_hz, channels, bottom, start_s, iqr_uv)
    bottom.set_xlabel("seconds since the start of the recording")
    _label_epochs(hypnogram, start_s, signals.shape[1] / rate_hz, bottom)
    for ax, unit_s in ((top, 3600), (middle, 3600), (bottom, 1)):
        _shade(np.reshape(gaps_s, (-1, 2)) / unit_s, ax, label="recorder paused", **GAP_STYLE)
    for ax in (top, middle):
        style = {"color": WINDOW_COLOUR, "linewidth": 1.5, "zorder": 3}  # over the frame, for the first epoch
        ax.axvline(start_s / 3600, label="seconds shown below", **style)
    middle.set_ylabel(f"{channels[0]}\nfrequency (Hz)")
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    top.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize="small", borderpad=0)
    return figure


def plot_scorer_lanes(scorers: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """A lane for each scorer of a night (E,), every epoch in the colour of its stage; blank where it is unscored."""
    ax = new_axes(10, 1 + 0.35 * len(scorers), title)
    for lane, stages in enumerate(scorers.values()):
        for stage in range(N_STAGES):
            starts, ends = runs_of(stages == stage).T * EPOCH_S / 3600
            place = {"xranges": np.column_stack([starts, ends - starts]), "yrange": (lane - 0.4, 0.8)}
            ax.broken_barh(**place, color=STAGE_COLOURS[stage], linewidth=0, label=STAGES[stage] if not lane else None)
    ax.set(yticks=range(len(scorers)), yticklabels=scorers, ylim=(len(scorers) - 0.5, -0.5), xlabel="hours since start")
    ax.margins(x=0)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax.figure


def plot_signals(
    signals: np.ndarray,
    rate_hz: float,
    channels: Sequence[str],
    ax: Axes,
    start_s: float = 0,
    iqr_uv: np.ndarray | None = None,
) -> Axes:
    """Channels (C, T), in interquartile ranges, one above the other, negative up, with a bar for their scale.

    They are drawn in microvolts where `iqr_uv` (C,), how many an interquartile range has, is known for all of them.
    """
    known = iqr_uv is not None and np.isfinite(iqr_uv).all()
    if known:
        signals, bar = signals * np.reshape(iqr_uv, (-1, 1)), _round_number(SPACING_IQR * float(np.median(iqr_uv)))
    else:
        bar = SPACING_IQR
    seconds = start_s + np.arange(signals.shape[1]) / rate_hz
    offsets = bar * np.arange(len(signals))
    ax.plot(seconds, signals.T + offsets, color="black", linewidth=0.5)
    ax.set(yticks=offsets, yticklabels=channels, xlabel="seconds", ylim=(offsets[-1] + bar, -bar), ylabel=POLARITY)
    ax.margins(x=0)
    _draw_scale(bar, f"{bar:g} µV" if known else f"{bar:g} inter-\nquartile\nranges", ax)
    return ax


def _plot_whole_night(
    spectrogram: Spectrogram,
    hypnogram: np.ndarray | None,
    top: Axes,
    bottom: Axes,
    start_time: datetime | None = None,
    colour_axes: Axes | None = None,
) -> None:
    """Hypnogram (E,), every stage in its colour, over the spectrogram."""
    top.set_xlim(*prediction_times(spectrogram.decibels.shape[1], EPOCH_S, start_time)[[0, -1]])
    if hypnogram is None:
        top.text(0.5, 0.5, "no hypnogram", transform=top.transAxes, ha="center", va="center")
        top.set_yticks([])
    else:
        times = prediction_times(len(hypnogram), EPOCH_S, start_time)
        plot_hypnogram(hypnogram, times, top)
        numbers = times if start_time is None else mdates.date2num(times)
        _shade(numbers[runs_of(hypnogram == UNSCORED)], top, label="unscored", **UNSCORED_STYLE)
    time_axis(_plot_spectrogram(spectrogram, bottom, start_time, colour_axes), start_time)


def _plot_spectrogram(
    spectrogram: Spectrogram, ax: Axes, start_time: datetime | None, colour_axes: Axes | None
) -> Axes:
    """Power in dB, a column an epoch, over clock time or hours; the colour bar goes into axes of its own, if given."""
    hz, decibels = spectrogram
    known = decibels[np.isfinite(decibels)]
    lowest, highest = np.percentile(known, [5, 99]) if known.size else (None, None)
    ends = prediction_times(decibels.shape[1], EPOCH_S, start_time)[[0, -1]]
    extent = (*(ends if start_time is None else mdates.date2num(ends)), hz[0], hz[-1])
    style = {"aspect": "auto", "origin": "lower", "cmap": "viridis", "interpolation": "nearest"}
    image = ax.imshow(decibels, extent=extent, vmin=lowest, vmax=highest, **style)
    place = {"ax": ax, "pad": 0.01} if colour_axes is None else {"cax": colour_axes}
    ax.figure.colorbar(image, label="power of the\nscaled signal (dB)", **place)
    ax.set_ylabel("frequency (Hz)")
    return ax


def _label_epochs(hypnogram: np.ndarray | None, start_s: float, duration_s: float, ax: Axes) -> None:
    """Say the number, from 1, and the stage of every epoch of a close-up."""
    first = int(start_s // EPOCH_S)
    for epoch in range(first, first + int(duration_s // EPOCH_S)):
        stage = UNSCORED if hypnogram is None else hypnogram[epoch]
        name, colour = ("unscored", "white") if stage == UNSCORED else (STAGES[stage], STAGE_COLOURS[stage])
        box = {"facecolor": colour, "alpha": 0.6, "boxstyle": "round,pad=0.2"}
        position = {"x": (epoch + 0.5) * EPOCH_S, "y": 1.01, "transform": ax.get_xaxis_transform()}
        ax.text(s=f"epoch {epoch + 1}: {name}", **position, ha="center", va="bottom", fontsize="small", bbox=box)
        ax.axvline(epoch * EPOCH_S, color="0.6", linewidth=0.8, linestyle=":")


def _draw_scale(height: float, text: str, ax: Axes) -> None:
    """A bar right of the first channel that says how large the signals are."""
    beside = ax.get_yaxis_transform()
    ax.plot([1.01, 1.01], [-height / 2, height / 2], color="black", transform=beside, clip_on=False)
    ax.text(1.02, 0, text, transform=beside, va="center", fontsize="small", linespacing=1)


def _round_number(value: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 ... that is not above a positive value."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(step for step in (1, 2, 5) if step * power <= value))


def _shade(spans: np.ndarray, ax: Axes, label: str, **style: object) -> None:
    """Mark spans (n, 2) of the time axis without widening it; one of them carries the label."""
    left, right = ax.get_xlim()
    visible = spans[(spans[:, 0] < right) & (spans[:, 1] > left)]
    for i, (start, end) in enumerate(visible):
        ax.axvspan(start, end, label=label if i == 0 else None, **style)
    ax.set_xlim(left, right)

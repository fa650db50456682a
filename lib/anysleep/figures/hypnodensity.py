"""Hypnogram over hypnodensity: what a network thinks of a night, and how sure it is."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.stages import EPOCH_S, N1, N2, N3, REM, STAGE_COLOURS, STAGES, UNSCORED, WAKE

if TYPE_CHECKING:  # else 08, which only reads tables, would load torch
    from anysleep.inference import Staging

DEPTH = {WAKE: 0, REM: 1, N1: 2, N2: 3, N3: 4, UNSCORED: np.nan}
"""Height of each stage in a hypnogram, from the top; unscored epochs leave a gap."""


def clock_axis(ax: Axes) -> Axes:
    """Hours and minutes along the time axis."""
    ax.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    ax.set_xlabel("clock time")
    return ax


def hours_axis(ax: Axes) -> Axes:
    """Hours since the first sample along the time axis."""
    ax.set_xlabel("hours since start")
    return ax


def plot_hypnogram(hypnogram: np.ndarray, times: np.ndarray, ax: Axes, **style: object) -> Axes:
    """Draw stages (P,) as steps between their borders `times` (P + 1,); REM is marked in its colour."""
    depth = np.array([DEPTH[stage] for stage in hypnogram.tolist()])
    ax.stairs(depth, times, baseline=None, **({"color": "black", "linewidth": 0.8} | style))
    ax.hlines(np.where(hypnogram == REM, depth, np.nan), times[:-1], times[1:], colors=STAGE_COLOURS[REM], linewidth=3)
    ax.set(ylim=(4.4, -0.4), yticks=range(5), yticklabels=[STAGES[s] for s in sorted(range(5), key=DEPTH.get)])
    ax.margins(x=0)
    return ax


def plot_hypnodensity(hypnodensity: np.ndarray, times: np.ndarray, ax: Axes) -> Axes:
    """Draw stage probabilities (P, 5) stacked to one between the borders `times` (P + 1,)."""
    order = sorted(range(5), key=DEPTH.get, reverse=True)  # deep sleep below, as in the hypnogram
    cumulated = np.cumsum(hypnodensity[:, order], axis=1)
    cumulated = np.vstack([cumulated, cumulated[-1:]])  # steps need a value at the last border
    below = np.zeros(len(times))
    for i, stage in enumerate(order):
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


def plot_staging(
    hypnogram: np.ndarray,
    hypnodensity: np.ndarray,
    *,
    seconds_per_prediction: float,
    start_time: datetime | None = None,
    truth: np.ndarray | None = None,
    truth_seconds: float = 30,
    title: str = "",
) -> Figure:
    """Hypnogram (P,) over hypnodensity (P, 5) on one time axis; an expert's hypnogram on top where there is one."""
    rows = [*([("scored", truth, truth_seconds)] if truth is not None else [])]
    rows.append(("predicted", hypnogram, seconds_per_prediction))
    figure, axes = plt.subplots(len(rows) + 1, 1, figsize=(10, 1.6 * len(rows) + 2), sharex=True, layout="constrained")
    for ax, (name, stages, seconds) in zip(axes, rows, strict=False):
        plot_hypnogram(stages, prediction_times(len(stages), seconds, start_time), ax)
        ax.set_ylabel(name)
    times = prediction_times(len(hypnogram), seconds_per_prediction, start_time)
    plot_hypnodensity(hypnodensity, times, axes[-1])
    (hours_axis if start_time is None else clock_axis)(axes[-1])
    axes[0].set_title(title, loc="left", fontsize="medium")
    return figure


def plot_resolutions(staging: "Staging", title: str, n_epochs: int = 6) -> Figure:
    """The epochs around the first sleep of a night as hypnodensity, an axes a resolution, the coarsest on top."""
    resolutions = sorted(staging.logits)
    size = (10, 1 + 1.6 * len(resolutions))
    figure, axes = plt.subplots(len(resolutions), 1, figsize=size, sharex=True, squeeze=False, layout="constrained")
    first_sleep = int(np.argmax(staging.hypnogram(resolutions[0]) != WAKE)) // resolutions[0]
    first_epoch = max(first_sleep - n_epochs // 2, 0)
    for ax, r in zip(axes[:, 0], resolutions, strict=True):
        hypnodensity = staging.hypnodensity(r)[first_epoch * r :][: n_epochs * r]
        minutes = (first_epoch + np.arange(len(hypnodensity) + 1) / r) * EPOCH_S / 60
        plot_hypnodensity(hypnodensity, minutes, ax)
        ax.set_title(f"{title}: a prediction every {EPOCH_S / r:.3g} s", loc="left", fontsize="medium")
        if r != resolutions[0]:
            ax.get_legend().remove()
    axes[-1, 0].set_xlabel("minutes since start")
    return figure

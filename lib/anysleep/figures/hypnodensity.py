"""Hypnogram over hypnodensity: what a network thinks of a night, and how sure it is."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.arousals.events import runs_of
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


def plot_staging(
    hypnogram: np.ndarray,
    hypnodensity: np.ndarray,
    *,
    seconds_per_prediction: float,
    start_time: datetime | None = None,
    truth: np.ndarray | None = None,
    title: str = "",
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
    time_axis(axes[-1], start_time)
    axes[0].set_title(title, loc="left", fontsize="medium")
    return figure


def plot_resolutions(staging: "Staging", title: str) -> Figure:
    """Six epochs around the first N2 of a night as hypnodensity, an axes a resolution, the coarsest on top."""
    resolutions = sorted(staging.logits)
    size = (10, 1 + 1.6 * len(resolutions))
    figure, axes = plt.subplots(len(resolutions), 1, figsize=size, sharex=True, squeeze=False, layout="constrained")
    deeper = np.isin(staging.hypnogram(resolutions[0]), (N2, N3))
    first_epoch = max(int(np.argmax(deeper)) // resolutions[0] - 3, 0)
    for ax, r in zip(axes[:, 0], resolutions, strict=True):
        hypnodensity = staging.hypnodensity(r)[first_epoch * r :][: 6 * r]
        minutes = (first_epoch + np.arange(len(hypnodensity) + 1) / r) * EPOCH_S / 60
        plot_hypnodensity(hypnodensity, minutes, ax)
        ax.set_title(f"{title}: a prediction every {EPOCH_S / r:.3g} s", loc="left", fontsize="medium")
        if r != resolutions[0]:
            ax.get_legend().remove()
    axes[-1, 0].set_xlabel("minutes since start")
    return figure

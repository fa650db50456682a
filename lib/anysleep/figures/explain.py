"""What a notebook explains before it computes: drawings of invented stages, events and numbers."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from anysleep.analysis.arousals.events import (
    LONGEST_S,
    SHORTEST_S,
    SLEEP_BEFORE_S,
    detect_arousals,
    iou_matrix,
    runs_of,
)
from anysleep.analysis.traits.transitions import block_borders, find_triplets
from anysleep.figures.arousals import EXPERT_COLOUR, PREDICTED_COLOUR
from anysleep.figures.night import DEEP_FIRST, plot_hypnodensity
from anysleep.figures.traits import triplet_name
from anysleep.stages import EPOCH_S, N2, N3, REM, STAGE_COLOURS, STAGES, WAKE
from anysleep.staging.votes import softmax

N_EPOCHS, ONE, FEW = 20, slice(4, 5), slice(3, 8)
"""Of the hypnodensity: ten minutes, and what is drawn of them larger."""
BAR = 0.6
"""Height of an event."""
PREDICTIONS = np.array([0, 0, 1, 1, 2, 2, 1, 2, 2, 3, 2, 4, 4, 4])
NIGHT = np.repeat([0, 1, 2, 3, 4, 2, 3, 2, 4, 0], [60, 10, 80, 110, 60, 150, 60, 90, 80, 50])


def plot_hypnodensity_idea() -> Figure:
    """One epoch as a bar, a few epochs, and ten minutes, of an invented person who falls asleep."""
    hypnodensity, minutes = _falling_asleep(), np.arange(N_EPOCHS + 1) * EPOCH_S / 60
    figure, axes = plt.subplots(1, 3, figsize=(10, 3), width_ratios=(1, 3, 5), sharey=True, layout="constrained")
    _plot_bars(hypnodensity[ONE], minutes[:-1][ONE], axes[0])
    for stage, (below, probability) in _segments(hypnodensity[ONE][0]).items():
        if probability > 0.05:
            text = f"{STAGES[stage]} {probability:.0%}"
            axes[0].text(minutes[ONE][0], below + probability / 2, text, ha="center", va="center", fontsize="small")
    _plot_bars(hypnodensity[FEW], minutes[:-1][FEW], axes[1])
    for x, probabilities in zip(minutes[:-1][FEW], hypnodensity[FEW], strict=True):
        stage = int(probabilities.argmax())
        below, probability = _segments(probabilities)[stage]
        axes[1].text(x, below + probability / 2, STAGES[stage], ha="center", va="center", fontsize="small")
    plot_hypnodensity(hypnodensity, minutes, axes[2]).set_ylabel("")
    axes[0].set_ylabel("probability")
    for ax, title in zip(axes, ("one epoch", "a few epochs and their stages", "ten minutes"), strict=True):
        ax.set_title(title, loc="left", fontsize="medium")
        ax.set_xlabel("minutes")
    return _invented(figure)


def plot_arousal_idea() -> Figure:
    """How runs of Wake become an arousal, and what the IoU of two events is, on invented seconds."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.2), width_ratios=[1.5, 1], layout="constrained")
    plot_runs_to_event(left)
    plot_iou(10, (4, 12), right)
    return _invented(figure)


def plot_runs_to_event(ax: Axes) -> Axes:
    """Invented stages of 45 s, a prediction a second, and the event that `detect_arousals` makes of them."""
    stages = np.full(45, N2)
    for start, end in ((11, 13), (24, 29), (30, 35)):
        stages[start:end] = WAKE
    rows = {"predictions:\nN2 blue,\nWake orange": 2, "runs of Wake": 1, "arousal": 0}
    for second, stage in enumerate(stages):
        _bar(ax, second, second + 1, 2, STAGE_COLOURS[stage], edgecolor="white")
    for start, end in runs_of(stages == WAKE):
        _bar(ax, start, end, rows["runs of Wake"], STAGE_COLOURS[WAKE])
    events = detect_arousals(stages, EPOCH_S)
    for start, end in events:
        _bar(ax, start, end, rows["arousal"], PREDICTED_COLOUR)
        ax.text((start + end) / 2, rows["arousal"], f"{end - start:g} s", ha="center", va="center", color="white")
    onset = events[0, 0]
    _span(ax, 13, onset, 0.5, f"at least {SLEEP_BEFORE_S} s")
    ax.text(10.7, 1, "too short", ha="right", va="center", fontsize="small")
    ax.text(35.3, 1, "gap of at most 10 %:\nthe two become one", va="center", fontsize="small")
    ax.set(xlim=(0, 45), ylim=(-0.5, 2.5), yticks=list(rows.values()), yticklabels=list(rows), xlabel="seconds")
    ax.set_title(f"Wake becomes an arousal of {SHORTEST_S} to {LONGEST_S} s", loc="left", fontsize="medium")
    return _without_frame(ax)


def plot_iou(expert_s: float, predicted: tuple[float, float], ax: Axes) -> Axes:
    """An expert event that begins at 0 and a predicted one, with what both and what either covers."""
    onset, end = predicted
    iou = iou_matrix([[0, expert_s]], [predicted])[0, 0]
    _bar(ax, 0, expert_s, 3, EXPERT_COLOUR)
    _bar(ax, onset, end, 2, PREDICTED_COLOUR)
    _bar(ax, onset, expert_s, 1, "0.3")
    _bar(ax, 0, end, 0, "0.75")
    for x in (0, onset, expert_s, end):
        ax.axvline(x, color="0.6", linestyle=":", linewidth=0.8, zorder=0)
    ax.text((onset + expert_s) / 2, 1, f"{expert_s - onset:g} s", ha="center", va="center", color="white")
    ax.text(end / 2, 0, f"{end:g} s", ha="center", va="center")
    names = ["union: either", "overlap: both", "predicted", "expert"]
    ax.set(xlim=(-0.5, end + 0.5), ylim=(-0.5, 3.5), yticks=range(4), yticklabels=names, xlabel="seconds")
    ax.set_title(f"IoU = overlap / union = {iou:.2f}", loc="left", fontsize="medium")
    return _without_frame(ax)


def plot_triplet_idea() -> Figure:
    """Above, predictions with every triplet marked; below, how a night is cut into blocks."""
    figure, (strip, night) = plt.subplots(2, 1, figsize=(9, 4.2), height_ratios=[3, 1.3], layout="constrained")
    _draw_strip(PREDICTIONS, strip)
    _draw_blocks(NIGHT, night)
    return _invented(figure)


def _invented(figure: Figure) -> Figure:
    """Say so: such a drawing lies among a user's results."""
    figure.suptitle("an invented example, not your data", x=0.01, ha="left", fontsize="medium", style="italic")
    return figure


def _falling_asleep() -> np.ndarray:
    """Invented probabilities (20, 5): Wake, then N1, then N2 become the most likely."""
    minutes = np.arange(N_EPOCHS) * EPOCH_S / 60
    likeliest_at, spread = np.array([0.0, 2.8, 7.0, 12.0, 2.5]), np.array([1.5, 1.3, 2.4, 2.6, 1.2])
    return softmax(-(((minutes[:, np.newaxis] - likeliest_at) / spread) ** 2) - [0, 0.2, 0, 0, 2.5])


def _plot_bars(hypnodensity: np.ndarray, minutes: np.ndarray, ax: Axes) -> Axes:
    """A bar an epoch, deep sleep below."""
    for x, probabilities in zip(minutes, hypnodensity, strict=True):
        for stage, (below, probability) in _segments(probabilities).items():
            ax.bar(x, probability, width=0.4, bottom=below, color=STAGE_COLOURS[stage])
    ax.set_xticks(minutes)
    return ax


def _segments(probabilities: np.ndarray) -> dict[int, tuple[float, float]]:
    """Stage -> where its part of the bar begins, and its height."""
    tops = np.cumsum(probabilities[list(DEEP_FIRST)])
    return {
        stage: (top - probabilities[stage], probabilities[stage]) for stage, top in zip(DEEP_FIRST, tops, strict=True)
    }


def _bar(ax: Axes, start: float, end: float, row: float, colour: str, **style: object) -> None:
    ax.add_patch(Rectangle((start, row - BAR / 2), end - start, BAR, facecolor=colour, **style))


def _span(ax: Axes, start: float, end: float, height: float, text: str) -> None:
    """A double arrow with its text."""
    ax.annotate("", (start, height), (end, height), arrowprops={"arrowstyle": "<->"})
    ax.text((start + end) / 2, height - 0.06, text, ha="center", va="top", fontsize="small")


def _without_frame(ax: Axes) -> Axes:
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(left=False)
    return ax


def _draw_strip(stages: np.ndarray, ax: Axes) -> None:
    for i, stage in enumerate(stages.tolist()):
        ax.barh(0, 1, left=i, height=0.8, color=STAGE_COLOURS[stage], edgecolor="white")
        colour = "white" if stage in (N3, REM) else "black"
        ax.text(i + 0.5, 0, STAGES[stage], ha="center", va="center", fontsize=9, color=colour)
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    for n, start in enumerate(find_triplets(stages).tolist()):
        height = 0.6 + 0.35 * (n % 3)  # brackets that overlap stand on different lines
        ax.plot([start + 0.1, start + 0.1, start + 2.9, start + 2.9], [0.45, height, height, 0.45], color="black", lw=1)
        name = "".join(map(str, stages[start : start + 3].tolist()))
        ax.text(start + 1.5, height + 0.05, triplet_name(name), ha="center", va="bottom", fontsize=8, bbox=behind)
    ax.set(ylim=(-0.5, 1.7), yticks=[], xticks=[], xlabel="one prediction after the other")
    ax.set_title("a triplet: two changes of stage in a row", loc="left", fontsize="medium")
    ax.spines[:].set_visible(False)


def _draw_blocks(per_epoch: np.ndarray, ax: Axes) -> None:
    for stage in np.unique(per_epoch).tolist():
        where = np.flatnonzero(per_epoch == stage)
        ax.broken_barh([(start, 1) for start in where.tolist()], (0, 1), color=STAGE_COLOURS[stage], lw=0)
    borders = block_borders(per_epoch).tolist()
    ax.vlines(borders, -0.1, 1.35, color="black", linewidth=1.2)
    for n, (begin, end) in enumerate(pairwise(borders), start=1):
        ax.text((begin + end) / 2, 1.1, f"block {n}", ha="center", va="bottom", fontsize=8)
    hours = np.arange(0, len(per_epoch) + 1, 120)
    ax.set(
        ylim=(-0.1, 1.6), yticks=[], xticks=hours, xticklabels=hours // 120, xlabel="hours", xlim=(0, len(per_epoch))
    )
    ax.set_title("blocks: 90 minutes each, from the first to the last epoch of sleep", loc="left", fontsize="medium")
    ax.spines[["top", "left", "right"]].set_visible(False)

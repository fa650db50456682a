"""The idea of a hypnodensity: from the probabilities of one epoch to the picture of a night."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.figures.hypnodensity import DEEP_FIRST, plot_hypnodensity
from anysleep.stages import EPOCH_S, STAGE_COLOURS, STAGES
from anysleep.staging.votes import softmax

N_EPOCHS = 20
ONE, FEW = slice(4, 5), slice(3, 8)


def plot_idea_of_hypnodensity() -> Figure:
    """One epoch as a bar, a few epochs, and ten minutes, of an invented person who falls asleep."""
    hypnodensity, minutes = falling_asleep(), np.arange(N_EPOCHS + 1) * EPOCH_S / 60
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
    return figure


def falling_asleep() -> np.ndarray:
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

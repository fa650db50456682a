"""How sure the network is against how often it is right, and what review of its doubtful epochs gains."""

from collections.abc import Mapping
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from anysleep.evaluation.calibration import expected_calibration_error

COLOURS = ("#D55E00", "#0072B2", "#CC79A7", "0.3")
"""Of Okabe and Ito's palette; lines differ in their markers too."""
MARKERS = ("o", "s", "^", "D")
SCORES = {"accuracy": "accuracy", "mf1": "MF1", "kappa": "Cohen's kappa"}
"""Columns of a review curve, and what the legend calls them."""
LARGEST_MARKER = 160
"""Area in square points of the bin that holds most epochs of its network."""


def plot_reliability(tables: Mapping[str, pd.DataFrame], ax: Axes) -> Axes:
    """Accuracy against confidence from tables of `reliability` by label; the larger a marker, the more epochs.

    On the diagonal a network is right as often as it says, below it is too sure.
    """
    ax.plot([0, 1], [0, 1], color="0.7", linestyle=":", linewidth=1)
    for (label, table), colour, marker in zip(tables.items(), cycle(COLOURS), cycle(MARKERS), strict=False):
        name = f"{label}: {expected_calibration_error(table):.3f}"
        ax.plot(table.confidence, table.accuracy, color=colour, linewidth=1)
        ax.plot([], [], color=colour, linewidth=1, marker=marker, markersize=5, label=name)
        area = LARGEST_MARKER * table.n / table.n.max()
        ax.scatter(table.confidence, table.accuracy, s=area, color=colour, marker=marker, alpha=0.6, linewidths=0)
    ax.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="confidence (marker area: epochs)", ylabel="accuracy")
    ax.set_box_aspect(1)
    ax.legend(title="expected calibration error", loc="upper left", frameon=False)
    return ax


def plot_review(table: pd.DataFrame, ax: Axes) -> Axes:
    """Scores against the share of epochs reviewed, from the table of `review_curve`.

    The dotted line is the accuracy that review of as many random epochs is expected to give; it needs a row of share 0.
    """
    for (column, name), colour, marker in zip(SCORES.items(), COLOURS[1:], MARKERS[1:], strict=True):
        ax.plot(table.share_reviewed, table[column], color=colour, marker=marker, markersize=4, label=name)
    ax.plot(table.share_reviewed, table.accuracy_of_rest, color="0.6", linestyle="--", label="accuracy of the rest")
    unreviewed = table[table.share_reviewed == 0]
    for accuracy in unreviewed.accuracy:
        ax.plot([0, 1], [accuracy, 1], color=COLOURS[1], linestyle=":", linewidth=1, label="accuracy, random review")
    ax.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    ax.set(xlim=(0, 1), ylim=(None, 1.01), xlabel="least certain epochs reviewed", ylabel="score")
    ax.set_box_aspect(1)
    ax.legend(loc="lower right", frameon=False)
    return ax

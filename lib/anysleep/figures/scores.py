"""How good a network is: what it confuses, how sure it may be, how its training went."""

from collections.abc import Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anysleep.evaluation.calibration import expected_calibration_error
from anysleep.stages import STAGES


def plot_confusion(confusion: np.ndarray, ax: Axes) -> Axes:
    """Percent of each true stage (row), with the number of epochs below; rows without epochs stay empty."""
    in_truth = confusion.sum(axis=1, keepdims=True)
    percent = 100 * confusion / np.where(in_truth == 0, np.nan, in_truth)
    text = np.array(
        [[f"{p:.0f} %\n{n}" for p, n in zip(*row, strict=True)] for row in zip(percent, confusion, strict=True)]
    )
    sns.heatmap(
        percent, annot=text, fmt="", cmap="Blues", vmin=0, vmax=100, cbar=False, square=True, ax=ax,
        xticklabels=STAGES, yticklabels=STAGES, annot_kws={"fontsize": 8},
    )  # fmt: skip
    ax.set(xlabel="predicted", ylabel="expert")
    return ax


COLOURS = ("#D55E00", "#0072B2", "#CC79A7", "0.3")
"""Of Okabe and Ito's palette; lines differ in their markers too."""
MARKERS = ("o", "s", "^", "D")
ABOVE = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "alignment": "left"}
"""Of a legend whose lines may lie anywhere."""
SCORES = {"accuracy": "accuracy", "mf1": "MF1", "kappa": "Cohen's kappa"}
"""Columns of a review curve, and what the legend calls them."""
LARGEST_MARKER = 160
"""Area in square points of the bin that holds most epochs of its network."""


def plot_confusions(confusions: Mapping[str, np.ndarray]) -> Figure:
    """Matrices as of `plot_confusion` beside each other, by title."""
    size = 5 * len(confusions), 4.5
    figure, axes = plt.subplots(1, len(confusions), figsize=size, squeeze=False, layout="constrained")
    for ax, (title, confusion) in zip(axes[0], confusions.items(), strict=True):
        plot_confusion(confusion, ax).set_title(title)
    return figure


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
    ax.legend(title="expected calibration error", frameon=False, **ABOVE)
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
    ax.legend(ncols=2, frameon=False, **ABOVE)
    return ax


def plot_certainty(reliability: pd.DataFrame, review: pd.DataFrame) -> Figure:
    """Accuracy against confidence, and scores against the share of epochs reviewed, as from `calibrate`."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
    plot_reliability(dict(list(reliability.groupby("probabilities"))), left)
    plot_review(review, right)
    return figure


BY_DATASET = "valid_mf1_"
"""How a history's columns of a data set begin."""
STYLES = ("-", ":", "-.", "--")
"""Of lines beyond the ten colours."""


def plot_history(history: pd.DataFrame, figure: Figure) -> Figure:
    """Training loss, and below it MF1 of validation and training, against the step; the best validation is marked.

    Thin lines are the data sets of the validation, where there are several.
    """
    top, bottom = figure.subplots(2, 1, sharex=True)
    top.plot(history.step, history.train_loss, color="0.4", marker="o", markersize=4)
    top.axhline(0, color="none")  # so that the margin above is of the whole height
    top.set(ylabel="training loss", ylim=(0, None))
    by_dataset = history.filter(regex=f"^{BY_DATASET}")
    for i, (name, mf1) in enumerate(by_dataset.items() if by_dataset.shape[1] > 1 else ()):
        bottom.plot(history.step, mf1, color=f"C{i}", lw=0.8, ls=STYLES[i // 10 % 4], label=name[len(BY_DATASET) :])
    if "train_mf1" in history:
        bottom.plot(history.step, history.train_mf1, color="0.4", ls="--", marker=".", label="training windows")
    bottom.plot(history.step, history.valid_mf1, color="#0072B2", marker="o", markersize=4, label="validation, all")
    best = history.loc[history.valid_mf1.idxmax()]
    bottom.plot(best.step, best.valid_mf1, "o", color="#0072B2", markersize=9, fillstyle="none")
    bottom.set(xlabel="step", ylabel="MF1" if "train_mf1" in history else "validation MF1", ylim=(0, 1))
    kept = f"best: {best.valid_mf1:.3f} at step {best.step:g}, whose weights are kept"
    bottom.set_title(kept, loc="left", fontsize="medium")
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    return figure

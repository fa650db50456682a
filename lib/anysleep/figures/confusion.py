"""A confusion matrix, read by row: where the epochs of a true stage went."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

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

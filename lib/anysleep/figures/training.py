"""How training went."""

import pandas as pd
from matplotlib.axes import Axes


def plot_history(history: pd.DataFrame, ax: Axes) -> Axes:
    """Training loss and validation MF1 against the step; the best validation is marked."""
    ax.plot(history.step, history.train_loss, color="grey", label="training loss")
    ax.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    right = ax.twinx()
    right.plot(history.step, history.valid_mf1, color="#0072B2", marker="o", label="validation MF1")
    best = history.loc[history.valid_mf1.idxmax()]
    right.annotate(
        f"{best.valid_mf1:.2f}", (best.step, best.valid_mf1), xytext=(0, 6), textcoords="offset points", ha="center"
    )
    right.set(ylabel="validation MF1", ylim=(0, 1))
    handles = ax.get_legend_handles_labels()[0] + right.get_legend_handles_labels()[0]
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return ax

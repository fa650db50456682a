"""How training went."""

import pandas as pd
from matplotlib.figure import Figure

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

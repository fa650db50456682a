"""How training went."""

import pandas as pd
from matplotlib.figure import Figure


def plot_history(history: pd.DataFrame, figure: Figure) -> Figure:
    """Training loss, and below it validation MF1, against the step; the best validation is marked."""
    top, bottom = figure.subplots(2, 1, sharex=True)
    top.plot(history.step, history.train_loss, color="0.4", marker="o", markersize=4)
    top.set(ylabel="training loss", ylim=(0, None))
    bottom.plot(history.step, history.valid_mf1, color="#0072B2", marker="o", markersize=4)
    best = history.loc[history.valid_mf1.idxmax()]
    bottom.plot(best.step, best.valid_mf1, "o", color="#0072B2", markersize=9, fillstyle="none")
    bottom.set(xlabel="step", ylabel="validation MF1", ylim=(0, 1))
    kept = f"best: {best.valid_mf1:.3f} at step {best.step:g}, whose weights are kept"
    bottom.set_title(kept, loc="left", fontsize="medium")
    return figure

"""How much of each stage the nights of an archive hold."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from anysleep.stages import STAGE_COLOURS, STAGES


def plot_stage_shares(counts: pd.DataFrame, ax: Axes) -> Axes:
    """A point a night and the spread of each stage's share, from a table with a column of epochs a stage."""
    counts = counts[list(STAGES)]
    shares = counts.div(counts.sum(axis=1), axis=0).melt(var_name="stage", value_name="share of scored epochs")
    style = {"data": shares, "x": "stage", "y": "share of scored epochs", "hue": "stage", "ax": ax, "legend": False}
    sns.boxplot(**style, palette=list(STAGE_COLOURS), fliersize=0, linewidth=0.8)
    sns.stripplot(**style, palette=["black"] * len(STAGES), size=3)
    ax.set(xlabel="", ylim=(0, None))
    return ax

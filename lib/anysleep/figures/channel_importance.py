"""How much a night hangs on each of its channels."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from anysleep.figures.quality import VERDICT_COLOURS


def plot_channel_importance(table: pd.DataFrame, ax: Axes, title: str = "") -> Axes:
    """Bars of the epochs that change without each channel, red where flagged, and dots of its mean attention.

    `table` is that of `anysleep.analysis.channel_importance.channel_importance`.
    """
    colours = table.flag.map({True: VERDICT_COLOURS["drop"], False: "lightgrey"})
    ax.barh(table.channel, table.changed_share, color=colours, label="epochs that change without it")
    ax.plot(table.mean_attention, table.channel, "o", color="black", label="mean attention")
    ax.axvline(1 / len(table), color="black", linewidth=0.8, linestyle=":", label="equal attention")
    largest = table[["changed_share", "mean_attention"]].max().max()
    ax.set(xlabel="share of epochs, share of attention", xlim=(0, min(1.15 * max(largest, 1 / len(table)), 1)))
    ax.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    ax.invert_yaxis()
    ax.set_title(title, loc="left", fontsize="medium")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax

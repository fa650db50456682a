"""How much a night hangs on each of its channels."""

import pandas as pd
from matplotlib.axes import Axes

from anysleep.figures.quality import VERDICT_COLOURS


def plot_reliance(table: pd.DataFrame, ax: Axes) -> Axes:
    """Bars of the epochs that change without each channel, red where flagged, and dots of its mean attention.

    `table` is that of `anysleep.analysis.reliance.channel_reliance`.
    """
    colours = table.flag.map({True: VERDICT_COLOURS["drop"], False: "lightgrey"})
    ax.barh(table.channel, table.changed_share, color=colours, label="epochs that change without it")
    ax.plot(table.mean_attention, table.channel, "o", color="black", label="mean attention")
    ax.axvline(1 / len(table), color="black", linewidth=0.8, linestyle=":", label="equal attention")
    ax.set(xlabel="share", xlim=(0, 1))
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return ax

"""Which channels a network listens to, at which depth."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes


def plot_attention(attention: pd.DataFrame, ax: Axes) -> Axes:
    """Mean weight over nights by attention module (row) and channel, from columns module, channel, weight."""
    if attention.empty:
        ax.text(0.5, 0.5, "this network has no attention", ha="center", va="center")
        ax.set_axis_off()
        return ax
    mean_weight = attention.pivot_table(index="module", columns="channel", values="weight", sort=False)
    sns.heatmap(mean_weight, cmap="Blues", vmin=0, ax=ax, cbar_kws={"label": "mean weight"})
    ax.set(xlabel="", ylabel="attention module (shallow to deep)")
    return ax

"""What the montage doctor found, a row a channel."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

VERDICT_COLOURS = {"use": "#117733", "look": "#CC7711", "drop": "#AA2233"}


def plot_quality(table: pd.DataFrame, ax: Axes) -> Axes:
    """Shares of flat time, clipped samples, hum and disconnected epochs, from the table of `quality.examine`."""
    shares = pd.DataFrame(
        {
            "flat": table.flat_share,
            "clipped": table.clipped_share,
            "hum": table.line_noise_share,
            "disconnected": table.disconnected_epochs / table.n_epochs.where(table.n_epochs > 0),
        }
    )
    sns.heatmap(shares, vmin=0, vmax=1, cmap="Greys", annot=True, fmt=".0%", linewidths=1, cbar=False, ax=ax)
    ax.set_yticks(ax.get_yticks(), table.channel + ": " + table.verdict, rotation=0)
    for label, verdict in zip(ax.get_yticklabels(), table.verdict, strict=True):
        label.set_color(VERDICT_COLOURS[verdict])
    return ax

"""What the figures of a page share: sizes, and how published values look."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from anysleep.figures.looks import Look

STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
}
"""Texts of 7 and 8 points on a page."""

PAGE_IN = 7.0
"""Width of a figure, in inches."""

MADE_BY = {
    "04_evaluate/drawn/channel_study": "04_evaluate with montages: drawn (variant draws)",
    "04_evaluate/pairs/channel_study": "04_evaluate with montages: pairs (variant pairs)",
    "04_evaluate/cost": "04_evaluate with numbers in cost_channels",
    "05_predict/attention": "05_predict of a network with attention",
    "05_predict/statistics": "05_predict",
    "06_arousals/scores": "06_arousals",
    "06_arousals/stage_shares": "06_arousals",
    "06_arousals/excerpt_signals": "06_arousals",
    "07_traits/summary": "07_traits, once for each of age, sex and dataset (OSA)",
}
"""Which notebook writes a table."""


def use_style() -> None:
    """Draw every figure from here on as for a page."""
    plt.rcParams.update(STYLE)


def note_missing(table: str) -> Figure:
    """In a figure's place, a sentence on the run that would fill it."""
    figure, ax = plt.subplots(figsize=(PAGE_IN, 0.7), layout="constrained")
    text = f"No finished run has the table {table.split('/')[-1]}.csv.\nIt is written by {MADE_BY[table]}."
    ax.text(0.5, 0.5, text, ha="center", va="center", color="0.3", transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color="0.8", linestyle="--")
    return figure


def finer_right(ax: Axes) -> Axes:
    """Seconds per prediction along x, from the coarsest that is drawn to the finest, on the right."""
    finest, coarsest = sorted(ax.dataLim.intervalx) if np.isfinite(ax.dataLim.intervalx).all() else (0.01, 30)
    ticks = [tick for tick in (0.01, 0.1, 1, 10, 30) if finest / 1.3 <= tick <= coarsest * 1.3]
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xticks=ticks, xticklabels=[f"{tick:g}" for tick in ticks], xlim=(coarsest * 1.3, finest / 1.3))
    ax.set_xlabel("seconds per prediction")
    return ax


def with_seconds(published: pd.DataFrame) -> pd.DataFrame:
    """Published rows in order of their seconds per prediction, as a column."""
    seconds = 30 / published.predictions_per_epoch.astype(float)
    return published.assign(seconds_per_prediction=seconds).sort_values("seconds_per_prediction")


def draw_band(ax: Axes, rows: pd.DataFrame, value: str, look: Look, label: str) -> None:
    """A line over seconds per prediction with the band between `low` and `high`, the interval by person."""
    rows = rows.sort_values("seconds_per_prediction")
    x = rows.seconds_per_prediction
    ax.plot(x, rows[value], color=look.colour, marker=look.marker, linestyle=look.line, label=label)
    name = "95 % interval by person"
    first = name not in ax.get_legend_handles_labels()[1]
    style = {"color": look.colour, "alpha": 0.18, "linewidth": 0, "label": name if first else "_"}
    ax.fill_between(x, rows.low.astype(float), rows.high.astype(float), **style)


def legend_below(figure: Figure, axes: list[Axes], n_columns: int) -> None:
    """One legend for several axes, each label once, under the figure."""
    entries = {}
    for ax in axes:
        entries |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=n_columns)

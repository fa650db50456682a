"""What becomes of the sleep statistics when the same nights are staged in finer steps."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.statistics import STATISTICS, change_from_coarsest
from anysleep.figures.looks import seconds_axis

CHANGING = {
    "TST": "total sleep time",
    "WASO": "Wake after sleep onset",
    "SOL": "sleep onset latency",
    "SFI": "awakenings of 30 s or more",
    "n_short_awakenings": "awakenings below 30 s",
    "%N1": "share of N1",
}
"""The statistics that are drawn."""
SUBJECT = (
    "Change from the coarsest resolution: median, and the middle half of the nights.\n"
    "An awakening below 30 s is any run of Wake in sleep: where the predictions flicker, nobody need have woken."
)
COLOUR = "#0072B2"


def plot_statistics(table: pd.DataFrame) -> Figure:
    """The change of each statistic from the coarsest resolution, an axes a statistic.

    `table` is that of `statistics_table`.
    """
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.5), sharex=True, layout="constrained")
    for ax, name in zip(axes.flat, CHANGING, strict=True):
        plot_statistic(table, name, ax)
    for ax in axes[1]:
        ax.set_xlabel("seconds per prediction")
    figure.suptitle(SUBJECT, x=0.01, ha="left", fontsize="medium")
    return figure


def plot_statistic(table: pd.DataFrame, name: str, ax: Axes) -> Axes:
    """Median over nights of the change within a night, and where the middle half of the nights lies."""
    changes, coarsest = change_from_coarsest(table, name)
    n_nights, unit = len(table[["dataset", "recording"]].drop_duplicates()), STATISTICS[name][0]
    unit = unit.replace("count", "a night")
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
    ax.fill_between(
        changes.columns, changes.quantile(0.25), changes.quantile(0.75), color=COLOUR, alpha=0.2, linewidth=0
    )
    ax.plot(changes.columns, changes.median(), color=COLOUR, marker="o", markersize=4)
    level = f"median {coarsest.median():.3g} {unit} at {changes.columns.max():g} s" if len(changes) else "not defined"
    part = f", {len(changes)} of {n_nights} nights" if len(changes) < n_nights else ""
    ax.set_title(f"{CHANGING[name]}\n{level}{part}", loc="left", fontsize="medium")
    seconds_axis(table.seconds_per_prediction, ax).set(xlabel="", ylabel=f"change ({unit})")
    return ax

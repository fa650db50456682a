"""What becomes of the sleep statistics when the same nights are staged in finer steps."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.statistics import STATISTICS, change_from_coarsest
from anysleep.figures.looks import look_of, seconds_axis

NAMES = {
    "TST": "total sleep time",
    "WASO": "Wake after sleep onset",
    "SOL": "sleep onset latency",
    "SFI": "awakenings of 30 s or more",
    "n_short_awakenings": "awakenings below 30 s",
    "%N1": "share of N1",
    "%N2": "share of N2",
    "%N3": "share of N3",
    "%REM": "share of REM",
}
"""The statistics that are drawn; those that change most first."""
CHANGING = tuple(NAMES)[:6]
SUBJECT = (
    "Change from the coarsest resolution: median, and the middle half of the nights.\n"
    "An awakening below 30 s is any run of Wake in sleep: where the predictions flicker, nobody need have woken."
)


def plot_statistics(table: pd.DataFrame) -> Figure:
    """The change of each statistic from the coarsest resolution, an axes a statistic.

    `table` is that of `statistics_table`.
    """
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.5), sharex=True, layout="constrained")
    for ax, name in zip(axes.flat, CHANGING, strict=True):
        plot_statistic(table.assign(network="anysleep"), name, ax)
        seconds_axis(table.seconds_per_prediction, ax)
    for ax in axes[0]:
        ax.set_xlabel("")
    figure.suptitle(SUBJECT, x=0.01, ha="left", fontsize="medium")
    return figure


def plot_statistic(table: pd.DataFrame, name: str, ax: Axes) -> Axes:
    """Median over nights of the change within a night, and where the middle half of the nights lies; by network."""
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
    unit, levels, n_drawn = STATISTICS[name][0].replace("count", "a night"), [], 0
    for network, rows in table.groupby("network", sort=False):
        (changes, coarsest), look = change_from_coarsest(rows, name), look_of(network)
        low, middle, high = (changes.quantile(share) for share in (0.25, 0.5, 0.75))
        label = f"{look.name}: median change over nights, band: middle half of them"
        ax.fill_between(middle.index, low, high, color=look.colour, alpha=0.2, linewidth=0)
        ax.plot(middle.index, middle, color=look.colour, marker=look.marker, linestyle=look.line, label=label)
        levels += [f"{coarsest.median():.3g}"] if len(changes) else []
        n_drawn += len(changes)
    n_nights = len(table.drop_duplicates([column for column in ("trained", "dataset", "recording") if column in table]))
    level = f"median {' and '.join(levels)} {unit} at {table.seconds_per_prediction.max():g} s"
    part = f", {n_drawn} of {n_nights} nights" if n_drawn < n_nights else ""
    ax.set_title(f"{NAMES[name]}\n{level if levels else 'not defined'}{part}", loc="left", fontsize="medium")
    ax.set_ylabel(f"change ({unit})")
    return ax

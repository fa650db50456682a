"""What becomes of sleep statistics when the same nights are staged in finer steps, on a page."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.statistics import change_from_coarsest
from anysleep.figures.looks import look_of
from anysleep.paper.figures.style import PAGE_IN, legend_below, note_missing, seconds_axis
from anysleep.paper.runs import Tables

TABLE = "05_predict/statistics"
PANEL_IN = 1.7
NAMES = {
    "TST": "total sleep time (min)",
    "WASO": "Wake after sleep onset (min)",
    "SOL": "sleep onset latency (min)",
    "SFI": "awakenings of 30 s or more (1/h)",
    "n_short_awakenings": "awakenings below 30 s (a night)",
    "%N1": "N1 (% of sleep)",
    "%N2": "N2 (% of sleep)",
    "%N3": "N3 (% of sleep)",
    "%REM": "REM (% of sleep)",
}
"""The statistics of 05 that are drawn, where the table has them."""


def plot_statistics(tables: Tables) -> Figure:
    """The change within a night from its coarsest resolution: median over nights, and the middle half of the nights."""
    if TABLE not in tables:
        return note_missing(TABLE, 3 * PANEL_IN)
    once = one_run_each(tables[TABLE])
    figure, axes = plt.subplots(3, 3, figsize=(PAGE_IN, 3 * PANEL_IN + 0.5), sharex=True, layout="constrained")
    for ax, name in zip(axes.flat, NAMES, strict=True):
        if name in once:
            plot_change(once, name, ax)
        else:
            ax.set_axis_off()
    for ax in axes[:2].flat:
        ax.set_xlabel("")
    legend_below(figure, list(axes.flat), n_columns=4)
    return figure


def one_run_each(statistics: pd.DataFrame) -> pd.DataFrame:
    """Of each trained network and night the run with most resolutions, as changes count within one montage."""
    night = ["trained", "dataset", "recording"]
    sizes = statistics.groupby([*night, "run"], sort=False).seconds_per_prediction.nunique().reset_index(name="n")
    chosen = sizes.sort_values("n", ascending=False, kind="stable").drop_duplicates(night)
    return statistics.merge(chosen[[*night, "run"]], on=[*night, "run"])


def plot_change(statistics: pd.DataFrame, name: str, ax: Axes) -> Axes:
    """One statistic; nights of all data sets and training runs of a network together."""
    ax.axhline(0, color="black", linewidth=0.6, linestyle=":")
    levels, n_left_out = [], 0
    for network, rows in statistics.groupby("network", sort=False):
        (changes, coarsest), look = change_from_coarsest(rows, name), look_of(network)
        n_left_out += len(rows[["trained", "dataset", "recording"]].drop_duplicates()) - len(changes)
        low, middle, high = (changes.quantile(share) for share in (0.25, 0.5, 0.75))
        label = f"{look.name}: median change over nights, band: middle half of them"
        ax.plot(middle.index, middle, color=look.colour, marker=look.marker, linestyle=look.line, label=label)
        ax.fill_between(middle.index, low, high, color=look.colour, alpha=0.18, linewidth=0)
        levels.append(f"{coarsest.median():.3g}")
    coarsest_s = statistics.seconds_per_prediction.max()
    title = f"{NAMES[name]}\nmedian {' and '.join(levels)} at {coarsest_s:g} s"
    title += f", {n_left_out} nights without it" if n_left_out else ""
    seconds_axis(ax).set(title=title, ylabel="change")
    return ax

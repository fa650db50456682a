"""Networks beside each other: MF1 by data set, as a figure and as the rows of a page, and what staging costs."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.figures.looks import NETWORKS, PUBLISHED, look_of
from anysleep.paper.figures.style import PAGE_IN, legend_below, note_missing
from anysleep.paper.runs import Tables

GROUPS = ("in distribution", "held out", "not published")
ROW_IN = 0.21


def plot_mf1_by_dataset(table: pd.DataFrame) -> Figure:
    """A panel for each network, a row for each data set; ours with 95 % intervals by person, published with its sd.

    `table` is from `mf1_table`. Rows called mean weigh each data set by its recordings and have no interval.
    """
    rows = [key for group in GROUPS for key in dict.fromkeys(_keys(table[table.group == group]))]
    networks = [*NETWORKS, *sorted(set(table.network) - set(NETWORKS))]
    height_in = ROW_IN * len(rows) + 1.1
    figure, axes = plt.subplots(
        1, len(networks), figsize=(PAGE_IN, height_in), sharey=True, sharex=True, layout="constrained"
    )
    for ax, network in zip(axes, networks, strict=True):
        draw_network(table[table.network == network], rows, network, ax)
    axes[0].set(yticks=range(len(rows)), yticklabels=[dataset for _, dataset in rows], ylim=(len(rows) - 0.5, -0.5))
    figure.supxlabel("MF1 (lines: ours, 95 % interval by person; published, sd over training runs)", fontsize=8)
    _name_groups(rows, axes[-1])
    return figure


def draw_network(rows: pd.DataFrame, order: list[tuple[str, str]], network: str, ax: Axes) -> Axes:
    """One network; hollow and grey what is published, a little above ours."""
    look, y = look_of(network), [order.index(key) for key in _keys(rows)]
    above, below = [value - 0.15 for value in y], [value + 0.15 for value in y]
    style = PUBLISHED | {"linestyle": "", "elinewidth": 0.8, "markersize": 4, "markerfacecolor": "white"}
    ax.errorbar(rows.published, above, xerr=rows.sd.fillna(0), marker="d", label="published", **style)
    ax.hlines(below, rows.low.astype(float), rows.high.astype(float), color=look.colour, linewidth=0.9)
    ax.plot(rows.ours.astype(float), below, look.marker, color=look.colour, label="ours")
    for i, (group, dataset) in enumerate(order):
        if dataset == "mean":
            ax.axhspan(i - 0.5, i + 0.5, color="0.94", zorder=0)
        if i and group != order[i - 1][0]:
            ax.axhline(i - 0.5, color="black", linewidth=0.6)
    ax.set_title(look.name, color=look.colour)
    ax.grid(axis="x", linewidth=0.3)
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.05), ncols=2, handletextpad=0.1, columnspacing=0.6, borderpad=0)
    return ax


def format_mf1_table(table: pd.DataFrame) -> pd.DataFrame:
    """For the page: a row a data set, a column a network, as text.

    Ours is the mean ± sd over training runs with the interval by person; then what is published, mean ± sd over runs.
    """
    texts = [_text(row) for row in table.itertuples()]
    names = [look_of(network).name for network in table.network]
    page = table.assign(text=texts, network=names).pivot_table(
        index=["group", "dataset"], columns="network", values="text", aggfunc="first", sort=False
    )
    return page.reindex([key for group in GROUPS for key in dict.fromkeys(_keys(table[table.group == group]))]).fillna(
        ""
    )


def _text(row: Any) -> str:
    digits = 3 if row.dataset == "mean" else 2
    ours = "-" if pd.isna(row.ours) else f"{row.ours:.3f}{_plus_minus(row.sd_of_runs)}"
    interval = "" if pd.isna(row.low) else f" [{row.low:.3f}, {row.high:.3f}]"
    published = "" if pd.isna(row.published) else f" (published {row.published:.{digits}f}{_plus_minus(row.sd)})"
    return ours + interval + published


def _plus_minus(sd: float) -> str:
    return "" if pd.isna(sd) else f" ± {sd:.3f}"


def _keys(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Group and data set of each row."""
    return list(zip(table.group, table.dataset, strict=True))


def _name_groups(rows: list[tuple[str, str]], ax: Axes) -> None:
    for group in GROUPS:
        places = [i for i, (of_group, _) in enumerate(rows) if of_group == group]
        if places:
            middle = (places[0] + places[-1]) / 2
            ax.text(1.04, middle, group, rotation=270, transform=ax.get_yaxis_transform(), va="center", fontsize=7)


COST = "04_evaluate/cost"
COST_IN = 2.9
GROWS_WITH_PAIRS = ["seconds", "billions"]
"""What U-Sleep spends on every pair; pairs are staged one after the other, so memory is that of one."""


def split_channels(n_channels: int) -> tuple[int, int]:
    """EEG and EOG among so many channels: one EOG of up to three, two of more."""
    n_eog = int(n_channels > 1) + int(n_channels > 3)
    return n_channels - n_eog, n_eog


def with_pairs(cost: pd.DataFrame) -> pd.DataFrame:
    """U-Sleep's row of one pair becomes one for each other number of channels, times its pairs of EEG and EOG."""
    usleep, others = cost[cost.network == "usleep"], cost[cost.network != "usleep"]
    numbers = sorted(set(others.n_channels[others.n_channels > 1]) | set(usleep.n_channels))
    parts = []
    for n in numbers:
        n_eeg, n_eog = split_channels(n)
        parts.append(usleep.assign(n_channels=n, **{name: usleep[name] * n_eeg * n_eog for name in GROWS_WITH_PAIRS}))
    return pd.concat([others, *parts], ignore_index=True)


def plot_cost(tables: Tables) -> Figure:
    """Multiply-adds of an epoch, and seconds and memory for one recording as measured on the machine of the run.

    By numbers of EEG and EOG channels; U-Sleep's are times its pairs, see `with_pairs`. Memory is left out where no
    network's changes with the channels. Of several measurements of one network the median is drawn; the counted panel
    has no uncertainty.
    """
    if COST not in tables:
        return note_missing(COST)
    cost = tables[COST].assign(billions=tables[COST].multiply_adds / 1e9)
    lengths = sorted(cost.hours.unique())
    length = " or ".join(f"{hours:g} h" if hours >= 1 else f"{60 * hours:.3g} min" for hours in lengths)
    panels = {
        "billions": ("work for an epoch, counted", "10⁹ multiply-adds"),
        "seconds": (f"time for {length}, fastest pass", "seconds"),
        "memory_mb": ("memory, measured", "MB"),
    }
    median = cost.groupby(["network", "n_parameters", "n_channels"], sort=False)[list(panels)].median()
    median = with_pairs(median.reset_index())
    memory = median.groupby(["network", "n_parameters"]).memory_mb
    if (memory.max() < 1.25 * memory.min()).all():
        del panels["memory_mb"]
    figure, axes = plt.subplots(1, len(panels), figsize=(PAGE_IN, COST_IN), layout="constrained")
    for ax, (column, (title, unit)) in zip(axes, panels.items(), strict=True):
        for (network, n_parameters), line in median.groupby(["network", "n_parameters"], sort=False):
            look = look_of(network)
            style = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
            pairs = ", every pair" if network == "usleep" else ""
            name = f"{look.name}{pairs} ({n_parameters / 1e6:.2f} million parameters)"
            ax.plot(line.n_channels, line[column], label=name, **style)
        ax.set(xlabel="EEG channels, below them EOG", ylabel=unit, title=title, ylim=(0, 1.08 * median[column].max()))
        numbers = sorted(median.n_channels.unique())
        ax.set_xticks(numbers, ["{}\n{}".format(*split_channels(n)) for n in numbers])
    legend_below(figure, list(axes), n_columns=2)
    return figure

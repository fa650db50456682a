"""What staging costs, by network and number of channels: measured, and counted."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from anysleep.figures.looks import look_of
from anysleep.paper.figures.style import PAGE_IN, legend_below, note_missing
from anysleep.paper.runs import Tables

TABLE = "04_evaluate/cost"
HEIGHT_IN = 2.9
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
    if TABLE not in tables:
        return note_missing(TABLE, HEIGHT_IN)
    cost = tables[TABLE].assign(billions=tables[TABLE].multiply_adds / 1e9)
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
    figure, axes = plt.subplots(1, len(panels), figsize=(PAGE_IN, HEIGHT_IN), layout="constrained")
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

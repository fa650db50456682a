"""What staging costs, by network and number of channels: measured, and counted."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from anysleep.analysis.paper.collected import Tables
from anysleep.figures.looks import look_of
from anysleep.figures.paper.style import PAGE_IN, legend_below, note_missing

TABLE = "04_evaluate/cost"
HEIGHT_IN = 2.7


def plot_cost(tables: Tables) -> Figure:
    """Seconds and memory for one recording, as measured on the machine of the run, and multiply-adds of an epoch.

    Memory is left out where no network's changes with the channels. Of several measurements of one network the
    median is drawn; the counted panel has no uncertainty.
    """
    if TABLE not in tables:
        return note_missing(TABLE, HEIGHT_IN)
    cost = tables[TABLE].assign(billions=tables[TABLE].multiply_adds / 1e9)
    lengths = sorted(cost.hours.unique())
    length = " or ".join(f"{hours:g} h" if hours >= 1 else f"{60 * hours:.3g} min" for hours in lengths)
    panels = {
        "seconds": (f"time for {length}, fastest pass", "seconds"),
        "memory_mb": ("memory, measured", "MB"),
        "billions": ("work for an epoch, counted", "10⁹ multiply-adds"),
    }
    median = cost.groupby(["network", "n_parameters", "n_channels"], sort=False)[list(panels)].median().reset_index()
    memory = median.groupby(["network", "n_parameters"]).memory_mb
    if (memory.max() < 1.25 * memory.min()).all():
        del panels["memory_mb"]
    figure, axes = plt.subplots(1, len(panels), figsize=(PAGE_IN, HEIGHT_IN), layout="constrained")
    for ax, (column, (title, unit)) in zip(axes, panels.items(), strict=True):
        for (network, n_parameters), line in median.groupby(["network", "n_parameters"], sort=False):
            look = look_of(network)
            style = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
            name = f"{look.name} ({n_parameters / 1e6:.2f} million parameters)"
            ax.plot(line.n_channels, line[column], label=name, **style)
        ax.set(xlabel="channels", ylabel=unit, title=title, ylim=(0, 1.08 * median[column].max()))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure, list(axes), n_columns=2)
    return figure

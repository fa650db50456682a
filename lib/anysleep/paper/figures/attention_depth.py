"""Which sites a network listens to, at which depth; a panel for each training run."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from anysleep.figures.looks import look_of
from anysleep.paper.figures.style import PAGE_IN, note_missing
from anysleep.paper.results import FIXED_SITES, with_sites
from anysleep.paper.runs import Tables

TABLE = "05_predict/attention"
HEIGHT_IN = 3.2
MAX_RUNS = 3


def plot_attention_depth(tables: Tables) -> Figure:
    """Mean attention weight over nights by site (column) and depth (row), shallow on top; three runs a network.

    Only nights with the four sites of the paper are shown (EOG is the left one), see `with_sites`, or where none has
    them, those with the most frequent sites. After several runs of a network comes their mean.
    """
    if TABLE not in tables:
        return note_missing(TABLE, HEIGHT_IN)
    panels = list(panels_of(with_sites(tables[TABLE])))
    width_in = min(PAGE_IN, 1.5 + 1.9 * len(panels))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(width_in, HEIGHT_IN), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, (title, weights) in zip(axes[0], panels, strict=True):
        sns.heatmap(weights, cmap="Blues", vmin=0, vmax=1, cbar=False, ax=ax, linewidths=0.3)
        ax.set(xlabel="", ylabel="")
        ax.set_title(title, fontsize=7)
        ax.tick_params(axis="both", rotation=0)
    axes[0][0].set_ylabel("attention module (0 is the first level)")
    figure.colorbar(axes[0][0].collections[0], ax=list(axes[0]), label="mean weight over nights", shrink=0.8)
    return figure


def panels_of(attention: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Titles and mean weights, a row a module and a column a site; of a network's training runs, then their mean."""
    wanted = attention.is_fixed if attention.is_fixed.any() else attention.montage == attention.montage.mode()[0]
    rows = attention[wanted]
    order = [site for site in FIXED_SITES if site in set(rows.site)] or list(rows.site.unique())
    for network, of_network in rows.groupby("network", sort=False):
        name, weights = look_of(network).name, []
        for run in of_network.drop_duplicates("trained").head(MAX_RUNS).itertuples():
            of_run = of_network[(of_network.trained == run.trained) & (of_network.run == run.run)]
            nights = of_run[["dataset", "recording"]].drop_duplicates()
            n = f"{len(nights)} nights, {nights.dataset.nunique()} data set{'s' * int(nights.dataset.nunique() > 1)}"
            weights.append(of_run.pivot_table(index="module", columns="site", values="weight")[order])
            yield f"{name}\n{run.run.split('/')[-1]}\n{n}", weights[-1]
        if len(weights) > 1:
            yield f"mean of the\n{len(weights)} trained networks\n{name}", sum(weights) / len(weights)

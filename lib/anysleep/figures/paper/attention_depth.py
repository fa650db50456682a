"""Which sites a network listens to, at which depth; a panel for each training run."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from anysleep.analysis.paper.attention import FIXED_SITES, with_sites
from anysleep.analysis.paper.collected import Tables
from anysleep.figures.looks import look_of
from anysleep.figures.paper.style import PAGE_IN, note_missing

TABLE = "05_predict/attention"
HEIGHT_IN = 3.2
MAX_RUNS = 3


def plot_attention_depth(tables: Tables) -> Figure:
    """Mean attention weight over nights by site (column) and depth (row), shallow on top; the first three networks.

    Only nights with the four sites of the paper are shown (EOG is the left one), see `with_sites`, or where none has
    them, those with the most frequent sites. With several trained networks a last panel has their mean.
    """
    if TABLE not in tables:
        return note_missing(TABLE, HEIGHT_IN)
    panels = panels_of(with_sites(tables[TABLE]))
    width_in = min(PAGE_IN, 1.5 + 1.9 * len(panels))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(width_in, HEIGHT_IN), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, (title, weights) in zip(axes[0], panels.items(), strict=True):
        sns.heatmap(weights, cmap="Blues", vmin=0, vmax=1, cbar=False, ax=ax, linewidths=0.3)
        ax.set(xlabel="", ylabel="")
        ax.set_title(title, fontsize=7)
        ax.tick_params(axis="both", rotation=0)
    axes[0][0].set_ylabel("attention module (0 is the first level)")
    figure.colorbar(axes[0][0].collections[0], ax=list(axes[0]), label="mean weight over nights", shrink=0.8)
    return figure


def panels_of(attention: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Title -> mean weights, a row a module and a column a site; of each trained network, then their mean."""
    wanted = attention.is_fixed if attention.is_fixed.any() else attention.montage == attention.montage.mode()[0]
    rows = attention[wanted]
    order = [site for site in FIXED_SITES if site in set(rows.site)] or list(rows.site.unique())
    panels = {}
    for run in rows.drop_duplicates("trained").head(MAX_RUNS).itertuples():
        of_run = rows[(rows.trained == run.trained) & (rows.run == run.run)]
        nights = of_run[["dataset", "recording"]].drop_duplicates()
        n = f"{len(nights)} nights, {nights.dataset.nunique()} data set{'s' * int(nights.dataset.nunique() > 1)}"
        title = f"{look_of(run.network).name}\n{run.run.split('/')[-1]}\n{n}"
        panels[title] = of_run.pivot_table(index="module", columns="site", values="weight")[order]
    if len(panels) > 1:
        panels[f"mean of the\n{len(panels)} trained networks\n"] = sum(panels.values()) / len(panels)
    return panels

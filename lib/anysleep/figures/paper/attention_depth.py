"""Which sites a network listens to, at which depth; a panel for each training run."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from anysleep.analysis.paper.collected import Tables
from anysleep.data.channels import parse_channel
from anysleep.figures.looks import look_of
from anysleep.figures.paper.style import PAGE_IN, note_missing

TABLE = "05_predict/attention"
HEIGHT_IN = 3.2
MAX_PANELS = 4
FIXED_SITES = {"E1", "F3", "C3", "O1"}
"""The sites of the published figure: left EOG and the left EEG channels."""


def plot_attention_depth(tables: Tables) -> Figure:
    """Mean attention weight over nights by site (column) and depth (row), shallow on top.

    Weights are shares within a montage, so those of other montages cannot be averaged: only nights with the four sites
    of the paper are shown, or where none has them, those with the most frequent sites. The first four trained networks
    are drawn.
    """
    if TABLE not in tables:
        return note_missing(TABLE, HEIGHT_IN)
    attention = with_sites(tables[TABLE])
    runs = attention.drop_duplicates("trained")[["trained", "run", "network"]].head(MAX_PANELS)
    width_in = min(PAGE_IN, 1.5 + 1.9 * len(runs))
    figure, axes = plt.subplots(
        1, len(runs), figsize=(width_in, HEIGHT_IN), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, run in zip(axes[0], runs.itertuples(), strict=True):
        rows = attention[(attention.trained == run.trained) & (attention.run == run.run)]
        weights = rows.pivot_table(index="module", columns="site", values="weight", sort=False)
        sns.heatmap(weights, cmap="Blues", vmin=0, vmax=1, cbar=False, ax=ax, linewidths=0.3)
        n_nights = len(rows[["dataset", "recording"]].drop_duplicates())
        ax.set(xlabel="", ylabel="", title=f"{look_of(run.network).name}, {n_nights} nights\n{run.run.split('/')[-1]}")
        ax.tick_params(axis="both", rotation=0)
    axes[0][0].set_ylabel("attention module (0 is the first level)")
    figure.colorbar(axes[0][0].collections[0], ax=list(axes[0]), label="mean weight over nights", shrink=0.8)
    return figure


def with_sites(attention: pd.DataFrame) -> pd.DataFrame:
    """Rows of nights with the fixed sites, else the most frequent; column site: 'C3' of C3-M2, or the label itself."""
    sites = {label: parse_channel(label).site or label for label in attention.channel.unique()}
    by_montage = {
        montage: "&".join(sites.get(label, label) for label in montage.split("&"))
        for montage in attention.montage.unique()
    }
    montages = attention.montage.map(by_montage)
    is_fixed = montages.str.split("&").map(set) == FIXED_SITES
    wanted = is_fixed if is_fixed.any() else montages == montages.mode()[0]
    return attention.assign(site=attention.channel.map(sites))[wanted]

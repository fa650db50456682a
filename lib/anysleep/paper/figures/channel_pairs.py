"""MF1 of every pair of sites, and where two networks differ."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from anysleep.figures.channels import plot_pair_matrix
from anysleep.figures.looks import look_of
from anysleep.paper.figures.channel_numbers import one_pair, text_of_runs
from anysleep.paper.figures.style import PAGE_IN, note_missing
from anysleep.paper.results import SITES
from anysleep.paper.runs import Tables, average_trained

STUDY, COMPARISON = "04_evaluate/pairs/channel_study", "04_evaluate/pairs/comparison"
PANEL_IN = 3.3


def plot_channel_pairs(tables: Tables) -> Figure:
    """A matrix for each network (means over trained networks); below, two p-values of their difference, if tested.

    The diagonal is one site alone; where it has two channels, also both together. U-Sleep is told which channel is the
    EEG, so its matrix is ordered.
    """
    if STUDY not in tables:
        return note_missing(STUDY, PANEL_IN)
    pairs = average_trained(tables[STUDY], ["network", "first", "second"], ["mf1"])
    comparison, networks = one_pair(tables.get(COMPARISON)), list(pairs.network.unique())
    n_nights = tables[STUDY].groupby("network").n_recordings.max()
    n_rows = 1 if comparison.empty else 2
    n_columns = max(n_rows, len(networks))
    size = (min(PAGE_IN, (PANEL_IN + 0.2) * n_columns), PANEL_IN * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    limits = (pairs.mf1.quantile(0.1), pairs.mf1.max())  # comparable colours, few beyond them
    for ax, network in zip(axes[0], networks, strict=False):
        rows = pairs[pairs.network == network]
        title = f"{look_of(network).name}: MF1\n{n_nights[network]} nights, {text_of_runs(rows.n_trained)}"
        rows = rows.assign(checkpoint=title)
        plot_pair_matrix(rows, ax, sites=sites_of(rows), limits=limits, colourbar=False)
    for ax in axes[0][len(networks) :]:
        ax.set_axis_off()
    if n_rows == 2:
        draw_p_values(comparison, axes[1])
    for text in (text for ax in figure.axes for text in ax.texts):
        text.set_fontsize(7)
    return figure


def sites_of(pairs: pd.DataFrame) -> list[str]:
    """The paper's sites that are there, in its order, then any others."""
    there = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    return [*(site for site in SITES if site in there), *(site for site in there if site not in SITES)]


def draw_p_values(comparison: pd.DataFrame, axes: np.ndarray) -> None:
    """The bootstrap by person, and the Welch test as published."""
    pair, rows = comparison.iloc[0], comparison[comparison.sites.notna()]
    split = rows.sites.str.split("&")
    rows = rows.drop(columns=["first", "second"]).assign(first=split.str[0], second=split.str[-1])
    names = f"{look_of(pair.second_network).name} against {look_of(pair.first_network).name}"
    titles = {
        "p": f"{names},\ntwo-sided p by drawing persons, not corrected",
        "welch_p": f"{names},\none-sided p of Welch's test, as published",
    }
    for ax, (column, title) in zip(axes, titles.items(), strict=False):
        draw_matrix_of_p(rows, column, ax).set_title(title)
    for ax in axes[2:]:
        ax.set_axis_off()


def draw_matrix_of_p(rows: pd.DataFrame, column: str, ax: Axes) -> Axes:
    """P-values by two sites; where only one order was tested, it stands for both. Dark is small."""
    sites = sites_of(rows)
    p = rows.pivot_table(index="first", columns="second", values=column).reindex(index=sites, columns=sites)
    p = p.combine_first(p.T).loc[sites, sites]
    style = {"cmap": "Greys_r", "norm": LogNorm(0.001, 1, clip=True), "cbar": False}
    sns.heatmap(p, annot=p.map(format_short), fmt="", square=True, ax=ax, linewidths=0.3, **style)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    return ax


def format_short(p: float) -> str:
    """A p-value for a small cell: three digits, without the zero before the point."""
    if pd.isna(p):
        return ""
    return "<.001" if p < 0.001 else f"{p:.2f}".removeprefix("0") if p >= 0.1 else f"{p:.3f}".removeprefix("0")

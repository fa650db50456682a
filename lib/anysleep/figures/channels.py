"""Channels: which ones a network listens to, and what becomes of the stages without them."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import ceil

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anysleep.figures.looks import Look

FLAGGED_COLOUR = "#AA2233"


def plot_attention(attention: pd.DataFrame, ax: Axes) -> Axes:
    """Mean weight over nights by attention module (row) and channel, from columns module, channel, weight."""
    if attention.empty:
        ax.text(0.5, 0.5, "this network has no attention", ha="center", va="center")
        ax.set_axis_off()
        return ax
    mean_weight = attention.pivot_table(index="module", columns="channel", values="weight", sort=False)
    sns.heatmap(mean_weight, cmap="Blues", vmin=0, ax=ax, cbar_kws={"label": "mean weight"})
    ax.set(xlabel="", ylabel="attention module (shallow to deep)")
    return ax


def plot_channel_importance(table: pd.DataFrame, ax: Axes) -> Axes:
    """Bars of the epochs that change without each channel, red where flagged, and dots of its mean attention.

    `table` is that of `anysleep.analysis.channel_importance.channel_importance`.
    """
    colours = table.flag.map({True: FLAGGED_COLOUR, False: "lightgrey"})
    ax.barh(table.channel, table.changed_share, color=colours, label="epochs that change without it")
    ax.plot(table.mean_attention, table.channel, "o", color="black", label="mean attention")
    ax.axvline(1 / len(table), color="black", linewidth=0.8, linestyle=":", label="equal attention")
    largest = table[["changed_share", "mean_attention"]].max().max()
    ax.set(xlabel="share of epochs, share of attention", xlim=(0, min(1.15 * max(largest, 1 / len(table)), 1)))
    ax.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    ax.invert_yaxis()
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""One colour a checkpoint (Okabe and Ito's palette)."""
LINES = {0: ":", 1: "-"}
"""By number of EOG channels; of more than one it is dashed."""


def draw_channel_curves(curve: pd.DataFrame, by: str, looks: Mapping[str, Look], ax: Axes) -> None:
    """MF1 with its interval over the number of EEG channels, a line for each name in `by` and number of EOG channels.

    `curve` has columns n_eeg, n_eog, mf1, low, high, and `by`, whose names `looks` draws.
    """
    lines = list(curve.groupby([by, "n_eog"], sort=False))
    for i, ((name, n_eog), line) in enumerate(lines):
        look, line = looks[name], line.sort_values("n_eeg")
        x = line.n_eeg + 0.06 * (i - (len(lines) - 1) / 2)  # intervals side by side
        style = {"color": look.colour, "marker": look.marker, "mfc": look.colour if n_eog else "white"}
        ax.plot(x, line.mf1, linestyle=LINES.get(n_eog, "--"), label=f"{look.name}, {eog_text(n_eog)}", **style)
        ax.vlines(x, line.low, line.high, color=look.colour, linewidth=0.8)


def eog_text(n_eog: int) -> str:
    """'2 EOG', 'no EOG'."""
    return f"{n_eog} EOG" if n_eog else "no EOG"


def plot_channel_draws(curve: pd.DataFrame, ax: Axes) -> Axes:
    """MF1 against the number of EEG channels, for every checkpoint, from `channel_curve`."""
    checkpoints = zip(curve.checkpoint.unique(), cycle(COLOURS), strict=False)
    draw_channel_curves(curve, "checkpoint", {name: Look(name, colour, "o", "-") for name, colour in checkpoints}, ax)
    ax.set(xlabel="EEG channels", ylabel="MF1, mean over recordings", xticks=sorted(curve.n_eeg.unique()))
    n_nights = sorted(curve.n_recordings.unique())
    nights = f"the same {n_nights[0]} nights" if len(n_nights) == 1 else f"{n_nights[0]} to {n_nights[-1]} nights"
    title = f"{nights} at every point; bars: 95 % interval by person"
    ax.set_title(title, loc="left", fontsize="medium")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_pair_matrix(
    pairs: pd.DataFrame,
    ax: Axes,
    sites: Sequence[str] = (),
    limits: tuple[float | None, float | None] = (None, None),
    colourbar: bool = True,
) -> Axes:
    """MF1 of every pair of sites, as from `pair_table` of one checkpoint; the diagonal is one site alone.

    U-Sleep's rows are the site given as EEG. `sites` orders rows and columns; by default they come as in the table.
    `limits` are the MF1 of the darkest and the brightest colour; by default the extremes.
    """
    sites = list(sites) or list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    matrix = pairs.pivot_table(index="first", columns="second", values="mf1").reindex(index=sites, columns=sites)
    ordered = (pairs.network == "usleep").all()
    matrix = matrix if ordered else matrix.combine_first(matrix.T).loc[sites, sites]
    style = {"cmap": "viridis", "vmin": limits[0], "vmax": limits[1], "cbar": colourbar, "cbar_kws": {"label": "MF1"}}
    sns.heatmap(matrix, annot=True, fmt=".2f", square=True, ax=ax, **style)
    ax.set(xlabel="given as EOG" if ordered else "", ylabel="given as EEG" if ordered else "")
    ax.set_title(pairs.checkpoint.iloc[0], loc="left", fontsize="medium")
    ax.tick_params(axis="y", rotation=0)
    return ax


def plot_channel_study(study: pd.DataFrame, mode: str) -> Figure:
    """The curve of drawn channels, or a matrix of pairs for every checkpoint, from `channel_study` of that mode."""
    if mode == "drawn":
        figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        plot_channel_draws(study, ax)
        return figure
    groups = study.groupby("checkpoint", sort=False)
    n_columns = min(len(groups), 3)
    n_rows = ceil(len(groups) / n_columns)
    size = (6 * n_columns, 5 * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat[len(groups) :]:
        ax.set_axis_off()
    for ax, (_, pairs) in zip(axes.flat, groups, strict=False):
        plot_pair_matrix(pairs, ax, limits=(study.mf1.min(), study.mf1.max()))  # comparable colours
    return figure

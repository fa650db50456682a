"""The nights of an archive: ages, lengths, channels, stages."""

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from anysleep.datasets.overview import UNKNOWN, count_ages
from anysleep.stages import EPOCH_S, STAGE_COLOURS, STAGES

MOST_COLUMNS = 2
WIDTH = 5
"""Of an axes, in inches: two fill the width of a page."""
BIN_HOURS = 0.5
SEX_COLOURS = ("#CC79A7", "0.3", "#D55E00", "0.55")
"""Of Okabe and Ito's palette what no stage has, and greys."""
UNKNOWN_COLOUR = "0.85"


def plot_each_dataset(table: pd.DataFrame, plot: Callable[[pd.DataFrame, Axes], Axes], height: float = 3.2) -> Figure:
    """An axes a data set, `height` inches high, into which `plot` draws the rows of that data set."""
    datasets = list(table.dataset.unique())
    n_columns = min(max(len(datasets), 1), MOST_COLUMNS)
    n_rows = max(math.ceil(len(datasets) / n_columns), 1)
    size = (max(WIDTH * n_columns, 6), height * n_rows)
    figure, grid = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    for ax, dataset in zip(grid.flat, datasets, strict=False):
        plot(table[table.dataset == dataset], ax)
        ax.set_title(dataset, loc="left", fontsize="medium")
    for ax in grid.flat[len(datasets) :]:
        ax.set_axis_off()
    if not datasets:
        grid[0, 0].text(0.5, 0.5, "nothing to show", ha="center", va="center")
    return figure


def plot_missing_channels(missing: pd.DataFrame, ax: Axes) -> Axes:
    """A bar a channel, in the data set's order from the top: the share of recordings that lack it."""
    bars = ax.barh(missing.channel, missing.share_missing, color="0.4")
    ax.bar_label(bars, [f"{n} of {total}" for n, total in zip(missing.n_missing, missing.n_recordings, strict=True)],
                 padding=3, fontsize="small")  # fmt: skip
    ax.set(xlim=(0, 1.15), xlabel="share of recordings that lack the channel")
    ax.set_xticks(np.linspace(0, 1, 5))
    ax.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    ax.invert_yaxis()
    return ax


def plot_durations(nights: pd.DataFrame, ax: Axes) -> Axes:
    """A histogram of the recordings' durations, in bins of half an hour."""
    hours = nights.n_epochs * EPOCH_S / 3600
    edges = np.arange(hours.min() // BIN_HOURS, hours.max() // BIN_HOURS + 2) * BIN_HOURS
    ax.hist(hours, bins=edges, color="0.4", edgecolor="white")
    ax.set(xlabel="duration (hours)", ylabel="recordings", xlim=(0, edges[-1] + BIN_HOURS))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def plot_ages(nights: pd.DataFrame, ax: Axes) -> Axes:
    """Persons by decade of age, stacked by sex; those of unknown age have a bar of their own."""
    counts = count_ages(nights)
    known = [sex for sex in counts if sex != UNKNOWN]
    colours = dict(zip(known, SEX_COLOURS, strict=False)) | {UNKNOWN: UNKNOWN_COLOUR}
    base = np.zeros(len(counts))
    for sex, n_persons in counts.items():
        ax.bar(counts.index, n_persons, bottom=base, color=colours.get(sex), label=f"{sex} ({n_persons.sum()})")
        base += n_persons.to_numpy()
    ax.set(xlabel="age (years)", ylabel="persons")
    ax.tick_params(axis="x", rotation=90)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(title="sex", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


def plot_stage_shares(counts: pd.DataFrame, ax: Axes) -> Axes:
    """A point a night and the spread of each stage's share, from a table with a column of epochs a stage."""
    counts = counts[list(STAGES)]
    shares = counts.div(counts.sum(axis=1), axis=0).melt(var_name="stage", value_name="share of scored epochs")
    style = {"data": shares, "x": "stage", "y": "share of scored epochs", "hue": "stage", "ax": ax, "legend": False}
    sns.boxplot(**style, palette=list(STAGE_COLOURS), fliersize=0, linewidth=0.8)
    sns.stripplot(**style, palette=["black"] * len(STAGES), size=3)
    ax.set(xlabel="", ylim=(0, None))
    return ax

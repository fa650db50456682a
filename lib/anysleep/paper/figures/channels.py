"""Channels: MF1 against their number, of pairs of sites, and which sites a network listens to."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from anysleep.figures.channels import LINES, draw_channel_curves, eog_text, plot_pair_matrix
from anysleep.figures.looks import PUBLISHED, look_of
from anysleep.paper.figures.style import PAGE_IN, note_missing
from anysleep.paper.results import FIXED_SITES, MANY_CHANNELS, SITES, with_sites
from anysleep.paper.runs import Tables, average_trained

DRAWN, DRAWN_COMPARISON, GAIN, COUNTS = (
    f"04_evaluate/drawn/{name}" for name in ("channel_study", "comparison", "eog_gain", "counts")
)
ROW_IN = 0.17


def plot_channel_numbers(tables: Tables, published: pd.DataFrame) -> Figure:
    """AnySleep with and without EOG and U-Sleep's vote; below, how sure their differences are.

    Lines are means over trained networks, bars 95 % intervals by person (means of the networks' bounds), stars the
    published test of with against without EOG. The published values stand in grey beside those of the published data
    sets only: nights of others may be easier or harder.
    """
    if DRAWN not in tables:
        return note_missing(DRAWN)
    curve = average_trained(tables[DRAWN], ["network", "n_eeg", "n_eog"], ["mf1", "low", "high"])
    gain, names = one_eog(tables.get(GAIN)), list(tables[COUNTS].dataset.unique())
    written = [*rows_of_comparison(tables.get(DRAWN_COMPARISON)), *rows_of_gain(gain)]
    heights = [3.2, ROW_IN * len(written)] if written else [3.2]
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(PAGE_IN, sum(heights)), height_ratios=heights, sharex=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    ax, comparable = axes[0, 0], set(names) <= MANY_CHANNELS
    draw_curves(curve, published if comparable else published.iloc[:0], ax)
    draw_stars(gain, curve, ax)
    if written:
        write_rows(written, axes[1, 0])
    numbers = sorted(curve.n_eeg.unique())
    ax.set(ylabel="MF1, mean over recordings", xticks=numbers, xlim=(numbers[0] - 0.4, numbers[-1] + 0.4))
    ours = ", ".join(names) if len(names) <= 3 else f"{len(names)} data sets"
    theirs = "published: 12 data sets" if comparable else "nothing is published of these nights"
    ax.set_title(f"ours: {ours}, {text_of_runs(curve.n_trained)}; {theirs}")
    ax.tick_params(labelbottom=True)
    ax.set_xlabel("EEG channels")
    return figure


def text_of_runs(n_trained: pd.Series) -> str:
    """How many trained networks stand behind a mean: '3 training runs'."""
    low, high = int(n_trained.min()), int(n_trained.max())
    return f"{low if low == high else f'{low} to {high}'} training run{'s' * (high > 1)}"


def one_pair(comparison: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of one run and two checkpoints: of the first two that are different networks, if there are."""
    if comparison is None or comparison.empty:
        return pd.DataFrame()
    pair = comparison.sort_values(
        "first_network", key=lambda name: name == comparison.second_network, kind="stable"
    ).iloc[0]
    same = (comparison["run"] == pair.run) & (comparison["first"] == pair["first"])
    return comparison[same & (comparison.second == pair.second)]


def one_eog(gain: pd.DataFrame | None) -> pd.DataFrame:
    """What one EOG channel adds, of the first run and the first training of each network."""
    if gain is None:
        return pd.DataFrame(columns=["network", "n_eeg"])
    rows = gain[(gain["run"] == gain["run"].iloc[0]) & (gain.n_eog == 1)]
    return rows[rows.training == rows.groupby("network").training.transform("first")]


def draw_curves(curve: pd.DataFrame, published: pd.DataFrame, ax: Axes) -> Axes:
    """Ours with bars, and the published values as hollow markers. `curve`: network, n_eeg, n_eog, mf1, low, high."""
    draw_channel_curves(curve, "network", {network: look_of(network) for network in curve.network}, ax)
    rows = published[published.result == "mf1_by_eeg_channels"]
    for (network, n_eog), line in rows.groupby(["network", "n_eog"]):
        style = PUBLISHED | {"marker": look_of(network).marker, "linestyle": LINES[n_eog]}
        name = f"published: {look_of(network).name}, {eog_text(n_eog)}"
        ax.plot(line.n_eeg.astype(int), line.value, label=name, **style)
    title = "bars: 95 % interval by person\nstars: better than without EOG,\nWelch as published"
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title=title, title_fontsize=7)
    return ax


def draw_stars(gain: pd.DataFrame, curve: pd.DataFrame, ax: Axes) -> Axes:
    """Above the points with EOG: * p < .05, ** < .01, *** < .001 of the published test."""
    high = curve[curve.n_eog == 1].set_index(["network", "n_eeg"]).high
    for row in gain[gain.network.isin(curve.network)].itertuples():
        stars = "*" * sum(row.welch_p < limit for limit in (0.05, 0.01, 0.001))
        ax.annotate(
            stars, (row.n_eeg, high[row.network, row.n_eeg]), xytext=(0, 1), textcoords="offset points", ha="center",
            color=look_of(row.network).colour, fontsize=7,
        )  # fmt: skip
    return ax


Written = tuple[str, dict[float, str]]
"""What a row of texts is called, and the text under each number of EEG channels."""


def rows_of_comparison(comparison: pd.DataFrame | None) -> list[Written]:
    """The difference of two networks with one EOG channel, and its two p-values."""
    rows = one_pair(comparison)
    if rows.empty:
        return []
    pair = rows.iloc[0]
    names = f"{look_of(pair.second_network).name} less {look_of(pair.first_network).name}, 1 EOG"
    return _three_rows(names, rows[rows.n_eog == 1])


def rows_of_gain(gain: pd.DataFrame) -> list[Written]:
    """What one EOG channel adds to each network, and its two p-values."""
    parts = gain.groupby("network", sort=False)
    return [row for network, rows in parts for row in _three_rows(f"{look_of(network).name}, 1 EOG less none", rows)]


def _three_rows(name: str, rows: pd.DataFrame) -> list[Written]:
    texts = {
        name: [f"{value:+.3f}" for value in rows.difference],
        "p, persons drawn, two-sided": [format_p(p) for p in rows.p],
        "p, Welch as published, one-sided": [format_p(p) for p in rows.welch_p],
    }
    return [(title, dict(zip(rows.n_eeg, values, strict=True))) for title, values in texts.items()]


def write_rows(written: list[Written], ax: Axes) -> Axes:
    """Each row of texts under its numbers of EEG channels, its name to the right."""
    ax.set_axis_off()
    for i, (title, values) in enumerate(written):
        y = 1 - (i + 0.5) / len(written)
        ax.text(1.02, y, title, transform=ax.transAxes, va="center", fontsize=7)
        for x, value in values.items():
            ax.text(x, y, value, transform=ax.get_xaxis_transform(), ha="center", va="center", fontsize=7)
    return ax


def format_p(p: float) -> str:
    """A p-value of two digits, or that it is below 0.001."""
    if pd.isna(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.2g}"


PAIRS, PAIRS_COMPARISON = "04_evaluate/pairs/channel_study", "04_evaluate/pairs/comparison"
PANEL_IN = 3.3


def plot_channel_pairs(tables: Tables) -> Figure:
    """A matrix for each network (means over trained networks); below, two p-values of their difference, if tested.

    The diagonal is one site alone; where it has two channels, also both together. U-Sleep is told which channel is the
    EEG, so its matrix is ordered.
    """
    if PAIRS not in tables:
        return note_missing(PAIRS)
    pairs = average_trained(tables[PAIRS], ["network", "first", "second"], ["mf1"])
    comparison, networks = one_pair(tables.get(PAIRS_COMPARISON)), list(pairs.network.unique())
    n_nights = tables[PAIRS].groupby("network").n_recordings.max()
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


ATTENTION = "05_predict/attention"
ATTENTION_IN = 3.2
MAX_RUNS = 3


def plot_attention_depth(tables: Tables) -> Figure:
    """Mean attention weight over nights by site (column) and depth (row), shallow on top; three runs a network.

    Only nights with the four sites of the paper are shown (EOG is the left one), see `with_sites`, or where none has
    them, those with the most frequent sites. After several runs of a network comes their mean.
    """
    if ATTENTION not in tables:
        return note_missing(ATTENTION)
    panels = list(panels_of(with_sites(tables[ATTENTION])))
    width_in = min(PAGE_IN, 1.5 + 1.9 * len(panels))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(width_in, ATTENTION_IN), sharey=True, squeeze=False, layout="constrained"
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

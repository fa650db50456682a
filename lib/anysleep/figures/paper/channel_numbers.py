"""MF1 against the number of EEG channels, and how sure a difference between networks is."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.paper.collected import Tables, average_trained
from anysleep.analysis.paper.measured import MANY_CHANNELS
from anysleep.figures.looks import look_of
from anysleep.figures.paper.style import PAGE_IN, PUBLISHED, note_missing

STUDY, COMPARISON, COUNTS = (f"04_evaluate/drawn/{name}" for name in ("channel_study", "comparison", "counts"))
HEIGHT_IN = 4.2


def plot_channel_numbers(tables: Tables, published: pd.DataFrame) -> Figure:
    """AnySleep with and without EOG and U-Sleep's vote; below, p-values where two networks were compared.

    Lines are means over trained networks, bars 95 % intervals by person (means of the networks' bounds). The published
    values stand in grey beside those of the published data sets only: nights of others may be easier or harder.
    """
    if STUDY not in tables:
        return note_missing(STUDY, HEIGHT_IN)
    curve = average_trained(tables[STUDY], ["network", "n_eeg", "n_eog"], ["mf1", "low", "high"])
    comparison, names = tables.get(COMPARISON, pd.DataFrame()), list(tables[COUNTS].dataset.unique())
    heights = [3.2] if comparison.empty else [3.2, 1]
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(PAGE_IN, sum(heights)), height_ratios=heights, sharex=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    ax, comparable = axes[0, 0], set(names) <= MANY_CHANNELS
    draw_curves(curve, published if comparable else published.iloc[:0], ax)
    if len(heights) > 1:
        write_p_values(comparison, axes[1, 0])
    numbers = sorted(curve.n_eeg.unique())
    ax.set(ylabel="MF1, mean over recordings", xticks=numbers, xlim=(numbers[0] - 0.4, numbers[-1] + 0.4))
    ours = ", ".join(names) if len(names) <= 3 else f"{len(names)} data sets"
    theirs = "published: 12 data sets" if comparable else "nothing is published of these nights"
    ax.set_title(f"ours: {ours}; {theirs}")
    ax.tick_params(labelbottom=True)
    ax.set_xlabel("EEG channels")
    return figure


def draw_curves(curve: pd.DataFrame, published: pd.DataFrame, ax: Axes) -> Axes:
    """Ours with bars, and the published values as hollow markers. `curve`: network, n_eeg, n_eog, mf1, low, high."""
    lines = list(curve.groupby(["network", "n_eog"], sort=False))
    for i, ((network, n_eog), line) in enumerate(lines):
        look, line = look_of(network), line.sort_values("n_eeg")
        x = line.n_eeg + 0.07 * (i - (len(lines) - 1) / 2)  # bars side by side
        filled = look.colour if n_eog else "white"
        name = f"{look.name}, {n_eog} EOG" if n_eog else f"{look.name}, no EOG"
        ax.plot(
            x, line.mf1, color=look.colour, linestyle="-" if n_eog else ":", marker=look.marker, mfc=filled, label=name
        )
        ax.vlines(x, line.low, line.high, color=look.colour, linewidth=0.8)
    rows = published[published.result == "mf1_by_eeg_channels"]
    for (network, n_eog), line in rows.groupby(["network", "n_eog"]):
        style = PUBLISHED | {"marker": look_of(network).marker, "linestyle": "-" if n_eog else ":"}
        name = f"published: {look_of(network).name}, " + (f"{n_eog} EOG" if n_eog else "no EOG")
        ax.plot(line.n_eeg.astype(int), line.value, label=name, **style)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="bars: 95 % interval by person", title_fontsize=7)
    return ax


def write_p_values(comparison: pd.DataFrame, ax: Axes) -> Axes:
    """Under each number of EEG channels with an EOG channel, the difference and its two p-values."""
    ax.set_axis_off()
    pair = comparison.iloc[0]
    rows = comparison[(comparison["run"] == pair.run) & (comparison["first"] == pair["first"])]
    rows = rows[(rows.second == pair.second) & (rows.n_eog == 1)]
    names = f"{look_of(pair.second_network).name} less {look_of(pair.first_network).name}, 1 EOG"
    written = {
        names: [f"{value:+.3f}" for value in rows.difference],
        "p, persons drawn": [format_p(p) for p in rows.p],
        "p, Welch as published": [format_p(p) for p in rows.welch_p],
    }
    for i, (title, values) in enumerate(written.items()):
        y = 0.7 - 0.3 * i
        ax.text(1.02, y, title, transform=ax.transAxes, va="center", fontsize=7)
        for x, value in zip(rows.n_eeg, values, strict=True):
            ax.text(x, y, value, transform=ax.get_xaxis_transform(), ha="center", va="center", fontsize=7)
    return ax


def format_p(p: float) -> str:
    """A p-value of two digits, or that it is below 0.001."""
    if pd.isna(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.2g}"

"""MF1 against the number of EEG channels, and how sure a difference between networks is."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.figures.looks import PUBLISHED, look_of
from anysleep.paper.figures.style import PAGE_IN, note_missing
from anysleep.paper.results import MANY_CHANNELS
from anysleep.paper.runs import Tables, average_trained

STUDY, COMPARISON, GAIN, COUNTS = (
    f"04_evaluate/drawn/{name}" for name in ("channel_study", "comparison", "eog_gain", "counts")
)
HEIGHT_IN, ROW_IN = 4.2, 0.17


def plot_channel_numbers(tables: Tables, published: pd.DataFrame) -> Figure:
    """AnySleep with and without EOG and U-Sleep's vote; below, how sure their differences are.

    Lines are means over trained networks, bars 95 % intervals by person (means of the networks' bounds), stars the
    published test of with against without EOG. The published values stand in grey beside those of the published data
    sets only: nights of others may be easier or harder.
    """
    if STUDY not in tables:
        return note_missing(STUDY, HEIGHT_IN)
    curve = average_trained(tables[STUDY], ["network", "n_eeg", "n_eog"], ["mf1", "low", "high"])
    gain, names = one_eog(tables.get(GAIN)), list(tables[COUNTS].dataset.unique())
    written = [*rows_of_comparison(tables.get(COMPARISON)), *rows_of_gain(gain)]
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
    ax.legend(
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        title="bars: 95 % interval by person\nstars: better than without EOG,\nWelch as published",
        title_fontsize=7,
    )
    return ax


def draw_stars(gain: pd.DataFrame, curve: pd.DataFrame, ax: Axes) -> Axes:
    """Above the points with EOG: * p < .05, ** < .01, *** < .001 of the published test."""
    high = curve[curve.n_eog == 1].set_index(["network", "n_eeg"]).high
    for row in gain.itertuples():
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

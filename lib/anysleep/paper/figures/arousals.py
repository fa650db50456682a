"""Arousals: stages within the experts', how well they are found, by resolution; and one stretch of a night."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.arousals.events import HEADLINE_IOU
from anysleep.analysis.arousals.excerpt import PROBABILITIES
from anysleep.figures import arousals as figures
from anysleep.figures.looks import PUBLISHED, Look, look_of
from anysleep.figures.night import DEEP_FIRST
from anysleep.paper.figures.style import PAGE_IN, draw_band, finer_right, legend_below, note_missing, with_seconds
from anysleep.paper.results import MASS
from anysleep.paper.runs import Tables, average_trained
from anysleep.stages import STAGE_COLOURS, STAGES

EXCERPT = ("excerpt_signals", "excerpt_spectrogram", "excerpt_stages")
SCORES, SHARES = "06_arousals/scores", "06_arousals/stage_shares"
HEIGHT_IN = 5.2
MARKERS = "os^Dv"
"""One a stage."""
DARKER_N1 = "#B8A800"
"""The yellow of N1, dark enough for a line on white."""


def plot_arousal_scores(tables: Tables, published: pd.DataFrame) -> Figure:
    """Share of arousal time per stage; precision, recall and F1, one-to-one and as published, with published values.

    Bands are 95 % intervals by person (means over trained networks of one architecture: AnySleep where there is one).
    """
    if SCORES not in tables or SHARES not in tables:
        return note_missing(SCORES if SCORES not in tables else SHARES)
    figure, axes = plt.subplots(2, 2, figsize=(PAGE_IN, HEIGHT_IN), layout="constrained")
    draw_shares(of_one_network(tables[SHARES]), published, axes[0, 0])
    for ax, measure in zip(axes.flat[1:], ("precision", "recall", "f1"), strict=True):
        draw_scores(of_one_network(tables[SCORES]), published, measure, ax)
    axes[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=6, columnspacing=1)
    legend_below(figure, list(axes.flat[1:]), n_columns=3)
    return figure


def of_one_network(table: pd.DataFrame) -> pd.DataFrame:
    """AnySleep's rows where there are some, of the first data sets by name of the run."""
    network = "anysleep" if (table.network == "anysleep").any() else table.network.iloc[0]
    rows = table[table.network == network]
    datasets = MASS if (rows.datasets == MASS).any() else rows.datasets.iloc[0]
    return rows[rows.datasets == datasets]


def draw_shares(shares: pd.DataFrame, published: pd.DataFrame, ax: Axes) -> Axes:
    """A line for each stage."""
    means = average_trained(shares, ["stage", "seconds_per_prediction"], ["share", "low", "high"])
    rows = with_seconds(published[published.result == "stage_share_of_arousal_time"])
    for code, marker in zip(DEEP_FIRST[::-1], MARKERS, strict=True):
        stage, colour = STAGES[code], STAGE_COLOURS[code]
        colour = DARKER_N1 if stage == "N1" else colour
        draw_band(ax, means[means.stage == stage], "share", Look(stage, colour, marker, "-"), stage)
        if shares.datasets.iloc[0] == MASS:
            line, name = rows[rows.stage == stage], "published" if stage == STAGES[0] else "_"
            ax.plot(line.seconds_per_prediction, line.value, marker=marker, label=name, **PUBLISHED)
    finer_right(ax).set(ylabel="share of experts' arousal time", ylim=(0, None))
    return ax


def draw_scores(scores: pd.DataFrame, published: pd.DataFrame, measure: str, ax: Axes) -> Axes:
    """One measure at IoU above 0.2; the headline pairs events one to one."""
    rows = scores[(scores.measure == measure) & np.isclose(scores.iou_above, HEADLINE_IOU)]
    by, values = ["network", "matching", "seconds_per_prediction"], ["estimate", "low", "high"]
    means, name = average_trained(rows, by, values), look_of(rows.network.iloc[0]).name
    ways = {"one_to_one": ("one to one", "#0072B2", "o", "-"), "as_published": ("as published", "#D55E00", "s", "--")}
    for matching, (way, *look) in ways.items():
        draw_band(ax, means[means.matching == matching], "estimate", Look(name, *look), f"{name}, matched {way}")
    if scores.datasets.iloc[0] == MASS:
        line = with_seconds(published[published.result == "arousal_scores_as_published"])
        line = line[line.measure == measure]
        ax.plot(line.seconds_per_prediction, line.value, marker="s", label="published: AnySleep", **PUBLISHED)
    axis_name = "F1" if measure == "f1" else measure
    finer_right(ax).set(ylabel=f"{axis_name} (IoU above {HEADLINE_IOU:g})", ylim=(0, None))
    return ax


def plot_arousal_excerpt(tables: Tables) -> Figure:
    """One stretch of a night, of the first run by name that has probabilities, or, where none has, of the first."""
    if any(f"06_arousals/{name}" not in tables for name in EXCERPT):
        return note_missing("06_arousals/excerpt_signals")
    stages = tables["06_arousals/excerpt_stages"]
    sure = stages.dropna(subset=PROBABILITIES)
    run = (sure if len(sure) else stages).run.iloc[0]
    names = [*EXCERPT, "excerpt_hypnogram", "excerpt_events"]
    none = pd.DataFrame(columns=["run", "source", "onset_s", "end_s", "stage"])
    given = {name: tables.get(f"06_arousals/{name}", none) for name in names}
    chosen = {name: table[table["run"] == run] for name, table in given.items()}
    night = chosen["excerpt_stages"].iloc[0]
    title = f"{night.recording} ({night.dataset}), {run.split('/')[-1]}"
    return figures.plot_close_up(chosen, title, size_in=(PAGE_IN, HEIGHT_IN))

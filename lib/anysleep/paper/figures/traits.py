"""What a finer resolution changes: age, sex and OSA that are told from the predictions, and sleep statistics."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.figures.looks import PUBLISHED, look_of
from anysleep.figures.traits import CHANGING, plot_statistic
from anysleep.paper.figures.style import PAGE_IN, draw_band, finer_right, legend_below, note_missing, with_seconds
from anysleep.paper.results import DOD, TRAITS, nearest_first
from anysleep.paper.runs import Tables, average_trained

SUMMARY = "07_traits/summary"
HEIGHT_IN = 2.9
ORDER = ("age", "sex", "group", "dataset")
MEASURES = {"rmse": "RMSE in years (lower is better)", "mf1": "MF1"}


def plot_traits(tables: Tables, published: pd.DataFrame) -> Figure:
    """A panel for each trait and its data sets: ours with the 95 % interval by person, baseline, control, published.

    Grey bars are the published sd. The published line is drawn only beside the same data sets.
    """
    if SUMMARY not in tables:
        return note_missing(SUMMARY)
    summary = nearest_first(tables[SUMMARY])
    panels = summary[["trait", "datasets", "measure"]].drop_duplicates()
    panels = panels.sort_values("trait", key=lambda names: names.map(ORDER.index), kind="stable")
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(PAGE_IN, HEIGHT_IN * n_rows), squeeze=False, layout="constrained"
    )
    for ax, panel in zip(axes.flat, panels.itertuples(index=False), strict=False):
        same = (summary.trait == panel.trait) & (summary.datasets == panel.datasets)
        draw_trait(summary[same & (summary.measure == panel.measure)], published, ax)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    legend_below(figure, list(axes.flat), n_columns=3)
    return figure


def draw_trait(rows: pd.DataFrame, published: pd.DataFrame, ax: Axes) -> Axes:
    """One trait of the same data sets; a line for each network and way of grouping. Of several p the largest."""
    trait, datasets, measure = rows[["trait", "datasets", "measure"]].iloc[0]
    by = ["network", "group_by", "seconds_per_prediction"]
    means = average_trained(rows, by, ["mean", "low", "high", "baseline", "control"])
    means = means.merge(rows.groupby(by).p.max().reset_index(), on=by)
    for i, ((network, group_by), line) in enumerate(means.groupby(["network", "group_by"], sort=False)):
        look, line = look_of(network), line.sort_values("seconds_per_prediction")
        persons = "by person" if group_by == "subject" else "by recording"
        look = look if group_by == "subject" else look._replace(line=":")
        draw_band(ax, line, "mean", look, f"{look.name}, folds {persons}")
        for tested in line.dropna(subset="p").itertuples():
            style = {"transform": ax.get_xaxis_transform(), "ha": "center", "fontsize": 6, "color": look.colour}
            y = 0.03 + 0.06 * i if measure == "rmse" else 0.94 - 0.06 * i  # away from the curve
            ax.text(tested.seconds_per_prediction, y, f"p={tested.p:.2g} ({persons})", **style)
    line = means[means.group_by == means.group_by.max()].sort_values("seconds_per_prediction")  # subject, if there
    ax.plot(line.seconds_per_prediction, line.baseline, color="black", linestyle="--", linewidth=0.8, label="guess")
    ax.plot(line.seconds_per_prediction, line.control, "kx", label="persons shuffled" if line.control.any() else "_")
    draw_published(published, trait, datasets, ax)
    classes = rows.classes.dropna() if "classes" in rows else ()
    name = f"{trait}: {classes.iloc[0]}\n{datasets}" if len(classes) else f"{trait}\n{datasets}"
    name = "OSA (DOD-O against DOD-H)" if trait == "dataset" and datasets == DOD else name
    ax.margins(y=0.18)
    finer_right(ax).set(ylabel=MEASURES[measure], title=name)
    return ax


def draw_published(published: pd.DataFrame, trait: str, datasets: str, ax: Axes) -> None:
    """The published values of this trait and these data sets, with their sd; nothing where there are none."""
    for result, of_trait, of_datasets, _, network in TRAITS:
        rows = with_seconds(published[published.result == result])
        if (of_trait, of_datasets) == (trait, datasets) and len(rows):
            look = look_of(network)
            style = PUBLISHED | {"marker": look.marker, "elinewidth": 0.6, "linestyle": look.line}
            sd = rows.sd.fillna(0)
            ax.errorbar(
                rows.seconds_per_prediction, rows.value, sd, label=f"published: {look.name} (bars: sd)", **style
            )


STATISTICS = "05_predict/statistics"
PANEL_IN = 1.7


def plot_statistics(tables: Tables) -> Figure:
    """The change within a night from its coarsest resolution: median over nights, and the middle half of the nights."""
    if STATISTICS not in tables:
        return note_missing(STATISTICS)
    once = one_run_each(tables[STATISTICS])
    figure, axes = plt.subplots(3, 3, figsize=(PAGE_IN, 3 * PANEL_IN + 0.5), sharex=True, layout="constrained")
    for ax, name in zip(axes.flat, (*CHANGING, "%N2", "%N3", "%REM"), strict=True):
        if name in once:
            finer_right(plot_statistic(once, name, ax))
        else:
            ax.set_axis_off()
    for ax in axes[:2].flat:
        ax.set_xlabel("")
    legend_below(figure, list(axes.flat), n_columns=4)
    return figure


def one_run_each(statistics: pd.DataFrame) -> pd.DataFrame:
    """Of each trained network and night the run with most resolutions, as changes count within one montage."""
    night = ["trained", "dataset", "recording"]
    sizes = statistics.groupby([*night, "run"], sort=False).seconds_per_prediction.nunique().reset_index(name="n")
    chosen = sizes.sort_values("n", ascending=False, kind="stable").drop_duplicates(night)
    return statistics.merge(chosen[[*night, "run"]], on=[*night, "run"])

"""What a finer resolution changes: sleep statistics, transition triplets, and how well these tell a trait."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.definitions import STATISTICS
from anysleep.analysis.statistics import change_from_coarsest
from anysleep.analysis.traits.transitions import TRIPLETS
from anysleep.figures.looks import look_of, new_axes, resolution_colours, seconds_axis, seconds_text
from anysleep.stages import EPOCH_S, STAGE_COLOURS, STAGES

OURS, BASELINE, CONTROL = "#0072B2", "#666666", "#D55E00"
NAME_OF = {"rmse": "error in years (RMSE)", "mf1": "MF1 of the two classes"}
BASELINES = {"rmse": "baseline: mean age of the others", "mf1": "baseline: a fair coin"}


def plot_triplet_counts(counts: dict[int, np.ndarray], n_hours: float, ax: Axes) -> Axes:
    """The ten commonest triplets in events an hour, a dot a resolution, from counts (blocks, 80) by resolution.

    `n_hours` is how long these blocks last together.
    """
    per_hour = pd.DataFrame({r: blocks.sum(axis=0) for r, blocks in counts.items()}, index=TRIPLETS) / n_hours
    shown = per_hour.loc[(per_hour / per_hour.max()).max(axis=1).nlargest(10).index].rename(index=triplet_name)
    for r, colour in resolution_colours(counts).items():
        some = shown[r][shown[r] > 0]
        ax.plot(
            some, some.index, "o", color=colour, markeredgecolor="0.3", markersize=8, label=seconds_text(EPOCH_S / r)
        )
    ax.set_yticks(range(len(shown)), shown.index)  # in this order, also those that a resolution lacks
    ax.set(xlabel="triplets an hour of sleep (no dot: none)", xscale="log", ylim=(len(shown) - 0.5, -0.5))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
    ax.legend(title="s per prediction", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


def plot_commonest_triplets(
    counts: Mapping[int, Sequence[np.ndarray]], recordings: Sequence[str], recording: str, predictions_per_epoch: int
) -> Axes:
    """The ten commonest triplets of a night, in the colour of the stage in their middle.

    `counts` has resolution -> (blocks, 80) of each of the `recordings`.
    """
    of_night = counts[predictions_per_epoch][recordings.index(recording)].sum(axis=0)
    top = np.argsort(of_night, kind="stable")[::-1][:10]
    title = f"{recording}, a prediction every {seconds_text(EPOCH_S / predictions_per_epoch)} s"
    ax = new_axes(7, 3.6, f"{title}: {of_night.sum():,} triplets")
    ax.barh(range(10), of_night[top], color=[STAGE_COLOURS[int(TRIPLETS[i][1])] for i in top])
    ax.set_yticks(range(10), [triplet_name(TRIPLETS[i]) for i in top])
    ax.set(xlabel="how often in the night (colour: the stage that was visited)", ylim=(9.5, -0.5))
    return ax


def plot_trait_scores(summary: pd.DataFrame, ax: Axes) -> Axes:
    """Score against seconds per prediction, with interval, baseline and control, from `traits.summary_table`.

    A p-value stands at the score that it belongs to.
    """
    rows = summary.sort_values("seconds_per_prediction")
    x = rows.seconds_per_prediction
    interval = {"color": OURS, "alpha": 0.15, "label": "95 % interval by person"}
    if len(rows) > 1:
        ax.fill_between(x, rows.low, rows.high, linewidth=0, **interval)
    else:
        ax.vlines(x, rows.low, rows.high, linewidth=8, **interval)
    ax.errorbar(x, rows["mean"], rows.sd, color=OURS, marker="o", capsize=3, label="forests, mean ± sd of repetitions")
    ax.axhline(rows.baseline.iloc[0], color=BASELINE, linestyle="--", label=BASELINES[rows.measure.iloc[0]])
    if rows.control.notna().any():
        ax.plot(x, rows.control, "x", color=CONTROL, markeredgewidth=2, zorder=4, label="control: persons shuffled")
    tested = rows[rows.p.notna()]
    if len(tested):
        name = f"what p belongs to: the mean with {tested.test_folds.iloc[0]} folds"
        ax.plot(tested.seconds_per_prediction, tested.tested_score, "D", color=OURS, fillstyle="none", label=name)
    for row in tested.itertuples():
        place = row.seconds_per_prediction, row.tested_score
        ax.annotate(f"p = {row.p:.2g}", place, (0, 8), textcoords="offset points", ha="center")
    seconds_axis(x, ax)
    ax.set(ylabel=NAME_OF[rows.measure.iloc[0]])
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_predicted_traits(predictions: pd.DataFrame, ax: Axes, classes: Sequence[str]) -> Axes:
    """What the forests say of each recording over all repetitions, from `traits.predicted_table` at one resolution.

    Ages: the mean prediction against the true age. Classes: how often the second one was said, by true class.
    """
    if not classes:
        means = predictions.groupby(["dataset", "recording"])[["truth", "prediction"]].mean()
        ends = [means.min().min() - 2, means.max().max() + 2]
        ax.plot(ends, ends, color=BASELINE, linestyle=":", label="predicted right")
        ax.plot(means.truth, means.prediction, "o", color=OURS, alpha=0.7, label="a recording")
        ax.set(xlabel="age in years", ylabel="age that the forests say")
        ax.legend(frameon=False)
        return ax
    said = predictions.assign(said=predictions.prediction == classes[-1])
    shares = said.groupby(["dataset", "recording", "truth"]).said.mean().reset_index()
    spread = np.random.default_rng(0).uniform(-0.2, 0.2, len(shares))
    ax.plot(shares.truth.map(list(classes).index) + spread, shares.said, "o", color=OURS, alpha=0.7)
    ax.axhline(0.5, color=BASELINE, linestyle=":")
    ax.set(xticks=range(2), xticklabels=classes, xlim=(-0.5, 1.5), ylim=(-0.05, 1.05), xlabel="true class")
    ax.set_ylabel(f"share of repetitions that say {classes[-1]}")
    return ax


def plot_permutation(shuffled: np.ndarray, score: float, n_folds: int, measure: str, ax: Axes) -> Axes:
    """Scores of shuffled traits (n,) and where the true one lies, all of so many folds."""
    ax.hist(
        shuffled, bins="auto", color="lightgrey", edgecolor="grey", label=f"{len(shuffled)} shuffles of the persons"
    )
    ax.axvline(score, color=OURS, linewidth=2, label="the trait as it is")
    ax.set(xlabel=f"{NAME_OF[measure]}, {n_folds} folds", ylabel="shuffles")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return ax


def plot_scorers(scorers: pd.DataFrame, ax: Axes) -> Axes:
    """Kappa of each scorer with the consensus of the others, a point a night, from `scorers.compare_scorers`."""
    names = sorted(scorers.dataset.unique())
    for i, (dataset, rows) in enumerate(scorers.groupby("dataset")):
        spread = np.random.default_rng(0).uniform(-0.08, 0.08, len(rows)) + 0.3 * (i - (len(names) - 1) / 2)
        ax.plot(rows.scorer + spread, rows.kappa, ".", alpha=0.5, label=dataset)
    ax.set(xlabel="scorer", ylabel="kappa with the consensus of the others", xticks=sorted(scorers.scorer.unique()))
    ax.legend(frameon=False)
    return ax


def triplet_name(triplet: str) -> str:
    """'212' is 'N2 N1 N2'."""
    return " ".join(STAGES[int(code)] for code in triplet)


CHANGING = ("TST", "WASO", "SOL", "SFI", "n_short_awakenings", "%N1")
"""The statistics that are drawn: those that change most."""
SUBJECT = (
    "Change from the coarsest resolution: median, and the middle half of the nights.\n"
    "An awakening below 30 s is any run of Wake in sleep: where the predictions flicker, nobody need have woken."
)


def plot_statistic_changes(table: pd.DataFrame) -> Figure:
    """The change of each statistic from the coarsest resolution, an axes a statistic.

    `table` is that of `statistics_table`.
    """
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.5), sharex=True, layout="constrained")
    for ax, name in zip(axes.flat, CHANGING, strict=True):
        plot_statistic(table.assign(network="anysleep"), name, ax)
        seconds_axis(table.seconds_per_prediction, ax)
    for ax in axes[0]:
        ax.set_xlabel("")
    figure.suptitle(SUBJECT, x=0.01, ha="left", fontsize="medium")
    return figure


def plot_statistic(table: pd.DataFrame, name: str, ax: Axes) -> Axes:
    """Median over nights of the change within a night, and where the middle half of the nights lies; by network."""
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
    unit, levels, n_drawn = STATISTICS[name].unit.replace("count", "a night"), [], 0
    for network, rows in table.groupby("network", sort=False):
        (changes, coarsest), look = change_from_coarsest(rows, name), look_of(network)
        low, middle, high = (changes.quantile(share) for share in (0.25, 0.5, 0.75))
        label = f"{look.name}: median change over nights, band: middle half of them"
        ax.fill_between(middle.index, low, high, color=look.colour, alpha=0.2, linewidth=0)
        ax.plot(middle.index, middle, color=look.colour, marker=look.marker, linestyle=look.line, label=label)
        levels += [f"{coarsest.median():.3g}"] if len(changes) else []
        n_drawn += len(changes)
    n_nights = len(table.drop_duplicates([column for column in ("trained", "dataset", "recording") if column in table]))
    level = f"median {' and '.join(levels)} {unit} at {table.seconds_per_prediction.max():g} s"
    part = f"\n{n_drawn} of {n_nights} nights" if n_drawn < n_nights else ""
    ax.set_title(f"{STATISTICS[name].title}\n{level if levels else 'not defined'}{part}", loc="left", fontsize="medium")
    ax.set_ylabel(f"change ({unit})")
    return ax

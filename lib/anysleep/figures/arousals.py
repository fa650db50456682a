"""Arousals: the rule, the events of expert and network side by side, their scores."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from anysleep.analysis.arousals.events import HEADLINE_IOU, match_arousals
from anysleep.analysis.arousals.excerpt import PROBABILITIES
from anysleep.figures.looks import resolution_colours, seconds_axis, seconds_text
from anysleep.figures.night import DEEP_FIRST, DEPTH, POLARITY, plot_hypnodensity, plot_hypnogram
from anysleep.stages import EPOCH_S, STAGE_COLOURS, STAGES, UNSCORED

EXPERT_COLOUR, PREDICTED_COLOUR = "#0072B2", "#D55E00"
"""Blue and vermilion of Okabe and Ito's palette."""
MEASURE_STYLES: dict[str, dict[str, Any]] = {
    "f1": {"color": "black", "marker": "o", "label": "F1"},
    "precision": {"color": "#D55E00", "marker": "s", "label": "precision"},
    "recall": {"color": "#0072B2", "marker": "^", "label": "recall"},
}
MATCHING_STYLES = {
    "one_to_one": {"color": "black", "linewidth": 2, "label": "one-to-one"},
    "many_to_one": {"color": "#CC79A7", "linewidth": 1.5, "linestyle": "--", "label": "many-to-one"},
    "as_published": {
        "color": "#009E73",
        "linewidth": 1.5,
        "linestyle": ":",
        "label": "as published (error, all nights, all marks)",
    },
}


def plot_event_scores(scores: pd.DataFrame, ax: Axes) -> Axes:
    """Precision, recall and F1 at IoU > 0.2 against seconds per prediction, from 06's table of scores.

    Bands are the intervals; crosses are the many-to-one F1.
    """
    at = scores[scores.iou_above == HEADLINE_IOU].sort_values("seconds_per_prediction")
    one = at[at.matching == "one_to_one"]
    for measure, style in MEASURE_STYLES.items():
        rows = one[one.measure == measure]
        ax.fill_between(rows.seconds_per_prediction, rows.low, rows.high, color=style["color"], alpha=0.15, linewidth=0)
        ax.plot(rows.seconds_per_prediction, rows.estimate, markersize=4, **style)
    many = at[(at.matching == "many_to_one") & (at.measure == "f1")]
    style = {"color": "#CC79A7", "linewidth": 0.8, "linestyle": "--", "marker": "x", "label": "F1, many-to-one"}
    ax.plot(many.seconds_per_prediction, many.estimate, **style)
    seconds_axis(at.seconds_per_prediction, ax)
    ax.set(ylim=(0, 1.02), ylabel=f"score at IoU > {HEADLINE_IOU}")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


def plot_matches(
    expert: pd.DataFrame,
    events: pd.DataFrame,
    title: str,
    iou_above: float,
    at_least_s: int,
    predictions_per_epoch: int,
    minute: int,
) -> Figure:
    """Ten minutes of a night: who saw an arousal, and which two match one-to-one; right, the scores of the night.

    Columns onset_s and end_s, of predicted events predictions_per_epoch, too; those shorter than `at_least_s` are left
    out, on both sides.
    """
    spans = [expert, events[events.predictions_per_epoch == predictions_per_epoch]]
    true, found = (rows[["onset_s", "end_s"]].to_numpy(dtype=float).reshape(-1, 2) for rows in spans)
    true, found = (one[one[:, 1] - one[:, 0] >= at_least_s] for one in (true, found))
    pairs = match_arousals(true, found, iou_above)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 2.4), width_ratios=[4, 1], layout="constrained")
    for y, (spans_s, matched, colour) in enumerate(
        [(found, pairs[:, 1], PREDICTED_COLOUR), (true, pairs[:, 0], EXPERT_COLOUR)]
    ):
        for i, (onset, end) in enumerate(spans_s / 60):
            face = colour if i in matched else "none"
            left.add_patch(Rectangle((onset, y - 0.3), end - onset, 0.6, facecolor=face, edgecolor=colour))
    middles = true[pairs[:, 0]].mean(axis=1) / 60, found[pairs[:, 1]].mean(axis=1) / 60
    left.plot(middles, [0.7, 0.3], color="0.4", linewidth=0.8)
    left.set(yticks=[0, 1], yticklabels=["predicted", "expert"], ylim=(-0.5, 1.5), xlim=(minute, minute + 10))
    left.set_xlabel("minutes since start (filled: matched)")
    left.set_title(
        f"{title}, a prediction every {EPOCH_S / predictions_per_epoch:.3g} s", loc="left", fontsize="medium"
    )
    _plot_measures(len(true), len(found), len(pairs), right)
    return figure


def _plot_measures(n_expert: int, n_predicted: int, n_pairs: int, ax: Axes) -> Axes:
    """Precision, recall and F1 as bars; nothing of nothing is 0."""
    of = {
        "f1": (2 * n_pairs, n_expert + n_predicted),
        "precision": (n_pairs, n_predicted),
        "recall": (n_pairs, n_expert),
    }
    for y, (measure, (part, whole)) in enumerate(of.items()):
        style = MEASURE_STYLES[measure]
        share = part / max(whole, 1)
        ax.barh(y, share, color=style["color"], height=0.6)
        ax.text(1.02, y, f"{share:.2f}", va="center", fontsize="small")
    ax.set(yticks=range(len(of)), yticklabels=[MEASURE_STYLES[name]["label"] for name in of], xlim=(0, 1))
    ax.set_title(f"{n_pairs} matches, whole night", loc="left", fontsize="small")
    ax.invert_yaxis()
    return ax


def plot_f1_by_threshold(scores: pd.DataFrame, ax: Axes) -> Axes:
    """One-to-one F1 against the threshold of the IoU, a line a resolution, darker where finer."""
    f1 = scores[(scores.matching == "one_to_one") & (scores.measure == "f1")]
    colours = resolution_colours(f1.predictions_per_epoch)
    for r, line in f1.groupby("predictions_per_epoch"):
        ax.plot(line.iou_above, line.estimate, color=colours[r], marker=".", label=seconds_text(EPOCH_S / r))
    ax.axvline(HEADLINE_IOU, color="0.7", linestyle=":", zorder=0)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="IoU that a match must exceed", ylabel="F1, one-to-one")
    ax.legend(title="s per prediction", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
    return ax


def plot_published_error(f1: pd.DataFrame, ax: Axes) -> Axes:
    """F1 against the threshold at one resolution, as published and as counted, from `published_error_table`."""
    for matching, style in MATCHING_STYLES.items():
        ax.plot(f1.iou_above, f1[matching], **style)
    ax.axvline(HEADLINE_IOU, color="0.7", linestyle=":", zorder=0)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="IoU that a match must exceed", ylabel="F1")
    ax.legend(loc="lower left", frameon=False)
    return ax


def plot_arousal_errors(errors: pd.DataFrame, ax: Axes) -> Axes:
    """Median and quartiles of how late events begin and end against seconds per prediction, from 06's `errors`."""
    styles = {"onset": (EXPERT_COLOUR, "o", 1.04), "end": (PREDICTED_COLOUR, "s", 0.96)}  # side by side
    for edge, (colour, marker, shift) in styles.items():
        rows = errors[errors.edge == edge].dropna()
        quartiles = np.abs(rows[["q25_s", "q75_s"]].to_numpy().T - rows.median_s.to_numpy())
        style = {"color": colour, "marker": marker, "linestyle": "none", "capsize": 3, "label": f"arousal {edge}"}
        ax.errorbar(rows.seconds_per_prediction * shift, rows.median_s, yerr=quartiles, **style)
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    seconds_axis(errors.seconds_per_prediction, ax)
    ax.set_ylabel("border of a matched arousal (s),\npredicted \N{MINUS SIGN} expert: late is above 0")
    ax.legend(title="median; bars: quartiles", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


def plot_arousal_index(index: pd.DataFrame, predictions_per_epoch: int, title: str = "") -> Figure:
    """Expert and predicted arousals in an hour of sleep at one resolution: one against the other, and Bland-Altman."""
    nights = index[index.predictions_per_epoch == predictions_per_epoch].dropna(
        subset=["expert_per_h", "predicted_per_h"]
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    style = {"color": "#0072B2", "alpha": 0.8}
    left.scatter(nights.expert_per_h, nights.predicted_per_h, **style)
    highest = 1.08 * max([1, *nights.expert_per_h, *nights.predicted_per_h])
    left.plot([0, highest], [0, highest], color="0.6", linestyle=":", linewidth=1)
    left.set(xlim=(0, highest), ylim=(0, highest), aspect="equal", xlabel="expert's arousals per hour of sleep")
    left.set_ylabel("predicted arousals per hour of sleep")
    left.set_title("arousal index, a point a night", loc="left", fontsize="medium")

    difference = nights.predicted_per_h - nights.expert_per_h
    right.scatter((nights.predicted_per_h + nights.expert_per_h) / 2, difference, **style)
    right.axhline(0, color="0.6", linestyle=":", linewidth=1)
    bias, spread = difference.mean(), 1.96 * difference.std()
    lines = {"bias": bias, "bias + 1.96 SD": bias + spread, "bias \N{MINUS SIGN} 1.96 SD": bias - spread}
    for name, height in lines.items():
        if np.isfinite(height):
            right.axhline(height, color="black", linewidth=1, linestyle="-" if name == "bias" else "--")
            right.text(1.01, height, f"{name}\n{height:+.1f}", transform=right.get_yaxis_transform(), va="center")
    right.margins(y=0.2)
    right.set(xlabel="mean of both indices (1/h)", ylabel="predicted \N{MINUS SIGN} expert index (1/h)")
    right.set_title("difference against mean (Bland-Altman)", loc="left", fontsize="medium")
    every = f"a prediction every {seconds_text(EPOCH_S / predictions_per_epoch)} s"
    figure.suptitle(f"{title}, {every}".removeprefix(", "), x=0.01, ha="left", fontsize="medium")
    return figure


def plot_arousal_stage_shares(shares: pd.DataFrame, ax: Axes) -> Axes:
    """Stages predicted inside expert arousals, from 06's table: a stacked bar a resolution, the coarsest first.

    Stages lie above each other as in a hypnodensity.
    """
    table = shares.pivot(index="predictions_per_epoch", columns="stage", values="share")[list(STAGES)]
    places, below = np.arange(len(table)), np.zeros(len(table))
    for name, colour in ((STAGES[stage], STAGE_COLOURS[stage]) for stage in DEEP_FIRST):
        ax.bar(places, table[name], bottom=below, color=colour, label=name, width=0.8)
        below = below + table[name].to_numpy()
    ax.set(xlim=(-0.6, len(table) - 0.4), ylim=(0, 1), xlabel="seconds per prediction")
    ax.set_xticks(places, [seconds_text(EPOCH_S / r) for r in table.index], rotation=45 if len(table) > 6 else 0)
    ax.set_ylabel("share of the experts' arousal time")
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


SOURCES = {"expert": EXPERT_COLOUR, "predicted": PREDICTED_COLOUR}
HEIGHTS = {"spectrogram": 1.6, "eeg": 1.2, "hypnogram": 1.3, "hypnodensity": 1.2, "events": 0.6}
"""Of the axes from top to bottom, relative to each other."""
DEEPNESS = pd.Series({name: DEPTH[code] for code, name in enumerate(STAGES)} | {"unscored": np.nan})
"""Stage by name -> height in a hypnogram."""


def plot_close_up(tables: Mapping[str, pd.DataFrame], title: str, size_in: tuple[float, float] = (11, 6.9)) -> Figure:
    """Spectrogram, EEG, hypnogram over hypnodensity, expert and predicted arousals, from 06's tables `excerpt_...`.

    Events are shaded over all axes; without probabilities there is no hypnodensity.
    """
    stages, events = tables["excerpt_stages"], tables["excerpt_events"]
    heights = dict(HEIGHTS)
    if stages[PROBABILITIES].isna().all(axis=None):
        del heights["hypnodensity"]
        title += "; no probabilities: run 05_predict with write_logits"
    ratios = {"height_ratios": list(heights.values())}
    figure, axes = plt.subplots(len(heights), 1, figsize=size_in, sharex=True, layout="constrained", **ratios)
    of = dict(zip(heights, axes, strict=True))
    plot_excerpt_spectrogram(tables["excerpt_spectrogram"], of["spectrogram"])
    plot_excerpt_signal(tables["excerpt_signals"], of["eeg"])
    plot_excerpt_stages(stages, of["hypnogram"], of.get("hypnodensity"), tables["excerpt_hypnogram"])
    plot_excerpt_events(events, of["events"])
    _shade(events[events.source == "expert"], axes[1:-1])
    seconds = tables["excerpt_signals"].second
    axes[-1].set(xlim=(seconds.min(), seconds.max()), xlabel="seconds since the start of the recording")
    axes[0].set_title(title, loc="left", fontsize="medium")
    figure.align_ylabels(axes)
    return figure


def plot_excerpt_spectrogram(table: pd.DataFrame, ax: Axes) -> Axes:
    """Power in dB from columns second, hz, db."""
    power = table.pivot(index="hz", columns="second", values="db")
    known = power.to_numpy()[np.isfinite(power.to_numpy())]
    lowest, highest = np.percentile(known, [5, 99]) if known.size else (None, None)
    style = {"shading": "nearest", "cmap": "viridis", "vmin": lowest, "vmax": highest, "rasterized": True}
    image = ax.pcolormesh(power.columns, power.index, power.to_numpy(), **style)
    ax.figure.colorbar(image, ax=ax, label="power of the\nscaled signal (dB)", pad=0.01)
    ax.set_ylabel("frequency (Hz)")
    return ax


def plot_excerpt_signal(table: pd.DataFrame, ax: Axes) -> Axes:
    """One channel, negative up, from columns second, channel, and microvolts or, where these are unknown, value."""
    known = "microvolts" in table and table.microvolts.notna().all()
    ax.plot(table.second, table.microvolts if known else table.value, color="black", linewidth=0.4)
    ax.set_ylabel(f"{table.channel.iloc[0]} ({'µV' if known else 'IQR'})\n{POLARITY}")
    ax.invert_yaxis()
    return ax


def plot_excerpt_stages(
    table: pd.DataFrame, hypnogram_ax: Axes, hypnodensity_ax: Axes | None, expert: pd.DataFrame
) -> None:
    """Stages over the expert's in grey and, where there are axes for it, their probabilities.

    Columns onset_s, end_s, stage, and of `table` p_wake ...
    """
    if len(expert):
        epochs = DEEPNESS[expert.stage].to_numpy()
        style = {"color": "0.75", "linewidth": 7, "label": "expert, 30 s", "zorder": 0}
        hypnogram_ax.hlines(epochs, expert.onset_s, expert.end_s, **style)
        hypnogram_ax.legend(loc="lower right", bbox_to_anchor=(1, 0.96), frameon=False, fontsize="small")
    times = np.append(table.onset_s, table.end_s.iloc[-1])
    codes = table.stage.map({name: code for code, name in enumerate(STAGES)}).fillna(UNSCORED).astype(int)
    plot_hypnogram(codes.to_numpy(), times, hypnogram_ax).set_ylabel("predicted")
    if hypnodensity_ax is not None:
        plot_hypnodensity(table[PROBABILITIES].to_numpy(), times, hypnodensity_ax)
        style = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.94), "ncols": len(STAGES), "frameon": False}
        handles, labels = hypnodensity_ax.get_legend_handles_labels()
        hypnodensity_ax.legend(handles[::-1], labels[::-1], fontsize="small", **style)


def plot_excerpt_events(table: pd.DataFrame, ax: Axes) -> Axes:
    """A row of bars for the expert and one for the predictions, from columns source, onset_s, end_s."""
    for row, (source, colour) in enumerate(SOURCES.items()):
        events = table[table.source == source]
        ax.barh(np.full(len(events), row), events.end_s - events.onset_s, left=events.onset_s, color=colour, height=0.7)
    ax.set(ylim=(len(SOURCES) - 0.5, -0.5), yticks=range(len(SOURCES)), yticklabels=SOURCES)
    return ax


def _shade(events: pd.DataFrame, axes: np.ndarray) -> None:
    for ax in axes:
        for event in events.itertuples():
            ax.axvspan(event.onset_s, event.end_s, color=EXPERT_COLOUR, alpha=0.12, linewidth=0, zorder=0)

"""Some minutes of a night with their arousals (AnySleep, figure 2a)."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.arousals.excerpt import PROBABILITIES
from anysleep.figures.arousals import EXPERT_COLOUR, PREDICTED_COLOUR
from anysleep.figures.hypnodensity import DEPTH, plot_hypnodensity, plot_hypnogram
from anysleep.figures.night import POLARITY
from anysleep.stages import STAGES, UNSCORED

SOURCES = {"expert": EXPERT_COLOUR, "predicted": PREDICTED_COLOUR}
HEIGHTS = {"spectrogram": 1.6, "eeg": 1.2, "hypnogram": 1.3, "hypnodensity": 1.2, "events": 0.6}
"""Of the axes from top to bottom, in inches."""
DEEPNESS = pd.Series({name: DEPTH[code] for code, name in enumerate(STAGES)} | {"unscored": np.nan})
"""Stage by name -> height in a hypnogram."""


def plot_arousal_excerpt(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Spectrogram, EEG, hypnogram over hypnodensity, expert and predicted arousals, from 06's tables `excerpt_...`.

    Events are shaded over all axes; without probabilities there is no hypnodensity.
    """
    stages, events = tables["excerpt_stages"], tables["excerpt_events"]
    heights = dict(HEIGHTS)
    if stages[PROBABILITIES].isna().all(axis=None):
        del heights["hypnodensity"]
    figure, axes = plt.subplots(
        len(heights),
        1,
        figsize=(11, 1 + sum(heights.values())),
        sharex=True,
        layout="constrained",
        height_ratios=list(heights.values()),
    )
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
    ax.figure.colorbar(image, ax=ax, label="power (dB)", pad=0.01)
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

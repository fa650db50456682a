"""One stretch of a night on a page: spectrogram, EEG, stages, and the arousals of expert and network."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from anysleep.figures.arousals import (
    plot_excerpt_events,
    plot_excerpt_signal,
    plot_excerpt_spectrogram,
    plot_excerpt_stages,
)
from anysleep.paper.figures.style import PAGE_IN, note_missing
from anysleep.paper.runs import Tables

TABLES = [f"06_arousals/excerpt_{name}" for name in ("signals", "spectrogram", "stages")]
EXPERT = "06_arousals/excerpt_hypnogram"
EVENTS = "06_arousals/excerpt_events"
HEIGHT_IN = 5.2


def plot_arousal_excerpt(tables: Tables) -> Figure:
    """Of the first run by name that has probabilities; where none has, the hypnodensity is left empty."""
    if any(name not in tables for name in TABLES):
        return note_missing(TABLES[0], HEIGHT_IN)
    probable = tables[TABLES[2]].dropna(subset=tables[TABLES[2]].filter(like="p_").columns)
    run = (probable if len(probable) else tables[TABLES[0]]).run.iloc[0]
    signals, spectrogram, stages = (tables[name][tables[name].run == run] for name in TABLES)
    none = pd.DataFrame(columns=["run", "source", "onset_s", "end_s", "stage"])
    events, expert = tables.get(EVENTS, none), tables.get(EXPERT, none)
    night = stages.iloc[0]
    figure, axes = plt.subplots(
        5, 1, figsize=(PAGE_IN, HEIGHT_IN), height_ratios=[1.3, 1, 1.1, 1.1, 0.6], sharex=True, layout="constrained"
    )
    plot_excerpt_spectrogram(spectrogram, axes[0]).set(
        ylabel="Hz", title=f"{night.recording} ({night.dataset}), {run.split('/')[-1]}"
    )
    plot_excerpt_signal(signals, axes[1])
    sure = stages.filter(like="p_").notna().all(axis=None)
    plot_excerpt_stages(stages, axes[2], axes[3] if sure else None, expert[expert["run"] == run])
    if not sure:
        text = "no probabilities: run 05_predict with write_logits"
        axes[3].text(0.5, 0.5, text, transform=axes[3].transAxes, ha="center", va="center", color="0.3")
        axes[3].set(yticks=[])
    plot_excerpt_events(events[events.run == run], axes[4])
    axes[4].set(xlim=(signals.second.min(), signals.second.max()), xlabel="seconds since the start of the recording")
    figure.align_ylabels(axes)
    return figure

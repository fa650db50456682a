"""What is in an archive: one night to look at, and as tables stages, channels that are missing or doubtful, ages."""

from datetime import datetime, time
from typing import Any

import numpy as np
import pandas as pd

from anysleep.datasets.archive import Archive
from anysleep.datasets.preparation import quality_table
from anysleep.recordings.recording import ANONYMOUS, Recording, annotation_table, samples_in
from anysleep.stages import N_STAGES, STAGES, UNSCORED

UNKNOWN = "unknown"
VERDICT_COLUMNS = ("dataset", "recording", "channel", "verdict", "reason")


def archived_night(archive: Archive, dataset: str, recording: str) -> Recording:
    """A night of the archive, as if it was read from its file; errors as of `Archive.signals`.

    Channels are in microvolts where the archive knows their scale, else in interquartile ranges, with unit 'other'.
    """
    night = dataset, recording
    eeg, eog = archive.channels_of(*night)
    channels, rate_hz, gaps_s = (*eeg, *eog), archive.sampling_rate_hz, archive.gaps(*night)
    signals, iqr_uv = archive.signals(*night, channels), archive.iqr_uv(*night, channels)
    signals *= np.where(np.isfinite(iqr_uv), iqr_uv, 1)[:, np.newaxis].astype(np.float32)
    signals[:, samples_in(gaps_s, rate_hz, signals.shape[1])] = np.nan
    spans, clock = archive.arousals(*night), archive.clock_time(*night)
    notes = [] if spans is None else [(start_s, end_s - start_s, "EEG arousal") for start_s, end_s in spans]
    off_s, on_s = archive.lights(*night).get("annotations", (None, None))
    notes += [(s, 0.0, f"Lights {name}") for s, name in ((off_s, "off"), (on_s, "on")) if s is not None]
    return Recording(
        channels,
        list(signals),
        (float(rate_hz),) * len(channels),
        tuple("uV" if np.isfinite(scale) else "other" for scale in iqr_uv),
        signals.shape[1] / rate_hz,
        annotation_table(notes),
        None if clock is None else datetime.combine(ANONYMOUS, time.fromisoformat(clock)),
        archive.hypnogram(*night),
        archive.scorers(*night),
        gaps_s,
        types=("EEG",) * len(eeg) + ("EOG",) * len(eog),
    )


def count_stages(archive: Archive, nights: pd.DataFrame) -> pd.DataFrame:
    """Epochs of each stage in every night that has a hypnogram.

    Columns dataset, recording, subject, n_epochs, the stages, unscored.
    """
    scored = nights[nights.has_hypnogram]
    hypnograms: list[Any] = [archive.hypnogram(*key) for key in zip(scored.dataset, scored.recording, strict=True)]
    counts = [np.bincount(hypnogram[hypnogram != UNSCORED], minlength=N_STAGES) for hypnogram in hypnograms]
    table = scored[["dataset", "recording", "subject", "n_epochs"]].copy()
    table[list(STAGES)] = np.reshape(counts, (-1, N_STAGES)).astype(int)
    return table.assign(unscored=table.n_epochs - table[list(STAGES)].sum(axis=1))


def stage_percentages(stages: pd.DataFrame) -> pd.DataFrame:
    """Percent of the scored epochs of each night, from `count_stages`; columns dataset, recording, n_epochs, unscored,
    and `N1 (%)` and so on.
    """
    counts = stages[list(STAGES)]
    shares = counts.div(counts.sum(axis=1), axis=0).mul(100).add_suffix(" (%)")
    return stages[["dataset", "recording", "n_epochs", "unscored"]].join(shares)


def missing_channels(archive: Archive, nights: pd.DataFrame) -> pd.DataFrame:
    """One row a channel of a data set: dataset, channel, n_recordings, n_missing, share_missing."""
    rows = []
    for dataset, group in nights.groupby("dataset", sort=False):
        eeg, eog = archive.channels(dataset)
        for channel in (*eeg, *eog):
            n_missing = sum(channel not in present for present in group.channels)
            rows.append((dataset, channel, len(group), n_missing, n_missing / len(group)))
    return pd.DataFrame(rows, columns=["dataset", "channel", "n_recordings", "n_missing", "share_missing"])


def channel_verdicts(archive: Archive, nights: pd.DataFrame) -> pd.DataFrame:
    """What the montage doctor said of every channel: dataset, recording, channel, verdict, reason.

    Recordings that were not examined have no row.
    """
    return quality_table(archive, nights).reindex(columns=list(VERDICT_COLUMNS))


def count_ages(nights: pd.DataFrame) -> pd.DataFrame:
    """Persons by decade of age (rows, the last 'unknown') and sex (columns).

    A person's age and sex are those of the first recording; a recording whose person is unknown counts as one person.
    """
    persons = nights[nights.subject.isna() | ~nights.duplicated(["dataset", "subject"])]
    decades = pd.to_numeric(persons.age, errors="coerce") // 10
    every = np.arange(decades.min(), decades.max() + 1) if decades.notna().any() else []
    names = {decade: f"{10 * decade:.0f}-{10 * decade + 9:.0f}" for decade in every}
    counts = pd.crosstab(decades.map(names).fillna(UNKNOWN), persons.sex.fillna(UNKNOWN))
    return counts.reindex([*names.values(), UNKNOWN], fill_value=0).rename_axis(index="age", columns="sex")

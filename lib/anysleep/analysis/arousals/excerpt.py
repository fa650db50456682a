"""Some minutes of one night as tables, for the figure of the arousals (AnySleep, figure 2a)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.signal import spectrogram
from scipy.special import softmax

from anysleep.analysis.arousals.tables import SPAN
from anysleep.datasets.archive import Archive
from anysleep.stages import EPOCH_S, STAGES, UNSCORED
from anysleep.staging.predictions import Predictions

WINDOW_S, STEP_S = 2, 0.5
"""Windows of the spectrogram: long enough for slow waves, short enough for an arousal."""
MAX_HZ = 30
PROBABILITIES = [f"p_{stage.lower()}" for stage in STAGES]


def excerpt_tables(
    archive: Archive,
    predictions: Predictions,
    dataset: str,
    recording: str,
    start_s: float,
    spans: Mapping[str, pd.DataFrame],
    predictions_per_epoch: int,
    length_s: int = 300,
    channel: str = "",
) -> dict[str, pd.DataFrame]:
    """What happens in so many seconds of a night, one table each; seconds count from the start of the recording.

    - excerpt_signals: second, channel, value, microvolts. The `channel`, by default an EEG channel, a central one where
      there is one, in interquartile ranges and, where the archive knows how many they have (else empty), in microvolts.
    - excerpt_spectrogram: second, hz, db. Power density of that channel in windows of 2 s.
    - excerpt_stages: onset_s, end_s, stage and the probabilities p_wake ... p_rem, empty where 05 wrote no logits. This
      resolution should be that of the predicted events in `spans`, so that the two belong together.
    - excerpt_hypnogram: onset_s, end_s, stage. The expert's epochs of 30 s that reach into the excerpt, if any.
    - excerpt_events: source, onset_s, end_s. Events of each table in `spans` (source -> onset_s, end_s of this night)
      that reach into the excerpt, uncut.

    ValueError where the night has no EEG, lacks the channel or is over before `start_s`.
    """
    channel = _channel(archive, dataset, recording, channel)
    rate_hz, signal = _signal(archive, dataset, recording, channel, start_s, length_s)
    end_s = start_s + len(signal) / rate_hz
    seconds = start_s + np.arange(len(signal)) / rate_hz
    microvolts = signal * archive.iqr_uv(dataset, recording, [channel])[0]
    return {
        "excerpt_signals": pd.DataFrame(
            {"second": seconds, "channel": channel, "value": signal, "microvolts": microvolts}
        ),
        "excerpt_spectrogram": _spectrogram(signal, rate_hz, start_s),
        "excerpt_stages": _stages(predictions, dataset, recording, predictions_per_epoch, start_s, end_s),
        "excerpt_hypnogram": _hypnogram(archive.hypnogram(dataset, recording), 1, start_s, end_s),
        "excerpt_events": _events(spans, start_s, end_s),
    }


def night_to_show(nights: pd.DataFrame, recording: str) -> pd.Series:
    """The row of a recording, of several of that name the first; empty means the first of all. KeyError without one."""
    rows = nights[nights.recording == recording] if recording else nights
    if rows.empty:
        scored = f"{', '.join(nights.recording[:10])}{' ...' if len(nights) > 10 else ''}"
        raise KeyError(f"recording {recording!r} is not among those scored (another part of the split?): {scored}")
    return rows.iloc[0]


def _channel(archive: Archive, dataset: str, recording: str, channel: str) -> str:
    """The channel to show, which the night has."""
    eeg, eog = archive.channels_of(dataset, recording)
    if channel and channel not in (*eeg, *eog):
        raise ValueError(f"{dataset}/{recording} has no channel {channel!r}; it has {', '.join([*eeg, *eog])}")
    if not channel and not eeg:
        raise ValueError(f"{dataset}/{recording} has no EEG channel to show")
    return channel or next((name for name in eeg if name.startswith("C")), eeg[0])


def _signal(
    archive: Archive, dataset: str, recording: str, channel: str, start_s: float, length_s: int
) -> tuple[int, np.ndarray]:
    """Samples per second, and the samples (T,) from `start_s` on."""
    rate_hz, first_epoch = archive.sampling_rate_hz, int(start_s // EPOCH_S)
    n_epochs = int(np.ceil(length_s / EPOCH_S)) + 1  # the excerpt may begin within an epoch
    samples = archive.signals(dataset, recording, [channel], first_epoch, n_epochs)[0]
    skipped = round((start_s - first_epoch * EPOCH_S) * rate_hz)
    signal = samples[skipped : skipped + length_s * rate_hz]
    if len(signal) < WINDOW_S * rate_hz:
        raise ValueError(
            f"start_s is {start_s:g}, but {dataset}/{recording} ends there or before; choose an earlier one"
        )
    return rate_hz, signal


def _spectrogram(signal: np.ndarray, rate_hz: int, start_s: float) -> pd.DataFrame:
    """Columns second (middle of a window), hz, db."""
    window, overlap = WINDOW_S * rate_hz, round((WINDOW_S - STEP_S) * rate_hz)
    hz, seconds, power = spectrogram(signal, rate_hz, window="hann", nperseg=window, noverlap=overlap)
    power = power[hz <= MAX_HZ]
    db = 10 * np.log10(power, out=np.full(power.shape, np.nan), where=power > 0)  # NaN where the recorder paused
    hz_of_cell, second_of_cell = np.meshgrid(hz[hz <= MAX_HZ], start_s + seconds, indexing="ij")
    return pd.DataFrame({"second": second_of_cell.ravel(), "hz": hz_of_cell.ravel(), "db": db.ravel()})


def _stages(
    predictions: Predictions, dataset: str, recording: str, r: int, start_s: float, end_s: float
) -> pd.DataFrame:
    hypnogram, logits = predictions.hypnogram(dataset, recording, r), predictions.logits(dataset, recording, r)
    table = _hypnogram(hypnogram, r, start_s, end_s)
    none = np.full((len(table), len(STAGES)), np.nan)
    first = int(start_s * r // EPOCH_S)
    hypnodensity = none if logits is None else softmax(logits[first : first + len(table)], axis=1)
    return pd.concat([table, pd.DataFrame(hypnodensity, columns=PROBABILITIES)], axis=1)


def _hypnogram(hypnogram: np.ndarray | None, r: int, start_s: float, end_s: float) -> pd.DataFrame:
    """onset_s, end_s, stage of those of r stages in 30 s that reach into the excerpt."""
    hypnogram = np.empty(0, dtype=np.int8) if hypnogram is None else hypnogram
    first, last = int(start_s * r // EPOCH_S), min(int(np.ceil(end_s * r / EPOCH_S)), len(hypnogram))
    onset_s = np.arange(first, last) * EPOCH_S / r
    names = dict(enumerate(STAGES)) | {UNSCORED: "unscored"}
    stages = [names[stage] for stage in hypnogram[first:last].tolist()]
    return pd.DataFrame({"onset_s": onset_s, "end_s": onset_s + EPOCH_S / r, "stage": stages})


def _events(spans: Mapping[str, pd.DataFrame], start_s: float, end_s: float) -> pd.DataFrame:
    tables = [table.assign(source=source)[["source", *SPAN]] for source, table in spans.items()]
    events = pd.concat(tables, ignore_index=True)
    return events[(events.onset_s < end_s) & (events.end_s > start_s)].reset_index(drop=True)

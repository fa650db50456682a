"""Archived nights staged and scored: what 03 validates with, 04 reports and 05 writes."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from anysleep.analysis.metrics import confusion_matrix, metrics_of_confusion
from anysleep.data.archive import Archive
from anysleep.inference import Staging, default_montages, majority_vote, stage_montages
from anysleep.models import SleepNetwork

Montage = tuple[str, ...]


def stage_night(
    model: SleepNetwork,
    archive: Archive,
    dataset: str,
    recording: str,
    *,
    resolutions: Sequence[int] = (1,),
    channels: Sequence[str] = (),
) -> dict[Montage, Staging]:
    """Stage one archived night with all its channels at once; U-Sleep with every pair of EEG and EOG.

    `channels` restricts the choice. ValueError where archive and network differ in sampling rate or no channel is
    left, KeyError where a channel is missing.
    """
    if archive.sampling_rate_hz != model.sampling_rate_hz:
        raise ValueError(
            f"the archive has {archive.sampling_rate_hz} Hz, the network needs {model.sampling_rate_hz} Hz; "
            "prepare the archive at that rate"
        )
    eeg, eog = archive.channels_of(dataset, recording)
    unknown = [name for name in channels if name not in (*eeg, *eog)]
    if unknown:
        raise KeyError(f"{dataset}/{recording} has no channel {', '.join(unknown)}; it has {', '.join([*eeg, *eog])}")
    if channels:
        eeg, eog = ([name for name in names if name in channels] for names in (eeg, eog))
    names = [*eeg, *eog]
    stagings = stage_montages(
        model,
        archive.signals(dataset, recording, names),
        montages=default_montages(model, len(eeg), len(eog)),
        resolutions=resolutions,
    )
    return {tuple(names[i] for i in montage): staging for montage, staging in stagings.items()}


def voted_hypnogram(stagings: dict[Montage, Staging], predictions_per_epoch: int) -> np.ndarray:
    """One hypnogram int8 (P,) from all montages of a night, by majority."""
    return majority_vote([staging.hypnogram(predictions_per_epoch) for staging in stagings.values()])


def confusion_of_night(model: SleepNetwork, archive: Archive, dataset: str, recording: str) -> np.ndarray:
    """The confusion matrix (5, 5) of one archived night, which needs a hypnogram."""
    stages = voted_hypnogram(stage_night(model, archive, dataset, recording), 1)
    return confusion_matrix(archive.hypnogram(dataset, recording), stages)


def warn_of_synthetic_training(model: SleepNetwork, all_synthetic: bool) -> None:
    """A warning where a network that has only seen synthetic nights is to judge others."""
    synthetic = model.provenance.get("synthetic", model.provenance.get("data") == ["synthetic"])
    if synthetic and not all_synthetic:
        warnings.warn(
            "this network has only ever seen synthetic nights; what it says of a real one means nothing", stacklevel=2
        )


def score_table(nights: pd.DataFrame, confusions: list[np.ndarray]) -> pd.DataFrame:
    """Scores at three levels: all nights together, every data set, every recording.

    Counts are summed before scores are computed (AnySleep, methods: evaluation). Columns level, dataset, recording,
    subject, then those of `stage_metrics`.
    """
    stacked = np.stack(confusions)
    rows = [{"level": "all"} | metrics_of_confusion(stacked.sum(axis=0)).to_dict()]
    for dataset, positions in nights.reset_index(drop=True).groupby("dataset").groups.items():
        scores = metrics_of_confusion(stacked[positions].sum(axis=0))
        rows.append({"level": "dataset", "dataset": dataset} | scores.to_dict())
    for night, confusion in zip(nights.itertuples(), confusions, strict=True):
        who = {"level": "recording", "dataset": night.dataset, "recording": night.recording, "subject": night.subject}
        rows.append(who | metrics_of_confusion(confusion).to_dict())
    columns = ["level", "dataset", "recording", "subject"]
    table = pd.DataFrame(rows)
    return table[columns + [name for name in table if name not in columns]]

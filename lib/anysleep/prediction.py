"""Predictions of many nights as files under the published names, one night in memory at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.analysis.statistics import sleep_statistics, uncertainty
from anysleep.data import preprocess, read_recording
from anysleep.data.archive import Archive
from anysleep.data.channels import check_eeg_before_eog
from anysleep.data.preparation import without_path
from anysleep.evaluation import Montage, stage_night, voted_hypnogram
from anysleep.files import NpzWriter
from anysleep.inference import Staging, stage_recording
from anysleep.models import SleepNetwork

Staged = tuple[dict[Montage, Staging], np.ndarray | None]
"""The stagings of a night by montage, and its labels (E,) where it has some."""


@dataclass(frozen=True)
class Job:
    """A night that is read and staged only when `stage` is called with the resolutions."""

    dataset: str
    recording: str
    source: Path
    synthetic: bool
    stage: Callable[[Sequence[int]], Staged]


def jobs_of_archive(model: SleepNetwork, archive: Archive, channels: Sequence[str] = ()) -> list[Job]:
    """A job a night of the archive, with these channels or, by default, all."""

    def stage(dataset: str, recording: str, resolutions: Sequence[int]) -> Staged:
        stagings = stage_night(model, archive, dataset, recording, resolutions=resolutions, channels=channels)
        return stagings, archive.hypnogram(dataset, recording)

    nights = archive.recordings()[["dataset", "recording", "synthetic"]]
    return [
        Job(*key, archive.path, synthetic, partial(stage, *key)) for *key, synthetic in nights.itertuples(index=False)
    ]


def jobs_of_files(model: SleepNetwork, files: Sequence[Path], channels: Sequence[str]) -> list[Job]:
    """A job a file. The channels, which every file needs, form one montage in this order.

    ValueError where no channel is named or two files would become one recording.
    """
    if not channels:
        raise ValueError("name the channels to use: which channels of a file are EEG or EOG is not guessed")
    if not files:
        raise ValueError("there is nothing to stage: name an archive or recordings")
    if model.name == "usleep":
        check_eeg_before_eog(channels)
    stems = [file.stem for file in files]
    if len(set(stems)) < len(stems):
        raise ValueError(f"several files have the same name, so their results would: {sorted(stems)}")

    def stage(file: Path, resolutions: Sequence[int]) -> Staged:
        night = read_recording(file, channels=channels, labels="lenient")
        signals = preprocess(night.signals, night.rates_hz, model.sampling_rate_hz, names=channels)
        return {tuple(channels): stage_recording(model, signals, resolutions=resolutions)}, night.hypnogram

    return [Job("files", file.stem, file, False, partial(stage, file)) for file in files]


def write_predictions(
    model: SleepNetwork,
    jobs: Iterable[Job],
    resolutions: Sequence[int],
    path_of: Callable[[str], Path],
    *,
    write_logits: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Do every job; write `r<resolution>/predictions.npz`, `labels.npz` and, on request, `logits/predictions.npz`.

    Keys are `<dataset>_<recording>` for labels and stages (int8, majority over montages), and
    `<dataset>#<recording>#<channel>&<channel>...` (U-Sleep `#<eeg>#<eog>`) for logits, float32 (P, 5). `path_of`
    gives the path of an output from its name.

    Returns
    -------
    nights
        A row a night: dataset, recording, status, reason, n_channels, mean_confidence, mean_entropy_bits, and yasa's
        sleep statistics, all at 30 s. A night that fails is a row with the reason.
    attention
        A row a night, montage, attention module and channel: the weight, which sums to one over channels.
    """
    rows, attention = [], []
    with ExitStack() as stack:
        kinds = ["predictions", "labels", *(["logits/predictions"] if write_logits else [])]
        npz = {(r, k): stack.enter_context(NpzWriter(path_of(f"r{r}/{k}.npz"))) for r in resolutions for k in kinds}
        for job in jobs:
            row = {"dataset": job.dataset, "recording": job.recording, "status": "failed", "reason": ""}
            try:
                stagings, truth = job.stage(sorted({1, *resolutions}))
            except (OSError, ValueError, KeyError, RuntimeError) as error:  # RuntimeError: no memory left
                rows.append(row | {"reason": without_path(error, job.source)})
                continue
            key = f"{job.dataset}_{job.recording}"
            for r in resolutions:
                npz[r, "predictions"].add(key, voted_hypnogram(stagings, r))
                if truth is not None:
                    npz[r, "labels"].add(key, truth)
                if write_logits:
                    for montage, staging in stagings.items():
                        npz[r, "logits/predictions"].add(logits_key(model, job, montage), staging.logits[r])
            rows.append(row | {"status": "ok"} | _night_facts(stagings))
            attention.extend(_attention_rows(job, stagings))
    return pd.DataFrame(rows), pd.DataFrame(attention)


def logits_key(model: SleepNetwork, job: Job, montage: Montage) -> str:
    """The published key of a night's logits."""
    return f"{job.dataset}#{job.recording}#" + ("#" if model.name == "usleep" else "&").join(montage)


def _night_facts(stagings: dict[Montage, Staging]) -> dict[str, object]:
    mean_hypnodensity = np.mean([staging.hypnodensity(1) for staging in stagings.values()], axis=0)
    facts = {"n_channels": len({name for montage in stagings for name in montage})}
    return facts | uncertainty(mean_hypnodensity).to_dict() | sleep_statistics(voted_hypnogram(stagings, 1)).to_dict()


def _attention_rows(job: Job, stagings: dict[Montage, Staging]) -> Iterator[dict[str, object]]:
    for montage, staging in stagings.items():
        for module, weights in enumerate(() if staging.attention is None else staging.attention):
            for channel, weight in zip(montage, weights, strict=True):
                yield {
                    "dataset": job.dataset,
                    "recording": job.recording,
                    "montage": "&".join(montage),
                    "module": module,
                    "channel": channel,
                    "weight": float(weight),
                }

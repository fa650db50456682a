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
from anysleep.data.preparation import source_sha256
from anysleep.data.quality import examine, usable_channels, verdict_of_night
from anysleep.data.readers import read_signals
from anysleep.data.reasons import without_names
from anysleep.data.recording import Recording
from anysleep.data.timebase import epochs_in
from anysleep.evaluation import stage_night, voted_hypnogram
from anysleep.files import NpzWriter
from anysleep.inference import Staging, stage_recording
from anysleep.models import SleepNetwork
from anysleep.montages import Montage, published_key
from anysleep.stages import EPOCH_S, UNSCORED

Staged = tuple[dict[Montage, Staging], np.ndarray | None, np.ndarray]
"""The stagings of a night by montage, its labels (E,) where it has some, and the recorder's pauses (n, 2) in s."""


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
        return stagings, archive.hypnogram(dataset, recording), archive.gaps(dataset, recording)

    nights = archive.recordings()[["dataset", "recording", "synthetic"]]
    return [
        Job(*key, archive.path, synthetic, partial(stage, *key)) for *key, synthetic in nights.itertuples(index=False)
    ]


def jobs_of_files(
    model: SleepNetwork, files: Sequence[Path], channels: Sequence[str], *, name_by_file: bool = False
) -> list[Job]:
    """A job a file. The channels form one montage in this order; none named means all that the doctor says to use.

    Results are called after the files only where `name_by_file` says so, or the recording is synthetic. ValueError
    where there is no file, two would get one name, or U-Sleep is not told its two channels.
    """
    if not files:
        raise ValueError("there is nothing to stage: name an archive or recordings")
    if model.name == "usleep":
        check_eeg_before_eog(channels)

    def stage(file: Path, resolutions: Sequence[int]) -> Staged:
        night = pick_channels(read_recording(file, labels="lenient"), channels)
        signals = preprocess(
            night.signals, night.rates_hz, model.sampling_rate_hz, names=night.channels, gaps_s=night.gaps_s
        )
        return {night.channels: stage_recording(model, signals, resolutions=resolutions)}, night.hypnogram, night.gaps_s

    jobs = []
    for number, file in enumerate(files, start=1):
        name, synthetic = _name_and_origin(file, number, keep=name_by_file)
        jobs.append(Job("files", name, file, synthetic, partial(stage, file)))
    names = [job.recording for job in jobs]
    if len(set(names)) < len(names):
        raise ValueError(f"several files would get one name: {', '.join(sorted(names))}")
    return jobs


def result_name(file: Path, *, keep: bool) -> str:
    """What results of a recording are called: its file's name where `keep` says that it identifies nobody.

    Else `night-` and the first eight digits of the recording's SHA-256, as `{hash}` in a recipe.
    """
    return file.stem if keep else f"night-{source_sha256(file)[:8]}"


def pick_channels(night: Recording, channels: Sequence[str]) -> Recording:
    """The night with these channels; with none named, with all that the montage doctor says to use, EEG first.

    ValueError where one is missing, or none can be used without being named.
    """
    if channels:
        return night.pick(channels)
    quality = examine(night)
    usable = usable_channels(quality[quality.verdict == "use"])
    if not usable:
        raise ValueError(f"the montage doctor finds no channel to use ({verdict_of_night(quality)[1]}); name some")
    return night.pick(usable)


def without_gaps(hypnogram: np.ndarray, gaps_s: np.ndarray, predictions_per_epoch: int) -> np.ndarray:
    """The stages (P,), 9 where the recorder paused: there is nothing to stage."""
    paused = epochs_in(gaps_s, len(hypnogram), EPOCH_S / predictions_per_epoch)
    return np.where(paused, UNSCORED, hypnogram).astype(np.int8)


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
                stagings, truth, gaps_s = job.stage(sorted({1, *resolutions}))
            except (OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:  # torch: RuntimeError
                rows.append(row | {"reason": without_names(error, job.source)})
                continue
            key = f"{job.dataset}_{job.recording}"
            for r in resolutions:
                npz[r, "predictions"].add(key, without_gaps(voted_hypnogram(stagings, r), gaps_s, r))
                if truth is not None:
                    npz[r, "labels"].add(key, truth)
                if write_logits:
                    for montage, staging in stagings.items():
                        npz[r, "logits/predictions"].add(logits_key(model, job, montage), staging.logits[r])
            rows.append(row | {"status": "ok"} | _night_facts(stagings, gaps_s))
            attention.extend(_attention_rows(job, stagings))
    return pd.DataFrame(rows), pd.DataFrame(attention)


def logits_key(model: SleepNetwork, job: Job, montage: Montage) -> str:
    """The published key of a night's logits."""
    return published_key(job.dataset, job.recording, montage, usleep=model.name == "usleep")


def _name_and_origin(file: Path, number: int, *, keep: bool) -> tuple[str, bool]:
    """The name of the results, and whether the file says that it was simulated.

    A file that cannot be read goes by its number; what is wrong with it shows when it is staged.
    """
    try:
        synthetic = read_signals(file).synthetic
        return result_name(file, keep=keep or synthetic), synthetic
    except (OSError, ValueError):
        return (file.stem if keep else f"file-{number}"), False


def _night_facts(stagings: dict[Montage, Staging], gaps_s: np.ndarray) -> dict[str, object]:
    mean_hypnodensity = np.mean([staging.hypnodensity(1) for staging in stagings.values()], axis=0)
    facts = {"n_channels": len({name for montage in stagings for name in montage})}
    hypnogram = without_gaps(voted_hypnogram(stagings, 1), gaps_s, 1)
    return facts | uncertainty(mean_hypnodensity).to_dict() | sleep_statistics(hypnogram).to_dict()


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

"""Archived nights staged and counted: what training validates with, 04 reports and 05 writes."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from anysleep.datasets.archive import Archive
from anysleep.datasets.splits import Split, split_id
from anysleep.evaluation.calibration import fit_temperature, reliability, review_curve
from anysleep.evaluation.metrics import confusion_matrix
from anysleep.evaluation.scores import COUNTS
from anysleep.models import SleepNetwork
from anysleep.models.checkpoints import ONLY_SYNTHETIC, saw_only_synthetic
from anysleep.settings import Precision
from anysleep.stages import UNSCORED
from anysleep.staging.devices import check_device
from anysleep.staging.montages import Mode, Montage, plan_montages, published_key, staged_as
from anysleep.staging.predictions import UNKNOWN
from anysleep.staging.stage import Staging, default_montages, stage_montages
from anysleep.staging.votes import Vote, mean_log_probabilities, softmax, vote_stages
from anysleep.system.prefetch import prefetch
from anysleep.system.progress import progress

Channels = tuple[list[str], np.ndarray]
"""Names, and float32 (C, T)."""


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
    eeg, eog = archive.channels_of(dataset, recording)
    unknown = [name for name in channels if name not in (*eeg, *eog)]
    if unknown:
        raise KeyError(f"{dataset}/{recording} has no channel {', '.join(unknown)}; it has {', '.join([*eeg, *eog])}")
    if channels:
        eeg, eog = ([name for name in names if name in channels] for names in (eeg, eog))
    names = [*eeg, *eog]
    montages = [tuple(names[i] for i in montage) for montage in default_montages(model, len(eeg), len(eog))]
    return stage_named(model, archive, dataset, recording, montages, resolutions=resolutions)


def stage_named(
    model: SleepNetwork,
    archive: Archive,
    dataset: str,
    recording: str,
    montages: Iterable[Montage],
    *,
    resolutions: Sequence[int] = (1,),
) -> dict[Montage, Staging]:
    """Stage one archived night with each of these montages, once however often it is named.

    Signals are read once, and all montages go through one call of `stage_montages`. ValueError and KeyError as in
    `stage_night`.
    """
    signals = read_channels(archive, dataset, recording, montages, model.sampling_rate_hz)
    return stage_channels(model, signals, montages, resolutions=resolutions)


def read_channels(
    archive: Archive, dataset: str, recording: str, montages: Iterable[Montage], sampling_rate_hz: int
) -> Channels:
    """What these montages need of an archived night. ValueError where the archive has another sampling rate."""
    if archive.sampling_rate_hz != sampling_rate_hz:
        raise ValueError(
            f"the archive has {archive.sampling_rate_hz} Hz, the network needs {sampling_rate_hz} Hz; "
            "prepare the archive at that rate"
        )
    names = list(dict.fromkeys(name for montage in montages for name in montage))
    return names, archive.signals(dataset, recording, names)


def stage_channels(
    model: SleepNetwork,
    channels: Channels,
    montages: Iterable[Montage],
    *,
    resolutions: Sequence[int] = (1,),
    precision: Precision = "32",
) -> dict[Montage, Staging]:
    """`stage_montages` for montages of names."""
    names, signals = channels
    numbered = {tuple(names.index(name) for name in montage): montage for montage in montages}
    stagings = stage_montages(model, signals, montages=list(numbered), resolutions=resolutions, precision=precision)
    return {montage: stagings[numbers] for numbers, montage in numbered.items()}


def voted_hypnogram(stagings: dict[Montage, Staging], predictions_per_epoch: int) -> np.ndarray:
    """One hypnogram int8 (P,) from all montages of a night, by majority."""
    return vote_stages([staging.logits[predictions_per_epoch] for staging in stagings.values()])


def confusion_of_night(
    model: SleepNetwork, archive: Archive, dataset: str, recording: str, *, pair_seed: int | None = None
) -> np.ndarray:
    """The confusion matrix (5, 5) of one archived night, which needs a hypnogram.

    With a `pair_seed` U-Sleep reads one random pair of EEG and EOG, as in its validation, instead of the vote of all.
    The night's name and the seed decide which. Other networks read all channels in any case.
    """
    channels: tuple[str, ...] = ()
    if pair_seed is not None and model.name == "usleep":
        rng = np.random.default_rng([pair_seed, *f"{dataset}/{recording}".encode()])
        channels = tuple(str(rng.choice(names)) for names in archive.channels_of(dataset, recording) if names)
    stages = voted_hypnogram(stage_night(model, archive, dataset, recording, channels=channels), 1)
    return confusion_matrix(archive.hypnogram(dataset, recording), stages)


@dataclass(frozen=True)
class NightCounts:
    """What a network, or the mean of several, makes of the montages of a night, or of many nights."""

    counts: pd.DataFrame
    """A row a night and montage: the plan's columns (channels and sites joined by &), network, and the counts."""
    staged: dict[str, np.ndarray]
    """Published key -> confusion matrix (5, 5) of everything staged, of U-Sleep every pair before the vote."""
    log_probabilities: np.ndarray
    """(P, 5) of all epochs, one night after the other; of U-Sleep the mean over its pairs. Nights with several
    montages are left out."""
    truth: np.ndarray
    """(P,) the expert's stages of the same epochs, 9 where unscored."""


@dataclass(frozen=True)
class Evaluation(NightCounts):
    """What a network, or the mean of several, makes of the nights of a plan."""

    failed: pd.DataFrame
    """A row a night that could not be staged: dataset, recording, reason."""


def evaluate(
    networks: Sequence[SleepNetwork],
    archive: Archive,
    plan: pd.DataFrame,
    *,
    vote: Vote = "majority",
    seed: int = 0,
    precision: Precision = "32",
) -> Evaluation:
    """Stage and count the nights of a plan, which need hypnograms; the next one is read meanwhile.

    Parameters
    ----------
    networks
        One, or several whose probabilities are averaged montage by montage.
    plan
        From `plan_montages`, for U-Sleep where `networks` are.
    vote
        How U-Sleep's pairs decide on one stage, see `vote_stages`.
    seed
        Of ties between votes.
    precision
        See `stage_recording`.

    Raises
    ------
    ValueError
        U-Sleep is to be averaged with another network, the networks differ in sampling rate, or no night can be staged.
    """
    usleep, rate_hz = _kind_of(networks)
    counting = partial(_count_night, networks, usleep=usleep, vote=vote, seed=seed, precision=precision)
    nights = list(plan.groupby(["dataset", "recording"], sort=False))

    def read(night: tuple[tuple[str, str], pd.DataFrame]) -> tuple[Channels, np.ndarray]:
        key, rows = night
        channels = read_channels(archive, *key, rows.channels, rate_hz)
        return channels, archive.hypnogram(*key)

    def count(night: tuple[tuple[str, str], pd.DataFrame], reading: Future) -> NightCounts | list[str]:
        key, rows = night
        try:
            return counting(*reading.result(), rows)
        except (OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:  # torch: RuntimeError
            check_device(next(networks[0].parameters()).device)
            error.__traceback__ = None  # it holds what was read
            return [*key, str(error)]

    outcomes = list(progress(prefetch(nights, read, count), "staged", len(nights)))
    failed = pd.DataFrame([o for o in outcomes if isinstance(o, list)], columns=["dataset", "recording", "reason"])
    results = [outcome for outcome in outcomes if isinstance(outcome, NightCounts)]
    if not results:
        raise ValueError(f"no night could be staged; of the first: {failed.reason[0]}")
    counts = pd.concat([result.counts for result in results], ignore_index=True)
    return Evaluation(
        counts.assign(network=" and ".join(sorted({network.name for network in networks}))),
        {key: matrix for result in results for key, matrix in result.staged.items()},
        np.concatenate([result.log_probabilities for result in results]),
        np.concatenate([result.truth for result in results]),
        failed,
    )


def name_checkpoints(paths: Sequence[Path], several: Literal["compare", "average"]) -> dict[str, list[Path]]:
    """What is evaluated, by the name it has in tables: every checkpoint, or the mean of all.

    A checkpoint is called after its file, or its folder where the file is only called checkpoint, with as many folders
    before it as tell all apart. ValueError where one is named twice.
    """
    if several == "average" and len(paths) > 1:
        return {f"mean of {len(paths)}": list(paths)}
    parts = [path.parent.parts if path.stem == "checkpoint" else path.with_suffix("").parts for path in paths]
    for n in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-n:]) for part in parts]
        if len(set(names)) == len(paths):
            return {name: [path] for name, path in zip(names, paths, strict=True)}
    raise ValueError(f"a checkpoint is named twice: {', '.join(map(str, paths))}")


def evaluate_validation(
    networks: Sequence[SleepNetwork],
    archive: Archive,
    recordings: pd.DataFrame,
    split: Split,
    mode: Mode,
    channels: Sequence[str] = (),
    precision: Precision = "32",
) -> Evaluation | None:
    """The split's validation nights with the montages `all` or `named`, for `calibrate`; None where there are none.

    `recordings` are those of the archive, see `with_channel_types`.
    """
    wanted = {(dataset, recording) for dataset, ids in split["valid"].items() for recording in ids}
    keys = zip(recordings.dataset, recordings.recording, strict=True)
    nights = recordings[recordings.has_hypnogram & np.array([key in wanted for key in keys], dtype=bool)]
    if mode not in ("all", "named"):
        return None
    try:
        plan = plan_montages(nights, mode, usleep=networks[0].name == "usleep", channels=channels)
    except ValueError:  # no validation night here, or none with these channels
        return None
    return evaluate(networks, archive, plan, precision=precision)


def calibrate(learned: Evaluation | None, tested: Evaluation) -> tuple[float, pd.DataFrame, pd.DataFrame]:
    """How far the probabilities of `tested` can be trusted, before and after a temperature fitted on `learned`.

    Returns
    -------
    temperature
        See `fit_temperature`; NaN where nothing was learned.
    reliability
        Columns probabilities ('as they are', 'with temperature') and those of `reliability`.
    review
        See `review_curve`, of the probabilities as they are. Both tables are empty where no night has one montage only.
    """
    if not (tested.truth != UNSCORED).any():
        columns = ["confidence", "accuracy", "n", "probabilities"], ["share_reviewed", "accuracy", "kappa", "mf1"]
        return np.nan, *(pd.DataFrame(columns=names) for names in columns)
    versions = {"as they are": tested.log_probabilities}
    temperature = np.nan
    if learned is not None and (learned.truth != UNSCORED).any():
        temperature = fit_temperature(learned.log_probabilities, learned.truth)
        versions["with temperature"] = tested.log_probabilities / temperature
    tables = [
        reliability(softmax(logits), tested.truth).assign(probabilities=name) for name, logits in versions.items()
    ]
    return temperature, pd.concat(tables), review_curve(softmax(tested.log_probabilities), tested.truth)


def check_synthetic_training(model: SleepNetwork, all_synthetic: bool, allowed: bool = False) -> None:
    """ValueError where a network that has only seen synthetic nights is to judge others; a warning where `allowed`."""
    if all_synthetic or not saw_only_synthetic(model):
        return
    if not allowed:
        raise ValueError(
            f"{ONLY_SYNTHETIC}. Take a released checkpoint, as params/mine does, or say allow_synthetic: true"
        )
    warnings.warn(ONLY_SYNTHETIC, stacklevel=2)


def warn_of_other_split(model: SleepNetwork, split: Split | None) -> None:
    """A warning where the network, or the one it was tuned from, was trained with another split than this one, or none.

    Then it may have been trained on the very persons that are to test it. Released files do not say their split.
    """
    trained_with = {provenance["split"] for provenance in _trainings(model) if "split" in provenance}
    if trained_with - ({split_id(split)} if split else set()):
        warnings.warn(
            "this network was trained with another split than this one: it may know the persons that it is scored on",
            stacklevel=2,
        )


def learned_from(model: SleepNetwork) -> list[str]:
    """Data sets that the network, or one it was tuned from, was trained on.

    Released files do not say theirs: of those there is nothing, of one tuned from them also 'unknown'.
    """
    trainings = list(_trainings(model))
    datasets = {dataset for provenance in trainings for dataset in provenance.get("data", [])}
    return sorted(datasets | ({UNKNOWN} if trainings and "fine_tuned_from" in trainings[-1] else set()))


def _trainings(model: SleepNetwork) -> Iterator[dict[str, Any]]:
    """What the network says of its training, and of those before, back to the first weights."""
    provenance = model.provenance
    while provenance:
        yield provenance
        provenance = provenance.get("fine_tuned_from")


def _kind_of(networks: Sequence[SleepNetwork]) -> tuple[bool, int]:
    """Whether they are U-Sleep, and their sampling rate. ValueError where they differ."""
    kinds = {(network.name == "usleep", network.sampling_rate_hz) for network in networks}
    if len({usleep for usleep, _ in kinds}) > 1:
        raise ValueError("U-Sleep reads pairs, the others all channels: they can be compared, but not averaged")
    if len(kinds) > 1:
        rates_hz = " and ".join(str(rate_hz) for _, rate_hz in sorted(kinds))
        raise ValueError(f"networks for {rates_hz} Hz can be compared, but not averaged")
    return kinds.pop()


def _count_night(
    networks: Sequence[SleepNetwork],
    channels: Channels,
    truth: np.ndarray,
    plan: pd.DataFrame,
    *,
    usleep: bool,
    vote: Vote,
    seed: int,
    precision: Precision,
) -> NightCounts:
    """Of one night."""
    night = (plan.dataset.iloc[0], plan.recording.iloc[0])
    parts = [staged_as(row.channels, row.n_eeg, usleep=usleep) for row in plan.itertuples()]
    needed = list(dict.fromkeys(part for several in parts for part in several))
    stagings = [stage_channels(network, channels, needed, precision=precision) for network in networks]
    logits = {part: mean_log_probabilities([staging[part].logits[1] for staging in stagings]) for part in needed}
    counts = [confusion_matrix(truth, vote_stages([logits[part] for part in several], vote, seed)) for several in parts]
    staged = {
        published_key(*night, part, usleep=usleep): confusion_matrix(truth, one.argmax(axis=1))
        for part, one in logits.items()
    }
    text = {name: ["&".join(names) for names in plan[name]] for name in ("channels", "sites")}
    table = pd.concat(
        [plan.assign(**text).reset_index(drop=True), pd.DataFrame([c.ravel() for c in counts], columns=COUNTS)], axis=1
    )
    n_kept = len(truth) if len(plan) == 1 else 0
    probabilities = mean_log_probabilities([logits[part] for part in parts[0]])[:n_kept]
    return NightCounts(table, staged, probabilities, truth[:n_kept])

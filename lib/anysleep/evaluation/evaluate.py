"""Archived nights staged and counted: what training validates with, 04 reports and 05 writes."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from anysleep.datasets.archive import Archive
from anysleep.datasets.splits import Split, split_id
from anysleep.evaluation.calibration import fit_temperature, reliability, review_curve
from anysleep.evaluation.metrics import confusion_matrix
from anysleep.evaluation.score_tables import COUNTS
from anysleep.models import SleepNetwork
from anysleep.models.checkpoints import ONLY_SYNTHETIC, saw_only_synthetic, synthetic_notice
from anysleep.settings import Precision
from anysleep.stages import UNSCORED
from anysleep.staging.devices import check_device
from anysleep.staging.montages import Mode, Montage, plan_montages, published_key, staged_as
from anysleep.staging.nights import Night, Stagings, named_montages, read_night, voted_hypnogram
from anysleep.staging.predictions import UNKNOWN
from anysleep.staging.store import StagedNights
from anysleep.staging.votes import Vote, mean_log_probabilities, softmax, vote_stages
from anysleep.system.files import DiskFull
from anysleep.system.jobs import prefetch, share_of
from anysleep.system.words import progress


def confusion_of_night(
    model: SleepNetwork, archive: Archive, dataset: str, recording: str, *, pair_seed: int | None = None
) -> np.ndarray:
    """The confusion matrix (5, 5) of one archived night, which needs a hypnogram.

    With a `pair_seed` U-Sleep reads one random pair of EEG and EOG, as in its validation, instead of the vote of all.
    The night's name and the seed decide which. Other networks read all channels in any case.
    """
    eeg, eog = archive.channels_of(dataset, recording)
    if pair_seed is not None and model.name == "usleep":
        # By the night's own name, so neither the order of nights nor the number of processes changes the pair.
        rng = np.random.default_rng([pair_seed, *f"{dataset}/{recording}".encode()])
        eeg, eog = ([str(rng.choice(names))] if names else [] for names in (eeg, eog))
    night = read_night(archive, dataset, recording, model.sampling_rate_hz, named_montages(model, eeg, eog))
    return confusion_matrix(night.truth, voted_hypnogram(night.stage(model), 1))


Used = TypeVar("Used")
PlannedNight = tuple[tuple[str, str], pd.DataFrame]
"""Data set and recording, and the rows of a plan."""


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
    hypnograms: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict, kw_only=True)
    """Data set and recording -> int8 (P,), what the network says; nights with several montages are left out."""


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
    store: Path | None = None,
) -> Evaluation:
    """Stage and count the nights of a plan, which need hypnograms; the next one is read meanwhile.

    Several `networks` have their probabilities averaged montage by montage. `plan` is from `plan_montages`, for U-Sleep
    where they are. `vote` and `seed` say how U-Sleep's pairs decide on one stage, see `vote_stages`. The folder `store`
    keeps what is staged, so that a run that was stopped goes on.

    ValueError where U-Sleep is to be averaged with another network, the networks differ in sampling rate, or no night
    can be staged.
    """
    usleep, nights = _is_usleep(networks), list(plan.groupby(["dataset", "recording"], sort=False))

    def count(night: PlannedNight, stagings: list[Stagings]) -> NightCounts:
        key, rows = night
        return _count_night(stagings, archive.hypnogram(*key), rows, usleep=usleep, vote=vote, seed=seed)

    outcomes = list(_each_staged(networks, archive, nights, count, precision, store))
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
        hypnograms={night: stages for result in results for night, stages in result.hypnograms.items()},
    )


def stage_plan(
    networks: Sequence[SleepNetwork],
    archive: Archive,
    plan: pd.DataFrame,
    shard: str = "",
    *,
    precision: Precision = "32",
    store: Path,
) -> None:
    """Stage a shard of the nights of a plan into the store, see `evaluate`, which says what was wrong with any."""
    nights = share_of(list(plan.groupby(["dataset", "recording"], sort=False)), shard)
    for _ in _each_staged(networks, archive, nights, lambda *_: None, precision, store):
        pass


def _each_staged(
    networks: Sequence[SleepNetwork],
    archive: Archive,
    nights: Sequence[PlannedNight],
    use: Callable[[PlannedNight, list[Stagings]], Used],
    precision: Precision,
    store: Path | None,
) -> Iterator[Used | list[str]]:
    """What `use` makes of each night and its stagings by each network; else data set, recording and the reason."""
    usleep = _is_usleep(networks)
    staged = [StagedNights(network, archive, precision, store) for network in networks]

    def read(night: PlannedNight) -> list[Stagings | Night]:
        key, rows = night
        needed = [part for parts in _parts(rows, usleep) for part in parts]
        return [one.read(*key, needed) for one in staged]

    def work(night: PlannedNight, reading: Future[list[Stagings | Night]]) -> Used | list[str]:
        try:
            found = zip(staged, reading.result(), strict=True)
            return use(night, [one.stage(of_network) for one, of_network in found])
        except DiskFull:  # so would every night that would come
            raise
        except (OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:  # torch: RuntimeError
            check_device(next(networks[0].parameters()).device)  # raises where the GPU is lost
            error.__traceback__ = None  # it holds what was read
            return [*night[0], str(error)]

    return progress(prefetch(nights, read, work), "staged", len(nights))


def name_checkpoints(paths: Sequence[Path], ensemble: bool) -> dict[str, list[Path]]:
    """What is evaluated, by the name it has in tables: every checkpoint, or the ensemble of all.

    A checkpoint is called after its file, or its folder where the file is only called checkpoint, with as many folders
    before it as tell all apart. ValueError where one is named twice.
    """
    if ensemble and len(paths) > 1:
        return {f"mean of {len(paths)}": list(paths)}
    parts = [path.parent.parts if path.stem == "checkpoint" else path.with_suffix("").parts for path in paths]
    for n in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-n:]) for part in parts]
        if len(set(names)) == len(paths):
            return {name: [path] for name, path in zip(names, paths, strict=True)}
    raise ValueError(f"a checkpoint is named twice: {', '.join(map(str, paths))}")


def plan_validation(
    recordings: pd.DataFrame, split: Split | None, mode: Mode, channels: Sequence[str] = (), *, usleep: bool = False
) -> pd.DataFrame:
    """A plan of the split's validation nights with the montages `all` or `named`, for `calibrate`; empty without any.

    `recordings` are those of the archive, see `with_channel_types`.
    """
    wanted = {(dataset, recording) for dataset, ids in (split or {"valid": {}})["valid"].items() for recording in ids}
    keys = zip(recordings.dataset, recordings.recording, strict=True)
    nights = recordings[recordings.has_hypnogram & np.array([key in wanted for key in keys], dtype=bool)]
    try:
        if mode in ("all", "named"):
            return plan_montages(nights, mode, usleep=usleep, channels=channels)
    except ValueError:  # no validation night here, or none with these channels
        pass
    return pd.DataFrame(columns=["dataset", "recording"])


def calibrate(learned: Evaluation | None, tested: Evaluation) -> tuple[float, pd.DataFrame, pd.DataFrame]:
    """How far the probabilities of `tested` can be trusted, before and after a temperature fitted on `learned`.

    Returns the temperature (see `fit_temperature`), NaN where nothing was learned; a table of probabilities ('as they
    are', 'with temperature') and the columns of `reliability`; and the `review_curve` of the probabilities as they are.
    Both tables are empty where no night has one montage only.
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
    """ValueError where a network that has only seen synthetic nights is to judge others.

    A warning where that is `allowed`, or the network was tried on real nights and has a card that says how it did.
    """
    if all_synthetic or not saw_only_synthetic(model):
        return
    if not (allowed or "card" in model.provenance):
        raise ValueError(
            f"{ONLY_SYNTHETIC}. Take a released one, as params/mine does, the network that comes with the workbook "
            "(checkpoint=bundled), or say allow_synthetic: true"
        )
    warnings.warn(synthetic_notice(model), stacklevel=2)


def warn_of_other_split(model: SleepNetwork, split: Split | None) -> None:
    """A warning where the network, or the one it was tuned from, was trained with another split than this one, or none.

    Then it may have been trained on the very persons that are to test it. Released files do not say their split.
    """
    trained_with = {provenance["split"] for provenance in _trainings(model) if "split" in provenance}
    if trained_with - ({split_id(split)} if split else set()):
        why = "another split than this one" if split else "a split, and none is named"
        warnings.warn(
            f"this network was trained with {why}: it may know the persons that it is scored on", stacklevel=2
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
    provenance: Any = model.provenance
    while provenance:
        yield provenance
        provenance = provenance.get("fine_tuned_from")


def _is_usleep(networks: Sequence[SleepNetwork]) -> bool:
    """Whether they are U-Sleep. ValueError where some are, or sampling rates differ."""
    if len({network.name == "usleep" for network in networks}) > 1:
        raise ValueError("U-Sleep reads pairs, the others all channels: they can be compared, but not averaged")
    rates_hz = sorted({network.sampling_rate_hz for network in networks})
    if len(rates_hz) > 1:
        raise ValueError(f"networks for {' and '.join(map(str, rates_hz))} Hz can be compared, but not averaged")
    return networks[0].name == "usleep"


def _parts(plan: pd.DataFrame, usleep: bool) -> list[list[Montage]]:
    """What is staged for each row of a plan."""
    return [staged_as(row.channels, row.n_eeg, usleep=usleep) for row in plan.itertuples()]


def _count_night(
    stagings: Sequence[Stagings], truth: np.ndarray, plan: pd.DataFrame, *, usleep: bool, vote: Vote, seed: int
) -> NightCounts:
    """The counts of one night, staged by each of the networks."""
    night, parts = (plan.dataset.iloc[0], plan.recording.iloc[0]), _parts(plan, usleep)
    # The mean over networks, for each that is staged.
    logits = {part: mean_log_probabilities([one[part].logits[1] for one in stagings]) for part in stagings[0]}
    voted = [vote_stages([logits[part] for part in voters], vote, seed) for voters in parts]
    counts = [confusion_matrix(truth, stages) for stages in voted]
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
    hypnograms = {night: voted[0]} if n_kept else {}
    return NightCounts(table, staged, probabilities, truth[:n_kept], hypnograms=hypnograms)

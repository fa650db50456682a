"""A cohort staged night by night: what is done stays done, and the published files are assembled at the end."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import date, datetime, time
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from anysleep.analysis.channel_importance import leave_one_out
from anysleep.exports import ScoredNight, without_date
from anysleep.models import SleepNetwork, load_checkpoint
from anysleep.recordings.lights import Lights, Pair
from anysleep.settings import ExportFormat, Precision
from anysleep.staging.estimate import estimate_staging
from anysleep.staging.sources import NightSource
from anysleep.system.files import NpzWriter, read_if_whole, sha256_of
from anysleep.system.jobs import share_of
from anysleep.system.words import progress
from anysleep.workbook.predicted_night import (
    Row,
    Task,
    Wanted,
    arousals_of,
    choose_devices,
    read_night_facts,
    stage_nights,
    stage_on_many,
    with_statistics,
)
from anysleep.workbook.run import Run

PUBLISHED = ("r*/predictions.npz", "r*/labels.npz", "r*/logits/predictions.npz")


def write_predictions(
    run: Run,
    checkpoint: Path,
    jobs: Sequence[NightSource],
    resolutions: Sequence[int],
    *,
    write_logits: bool = False,
    leave_one_out: bool = False,
    precision: Precision = "32",
    aligned: bool = False,
    lights: Pair = (None, None),
    exports: Sequence[ExportFormat] = (),
    device: str = "auto",
    n_devices: int = 1,
) -> dict[str, pd.DataFrame]:
    """Stage every night at 30 s and these resolutions, then publish all of them; returns tables: see `_publish`.

    Each night is written to the run's folder `store` as soon as it is staged. Called again, after it was stopped or
    because nights have failed or were added, this stages only nights that are not there, or whose source, channels,
    checkpoint, resolutions, precision or alignment have changed. However often it was stopped, the results are the
    same, on the same devices. Files of nights are never deleted. `lights` are off and on of nights that do not say it.

    ValueError where two nights would have the same key, the disk has no room for the results, the network has no such
    resolution, U-Sleep is to leave channels out, or there are fewer devices. RuntimeError where no night could be
    staged, or a device or the process that uses it was lost; what is done is kept.
    """
    network, devices = load_checkpoint(checkpoint), choose_devices(device, n_devices)
    _check_wanted(network, resolutions, leave_one_out=leave_one_out)
    _refuse_duplicates(f"{job.dataset}_{job.recording}" for job in jobs)
    sha256, distinct = sha256_of(checkpoint), tuple(dict.fromkeys(resolutions))
    wanted = Wanted(sha256, distinct, write_logits, leave_one_out, precision, aligned)
    tasks = [(wanted.file(run.store, job), job) for job in share_of(jobs, run.shard)]
    run.store.mkdir(parents=True, exist_ok=True)
    failed = _stage_missing(checkpoint, wanted, tasks, devices) if tasks else {}
    run.end_shard()
    return _publish(run, wanted, [file for file, _ in tasks], failed, network.name, lights, exports)


def _publish(
    run: Run,
    wanted: Wanted,
    files: Sequence[Path],
    failed: Mapping[Path, Row],
    network: str,
    lights: Pair,
    exports: Sequence[ExportFormat],
) -> dict[str, pd.DataFrame]:
    """Write what the nights of these files say, where they have not failed; returns tables by name.

    `r<resolution>/predictions.npz`, `labels.npz` and, on request, `logits/predictions.npz`: keys are
    `<dataset>_<recording>` for labels and stages (int8, majority over montages), and
    `<dataset>#<recording>#<channel>&<channel>...` (U-Sleep `#<eeg>#<eog>`) for logits, float32 (P, 5).
    `hypnograms/<dataset>_<recording>` is every night at 30 s, as CSV (`hypnogram_table`), as EDF+, and in the formats
    of `exports`. No file is written empty: no `labels.npz` where nobody scored.

    `nights` has a row a night: number (from 1), hypnogram (the file), network, dataset, recording, status, reason,
    verdict (use, look, do not trust) and its reason (`anysleep.analysis.verdict`), n_channels, n_epochs,
    mean_confidence, mean_entropy_bits, lights_off_s, lights_on_s, lights_from, and `night_statistics`, all at 30 s. A
    night that fails is a row with the reason; else the reason is why lights that are told count as unknown. `attention`
    has the weight of every night, montage, attention module and channel, which sums to one over channels. Where
    channels were left out, `channel_importance` has a row a night and channel, see the function of that name.
    """
    facts = [{"row": failed[file]} if file in failed else with_statistics(file, lights) for file in files]
    nights = _nights_table([night["row"] for night in facts], network)  # may mark a row of `facts` as failed
    is_ok = (nights.status == "ok").to_numpy()  # of nights of the same content the first only
    staged = list(compress(files, is_ok))
    _write_arrays(staged, wanted.outputs(), run)
    _write_hypnograms(nights[is_ok], staged, run, network, exports)
    tables = {"nights": nights}
    for name in ["attention", *(["channel_importance"] if wanted.leave_one_out else [])]:
        tables[name] = pd.DataFrame([row for night in compress(facts, is_ok) for row in night[name]])
    return tables


def _nights_table(rows: Sequence[Row], network: str) -> pd.DataFrame:
    """A row a night, those of the same content marked. RuntimeError where none could be staged."""
    _mark_duplicates(rows)
    nights = pd.DataFrame(
        {"number": i, "hypnogram": hypnogram_file(row), "network": network} | row for i, row in enumerate(rows, 1)
    )
    if not (nights.status == "ok").any():
        raise RuntimeError(f"no night could be staged, so nothing is published; the first: {nights.reason[0]}")
    return nights


def _check_wanted(network: SleepNetwork, resolutions: Sequence[int], *, leave_one_out: bool) -> None:
    """ValueError where the network cannot do it."""
    if leave_one_out and network.name == "usleep":
        raise ValueError("U-Sleep reads two channels at a time: none can be left out; set leave_one_out to false")
    for r in resolutions:
        network.samples_per_prediction(r)


def _stage_missing(
    checkpoint: Path, wanted: Wanted, tasks: Sequence[Task], devices: Sequence[torch.device]
) -> dict[Path, Row]:
    """Stage the nights whose files are not there. Returns the rows of those that failed."""
    missing = [(file, job) for file, job in tasks if read_if_whole(file, read_night_facts) is None]
    # All are published; those that are missing are written to the store before.
    _check_room(tasks[0][0].parent, sum(wanted.n_bytes(job) for _, job in (*tasks, *missing)))
    print(f"{len(tasks) - len(missing)} of {len(tasks)} nights were done before", flush=True)
    if len(devices) == 1:  # several have their own processes, and a GPU may be for one process only
        _print_estimate(load_checkpoint(checkpoint).to(devices[0]), wanted, [job for _, job in missing])
    if len(devices) > 1 and len(missing) > 1:
        outcomes = stage_on_many(checkpoint, wanted, missing, devices[: len(missing)])
    else:
        outcomes = stage_nights(checkpoint, wanted, missing, devices[0])
    with closing(outcomes):  # type: ignore[type-var]
        return {file: row for file, row in progress(outcomes, "staged", len(missing)) if row}


def _print_estimate(network: SleepNetwork, wanted: Wanted, jobs: Sequence[NightSource]) -> None:
    """Say what the longest night will take, and all. What only shows when nights are read is not counted."""
    known = [job for job in jobs if job.montages and job.n_epochs]
    if not known:
        return
    longest = max(known, key=lambda job: job.n_epochs)
    options = {"resolutions": wanted.resolutions, "precision": wanted.precision}
    montages = [*longest.montages, *(leave_one_out(len(longest.montages[0])) if wanted.leave_one_out else [])]
    try:
        estimate = estimate_staging(network, longest.n_epochs, montages, **options)
    except (ValueError, MemoryError, RuntimeError) as error:  # the night itself will say it in its row
        print(f"no estimate for the longest night: {error}", flush=True)
        return
    all_s = estimate.seconds * sum(job.n_epochs for job in known) / longest.n_epochs
    print(f"the longest night: {estimate}\nall nights: about {all_s / 60:.1f} min", flush=True)


def _write_arrays(files: Sequence[Path], outputs: Sequence[str], run: Run) -> None:
    """Write the published files from those of the nights, with one array in memory at a time.

    Those that would be empty, as the labels where nobody scored, are not written. Those that an earlier run left and
    this one does not write are removed: they may be of another network.
    """
    published: dict[str, NpzWriter] = {}
    with ExitStack() as stack:
        for file in files:
            with np.load(file) as night:
                for name in night.files:
                    output, _, key = name.partition(":")
                    if output in outputs:
                        if output not in published:
                            published[output] = stack.enter_context(NpzWriter(run.path(f"{output}.npz")))
                        published[output].add(key, night[name])
        for old in (file for pattern in PUBLISHED for file in run.folder.glob(pattern)):
            if old.relative_to(run.folder).with_suffix("").as_posix() not in published:
                old.unlink()


def hypnogram_file(row: Row) -> str:
    """Where a night's hypnogram lies, below the run's folder; empty where it has none."""
    return f"hypnograms/{row['dataset']}_{row['recording']}.csv" if row["status"] == "ok" else ""


def _write_hypnograms(
    nights: pd.DataFrame, stored: Sequence[Path], run: Run, network: str, exports: Sequence[ExportFormat]
) -> None:
    """Write every night's hypnogram, see `Run.hypnogram`; `stored` has the file of each in the store.

    What an earlier run left is removed, as in `_write_arrays`.
    """
    for row, file in zip(nights.to_dict("records"), stored, strict=True):
        clock, (off_s, on_s) = read_night_facts(file)["clock_time"], Lights.of_columns(row).noted_s
        start_time = without_date(datetime.combine(date.min, time.fromisoformat(clock))) if clock else None
        with np.load(file) as night:
            stages, hypnodensity, arousals_s = night["hypnogram"], night["hypnodensity"], arousals_of(night)
        about = {"lights_off_s": off_s, "lights_on_s": on_s, "scorer": network}
        about |= {} if arousals_s is None else {"arousals_s": arousals_s}
        scored = ScoredNight(stages, 1, start_time, hypnodensity, **about)
        run.hypnogram(row["hypnogram"].removesuffix(".csv"), scored, exports)
    for old in run.folder.glob("hypnograms/*"):
        if old.relative_to(run.folder).as_posix() not in run.outputs:
            old.unlink()


def _refuse_duplicates(keys: Iterable[str]) -> None:
    """ValueError where two nights would have the same key."""
    numbers: dict[str, int] = {}
    for number, key in enumerate(keys, start=1):
        if key in numbers:
            raise ValueError(
                f"nights {numbers[key]} and {number} would both be {key} in the results; leave one out or rename it"
            )
        numbers[key] = number


def _mark_duplicates(rows: Sequence[Row]) -> None:
    """Of nights whose content turned out to be the same, the first counts; the others become failed rows."""
    numbers: dict[tuple, int] = {}
    for number, row in enumerate(rows, start=1):
        key = row["dataset"], row["recording"]
        if row["status"] == "ok" and numbers.setdefault(key, number) != number:
            kept = {"dataset": row["dataset"], "recording": row["recording"], "status": "failed"}
            row.clear()
            row |= kept | {"reason": f"the same recording as number {numbers[key]}"}


def _check_room(folder: Path, n_bytes: int) -> None:
    """Say what will be written. ValueError where the disk has no room for it."""
    free = shutil.disk_usage(folder).free
    sizes = f"{n_bytes / 1e9:.2f} GB will be written, {free / 1e9:.2f} GB are free"
    if n_bytes > free:
        raise ValueError(f"{sizes}: choose fewer resolutions, no logits, or a run_dir on another disk")
    print(sizes)

"""The results of one night, in a file of its own as soon as they are there."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anysleep.analysis.arousals.events import detect_arousals
from anysleep.analysis.channel_importance import channel_importance, stage_leaving_out
from anysleep.analysis.statistics import night_statistics, uncertainty
from anysleep.analysis.verdict import judge_night
from anysleep.datasets.archive import ArchiveReplaced, NotInArchive
from anysleep.models import SleepNetwork, load_checkpoint
from anysleep.recordings.lights import Lights, Pair, find_lights
from anysleep.recordings.reasons import noted, without_names
from anysleep.settings import Precision
from anysleep.stages import EPOCH_S
from anysleep.staging.devices import check_device, choose_device
from anysleep.staging.montages import published_key
from anysleep.staging.nights import Night, Stagings, voted_hypnogram, without_gaps
from anysleep.staging.sources import NightSource
from anysleep.staging.store import stored_file, write_arrays
from anysleep.system.files import sha256_of
from anysleep.system.jobs import DAY_S, n_cores, prefetch, run_shares

Row = dict[str, object]
Task = tuple[Path, NightSource]
"""A night, and the file that its results belong in."""
StagedFile = tuple[Path, Row | None]
"""The file that a night is in now, and None; or that it should be in, and the row that says why it is not."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of every night; with the night it decides the results, so every field counts in `file`."""

    checkpoint_sha256: str
    resolutions: tuple[int, ...]
    write_logits: bool
    leave_one_out: bool = False
    precision: Precision = "32"
    aligned: bool = False

    def file(self, store: Path, job: NightSource) -> Path:
        """Where the night belongs in the store."""
        return stored_file(store, asdict(self), job.dataset, job.channels, job.made_from)

    def outputs(self) -> list[str]:
        """The published files, without their suffix."""
        kinds = ["predictions", "labels", *(["logits/predictions"] if self.write_logits else [])]
        return [f"r{r}/{kind}" for r in self.resolutions for kind in kinds]

    def n_bytes(self, job: NightSource) -> int:
        """Size of a night's results: a byte a stage, and 20 for its logits."""
        return job.n_epochs * sum(self.resolutions) * (1 + 20 * len(job.montages) * self.write_logits)


class Stager:
    """Stages nights on one device, and writes the file of each."""

    def __init__(self, checkpoint: Path, wanted: Wanted, device: torch.device):
        """RuntimeError where the checkpoint is another one than when the run began."""
        self.model, self.wanted, self.device = load_checkpoint(checkpoint).to(device), wanted, device
        if sha256_of(checkpoint) != wanted.checkpoint_sha256:
            raise RuntimeError("the checkpoint has been replaced since the run began; run it again")

    def read(self, task: Task) -> Night:
        """What `stage` needs of a night; can be called from another thread."""
        return task[1].read(self.model)

    def stage(self, task: Task, reading: Future[Night]) -> StagedFile:
        """A night that fails is an outcome; what is no fault of the night, such as a device that is lost, is raised."""
        file, job = task
        try:
            content = content_of(self.model, self.wanted, job.dataset, reading.result())
        except (torch.AcceleratorError, ArchiveReplaced):  # so would every night that would come
            raise
        except Exception as error:  # one night must not stop the others, whatever a library lets through
            check_device(self.device)
            error.__traceback__ = None  # it holds what was read
            reason = without_names(error, *job.files)
            if not isinstance(error, (OSError, ValueError, MemoryError, NotInArchive)):
                reason = f"{type(error).__name__}: {reason}"
            return file, {"dataset": job.dataset, "recording": job.name(), "status": "failed", "reason": reason}
        write_arrays(file, content)
        return file, None


def stage_nights(checkpoint: Path, wanted: Wanted, tasks: Sequence[Task], device: torch.device) -> Iterator[StagedFile]:
    """Stage one night after the other, while the next one is read."""
    stager = Stager(checkpoint, wanted, device)
    return prefetch(tasks, stager.read, stager.stage)


def content_of(model: SleepNetwork, wanted: Wanted, dataset: str, night: Night) -> dict[str, np.ndarray]:
    """Stage a night. Returns what its file holds.

    `<published file>:<key>` -> array, facts as JSON, and at 30 s the `hypnogram` (E,) and `hypnodensity` (E, 5).
    """
    options = {"precision": wanted.precision, "aligned": wanted.aligned}
    stagings = night.stage(model, resolutions=sorted({1, *wanted.resolutions}), **options)
    hypnogram = without_gaps(voted_hypnogram(stagings, 1), night.gaps_s, 1)
    hypnodensity = np.mean([staging.hypnodensity(1) for staging in stagings.values()], axis=0)
    row: Row = {"dataset": dataset, "recording": night.recording, "status": "ok", "reason": ""}
    row |= dict(zip(("verdict", "verdict_reason"), judge_night(model, night, hypnogram, hypnodensity), strict=True))
    row |= {"n_channels": len({name for montage in stagings for name in montage})}
    row |= {"n_epochs": len(hypnogram)} | uncertainty(hypnodensity, hypnogram).to_dict()
    attention = list(_attention_rows(dataset, night.recording, stagings))
    facts = {"row": row, "clock_time": night.clock_time, "lights": dict(night.lights), "attention": attention}
    if wanted.leave_one_out:
        facts["channel_importance"] = _importance_rows(model, dataset, night, wanted)
    content = {"facts": np.array(json.dumps(facts)), "hypnogram": hypnogram, "hypnodensity": hypnodensity}
    key = f"{dataset}_{night.recording}"
    for r in wanted.resolutions:
        content[f"r{r}/predictions:{key}"] = without_gaps(voted_hypnogram(stagings, r), night.gaps_s, r)
        if night.truth is not None:
            content[f"r{r}/labels:{key}"] = night.truth
        if wanted.write_logits:
            for montage, staging in stagings.items():
                of_montage = published_key(dataset, night.recording, montage, usleep=model.name == "usleep")
                content[f"r{r}/logits/predictions:{of_montage}"] = staging.logits[r]
    return content


def read_night_facts(file: Path) -> dict[str, Any]:
    """What is known of a staged night: its row, clock time, lights by who noted them, and rows of attention."""
    with np.load(file) as night:
        return json.loads(night["facts"].item())


def with_statistics(file: Path, lights: Pair) -> dict[str, Any]:
    """The facts of a staged night whose row has its lights and statistics, which are not kept: `lights` may change.

    Lights that do not fit the night make its row that of a failure; what is noted of them is its reason else.
    """
    facts = read_night_facts(file)
    with np.load(file) as night:
        hypnogram, arousals_s = night["hypnogram"], arousals_of(night)
    try:
        with noted() as notes:
            found = lights_of(facts, lights)
        facts["row"] |= found.columns() | night_statistics(hypnogram, (found.off_s, found.on_s), arousals_s)
        facts["row"]["reason"] = "; ".join(notes)
    except ValueError as error:
        named = {name: facts["row"][name] for name in ("dataset", "recording")}
        facts["row"] = named | {"status": "failed", "reason": str(error)}
    return facts


def arousals_of(night: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Arousals (n, 2) in s, as the finest predictions of a night's file show them; None where these are of 30 s."""
    published = (name.partition("/predictions:")[0] for name in night if "/predictions:" in name)
    r = max(int(folder[1:]) for folder in published if folder[1:].isdecimal())
    stages = next(night[name] for name in night if name.startswith(f"r{r}/predictions:"))
    return detect_arousals(stages, r) if r > 1 else None


def lights_of(facts: Mapping[str, Any], parameter: Pair) -> Lights:
    """The lights of a staged night. ValueError where they do not fit it."""
    duration_s = facts["row"]["n_epochs"] * EPOCH_S
    return find_lights(duration_s, facts["clock_time"], **facts["lights"], parameter=parameter)


def _attention_rows(dataset: str, recording: str, stagings: Stagings) -> Iterator[Row]:
    for montage, staging in stagings.items():
        for module, weights in enumerate(() if staging.attention is None else staging.attention):
            for channel, weight in zip(montage, weights, strict=True):
                yield {
                    "dataset": dataset,
                    "recording": recording,
                    "montage": "&".join(montage),
                    "module": module,
                    "channel": channel,
                    "weight": float(weight),
                }


def _importance_rows(model: SleepNetwork, dataset: str, night: Night, wanted: Wanted) -> list[Row]:
    """What becomes of the night without each of its channels."""
    stagings = stage_leaving_out(night, model, wanted.precision, wanted.aligned)
    rows = channel_importance(stagings, night.channels).drop(columns="doctor").to_dict("records")
    return [{"dataset": dataset, "recording": night.recording} | row for row in rows]


def choose_devices(device: str, n_devices: int) -> list[torch.device]:
    """So many of the kind that `choose_device` chooses. ValueError where there are fewer."""
    chosen = choose_device(device)
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(chosen.type, n_devices)
    if n_devices > there:
        raise ValueError(f"n_devices is {n_devices}, but of {chosen.type} there is {there}")
    return [torch.device("cuda", i) for i in range(n_devices)] if chosen.type == "cuda" else [chosen] * n_devices


def stage_on_many(
    checkpoint: Path, wanted: Wanted, tasks: Sequence[Task], devices: Sequence[torch.device]
) -> Iterator[StagedFile]:
    """As `predicted_night.stage_nights`, on all devices at the same time.

    On the CPU the processes share the cores; with another number of threads the last digits of logits may differ.

    RuntimeError where nights are lost because a process fails or is killed, after all others have been staged.
    """
    shares = []
    for i, device in enumerate(devices):
        share = tasks[i :: len(devices)]
        # Each night with the one after it, which is read meanwhile; after the last there is none.
        following = zip_longest(share, share[1:])
        shares.append([(checkpoint, wanted, device, task, after) for task, after in following])
    n_threads = max(1, n_cores() // len(devices)) if devices[0].type == "cpu" else None
    lost: Counter[str] = Counter()
    first: dict[str, str] = {}
    for job, future in run_shares(_stage, shares, limit_s=DAY_S, start="spawn", n_threads=n_threads):  # for CUDA
        error = future.exception()
        if error is None:
            yield future.result()
            continue
        _, _, device, (_, night), _ = job
        said = f"{device}: {type(error).__name__}: {error}"
        lost[said] += 1
        first.setdefault(said, night.name())
    if lost:
        problems = "; ".join(f"{said}, at {first[said]}, {n} not done" for said, n in lost.items())
        raise RuntimeError(f"{problems}. All other nights are done and kept: run it again to go on")


class Worker:
    """A process's stager, which is given one night at a time and told which one to read meanwhile."""

    def __init__(self, checkpoint: Path, wanted: Wanted, device: torch.device):
        self.stager, self.thread = Stager(checkpoint, wanted, device), ThreadPoolExecutor(max_workers=1)
        self.reading: dict[Path, Future[Night]] = {}

    def stage(self, task: Task, following: Task | None) -> StagedFile:
        """Stage a night, which the thread has read by now, or reads first."""
        for file, job in filter(None, (task, following)):
            if file not in self.reading:
                self.reading[file] = self.thread.submit(self.stager.read, (file, job))
        return self.stager.stage(task, self.reading.pop(task[0]))


WORKERS: dict[torch.device, Worker] = {}
"""The one of this process."""


def _stage(job: tuple[Path, Wanted, torch.device, Task, Task | None]) -> StagedFile:
    """What a process does for one night."""
    checkpoint, wanted, device, task, following = job
    if device not in WORKERS:
        WORKERS[device] = Worker(checkpoint, wanted, device)
    return WORKERS[device].stage(task, following)

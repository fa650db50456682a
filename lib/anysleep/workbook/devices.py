"""Several devices share the nights of a cohort, each in a process of its own."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

import torch

from anysleep.staging.devices import choose_device
from anysleep.staging.nights import Night
from anysleep.system.jobs import DAY_S, n_cores, run_shares
from anysleep.workbook.predicted_night import Outcome, Stager, Task, Wanted


def choose_devices(device: str, n_devices: int) -> list[torch.device]:
    """So many of the kind that `choose_device` chooses. ValueError where there are fewer."""
    chosen = choose_device(device)
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(chosen.type, n_devices)
    if n_devices > there:
        raise ValueError(f"n_devices is {n_devices}, but of {chosen.type} there is {there}")
    return [torch.device("cuda", i) for i in range(n_devices)] if chosen.type == "cuda" else [chosen] * n_devices


def stage_on_many(
    checkpoint: Path, wanted: Wanted, tasks: Sequence[Task], devices: Sequence[torch.device]
) -> Iterator[Outcome]:
    """As `predicted_night.stage_nights`, on all devices at the same time.

    On the CPU the processes share the cores; with another number of threads the last digits of logits may differ.

    RuntimeError where nights are lost because a process fails or is killed, after all others have been staged.
    """
    shares = []
    for i, device in enumerate(devices):
        share = tasks[i :: len(devices)]
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
        said = f"{job[2]}: {type(error).__name__}: {error}"
        lost[said] += 1
        first.setdefault(said, job[3][1].name())
    if lost:
        problems = "; ".join(f"{said}, at {first[said]}, {n} not done" for said, n in lost.items())
        raise RuntimeError(f"{problems}. All other nights are done and kept: run it again to go on")


class Worker:
    """A process's stager, which is given one night at a time and told which one to read meanwhile."""

    def __init__(self, checkpoint: Path, wanted: Wanted, device: torch.device):
        self.stager, self.thread = Stager(checkpoint, wanted, device), ThreadPoolExecutor(max_workers=1)
        self.reading: dict[Path, Future[Night]] = {}

    def stage(self, task: Task, following: Task | None) -> Outcome:
        """Stage a night, which the thread has read by now, or reads first."""
        for file, job in filter(None, (task, following)):
            if file not in self.reading:
                self.reading[file] = self.thread.submit(self.stager.read, (file, job))
        return self.stager.stage(task, self.reading.pop(task[0]))


WORKERS: dict[torch.device, Worker] = {}
"""The one of this process."""


def _stage(job: tuple[Path, Wanted, torch.device, Task, Task | None]) -> Outcome:
    """What a process does for one night."""
    checkpoint, wanted, device, task, following = job
    if device not in WORKERS:
        WORKERS[device] = Worker(checkpoint, wanted, device)
    return WORKERS[device].stage(task, following)

"""Several devices share the nights of a cohort, each in a process of its own."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread

import torch

from anysleep.prediction.nights import Outcome, Task, Wanted, stage_nights
from anysleep.staging.devices import choose_device
from anysleep.system.memory import n_cores


def choose_devices(device: str, n_devices: int) -> list[torch.device]:
    """So many of the kind that `choose_device` chooses. ValueError where there are fewer."""
    chosen = choose_device(device)
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(chosen.type, n_devices)
    if n_devices > there:
        raise ValueError(f"n_devices is {n_devices}, but of {chosen.type} there is {there}")
    return [torch.device("cuda", i) for i in range(n_devices)] if chosen.type == "cuda" else [chosen] * n_devices


@dataclass
class Worker:
    """A process that stages its share of the nights, as its parent sees it."""

    process: BaseProcess
    left: list[Task]
    error: str = ""

    def how_it_ended(self) -> str:
        """In words, for one that has left nights over."""
        code = self.process.exitcode
        how = self.error or (signal.Signals(-code).name if code < 0 else f"exit status {code}")
        name = self.left[0][1].name()
        return f"{self.process.name} ended ({how}) at {name} or the night after it; {len(self.left)} are not done"


def stage_on_many(
    checkpoint: Path, wanted: Wanted, tasks: Sequence[Task], devices: Sequence[torch.device]
) -> Iterator[Outcome]:
    """As `stage_nights`, on all devices at the same time.

    On the CPU the processes share the cores; with another number of threads the last digits of logits may differ.

    RuntimeError where a process fails or is killed, after the others have staged their nights.
    """
    context = multiprocessing.get_context("spawn")  # CUDA does not outlive a fork
    with ExitStack() as stack:
        workers = {}
        for i, device in enumerate(devices):
            receiving, sending = context.Pipe(duplex=False)
            share = list(tasks[i :: len(devices)])
            arguments = (sending, checkpoint, wanted, share, device, len(devices))
            process = context.Process(target=_work, args=arguments, name=f"the process of {device}", daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
            sending.close()  # the worker has the only one now, so that its end is noticed
            workers[receiving] = Worker(process, share)
        yield from _outcomes(workers)


def _outcomes(workers: Mapping[Connection, Worker]) -> Iterator[Outcome]:
    running = dict(workers)
    while running:
        for receiving in wait(list(running)):
            worker = running[receiving]
            try:
                said = receiving.recv()
            except (EOFError, OSError):
                worker.process.join()
                del running[receiving]
                continue
            if isinstance(said, str):
                worker.error = said
            else:
                del worker.left[0]
                yield said
    problems = [worker.how_it_ended() for worker in workers.values() if worker.left]
    if problems:
        raise RuntimeError(f"{'; '.join(problems)}. All other nights are done and kept: run it again to go on")


def _work(
    sending: Connection, checkpoint: Path, wanted: Wanted, share: list[Task], device: torch.device, n_workers: int
) -> None:
    """What a process does."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted parent ends this process itself
    if device.type == "cpu":
        torch.set_num_threads(max(1, n_cores() // n_workers))
    try:
        for outcome in stage_nights(checkpoint, wanted, share, device):
            sending.send(outcome)
    except Exception as error:
        sending.send(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    """End this process at once when its parent is gone, however that went."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()

"""`make bench`: staging a night, ours beside the plain forward pass of the same network. Prints one table.

Every measurement has a process of its own, so that its peak of memory is its own; ours and plain take turns. Plain runs
the network once a montage and, as the published code does, once a resolution (one pass, measured, times their number).
The floor is what arithmetic cannot be saved, each channel encoded once and each montage decoded once, at the rate at
which this machine multiplies large matrices. `python tests/bench/staging.py cuda` measures on a graphics card, in
bfloat16 as well.
"""

import itertools
import multiprocessing
import platform
import resource
import statistics
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from anysleep.models import ARCHITECTURES, SleepNetwork, build_model
from anysleep.staging.stage import stage_montages

FOURTEEN = (1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 640, 960, 1920, 3840)
REPEATS = 3
ALL_OF_SIX = [tuple(range(6))]
SINGLES_AND_PAIRS = [*((i,) for i in range(8)), *itertools.combinations(range(8), 2)]
EEG_AND_EOG = [(eeg, eog) for eeg in range(6) for eog in (6, 7)]


@dataclass(frozen=True)
class Work:
    """A night to stage."""

    name: str
    hours: int
    montages: list[tuple[int, ...]]
    resolutions: tuple[int, ...] = (1,)
    precision: str = "32"
    with_plain: bool = True

    @property
    def n_channels(self) -> int:
        return 1 + max(itertools.chain(*self.montages))

    @property
    def words(self) -> str:
        montages = "" if len(self.montages) == 1 else f", {len(self.montages)} montages"
        precision = "" if self.precision == "32" else f", {self.precision}"
        return f"{self.name} | {self.hours} | {self.n_channels}{montages} | {len(self.resolutions)}{precision}"


def works(device: str) -> list[Work]:
    single = [
        Work(name, 8, [(0, 1)] if name == "usleep" else ALL_OF_SIX, resolutions, precision)
        for name in ARCHITECTURES
        for precision in (("32",) if device == "cpu" else ("32", "bf16"))
        for resolutions in ((1,), FOURTEEN)
    ]
    several = [Work(name, 1, SINGLES_AND_PAIRS) for name in ("anysleep", "anysleep_late_fusion")]
    return [
        *single,
        *several,
        Work("usleep", 1, EEG_AND_EOG),
        Work("anysleep", 24, [tuple(range(20))], with_plain=False),
    ]


def plain(model: SleepNetwork, signals: np.ndarray, work: Work, device: str) -> None:
    """One pass a montage."""
    with torch.inference_mode():
        for montage in work.montages:
            model(torch.from_numpy(signals[list(montage)].T[None].copy()).to(device)).cpu()


def measure(work: Work, way: str, device: str, results: multiprocessing.Queue) -> None:
    model = build_model(work.name).eval().to(device)
    signals = np.random.default_rng(0).standard_normal((work.n_channels, work.hours * 460800), dtype=np.float32)
    options = {"montages": work.montages, "resolutions": work.resolutions, "precision": work.precision}
    run = (
        (lambda: plain(model, signals, work, device))
        if way == "plain"
        else lambda: stage_montages(model, signals, **options)
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    peak_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if device == "cuda":
        peak_mib = torch.cuda.max_memory_allocated() / 2**20
    results.put((statistics.median(seconds), peak_mib))


def in_own_process(*arguments: object) -> tuple[float, float]:
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    process = spawn.Process(target=measure, args=(*arguments, results))
    process.start()
    measured = results.get()
    process.join()
    return measured


def gflop(work: Work) -> float:
    """Of the plain network, with every channel encoded once."""
    model = build_model(work.name).eval()

    def of(n_channels: int) -> float:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model.features(torch.empty(1, 3840, n_channels))
        return counter.get_total_flops() * work.hours * 120 / 1e9

    if work.name == "usleep":
        return of(2) * len(work.montages)
    encoder = of(2) - of(1)
    return encoder * work.n_channels + (of(1) - encoder) * len(work.montages)


def matrix_rate(device: str) -> float:
    """GFLOP/s in float32, the best of many."""
    a = torch.randn(2048, 2048, device=device)
    seconds = []
    for _ in range(30):
        began = time.perf_counter()
        (a @ a)[0, 0].item()
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(seconds) / 1e9


def main(device: str) -> None:
    rate = matrix_rate(device)
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{where}, Python {platform.python_version()}, torch {torch.__version__}; matrices: {rate:.0f} GFLOP/s\n")
    print("| network | hours | channels | resolutions | seconds | an hour, s | peak MiB added ", end="")
    print("| plain, s | peak MiB added | plain / ours | floor, s |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    passes: dict[tuple, tuple[float, float]] = {}  # plain ones do not depend on the resolution
    for work in works(device):
        seconds, mib = in_own_process(work, "ours", device)
        columns = [work.words, f"{seconds:.2f}", f"{seconds / work.hours:.3f}", f"{mib:.0f}"]
        if work.with_plain:
            key = work.name, work.hours, *work.montages
            if key not in passes:
                passes[key] = in_own_process(work, "plain", device)
            pass_s, plain_mib = passes[key]
            plain_s = pass_s * len(work.resolutions)
            columns += [f"{plain_s:.1f}", f"{plain_mib:.0f}", f"{plain_s / seconds:.1f}"]
        else:
            columns += ["", "", ""]
        print("|", " | ".join([*columns, f"{gflop(work) / rate:.2f}"]), "|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cpu")

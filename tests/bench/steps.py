"""`make bench`: how long simulating, reading and preprocessing a night takes on this machine. Prints one table.

Every step runs in a process of its own, so that peak memory is its own; times are the median of three.
"""

import multiprocessing
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from anysleep.data import preprocess, read_recording
from anysleep.synthetic import draw_persons, simulate_night, write_cohort

HOURS, N_CHANNELS, REPEATS = 8, 6, 3


def noise(rate_hz: int, channels: int = N_CHANNELS) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, HOURS * 3600 * rate_hz)).astype(np.float32)


def steps(folder: Path) -> dict[str, Callable[[], Callable[[], object]]]:
    """Name -> a function that prepares and returns the work to be timed."""
    person = draw_persons(1, seed=0)[0]
    night = {
        f"simulate a night of {HOURS} h, 8 channels": lambda: lambda: simulate_night(person, hours=HOURS),
        f"simulate it and write EDF+, {HOURS} h": lambda: lambda: write_cohort(folder, n_persons=1, hours=HOURS),
        f"read that EDF+, {HOURS} h": lambda: lambda: list(read_recording(folder / "syn001-night1.edf").signals),
    }
    raw = {
        f"preprocess {rate_hz} Hz to 128 Hz, {HOURS} h, {N_CHANNELS} channels": (
            lambda rate_hz=rate_hz: (lambda signals: lambda: preprocess(signals, rate_hz))(noise(int(rate_hz)))
        )
        for rate_hz in (100, 199.998, 256, 512)
    }
    return night | raw


def measure(prepare: Callable[[], Callable[[], object]], results: multiprocessing.Queue) -> None:
    work = prepare()
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    after_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((statistics.median(seconds), after_mb - before_mb))


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    print(f"| {'step':<70} | seconds | peak MB added |\n|{'-' * 72}|--------:|--------------:|")
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        for name, prepare in steps(Path(folder)).items():
            results = fork.Queue()
            process = fork.Process(target=measure, args=(prepare, results))
            process.start()
            seconds, added_mb = results.get()
            process.join()
            print(f"| {name:<70} | {seconds:7.2f} | {added_mb:13.0f} |", flush=True)


if __name__ == "__main__":
    main()

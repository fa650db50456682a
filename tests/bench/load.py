"""`python tests/bench/load.py shape` and `short`: does work grow with the number of nights alone, memory not at all?

First an archive with the shape of the whole study, 19,909 nights of 21 data sets, of one epoch each: what every step
that goes over all nights takes at a quarter, half and all of them. Then 300 recordings of 6 minutes through 01, 05 and
04. Seconds are of the processor, of this process and those it started, so that other work on the machine counts less.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import edfio
import h5py
import numpy as np
import pandas as pd
import psutil

from anysleep.datasets.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.datasets.overview import count_stages
from anysleep.datasets.preparation import plan_nights, prepare_archive, quality_table
from anysleep.datasets.recipes import Recipe
from anysleep.datasets.sampling import WindowBatches
from anysleep.datasets.splits import split_by_person
from anysleep.evaluation.evaluate import evaluate
from anysleep.models import build_model, load_checkpoint, save_checkpoint, unet_filters
from anysleep.staging.montages import plan_montages, with_channel_types
from anysleep.staging.sources import jobs_of_archive
from anysleep.workbook.predictions import write_predictions
from anysleep.workbook.run import Run

N_STUDY, N_DATASETS, RATE_HZ = 19_909, 21, 128
EEG, EOG = ["F3-M2", "C3-M2"], ["E1-M2"]
N_SHORT, SHORT_S = 300, 360
RECIPE = Recipe(
    dataset="load",
    source="made here",
    files=["*.edf"],
    name=".",
    recording="{stem}",
    subject="{stem}",
    channels={"eeg": {name: name for name in EEG}, "eog": {name: name for name in EOG}},
    labels={"reader": "own"},
)


def network_at(path: Path) -> Path:
    network = build_model("anysleep", sampling_rate_hz=RATE_HZ, filters=unet_filters(depth=5), attention_hidden=8)
    return save_checkpoint(path, network, {})


def processor_s() -> float:
    """Of this process and its children, those that have ended, too."""
    running = (child.cpu_times() for child in psutil.Process().children(recursive=True))
    ours = psutil.Process().cpu_times()
    return sum(times.user + times.system for times in (ours, *running)) + ours.children_user + ours.children_system


# --- the shape of the study ----------------------------------------------------------------------------------------


def write_nights(path: Path, n_nights: int) -> Path:
    """So many copies of one night, of which two are of one person."""
    first = path.with_name("first.h5")
    with NightWriter(first, "n", 1, RATE_HZ) as night:
        for name in (*EEG, *EOG):
            night.add_channel(name, np.random.default_rng(0).standard_normal(30 * RATE_HZ, dtype=np.float32))
        night.add_hypnogram(np.array([2]))
        night.describe(pd.DataFrame({"channel": [*EEG, *EOG]}), {"prepared": json.dumps({"key": "one", "facts": {}})})
    with h5py.File(first) as source, h5py.File(path, "w") as file:
        for i in range(n_nights):
            source.copy("n", file, f"n{i:05d}")
            file[f"n{i:05d}"].attrs["subject"] = f"p{i // (2 * N_DATASETS)}"
    return path


def measure_shape(folder: Path, n_nights: int) -> Iterator[tuple[str, float, float]]:
    """Each step with its seconds of the processor and on the clock."""
    nights, path = write_nights(folder / "nights.h5", n_nights), folder / "archive.h5"
    names = [[(nights, f"n{i:05d}") for i in range(k, n_nights, N_DATASETS)] for k in range(N_DATASETS)]
    parts = [DatasetFiles(f"d{k:02d}", EEG, EOG, found) for k, found in enumerate(names)]
    (folder / "files").mkdir()
    for i in range(n_nights):
        (folder / "files" / f"n{i:05d}.edf").touch()
    model = load_checkpoint(network_at(folder / "network.pth"))
    assemble_archive(folder / "small.h5", [DatasetFiles("a", EEG, EOG, names[0][:1])], RATE_HZ)
    Archive(folder / "small.h5").close()  # starts the process beside, once in a run
    found: dict[str, object] = {}

    def listed() -> pd.DataFrame:
        (folder / ".archive.h5.index").unlink()
        path.touch()
        with Archive(path) as archive:
            return archive.recordings()

    steps: dict[str, Callable[[], object]] = {
        "01: find the recordings and plan them": lambda: plan_nights(RECIPE, folder / "files", RATE_HZ),
        "01: assemble and index the archive": lambda: assemble_archive(path, parts, RATE_HZ),
        "open it (`Archive`)": lambda: Archive(path),
        "list it (`recordings`)": lambda: found["archive"].recordings(),
        "its fingerprint": lambda: found["archive"].fingerprint(),
        "split by person": lambda: split_by_person(found["nights"], 0.1, 0.25, 0),
        "look at every night, once": lambda: found["archive"].check(found["archive"].nights()),
        "02: count the stages": lambda: count_stages(found["archive"], found["nights"]),
        "02: the doctor's tables": lambda: quality_table(found["archive"], found["nights"]),
        "03: the batches of a training": lambda: WindowBatches(
            path, found["nights"], window_epochs=1, batch_size=16, eeg_eog_pairs=False
        ),
        "04: plan the montages": lambda: plan_montages(
            with_channel_types(found["archive"], found["nights"]), "all", usleep=False
        ),
        "05: list what is to be staged": lambda: jobs_of_archive(model, path),
        "open and list it without an index": listed,
    }
    kept = {"open it (`Archive`)": "archive", "list it (`recordings`)": "nights"}
    for name, step in steps.items():
        began, began_s = time.perf_counter(), processor_s()
        found[kept.get(name, "")] = step()
        yield name, processor_s() - began_s, time.perf_counter() - began


def report_shape() -> None:
    sizes = [N_STUDY // 4, N_STUDY // 2, N_STUDY]
    rows: dict[str, list[tuple[float, float]]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for name, *seconds in measure_shape(Path(folder), size):
                rows.setdefault(name, []).append(tuple(seconds))
                print(
                    f"{size} {name}: {seconds[0]:.2f} s, {seconds[1]:.2f} s on the clock", file=sys.stderr, flush=True
                )
    print(f"| step | {' | '.join(f'{size:,} nights, s' for size in sizes)} | on the clock, s | exponent |")
    print("|:--|--:|--:|--:|--:|--:|")
    for name, seconds in rows.items():
        used = [s for s, _ in seconds]
        exponent = np.polyfit(np.log(sizes), np.log(np.maximum(used, 1e-3)), 1)[0]
        print(f"| {name} | {' | '.join(f'{s:.2f}' for s in used)} | {seconds[-1][1]:.2f} | {exponent:.2f} |")


# --- many short recordings -----------------------------------------------------------------------------------------


def write_recordings(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(N_SHORT):
        options = {"physical_dimension": "uV", "physical_range": (-500, 500)}
        signals = [
            edfio.EdfSignal(30 * rng.standard_normal(SHORT_S * 100), 100, label=name, **options)
            for name in (*EEG, *EOG)
        ]
        notes = [edfio.EdfAnnotation(30 * k, 30, f"Sleep stage {'W123R'[k % 5]}") for k in range(SHORT_S // 30)]
        edfio.Edf(signals, annotations=notes).write(folder / f"n{i:03d}.edf")
    return folder


@contextmanager
def watched(done: Callable[[], int]) -> Iterator[list[tuple[float, int, float]]]:
    """Seconds on the clock, nights done and MB held by all processes together, four times a second."""
    seen, ended, began = [], Event(), time.perf_counter()

    def watch() -> None:
        while not ended.wait(0.25):
            held = 0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            seen.append((time.perf_counter() - began, done(), held / 1e6))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def report_short() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        recordings, checkpoint = write_recordings(home / "recordings"), network_at(home / "network.pth")
        print(
            f"| step, {N_SHORT} recordings of {SHORT_S // 60} min | processes | s | s, first and second half | ", end=""
        )
        print("MB held, median | MB from 1st to 2nd half | their scatter, MB |\n|:--|--:|--:|--:|--:|--:|--:|")
        for n in (1, 2):
            archive, run = home / f"{n}" / "archive.h5", Run(None, home / f"run{n}", "load")

            def prepare(archive: Path = archive, n: int = n) -> None:
                prepare_archive([(RECIPE, recordings)], archive, sampling_rate_hz=RATE_HZ, n_jobs=n)

            def predict(archive: Path = archive, n: int = n, run: Run = run) -> None:
                jobs = jobs_of_archive(load_checkpoint(checkpoint), archive)
                write_predictions(run, checkpoint, jobs, [1], device="cpu", n_devices=n)

            report("01", n, archive.parent / ".archive_nights" / "load", prepare)
            report("05", n, run.store, predict)
        with Archive(archive) as opened:
            plan = plan_montages(with_channel_types(opened, opened.recordings()), "all", usleep=False)
            store, network = home / "store", load_checkpoint(checkpoint)
            report("04", 1, store, lambda: evaluate([network], opened, plan, store=store))


def report(step: str, n_processes: int, folder: Path, work: Callable[[], object]) -> None:
    """A row of the table; the first tenth of the nights, in which processes start, is left out."""
    with watched(lambda: len(list(folder.glob("[!.]*")))) as seen:
        work()
    last = max(range(len(seen)), key=lambda i: seen[i][1])  # afterwards 01 takes away what it has put together
    at_s, n_done, held = np.array([row for row in seen[: last + 1] if row[1] > N_SHORT / 10]).T
    half = n_done < 0.55 * N_SHORT
    grown = held[~half].mean() - held[half].mean()
    middle_s = np.interp(0.55 * N_SHORT, n_done, at_s)
    halves = f"{middle_s - at_s[0]:.1f}, {at_s[-1] - middle_s:.1f}"
    print(f"| {step} | {n_processes} | {seen[-1][0]:.1f} | {halves} | {np.median(held):.0f} ", end="")
    print(f"| {grown:+.1f} | {held.std():.1f} |", flush=True)


if __name__ == "__main__":
    {"shape": report_shape, "short": report_short}[sys.argv[1]]()

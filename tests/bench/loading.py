"""`make bench`: how fast training windows come out of the archive, alone and with training. Prints one table.

The plain way opens the file for every window and reads whole signals, of which it keeps the window, as a first script
would. Warm: the file is in memory. Cold: after asking the system to forget it (Linux only; a disk may still remember
it). A step waits for data from its predecessor's end until the next batch is on the device.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from anysleep.datasets.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.datasets.sampling import WindowBatches, loader
from anysleep.models import build_model
from anysleep.stages import EPOCH_S, N_STAGES, UNSCORED

N_NIGHTS, HOURS, RATE_HZ = 12, 8, 128
CHANNELS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2")
WINDOWS, WINDOW_EPOCHS, N_CHANNELS = 16, 35, 3
BATCHES, FEW_BATCHES, TRAINING_S = 40, 3, 20

Batch = tuple[Tensor, Tensor]


class ThreeChannels(WindowBatches):
    """Batches that are all of one size."""

    def draw_n_channels(self, rng: np.random.Generator) -> int:
        return N_CHANNELS


class PlainBatches(ThreeChannels):
    """The same windows, read the plain way."""

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        x, y = [], []
        for night, start, channels in self.draw_batch(*key):
            row = self.nights.iloc[night]
            with h5py.File(self.archive_path) as file:
                psg = file[row.dataset][row.recording]["PSG"]
                signals = np.stack([psg[name][:] for name in channels], axis=1)  # (T, C)
            x.append(signals[start * EPOCH_S * RATE_HZ : (start + WINDOW_EPOCHS) * EPOCH_S * RATE_HZ])
            y.append(self.hypnograms[night][start : start + WINDOW_EPOCHS])
        return torch.from_numpy(np.stack(x)), torch.from_numpy(np.stack(y)).long()


def write_archive(folder: Path) -> Path:
    """Nights of white noise."""
    rng, n_epochs, files = np.random.default_rng(0), HOURS * 3600 // EPOCH_S, []
    for i in range(N_NIGHTS):
        files.append((folder / f"{i}.h5", f"night{i}"))
        with NightWriter(*files[-1], n_epochs, RATE_HZ) as night:
            for name in CHANNELS:
                night.add_channel(name, rng.standard_normal(HOURS * 3600 * RATE_HZ, dtype=np.float32))
            night.add_hypnogram(rng.integers(N_STAGES, size=n_epochs))
            night.describe(pd.DataFrame(), {})
    return assemble_archive(folder / "noise.h5", [DatasetFiles("noise", CHANNELS[:6], CHANNELS[6:], files)], RATE_HZ)


def forget(path: Path) -> None:
    """Ask the system to drop the file from memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def endless(batches: WindowBatches, n_workers: int, pin: bool = False) -> Iterator[Batch]:
    """Batches from a loader that has started and whose first, ready ones are used up."""
    found = iter(loader(batches, ((0, i) for i in range(10**6)), n_workers, pin))
    for _ in range(1 + 2 * n_workers):
        next(found)
    return found


def windows_per_s(found: Iterator[Batch], n_batches: int) -> float:
    began = time.perf_counter()
    for _ in range(n_batches):
        next(found)
    return n_batches * WINDOWS / (time.perf_counter() - began)


def training_step(device: torch.device) -> Callable[[Tensor, Tensor], float]:
    """A step of the default AnySleep, up to and with the loss's arrival; made once already, with little data."""
    network = build_model("anysleep").to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-5, amsgrad=True)

    def step(x: Tensor, y: Tensor) -> float:
        loss = functional.cross_entropy(network(x).flatten(0, 1), y.flatten(), ignore_index=UNSCORED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    step(torch.zeros(2, EPOCH_S * RATE_HZ, N_CHANNELS).to(device), torch.zeros(2, 1).long().to(device))
    return step


def train(found: Iterator[Batch], step: Callable[[Tensor, Tensor], float], device: torch.device) -> tuple[float, float]:
    """Windows a second, and the share of the time that waits for data, from two steps or more."""
    n_steps, waited_s, began = 0, 0.0, time.perf_counter()
    while n_steps < 2 or time.perf_counter() - began < TRAINING_S:
        asked = time.perf_counter()
        x, y = (part.to(device) for part in next(found))
        waited_s += time.perf_counter() - asked
        step(x, y)
        n_steps += 1
    seconds = time.perf_counter() - began
    return n_steps * WINDOWS / seconds, waited_s / seconds


def report(way: str, rate: float, waiting: float | None = None) -> None:
    print(f"| {way:<26} | {rate:11.1f} | {'' if waiting is None else f'{waiting:.2%}':>14} |", flush=True)


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    workers = (1, 2, 8) if os.cpu_count() >= 8 else (1, 2)
    print(f"{WINDOWS} windows of {WINDOW_EPOCHS} epochs, {N_CHANNELS} channels, {RATE_HZ} Hz; ", end="")
    print(f"{device}, {os.cpu_count()} cores, torch {torch.__version__}\n")
    print(f"| {'way':<26} | windows / s | waits for data |\n|:{'-' * 27}|------------:|---------------:|")
    with tempfile.TemporaryDirectory() as folder:
        path = write_archive(Path(folder))
        with Archive(path) as opened:
            nights = opened.recordings()
        settings = {"window_epochs": WINDOW_EPOCHS, "batch_size": WINDOWS, "eeg_eog_pairs": False}
        ours, plain = ThreeChannels(path, nights, **settings), PlainBatches(path, nights, **settings)
        forget(path)
        report("loader, 0 workers, cold", windows_per_s(endless(ours, 0), FEW_BATCHES))
        path.read_bytes()
        report("plain, warm", windows_per_s(endless(plain, 0), FEW_BATCHES))
        for n_workers in (0, *workers):
            report(f"loader, {n_workers} workers, warm", windows_per_s(endless(ours, n_workers), BATCHES))
        step = training_step(device)
        for n_workers in (0, workers[-1]):
            found = endless(ours, n_workers, pin=device.type == "cuda")
            report(f"training, {n_workers} workers, warm", *train(found, step, device))


if __name__ == "__main__":
    main()

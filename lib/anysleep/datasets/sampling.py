"""Which windows a network is trained on: U-Sleep's sampling (Perslev et al. 2021, methods; AnySleep, methods).

Both draw a stage, then a data set d with P(d) half uniform and half its share of nights, then a night. They differ in
what is drawn again where that night lacks the stage:

- `recording`, U-Time's rule: the night. P(d | stage) is proportional to P(d), for the data sets that have the stage.
- `dataset`, AnySleep's as published: data set and night. P(d | stage) is proportional to P(d) times the share of d's
  nights that have the stage, so a data set in which a stage is rare gives it less often.

Every draw is keyed by (seed, training epoch, batch), so the same key gives the same batch in any process.
"""

import atexit
import copy
import multiprocessing
import os
import signal
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from anysleep.datasets.archive import Archive
from anysleep.stages import N_STAGES, STAGES
from anysleep.system.jobs import end_with_parent

ChannelLists = Mapping[str, tuple[list[str], list[str]]]
"""EEG and EOG channel names by data set."""
Redraw = Literal["recording", "dataset"]
"""What is drawn again where a night lacks the stage; see the module."""
Window = tuple[int, int, list[str]]
"""A night (row of `WindowBatches.nights`), the window's first epoch, and channels."""


class WindowBatches(Dataset):
    """Batches of training windows, drawn from an archive: item (training_epoch, batch) -> (x, y).

    x is float32 (B, T, C), y int64 (B, E) with 9 where unscored. For each window: a stage, uniformly; a data set, half
    uniformly and half by its share of recordings; a recording, uniformly, and what `redraw` says again until it has
    that stage; one of its epochs of that stage; a window, placed uniformly around that epoch.
    """

    def __init__(
        self,
        archive: str | Path,
        nights: pd.DataFrame,
        *,
        window_epochs: int,
        batch_size: int,
        eeg_eog_pairs: bool,
        redraw: Redraw = "recording",
        max_channels: int = 0,
        seed: int = 0,
    ):
        """Draw from those of `nights`, rows of `Archive.recordings()`, that have a hypnogram.

        Nights shorter than a window, or without the channels needed, are left out with a warning. `eeg_eog_pairs` is
        for U-Sleep: one EEG and one EOG channel, drawn for every window; for AnySleep the number of channels n is drawn
        once a batch, P(n) proportional to 1 / n, up to `max_channels`, 0 for the longest channel list of any data set.
        `redraw` says what is drawn again where a recording lacks the stage, see the module.

        ValueError where there is nothing to draw, or no such rule.
        """
        if redraw not in get_args(Redraw):
            raise ValueError(f"redraw is {redraw!r}; choose one of {', '.join(get_args(Redraw))}")
        self.archive_path = Path(archive).absolute()  # workers may start in another folder
        self.window_epochs, self.batch_size, self.seed = window_epochs, batch_size, seed
        self.eeg_eog_pairs = eeg_eog_pairs
        self._rows = slice(0, batch_size)
        self._archive: Archive | None = None
        self._opened_by = 0  # process id
        with Archive(archive, trusted=True) as opened:  # `labelled_nights` has looked at its nights
            self.archive_identity = opened.identity
            self.eeg_eog = {dataset: opened.channels(dataset) for dataset in nights.dataset.unique()}
            self.nights = self._drawable(nights)
            self._keys = list(zip(self.nights.dataset, self.nights.recording, strict=True))
            self.hypnograms: list[Any] = [opened.hypnogram(*key) for key in self._keys]
        longest = max(sum(map(len, self.eeg_eog[dataset])) for dataset in self.nights.dataset.unique())
        self.max_channels = max_channels or longest
        self.sources = self._sources(redraw)

    def _drawable(self, nights: pd.DataFrame) -> pd.DataFrame:
        """The nights that windows can be drawn from, numbered anew."""
        nights = stageable_nights(nights, self.eeg_eog, eeg_eog_pairs=self.eeg_eog_pairs)
        short = nights.n_epochs < self.window_epochs
        nights = _leave_out(nights, short, f"shorter than a window of {self.window_epochs} epochs")
        return nights.reset_index(drop=True)

    def _sources(self, redraw: Redraw) -> dict[int, tuple[list[np.ndarray], np.ndarray]]:
        """For every stage that occurs: the nights that have it, by data set, and the data sets' probabilities."""
        n_nights = self.nights.dataset.value_counts()
        shares = 0.5 / len(n_nights) + 0.5 * n_nights / len(self.nights)
        has = np.array([[(h == stage).any() for stage in range(N_STAGES)] for h in self.hypnograms])
        if not has.any():
            raise ValueError("no night with a scored epoch to train on")
        sources = {}
        for stage in range(N_STAGES):
            having = self.nights[has[:, stage]]
            if having.empty:
                warnings.warn(f"no training night has stage {STAGES[stage]}: it cannot be learned", stacklevel=3)
                continue
            groups = having.groupby("dataset").groups
            weights = shares[list(groups)].to_numpy()
            if redraw == "dataset":  # what drawing again until the night has the stage comes to
                weights = weights * having.dataset.value_counts()[list(groups)] / n_nights[list(groups)]
            sources[stage] = ([rows.to_numpy() for rows in groups.values()], weights / weights.sum())
        return sources

    def share(self, rank: int, n_ranks: int) -> "WindowBatches":
        """One of `n_ranks` equal shares of every batch, for training on several devices at once.

        Its items are rows rank * B / n_ranks and on of the whole batches' items. ValueError where the batch cannot be
        divided, or there is no such rank.
        """
        if self.batch_size % n_ranks:
            raise ValueError(f"a batch of {self.batch_size} windows cannot be shared by {n_ranks}; choose a multiple")
        if not 0 <= rank < n_ranks:
            raise ValueError(f"rank is {rank}; it must be 0 to {n_ranks - 1}")
        n_windows = self.batch_size // n_ranks
        share = copy.copy(self)  # nights and hypnograms are not copied
        share._rows = slice(rank * n_windows, (rank + 1) * n_windows)
        return share

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The batch of this (training_epoch, batch), or its share; x is a view of memory in the order (B, C, T)."""
        windows = self.draw_batch(*key)[self._rows]  # every share makes all draws, and reads only its own
        archive = self._opened()
        n_samples = self.window_epochs * archive.samples_per_epoch
        x = np.empty((len(windows), len(windows[0][2]), n_samples), dtype=np.float32)  # (B, C, T)
        y = np.empty((len(windows), self.window_epochs), dtype=np.int64)
        for signals, stages, (night, start, channels) in zip(x, y, windows, strict=True):
            signals[:] = archive.signals(*self._keys[night], channels, start, self.window_epochs)
            stages[:] = self.hypnograms[night][start : start + self.window_epochs]
        return torch.from_numpy(x).transpose(1, 2), torch.from_numpy(y)

    def draw_batch(self, training_epoch: int, batch: int) -> list[Window]:
        """The windows of a whole batch, all with the same number of channels."""
        rng = np.random.default_rng([self.seed, training_epoch, batch])
        n_channels = self.draw_n_channels(rng)
        return [self.draw_window(rng, n_channels) for _ in range(self.batch_size)]

    def draw_n_channels(self, rng: np.random.Generator) -> int:
        """Channels of a batch, P(n) proportional to 1 / n."""
        weights = 1 / np.arange(1, self.max_channels + 1)
        return 2 if self.eeg_eog_pairs else 1 + int(rng.choice(self.max_channels, p=weights / weights.sum()))

    def draw_window(self, rng: np.random.Generator, n_channels: int) -> Window:
        """A window around an epoch of a drawn stage."""
        stage = int(rng.choice(list(self.sources)))
        groups, weights = self.sources[stage]
        night = int(rng.choice(groups[rng.choice(len(groups), p=weights)]))
        hypnogram = self.hypnograms[night]
        epoch = int(rng.choice(np.flatnonzero(hypnogram == stage)))
        # Windows that hold the epoch and lie within the night.
        first, last = max(0, epoch - self.window_epochs + 1), min(epoch, len(hypnogram) - self.window_epochs)
        return night, int(rng.integers(first, last + 1)), self._draw_channels(rng, night, n_channels)

    def _draw_channels(self, rng: np.random.Generator, night: int, n_channels: int) -> list[str]:
        available = self.nights.channels[night]
        if self.eeg_eog_pairs:
            lists = self.eeg_eog[self.nights.dataset[night]]
            return [str(rng.choice(names)) for names in _present(lists, available)]
        drawn = rng.choice(len(available), size=n_channels, replace=n_channels > len(available))
        return [available[i] for i in drawn]

    def _opened(self) -> Archive:
        """The archive; every process opens it itself, also a fork of one that has it open."""
        if self._archive is None or self._opened_by != os.getpid():
            self._archive = Archive(self.archive_path, trusted=True, identity=self.archive_identity)
            self._opened_by = os.getpid()
        return self._archive

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_archive": None}  # an open file cannot be sent to another process


def loader(batches: WindowBatches, sampler: Iterable[tuple[int, int]], n_workers: int, pin: bool) -> DataLoader:
    """A loader of the batches whose keys `sampler` gives, in its order.

    `n_workers` processes prepare two batches each ahead of time, in shared memory; 0 reads in this process. `pin` puts
    batches into page-locked memory, from which a GPU copies while it computes.
    """
    if not n_workers:
        # No batch_size: an item is a batch already.
        return DataLoader(batches, sampler=sampler, batch_size=None, pin_memory=pin)
    atexit.register(_kill_workers)
    # Not 'fork': it copies this process without its threads (torch's, CUDA's, that of pinning), and a lock that one of
    # them held just then, in HDF5 or elsewhere, is never released. Not 'forkserver': if this process is killed, its
    # workers live on, since their parent is the server. 'spawn' has neither fault, and every system has it.
    return DataLoader(
        batches,
        sampler=sampler,
        batch_size=None,
        num_workers=n_workers,
        multiprocessing_context="spawn",
        worker_init_fn=partial(_end_at_once, os.getpid()),
        persistent_workers=True,
        prefetch_factor=2,
        pin_memory=pin,
    )


def _kill_workers() -> None:
    """At the end of this process, before multiprocessing would wait for ever for workers that ignore its SIGTERM."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would call that an error
    for worker in multiprocessing.active_children():
        worker.kill()


def _end_at_once(parent: int, _worker: int) -> None:
    """Have a worker that is told to end skip Python's clearing up, in which a thread still sending would abort it."""
    end_with_parent(parent=parent)
    atexit.register(os._exit, 0)
    for name in (signal.SIGTERM, signal.SIGINT):  # meant for the training, which has a state to save and ends it then
        signal.signal(name, signal.SIG_IGN)


def stageable_nights(nights: pd.DataFrame, channel_lists: ChannelLists, *, eeg_eog_pairs: bool) -> pd.DataFrame:
    """The nights with a hypnogram and the channels that a network needs; a warning names those without the channels.

    `channel_lists` are those of the nights' data sets. ValueError where no night is left.
    """
    nights = nights[nights.has_hypnogram]
    if nights.empty:
        raise ValueError("there is no night with a hypnogram")
    if not eeg_eog_pairs:
        return _leave_out(nights, nights.channels.map(len) == 0, "without a channel")
    present = [_present(channel_lists[night.dataset], night.channels) for night in nights.itertuples()]
    lacking = [not (eeg and eog) for eeg, eog in present]
    return _leave_out(nights, lacking, "without an EEG and an EOG channel, which U-Sleep needs")


def _present(lists: tuple[list[str], list[str]], available: Sequence[str]) -> list[list[str]]:
    """EEG and EOG channels of a data set that a night has."""
    return [[name for name in names if name in available] for names in lists]


def _leave_out(nights: pd.DataFrame, wrong: Sequence[bool], reason: str) -> pd.DataFrame:
    """The nights that are not wrong; warns of those that are. ValueError where none is left."""
    is_wrong = np.asarray(wrong, dtype=bool)
    if not is_wrong.any():
        return nights
    names = (nights.dataset + "/" + nights.recording)[is_wrong]
    listed = ", ".join(names.head(5)) + (" ..." if len(names) > 5 else "")
    if is_wrong.all():
        raise ValueError(f"no night is left: all are {reason}: {listed}")
    warnings.warn(f"{len(names)} of {len(nights)} nights are left out, {reason}: {listed}", stacklevel=4)
    return nights[~is_wrong]

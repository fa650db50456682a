"""Which windows a network is trained on: U-Sleep's sampling (Perslev et al. 2021, methods; AnySleep, methods).

Every draw is keyed by (seed, training epoch, batch), so the same key gives the same batch in any process.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from anysleep.data.archive import Archive
from anysleep.stages import N_STAGES, STAGES


class WindowBatches(Dataset):
    """Batches of training windows, drawn from an archive: item (training_epoch, batch) -> (x, y).

    x is float32 (B, T, C), y int64 (B, E) with 9 where unscored. For each window: a stage, uniformly; a data set, half
    uniformly and half by its share of recordings; a recording with that stage, uniformly; one of its epochs of that
    stage; a window, placed uniformly around that epoch.
    """

    def __init__(
        self,
        archive: str | Path,
        nights: pd.DataFrame,
        *,
        window_epochs: int,
        batch_size: int,
        eeg_eog_pairs: bool,
        max_channels: int = 0,
        seed: int = 0,
    ):
        """Choose the windows' source.

        Parameters
        ----------
        nights
            Rows of `Archive.recordings()` to draw from; those without hypnogram are left out.
        window_epochs
            Epochs in a window.
        eeg_eog_pairs
            True for U-Sleep: one EEG and one EOG channel, drawn for every window. False for AnySleep: the number of
            channels n is drawn once a batch, P(n) proportional to 1 / n.
        max_channels
            The largest n; 0 for the longest channel list of any data set.

        Raises
        ------
        ValueError
            A night is shorter than a window, or there is nothing to draw.
        """
        self.archive_path = Path(archive)
        self.window_epochs, self.batch_size, self.seed = window_epochs, batch_size, seed
        self.eeg_eog_pairs = eeg_eog_pairs
        self._archive: Archive | None = None
        nights = nights[nights.has_hypnogram].reset_index(drop=True)
        if nights.empty:
            raise ValueError("no night with a hypnogram to train on")
        short = nights[nights.n_epochs < window_epochs]
        if not short.empty:
            raise ValueError(f"shorter than a window of {window_epochs} epochs: {', '.join(short.recording)}")
        self.nights = nights
        with Archive(archive) as opened:
            self.hypnograms = [opened.hypnogram(*key) for key in zip(nights.dataset, nights.recording, strict=True)]
            lists = {dataset: opened.channels(dataset) for dataset in nights.dataset.unique()}
        self.eeg_eog = lists
        self.max_channels = max_channels or max(len(eeg) + len(eog) for eeg, eog in lists.values())
        self.sources = self._sources()

    def _sources(self) -> dict[int, tuple[list[np.ndarray], np.ndarray]]:
        """For every stage that occurs: the nights that have it, by data set, and the data sets' probabilities."""
        shares = 0.5 / self.nights.dataset.nunique() + 0.5 * self.nights.dataset.value_counts(normalize=True)
        has = np.array([[(h == stage).any() for stage in range(N_STAGES)] for h in self.hypnograms])
        sources = {}
        for stage in range(N_STAGES):
            having = self.nights[has[:, stage]]
            if having.empty:
                warnings.warn(f"no training night has stage {STAGES[stage]}: it cannot be learned", stacklevel=3)
                continue
            groups = having.groupby("dataset").groups
            weights = shares[list(groups)].to_numpy()
            sources[stage] = ([rows.to_numpy() for rows in groups.values()], weights / weights.sum())
        return sources

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The batch of this (training_epoch, batch)."""
        if self._archive is None:  # every worker process opens the file itself
            self._archive = Archive(self.archive_path)
        rng = np.random.default_rng([self.seed, *key])
        n_channels = self.draw_n_channels(rng)
        windows = [self.draw_window(rng, n_channels) for _ in range(self.batch_size)]
        x = np.stack([self._signals(*window) for window in windows])  # (B, C, T)
        y = np.stack([self.hypnograms[night][start : start + self.window_epochs] for night, start, _ in windows])
        return torch.from_numpy(x).transpose(1, 2).contiguous(), torch.from_numpy(y.astype(np.int64))

    def draw_n_channels(self, rng: np.random.Generator) -> int:
        """Channels of a batch, P(n) proportional to 1 / n."""
        weights = 1 / np.arange(1, self.max_channels + 1)
        return 2 if self.eeg_eog_pairs else 1 + int(rng.choice(self.max_channels, p=weights / weights.sum()))

    def draw_window(self, rng: np.random.Generator, n_channels: int) -> tuple[int, int, list[str]]:
        """A night (row of `nights`), the first epoch of the window, and the channels."""
        stage = int(rng.choice(list(self.sources)))
        groups, weights = self.sources[stage]
        night = int(rng.choice(groups[rng.choice(len(groups), p=weights)]))
        hypnogram = self.hypnograms[night]
        epoch = int(rng.choice(np.flatnonzero(hypnogram == stage)))
        first, last = max(0, epoch - self.window_epochs + 1), min(epoch, len(hypnogram) - self.window_epochs)
        return night, int(rng.integers(first, last + 1)), self._draw_channels(rng, night, n_channels)

    def _draw_channels(self, rng: np.random.Generator, night: int, n_channels: int) -> list[str]:
        available = self.nights.channels[night]
        if not self.eeg_eog_pairs:
            return _choose(rng, available, n_channels)
        eeg, eog = self.eeg_eog[self.nights.dataset[night]]
        pair = [[name for name in names if name in available] for names in (eeg, eog)]
        if not all(pair):
            raise ValueError(f"U-Sleep needs an EEG and an EOG channel; {self.nights.recording[night]} has {available}")
        return [str(rng.choice(names)) for names in pair]

    def _signals(self, night: int, start_epoch: int, channels: Sequence[str]) -> np.ndarray:
        row = self.nights.iloc[night]
        return self._archive.signals(row.dataset, row.recording, channels, start_epoch, self.window_epochs)


def _choose(rng: np.random.Generator, names: Sequence[str], n: int) -> list[str]:
    """n names without replacement, with replacement where there are fewer."""
    return [names[i] for i in rng.choice(len(names), size=n, replace=n > len(names))]

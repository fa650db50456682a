"""What flows through the networks: samples in rows, filters in columns."""

import torch
from torch import Tensor

MARGIN = 4
"""Rows of zeros before the samples: half a kernel of 9."""
TAIL = 8
"""Rows of zeros behind them: half a kernel, and what fills up the last block of 4 samples."""


class Track:
    """Samples in the order in which convolutions read fastest, between zeros that let them read over both ends.

    `padded` (MARGIN + T + TAIL, F) holds all; it is uninitialised until the samples are written and `seal` is called.
    """

    def __init__(self, n: int, filters: int, like: Tensor):
        self.n, self.filters = n, filters
        self.padded = like.new_empty(MARGIN + n + TAIL, filters)

    @property
    def samples(self) -> Tensor:
        """(T, F), a view."""
        return self.padded[MARGIN : MARGIN + self.n]

    def rows(self, start: int, n_rows: int, samples_per_row: int) -> Tensor:
        """The samples from `start` on, several a row: (n_rows, samples_per_row x F), a view, perhaps with zeros."""
        first = MARGIN + start
        return self.padded[first : first + n_rows * samples_per_row].view(n_rows, samples_per_row * self.filters)

    def seal(self, n_leading: int = 0) -> "Track":
        """Write the zeros around the samples, and over the first `n_leading` samples; returns the track."""
        self.padded[: MARGIN + n_leading].zero_()
        self.padded[MARGIN + self.n :].zero_()
        return self

    def halved(self) -> "Track":
        """The larger of every two neighbours; T must be even."""
        half = Track(self.n // 2, self.filters, self.padded)
        pairs = self.samples.unflatten(0, (-1, 2))
        torch.maximum(pairs[:, 0], pairs[:, 1], out=half.samples)
        return half.seal()

    def mean(self) -> Tensor:
        """Over time, float32 (F,)."""
        return self.samples.sum(0, dtype=torch.float32) / self.n


class RunningMix:
    """The mean of tracks weighted by the softmax of their scores, while one track after the other is added.

    Only the mean so far is kept, so memory does not grow with the tracks. V virtual tracks can be mixed from tracks of
    one filter at once, each with its own scores.
    """

    def __init__(self) -> None:
        self.track: Track | None = None
        self.scores: list[Tensor] = []

    def add(self, track: Track, scores: Tensor) -> None:
        """One more track, with its scores (V,)."""
        self.scores.append(scores)
        weight = torch.stack(self.scores).softmax(dim=0)[-1].to(track.padded.dtype)  # among those so far
        if self.track is None:
            self.track = Track(track.n, max(track.filters, len(weight)), track.padded)
            self.track.padded.copy_(track.padded)
        else:
            self.track.padded.lerp_(track.padded, weight)

    def weights(self) -> Tensor:
        """What each track counts, (V, tracks); rows sum to one."""
        return torch.stack(self.scores, dim=1).softmax(dim=1)

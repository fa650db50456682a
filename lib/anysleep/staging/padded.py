"""Padded sequences, which flow through the networks: samples in rows, filters in columns."""

import torch
from torch import Tensor

MARGIN = 4
"""Rows of zeros before the samples: half a kernel of 9."""
TAIL = 8
"""Rows of zeros behind them: half a kernel, and what fills up the last block of 4 samples."""


class PaddedSequence:
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

    def seal(self, n_leading: int = 0) -> "PaddedSequence":
        """Write the zeros around the samples, and over the first `n_leading` samples; returns the sequence."""
        self.padded[: MARGIN + n_leading].zero_()
        self.padded[MARGIN + self.n :].zero_()
        return self

    def halved(self) -> "PaddedSequence":
        """The larger of every two neighbours; T must be even."""
        half = PaddedSequence(self.n // 2, self.filters, self.padded)
        pairs = self.samples.unflatten(0, (-1, 2))
        torch.maximum(pairs[:, 0], pairs[:, 1], out=half.samples)
        return half.seal()

    def mean(self) -> Tensor:
        """Over time, float32 (F,)."""
        return self.samples.sum(0, dtype=torch.float32) / self.n


class RunningMix:
    """The mean of sequences weighted by the softmax of their scores, while one sequence after the other is added.

    Only the mean so far is kept, so memory does not grow with the sequences. V virtual channels can be mixed from
    sequences of one filter at once, each with its own scores.
    """

    sequence: PaddedSequence
    """The mean so far; there is none before the first `add`."""

    def __init__(self) -> None:
        self.scores: list[Tensor] = []

    def add(self, sequence: PaddedSequence, scores: Tensor) -> None:
        """One more sequence, with its scores (V,)."""
        self.scores.append(scores)
        weight = torch.stack(self.scores).softmax(dim=0)[-1].to(sequence.padded.dtype)  # among those so far
        if len(self.scores) == 1:
            self.sequence = PaddedSequence(sequence.n, max(sequence.filters, len(weight)), sequence.padded)
            self.sequence.padded.copy_(sequence.padded)
        else:
            self.sequence.padded.lerp_(sequence.padded, weight)

    def weights(self) -> Tensor:
        """What each sequence counts, (V, sequences); rows sum to one."""
        return torch.stack(self.scores, dim=1).softmax(dim=1)

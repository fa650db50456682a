"""The U-Net of a network, made ready for whole nights: level by level, each in tiles of time.

Four things make it fast, and none changes the result beyond rounding. Samples lie in rows and filters in columns, which
oneDNN and cuDNN call channels-last. Where there are few filters, four neighbouring samples count as one with four
times the filters, which fills the arithmetic units. A tile is finished (convolution, ELU, batch normalisation) while it
is in the processor's cache. And what the decoder doubles is convolved before it is doubled.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from anysleep.models import SleepNetwork
from anysleep.models.layers import DecoderBlock
from anysleep.staging.devices import tile_values

ENOUGH_FILTERS = 40
"""With fewer filters, two or four samples count as one."""
LOG2_E = math.log2(math.e)
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
        """The mean over time, float32 (F,)."""
        return self.samples.sum(0, dtype=torch.float32) / self.n


Weighted = Sequence[tuple[PaddedSequence, float]]
"""Sequences to be summed, each with its weight."""


class Convolution:
    """A convolution of odd kernel that keeps the length, ready for sequences.

    It reads rows of `n_in` samples and makes rows of `n_out` samples, each from several rows, the first of which lies
    `reach` samples before its own.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype):
        self.filters, in_filters, kernel = weight.shape
        # A row of n samples becomes a row of n: output i of the row has the kernel shifted by i. Kernels are 9 or 1
        # long, so kernel + n - 1 is a whole number of rows.
        self.n_in = self.n_out = n = next((n for n in (1, 2) if n * in_filters >= ENOUGH_FILTERS), 4)
        self.reach = kernel // 2
        shifted = torch.stack([functional.pad(weight, (i, n - 1 - i)) for i in range(n)])  # (n, F, C, kernel + n - 1)
        by_row = shifted.unflatten(-1, (-1, n)).permute(0, 1, 4, 2, 3)  # (n, F, n, C, rows)
        self._keep(by_row.flatten(2, 3).flatten(0, 1), bias, dtype)  # (n F, n C, rows)

    def _keep(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        # As an image of height 1: torch's channels_last needs four axes.
        self.weight = weight.unsqueeze(2).to(dtype, memory_format=torch.channels_last)
        self.bias = None if bias is None else bias.repeat(self.n_out).to(dtype)

    def rows(self, x: PaddedSequence, start: int, n_rows: int) -> Tensor:
        """What becomes of the samples from `start` on, (n_rows, n_out x F)."""
        n_read = n_rows + self.weight.shape[-1] - 1
        # Transposed views are channels-last already, so nothing is copied.
        image = x.rows(start - self.reach, n_read, self.n_in).T[None, :, None]  # (1, n_in x C, 1, n_read)
        return functional.conv2d(image, self.weight, self.bias)[0, :, 0].T


class DoublingConvolution(Convolution):
    """The decoder's convolution of kernel 2 over samples that each stand twice: two from a sample and the next."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype):
        self.filters, self.n_in, self.n_out, self.reach = len(weight), 1, 2, 0
        # Doubled, x reads x0 x0 x1 x1 ...: even places see one sample twice, odd ones a sample and the next.
        first, second = weight.unbind(-1)
        even = torch.stack([first + second, torch.zeros_like(second)], dim=-1)
        self._keep(torch.cat([even, weight]), bias, dtype)


class StridedConvolution(Convolution):
    """The first convolution of the fusion networks' attention, whose kernel is two strides long; without padding."""

    def __init__(self, conv: nn.Conv1d, dtype: torch.dtype):
        (self.n_in,) = conv.stride
        self.filters, self.n_out, self.reach = conv.out_channels, 1, 0
        self._keep(conv.weight.unflatten(-1, (2, self.n_in)).permute(0, 3, 1, 2).flatten(1, 2), conv.bias, dtype)


class Activation:
    """ELU and then batch normalisation, with the statistics of the training."""

    def __init__(self, norm: nn.BatchNorm1d, dtype: torch.dtype):
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.scale, self.shift = scale.to(dtype), (norm.bias - norm.running_mean * scale).to(dtype)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Write into `out` what becomes of rows (n_rows, samples x F)."""
        n = x.shape[1] // len(self.scale)
        # exp(x) - 1 is never less than x, so the larger of both is ELU, in half the time of torch's own.
        below_zero = torch.clamp_max(x, 0).mul_(LOG2_E).exp2_().sub_(1)
        elu = torch.maximum(x, below_zero, out=below_zero)
        torch.addcmul(self.shift.repeat(n), elu, self.scale.repeat(n), out=out)


def convolve(
    convolution: Convolution,
    activation: Activation | None,
    x: PaddedSequence,
    n: int,
    *,
    offset: int = 0,
    skips: Weighted = (),
) -> PaddedSequence:
    """The sequence of `n` samples that a convolution and an activation make of `x`.

    An `offset` of 1 puts a zero first, one of -1 leaves the first sample out. `skips` are added before the activation.
    """
    result = PaddedSequence(n, convolution.filters, x.padded)
    # A multiple of 4 samples, so that every tile begins with a whole row.
    tile = 4 * max(1, tile_values(x.padded) // (4 * convolution.filters))
    for start in range(0, x.n, tile):
        n_rows = math.ceil(min(tile, x.n - start) / convolution.n_in)
        first = start // convolution.n_in * convolution.n_out  # of the result
        y = convolution.rows(x, start, n_rows)
        for skip, weight in skips:
            y.add_(skip.rows(first, n_rows, convolution.n_out), alpha=weight)
        out = result.rows(first + offset, n_rows, convolution.n_out)
        if activation is None:
            out.copy_(y)
        else:
            activation(y, out)
    # The last row may have reached over the end, and activation makes something of zeros there.
    return result.seal(max(offset, 0))


class UNet:
    """Encoder and decoder of a network, ready for sequences."""

    def __init__(self, network: SleepNetwork, dtype: torch.dtype):
        blocks = [*(encoder.enc for encoder in network.encoders), network.connector]
        *self.encoders, self.connector = [
            (Convolution(conv.weight, conv.bias, dtype), Activation(norm, dtype)) for conv, _, norm in blocks
        ]
        self.decoders = [Decoder(block, dtype) for block in network.decoders]

    def levels(self, x: PaddedSequence) -> Iterator[PaddedSequence]:
        """Every level of the encoder, shallow to deep; only the one that is asked for is in memory."""
        for encoder in self.encoders:
            is_odd = x.n % 2
            level = convolve(*encoder, x, x.n + is_odd, offset=is_odd)
            x = level.halved()
            yield level
            del level  # the caller alone holds it now
        yield convolve(*self.connector, x, x.n)

    def to_decoder(self, depth: int, level: PaddedSequence) -> PaddedSequence:
        """A level of the encoder as the decoder adds it; the deepest as it is.

        Mixing channels before this or after it gives the same, because a convolution without bias is linear.
        """
        if depth == len(self.decoders):
            return level
        return convolve(self.decoders[-1 - depth].from_encoder, None, level, level.n)

    def decode(self, deepest: PaddedSequence, skips: Iterable[Weighted]) -> PaddedSequence:
        """Features, from the deepest level and, deep to shallow, what `to_decoder` gives of the others."""
        x = deepest
        for decoder, skip in zip(self.decoders, skips, strict=True):
            x = decoder(x, skip)
        return x

    def features(self, x: PaddedSequence) -> PaddedSequence:
        """What encoder and decoder make of `x`."""
        *skips, deepest = [self.to_decoder(depth, level) for depth, level in enumerate(self.levels(x))]
        # Popped, so that a skip is freed as soon as the decoder has read it.
        return self.decode(deepest, ([(skips.pop(), 1.0)] for _ in self.decoders))


class Decoder:
    """A block of the decoder. A convolution of two inputs side by side is the sum of one convolution each."""

    def __init__(self, block: DecoderBlock, dtype: torch.dtype):
        _, conv1, _, norm1 = block.dec1
        conv2, _, norm2 = block.dec2
        self.doubling = DoublingConvolution(conv1.weight, conv1.bias, dtype), Activation(norm1, dtype)
        # The network puts the skip first. The bias must count once, so only one of both has it.
        from_encoder, from_below = conv2.weight.chunk(2, dim=1)
        self.from_encoder = Convolution(from_encoder, None, dtype)
        self.from_below = Convolution(from_below, conv2.bias, dtype), Activation(norm2, dtype)

    def __call__(self, x: PaddedSequence, skips: Weighted) -> PaddedSequence:
        """The level below, doubled, joined with what the encoder gives."""
        n = skips[0][0].n
        surplus = 2 * x.n - n  # of which half, rounded up, lies in front
        doubled = convolve(*self.doubling, x, n, offset=-((surplus + 1) // 2))
        return convolve(*self.from_below, doubled, n, skips=skips)

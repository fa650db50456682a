"""A night through a network: how each architecture brings channels together.

`encode` does once a channel what montages share, `merge` does the rest once a montage. Channels are encoded one after
the other, so that a night with all its channels needs the memory of one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anysleep.models import SleepNetwork
from anysleep.settings import Precision
from anysleep.staging.devices import COPIES_OF_TILE, smallest_tile
from anysleep.staging.unet import Convolution, PaddedSequence, StridedConvolution, UNet, Weighted, convolve

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16}
Encoded = tuple[list[PaddedSequence], Tensor]
"""What is kept of one channel: sequences that montages need, and its scores (M,) by every attention module."""
Merged = tuple[PaddedSequence, Tensor]
"""What becomes of a montage: the last features of the network, and the attention (M, C)."""

WORKING_SEQUENCES = 5
"""Sequences as long and as wide as the first level that are in memory at once, besides the levels of the encoder."""
FEW = 4
"""Up to so many samples, adding one after the other is faster than torch's mean."""


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
        # Of scores s, mean += w * (x - mean) with w = exp(s[-1]) / sum(exp(s)) keeps the weighted mean exactly.
        weight = torch.stack(self.scores).softmax(dim=0)[-1].to(sequence.padded.dtype)
        if len(self.scores) == 1:
            # One of both is 1: a mix of F filters has one virtual channel, a mix of V virtual channels one filter.
            self.sequence = PaddedSequence(sequence.n, max(sequence.filters, len(weight)), sequence.padded)
            self.sequence.padded.copy_(sequence.padded)
        else:
            self.sequence.padded.lerp_(sequence.padded, weight)  # the zeros around the samples stay zeros

    def weights(self) -> Tensor:
        """What each sequence counts, (V, sequences); rows sum to one."""
        return torch.stack(self.scores, dim=1).softmax(dim=1)


class Engine(ABC):
    """A network made ready to stage nights, in float32 or bfloat16."""

    def __init__(self, network: SleepNetwork, dtype: torch.dtype):
        self.network, self.dtype = network, dtype
        self.unet = UNet(network, dtype)
        first, _, _, *head = network.segment_classifier.segment_classifier
        # Their kernels have length 1, so they are linear layers.
        self.to_classes, *self.after = ((conv.weight.squeeze(-1), conv.bias) for conv in head[::2])  # ELU between them
        self.before_pooling = Convolution(first.weight, first.bias, dtype)
        self.like = next(network.parameters()).new_empty(0, dtype=dtype)  # tells device and precision to new tensors

    def needed_bytes(self, n_samples: int, n_kept: int) -> int:
        """Memory that a night takes at most, logits not counted, while this many encoded channels are kept."""
        first, second, *_ = self.network.filters
        # Per sample of the signal; the second level is half as long, and so counts by half.
        values = self.levels_per_sample + WORKING_SEQUENCES * first + second / 2 + n_kept * self.kept_per_sample
        tiles = COPIES_OF_TILE * smallest_tile(self.device)
        return int(n_samples * values + tiles) * self.dtype.itemsize

    @property
    def levels_per_sample(self) -> float:
        """Values of all levels of the encoder for a sample of the signal."""
        return sum(n / 2**depth for depth, n in enumerate(self.network.filters))

    @property
    def kept_per_sample(self) -> float:
        """Values that `encode` gives for a sample of the signal."""
        return 1

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self.like.device

    def stage(self, signals: Iterable[np.ndarray]) -> Merged:
        """The channels of one montage, each (T,)."""
        return self.merge(self.encode(signal) for signal in signals)

    @abstractmethod
    def encode(self, signal: np.ndarray) -> Encoded:
        """What montages share of one channel (T,)."""

    @abstractmethod
    def merge(self, channels: Iterable[Encoded]) -> Merged:
        """Features and attention of a montage, from its encoded channels."""

    def logits(self, features: PaddedSequence, resolutions: Iterable[int]) -> dict[int, Tensor]:
        """Predictions per epoch -> float32 (P, 5)."""
        hidden = convolve(self.before_pooling, None, features, features.n).samples.float().tanh_()
        pooled, logits = {1: hidden}, {}
        # Means of equal lengths may be averaged again: each resolution starts from the coarsest that fits into it.
        for r in sorted(resolutions, reverse=True):
            n = self.network.samples_per_prediction(r)
            finer = max(m for m in pooled if n % m == 0)
            pooled[n] = _mean_of_every(n // finer, pooled[finer])
            logits[r] = functional.linear(pooled[n], *self.to_classes)
            for weight, bias in self.after:
                logits[r] = functional.linear(functional.elu_(logits[r]), weight, bias)
        return logits

    def sequence(self, signal: np.ndarray) -> PaddedSequence:
        """One channel (T,) as a sequence."""
        sequence = PaddedSequence(len(signal), 1, self.like)
        # A copy: torch refuses arrays with negative strides and warns of those that are read-only.
        sequence.samples[:, 0] = torch.from_numpy(np.array(signal, dtype=np.float32))
        return sequence.seal()


class USleepEngine(Engine):
    """U-Sleep: montages share nothing, because its first convolution reads both channels."""

    def encode(self, signal: np.ndarray) -> Encoded:
        """The signal as it is."""
        return [self.sequence(signal)], self.like.new_empty(0)

    def merge(self, channels: Iterable[Encoded]) -> Merged:
        """Two channels through the U-Net."""
        (eeg,), (eog,) = (sequences for sequences, _ in channels)
        pair = PaddedSequence(eeg.n, 2, self.like)
        pair.padded[:, 0:1], pair.padded[:, 1:2] = eeg.padded, eog.padded  # with their zeros: no `seal`
        # (0, 2): no attention module, two channels.
        return self.unet.features(pair), self.like.new_empty(0, 2)


class AnySleepEngine(Engine):
    """AnySleep: montages share the encoder, and with it half of the decoder."""

    def stage(self, signals: Iterable[np.ndarray]) -> Merged:
        """Channels are mixed level by level, as soon as they are encoded."""
        # Unlike in `encode`, `to_decoder` comes after the mix: one convolution a level instead of one a channel.
        mixes = [RunningMix() for _ in self.network.filters]
        for signal in signals:
            for mix, (level, score) in zip(mixes, self._scored_levels(signal), strict=True):
                mix.add(level, score)
                del level  # before the next one is made
        attention = torch.cat([mix.weights() for mix in mixes])
        levels = [mix.sequence for mix in mixes]
        del mixes  # so that a level is freed as soon as the decoder has read it
        deepest = levels.pop()
        return self.unet.decode(deepest, self._skips(levels)), attention

    def _skips(self, levels: list[PaddedSequence]) -> Iterator[Weighted]:
        """Deep to shallow, each made when the decoder asks for it; `levels` is emptied on the way."""
        while levels:
            depth = len(levels) - 1
            yield [(self.unet.to_decoder(depth, levels.pop()), 1.0)]

    @property
    def kept_per_sample(self) -> float:
        """`encode` gives all levels."""
        return self.levels_per_sample

    def encode(self, signal: np.ndarray) -> Encoded:
        """All levels, as the decoder adds them."""
        sequences, scores = [], []
        for depth, (level, score) in enumerate(self._scored_levels(signal)):
            sequences.append(self.unet.to_decoder(depth, level))
            scores.append(score)
        return sequences, torch.cat(scores)

    def merge(self, channels: Iterable[Encoded]) -> Merged:
        """The decoder, which sums up the channels as it reads them."""
        sequences, scores = zip(*channels, strict=True)
        attention = torch.stack(scores, dim=1).softmax(dim=1)  # (depth + 1, C)
        # From channel by channel to level by level; weights as floats, in one transfer from the GPU.
        levels = [
            list(zip(level, weights, strict=True))
            for level, weights in zip(zip(*sequences, strict=True), attention.tolist(), strict=True)
        ]
        *skips, deepest = levels
        return self.unet.decode(_summed(deepest), reversed(skips)), attention

    def _scored_levels(self, signal: np.ndarray) -> Iterator[tuple[PaddedSequence, Tensor]]:
        levels = self.unet.levels(self.sequence(signal))
        for attention, level in zip(self.network.skip_connections, levels, strict=True):
            # A zero in front of an odd level counts in its mean, as in the network. [None] is a batch of one.
            yield level, attention.mlp(level.mean()[None])[0]


class FusionEngine(Engine, ABC):
    """What early and late fusion share: the scores of a channel."""

    def __init__(self, network: SleepNetwork, dtype: torch.dtype):
        super().__init__(network, dtype)
        self.attention = network.channel_attention
        self.half_seconds = StridedConvolution(self.attention.encoder[0], dtype)

    def scores(self, x: PaddedSequence) -> Tensor:
        """What a channel scores (V,), a number for each virtual channel."""
        # The kernel is two strides long and nothing is padded: one row fewer than strides.
        halves = self.half_seconds.rows(x, 0, x.n // self.half_seconds.n_in - 1)
        code = self.attention.encoder[1:](halves.T[None].float()).mean(dim=-1)
        return torch.cat([mlp(code)[0] for mlp in self.attention.mlps])


class EarlyFusionEngine(FusionEngine):
    """Early fusion: montages share the attention's scores; the U-Net follows them."""

    def encode(self, signal: np.ndarray) -> Encoded:
        """The signal as it is, and its scores."""
        sequence = self.sequence(signal)
        return [sequence], self.scores(sequence)

    def merge(self, channels: Iterable[Encoded]) -> Merged:
        """Channels mixed into four virtual ones, and the U-Net."""
        mix = RunningMix()
        for (sequence,), scores in channels:
            mix.add(sequence, scores)
        return self.unet.features(mix.sequence), mix.weights()


class LateFusionEngine(FusionEngine):
    """Late fusion: montages share the whole U-Net."""

    @property
    def kept_per_sample(self) -> float:
        """`encode` gives the features."""
        return self.network.filters[0]

    def encode(self, signal: np.ndarray) -> Encoded:
        """The features of the channel, and its scores."""
        features = self.unet.features(self.sequence(signal))
        return [features], self.scores(features)

    def merge(self, channels: Iterable[Encoded]) -> Merged:
        """The mean of features, weighted by the attention."""
        mix = RunningMix()
        for (features,), scores in channels:
            mix.add(features, scores)
            del features  # before the next ones are made
        return mix.sequence, mix.weights()


ENGINES: dict[str, Callable[..., Engine]] = {
    "usleep": USleepEngine,
    "anysleep": AnySleepEngine,
    "anysleep_early_fusion": EarlyFusionEngine,
    "anysleep_late_fusion": LateFusionEngine,
}


def build_engine(network: SleepNetwork, precision: Precision) -> Engine:
    """The engine of a network, which is put in evaluation mode. ValueError where it is not one of float32."""
    if precision not in DTYPES:
        raise ValueError(f"precision is {precision!r}; choose one of {', '.join(map(repr, DTYPES))}")
    dtypes = {parameter.dtype for parameter in network.parameters()}
    if dtypes != {torch.float32}:
        raise ValueError(f"the network's weights are {dtypes}; stage with `model.float()`, and choose a precision here")
    return ENGINES[network.name](network.eval(), DTYPES[precision])


def _mean_of_every(n: int, x: Tensor) -> Tensor:
    """(T, F) -> (T / n, F)."""
    if n == 1:
        return x
    groups = x.unflatten(0, (-1, n))
    if n > FEW:
        return groups.mean(dim=1)
    return reduce(torch.add, groups.unbind(1)) / n


def _summed(sequences: Weighted) -> PaddedSequence:
    first = sequences[0][0]
    total = PaddedSequence(first.n, first.filters, first.padded)
    total.padded.zero_()
    for sequence, weight in sequences:
        total.padded.add_(sequence.padded, alpha=weight)
    return total

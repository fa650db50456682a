"""U-Sleep and the three AnySleep networks: one U-Net, four ways to bring channels together.

All take preprocessed signals (B, T, C), float32, T a whole number of epochs, and give logits (B, P, 5), where P is
epochs x predictions per epoch. Architectures: U-Sleep, Perslev et al. 2021; AnySleep, arXiv 2512.14461.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from anysleep.models.layers import (
    DecoderBlock,
    EncoderBlock,
    FusionAttention,
    SegmentClassifier,
    SkipAttention,
    conv_block,
)
from anysleep.stages import EPOCH_S, N_STAGES
from anysleep.system.words import did_you_mean


def unet_filters(depth: int = 12, complexity: float = 1.2923) -> tuple[int, ...]:
    """Filters of the encoder blocks and, last, the connector: depth + 1 numbers.

    Each level has sqrt(2) times the filters of the one above, rounded down; `complexity` then scales them all.
    """
    unscaled = [5]
    while len(unscaled) <= depth:
        unscaled.append(int(unscaled[-1] * 1.4142))
    return tuple(int(n * complexity) for n in unscaled)


class SleepNetwork(nn.Module):
    """The U-Net and classifier that all four architectures share.

    A subclass says how many channels its U-Net sees and, in `features`, how the given channels get there. Every
    hyperparameter is an attribute of the same name.
    """

    name: str
    unet_channels: int
    hyperparameter_names: tuple[str, ...] = ("filters",)

    def __init__(
        self,
        *,
        predictions_per_epoch: int = 1,
        sampling_rate_hz: int = 128,
        filters: tuple[int, ...] = unet_filters(),
        dense_filters: int | None = None,
        linear_head: bool = False,
    ):
        super().__init__()
        self.sampling_rate_hz = sampling_rate_hz
        self.samples_per_epoch = _samples_per_epoch(sampling_rate_hz)
        self.predictions_per_epoch = predictions_per_epoch
        self.samples_per_prediction(predictions_per_epoch)  # stops where it does not divide
        self.filters = tuple(filters)
        self.provenance: dict[str, object] = {}  # how the weights came to be, as far as their file says
        self.seen: dict[str, dict[str, np.ndarray]] = {}  # statistics of its training, see staging.familiarity

        levels = list(zip(self.filters[:-1], self.filters[1:], strict=True))  # (shallow, deep)
        self.encoders = nn.ModuleList(
            EncoderBlock(n_in, n_out)
            for n_in, n_out in zip((self.unet_channels, *self.filters[:-2]), self.filters[:-1], strict=True)
        )
        self.connector = nn.Sequential(*conv_block(*levels[-1]))
        self.decoders = nn.ModuleList(DecoderBlock(deep, shallow) for shallow, deep in reversed(levels))
        self.dense_filters, self.linear_head = dense_filters or self.filters[0], linear_head
        self.segment_classifier = SegmentClassifier(self.filters[0], N_STAGES, dense_filters, linear_head)

    @property
    def hyperparameters(self) -> dict[str, object]:
        """What `build_model(self.name, ...)` needs to build this network again, besides rate and resolution."""
        return {key: getattr(self, key) for key in self.hyperparameter_names}

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> logits (B, P, 5) at `self.predictions_per_epoch`. ValueError on a wrong shape."""
        features, _ = self.features(x)
        return self.classify(features, self.predictions_per_epoch)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) -> decoded features (B, F, T) and attention (module, B, C), None where there is none.

        ValueError where the shape is wrong.
        """
        raise TypeError("SleepNetwork is only the shared part: use build_model")

    def classify(self, features: Tensor, predictions_per_epoch: int) -> Tensor:
        """Features (B, F, T) -> logits (B, P, 5). Any resolution, whatever the network was built for."""
        return self.segment_classifier(features, self.samples_per_prediction(predictions_per_epoch))

    def samples_per_prediction(self, predictions_per_epoch: int) -> int:
        """Samples that share one prediction. ValueError where they would not be a whole number."""
        if predictions_per_epoch < 1 or self.samples_per_epoch % predictions_per_epoch:
            raise ValueError(
                f"predictions_per_epoch is {predictions_per_epoch}; it must divide the "
                f"{self.samples_per_epoch} samples of an epoch ({EPOCH_S} s at {self.sampling_rate_hz} Hz)"
            )
        return self.samples_per_epoch // predictions_per_epoch

    def encode(self, x: Tensor) -> Iterator[Tensor]:
        """(B, channels, T) -> every level of the encoder, shallow to deep: the skips, then the connector's output."""
        for encoder in self.encoders:
            x, skip = encoder(x)
            yield skip
        yield self.connector(x)

    def decode(self, levels: Iterable[Tensor]) -> Tensor:
        """The levels that `encode` gives, or what attention made of them -> features (B, F, T)."""
        *skips, x = levels
        for decoder, skip in zip(self.decoders, reversed(skips), strict=True):
            x = decoder(x, skip)
        return x

    def check_input(self, x: Tensor) -> None:
        """ValueError that names what is wrong with the shape of `x`."""
        if x.ndim != 3:
            raise ValueError(f"input has shape {tuple(x.shape)}; expected (batch, samples, channels)")
        _, n_samples, n_channels = x.shape
        if n_channels < 1:
            raise ValueError("input has no channel; at least one is needed")
        if n_samples < self.samples_per_epoch:
            raise ValueError(
                f"input has {n_samples} samples, less than one epoch of {self.samples_per_epoch} "
                f"({EPOCH_S} s at {self.sampling_rate_hz} Hz); is the last axis the channels?"
            )
        if n_samples % self.samples_per_epoch:
            raise ValueError(
                f"input has {n_samples} samples, not a whole number of epochs of {self.samples_per_epoch}; "
                f"cut it to {n_samples - n_samples % self.samples_per_epoch}"
            )


class USleep(SleepNetwork):
    """U-Sleep: exactly one EEG and one EOG channel, in this order, straight into the U-Net."""

    name = "usleep"
    unet_channels = 2
    hyperparameter_names = ("filters", "dense_filters", "linear_head")

    def features(self, x: Tensor) -> tuple[Tensor, None]:
        """(B, T, 2) -> features (B, F, T); no attention."""
        self.check_input(x)
        return self.decode(self.encode(x.transpose(1, 2))), None

    def check_input(self, x: Tensor) -> None:
        """As every network, and exactly two channels."""
        super().check_input(x)
        if x.shape[-1] != 2:
            raise ValueError(f"U-Sleep takes exactly 2 channels (one EEG, one EOG); the input has {x.shape[-1]}")


class _WithAttention(SleepNetwork):
    """What the three AnySleep networks share."""

    hyperparameter_names = ("filters", "attention_hidden")

    def __init__(self, *, attention_hidden: int = 40, **shared):
        super().__init__(**shared)
        self.attention_hidden = attention_hidden


class AnySleep(_WithAttention):
    """AnySleep: a shared encoder per channel; attention merges the channels at every depth; one decoder."""

    name = "anysleep"
    unet_channels = 1

    def __init__(self, **hyperparameters):
        super().__init__(**hyperparameters)
        self.skip_connections = nn.ModuleList(SkipAttention(n, self.attention_hidden) for n in self.filters)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C) -> features (B, F, T) and attention (depth + 1, B, C), the connector's last."""
        self.check_input(x)
        merged, weights = [], []
        for attention, level in zip(self.skip_connections, self.encode(channels_as_batch(x)), strict=True):
            level_merged, level_weights = attention(level.unflatten(0, (x.shape[0], -1)))  # from (B, C, F, T)
            merged.append(level_merged)  # (B, F, T)
            weights.append(level_weights)  # (B, C)
        return self.decode(merged), torch.stack(weights)


class AnySleepEarlyFusion(_WithAttention):
    """AnySleep, early fusion: attention mixes the raw channels into four virtual ones, which the U-Net sees."""

    name = "anysleep_early_fusion"
    unet_channels = 4

    def __init__(self, **hyperparameters):
        super().__init__(**hyperparameters)
        self.channel_attention = FusionAttention(1, self.attention_hidden, self.unet_channels, self.sampling_rate_hz)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C) -> features (B, F, T) and attention (virtual channel, B, C)."""
        self.check_input(x)
        virtual, weights = self.channel_attention(x.transpose(1, 2).unsqueeze(2))  # (B, C, 1, T) -> (B, 4, 1, T)
        return self.decode(self.encode(virtual.squeeze(2))), weights


class AnySleepLateFusion(_WithAttention):
    """AnySleep, late fusion: every channel goes through the whole U-Net; attention merges what comes out."""

    name = "anysleep_late_fusion"
    unet_channels = 1

    def __init__(self, **hyperparameters):
        super().__init__(**hyperparameters)
        self.channel_attention = FusionAttention(self.filters[0], self.attention_hidden, 1, self.sampling_rate_hz)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C) -> features (B, F, T) and attention (1, B, C)."""
        self.check_input(x)
        decoded = self.decode(self.encode(channels_as_batch(x))).unflatten(0, (x.shape[0], -1))  # (B, C, F, T)
        merged, weights = self.channel_attention(decoded)  # (B, 1, F, T)
        return merged.squeeze(1), weights


ARCHITECTURES = {c.name: c for c in (USleep, AnySleep, AnySleepEarlyFusion, AnySleepLateFusion)}


def build_model(
    name: str, *, predictions_per_epoch: int = 1, sampling_rate_hz: int = 128, **hyperparameters
) -> SleepNetwork:
    """A freshly initialised network, in training mode: `usleep`, `anysleep`, or AnySleep with early or late fusion.

    Parameters
    ----------
    predictions_per_epoch
        Predictions in 30 s that `model(x)` gives; must divide the samples of an epoch.
    sampling_rate_hz
        Rate of the input. 30 s must be an even number of samples; the fusion networks need a multiple of 4 Hz.
    hyperparameters
        `filters` (see `unet_filters`); for AnySleep `attention_hidden`, the width of the attention's MLP; for U-Sleep
        `dense_filters` and `linear_head`, in which other implementations differ (see `SegmentClassifier`).

    Raises
    ------
    ValueError, TypeError
        Unknown architecture, or a rate or resolution that does not divide; unknown hyperparameter.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {name!r}; choose one of {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[name]
    for key in hyperparameters:
        if key not in architecture.hyperparameter_names:
            hint = did_you_mean(key, architecture.hyperparameter_names)
            raise TypeError(f"{name} has no hyperparameter {key!r}; {hint}")
    model = architecture(
        predictions_per_epoch=predictions_per_epoch, sampling_rate_hz=sampling_rate_hz, **hyperparameters
    )
    is_abstract = next(model.parameters()).is_meta  # shapes alone, and drawing none would import torch's compiler
    return model if is_abstract else initialise(model)


def initialise(model: SleepNetwork) -> SleepNetwork:
    """Kaiming normal weights (fan-out, ReLU gain) for convolutions and linear layers, linear biases zero; in place."""
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return model


def channels_as_batch(x: Tensor) -> Tensor:
    """(B, T, C) -> (B * C, 1, T): every channel by itself."""
    return x.transpose(1, 2).flatten(0, 1).unsqueeze(1)


def _samples_per_epoch(sampling_rate_hz: float) -> int:
    samples = sampling_rate_hz * EPOCH_S
    if samples <= 0 or samples % 2:
        raise ValueError(
            f"sampling_rate_hz is {sampling_rate_hz}; {EPOCH_S} s of it must be an even, whole number of samples"
        )
    return int(samples)

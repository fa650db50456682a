"""The building blocks of the four networks, one concept a class.

Shapes: B batch, C channels, F filters, T samples, V virtual channels. The attribute names give the state-dict keys
of the released checkpoints, so they must stay. Source of the blocks: U-Sleep (Perslev et al. 2021,
doi 10.1038/s41746-021-00440-5) and AnySleep (arXiv 2512.14461, methods).
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional


def conv_block(in_filters: int, out_filters: int, kernel_size: int = 9, padding: str | int = "same") -> list[nn.Module]:
    """Convolution, ELU, batch normalisation: the unit that repeats through the U-Net."""
    return [
        nn.Conv1d(in_filters, out_filters, kernel_size, padding=padding),
        nn.ELU(inplace=True),  # nothing else needs the convolution's result
        nn.BatchNorm1d(out_filters),
    ]


class HalvingMax(torch.autograd.Function):
    """`max_pool1d(x, 2)` for training on the CPU, where torch's own takes longer and keeps eight times the memory.

    For its way back this keeps a bool an output, torch an index of 64 bits.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        """(B, F, T) -> (B, F, T / 2); T must be even."""
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
        ctx.save_for_backward(first >= second)  # of equal neighbours the first gets the gradient
        return torch.maximum(first, second)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:
        """The gradient goes to the larger neighbour."""
        (is_first,) = ctx.saved_tensors
        to_first = grad * is_first
        return torch.stack([to_first, grad - to_first], dim=-1).flatten(-2)  # grad or 0, without rounding


class EncoderBlock(nn.Module):
    """Halves the length. Returns the pooled tensor and the skip it was pooled from."""

    def __init__(self, in_filters: int, out_filters: int):
        super().__init__()
        self.enc = nn.Sequential(*conv_block(in_filters, out_filters))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, T) -> (B, F', ceil(T / 2)) and the skip (B, F', T), one zero in front of it where T is odd."""
        skip = self.enc(x)
        if skip.shape[-1] % 2:
            skip = functional.pad(skip, (1, 0))
        on_cpu = self.training and x.device.type == "cpu"
        return HalvingMax.apply(skip) if on_cpu else functional.max_pool1d(skip, 2), skip


class DecoderBlock(nn.Module):
    """Doubles the length, joins the encoder's skip, convolves."""

    def __init__(self, in_filters: int, out_filters: int):
        super().__init__()
        # A kernel of 2 keeps the length with one zero behind.
        upsample = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.ConstantPad1d((0, 1), 0.0))
        self.dec1 = nn.Sequential(upsample, *conv_block(in_filters, out_filters, kernel_size=2, padding=0))
        self.dec2 = nn.Sequential(*conv_block(2 * out_filters, out_filters))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, F, T) and skip (B, F', T') with T' <= 2 T -> (B, F', T')."""
        x = self.dec1(x)
        surplus = x.shape[-1] - skip.shape[-1]  # the zero that made a length even has become two samples
        start = (surplus + 1) // 2
        x = x[..., start : start + skip.shape[-1]]
        return self.dec2(torch.cat([skip, x], dim=1))


class SegmentClassifier(nn.Module):
    """Logits per segment. Only its average pooling knows the resolution, so any resolution can be asked for.

    Published: as many dense filters before the pooling as there are features, and two layers after it. Other
    implementations have another `dense_filters`, or one layer (`linear_head`).
    """

    def __init__(self, filters: int, n_classes: int, dense_filters: int | None = None, linear_head: bool = False):
        super().__init__()
        dense_filters = dense_filters or filters
        # Position 2 is the pooling; it has no weights and its length comes with the call. Layers are made in their
        # order, in which a seed gives them their first weights.
        self.segment_classifier = nn.Sequential(
            nn.Conv1d(filters, dense_filters, 1),
            nn.Tanh(),
            nn.Identity(),
            nn.Conv1d(dense_filters, n_classes, 1),
            *([] if linear_head else [nn.ELU(), nn.Conv1d(n_classes, n_classes, 1)]),
        )

    def forward(self, features: Tensor, samples_per_prediction: int) -> Tensor:
        """(B, F, T) -> (B, T / samples_per_prediction, classes)."""
        x = self.segment_classifier[:2](features)
        x = functional.avg_pool1d(x, samples_per_prediction)
        return self.segment_classifier[3:](x).transpose(1, 2)


class SkipAttention(nn.Module):
    """AnySleep's attention: weighs the channels at one depth of the encoder by their mean activity."""

    def __init__(self, filters: int, hidden: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(filters, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T) -> the channels' weighted sum (B, F, T) and the weights (B, C), which sum to one."""
        n_batch, n_channels, _, _ = x.shape
        scores = self.mlp(x.mean(dim=-1).flatten(0, 1)).view(n_batch, n_channels)
        weights = scores.softmax(dim=1)
        return torch.einsum("bc,bcft->bft", weights, x), weights


class FusionAttention(nn.Module):
    """The attention of early and late fusion: every virtual channel is a weighted sum of the given channels."""

    def __init__(self, in_filters: int, hidden: int, n_virtual: int, sampling_rate_hz: int, filters: int = 32):
        super().__init__()
        if sampling_rate_hz % 4:
            raise ValueError(
                f"sampling_rate_hz is {sampling_rate_hz}; early and late fusion need a multiple of 4 Hz, because "
                "their attention looks at half a second of signal every quarter of a second"
            )
        self.encoder = nn.Sequential(
            nn.Conv1d(in_filters, filters, kernel_size=int(sampling_rate_hz // 2), stride=int(sampling_rate_hz // 4)),
            nn.ELU(),
            nn.BatchNorm1d(filters),
            nn.Conv1d(filters, filters, kernel_size=9),
        )
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(filters, hidden), nn.ELU(), nn.BatchNorm1d(hidden), nn.Linear(hidden, 1))
            for _ in range(n_virtual)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T) -> virtual channels (B, V, F, T) and weights (V, B, C), which sum to one over C."""
        n_batch, n_channels, _, _ = x.shape
        code = self.encoder(x.flatten(0, 1)).mean(dim=-1)  # (B * C, 32)
        scores = torch.stack([mlp(code).view(n_batch, n_channels) for mlp in self.mlps])  # (V, B, C)
        weights = scores.softmax(dim=-1)
        return torch.einsum("vbc,bcft->bvft", weights, x), weights

"""What a training step minimises, with which optimiser, and which weights it may change."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LinearLR,
    LRScheduler,
    SequentialLR,
)

from anysleep.models import SleepNetwork
from anysleep.stages import N_STAGES, UNSCORED
from anysleep.training.settings import Schedule

WARMUP_SHARE = 0.1
"""Share of all steps in which the learning rate rises, where there is a warm-up."""


def stage_loss(logits: Tensor, stages: Tensor, stage_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of logits (B, E, 5) over the scored epochs of stages (B, E); `stage_weights` is (5,)."""
    return functional.cross_entropy(logits.flatten(0, 1), stages.flatten(), weight=stage_weights, ignore_index=UNSCORED)


def confusion_of_batch(logits: Tensor, stages: Tensor) -> Tensor:
    """int64 (5, 5), a row an expert's stage, of the scored epochs of stages (B, E) and logits (B, E, 5)."""
    known = torch.arange(N_STAGES, device=stages.device)
    truth, said = (codes.flatten()[:, None] == known for codes in (stages, logits.detach().argmax(dim=-1)))
    return (truth.T.float() @ said.float()).long()  # whole numbers; nothing here makes a GPU wait


def make_optimizer(
    network: SleepNetwork, learning_rate: float, schedule: Schedule, n_steps: int
) -> tuple[Optimizer, LRScheduler]:
    """Adam with AMSGrad (U-Sleep, methods), and torch's scheduler of its learning rate, to be stepped every batch.

    `constant` keeps the rate. `warmup` raises it over the first tenth of `n_steps`; `warmup_cosine` then lowers it to
    `min_rate` along `n_cycles` half cosines, each beginning at the highest rate and `cycle_growth` times as long as the
    one before.
    """
    changeable = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(changeable, lr=learning_rate, amsgrad=True)
    if schedule.shape == "constant":
        return optimizer, ConstantLR(optimizer, factor=1.0)
    n_warmup = max(1, round(WARMUP_SHARE * n_steps))
    warmup = LinearLR(optimizer, start_factor=1 / n_warmup, total_iters=n_warmup - 1)
    if schedule.shape == "warmup":
        return optimizer, warmup
    n_left = max(1, n_steps - n_warmup)
    if schedule.n_cycles == 1:
        decay = CosineAnnealingLR(optimizer, T_max=n_left, eta_min=schedule.min_rate)
    else:
        n_first = -(-n_left // sum(schedule.cycle_growth**i for i in range(schedule.n_cycles)))  # rounded up
        decay = CosineAnnealingWarmRestarts(optimizer, n_first, schedule.cycle_growth, schedule.min_rate)
    return optimizer, SequentialLR(optimizer, [warmup, decay], milestones=[n_warmup])


def inverse_sqrt_weights(hypnograms: Iterable[np.ndarray]) -> Tensor:
    """Loss weights (5,) of one over the square root of each stage's frequency, with mean 1; 0 where it never occurs."""
    counts = sum(np.bincount(h[h != UNSCORED], minlength=N_STAGES) for h in hypnograms)
    weights = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0)
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


def freeze(network: SleepNetwork, parts: Sequence[str]) -> None:
    """Keep the weights of these parts of the network. ValueError for a part it has not, or when nothing is left."""
    named = dict(network.named_children())
    unknown = [part for part in parts if part not in named]
    if unknown:
        raise ValueError(f"{network.name} has no part {', '.join(unknown)}; it has {', '.join(named)}")
    if set(parts) == set(named):
        raise ValueError("every part of the network is frozen; there is nothing to train")
    for part in parts:
        named[part].requires_grad_(False)


def training_mode(network: SleepNetwork) -> None:
    """Training mode, except for frozen parts, whose batch normalisation keeps its statistics, too."""
    network.train()
    for part in network.children():
        if not any(p.requires_grad for p in part.parameters()):
            part.eval()

"""From the parameters of 03 to what is trained: split, batches, network, optimiser, and what a step minimises."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
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

from anysleep.datasets.archive import Archive
from anysleep.datasets.recipes import identify, read_recipe
from anysleep.datasets.sampling import WindowBatches
from anysleep.datasets.splits import Split, read_split, split_by_person, split_id
from anysleep.models import SleepNetwork, build_model, load_checkpoint, unet_filters
from anysleep.stages import N_STAGES, UNSCORED
from anysleep.staging.familiarity import Seen, can_describe, describe_channels, what_was_seen
from anysleep.system.files import sha256_of
from anysleep.system.words import progress
from anysleep.training.settings import Schedule, TrainingSettings
from anysleep.training.state import State

DESCRIBED_NIGHTS = 100
"""More would tell little more of what the network has seen."""


def labelled_nights(settings: TrainingSettings, archive: Archive) -> pd.DataFrame:
    """The rows of `Archive.recordings()` with a hypnogram, and their persons as far as archive or recipes know.

    The nights are checked here, once for all processes that will read them.
    """
    recordings = archive.recordings()
    labelled = recordings[recordings.has_hypnogram]
    archive.check(labelled.dataset + "/" + labelled.recording)
    return identify(labelled, [read_recipe(path) for path in settings.recipes])


def choose_split(settings: TrainingSettings, archive: Archive, nights: pd.DataFrame) -> Split:
    """The split file that `params` names, or one drawn by person; ValueError as in `split_by_person`."""
    if settings.split:
        return read_split(settings.split)
    recipes = [read_recipe(path) for path in settings.recipes]
    test_only = {*archive.test_only(), *(recipe.dataset for recipe in recipes if recipe.split == "test_only")}
    held_out = test_only & set(nights.dataset)
    valid, test = settings.shares
    return split_by_person(nights, valid, test, settings.seed, test_only=held_out, group_by=settings.group_by)


def window_batches(settings: TrainingSettings, nights: pd.DataFrame) -> WindowBatches:
    """The batches that `params` asks for, drawn from these rows of `Archive.recordings()`."""
    return WindowBatches(
        settings.archive,
        nights,
        window_epochs=settings.batch.window_epochs,
        batch_size=settings.batch.n_windows,
        eeg_eog_pairs=settings.architecture == "usleep",
        redraw=settings.batch.redraw,
        max_channels=settings.batch.max_channels,
        seed=settings.seed,
    )


def first_network(settings: TrainingSettings, sampling_rate_hz: int) -> SleepNetwork:
    """The network with its first weights: random ones that follow from the seed, or those of `initial_checkpoint`.

    ValueError where that checkpoint is of another architecture, size or rate than the parameters say.
    """
    torch.manual_seed(settings.seed)
    filters = unet_filters(settings.unet.depth, settings.unet.complexity)
    network = build_model(settings.architecture, sampling_rate_hz=sampling_rate_hz, filters=filters)
    if settings.fine_tune.initial_checkpoint:
        network = _same_kind(load_checkpoint(settings.fine_tune.initial_checkpoint), network, settings)
    freeze(network, settings.fine_tune.frozen)
    return network


def _same_kind(initial: SleepNetwork, asked: SleepNetwork, settings: TrainingSettings) -> SleepNetwork:
    for what in ("name", "filters", "sampling_rate_hz"):
        found, expected = getattr(initial, what), getattr(asked, what)
        if found != expected:
            raise ValueError(
                f"{settings.fine_tune.initial_checkpoint}: {what} is {found}, but architecture, unet and archive ask "
                f"for {expected}"
            )
    initial.predictions_per_epoch = 1  # experts score one stage an epoch
    return initial


def provenance_of(
    settings: TrainingSettings, split: Split, nights: pd.DataFrame, state: State, first: SleepNetwork
) -> dict:
    """What a checkpoint says of its weights: data, split, scores, and the same of those they were tuned from.

    `nights` trained it; `first` has the provenance of the first weights. It is `synthetic` only where all that the
    weights have ever seen was.
    """
    synthetic = bool(nights.synthetic.all())
    tuned = {}
    if settings.fine_tune.initial_checkpoint:
        tuned = {"fine_tuned_from": first.provenance}
        synthetic &= bool(first.provenance.get("synthetic", False))
    best = max(state.history, key=lambda row: row["valid_mf1"])
    return {
        "seed": settings.seed,
        "data": sorted(nights.dataset.unique()),
        "synthetic": synthetic,
        "split": split_id(split),
        "step": best["step"],
        "n_steps": state.step,
        "valid_mf1": best["valid_mf1"],
    } | tuned


def nights_seen(network: SleepNetwork, archive: Path, nights: pd.DataFrame) -> Seen:
    """What `network.seen` keeps of these rows of `Archive.recordings()`; of many, of `DESCRIBED_NIGHTS` among them."""
    if not can_describe(network):
        return {}
    drawn = nights.sample(min(len(nights), DESCRIBED_NIGHTS), random_state=0)
    with Archive(archive, trusted=True) as opened:
        return what_was_seen(_described(network, opened, drawn))


def _described(network: SleepNetwork, archive: Archive, nights: pd.DataFrame) -> Iterator[tuple[np.ndarray, list[str]]]:
    for night in progress(nights.itertuples(), "what the network has seen", len(nights)):
        eeg, eog = archive.channels_of(night.dataset, night.recording)
        signals = archive.signals(night.dataset, night.recording, [*eeg, *eog])
        yield describe_channels(network, signals), ["EEG"] * len(eeg) + ["EOG"] * len(eog)


def training_key(settings: TrainingSettings, run_id: str, archive: Archive, split_file: Path) -> str:
    """What a saved state belongs to: everything that decides the weights. SHA-256 as hexadecimal digits."""
    initial = settings.fine_tune.initial_checkpoint
    first_weights = sha256_of(initial) if initial else ""
    parts = (run_id, archive.fingerprint(), split_file.read_text(encoding="utf-8"), first_weights)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


WARMUP_SHARE = 0.1
"""Share of all steps in which the learning rate rises, where there is a warm-up."""


def stage_loss(logits: Tensor, stages: Tensor, stage_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of logits (B, E, 5) over the scored epochs of stages (B, E); `stage_weights` is (5,)."""
    return functional.cross_entropy(logits.flatten(0, 1), stages.flatten(), weight=stage_weights, ignore_index=UNSCORED)


def confusion_of_batch(logits: Tensor, stages: Tensor) -> Tensor:
    """int64 (5, 5), a row an expert's stage, of the scored epochs of stages (B, E) and logits (B, E, 5)."""
    known = torch.arange(N_STAGES, device=stages.device)
    # One-hot rows; an unscored epoch is no stage, so its row is empty and counts nowhere.
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
    # Step 1 has the n-th part of the rate, step n all of it.
    warmup = LinearLR(optimizer, start_factor=1 / n_warmup, total_iters=n_warmup - 1)
    if schedule.shape == "warmup":
        return optimizer, warmup
    n_left = max(1, n_steps - n_warmup)
    if schedule.n_cycles == 1:
        decay = CosineAnnealingLR(optimizer, T_max=n_left, eta_min=schedule.min_rate)
    else:
        n_of_first = sum(schedule.cycle_growth**i for i in range(schedule.n_cycles))  # as long are all cycles together
        n_first = -(-n_left // n_of_first)  # rounded up, or one more cycle would begin at the end
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

"""Training with Lightning: cross-entropy on drawn windows, MF1 on whole validation nights, best weights kept."""

import logging
import math
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Sampler

from anysleep.analysis.metrics import metrics_of_confusion
from anysleep.data.archive import Archive
from anysleep.data.sampling import WindowBatches
from anysleep.evaluation import confusion_of_night
from anysleep.models import SleepNetwork
from anysleep.stages import N_STAGES, UNSCORED

WARMUP_SHARE = 0.1


class StagingModule(pl.LightningModule):
    """A network with its loss and optimiser: Adam with AMSGrad, cross-entropy without unscored epochs."""

    def __init__(
        self,
        network: SleepNetwork,
        learning_rate: float,
        schedule: str,
        n_steps: int,
        stage_weights: Tensor | None = None,
    ):
        """Set up.

        `schedule` is 'constant', or 'warmup_cosine': linear warm-up over a tenth of `n_steps`, then cosine to 0.
        `stage_weights` (5,) weigh the stages in the loss; None weighs every epoch the same.
        """
        super().__init__()
        self.network = network
        self.register_buffer("stage_weights", stage_weights)
        self.learning_rate, self.schedule, self.n_steps = learning_rate, schedule, n_steps
        self.losses: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Mean cross-entropy of the scored epochs of a batch; kept in `losses`."""
        x, y = batch  # (B, T, C), (B, E)
        logits = self.network.classify(self.network.features(x)[0], predictions_per_epoch=1)  # (B, E, 5)
        loss = functional.cross_entropy(
            logits.flatten(0, 1), y.flatten(), weight=self.stage_weights, ignore_index=UNSCORED
        )
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> dict[str, object]:
        """See the class."""
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.learning_rate, amsgrad=True)
        factor = self._warmup_cosine if self.schedule == "warmup_cosine" else lambda step: 1.0
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _warmup_cosine(self, step: int) -> float:
        warmup_steps = max(1, round(WARMUP_SHARE * self.n_steps))
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, self.n_steps - warmup_steps)))


class KeyedBatches(Sampler):
    """The keys (training_epoch, batch) of one training epoch; Lightning says which through `set_epoch`."""

    def __init__(self, n_batches: int):
        self.n_batches, self.epoch = n_batches, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every training epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((self.epoch, batch) for batch in range(self.n_batches))


class ValidateWholeNights(Callback):
    """After every training epoch: scores validation nights, prints a line, keeps the best weights."""

    def __init__(self, archive: Path, nights: pd.DataFrame):
        self.archive, self.nights = archive, nights
        self.history: list[dict[str, float]] = []
        self.best_mf1, self.best_state = -1.0, None

    def on_train_epoch_end(self, trainer: pl.Trainer, module: StagingModule) -> None:
        """See the class."""
        with Archive(self.archive) as archive:
            keys = zip(self.nights.dataset, self.nights.recording, strict=True)
            confusion = sum(confusion_of_night(module.network, archive, *key) for key in keys)
        module.network.train()
        scores = metrics_of_confusion(confusion)
        loss = float(np.mean(module.losses))
        module.losses.clear()
        self.history.append(
            {
                "training_epoch": trainer.current_epoch + 1,
                "step": trainer.global_step,
                "train_loss": loss,
                "valid_mf1": scores.mf1,
                "valid_kappa": scores.kappa,
            }
        )
        print(f"step {trainer.global_step:4d} · loss {loss:.3f} · validation MF1 {scores.mf1:.3f}", flush=True)
        if scores.mf1 > self.best_mf1:
            self.best_mf1 = scores.mf1
            self.best_state = {key: tensor.detach().clone() for key, tensor in module.network.state_dict().items()}


def train(
    network: SleepNetwork,
    batches: WindowBatches,
    valid_nights: pd.DataFrame,
    *,
    n_steps: int,
    steps_per_training_epoch: int,
    learning_rate: float,
    schedule: str = "constant",
    stage_weights: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Train `network` in place and leave it with the weights that were best on the validation nights.

    Returns
    -------
    One row a training epoch: training_epoch, step, train_loss, valid_mf1, valid_kappa.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # leave out its notices about the machine
    module = StagingModule(network, learning_rate, schedule, n_steps, stage_weights)
    validation = ValidateWholeNights(batches.archive_path, valid_nights)
    loader = DataLoader(batches, sampler=KeyedBatches(steps_per_training_epoch), batch_size=None)
    trainer = pl.Trainer(
        max_steps=n_steps,
        max_epochs=-1,
        accelerator={"cuda": "gpu"}.get(torch.device(device).type, torch.device(device).type),
        devices=1,
        callbacks=[validation],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    with warnings.catch_warnings():
        # Batches come from one HDF5 file in this process; Lightning's advice to add workers does not apply.
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)  # between Lightning and torch
        trainer.fit(module, loader)
    network.load_state_dict(validation.best_state)
    network.eval()
    return pd.DataFrame(validation.history)


def inverse_sqrt_weights(hypnograms: Iterable[np.ndarray]) -> Tensor:
    """Loss weights (5,) of one over the square root of each stage's frequency, with mean 1; 0 where it never occurs."""
    counts = sum(np.bincount(h[h != UNSCORED], minlength=N_STAGES) for h in hypnograms)
    weights = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0)
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)

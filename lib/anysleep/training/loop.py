"""The training loop: one batch, one step; every training epoch whole validation nights are scored."""

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import Tensor
from torch.utils.data import Sampler

from anysleep.datasets.archive import Archive
from anysleep.datasets.sampling import WindowBatches, loader
from anysleep.evaluation.evaluate import confusion_of_night
from anysleep.evaluation.metrics import metrics_of_confusion
from anysleep.models import SleepNetwork
from anysleep.stages import N_STAGES
from anysleep.system.jobs import n_cores
from anysleep.training.settings import Loss, Schedule
from anysleep.training.setup import confusion_of_batch, inverse_sqrt_weights, make_optimizer, stage_loss, training_mode
from anysleep.training.state import State, load_state, no_confusion, save_state

SAVE_EVERY_S = 600
"""Seconds of training that a crash may cost at most; every validation saves, too."""
PAIR_SEED = 0
"""U-Sleep validates with one pair of channels a night, the same every time, so that only the weights change."""
GPU_WORKERS = 8
"""Processes that read windows for one GPU, where there are as many cores."""


class TrainingStopped(Exception):
    """Somebody asked the training to stop; its state is saved."""


class KeyedBatches(Sampler):
    """The keys (training_epoch, batch) of the steps from `start` on."""

    def __init__(self, start: int, n_steps: int, steps_per_training_epoch: int):
        self.start, self.n_steps, self.per_epoch = start, n_steps, steps_per_training_epoch

    def __len__(self) -> int:
        return self.n_steps - self.start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return (divmod(step, self.per_epoch) for step in range(self.start, self.n_steps))


class Training:
    """A network in training: `run` goes on from the saved state, where there is one, to the end.

    Same data, settings and seed give the same weights, bit for bit on the CPU, however often it was stopped.
    """

    def __init__(
        self,
        network: SleepNetwork,
        batches: WindowBatches,
        valid_nights: pd.DataFrame,
        *,
        learning_rate: float,
        schedule: Schedule,
        loss: Loss,
        n_steps: int,
        steps_per_training_epoch: int,
        patience: int = 0,
        fabric: Fabric | None = None,
        state_file: Path | None = None,
        key: str = "",
    ):
        """Set up.

        `network` is trained in place: `freeze` its parts first. Of the `batches` each of several processes takes its
        share; `valid_nights` are rows of `Archive.recordings()` of their archive. `n_steps` are batches at most,
        `steps_per_training_epoch` those between two validations, and `patience` validations without gain before the
        end, 0 for never. `fabric` says device, precision and processes, by default one process on the CPU in float32.

        `state_file` is where to save the state, and `key` what it belongs to: one with another key, or that is half a
        file, is moved aside, with a warning.
        """
        self.fabric = fabric or Fabric(accelerator="cpu", devices=1, plugins=[LightningEnvironment()])
        self.network, self.valid_nights = network, valid_nights
        self.datasets = sorted(valid_nights.dataset.unique())
        self.batches = batches.share(self.fabric.global_rank, self.fabric.world_size)
        self.n_steps, self.per_epoch, self.patience = n_steps, steps_per_training_epoch, patience
        self.gradient_clip = loss.gradient_clip
        self.stage_weights: Tensor | None = None
        if loss.stage_weights == "inverse_sqrt":
            self.stage_weights = inverse_sqrt_weights(batches.hypnograms).to(self.fabric.device)
        optimizer, scheduler = make_optimizer(network, learning_rate, schedule, n_steps)
        self.parts = {"network": network, "optimizer": optimizer, "scheduler": scheduler}
        self.model, self.optimizer = self.fabric.setup(network, optimizer)
        is_shared = self.fabric.world_size > 1
        # Beside the group of the GPUs (NCCL), which takes no tensors of the CPU: whether to stop is asked after every
        # step, and no GPU should wait for that.
        self.talk = torch.distributed.new_group(backend="gloo") if is_shared else None
        self.archive = Archive(batches.archive_path, trusted=True, identity=batches.archive_identity)
        self.state_file, self.key = state_file, key
        self.state = State()
        if state_file and state_file.is_file():
            known = load_state(state_file, key, **self.parts)
            if known is None and self.fabric.is_global_zero:
                kept = state_file.replace(state_file.with_name(f"other-{state_file.stat().st_mtime_ns}.pt"))
                changed = "parameters, split, archive or first weights have changed, or the state is half a file"
                warnings.warn(f"{changed}: training starts anew; the earlier state is now {kept.name}", stacklevel=2)
            self.state = known or self.state

    def run(
        self, report: Callable[[State], None] = lambda state: None, should_stop: Callable[[], bool] = lambda: False
    ) -> State:
        """Train to the end; the best weights are in the state returned.

        `report` is called after every step; after a validation the state's history has one more row. `should_stop` is
        asked after every step, and answered with TrainingStopped when the state is saved.

        FloatingPointError where the loss is no longer a number.
        """
        state, self.should_stop = self.state, should_stop
        saved_at = time.monotonic()
        if self._owes_validation():  # stopped in the middle of it
            self._validate(report)
        if state.finished:
            return state
        training_mode(self.network)
        for x, y in self._windows():
            self._step(x, y)
            if self._owes_validation():
                self._save()  # a validation may take long
                self._validate(report)
                saved_at = time.monotonic()
            else:
                report(state)
                if time.monotonic() - saved_at > SAVE_EVERY_S:
                    self._save()
                    saved_at = time.monotonic()
            if state.finished:
                break
            self._stop_if_asked()
        return state

    def _owes_validation(self) -> bool:
        # A validation empties the losses: none at a border means that it is done already.
        at_border = self.state.step % self.per_epoch == 0 or self.state.step == self.n_steps
        return at_border and len(self.state.losses) > 0

    def _windows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches from the present step on, on the device."""
        on_gpu = self.fabric.device.type == "cuda"
        n_neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # torchrun's; to each of Slurm's tasks its own cores
        # Beside a GPU other processes read the windows; on a CPU this one does, as all cores compute.
        n_workers = max(1, min(GPU_WORKERS, n_cores() // n_neighbours)) if on_gpu else 0
        keys = KeyedBatches(self.state.step, self.n_steps, self.per_epoch)
        windows = loader(self.batches, keys, n_workers=n_workers, pin=on_gpu)
        return iter(self.fabric.setup_dataloaders(windows, use_distributed_sampler=False))

    def _step(self, x: Tensor, y: Tensor) -> None:
        logits = self.model(x)
        loss = stage_loss(logits, y, self.stage_weights)
        self.fabric.backward(loss)
        if self.gradient_clip:
            self.fabric.clip_gradients(self.model, self.optimizer, max_norm=self.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.parts["scheduler"].step()
        self.state.losses.append(loss.detach())  # not yet a number: that would make a GPU wait
        self.state.train_confusion = self.state.train_confusion.to(y.device) + confusion_of_batch(logits, y)
        self.state.step += 1

    def _validate(self, report: Callable[[State], None]) -> None:
        """Score the validation nights, add a row to the history, keep the weights if they are the best, and save."""
        state = self.state
        loss = self._mean_loss()  # stops before nights are staged with a network that has come to nothing
        by_dataset = self._confusion()
        scores = metrics_of_confusion(by_dataset.sum(dim=0).numpy())
        train = self.fabric.broadcast(state.train_confusion.to(self.fabric.device))
        state.history.append(
            {
                "training_epoch": math.ceil(state.step / self.per_epoch),
                "step": state.step,
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "train_loss": loss,
                "train_mf1": float(metrics_of_confusion(train.cpu().numpy()).mf1),
                "valid_mf1": float(scores.mf1),
                "valid_kappa": float(scores.kappa),
            }
            | {
                f"valid_mf1_{dataset}": float(metrics_of_confusion(of_dataset.numpy()).mf1)
                for dataset, of_dataset in zip(self.datasets, by_dataset, strict=True)
            }
        )
        state.losses, state.train_confusion = [], no_confusion()
        state.keep_if_best(float(scores.mf1), self.network)
        state.finished = state.step == self.n_steps or 0 < self.patience <= state.validations_without_gain
        self._save()
        report(state)
        training_mode(self.network)

    def _mean_loss(self) -> float:
        """The mean loss of the steps since the last validation, as the first process saw it.

        FloatingPointError where it is not finite.
        """
        # Tensors of a GPU and, of steps before a save, plain numbers.
        losses = torch.stack([torch.as_tensor(loss, device=self.fabric.device) for loss in self.state.losses])
        loss = float(self.fabric.broadcast(losses.mean()))
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} in the {len(losses)} steps before step {self.state.step}; lower learning_rate or "
                "set loss.gradient_clip, and start anew"
            )
        return loss

    def _confusion(self) -> Tensor:
        """int64 (D, 5, 5) of the validation nights, by data set; every process stages its share of the nights.

        All do it with the weights of the first.
        """
        rank, n_ranks = self.fabric.global_rank, self.fabric.world_size
        if n_ranks > 1:  # gradients keep the weights the same, but each has normalised its own windows
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)
        confusion = torch.zeros(len(self.datasets), N_STAGES, N_STAGES, dtype=torch.int64)
        mine = list(self.valid_nights.iloc[rank::n_ranks].itertuples())
        for i in range(math.ceil(len(self.valid_nights) / n_ranks)):  # all ask as often, or one would wait
            self._stop_if_asked()
            # Of none or one: the last round may have fewer nights than processes.
            for night in mine[i : i + 1]:
                key = (night.dataset, night.recording)
                of_night = confusion_of_night(self.network, self.archive, *key, pair_seed=PAIR_SEED)
                confusion[self.datasets.index(night.dataset)] += torch.from_numpy(of_night)
        return self.fabric.all_reduce(confusion.to(self.fabric.device), reduce_op="sum").cpu()

    def _stop_if_asked(self) -> None:
        """TrainingStopped in all processes, with the state saved, if the first one says so."""
        stops = torch.tensor(self.should_stop())
        if self.talk is not None:
            torch.distributed.broadcast(stops, src=0, group=self.talk)
        if stops:
            self._save()
            if self.talk is not None:
                torch.distributed.barrier(group=self.talk)  # nobody leaves before it is saved
            raise TrainingStopped(f"the state is saved after step {self.state.step}")

    def _save(self) -> None:
        """Write the state, unless its loss is no longer a number, which nothing can go on from."""
        if self.state_file and self.fabric.is_global_zero:
            if self.state.losses and not math.isfinite(float(sum(self.state.losses))):
                return
            save_state(self.state_file, self.state, self.key, **self.parts)

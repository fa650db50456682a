"""What a training has come to: enough to go on as if it had never stopped."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import torch
from torch import Tensor

from anysleep.models import SleepNetwork
from anysleep.stages import N_STAGES
from anysleep.system.files import atomic_write, read_if_whole

HasState: TypeAlias = torch.nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler


def no_confusion() -> Tensor:
    """int64 (5, 5) of zeros: nothing is counted yet."""
    return torch.zeros(N_STAGES, N_STAGES, dtype=torch.int64)


@dataclass
class State:
    """Everything of a training that is not in network, optimiser and scheduler.

    The draws need no state: they follow from seed, training epoch and batch.
    """

    step: int = 0
    """Batches that the weights have seen."""
    losses: list[float | Tensor] = field(default_factory=list)
    """The loss of each step since the last validation."""
    train_confusion: Tensor = field(default_factory=no_confusion)
    """int64 (5, 5) of the scored epochs of their windows, as the network staged them in training."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row a validation."""
    best_mf1: float = -1.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """The state dict at the validation with the best MF1."""
    validations_without_gain: int = 0
    finished: bool = False

    def table(self) -> pd.DataFrame:
        """The history, a row a validation.

        Its columns are training_epoch, step, learning_rate; train_loss and train_mf1, of the windows since the row
        before, of several processes those of the first; valid_mf1 and valid_kappa of all validation nights;
        valid_mf1_<data set> of those of each data set.
        """
        return pd.DataFrame(self.history)

    def keep_if_best(self, mf1: float, network: SleepNetwork) -> None:
        """Keep a copy of the weights if no validation had a better MF1."""
        if mf1 > self.best_mf1:
            self.best_mf1, self.validations_without_gain = mf1, 0
            self.best_weights = {key: tensor.detach().cpu().clone() for key, tensor in network.state_dict().items()}
        else:
            self.validations_without_gain += 1


def save_state(path: Path, state: State, key: str, **parts: HasState) -> None:
    """Write state and the state dicts of `parts`, whole or not at all; `key` says which training it belongs to."""
    state.losses = [float(loss) for loss in state.losses]
    state.train_confusion = state.train_confusion.cpu()
    content = {"key": key, "state": asdict(state)} | {name: part.state_dict() for name, part in parts.items()}
    with atomic_write(path) as temporary:
        torch.save(content, temporary)


def load_state(path: Path, key: str | None = None, **parts: HasState) -> State | None:
    """Read what `save_state` wrote into `parts`.

    None, and nothing changed, where it has another key than this one, or is half a file.
    """
    content = read_if_whole(path, lambda path: torch.load(path, map_location="cpu", weights_only=True))
    if content is None or (key is not None and content["key"] != key):
        return None
    for name, part in parts.items():
        part.load_state_dict(content[name])
    return State(**content["state"])

"""What a training says while it runs: lines, history.csv, and TensorBoard's logs."""

import os
import time
from pathlib import Path

from anysleep.system.files import atomic_write
from anysleep.training.state import State

STEPS_PER_POINT = 50
"""Steps between two points of the loss in TensorBoard."""


class Reporter:
    """Called with the state after every step. Prints a line a validation, and otherwise every 5 % or 30 s."""

    def __init__(self, folder: Path, n_steps: int, start: int):
        """Write into `folder`; the training begins at step `start`, and later points of an earlier try are dropped."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.folder, self.n_steps, self.start = folder, n_steps, start
        self.began = self.said_at = time.monotonic()
        self.said_step = start
        self.every_s = 1.0 if "JPY_SESSION_NAME" in os.environ else 30.0  # JupyterLab draws a bar from the lines
        self.tensorboard = SummaryWriter(folder / "tensorboard", purge_step=start + 1)
        if start:
            print(f"going on after step {start} of {n_steps}", flush=True)

    def __call__(self, state: State) -> None:
        """See the class."""
        validated = not state.losses
        if validated:
            self._validation(state)
        elif state.step % STEPS_PER_POINT == 0:
            self.tensorboard.add_scalar("train/loss", float(state.losses[-1]), state.step)
        now = time.monotonic()
        far = state.step - self.said_step >= self.n_steps / 20 and now - self.said_at >= 1
        if validated or far or now - self.said_at >= self.every_s:
            n_done = max(1, state.step - self.start)  # none yet, where only a validation was owed
            left_s = (now - self.began) / n_done * (self.n_steps - state.step)
            said = self._scores(state) if validated else f"loss {float(state.losses[-1]):.3f}"
            time_said = f"{now - self.began:.0f} s, about {left_s:.0f} s left"
            print(f"step {state.step} of {self.n_steps} · {said} · {time_said}", flush=True)
            self.said_at, self.said_step = now, state.step

    def _validation(self, state: State) -> None:
        with atomic_write(self.folder / "history.csv") as temporary:
            state.table().to_csv(temporary, index=False)
        last = state.history[-1]
        for name in ("train_loss", "valid_mf1", "valid_kappa", "learning_rate"):
            self.tensorboard.add_scalar(name.replace("_", "/", 1), last[name], state.step)
        self.tensorboard.flush()

    @staticmethod
    def _scores(state: State) -> str:
        last = state.history[-1]
        best = "best so far" if state.validations_without_gain == 0 else f"best {state.best_mf1:.3f}"
        return f"mean loss {last['train_loss']:.3f} · validation MF1 {last['valid_mf1']:.3f} ({best})"

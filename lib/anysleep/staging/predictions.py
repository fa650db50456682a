"""What 05_predict has written, opened for the analyses; published results of the same layout open alike."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anysleep.system.files import explaining_damage, is_written, project_path, sha256_of
from anysleep.system.limits import read_facts

UNKNOWN = "unknown"
"""The network of predictions that do not say it; the data sets of a training that does not."""


class Predictions:
    """The folder of a run of 05_predict, opened for reading; use as a context manager."""

    def __init__(
        self,
        folder: str | Path,
        note: Callable[[str, Path], object] = lambda role, path: None,
        unfinished: bool = False,
    ):
        """`note`, such as `Run.input`, is told of every file.

        FileNotFoundError where there is no prediction. ValueError where the run has not come to its end (`unfinished`
        allows it, for 05 itself): its files may be of two networks; or its checkpoint has been replaced since.
        """
        self.folder = Path(folder)
        files = {path.parent.name[1:]: path for path in self.folder.glob("r[1-9]*/predictions.npz")}
        found = {int(number): path for number, path in files.items() if number.isdecimal()}  # not 'r8 copy'
        if not found:
            raise FileNotFoundError(f"no r<resolution>/predictions.npz in {folder}; has 05_predict been run?")
        if not unfinished and (self.folder / "params.yaml").is_file() and not is_written(self.folder / "result.json"):
            raise ValueError(f"{folder} is of a run that was stopped; let 05_predict come to its end first")
        if not unfinished:
            self._check_checkpoint()
        self._stages, self._logits = {}, {}
        # Where a later file cannot be opened, those before it are closed; `pop_all` calls that off.
        with ExitStack() as where_that_fails:
            where_that_fails.push(self)
            for r, path in sorted(found.items()):
                note(f"predictions_{r}", path)
                with _naming(self.folder, r):
                    self._stages[r] = np.load(path)
                    if (path.parent / "logits/predictions.npz").is_file():
                        self._logits[r] = np.load(path.parent / "logits/predictions.npz")
            where_that_fails.pop_all()

    def __enter__(self) -> "Predictions":
        return self

    def __exit__(self, *_: object) -> None:
        for opened in (*self._stages.values(), *self._logits.values()):
            opened.close()

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Predictions per epoch, the coarsest first."""
        return tuple(self._stages)

    @property
    def network(self) -> str:
        """Which of the four networks staged the nights; 'unknown' where nights.csv does not say it."""
        table = self.folder / "nights.csv"
        named = pd.read_csv(table).get("network", pd.Series(dtype=str)).dropna() if table.is_file() else ()
        return named.iloc[0] if len(named) else UNKNOWN

    @property
    def made_from(self) -> dict[str, str]:
        """SHA-256 of the checkpoint that staged the nights, as `Run.inputs` takes it; empty where it is not known."""
        inputs = self._provenance().get("inputs_sha256", {})
        return {role: digest for role, digest in inputs.items() if role == "checkpoint"}

    @property
    def learned_from(self) -> dict[str, list[str]]:
        """What that checkpoint was trained on, as `Run.learned_from` takes it; empty where it is not known."""
        return self._provenance().get("learned_from", {})

    def _check_checkpoint(self) -> None:
        """ValueError where another network now has the name of the one that staged the nights."""
        params = self.folder / "params.yaml"
        named = read_facts(params).get("checkpoint") if params.is_file() else None
        known = self.made_from.get("checkpoint")
        if named and known and (path := project_path(named)).is_file() and sha256_of(path) != known:
            raise ValueError(
                f"{self.folder.name} was staged with SHA-256 {known[:12]}, but {path.name} is another network since "
                "(trained anew?); run 05_predict again"
            )

    def _provenance(self) -> dict[str, Any]:
        path = self.folder / "provenance.json"
        return read_facts(path) if path.is_file() else {}

    def of(self, recordings: pd.DataFrame) -> pd.DataFrame:
        """The rows (columns dataset, recording) that are staged at every resolution. ValueError where none is."""
        staged = set.intersection(*(set(opened.files) for opened in self._stages.values()))
        rows = recordings[(recordings.dataset + "_" + recordings.recording).isin(staged)]
        if rows.empty:
            raise ValueError(
                f"{self.folder.name} has stages of {len(staged)} nights, such as {min(staged, default='none')}, but "
                "of none of the recordings asked for; name the archive they were staged from"
            )
        return rows

    def hypnogram(self, dataset: str, recording: str, predictions_per_epoch: int) -> np.ndarray:
        """int8 (P,), stages 0-4 and 9 where the recorder paused. KeyError where there is none."""
        if predictions_per_epoch not in self._stages:
            raise KeyError(f"{self.folder.name} has no resolution {predictions_per_epoch}, only {self.resolutions}")
        with _naming(self.folder, predictions_per_epoch):
            return self._stages[predictions_per_epoch][f"{dataset}_{recording}"]

    def logits(self, dataset: str, recording: str, predictions_per_epoch: int) -> np.ndarray | None:
        """float32 (P, 5), the mean over montages; None where 05 was not asked to write them."""
        opened = self._logits.get(predictions_per_epoch)
        if opened is None:
            return None
        keys = [key for key in opened.files if key.startswith(f"{dataset}#{recording}#")]
        with _naming(self.folder, predictions_per_epoch):
            return np.mean([opened[key] for key in keys], axis=0) if keys else None


def _naming(folder: Path, predictions_per_epoch: int) -> AbstractContextManager[None]:
    """What numpy and zipfile raise over half a file names it; that a night is not there stays a KeyError."""

    def explained(error: Exception) -> Exception:
        damaged = f"{folder}/r{predictions_per_epoch} is damaged ({error}); run 05_predict again"
        return error if isinstance(error, KeyError) else ValueError(damaged)

    return explaining_damage(explained)

"""What 05_predict has written, opened for the analyses; published results of the same layout open alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.stages import N_STAGES, UNSCORED

UNKNOWN = "unknown"
"""The network of predictions that do not say which one made them."""


class Predictions:
    """The folder of a run of 05_predict, opened for reading; use as a context manager."""

    def __init__(self, folder: str | Path, note: Callable[[str, Path], object] = lambda role, path: None):
        """`note`, such as `Run.reads`, is told of every file. FileNotFoundError where there is no prediction."""
        self.folder = Path(folder)
        found = {int(path.parent.name[1:]): path for path in self.folder.glob("r[1-9]*/predictions.npz")}
        if not found:
            raise FileNotFoundError(f"no r<resolution>/predictions.npz in {folder}; has 05_predict been run?")
        self._stages, self._labels, self._logits = {}, {}, {}
        for r, path in sorted(found.items()):
            note(f"predictions_{r}", path)
            self._stages[r] = np.load(path)
            others = {"labels": self._labels, "logits/predictions": self._logits}
            for name, opened in others.items():
                if (path.parent / f"{name}.npz").is_file():
                    opened[r] = np.load(path.parent / f"{name}.npz")

    def __enter__(self) -> "Predictions":
        return self

    def __exit__(self, *_: object) -> None:
        for opened in (*self._stages.values(), *self._labels.values(), *self._logits.values()):
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
        return self._stages[predictions_per_epoch][f"{dataset}_{recording}"]

    def labels(self, dataset: str, recording: str) -> np.ndarray | None:
        """The expert's stages at 30 s, int8 (E,), 9 where unscored; None where there are none."""
        for labels in self._labels.values():
            if f"{dataset}_{recording}" in labels.files:
                stages = labels[f"{dataset}_{recording}"]
                return np.where((stages >= 0) & (stages < N_STAGES), stages, UNSCORED).astype(np.int8)
        return None

    def logits(self, dataset: str, recording: str, predictions_per_epoch: int) -> np.ndarray | None:
        """float32 (P, 5), the mean over montages; None where 05 was not asked to write them."""
        opened = self._logits.get(predictions_per_epoch)
        keys = [key for key in (opened.files if opened else ()) if key.startswith(f"{dataset}#{recording}#")]
        return np.mean([opened[key] for key in keys], axis=0) if keys else None

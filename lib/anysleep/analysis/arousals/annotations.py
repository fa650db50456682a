"""Experts' arousals from a folder of annotations, for archives that have none, as published ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.datasets.archive import Archive
from anysleep.recordings.labels.edf import mass_trim_s, read_mass
from anysleep.recordings.labels.scoring import refuse_unread
from anysleep.recordings.tables import read_table

NightId = tuple[str, str]
"""Data set and recording."""
MASS_ENDING = " Annotations"
MOST_MARKS = 1000
"""One arousal is marked on each channel at most."""


class ExpertArousals:
    """The arousals of an archive and, where a folder is named, of the files in it.

    A file belongs to the night that its name tells: `<recording>.csv` or `<dataset>_<recording>.csv` with columns
    onset_s and end_s, as `expert_events.csv` has them (n_marks is kept where it is there; without rows, nobody saw an
    arousal), or `<recording> Annotations.edf` of MASS. The latter begins with the recording as MASS publishes it, so
    what the study cut from the start is taken off; without an arousal in it the night counts as not scored.

    `note(role, path)` notes each file that is read; `n_others` counts the files of no night in `recordings`, which are
    those of the archive. ValueError where a name means several nights, a night has several files, or both archive and
    folder have its arousals.
    """

    def __init__(
        self, archive: Archive, folder: Path | None, recordings: pd.DataFrame, note: Callable[[str, Path], Path]
    ) -> None:
        self._archive, self.n_others = archive, 0
        self._files: dict[NightId, np.ndarray | None] = {}
        if folder is None:
            return
        if not folder.is_dir():
            raise FileNotFoundError(
                "annotations is no folder; give the one with the annotation files, or leave it empty"
            )
        nights = list(zip(recordings.dataset, recordings.recording, strict=True))
        for path in sorted(file for file in folder.iterdir() if file.is_file()):
            meant = _nights_meant(path, nights)
            self.n_others += not meant
            if len(meant) > 1:
                raise ValueError(f"an annotation file fits {len(meant)} nights, {meant}; name it <dataset>_<recording>")
            for night in meant:
                self._files[night] = self._read(note("annotations of {}/{}".format(*night), path), night)

    def arousals(self, dataset: str, recording: str) -> np.ndarray | None:
        """As `Archive.arousals`."""
        if (dataset, recording) in self._files:
            return self._files[dataset, recording]
        return self._archive.arousals(dataset, recording)

    def _read(self, path: Path, night: NightId) -> np.ndarray | None:
        if night in self._files:
            raise ValueError("{}/{} has several annotation files; leave the one that counts".format(*night))
        if self._archive.arousals(*night) is not None:
            raise ValueError("archive and annotations both have arousals of {}/{}; leave one out".format(*night))
        return _mass_spans(path, night) if path.suffix.lower() == ".edf" else _table_spans(path, night)


def _nights_meant(path: Path, nights: list[NightId]) -> list[NightId]:
    ending = {".csv": "", ".edf": MASS_ENDING}.get(path.suffix.lower())
    if ending is None or not path.stem.endswith(ending):
        return []
    name = path.stem.removesuffix(ending)
    return [(dataset, recording) for dataset, recording in nights if name in (recording, f"{dataset}_{recording}")]


def _mass_spans(path: Path, night: NightId) -> np.ndarray | None:
    scoring = read_mass(path)
    refuse_unread(scoring.unread)
    rows = scoring.events[scoring.events.description.str.contains("arousal", case=False)]
    rows = rows[rows.duration_s > 0]
    onset_s = rows.onset_s - mass_trim_s(*night)
    spans = np.column_stack([onset_s.clip(lower=0), onset_s + rows.duration_s])
    return spans[spans[:, 1] > 0] if len(rows) else None


def _table_spans(path: Path, night: NightId) -> np.ndarray:
    table = read_table(path)
    named = zip(("dataset", "recording"), night, strict=True)
    if any(name in table and (table[name] != value).any() for name, value in named):
        raise ValueError("the annotations of {}/{} have rows of another night".format(*night))
    if not {"onset_s", "end_s"} <= set(table):
        raise ValueError("the annotations of {}/{} lack a column onset_s or end_s, in seconds".format(*night))
    columns = [table["onset_s"], table["end_s"], table.get("n_marks", pd.Series("1", table.index))]
    onset_s, end_s, n_marks = (pd.to_numeric(column, errors="coerce").to_numpy(float) for column in columns)
    sound = (0 <= onset_s) & (onset_s < end_s) & np.isfinite(end_s) & np.isin(n_marks, range(1, MOST_MARKS + 1))
    if not sound.all():
        raise ValueError(
            f"{path.name}: row {sound.argmin() + 1} below the header needs 0 <= onset_s < end_s in seconds, and "
            f"n_marks, if any, of 1 to {MOST_MARKS}"
        )
    return np.repeat(np.column_stack([onset_s, end_s]), n_marks.astype(int), axis=0)

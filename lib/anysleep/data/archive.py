"""The archive, the only door to HDF5: preprocessed nights of one or more data sets in one file.

    /<dataset>                                attrs eeg_channels, eog_channels: names, in order
    /<dataset>/<recording>                    attrs subject, age, sex, group, start_time, source_sha256, synthetic
    /<dataset>/<recording>/PSG/<channel>      float32 (T,), whole epochs
    /<dataset>/<recording>/hypnogram          int8 (E,), optional
    /<dataset>/<recording>/class_to_index/<0..4>  int (n,), the epochs of each stage
    /<dataset>/<recording>/arousals           float64 (n, 2), onset and end in s, optional

File attributes `format_version` and `sampling_rate_hz` are optional on reading, so published archives open unchanged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from anysleep.files import written_whole
from anysleep.stages import EPOCH_S, N_STAGES, UNSCORED

FORMAT_VERSION = 1
PUBLISHED_RATE_HZ = 128
"""The rate of published archives, which do not say it."""
CHUNK_EPOCHS = 16
PERSON_ATTRIBUTES = ("subject", "age", "sex", "group")


@dataclass(frozen=True)
class ArchivedNight:
    """One recording as it goes into the archive: preprocessed, whole epochs, nothing that identifies a patient."""

    recording: str
    channels: tuple[str, ...]
    signals: np.ndarray
    """float32 (C, T)."""
    hypnogram: np.ndarray | None = None
    """int8 (E,)."""
    arousals: np.ndarray | None = None
    """float64 (n, 2): onset and end in s."""
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    """Any of subject, age, sex, group, start_time (clock time), source_sha256."""


def write_night(path: str | Path, night: ArchivedNight, sampling_rate_hz: int) -> Path:
    """Write one night to a file of its own, whole or not at all, for `assemble_archive`.

    ValueError where lengths contradict each other or a name cannot be a name in HDF5.
    """
    samples_per_epoch = int(sampling_rate_hz * EPOCH_S)
    n_epochs, rest = divmod(night.signals.shape[1], samples_per_epoch)
    if rest or n_epochs == 0:
        raise ValueError(
            f"{night.recording}: {night.signals.shape[1]} samples are not whole epochs of {samples_per_epoch}"
        )
    if night.hypnogram is not None and len(night.hypnogram) != n_epochs:
        raise ValueError(f"{night.recording}: {len(night.hypnogram)} labels for {n_epochs} epochs of signal")
    for name in (night.recording, *night.channels):
        if not name or name in (".", "..") or "/" in name:
            raise ValueError(f"{name!r} cannot be a name in an archive: it is empty or holds a slash or only dots")
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        group = file.create_group(night.recording)
        group.attrs.update(night.attributes)
        for channel, signal in zip(night.channels, night.signals, strict=True):
            chunk = min(CHUNK_EPOCHS, n_epochs) * samples_per_epoch
            group.create_dataset(f"PSG/{channel}", data=signal.astype(np.float32, copy=False), chunks=(chunk,))
        if night.hypnogram is not None:
            group["hypnogram"] = night.hypnogram.astype(np.int8)
            for stage in range(N_STAGES):
                group[f"class_to_index/{stage}"] = np.flatnonzero(night.hypnogram == stage)
        if night.arousals is not None:
            group["arousals"] = night.arousals
    return Path(path)


def assemble_archive(
    path: str | Path,
    dataset: str,
    night_files: Iterable[Path],
    *,
    eeg_channels: Sequence[str],
    eog_channels: Sequence[str],
    sampling_rate_hz: int,
) -> Path:
    """Copy night files into one archive, whole or not at all. The only writer of an archive."""
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["sampling_rate_hz"] = sampling_rate_hz
        group = file.create_group(dataset)
        group.attrs["eeg_channels"] = list(eeg_channels)
        group.attrs["eog_channels"] = list(eog_channels)
        for night_file in night_files:
            with h5py.File(night_file, "r") as night:
                for recording in night:
                    night.copy(recording, group)
    return Path(path)


class Archive:
    """An archive opened for reading; use as a context manager, in every process anew."""

    def __init__(self, path: str | Path):
        """OSError where there is no such file, ValueError where it is not an archive."""
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: no such archive")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise ValueError(f"{path}: not an HDF5 file, or damaged: {error}") from error
        _refuse_links_outside(self._file)
        self.sampling_rate_hz = int(self._file.attrs.get("sampling_rate_hz", PUBLISHED_RATE_HZ))
        self.samples_per_epoch = self.sampling_rate_hz * EPOCH_S

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def channels(self, dataset: str) -> tuple[list[str], list[str]]:
        """EEG and EOG channel names of a data set, in order."""
        attributes = self._group(dataset).attrs
        return [_text(n) for n in attributes["eeg_channels"]], [_text(n) for n in attributes["eog_channels"]]

    def recordings(self) -> pd.DataFrame:
        """One row a recording, in the order of the file.

        Columns dataset, recording, subject, age, sex, group (missing where unknown), n_epochs, channels (tuple, in the
        data set's order), has_hypnogram, synthetic. ValueError where the lengths within a recording differ.
        """
        rows = []
        for dataset, nights in self._file.items():
            for recording, night in nights.items():
                eeg, eog = self.channels_of(dataset, recording)
                n_epochs = self._n_epochs(night)
                rows.append(
                    {"dataset": dataset, "recording": recording}
                    | {name: _text(night.attrs.get(name)) for name in PERSON_ATTRIBUTES}
                    | {
                        "n_epochs": n_epochs,
                        "channels": (*eeg, *eog),
                        "has_hypnogram": "hypnogram" in night,
                        "synthetic": bool(night.attrs.get("synthetic", False)),
                    }
                )
        return pd.DataFrame(rows)

    def find(self, dataset: str = "", recording: str = "") -> pd.Series:
        """The row of one recording by its exact names; empty means the first. KeyError where there is none."""
        rows = self.recordings()
        for column, name in (("dataset", dataset), ("recording", recording)):
            known = rows[column]
            rows = rows[known == name] if name else rows
            if rows.empty:
                raise KeyError(f"no {column} {name!r} in {self.path.name}; there are {', '.join(known.unique()[:10])}")
        return rows.iloc[0]

    def channels_of(self, dataset: str, recording: str) -> tuple[list[str], list[str]]:
        """EEG and EOG channels that this recording has, in the data set's order."""
        psg = self._group(dataset, recording)["PSG"]
        eeg, eog = self.channels(dataset)
        return [name for name in eeg if name in psg], [name for name in eog if name in psg]

    def hypnogram(self, dataset: str, recording: str) -> np.ndarray | None:
        """int8 (E,), stages 0-4 and 9 unscored; None where the recording has none."""
        night = self._group(dataset, recording)
        if "hypnogram" not in night:
            return None
        hypnogram = night["hypnogram"][:]
        return np.where((hypnogram >= 0) & (hypnogram < N_STAGES), hypnogram, UNSCORED).astype(np.int8)

    def arousals(self, dataset: str, recording: str) -> np.ndarray | None:
        """float64 (n, 2), onset and end in s; None where the recording has none."""
        night = self._group(dataset, recording)
        return night["arousals"][:] if "arousals" in night else None

    def signals(
        self, dataset: str, recording: str, channels: Sequence[str], start_epoch: int = 0, n_epochs: int | None = None
    ) -> np.ndarray:
        """float32 (C, T) of whole epochs from `start_epoch` on, by default all. KeyError names what is missing."""
        psg = self._group(dataset, recording)["PSG"]
        start = start_epoch * self.samples_per_epoch
        stop = None if n_epochs is None else start + n_epochs * self.samples_per_epoch
        missing = [name for name in channels if name not in psg]
        if missing:
            raise KeyError(f"{dataset}/{recording} has no channel {', '.join(missing)}; it has {', '.join(psg)}")
        return np.stack([psg[name][start:stop] for name in channels])

    def _n_epochs(self, night: h5py.Group) -> int:
        lengths = {name: signal.shape[0] // self.samples_per_epoch for name, signal in night["PSG"].items()}
        if "hypnogram" in night:
            lengths["hypnogram"] = night["hypnogram"].shape[0]
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{night.name}: lengths differ, in epochs {lengths}; align them before they are used")
        return next(iter(lengths.values()), 0)

    def _group(self, *names: str) -> h5py.Group:
        path = "/".join(names)
        if path not in self._file:
            raise KeyError(f"{self.path} has no {path}")
        return self._file[path]


def _refuse_links_outside(group: h5py.Group) -> None:
    """ValueError where anything in the file leads to another file."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise ValueError(f"{group.name}/{name} is a link to another file; links that lead out are refused")
        if group.get(name, getclass=True) is h5py.Group and isinstance(group.get(name, getlink=True), h5py.HardLink):
            _refuse_links_outside(group[name])


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value

"""The archive, the only door to HDF5: preprocessed nights of one or more data sets in one file.

    /<dataset>                                attrs eeg_channels, eog_channels: names, in order; test_only
    /<dataset>/<recording>                    attrs subject, age, sex, group, start_time, source_sha256, synthetic,
                                              prepared: how the night was made, as JSON; where somebody noted it
                                              lights_off_s, lights_off_from, lights_on_s, lights_on_from
    /<dataset>/<recording>/PSG/<channel>      float32 (T,), whole epochs
    /<dataset>/<recording>/hypnogram          int8 (E,), optional
    /<dataset>/<recording>/scorers/<name>     int8 (E,), stages of others who scored the night, optional
    /<dataset>/<recording>/class_to_index/<0..4>  int (n,), the epochs of each stage
    /<dataset>/<recording>/arousals           float64 (n, 2), onset and end in s, only where somebody scored them:
                                              n is 0 where there was none
    /<dataset>/<recording>/gaps               float64 (n, 2), pauses of the recorder, optional
    /<dataset>/<recording>/quality            the montage doctor's table as JSON, optional

File attributes `format_version` and `sampling_rate_hz` are optional on reading, so published archives open unchanged.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeVar

import h5py
import numpy as np
import pandas as pd

from anysleep.datasets.archive_check import REPLACED, ArchiveReplaced, check_nights, check_once, identity_of, rate_of
from anysleep.datasets.archive_index import IndexRow, plain, read_index, rows_of, stages_in, write_index
from anysleep.recordings.lights import SOURCES, Pair
from anysleep.recordings.readers.hdf5 import stored_here
from anysleep.recordings.reasons import CONTROL, BadRecording
from anysleep.stages import EPOCH_S, N_STAGES
from anysleep.system.files import atomic_write, is_written

T = TypeVar("T")

FORMAT_VERSION = 1
CHUNK_EPOCHS = 16


class NightWriter:
    """One night written to a file of its own, channel by channel, whole or not at all, for `assemble_archive`.

    with NightWriter(path, "night1", n_epochs, 128) as night: night.add_channel("C3-M2", signal)
    """

    def __init__(self, path: str | Path, recording: str, n_epochs: int, sampling_rate_hz: int):
        """ValueError where there is no whole epoch, or the recording's name cannot be a name in HDF5."""
        _check_name(recording)
        if n_epochs < 1:
            raise ValueError(f"{recording}: {n_epochs} epochs; at least one is needed")
        self._recording, self._n_epochs = recording, n_epochs
        self._samples_per_epoch = int(sampling_rate_hz * EPOCH_S)
        self._path, self._open = path, ExitStack()

    def __enter__(self) -> "NightWriter":
        file = self._open.enter_context(h5py.File(self._open.enter_context(atomic_write(self._path)), "w"))
        self._group = file.create_group(self._recording)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)

    def add_channel(self, name: str, signal: np.ndarray) -> None:
        """A preprocessed signal (T,). ValueError where it is not the night's whole epochs, or the name is none."""
        _check_name(name)
        n_samples = self._n_epochs * self._samples_per_epoch
        if signal.shape != (n_samples,):
            raise ValueError(f"{name}: {signal.size} samples, not {self._n_epochs} epochs of {self._samples_per_epoch}")
        chunk = min(CHUNK_EPOCHS, self._n_epochs) * self._samples_per_epoch
        self._group.create_dataset(f"PSG/{name}", data=signal.astype(np.float32, copy=False), chunks=(chunk,))

    def add_hypnogram(self, hypnogram: np.ndarray) -> None:
        """int8 (E,). ValueError where it has not the night's number of epochs."""
        self._add_stages("hypnogram", hypnogram)
        for stage in range(N_STAGES):
            self._group[f"class_to_index/{stage}"] = np.flatnonzero(hypnogram == stage)

    def add_scorer(self, name: str, hypnogram: np.ndarray) -> None:
        """int8 (E,) of one more scorer. ValueError where it is not of the night's epochs, or the name is none."""
        _check_name(name)
        self._add_stages(f"scorers/{name}", hypnogram)

    def _add_stages(self, name: str, stages: np.ndarray) -> None:
        if len(stages) != self._n_epochs:
            raise ValueError(f"{self._recording}, {name}: {len(stages)} labels for {self._n_epochs} epochs of signal")
        self._group[name] = stages.astype(np.int8)

    def add_spans(self, name: Literal["arousals", "gaps"], spans_s: np.ndarray) -> None:
        """float64 (n, 2): onset and end in s."""
        self._group[name] = np.asarray(spans_s, dtype=float).reshape(-1, 2)

    def describe(self, quality: pd.DataFrame, attributes: Mapping[str, str | float]) -> None:
        """The doctor's table, a row a channel, and the attributes of the night."""
        self._group["quality"] = quality.to_json(orient="records")
        self._group.attrs.update(attributes)


def read_prepared(path: str | Path, inside: str) -> dict[str, Any] | None:
    """What `prepare_night` noted of a night; None where file or night is missing or does not say it.

    OSError where the file is not HDF5.
    """
    if not is_written(Path(path)):
        return None
    with h5py.File(path, "r") as file:
        return _prepared(file[inside]) if inside in file else None


def nights_held(path: Path) -> list[str]:
    """The nights of an archive as `<dataset>/<recording>`; none where there is no file, or an empty one.

    ValueError where it is no HDF5, or damaged; each was looked at.
    """
    if not is_written(path):
        return []
    try:
        with Archive(path) as archive:
            archive.check(nights := archive.nights())
            return nights
    except ValueError as error:
        raise ValueError(f"{path.name} is there already, but is no whole HDF5 file; move it away") from error


def assemble_archive(path: str | Path, datasets: Sequence["DatasetFiles"], sampling_rate_hz: int) -> Path:
    """Copy nights, from files of their own or from an earlier archive, into one archive, whole or not at all.

    The only writer of an archive.
    """
    with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["sampling_rate_hz"] = sampling_rate_hz
        for dataset in datasets:
            group = file.create_group(dataset.name)
            group.attrs["eeg_channels"] = list(dataset.eeg_channels)
            group.attrs["eog_channels"] = list(dataset.eog_channels)
            group.attrs["test_only"] = dataset.test_only
            for source, inside in dataset.nights:
                with h5py.File(source, "r") as night:
                    night.copy(inside, group)
    with Archive(path, trusted=True) as archive:
        archive.recordings()  # writes the index
    return Path(path)


@dataclass(frozen=True)
class DatasetFiles:
    """What `assemble_archive` makes of one data set."""

    name: str
    eeg_channels: Sequence[str]
    eog_channels: Sequence[str]
    nights: Sequence[tuple[Path, str]]
    """HDF5 file, and path of the night inside it."""
    test_only: bool = False
    """Whether the data set is kept whole for testing."""


def fingerprint_of(path: str | Path) -> str:
    """`Archive.fingerprint` of a file."""
    with Archive(path) as archive:
        return archive.fingerprint()


class NotInArchive(KeyError):
    """A data set, recording or channel that was asked for is not there."""

    __str__ = Exception.__str__  # a KeyError puts its message in quotes


def _naming_the_file(method: Callable[..., T]) -> Callable[..., T]:
    """Whatever a damaged file makes h5py raise becomes a ValueError that names it, and the night that was asked for."""

    @wraps(method)
    def named(self: "Archive", *args: object, **options: object) -> T:
        try:
            return method(self, *args, **options)
        except (NotInArchive, ArchiveReplaced, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, ValueError) and self.path.name in str(error):
                raise
            where = ", ".join([self.path.name, *filter(None, ["/".join(a for a in args[:2] if isinstance(a, str))])])
            raise ValueError(f"{where}: {error or type(error).__name__}") from error

    return named


class Archive:
    """An archive opened for reading; use as a context manager, in every process anew."""

    def __init__(self, path: str | Path, *, trusted: bool = False, identity: tuple[int, ...] | None = None):
        """Open the file; `trusted` says that it has been opened before, so it need not be checked again.

        OSError where there is no such file, ValueError where it is not an archive, ArchiveReplaced where it is not the
        one of this `identity`.
        """
        self.path = Path(path)
        self._unseen: dict[str, IndexRow] = {}
        self._listed: list[IndexRow] | None = None
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: no such archive")
        try:
            if not trusted:
                checked = identity_of(self.path)
                self._unseen = check_once(self.path, checked)
                identity = identity or checked  # what was checked is to be what is opened
            self._file = h5py.File(self.path, "r")
        except (OSError, BadRecording) as error:
            if getattr(error, "errno", None):  # the system's word
                raise
            raise ValueError(f"{path}: {error}") from error
        self.identity = identity_of(self.path)  # asked after it was opened, so it is of no later file
        if identity not in (None, self.identity):
            self.close()
            raise ArchiveReplaced(f"{self.path.name} {REPLACED}")
        self.sampling_rate_hz = self._rate_hz()
        self.samples_per_epoch = self.sampling_rate_hz * EPOCH_S

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @_naming_the_file
    def _rate_hz(self) -> int:
        return rate_of(self._file)

    @_naming_the_file
    def channels(self, dataset: str) -> tuple[list[str], list[str]]:
        """EEG and EOG channel names of a data set, in order."""
        attributes = self._group(dataset).attrs
        return [plain(n) for n in attributes["eeg_channels"]], [plain(n) for n in attributes["eog_channels"]]

    @_naming_the_file
    def test_only(self) -> list[str]:
        """Data sets that their recipes keep whole for testing."""
        return [dataset for dataset, group in self._file.items() if group.attrs.get("test_only", False)]

    @_naming_the_file
    def nights(self) -> list[str]:
        """All recordings as `<dataset>/<recording>`, in the order of the file."""
        return [f"{dataset}/{recording}" for dataset, nights in self._file.items() for recording in nights]

    @_naming_the_file
    def recordings(self) -> pd.DataFrame:
        """One row a recording, in the order of the file.

        Columns dataset, recording, subject, age, sex, group (missing where unknown), n_epochs, channels (tuple, in the
        data set's order), has_hypnogram, synthetic. ValueError where the lengths within a recording differ.
        """
        rows = [row | {"channels": tuple(row["channels"])} for row in self._rows]
        return pd.DataFrame(rows).drop(columns="sha256", errors="ignore")

    @_naming_the_file
    def fingerprint(self) -> str:
        """SHA-256 of what the nights are called, how they were made, and their labels; not of the signals' samples.

        So it takes seconds where hashing the file would take hours.
        """
        content = [self.sampling_rate_hz, *([row[n] for n in ("dataset", "recording", "sha256")] for row in self._rows)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def _rows(self) -> list[IndexRow]:
        """What the index says, which is made here where there is none."""
        if not self._file:
            raise ValueError("it has been closed")
        rows = self._listed or read_index(self.path)
        if rows is None:
            rows = list(rows_of(self._file, self.samples_per_epoch))
            write_index(self.path, rows, *self.identity[2:])
        self._listed = rows
        return rows

    @_naming_the_file
    def check(self, nights: Iterable[str]) -> None:
        """Look at these `<dataset>/<recording>`, as at each before it is first opened; of many at once it is faster."""
        if rows := [row for night in nights if (row := self._unseen.get(night))]:
            check_nights(self.path, self.identity, rows)
            for row in rows:
                self._unseen.pop(f"{row['dataset']}/{row['recording']}", None)

    def find(self, dataset: str = "", recording: str = "") -> pd.Series:
        """The row of one recording by its exact names; empty means the first. KeyError where there is none."""
        rows = self.recordings()
        for column, name in (("dataset", dataset), ("recording", recording)):
            known = rows[column]
            rows = rows[known == name] if name else rows
            if rows.empty:
                raise NotInArchive(f"no {column} {name!r} in {self.path.name}; it has {', '.join(known.unique()[:10])}")
        return rows.iloc[0]

    @_naming_the_file
    def channels_of(self, dataset: str, recording: str) -> tuple[list[str], list[str]]:
        """EEG and EOG channels that this recording has, in the data set's order."""
        psg = self._group(dataset, recording)["PSG"]
        eeg, eog = self.channels(dataset)
        return [name for name in eeg if name in psg], [name for name in eog if name in psg]

    @_naming_the_file
    def hypnogram(self, dataset: str, recording: str) -> np.ndarray | None:
        """int8 (E,), stages 0-4 and 9 unscored; None where the recording has none."""
        night = self._group(dataset, recording)
        return stages_in(night["hypnogram"]) if "hypnogram" in night else None

    @_naming_the_file
    def scorers(self, dataset: str, recording: str) -> dict[str, np.ndarray]:
        """int8 (E,), as `hypnogram`, of each who scored the night beside its labels, by name; mostly nobody."""
        night = self._group(dataset, recording)
        return {name: stages_in(stages) for name, stages in night["scorers"].items()} if "scorers" in night else {}

    @_naming_the_file
    def prepared(self, dataset: str, recording: str) -> dict[str, Any] | None:
        """What `prepare_night` noted of the night; None where the archive does not say it."""
        return _prepared(self._group(dataset, recording))

    def clock_time(self, dataset: str, recording: str) -> str | None:
        """When the first sample was, as `23:05:00` or with a fraction; None where the archive does not say it."""
        text = str(plain(self._group(dataset, recording).attrs.get("start_time", "")))
        return text if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{6})?", text) else None

    @_naming_the_file
    def arousals(self, dataset: str, recording: str) -> np.ndarray | None:
        """float64 (n, 2), onset and end in s, n = 0 where the expert saw none; None where nobody scored arousals."""
        night = self._group(dataset, recording)
        return stored_here(night["arousals"])[:] if "arousals" in night else None

    @_naming_the_file
    def lights(self, dataset: str, recording: str) -> dict[str, Pair]:
        """Who noted it -> lights off and on in s, None where another did or nobody; as `find_lights` takes it."""
        attrs = self._group(dataset, recording).attrs
        noted: dict[str, Pair] = {}
        for moment in ("off", "on"):
            if (source := plain(attrs.get(f"lights_{moment}_from"))) in SOURCES:
                (off_s, _), at_s = noted.get(source, (None, None)), float(attrs[f"lights_{moment}_s"])
                noted[source] = (at_s, None) if moment == "off" else (off_s, at_s)
        return noted

    @_naming_the_file
    def gaps(self, dataset: str, recording: str) -> np.ndarray:
        """float64 (n, 2), pauses of the recorder in s; their signals are 0 and mean nothing."""
        night = self._group(dataset, recording)
        return stored_here(night["gaps"])[:] if "gaps" in night else np.empty((0, 2))

    @_naming_the_file
    def quality(self, dataset: str, recording: str) -> pd.DataFrame | None:
        """The montage doctor's table, a row a channel; None where the archive has none."""
        night = self._group(dataset, recording)
        if "quality" not in night:
            return None
        return pd.DataFrame(json.loads(stored_here(night["quality"])[()]))

    @_naming_the_file
    def iqr_uv(self, dataset: str, recording: str, channels: Sequence[str]) -> np.ndarray:
        """float (C,): the interquartile range of each channel in microvolts, to about a percent; NaN where unknown."""
        table = self.quality(dataset, recording)
        if table is None or "iqr" not in table:
            return np.full(len(channels), np.nan)
        known = table[table.unit == "uV"].set_index("channel").iqr
        return known.reindex(list(channels)).to_numpy(float)

    @_naming_the_file
    def signals(
        self, dataset: str, recording: str, channels: Sequence[str], start_epoch: int = 0, n_epochs: int | None = None
    ) -> np.ndarray:
        """float32 (C, T) of whole epochs from `start_epoch` on, by default all. KeyError names what is missing."""
        psg = self._group(dataset, recording)["PSG"]
        start = start_epoch * self.samples_per_epoch
        stop = None if n_epochs is None else start + n_epochs * self.samples_per_epoch
        if missing := [name for name in channels if name not in psg]:
            raise NotInArchive(f"{dataset}/{recording} has no channel {', '.join(missing)}; it has {', '.join(psg)}")
        return np.stack([stored_here(psg[name])[start:stop] for name in channels])

    def _group(self, *names: str) -> h5py.Group:
        path = "/".join(names)
        self.check([path])
        if path not in self._file:
            raise NotInArchive(f"{self.path} has no {path}")
        return self._file[path]


def _prepared(night: h5py.Group) -> dict[str, Any] | None:
    return json.loads(night.attrs["prepared"]) if "prepared" in night.attrs else None


def _check_name(name: str) -> None:
    if not name or name in (".", "..") or re.search("[/#&]", name) or CONTROL.search(name):
        raise ValueError(f"{name!r} cannot be a name in an archive: it is empty, or holds / # & or no text")

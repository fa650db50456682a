"""Whether an archive, which may come from anywhere, can be read: in a process beside, before it is opened here.

The HDF5 library takes what a file says of itself for true: a damaged one crashes it, or keeps it for ever. Where an
index lists the nights, each is looked at before it is first opened, and only the groups of data sets when the archive
is; where there is none, all is looked at then.

The index, `.archive.h5.index`, lists the nights beside the archive, so that nobody has to open each of them. It names
size and time of the last change of the archive that it tells of; beside any other it counts for nothing, and is made
anew.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from anysleep.recordings.readers.guarded import GUARD
from anysleep.recordings.readers.hdf5 import check_links, names_in, opened, opened_unseen, stored_here, whole
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import LONGEST_S
from anysleep.stages import EPOCH_S, FASTEST_RATE_HZ, N_STAGES, PUBLISHED_RATE_HZ, UNSCORED
from anysleep.system.files import atomic_write

SIGNALS_PER_STRUCTURE = 1000
"""Of so many bytes of an archive at most one is no signal, where its nights are whole."""
BYTES_PER_OBJECT = 2000
"""To look at one object may take as long as to read so much."""
OBJECTS_PER_NIGHT = 100
LONGEST = {"hypnogram": LONGEST_S / EPOCH_S, "arousals": LONGEST_S, "gaps": LONGEST_S, "quality": 1}
"""Most values of what an archive holds beside the signals."""

REPLACED = "has been replaced or changed since the run began; run it again"
INDEX_VERSION = 1
"""Version of what `row_of` says: raise it with every change."""
PERSON_ATTRIBUTES = ("subject", "age", "sex", "group")

IndexRow = dict[str, Any]


class ArchiveReplaced(RuntimeError):
    """The file is another one than when the run began."""


def identity_of(path: Path) -> tuple[int, ...]:
    """Tells a file from one that is put in its place, or from itself after a change."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@cache
def check_once(path: Path, identity: tuple[int, ...]) -> dict[str, IndexRow]:
    """Check a file that is not yet known by its `identity`; what is left to be checked by `check_nights`.

    That is the index's rows by `<dataset>/<recording>`, of which those that have been checked are to be taken out.
    """
    n_bytes = path.stat().st_size // SIGNALS_PER_STRUCTURE
    rows = {f"{row['dataset']}/{row['recording']}": row for row in read_index(path) or ()}
    if rows and GUARD.call(check_root, path, file=path, n_bytes=n_bytes) == sorted(rows):
        return rows
    n_bytes += GUARD.call(count_objects, path, file=path, n_bytes=n_bytes) * BYTES_PER_OBJECT
    GUARD.call(check_archive, path, file=path, n_bytes=n_bytes)
    return {}


def check_nights(path: Path, identity: tuple[int, ...], rows: Sequence[IndexRow]) -> None:
    """See `check_archive`, of these nights alone. BadRecording also where a night is not what its row says,
    ArchiveReplaced where the file is not the one of this identity.
    """
    n_bytes = len(rows) * OBJECTS_PER_NIGHT * BYTES_PER_OBJECT
    keys = [(row["dataset"], row["recording"]) for row in rows]
    found_rows = GUARD.call(look_at, path, keys, file=path, n_bytes=n_bytes)
    if identity_of(path) != identity:
        raise ArchiveReplaced(f"{path.name} {REPLACED}")
    for row, found in zip(rows, found_rows, strict=True):
        if found != row:
            where = f"{row['dataset']}/{row['recording']}"
            raise BadRecording("damaged", f"{where} is not what .{path.name}.index says of it; delete that index")


def check_root(path: Path) -> list[str]:
    """The nights as `<dataset>/<recording>`, sorted, none of them opened. Errors as of `check_archive`."""
    with opened_unseen(path) as file:
        rate_of(file)
        datasets = check_links(file, deep=False)
        for dataset in datasets:
            # Read for nothing but this: where they are damaged, this process crashes, not the one that asked.
            dict(file[dataset].attrs)
        return sorted(f"{dataset}/{name}" for dataset in datasets for name in check_links(file[dataset], deep=False))


def look_at(path: Path, nights: Sequence[tuple[str, str]]) -> list[IndexRow]:
    """The rows of these nights, each after it was checked."""
    with opened_unseen(path) as file:
        rate_hz = rate_of(file)
        rows = []
        for dataset, recording in nights:
            with _naming(f"{dataset}/{recording}"):
                for name in _read_of(file, f"{dataset}/{recording}"):
                    _check_object(file, name, rate_hz)
                rows.append(row_of(file[dataset], dataset, recording, rate_hz * EPOCH_S))
        return rows


def count_objects(path: Path) -> int:
    """How many objects an archive has. BadRecording where they are too many, or it is damaged."""
    with opened(path) as file:
        return len(names_in(file))


def check_archive(path: Path) -> None:
    """Walk through all that `Archive` reads, but for the samples, of which only the place and the size are looked at.

    BadRecording names the place where the file is damaged, a link leads out of it or nowhere, or there are values
    without end. One such place is enough to refuse the archive: to go round it is to trust what the file says.
    """
    with opened(path) as file:
        rate_hz = rate_of(file)
        for name in names_in(file):
            _check_object(file, name, rate_hz)


def _read_of(file: h5py.File, night: str) -> list[str]:
    """Paths of what `Archive` reads of a night, also where it lies behind a link within the file."""
    groups = [name for name in (night, f"{night}/PSG", f"{night}/scorers") if name in file]
    return list(dict.fromkeys([night, *(f"{group}/{name}" for group in groups for name in check_links(file[group]))]))


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except (BadRecording, MemoryError):
        raise
    except Exception as error:  # the library lets all kinds of errors through
        raise BadRecording("damaged", f"{name} cannot be read: {error}") from error


def _check_object(file: h5py.File, name: str, rate_hz: int) -> None:
    path = name.split("/")
    *_, kind, last = "", *path  # a data set's path has one part only
    if path[2:3] == ["scorers"]:
        last = "hypnogram"
    elif "class_to_index" in (kind, last):  # nothing reads these
        return
    with _naming(name):
        thing = file[name]
        if thing.file != file:  # behind a link to a link
            raise BadRecording("format", f"{name} lies in another file; copy the data instead")
        dict(thing.attrs)
        if isinstance(thing, h5py.Dataset):
            if kind == "PSG":
                whole(thing, LONGEST_S * rate_hz)
            elif last in LONGEST:
                # Small, so it is read here as well; of signals place and size must do.
                whole(thing, LONGEST[last])[()]


def rate_of(file: h5py.File) -> int:
    """Sampling rate of an archive. ValueError where it is none that a network reads."""
    rate_hz = int(file.attrs.get("sampling_rate_hz", PUBLISHED_RATE_HZ))
    if not 0 < rate_hz <= FASTEST_RATE_HZ:
        raise ValueError(f"it gives a sampling rate of {rate_hz} Hz; expected 1 to {FASTEST_RATE_HZ}")
    return rate_hz


def read_index(path: Path) -> list[IndexRow] | None:
    """The row of each night of this archive; None where there is no list, or it is of another state of the archive."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        index = json.loads(_beside(path).read_bytes())
        if index["of"] == _state(path):
            return index["nights"]
    return None


def write_index(path: Path, rows: list[IndexRow], n_bytes: int, changed_ns: int) -> None:
    """Keep the rows for the next who asks, where the folder can be written to.

    Size and time of the last change are those of the file that the rows are from, which another may have replaced.
    """
    with suppress(OSError), atomic_write(_beside(path)) as temporary:
        temporary.write_text(json.dumps({"of": [INDEX_VERSION, n_bytes, changed_ns], "nights": rows}), encoding="utf-8")


def rows_of(file: h5py.File, samples_per_epoch: int) -> Iterator[IndexRow]:
    """The row of each night, in the order of the file; every night is opened."""
    for dataset, group in file.items():
        for recording in group:
            yield row_of(group, dataset, recording, samples_per_epoch)


def row_of(group: h5py.Group, dataset: str, recording: str, samples_per_epoch: int) -> IndexRow:
    """What `Archive.recordings` says of a night of the data set's group, and what tells it from others, as JSON has it.

    ValueError where the lengths within the night differ.
    """
    night = group[recording]
    lengths = {name: stored_here(signal).shape[0] for name, signal in night["PSG"].items()}
    stages = {"hypnogram": night["hypnogram"]} if "hypnogram" in night else {}
    stages |= {f"scorers/{name}": scored for name, scored in night.get("scorers", {}).items()}
    names = [plain(name) for kind in ("eeg_channels", "eog_channels") for name in group.attrs[kind]]
    n_epochs = {name: n_samples // samples_per_epoch for name, n_samples in lengths.items()}
    n_epochs |= {name: scored.shape[0] for name, scored in stages.items()}
    if len(set(n_epochs.values())) > 1:
        raise ValueError(f"{night.name}: lengths differ, in epochs {n_epochs}; align them before they are used")
    return {
        "dataset": dataset,
        "recording": recording,
        **{name: plain(night.attrs.get(name)) for name in PERSON_ATTRIBUTES},
        "n_epochs": next(iter(n_epochs.values()), 0),
        "channels": [name for name in names if name in lengths],
        "has_hypnogram": "hypnogram" in stages,
        "synthetic": bool(night.attrs.get("synthetic", False)),
        "sha256": _fingerprint(night.attrs, lengths, stages),
    }


def stages_in(stored: h5py.Dataset) -> np.ndarray:
    """int8 (E,), stages 0-4 and 9 unscored."""
    stages = stored_here(stored)[:]
    return np.where((stages >= 0) & (stages < N_STAGES), stages, UNSCORED).astype(np.int8)


def plain(value: Any) -> Any:
    """A text as such, whether stored as text or bytes, a number as Python's own; None where it is none."""
    value = value.item() if isinstance(value, np.generic) else value
    value = value.decode() if isinstance(value, bytes) else value
    if value is None or value != value:  # only NaN differs from itself
        return None
    return value if isinstance(value, str | bool | int | float) else str(value)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.index")


def _state(path: Path) -> list[int]:
    """Not where the file lies: a copy that keeps its time is the same archive."""
    status = path.stat()
    return [INDEX_VERSION, status.st_size, status.st_mtime_ns]


def _fingerprint(attributes: Mapping, lengths: Mapping[str, int], stages: Mapping[str, h5py.Dataset]) -> str:
    """SHA-256 of how a night was made and of its labels; not of the signals' samples."""
    made = [str(plain(attributes.get(name, ""))) for name in ("source_sha256", "prepared")]
    digest = hashlib.sha256(json.dumps([*made, lengths, list(stages)]).encode())
    for scored in stages.values():
        digest.update(stages_in(scored).tobytes())
    return digest.hexdigest()

"""Whether an archive, which may come from anywhere, can be read: in a process beside, before it is opened here.

The HDF5 library takes what a file says of itself for true: a damaged one crashes it, or keeps it for ever. Where an
index lists the nights, each is looked at before it is first opened, and only the groups of data sets when the archive
is; where there is none, all is looked at then.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import h5py

from anysleep.datasets.archive_index import IndexRow, read_index, row_of
from anysleep.recordings.readers.guarded import GUARD
from anysleep.recordings.readers.hdf5 import check_links, names_in, opened, opened_unseen, whole
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import LONGEST_S
from anysleep.stages import EPOCH_S, FASTEST_RATE_HZ, PUBLISHED_RATE_HZ

SIGNALS_PER_STRUCTURE = 1000
"""Of so many bytes of an archive at most one is no signal, where its nights are whole."""
BYTES_PER_OBJECT = 2000
"""To look at one object may take as long as to read so much."""
OBJECTS_PER_NIGHT = 100
LONGEST = {"hypnogram": LONGEST_S / EPOCH_S, "arousals": LONGEST_S, "gaps": LONGEST_S, "quality": 1}
"""Most values of what an archive holds beside the signals."""

REPLACED = "has been replaced or changed since the run began; run it again"


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

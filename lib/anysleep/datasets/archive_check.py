"""Whether an archive, which may come from anywhere, can be read: once, in a process beside, before it is opened here.

The HDF5 library takes what a file says of itself for true: a damaged one crashes it, or keeps it for ever.
"""

from functools import cache
from pathlib import Path

import h5py

from anysleep.recordings.readers.guarded import GUARD
from anysleep.recordings.readers.hdf5 import names_in, opened, whole
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import LONGEST_S
from anysleep.stages import EPOCH_S, FASTEST_RATE_HZ, PUBLISHED_RATE_HZ

SIGNALS_PER_STRUCTURE = 1000
"""Bytes of signals for one of all else; it is less in any archive of whole nights."""
BYTES_PER_OBJECT = 2000
"""To look at one object may take as long as to read so much."""
LONGEST = {"hypnogram": LONGEST_S / EPOCH_S, "arousals": LONGEST_S, "gaps": LONGEST_S, "quality": 1}
"""Values that what an archive holds beside the signals has at most."""


@cache
def check_once(path: Path, identity: tuple[int, ...]) -> None:
    """See `check_archive`; a file that is the same by its `identity` is not checked again in this process."""
    n_bytes = path.stat().st_size // SIGNALS_PER_STRUCTURE
    n_bytes += GUARD.call(count_objects, path, file=path, n_bytes=n_bytes) * BYTES_PER_OBJECT
    GUARD.call(check_archive, path, file=path, n_bytes=n_bytes)


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
            try:
                _check_object(file, name, rate_hz)
            except (BadRecording, MemoryError):
                raise
            except Exception as error:  # the library lets all kinds of errors through
                raise BadRecording("damaged", f"{name} cannot be read: {error}") from error


def _check_object(file: h5py.File, name: str, rate_hz: int) -> None:
    path = name.split("/")
    *_, kind, last = "", *path
    if path[2:3] == ["scorers"]:
        last = "hypnogram"
    elif "class_to_index" in (kind, last):  # nothing reads these
        return
    thing = file[name]
    dict(thing.attrs)
    if isinstance(thing, h5py.Dataset):
        if kind == "PSG":
            whole(thing, LONGEST_S * rate_hz)
        elif last in LONGEST:
            whole(thing, LONGEST[last])[()]


def rate_of(file: h5py.File) -> int:
    """Sampling rate of an archive. ValueError where it is none that a network reads."""
    rate_hz = int(file.attrs.get("sampling_rate_hz", PUBLISHED_RATE_HZ))
    if not 0 < rate_hz <= FASTEST_RATE_HZ:
        raise ValueError(f"it gives a sampling rate of {rate_hz} Hz; expected 1 to {FASTEST_RATE_HZ}")
    return rate_hz

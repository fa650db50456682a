"""The nights of an archive as a list in a file beside it, so that to list them nobody has to open each.

The file, `.archive.h5.index`, names size and time of the last change of the archive that it tells of; beside any other
it counts for nothing, and is made anew.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from anysleep.recordings.readers.hdf5 import stored_here
from anysleep.stages import N_STAGES, UNSCORED
from anysleep.system.files import atomic_write

VERSION = 1
"""Version of what `row_of` says: raise it with every change."""
PERSON_ATTRIBUTES = ("subject", "age", "sex", "group")

IndexRow = dict[str, Any]


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
        temporary.write_text(json.dumps({"of": [VERSION, n_bytes, changed_ns], "nights": rows}), encoding="utf-8")


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
    return [VERSION, status.st_size, status.st_mtime_ns]


def _fingerprint(attributes: Mapping, lengths: Mapping[str, int], stages: Mapping[str, h5py.Dataset]) -> str:
    """SHA-256 of how a night was made and of its labels; not of the signals' samples."""
    made = [str(plain(attributes.get(name, ""))) for name in ("source_sha256", "prepared")]
    digest = hashlib.sha256(json.dumps([*made, lengths, list(stages)]).encode())
    for scored in stages.values():
        digest.update(stages_in(scored).tobytes())
    return digest.hexdigest()

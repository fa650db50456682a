"""The HDF5 files of the Dreem Open Datasets: signals named by a JSON description, and a hypnogram beside them."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import pandas as pd

from anysleep.recordings.readers.hdf5 import StoredChannel, opened, recording_of, time_of, whole
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import Recording, annotation_table
from anysleep.recordings.timebase import LONGEST_S
from anysleep.stages import EPOCH_S

_STAGES = {-1: "?", 0: "W", 1: "N1", 2: "N2", 3: "N3", 4: "R"}


def read_dod(path: Path) -> Recording:
    """See `read_recording`. Channels are called as in the description, with `-` for `_`: C3_M2 is C3-M2.

    Stages become annotations of 30 s each. `start_time`, in s since 1970, is taken as the clock on the wall.
    BadRecording where the file is damaged or contradicts itself.
    """
    with opened(path) as file:
        channels = [_channel(name, entry) for name, entry in _entries(file)]
        night = recording_of(file, path, channels, _stages(file), time_of(file.attrs.get("start_time")))
    return replace(night, labels_epoch_s=float(EPOCH_S))


def _entries(file: h5py.File) -> list[tuple[str | None, dict]]:
    """Name, where the description gives one, and properties of every channel."""
    try:
        description = json.loads(file.attrs["description"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadRecording("damaged", f"the root attribute 'description' is missing or no JSON: {error}") from error
    named = list(description.items()) if isinstance(description, dict) else [(None, entry) for entry in description]
    if not all(isinstance(entry, dict) and isinstance(entry.get("path"), str) for _, entry in named):
        raise BadRecording("damaged", "every channel in the root attribute 'description' needs a 'path' and an 'fs'")
    return named


def _channel(name: str | None, entry: dict) -> StoredChannel:
    name = name or entry.get("name") or entry["path"].rstrip("/").rpartition("/")[2]
    return StoredChannel(entry["path"], str(name).replace("_", "-"), entry.get("fs"), str(entry.get("unit") or "uV"))


def _stages(file: h5py.File) -> pd.DataFrame:
    """The hypnogram as annotations; a code that means no stage stays in the text, for the alignment to refuse."""
    if "hypnogram" not in file:
        return annotation_table([])
    hypnogram = file["hypnogram"]
    if not isinstance(hypnogram, h5py.Dataset) or hypnogram.ndim != 1 or hypnogram.dtype.kind not in "iuf":
        raise BadRecording("label_file", "'hypnogram' is not one row of numbers, one for every 30 s")
    rows = [
        (i * EPOCH_S, EPOCH_S, f"Sleep stage {_STAGES.get(code, format(code, 'g'))}")
        for i, code in enumerate(whole(hypnogram, LONGEST_S / EPOCH_S)[:].tolist())
    ]
    return annotation_table(rows)

"""HDF5: the files of the Dreem Open Datasets, and those of U-Time and U-Sleep (also `psg.h5` of DCSM).

DOD names its signals in a JSON description and has a hypnogram beside them; U-Time has a group `channels`, and rates as
attributes. In both links stay inside the file, a channel is one row of numbers, and all have one time base.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import (
    FASTEST_HZ,
    LONGEST_S,
    Recording,
    Signals,
    annotation_table,
    known_unit,
    microvolts,
)
from anysleep.stages import EPOCH_S

SMALLEST_CHUNK, LARGEST_CHUNK = 2**20, 2**28
"""Bytes that a chunk, which is unpacked as a whole, may have however little there is to store, and at most: a night of
9 h at 1000 Hz in double numbers."""
MOST_OBJECTS = 10**6
"""Signals, groups and all else in one file: an archive of 20,000 nights of 40 channels has fewer."""


@dataclass(frozen=True)
class StoredChannel:
    """Where a channel lies in the file, and what the file says about it."""

    path: str
    name: str
    rate_hz: object
    """Not checked yet; a number above 0 in a sound file."""
    unit: str


def read_hdf5(path: Path) -> Recording:
    """A file of the Dreem Open Datasets or of U-Time, told by its layout. BadRecording where it is neither."""
    with opened(path) as file:
        is_dod, is_utime = "description" in file.attrs, "channels" in file
    if is_dod or is_utime:
        return read_dod(path) if is_dod else read_utime(path)
    raise BadRecording(
        "format", "an HDF5 file of no known layout: DOD has a root attribute 'description', U-Time a group 'channels'"
    )


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading. BadRecording where it is damaged, or a link leads out of it or nowhere."""
    with opened_unseen(path) as file:
        check_links(file)
        yield file


@contextmanager
def opened_unseen(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading, its links not looked at. BadRecording where it is damaged."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        if error.errno:  # the system's word; the library's own errors have no number
            raise
        raise BadRecording("damaged", f"not a whole HDF5 file: {error}") from error


def names_in(group: h5py.Group) -> list[str]:
    """Paths of everything below a group; what lies behind a soft link is named, not walked through."""
    return [name for name, _ in _links_in(group)]


def stored_here(data: h5py.Dataset) -> h5py.Dataset:
    """The dataset as it is. BadRecording where its values lie in another file: if that is missing, HDF5 reads zeros."""
    if data.is_virtual or data.external:
        raise BadRecording("format", f"the values of {data.name!r} lie in another file; copy them into this one")
    return data


def whole(data: h5py.Dataset, longest: float) -> h5py.Dataset:
    """The dataset as it is, safe to be read: `stored_here`, every value written, in pieces that fit into memory, at
    most `longest` values.

    BadRecording where it is not so. What was never written would read as zeros, or take memory without end.
    """
    if not stored_here(data).size:
        return data
    is_sparse = data.id.get_storage_size() < data.nbytes
    if data.chunks:
        chunk_bytes = math.prod(data.chunks) * data.dtype.itemsize
        if chunk_bytes > min(max(2 * data.nbytes, SMALLEST_CHUNK), LARGEST_CHUNK):
            raise BadRecording(
                "damaged", f"{data.name!r} has {data.nbytes} bytes, but is stored in pieces of {chunk_bytes}"
            )
        # -(-n // size) rounds up, exactly also where a damaged file says numbers that no float holds.
        n_chunks = math.prod(-(-n // size) for n, size in zip(data.shape, data.chunks, strict=True))
        is_sparse = data.id.get_num_chunks() < n_chunks  # bytes do not tell: filters pack a flat channel into few
    if is_sparse:
        raise BadRecording("damaged", f"of the {data.size} values of {data.name!r} some were never written")
    if data.size > math.ceil(longest):
        raise BadRecording("too_long", f"{data.name!r} holds {data.size} values; a night has at most {longest:.0f}")
    return data


def recording_of(
    file: h5py.File,
    path: Path,
    channels: Sequence[StoredChannel],
    annotations: pd.DataFrame,
    start_time: datetime | None,
) -> Recording:
    """These channels as a recording. BadRecording where one is no row of numbers, or rates and lengths contradict."""
    if not channels:
        raise BadRecording("channels", "the file names no channel")
    rates_hz = [_rate_hz(channel) for channel in channels]
    lengths_s = [_n_samples(file, channel) / rate_hz for channel, rate_hz in zip(channels, rates_hz, strict=True)]
    _check_time_base(channels, rates_hz, lengths_s)
    return Recording(
        channels=tuple(channel.name for channel in channels),
        signals=Signals([partial(_samples, path, channel) for channel in channels]),
        rates_hz=tuple(rates_hz),
        units=tuple(known_unit(channel.unit) for channel in channels),
        duration_s=min(lengths_s),
        annotations=annotations,
        start_time=start_time,
    )


def time_of(seconds: object) -> datetime | None:
    """Seconds since 1970 as a time without a zone (that of UTC); None for anything that is no number."""
    if not isinstance(seconds, int | float | np.number):
        return None
    try:
        return datetime.fromtimestamp(float(seconds), UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError) as error:
        raise BadRecording(
            "time_base", "the start time lies in no year from 1 to 9999; expected seconds since 1970"
        ) from error


def check_links(group: h5py.Group, *, deep: bool = True) -> list[str]:
    """Names of all links below a group, or just in it. BadRecording where one leads out of the file or nowhere."""
    links = _links_in(group, deep=deep)
    for name, kind in links:
        path = f"{group.name.rstrip('/')}/{name}"
        if kind == h5py.h5l.TYPE_EXTERNAL:
            raise BadRecording("format", f"{path} is a link to another file; copy the data instead")
        if kind == h5py.h5l.TYPE_SOFT and not _leads_somewhere(group, name):
            target = group.get(name, getlink=True).path
            raise BadRecording("format", f"{path[1:]!r} is a link to {target!r}, where there is nothing")
    return [name for name, _ in links]


def _links_in(group: h5py.Group, *, deep: bool = True) -> list[tuple[str, int]]:
    """Path and kind (`h5py.h5l.TYPE_...`) of every link below a group. BadRecording names the place that is damaged."""
    links: list[tuple[str, int]] = []

    def note(name: bytes, link: h5py.h5l.LinkInfo) -> bool | None:
        links.append((name.decode(), link.type))
        return len(links) > MOST_OBJECTS or None  # anything but None ends the walk

    try:
        (group.id.links.visit if deep else group.id.links.iterate)(note, info=True)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise BadRecording("damaged", f"{links[-1][0] if links else '/'} cannot be read: {error}") from error
    if len(links) > MOST_OBJECTS:
        raise BadRecording("damaged", f"it holds more than {MOST_OBJECTS} objects")
    return links


def _leads_somewhere(group: h5py.Group, name: str) -> bool:
    try:
        return group.get(name) is not None
    except RuntimeError:  # a link that leads back to itself
        return False


def _rate_hz(channel: StoredChannel) -> float:
    try:
        rate_hz = float(channel.rate_hz)
    except (TypeError, ValueError):
        rate_hz = np.nan
    if not 0 < rate_hz <= FASTEST_HZ:
        allowed = f"expected a number above 0, at most {FASTEST_HZ:.0f}"
        raise BadRecording("time_base", f"the sample rate of {channel.name} is {channel.rate_hz}; {allowed}")
    return rate_hz


def _n_samples(file: h5py.File, channel: StoredChannel) -> int:
    data = file.get(channel.path)
    if not isinstance(data, h5py.Dataset):
        raise BadRecording("damaged", f"there is no dataset {channel.path!r} for channel {channel.name}")
    if data.ndim != 1 or data.dtype.kind not in "iuf" or not data.size:
        raise BadRecording(
            "format", f"{channel.path!r} holds {data.dtype} of shape {data.shape}; expected one row of real numbers"
        )
    return whole(data, LONGEST_S * max(_rate_hz(channel), 1)).size


def _check_time_base(channels: Sequence[StoredChannel], rates_hz: list[float], lengths_s: list[float]) -> None:
    """Every channel may be one sample short of the longest."""
    longest = int(np.argmax(lengths_s))
    for channel, rate_hz, length_s in zip(channels, rates_hz, lengths_s, strict=True):
        # A sample, and a millionth of it for rounding.
        if lengths_s[longest] - length_s > 1.000001 / min(rate_hz, rates_hz[longest]):
            raise BadRecording(
                "time_base",
                f"channels differ in duration: {channel.name} lasts {length_s:.3f} s at {rate_hz:g} Hz, "
                f"{channels[longest].name} {lengths_s[longest]:.3f} s at {rates_hz[longest]:g} Hz",
            )


def _samples(path: Path, channel: StoredChannel) -> np.ndarray:
    """float32 (T,), voltages in uV."""
    with opened(path) as file:
        samples = file[channel.path][:].astype(np.float32)
    return samples * np.float32(microvolts(channel.unit) or 1)


_STAGES = {-1: "?", 0: "W", 1: "N1", 2: "N2", 3: "N3", 4: "R"}


def read_dod(path: Path) -> Recording:
    """See `read_recording`. Channels are called as in the description, with `-` for `_`: C3_M2 is C3-M2.

    Stages become annotations of 30 s each. `start_time`, in s since 1970, is taken as the clock on the wall.
    BadRecording where the file is damaged or contradicts itself.
    """
    with opened(path) as file:
        channels = [_dod_channel(name, entry) for name, entry in _entries(file)]
        night = recording_of(file, path, channels, _stages(file), time_of(file.attrs.get("start_time")))
    return replace(night, labels_epoch_s=float(EPOCH_S))


def _entries(file: h5py.File) -> list[tuple[str | None, dict]]:
    """Name, where the description gives one, and properties of every channel."""
    try:
        description = json.loads(file.attrs["description"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadRecording("damaged", f"the root attribute 'description' is missing or no JSON: {error}") from error
    named: list[tuple[str | None, dict]]
    named = list(description.items()) if isinstance(description, dict) else [(None, entry) for entry in description]
    if not all(isinstance(entry, dict) and isinstance(entry.get("path"), str) for _, entry in named):
        raise BadRecording("damaged", "every channel in the root attribute 'description' needs a 'path' and an 'fs'")
    return named


def _dod_channel(name: str | None, entry: dict) -> StoredChannel:
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


def read_utime(path: Path) -> Recording:
    """See `read_recording`. The format has no unit: it is '' unless an attribute `unit` says more.

    Attributes hold for everything below the group they are set on. BadRecording where the file is damaged or
    contradicts itself.
    """
    with opened(path) as file:
        group = file.get("channels")
        if not isinstance(group, h5py.Group):
            raise BadRecording("format", "there is no group 'channels'")
        found = [f"channels/{name}" for name in names_in(group) if not isinstance(group[name], h5py.Group)]
        attributes = {name: _attributes_along(file, name) for name in found}
        found = sorted(found, key=lambda name: attributes[name].get("channel_index", len(found)))
        channels = [_utime_channel(name, attributes[name]) for name in found]
        return recording_of(file, path, channels, annotation_table([]), _start_time(attributes))


def _attributes_along(file: h5py.File, name: str) -> dict:
    """Attributes of the file, of every group on the way and of the dataset; the last one counts most."""
    attributes, node = dict(file.attrs), file
    for part in name.split("/"):
        node = node[part]
        attributes |= node.attrs
    return attributes


def _utime_channel(name: str, attributes: Mapping) -> StoredChannel:
    if "sample_rate" not in attributes:
        raise BadRecording("time_base", f"no attribute 'sample_rate' on {name!r} or anything above it")
    unit = attributes.get("unit", "")
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    return StoredChannel(name, name.rpartition("/")[2], attributes["sample_rate"], unit)


def _start_time(attributes: Mapping[str, Mapping]) -> datetime | None:
    """From seconds since 1970; None where the file has a text such as 'UNKNOWN'.

    U-Time counts them from the clock on the wall as if it showed UTC, so they are read back the same way.
    """
    times = {time_of(of_channel.get("date")) for of_channel in attributes.values()}
    if len(times) > 1:
        raise BadRecording("time_base", f"the channels name {len(times)} different starts; all must begin together")
    return times.pop() if times else None

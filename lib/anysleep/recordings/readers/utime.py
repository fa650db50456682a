"""The HDF5 files of U-Time and U-Sleep (also `psg.h5` of DCSM): a group `channels`, rates as attributes."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import h5py

from anysleep.recordings.readers.hdf5 import StoredChannel, names_in, opened, recording_of, time_of
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import Recording, annotation_table


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
        channels = [_channel(name, attributes[name]) for name in found]
        return recording_of(file, path, channels, annotation_table([]), _start_time(attributes))


def _attributes_along(file: h5py.File, name: str) -> dict:
    """Those of the file, of every group on the way and of the dataset, which counts most."""
    attributes, node = dict(file.attrs), file
    for part in name.split("/"):
        node = node[part]
        attributes |= node.attrs
    return attributes


def _channel(name: str, attributes: Mapping) -> StoredChannel:
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

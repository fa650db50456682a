"""EDF, EDF+C, EDF+D (pauses kept as time), BDF and BDF+; samples stay on disk until they are asked for."""

import warnings
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from anysleep.recordings.readers.edf_header import STILL_WRITING, Header, SignalHeader, parse_annotations, read_header
from anysleep.recordings.readers.edf_runs import Runs, find_runs
from anysleep.recordings.reasons import BadRecording, RecordingWarning
from anysleep.recordings.recording import Recording, Signals, annotation_table
from anysleep.recordings.timebase import FASTEST_HZ, LONGEST_S
from anysleep.recordings.units import known_unit, microvolts

BLOCK_BYTES = 2**22
"""Read at once: small enough for the processor's cache."""


@dataclass(frozen=True)
class _Data:
    """Where the data records lie on disk, and when they begin."""

    path: Path
    header: Header
    n_records: int
    offsets: np.ndarray
    """Where each signal begins in a record, in bytes; one more for the end."""
    runs: Runs | None = None
    """When the records were recorded; None until that is known."""


def read_edf(path: Path) -> Recording:
    """See `read_recording`. BadRecording where the file is damaged or contradicts itself."""
    header = read_header(path)
    signals = _signals(header)
    offsets = np.cumsum([0, *(signal.samples * header.sample_bytes for signal in header.signals)])
    data = _Data(path, header, _n_records(path, header, int(offsets[-1])), offsets)
    texts = [_bytes(data, i) for i, signal in enumerate(header.signals) if signal.holds_annotations]
    onsets_s, annotations, unread = parse_annotations(texts)
    first_s = float(onsets_s[0]) if len(onsets_s) else 0.0  # a fraction of a second after the header's start time
    if not abs(first_s) < LONGEST_S:
        raise BadRecording("time_base", f"the first data record begins {first_s:g} s after the start of the file")
    runs = find_runs(onsets_s - first_s, data.n_records, header)
    duration_s = float(runs.ends_s[-1])
    if duration_s > LONGEST_S:
        raise BadRecording("too_long", f"the data records span {duration_s / 3600:.0f} h")
    data = replace(data, runs=runs)
    return Recording(
        channels=tuple(signal.label for _, signal in signals),
        signals=Signals([partial(_samples, data, i) for i, _ in signals]),
        rates_hz=tuple(signal.samples / header.record_s for _, signal in signals),
        units=tuple(known_unit(signal.unit) for _, signal in signals),
        duration_s=duration_s,
        annotations=annotation_table([(onset - first_s, duration, text) for onset, duration, text in annotations]),
        start_time=header.start_time and header.start_time + timedelta(seconds=first_s),
        unread=tuple(unread),
        gaps_s=runs.gaps_s,
        patient=header.patient_id,
        synthetic="anysleep-synthetic" in header.recording_id,
    )


def _signals(header: Header) -> list[tuple[int, SignalHeader]]:
    """Position and header of every signal with samples. BadRecording where their rates are impossible."""
    signals = [(i, signal) for i, signal in enumerate(header.signals) if not signal.holds_annotations]
    if not 0 <= header.record_s < np.inf or (signals and header.record_s == 0):
        raise BadRecording("time_base", f"the header gives data records of {header.record_s:g} s")
    for _, signal in signals:
        if signal.samples > FASTEST_HZ * header.record_s:
            rate_hz = signal.samples / header.record_s
            raise BadRecording("time_base", f"the header gives channel {signal.label!r} {rate_hz:g} Hz")
        if signal.samples == 0:
            warnings.warn(
                f"the header gives channel {signal.label!r} no samples: it is left out", RecordingWarning, stacklevel=4
            )
    return [(i, signal) for i, signal in signals if signal.samples]


def _n_records(path: Path, header: Header, record_bytes: int) -> int:
    """How many data records the file holds. BadRecording where the header says another number."""
    if record_bytes == 0:
        raise BadRecording("damaged", "not a whole EDF or BDF file: its header names no samples")
    n_records = header.n_records
    whole, rest = divmod(path.stat().st_size - header.n_bytes, record_bytes)
    if n_records == STILL_WRITING:
        warnings.warn(
            f"the header leaves the number of data records open; the file holds {whole}", RecordingWarning, stacklevel=4
        )
        n_records, rest = whole, 0
    if n_records != whole:
        raise BadRecording(
            "truncated" if whole < n_records else "record_count",
            f"not a whole EDF or BDF file: the header says {n_records} data records, the file holds {whole} and "
            f"{rest} bytes more",
        )
    if rest:
        warnings.warn(f"{rest} bytes behind the last data record are left out", RecordingWarning, stacklevel=4)
    return n_records


def _samples(data: _Data, index: int) -> np.ndarray:
    """float32 (T,), voltages in uV; NaN in gaps, and everywhere where the header gives no scale."""
    signal = data.header.signals[index]
    physical, digital = (high - low for low, high in (signal.physical_range, signal.digital_range))
    if physical == 0 or digital <= 0 or not np.isfinite(physical):
        warnings.warn(
            f"the header gives channel {signal.label!r} an empty range: its samples are NaN",
            RecordingWarning,
            stacklevel=3,
        )
        samples = np.full(data.n_records * signal.samples, np.nan, dtype=np.float32)
    else:
        gain = physical / digital
        samples = (_digital(data, index) + (signal.physical_range[0] / gain - signal.digital_range[0])) * gain
        samples = (samples * (microvolts(signal.unit) or 1)).astype(np.float32)
    return data.runs.spread(samples, signal.samples)


def _bytes(data: _Data, index: int) -> np.ndarray:
    """uint8 (records, bytes a record) of one signal, read block by block, so that never the whole file is in memory."""
    start, stop, record_bytes = data.offsets[index], data.offsets[index + 1], int(data.offsets[-1])
    gathered = np.empty((data.n_records, stop - start), dtype=np.uint8)
    at_once = max(BLOCK_BYTES // record_bytes, 1)
    with open(data.path, "rb") as file:
        file.seek(data.header.n_bytes)
        for first in range(0, data.n_records, at_once):
            part = gathered[first : first + at_once]
            part[:] = np.fromfile(file, np.uint8, len(part) * record_bytes).reshape(-1, record_bytes)[:, start:stop]
    return gathered


def _digital(data: _Data, index: int) -> np.ndarray:
    """(T,) integers of one signal."""
    raw = _bytes(data, index).reshape(-1)
    if data.header.sample_bytes == 2:
        return raw.view("<i2")
    padded = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
    padded[:, 1:] = raw.reshape(-1, 3)
    return padded.view("<i4")[:, 0] >> 8  # 24 bits with their sign

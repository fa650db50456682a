"""EDF, EDF+C, EDF+D (pauses kept as time), BDF and BDF+; samples stay on disk until they are asked for.

The data records come in runs without a pause, and pauses between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from anysleep.recordings.readers.edf_header import STILL_WRITING, Header, SignalHeader, parse_annotations, read_header
from anysleep.recordings.reasons import BadRecording, note
from anysleep.recordings.recording import (
    FASTEST_HZ,
    LONGEST_S,
    Recording,
    Signals,
    annotation_table,
    known_unit,
    microvolts,
)

BLOCK_BYTES = 2**22
"""Read at once: small enough for the processor's cache."""
PAUSE_S = 1.5e-3
"""Records that begin this close to the end of the one before leave no gap: times are often rounded to 1 ms."""
DRIFT_SAID_S = 0.05
"""By so much the times of the records of a run may differ from their lengths before it is said ..."""
DRIFT_REFUSED_S = 0.5
"""... and before nobody knows which of the two clocks the labels follow."""
TIE_S = 1e-6
"""A run this close to half a sample of a channel moves on by as much."""


@dataclass(frozen=True)
class _Runs:
    """Data records that follow each other without a pause; both arrays have one entry a run."""

    first_records: np.ndarray
    """int (R,)."""
    onsets_s: np.ndarray
    """float (R,): when each run begins; the first at 0."""
    n_records: int
    """Data records of all runs."""
    record_s: float

    @property
    def ends_s(self) -> np.ndarray:
        """float (R,): when each run ends."""
        return self.onsets_s + np.diff(self.first_records, append=self.n_records) * self.record_s

    @property
    def gaps_s(self) -> np.ndarray:
        """float (R - 1, 2): start and end of the pauses between runs."""
        return np.column_stack([self.ends_s[:-1], self.onsets_s[1:]])

    def spread(self, samples: np.ndarray, per_record: int) -> np.ndarray:
        """(T,) samples as stored -> (T',) in time: each run begins at the sample next to its onset, NaN in the gaps."""
        if len(self.onsets_s) == 1:
            return samples
        starts = np.rint(self.onsets_s * (per_record / self.record_s)).astype(int)  # samples a second
        runs = np.split(samples, self.first_records[1:] * per_record)
        spread = np.full(starts[-1] + len(runs[-1]), np.nan, dtype=samples.dtype)
        for start, run in zip(starts, runs, strict=True):
            spread[start : start + len(run)] = run
        return spread


@dataclass(frozen=True)
class _Data:
    """Where the data records lie on disk, and when they begin."""

    path: Path
    header: Header
    n_records: int
    offsets: np.ndarray
    """Where each signal begins in a record, in bytes; one more for the end."""
    runs: _Runs | None = None
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
    runs = _find_runs(onsets_s - first_s, data.n_records, header)
    data = replace(data, runs=runs)
    return Recording(
        channels=tuple(signal.label for _, signal in signals),
        signals=Signals([partial(_samples, data, i) for i, _ in signals]),
        rates_hz=tuple(signal.samples / header.record_s for _, signal in signals),
        units=tuple(known_unit(signal.unit) for _, signal in signals),
        duration_s=float(runs.ends_s[-1]),
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
    # Chained, so that NaN is refused; of a file of annotations alone, records may last 0 s.
    if not 0 <= header.record_s < np.inf or (signals and header.record_s == 0):
        raise BadRecording("time_base", f"the header gives data records of {header.record_s:g} s")
    for _, signal in signals:
        if signal.samples > FASTEST_HZ * header.record_s:
            rate_hz = signal.samples / header.record_s
            raise BadRecording("time_base", f"the header gives channel {signal.label!r} {rate_hz:g} Hz")
        if signal.samples == 0:
            note(f"the header gives channel {signal.label!r} no samples: it is left out")
    return [(i, signal) for i, signal in signals if signal.samples]


def _n_records(path: Path, header: Header, record_bytes: int) -> int:
    """How many data records the file holds. BadRecording where the header says another number."""
    if record_bytes == 0:
        raise BadRecording("damaged", "not a whole EDF or BDF file: its header names no samples")
    n_records = header.n_records
    whole, rest = divmod(path.stat().st_size - header.n_bytes, record_bytes)
    if n_records == STILL_WRITING:
        note(f"the header leaves the number of data records open; the file holds {whole}")
        n_records, rest = whole, 0
    if n_records != whole:
        raise BadRecording(
            "truncated" if whole < n_records else "record_count",
            f"not a whole EDF or BDF file: the header says {n_records} data records, the file holds {whole} and "
            f"{rest} bytes more",
        )
    if rest:
        note(f"{rest} bytes behind the last data record are left out")
    return n_records


def _samples(data: _Data, index: int) -> np.ndarray:
    """float32 (T,), voltages in uV; NaN in gaps, and everywhere where the header gives no scale."""
    signal = data.header.signals[index]
    physical, digital = (high - low for low, high in (signal.physical_range, signal.digital_range))
    if physical == 0 or digital <= 0 or not np.isfinite(physical):
        note(f"the header gives channel {signal.label!r} an empty range: its samples are NaN")
        samples = np.full(data.n_records * signal.samples, np.nan, dtype=np.float32)
    else:
        gain = physical / digital
        # physical_min + (digital - digital_min) * gain, in one step less over the whole night.
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
    # 24 bits as the upper three bytes of 32; shifting them down keeps the sign.
    padded = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
    padded[:, 1:] = raw.reshape(-1, 3)
    return padded.view("<i4")[:, 0] >> 8


def _find_runs(onsets_s: np.ndarray, n_records: int, header: Header) -> _Runs:
    """The runs of data records that begin at `onsets_s`, float (records,), or (0,) where the file does not say it.

    BadRecording where only a file marked as discontinuous may pause, where records overlap, or where their times
    depart from their lengths; a small departure is a warning.
    """
    if not (len(onsets_s) and header.record_s):
        return _Runs(np.zeros(1, dtype=int), np.zeros(1), n_records, header.record_s)
    ends_s = onsets_s + header.record_s
    pauses = np.flatnonzero(np.abs(onsets_s[1:] - ends_s[:-1]) > PAUSE_S)
    if pauses.size and not header.discontinuous:
        at = pauses[0]
        raise BadRecording(
            "time_base",
            f"the file says it is continuous, but data record {at + 1} begins at {onsets_s[at + 1]:g} s, "
            f"not at {ends_s[at]:g} s",
        )
    firsts = np.array([0, *(pauses + 1)])
    _check_drift(onsets_s, firsts, header.record_s)
    rates_hz = [one.samples / header.record_s for one in header.signals if not one.holds_annotations]
    runs = _Runs(firsts, on_samples(onsets_s[firsts], rates_hz), n_records, header.record_s)
    if (np.diff(runs.gaps_s) < 0).any():
        raise BadRecording("time_base", "data records overlap in time or are not in order")
    return runs


def on_samples(onsets_s: np.ndarray, rates_hz: Sequence[float]) -> np.ndarray:
    """float (R,): the onsets moved to a sample of the fastest channel, which so sets the time base, and off ties."""
    fastest_hz = max(rates_hz, default=np.inf)
    if np.isfinite(fastest_hz):
        onsets_s = np.rint(onsets_s * fastest_hz) / fastest_hz
    return np.array([_off_ties(onset_s, rates_hz) for onset_s in onsets_s])


def _check_drift(onsets_s: np.ndarray, firsts: np.ndarray, record_s: float) -> None:
    """BadRecording, or a warning, where the records of a run begin earlier or later than their lengths add up to."""
    numbers = np.arange(len(onsets_s))
    # Of every record, the number of the first one in its run.
    first_of_run = np.repeat(firsts, np.diff(firsts, append=len(onsets_s)))
    by_length_s = (numbers - first_of_run) * record_s
    by_times_s = onsets_s - onsets_s[first_of_run]
    drift_s = np.abs(by_times_s - by_length_s)
    worst = int(np.argmax(drift_s))
    if drift_s[worst] > DRIFT_SAID_S:
        message = (
            f"{worst - first_of_run[worst] + 1} data records without a pause last {by_length_s[worst] + record_s:.2f} "
            f"s by the header, but {by_times_s[worst] + record_s:.2f} s by the times of the records"
        )
        if drift_s[worst] > DRIFT_REFUSED_S:
            raise BadRecording("time_base", f"{message}; export the recording again with its true rate")
        note(f"{message}; annotations follow the latter")


def _off_ties(onset_s: float, rates_hz: Sequence[float]) -> float:
    """The onset, moved on by `TIE_S` where it is half a sample of some channel.

    How such a half is rounded would hang on its last binary digit, and so differ between the samples and `gaps_s`.
    """
    # In samples: half of `TIE_S` to either side of the middle between two.
    is_tie = any(abs(onset_s * rate_hz % 1 - 0.5) < rate_hz * TIE_S / 2 for rate_hz in rates_hz)
    return onset_s + TIE_S if is_tie else onset_s

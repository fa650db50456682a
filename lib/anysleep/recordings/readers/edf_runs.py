"""When the data records of an EDF or BDF file were recorded: runs without a pause, and the pauses between them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anysleep.recordings.readers.edf_header import Header
from anysleep.recordings.reasons import BadRecording, RecordingWarning

PAUSE_S = 1.5e-3
"""Records that begin this close to the end of the one before leave no gap: times are often rounded to 1 ms."""
DRIFT_SAID_S = 0.05
"""By so much the times of the records of a run may differ from their lengths before it is said ..."""
DRIFT_REFUSED_S = 0.5
"""... and before nobody knows which of the two clocks the labels follow."""
TIE_S = 1e-6
"""A run this close to half a sample of a channel moves on by as much."""


@dataclass(frozen=True)
class Runs:
    """Data records that follow each other without a pause; both arrays have one entry a run."""

    first_records: np.ndarray
    """int (R,)."""
    onsets_s: np.ndarray
    """float (R,): when each run begins; the first at 0."""
    n_records: int
    """Of all runs."""
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
        starts = np.rint(self.onsets_s * (per_record / self.record_s)).astype(int)
        runs = np.split(samples, self.first_records[1:] * per_record)
        spread = np.full(starts[-1] + len(runs[-1]), np.nan, dtype=samples.dtype)
        for start, run in zip(starts, runs, strict=True):
            spread[start : start + len(run)] = run
        return spread


def find_runs(onsets_s: np.ndarray, n_records: int, header: Header) -> Runs:
    """The runs of data records that begin at `onsets_s`, float (records,), or (0,) where the file does not say it.

    BadRecording where only a file marked as discontinuous may pause, where records overlap, or where their times
    depart from their lengths; a small departure is a warning.
    """
    if not (len(onsets_s) and header.record_s):
        return Runs(np.zeros(1, dtype=int), np.zeros(1), n_records, header.record_s)
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
    runs = Runs(firsts, on_samples(onsets_s[firsts], rates_hz), n_records, header.record_s)
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
        warnings.warn(f"{message}; annotations follow the latter", RecordingWarning, stacklevel=4)


def _off_ties(onset_s: float, rates_hz: Sequence[float]) -> float:
    """The onset, moved on by `TIE_S` where it is half a sample of some channel.

    How such a half is rounded would hang on its last binary digit, and so differ between the samples and `gaps_s`.
    """
    rates_hz = np.asarray(rates_hz)
    is_tie = np.abs(onset_s * rates_hz % 1 - 0.5) < rates_hz * TIE_S / 2
    return onset_s + TIE_S if is_tie.any() else onset_s

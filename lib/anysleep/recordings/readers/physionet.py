"""WFDB records of PhysioNet (`.hea` with `.dat` or `.mat` beside it), as in the 2018 challenge of PhysioNet/CinC."""

import re
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import wfdb

from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import ANONYMOUS, Recording, Signals, known_unit, microvolts

BLOCK = 2**18
"""Frames read at once: a frame holds all signals, and only one of them is to stay in memory."""


def read_wfdb(path: Path) -> Recording:
    """See `read_recording`. Every signal keeps its own rate; samples marked as invalid are NaN.

    BadRecording where the record is damaged, has several segments, or names a file outside its folder.
    """
    record = _read_header(path)
    _check_whole(path, record)
    start_time = record.base_time and datetime.combine(record.base_date or ANONYMOUS, record.base_time)
    return Recording(
        channels=tuple(name or f"signal {i}" for i, name in enumerate(record.sig_name)),
        signals=Signals([partial(_samples, path, record, i) for i in range(record.n_sig)]),
        rates_hz=tuple(float(record.fs * per_frame) for per_frame in record.samps_per_frame),
        units=tuple(known_unit(unit) for unit in record.units),
        duration_s=record.sig_len / record.fs,
        start_time=start_time,
        files=(path, *_signal_files(path, record)),
    )


def _read_header(path: Path) -> wfdb.Record:
    """The record without its samples. BadRecording where it is damaged, or leads out of its folder."""
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    names = [line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not names or "\x00" in names[0]:
        raise BadRecording("damaged", "not a WFDB header: it is empty or binary")
    segments = re.fullmatch(r"[^/\\]+/(\d+)", names[0])
    if segments:
        raise BadRecording("format", f"the record has {segments[1]} segments; join them first (wfdb.rdrecord)")
    if any(re.search(r"[/\\:]|\.\.", name) for name in names):
        raise BadRecording("format", "the header names a file in another folder; every file must lie beside the header")
    try:
        record = wfdb.rdheader(str(path.absolute().with_suffix("")))
    except (IndexError, ValueError) as error:
        raise BadRecording("damaged", f"not a WFDB header: {error}") from error
    if len(names) != record.n_sig + 1 or not record.n_sig:
        raise BadRecording("damaged", f"the header says {record.n_sig} signals and describes {len(names) - 1}")
    if not (record.sig_len and record.fs > 0):
        raise BadRecording(
            "time_base", f"the header gives {record.sig_len} samples at {record.fs} Hz; both must be above 0"
        )
    return record


def _signal_files(path: Path, record: wfdb.Record) -> list[Path]:
    return [path.parent / name for name in sorted(set(record.file_name))]


def _check_whole(path: Path, record: wfdb.Record) -> None:
    """BadRecording where a signal file is missing or too short for its last sample."""
    files = _signal_files(path, record)
    missing = sum(not file.is_file() for file in files)
    if missing:
        raise BadRecording("not_found", f"{missing} of {len(files)} signal files are not beside the header")
    last = record.sig_len - 1
    try:
        wfdb.rdrecord(str(path.absolute().with_suffix("")), sampfrom=last, smooth_frames=False)
    except ValueError as error:
        message = f"a signal file holds less than the {record.sig_len} samples of the header"
        raise BadRecording("truncated", message) from error
    except KeyError as error:
        raise BadRecording("format", f"the samples are stored in format {error}, which cannot be read") from error


def _samples(path: Path, record: wfdb.Record, index: int) -> np.ndarray:
    """float32 (T,), voltages in uV; NaN where the file marks a sample as invalid."""
    block = record.sig_len if "8" in record.fmt else BLOCK  # format 8 holds differences: only readable from the start
    scale = microvolts(record.units[index]) or 1.0
    blocks = []
    for start in range(0, record.sig_len, block):
        part = wfdb.rdrecord(
            str(path.absolute().with_suffix("")),
            sampfrom=start,
            sampto=min(start + block, record.sig_len),
            channels=[index],
            smooth_frames=False,
        )
        blocks.append((part.e_p_signal[0] * scale).astype(np.float32))
    return np.concatenate(blocks)

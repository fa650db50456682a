"""Annotations of the PhysioNet/CinC Challenge 2018 (`tr03-0005.arousal`, a WFDB annotation file)."""

import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from anysleep.recordings.labels.hypnogram import STANDARD_CODES
from anysleep.recordings.labels.scoring import Scoring
from anysleep.recordings.labels.text import bad_labels, read_bytes
from anysleep.recordings.reasons import note
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S

SKIP, TEXT, MORE = 59, 63, (60, 61, 62)
"""Codes in the upper 6 bits of each 16-bit word of the file: a long step in time, a text, other facts. All others are
annotations, and the lower 10 bits are the samples since the one before."""
RATE = re.compile(r"## time resolution: (\d+\.?\d*)")
Note = tuple[float, str]
"""When, in s, and the text."""


def read_physionet(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """Stages, and events from '(arousal_rera' to 'arousal_rera)' and the like, named without brackets.

    A stage lasts until the next; the last one to the end of the signals, where the header file (.hea) beside says when
    that is. A file called '.arousal' is there to list arousals: none in it means none. `codes` and `epoch_s` are not
    used: every text without a bracket is a stage. BadRecording where the file is damaged, or neither it nor the header
    gives the sampling rate.
    """
    notes, end_s = _read_notes(path)
    stages = [note for note in notes if not _is_bracket(note[1])]
    if not stages:
        raise bad_labels(path, "there is no stage in the file")
    ends_s = [*(onset_s for onset_s, _ in stages[1:]), end_s]
    rows = [(onset_s, until_s - onset_s, text) for (onset_s, text), until_s in zip(stages, ends_s, strict=True)]
    events = annotation_table(_events([note for note in notes if _is_bracket(note[1])]))
    return Scoring(annotation_table(rows), events, lists_arousals=path.suffix.lower() == ".arousal")


def _read_notes(path: Path) -> tuple[list[Note], float]:
    """All notes in order of time, and the end of the signals in s, NaN where no header says it."""
    found = _parse(path)
    rate_hz = next((float(rate[1]) for _, text in found if (rate := RATE.match(text))), 0.0)
    end_s, header_path = np.nan, path.with_suffix(".hea")
    if header_path.is_file():
        header_hz, n_samples = _rate_and_length(header_path)
        rate_hz, end_s = rate_hz or header_hz, n_samples / header_hz if n_samples else np.nan
    if not rate_hz > 0:
        raise bad_labels(path, f"the sampling rate is not known; put the record's header {header_path.name} beside it")
    notes = [(sample / rate_hz, text.strip("\x00 ")) for sample, text in found if not text.startswith("##")]
    return sorted((note for note in notes if note[1]), key=lambda note: note[0]), end_s


def _parse(path: Path) -> list[tuple[int, str]]:
    """Sample and text of every annotation that has a text; `wfdb.rdann` would leave out those at sample 0."""
    raw = read_bytes(path)
    found, sample, at = [], 0, 0
    try:
        while word := struct.unpack_from("<H", raw, at)[0]:  # 0 ends the file
            code, value = word >> 10, word & 0x3FF
            at += 2
            if code == SKIP:
                high, low = struct.unpack_from("<hH", raw, at)  # the upper 16 bits come first
                sample += 65536 * high + low
                at += 4
            elif code == TEXT:
                found.append((sample, raw[at : at + value].decode("latin-1")))
                at += value + value % 2  # texts fill whole words
            elif code not in MORE:
                sample += value
    except struct.error:
        raise bad_labels(path, "this is no whole WFDB annotation file: its end is missing") from None
    return found


def _rate_and_length(path: Path) -> tuple[float, int]:
    """Samples per second and samples of the signals, 0 where the header does not say it."""
    import wfdb  # here and not above: it takes most of a second, and only this format needs it

    try:
        header = wfdb.rdheader(str(path.with_suffix("")))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # wfdb lets all kinds of errors through when a header is damaged
        raise bad_labels(path, f"this is no whole WFDB header: {error}") from error
    if not header.fs > 0:
        raise bad_labels(path, f"the sampling rate is {header.fs}")
    return header.fs, header.sig_len or 0


def _is_bracket(text: str) -> bool:
    return text.startswith("(") or text.endswith(")")


def _events(brackets: Sequence[Note]) -> list[tuple[float, float, str]]:
    """Onset, duration (NaN where the other bracket is missing, with a warning) and name."""
    events, opened, unmatched = [], {}, 0
    for time_s, text in brackets:
        name = text.strip("()")
        if text.startswith("("):
            opened.setdefault(name, []).append(time_s)
        elif opened.get(name):
            onset_s = opened[name].pop(0)  # of several, the first that began
            events.append((onset_s, time_s - onset_s, name))
        else:
            unmatched += 1
    endless = [(onset_s, np.nan, name) for name, onsets_s in opened.items() for onset_s in onsets_s]
    if unmatched or endless:
        note(f"{len(endless)} events have no end and {unmatched} ends no event; those without an end have no duration")
    return events + endless

"""The header of EDF, EDF+, BDF and BDF+ files, and the annotations between their samples.

By hand, because no library does all of this: tell when each data record of a discontinuous file begins, leave BDF
samples on disk until they are asked for, and refuse what contradicts itself instead of repairing it. Layout: Kemp et
al. 1992 (doi 10.1016/0013-4694(92)90009-7), Kemp and Olivan 2003 (doi 10.1016/s1388-2457(03)00123-8); BDF: BioSemi.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

import numpy as np

from anysleep.recordings.reasons import BadRecording, note
from anysleep.recordings.recording import ANONYMOUS, Unread

FIXED_BYTES = 256
VERSIONS = (b"0", b"\xff")
"""First byte of EDF and BDF."""
TEXT = re.compile(rb"[^\x00-\x08\x0e-\x1f]*\n[^\x00-\x08\x0e-\x1f]*")
"""A header has no end of a line."""
LOOKS_LIKE_TEXT = "it looks like text, perhaps a pointer or page that a download left instead"
STILL_WRITING = -1
"""The record count of a file that its recorder has not closed."""
SIGNAL_FIELDS = {  # name -> bytes, in the order of the file
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8,
    "digital_max": 8, "prefilter": 80, "samples": 8, "reserved": 32,
}  # fmt: skip
ANNOTATION_LABELS = ("edf annotations", "bdf annotations")
"""Labels of signals that hold annotations, in small letters: some programs write them so."""
TIMED_LIST = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14(.*)", re.DOTALL)
"""Onset, duration where there is one, texts. In EDF+ \\x15 stands before the duration, and \\x14 behind each part."""
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
"""In English whatever the language of the system, which `strptime` would follow."""

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""A DECIMAL_COMMA that may as well stand between the thousands of a whole number."""

Annotation = tuple[float, float, str]
"""Onset and duration in s (NaN for none), text."""


@dataclass(frozen=True)
class SignalHeader:
    """One signal of the file."""

    label: str
    unit: str
    physical_range: tuple[float, float]
    digital_range: tuple[int, int]
    samples: int
    """In one data record."""

    @property
    def holds_annotations(self) -> bool:
        """Whether these bytes are text."""
        return self.label.lower() in ANNOTATION_LABELS


@dataclass(frozen=True)
class Header:
    """What the file says of itself."""

    sample_bytes: int
    patient_id: str
    recording_id: str
    start_time: datetime | None
    discontinuous: bool
    n_bytes: int
    n_records: int
    """`STILL_WRITING` where the recorder did not come to say it."""
    record_s: float
    signals: tuple[SignalHeader, ...]


def read_header(path: Path) -> Header:
    """Parse the header. BadRecording where it is damaged."""
    with open(path, "rb") as file:
        fixed = file.read(FIXED_BYTES)
        if not fixed:
            raise BadRecording("damaged", "not a whole EDF or BDF file: it is empty")
        try:
            return _parse(fixed, file.read(FIXED_BYTES * _integer(fixed, 252, 4, "number of signals")))
        except (ValueError, IndexError) as error:
            if TEXT.fullmatch(fixed):
                raise BadRecording("damaged", f"not an EDF or BDF file: {LOOKS_LIKE_TEXT}") from error
            hint = "" if fixed[:1] in VERSIONS else "; is it packed?"
            raise BadRecording("damaged", f"not a whole EDF or BDF file: {error}{hint}") from error


def parse_annotations(records: Sequence[np.ndarray]) -> tuple[np.ndarray, list[Annotation], list[Unread]]:
    """When each data record begins, in s, every annotation, and what cannot be read.

    `records` holds the bytes of each annotation signal, uint8 (records, bytes a record). No signal, no times.
    BadRecording where a record does not say when it begins.
    """
    onsets_s, annotations, unread = [], [], []
    for number, signal in enumerate(records):
        raw, width = signal.tobytes(), max(signal.shape[1], 1)
        for record, start in enumerate(range(0, len(raw), width)):
            # A list ends with a zero byte, and zeros fill up the record.
            parts = list(re.finditer(rb"[^\x00]+", raw[start : start + width]))
            lists = [TIMED_LIST.match(part[0]) for part in parts]
            if number == 0:  # the first list of each record says when the record begins
                if not lists or lists[0] is None:
                    raise BadRecording("damaged", f"data record {record} begins with annotations that cannot be read")
                onsets_s.append(float(lists[0][1]))
            for part, found in zip(parts, lists, strict=True):
                if found is None:
                    place = f"data record {record}, byte {part.start()} of its annotations"
                    unread.append(Unread(place, _said(part[0])))
                else:
                    duration_s = float(found[2]) if found[2] else np.nan
                    annotations += [(float(found[1]), duration_s, text) for text in _texts(found[3])]
    return np.array(onsets_s), annotations, unread


def _texts(raw: bytes) -> list[str]:
    return [text for text in map(_text, raw.split(b"\x14")) if text.strip()]


def _said(part: bytes) -> tuple[str, ...] | None:
    """The texts of a list whose times cannot be read; None where even they cannot be told from the times."""
    times, mark, texts = part.partition(b"\x14")
    return tuple(_texts(texts)) if mark or not times.strip() else None


def _parse(fixed: bytes, rest: bytes) -> Header:
    n_signals = _integer(fixed, 252, 4, "number of signals")
    n_bytes = _integer(fixed, 184, 8, "size of the header")
    if not n_bytes == FIXED_BYTES * (n_signals + 1) == len(fixed) + len(rest):
        raise ValueError(
            f"a header for {n_signals} signals has {FIXED_BYTES * (n_signals + 1)} bytes; it says {n_bytes}, and "
            f"{len(fixed) + len(rest)} are there"
        )
    columns, at = {}, 0
    for name, width in SIGNAL_FIELDS.items():
        # The labels of all signals, then what measured all of them, and so on.
        columns[name] = [rest[at + i * width : at + (i + 1) * width] for i in range(n_signals)]
        at += n_signals * width
    signals = [
        _signal({name: _text(column[i]).strip(" \x00") for name, column in columns.items()}) for i in range(n_signals)
    ]
    recording_id = _text(fixed[88:168])
    return Header(
        sample_bytes=3 if fixed[0] == 0xFF else 2,
        patient_id=_text(fixed[8:88]).strip(" \x00"),
        recording_id=recording_id,
        start_time=_start_time(recording_id, _text(fixed[168:184])),
        discontinuous=fixed[192:197] in (b"EDF+D", b"BDF+D"),
        n_bytes=n_bytes,
        n_records=_integer(fixed, 236, 8, "number of data records", lowest=STILL_WRITING),
        record_s=_number(_text(fixed[244:252]), "duration of a data record"),
        signals=tuple(signals),
    )


def _signal(fields: dict[str, str]) -> SignalHeader:
    label = fields["label"]
    if label.lower() in ANNOTATION_LABELS:
        physical, digital = (0.0, 0.0), (0, 0)
    else:
        low, high = (_number(fields[name], f"{name} of {label!r}") for name in ("physical_min", "physical_max"))
        first, last = (_whole_number(fields[name], f"{name} of {label!r}") for name in ("digital_min", "digital_max"))
        physical, digital = (low, high), (first, last)
    samples = _whole_number(fields["samples"], f"samples of {label!r}")
    if samples < 0:
        raise ValueError(f"samples of {label!r} are {samples}")
    return SignalHeader(label, fields["unit"], physical, digital, samples)


def _start_time(recording_id: str, legacy: str) -> datetime | None:
    """Clock time of the start; None, with a warning, where the header holds none.

    The date of EDF+ ('Startdate 02-MAR-2002') goes before the old field, which has two digits for the year. Where
    neither can be read, the time of day still holds, with the date of anonymous files.
    """
    day, clock = _stated_date(recording_id) or _date(legacy[:8]), _time(legacy[8:])
    if clock is None or (day is None and clock == time(0)):  # zeros all over are no clock
        note("the header holds no start time that can be read")
        return None
    if day is None:
        note("the header holds no date that can be read: its time of day counts")
    return datetime.combine(day or ANONYMOUS, clock)


def _stated_date(recording_id: str) -> date | None:
    stated = re.match(r"Startdate (\d\d)-([A-Z]{3})-(\d{4})\b", recording_id, re.IGNORECASE)
    try:
        return date(int(stated[3]), MONTHS.index(stated[2].upper()) + 1, int(stated[1])) if stated else None
    except ValueError:
        return None


def _date(text: str) -> date | None:
    try:
        day, month, year = _three_numbers(text)
        # The rule of EDF+: 85 to 99 are 1985 to 1999.
        return date(year + (1900 if year >= 85 else 2000), month, day)
    except ValueError:
        return None


def _time(text: str) -> time | None:
    try:
        return time(*_three_numbers(text))
    except ValueError:
        return None


def _three_numbers(text: str) -> list[int]:
    """The numbers of a date or time such as 02.03.02. ValueError for anything else."""
    found = re.fullmatch(r" *(\d{1,2})\D(\d{1,2})\D(\d{1,2}) *", text, re.ASCII)
    if found is None:
        raise ValueError("no three numbers")
    return [int(number) for number in found.groups()]


def _integer(header: bytes, start: int, width: int, name: str, lowest: int = 0) -> int:
    number = _whole_number(_text(header[start : start + width]), name)
    if number < lowest:
        raise ValueError(f"its {name} is {number}")
    return number


def _whole_number(text: str, name: str) -> int:
    number = _number(text, name)
    if not number.is_integer():
        raise ValueError(f"its {name} is {number}; expected a whole number")
    return int(number)


def _number(text: str, name: str) -> float:
    text = text.strip(" \x00")
    if DECIMAL_COMMA.fullmatch(text):
        if THOUSANDS.fullmatch(text):
            raise ValueError(f"its {name} is {text}, and that comma may be decimal or not; write it with a point")
        note("the commas in the numbers of the header are read as decimal points")
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:  # the text stays unsaid: in a damaged header it may be part of a patient's name
        raise ValueError(f"its {name} is no number") from None


def _text(raw: bytes) -> str:
    """EDF+ texts are UTF-8; older recorders write Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")

"""Label files that are plain text: one label a line, as in ISRUC-Sleep and UCDDB; and what all text formats share."""

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from anysleep.recordings.labels.hypnogram import STANDARD_CODES, quoted
from anysleep.recordings.labels.scoring import Scoring, scoring_of_list
from anysleep.recordings.reasons import BadRecording, RecordingWarning
from anysleep.stages import EPOCH_S

CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0e-\x1f]")
LARGEST_BYTES = 2**27
"""A label takes less than 100 bytes, a night has a few ten thousand at most, events included."""
SEPARATORS = re.compile(r"[,;\t]")
STAGE_COLUMNS = {"stage", "stages", "sleep stage", "sleep_stage", "label", "labels", "hypnogram", "description"}
"""Names, in any case, that make the first line a header."""


def read_text(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """One label a line, each for `epoch_s`, the first at second 0.

    Of several columns (comma, semicolon or tab between) the label is in the first, or in the one that the header calls
    'stage' or another of `STAGE_COLUMNS`. Line 1 is a header only where it has such a name and no label of `codes`.
    Empty lines at the end do not count. BadRecording where a line has no label.
    """
    lines = read_lines(path)
    separator = SEPARATORS.search(lines[0])
    rows = [line.split(separator[0]) for line in lines] if separator else [[line] for line in lines]
    header = [_clean(cell).lower() for cell in rows[0]]
    named = [i for i, name in enumerate(header) if name in STAGE_COLUMNS]
    has_header = bool(named) and not {label.strip().lower() for label in codes} & set(header)
    if has_header and len(named) > 1:
        raise bad_labels(
            path, f"{len(named)} columns could hold the stages ({quoted(header[i] for i in named)}); leave one"
        )
    column, first = (named[0], 1) if has_header else (0, 0)
    labels = [_clean(row[column]) if column < len(row) else "" for row in rows[first:]]
    if "" in labels:
        raise bad_labels(path, f"line {labels.index('') + first + 1} has no label; mark unscored epochs with one")
    if not labels:
        raise bad_labels(path, "there is no label below the header")
    return scoring_of_list(labels, epoch_s)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without empty ones at the end. BadRecording where it is missing, empty or no text."""
    raw = read_bytes(path)
    if CONTROL_CHARACTERS.search(raw):
        raise bad_labels(path, "this is not a text file in UTF-8, but binary or UTF-16")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        warnings.warn(f"{path.name} is not in UTF-8; it is read as Latin-1", RecordingWarning, stacklevel=3)
        text = raw.decode("latin-1")
    lines = re.split(r"\r*\n|\r", text.rstrip())  # some programs end lines with \r\r\n
    if lines == [""]:
        raise bad_labels(path, "the file is empty")
    return lines


def read_bytes(path: Path) -> bytes:
    """The file. BadRecording where there is none, or it is larger than any list of labels."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise bad_labels(
                path, f"{path.stat().st_size / 2**20:.0f} MiB are no labels of one night; is it the signals?"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise bad_labels(path, "there is no such file") from error


def seconds(text: str) -> float:
    """A finite number. ValueError for anything else."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no time in s")
    return number


def bad_labels(path: Path, message: str) -> BadRecording:
    """The error for a label file that cannot be read."""
    return BadRecording("label_file", f"{path.name}: {message}")


def _clean(cell: str) -> str:
    return cell.strip(' "')

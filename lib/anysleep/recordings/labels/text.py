"""What all label files share that are text."""

import codecs
import math
import re
from contextlib import suppress
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from anysleep.recordings.reasons import BadRecording, note

CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0e-\x1f]")
LARGEST_BYTES = 2**27
"""A label takes less than 100 bytes, a night has a few ten thousand at most, events included."""


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without empty ones at the end. BadRecording where it is missing, empty or no text."""
    text = _decoded(path, read_bytes(path))
    lines = re.split(r"\r*\n|\r", text.rstrip())  # some programs end lines with \r\r\n
    if lines == [""]:
        raise bad_labels(path, "the file is empty")
    return lines


def _decoded(path: Path, raw: bytes) -> str:
    """The text; a warning where it is in another encoding than UTF-8."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "UTF-16"
    elif CONTROL_CHARACTERS.search(raw):
        raise bad_labels(path, "this is not a text file in UTF-8, but binary or UTF-16 that does not say so")
    else:
        with suppress(UnicodeDecodeError):
            return raw.decode("utf-8-sig")
        encoding = "Latin-1"
    note(f"{path.name} is not in UTF-8; it is read as {encoding}")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise bad_labels(path, f"this is no whole text in {encoding}") from None


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


def read_xml(path: Path) -> Element:
    """The root of an XML file. BadRecording where it is not whole, or defines entities."""
    try:
        return fromstring("\n".join(read_lines(path)))
    except (ParseError, ValueError, LookupError) as error:  # entities, or an encoding that is not known
        raise bad_labels(path, f"this is no whole XML file: {error}") from error


def seconds(text: str) -> float:
    """A finite number. ValueError for anything else."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no time in s")
    return number


def bad_labels(path: Path, message: str) -> BadRecording:
    """The error for a label file that cannot be read."""
    return BadRecording("label_file", f"{path.name}: {message}")

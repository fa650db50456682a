"""Why a recording cannot be used: one short code for tables, one sentence for people. And what is to be noted of it."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

REASONS = {
    "not_found": "there is no such file",
    "unreadable": "the system could not open or read the file",
    "format": "no reader knows the format",
    "damaged": "the file is not a whole file of its format",
    "truncated": "the data end before the header says they do",
    "record_count": "the file holds more data than its header says",
    "time_base": "the times or rates in the file contradict each other",
    "cut_out": "time was cut out of the recording and its length is not known",
    "channels": "no wanted channel can be used",
    "too_short": "there is less than one whole epoch",
    "too_long": "the recording lasts longer than any recording does",
    "label_file": "the label file is missing, ambiguous or damaged",
    "label_code": "a label is not in the recipe's codes",
    "label_time": "labels overlap, or lie outside the recording",
    "lights": "lights off or on lie outside the recording, contradict each other, or cannot be placed",
    "label_length": "labels and signals differ in length and no rule is stated",
    "person": "who the person is cannot be told",
    "name": "the recording has no usable name",
    "duplicate": "another file would become the same recording",
    "participants": "the participants table does not fit",
    "memory": "the machine ran out of memory",
    "crashed": "the process that read the file died",
    "timeout": "reading took longer than a file of this size can need",
}
"""Code -> what it means; the message beside it in a table gives the details."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What is no text: it would break a table or a file."""


class NothingToMeasure(ValueError):
    """What a run is about is not there: its data sets, labelled nights, or anybody's age."""


ORDINARY = re.compile(r"[a-z]+|.{1,4}")
"""A stem that a message may hold by chance ('night', '30', 'N2')."""


def without_names(error: BaseException | str, *files: Path | None, longest: int = 399) -> str:
    """What an error or a warning says in one line of at most `longest` characters, without the names of these files.

    Names and paths could tell who the patient is. What goes are paths, names with a suffix, folders with a slash, and
    the stem alone; but one that is an ordinary word only in quotes, and one below five characters not at all.
    """
    text = str(getattr(error, "strerror", None) or error)  # an error of the system says the path once more
    if not text and isinstance(error, BaseException):  # some say nothing, as a MemoryError
        text = REASONS[reason_of(error)]
    for file in filter(None, files):
        # Neither behind nor before a letter or digit: part of another word is no name. An underscore is a border here.
        text = re.sub(rf"(?<![^\W_])(?:{_names_of(file)})(?![^\W_])", "...", text.replace(f"{file}: ", ""))
    return shorten(CONTROL.sub(" ", text), longest, placeholder=" ...")


def _names_of(file: Path) -> str:
    """Expression for all that names a file, the longest first."""
    stem = re.escape(file.stem)
    names = [re.escape(str(path)) for path in (file, file.parent) if len(path.parts) > 1]
    names.append(rf"{stem}(?:\.[A-Za-z]\w*)+")  # those of companions too
    names += [rf"{re.escape(folder)}(?=[/\\])" for folder in file.parent.parts if len(folder) > 1]
    if not ORDINARY.fullmatch(file.stem):
        names.append(stem)
    elif len(file.stem) > 4:
        names.append(rf"(?<=['\"]){stem}(?=['\"])")
    return "|".join(names)


class BadRecording(ValueError):
    """A recording that cannot be used as it is. The message says what is wrong and what would help."""

    def __init__(self, code: str, message: str):
        if code not in REASONS:
            raise KeyError(f"no reason {code!r}")
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple:
        return type(self), (self.code, str(self))  # so that it comes back whole from another process


class RecordingWarning(UserWarning):
    """What is not plain about the recording that is read. The message says it, without the names of other files."""


def note(text: str) -> None:
    """Say what is not plain about the recording that is read: a `RecordingWarning`."""
    warnings.warn(text, RecordingWarning, stacklevel=3)


@contextmanager
def noted() -> Iterator[list[str]]:
    """Collect what `RecordingWarning` says within, each text once; every other warning goes where warnings go.

    The others are no note on the recording: they come from anywhere in the process, and may name another's file.
    """
    notes: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note_or_show(message: Warning | str, category: type[Warning], *where: object) -> None:
            if not issubclass(category, RecordingWarning):
                show(message, category, *where)
            elif str(message) not in notes:
                notes.append(str(message))

        warnings.simplefilter("always", RecordingWarning)
        warnings.showwarning = note_or_show  # type: ignore[assignment]
        yield notes


def reason_of(error: BaseException) -> str:
    """The code for any error that reading a recording may raise."""
    if isinstance(error, BadRecording):
        return error.code
    if isinstance(error, FileNotFoundError):
        return "not_found"
    if isinstance(error, MemoryError):
        return "memory"
    return "unreadable" if isinstance(error, OSError) else "damaged"

"""Label files that are tables: of other scoring programs, of Excel, our own, and the plain list of one label a line.

A recipe tells the columns by name, or by number where there is no header. Delimiter and encoding are found out.
`*_events.tsv` of the Brain Imaging Data Structure (BIDS) has rules of its own.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from anysleep.recordings.labels.hypnogram import STANDARD_CODES, quoted, standard_stage
from anysleep.recordings.labels.scoring import DAY_S, NO_CLOCK, Scoring, scoring_of_annotations, scoring_of_list
from anysleep.recordings.labels.text import bad_labels, read_lines, seconds
from anysleep.recordings.reasons import BadRecording, note
from anysleep.recordings.recording import annotation_table
from anysleep.recordings.tables import spelt, table_rows
from anysleep.stages import EPOCH_S, UNSCORED

Role = Literal["stage", "event", "clock", "onset_s", "epoch", "duration_s", "end_s"]
"""What a column holds. `stage`: nothing but stages. `event`: stages that the codes or standard names know, and events.
When it begins is the time of day (`clock`), the second of the recording (`onset_s`), or the number of the `epoch`;
without any of them each row follows the one before."""
Columns = Mapping[Role, str | int]
"""Name of the column, whatever its case and blanks, or its number, counted from 1, where there is no header."""
WHAT, WHEN = ("stage", "event"), ("clock", "onset_s", "epoch")

DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
STAGE_COLUMNS = ("stage", "stages", "sleepstage", "sleep_stage", "label", "labels", "hypnogram", "description")
ONSET_COLUMNS, DURATION_COLUMNS = ("onset_s", "onset"), ("duration_s", "duration")
"""Names, in any case and without blanks, that need no recipe."""
EVENT_TABLES: tuple[dict[Role, str], ...] = (
    {"event": "annotation", "onset_s": "onset", "duration_s": "duration"},
    {"event": "annotation", "onset_s": "recordingonset", "duration_s": "duration"},
    {"event": "class", "onset_s": "start", "end_s": "stop"},
)
"""The columns of EDFbrowser, Polyman and Luna, which need no recipe either."""
CLOCK = re.compile(r"(?<![\d+])(\d{1,2})[:.](\d\d)[:.](\d\d)(?:[.,](\d+))?$")
"""Time of day at the end of a cell, after a date or not: 23:05:00.250, 23.05.00; not +00:05:00 since the start."""
HALVES = re.compile(r"(?<![a-z])[ap]\.?\s?m\b\.?|[上下]午|午[前後]|오[전후]", re.IGNORECASE)
AFTERNOON = ("p", "下午", "午後", "오후")
"""Which half of the day, before or behind the clock: 11:05:00 PM, 11:05:00 p. m., and as Chinese, Japanese and Korean
systems put it."""
TOLERANCE_S = 0.5

Line = tuple[int, list[str]]
"""Number of a line, counted from 1, and its cells."""
BIDS_STAGE = "stage"
"""Whatever stands here, or in the column that the recipe names, is a stage; elsewhere only what `codes` names."""
BIDS_EVENTS = ("trial_type", "description")
"""What else the event is: the first of these that a row does not leave empty."""
BIDS_EMPTY = ("n/a", "N/A", "")


def read_scoring_table(
    path: Path,
    codes: Mapping[str, int] = STANDARD_CODES,
    epoch_s: float = EPOCH_S,
    columns: Columns | None = None,
    skip_to: str = "",
) -> Scoring:
    """The rows of a text file, .xlsx or .parquet: a stage each, or a stage or an event.

    `codes` says which labels are stages in a column of events, `epoch_s` how long a stage lasts, and an epoch with a
    number, where no column tells it. Without `columns` a table is one of `EVENT_TABLES`, or read as our own: a label a
    row, in the first column, or in the one that line 1 calls 'stage' or another of `STAGE_COLUMNS`; from the onset and
    for the duration where line 1 names these too. `skip_to` is with what the header begins, of columns with numbers the
    line before the first row; by default the first line with all names, or none.

    BadRecording where a column is not there, a cell cannot be read, or the rows lie as far apart as no epoch: the
    message names the line. A clock that cannot be read is such a cell: nothing is set to the first sample instead.
    """
    lines, number = _lines(path), None
    if columns:
        number, columns, delimiter = _header(path, lines, columns, skip_to)
        between = {"": "one column", " ": "blanks between the columns"}.get(
            delimiter
        ) or f"{DELIMITERS[delimiter]} between"
        note(f"scoring: rows from line {number + 1} on, {between}")
    else:
        number, columns, delimiter = _own_header(path, lines, codes)
    # An empty line of a table is none of its rows; in a plain list it is a label that is missing, refused below.
    rows = [row for row in _rows(lines[number:], number + 1, delimiter) if columns.keys() == {"stage"} or any(row[1])]
    if not rows:
        raise bad_labels(path, f"there is no label {'below the header' if number else 'in the file'}")
    cells = {role: _cells(path, rows, place, role) for role, place in columns.items()}
    return _scoring(path, cells, [number for number, _ in rows], codes, epoch_s)


def _lines(path: Path) -> list[str]:
    """The lines of a text; the rows of another table with tabs between the cells."""
    if path.suffix.lower() not in (".xlsx", ".parquet"):
        return read_lines(path)
    try:
        # A cell may hold tabs and line breaks of its own.
        return ["\t".join(re.sub(r"\s+", " ", cell) for cell in cells) for cells in table_rows(path)] or [""]
    except ValueError as error:
        raise BadRecording("label_file", str(error)) from error


def _header(path: Path, lines: list[str], columns: Columns, skip_to: str) -> tuple[int, dict[Role, int], str]:
    """How many lines stand before the first row, the places of the columns, and the delimiter."""
    names = {role: name for role, name in columns.items() if isinstance(name, str)}
    skipped = [i for i, line in enumerate(lines) if line.strip().lower().startswith(skip_to.strip().lower())]
    if skip_to and not skipped:
        raise bad_labels(path, f"no line begins with {skip_to!r} (`skip_to`)")
    if not names:
        first = skipped[0] + 1 if skip_to else 0
        rows = [line for line in lines[first:] if line.strip()] or [""]
        delimiter = _delimiter(rows[0]) or ("" if len(columns) == 1 else " ")
        return first, {role: int(place) - 1 for role, place in columns.items()}, delimiter
    for i in skipped:
        delimiter = _delimiter(lines[i])
        header = [spelt(cell) for cell in _split(lines[i], delimiter)]
        if all(header.count(spelt(name)) == 1 for name in names.values()):
            places = {role: header.index(spelt(name)) for role, name in names.items()}
            return i + 1, places | {role: int(n) - 1 for role, n in columns.items() if role not in names}, delimiter
    where = "the line of `skip_to`" if skip_to else "any line"
    raise bad_labels(path, f"the columns {', '.join(map(repr, names.values()))} do not stand, each once, in {where}")


def _own_header(path: Path, lines: list[str], codes: Mapping[str, int]) -> tuple[int, dict[Role, int], str]:
    """The same where nobody tells the columns; line 1 is a header only where it names stages, and no code.

    Without onsets each stage is an epoch, whatever other columns say, and that is said.
    """
    delimiter = _delimiter(lines[0])
    cells = _split(lines[0], delimiter)
    header = [spelt(cell) for cell in cells]
    named = [i for i, name in enumerate(header) if name in STAGE_COLUMNS]
    for columns in () if named else EVENT_TABLES:
        if all(header.count(name) == 1 for name in columns.values()):
            return 1, {role: header.index(name) for role, name in columns.items()}, delimiter
    if {label.strip().lower() for label in codes} & {cell.lower() for cell in cells}:
        named = []
    if len(named) > 1:
        several = quoted(cells[i] for i in named)
        raise bad_labels(path, f"{len(named)} columns could hold the stages ({several}); leave one")
    stage = named[0] if named else 0
    times: dict[Role, tuple[str, ...]] = {"onset_s": ONSET_COLUMNS, "duration_s": DURATION_COLUMNS}
    found = {role: header.index(name) for role, names in times.items() for name in names if name in header}
    if named and "onset_s" in found:
        return 1, {"stage": stage, **found}, delimiter
    if len(cells) > 1:
        note(f"{path.name}: of {len(cells)} columns only column {stage + 1} is read, an epoch a line")
    return len(named), {"stage": stage}, delimiter


def _delimiter(line: str) -> str:
    """The first of `DELIMITERS` that stands in the line; empty for none."""
    return next((sign for sign in DELIMITERS if sign in line), "")


def _split(line: str, delimiter: str) -> list[str]:
    if not delimiter:
        return [_clean(line)]
    if delimiter == " ":
        return line.split()
    return [_clean(cell) for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def _clean(cell: str) -> str:
    return cell.strip(' "')


def _rows(lines: Sequence[str], first: int, delimiter: str) -> Iterator[Line]:
    return ((number, _split(line, delimiter)) for number, line in enumerate(lines, start=first))


def _cells(path: Path, rows: list[Line], place: int, role: Role) -> list[str]:
    """The column. BadRecording where a row is too short, or has no label."""
    cells = [row[place] if place < len(row) else "" for _, row in rows]
    if role != "event" and role != "duration_s" and "" in cells:
        number = rows[cells.index("")][0]
        what = "label; mark unscored epochs with one" if role == "stage" else f"{role}, which is column {place + 1}"
        raise bad_labels(path, f"line {number} has no {what}")
    return cells


def _scoring(
    path: Path, cells: dict[Role, list[str]], numbers: list[int], codes: Mapping[str, int], epoch_s: float
) -> Scoring:
    """What the columns say together."""
    texts = cells["stage"] if "stage" in cells else cells["event"]
    if not set(WHEN) & set(cells):
        return scoring_of_list(texts, epoch_s)
    start_time, onsets_s = _onsets_s(path, cells, numbers, epoch_s)
    durations_s = _durations_s(path, cells, numbers, onsets_s)
    table = annotation_table([row for row in zip(onsets_s, durations_s, texts, strict=True) if row[2]])
    scoring = Scoring(table) if "stage" in cells else scoring_of_annotations(table, codes)
    stages = scoring.stages
    if not {"duration_s", "end_s"} & set(cells):
        if "epoch" not in cells:
            _refuse_other_epochs(path, stages, epoch_s)
        stages = stages.assign(duration_s=epoch_s)
    numbered = epoch_s if "epoch" in cells else None
    return replace(scoring, stages=stages, start_time=start_time, epoch_s=numbered)


def _onsets_s(
    path: Path, cells: dict[Role, list[str]], numbers: list[int], epoch_s: float
) -> tuple[datetime | None, np.ndarray]:
    """The clock time of second 0, None where that is the first sample; and when each row begins, in s after it."""
    if "clock" in cells:
        clocks_s = _numbers(path, cells["clock"], numbers, _clock_s, "time of day such as 23:05:00")
        clocks_s = np.unwrap(clocks_s, period=DAY_S)  # midnight
        # By now no step is over 12 h: from 12:59 to 1:00 it is 11:59 h back, midnight one forward.
        back = np.flatnonzero(np.diff(clocks_s) < -11 * 3600)
        if back.size:
            where = f"between line {numbers[back[0]]} and {numbers[back[0] + 1]}"
            raise bad_labels(path, f"{where} the clock goes back by hours; is it of 12 hours, without am and pm?")
        start = NO_CLOCK + timedelta(seconds=clocks_s[0] or DAY_S)  # midnight is a clock, too
        return start, clocks_s - clocks_s[0]
    if "onset_s" in cells:
        return None, _numbers(path, cells["onset_s"], numbers, _seconds, "onset in s")
    epochs = _numbers(path, cells["epoch"], numbers, _whole, "number of an epoch")
    # Programs count from 1; one that has an epoch 0 counts from there.
    return None, (epochs - (0 if epochs.min() == 0 else 1)) * epoch_s


def _durations_s(path: Path, cells: dict[Role, list[str]], numbers: list[int], onsets_s: np.ndarray) -> np.ndarray:
    """How long each row lasts; NaN where it does not say."""
    if "end_s" in cells:
        return _numbers(path, cells["end_s"], numbers, _seconds, "end in s") - onsets_s
    texts = cells.get("duration_s", [""] * len(numbers))
    return _numbers(path, texts, numbers, lambda text: _seconds(text) if text else np.nan, "duration in s")


def _numbers(path: Path, texts: list[str], numbers: list[int], parse, what: str) -> np.ndarray:
    """float64 (n,). BadRecording names the line of a cell that cannot be read."""
    values = np.empty(len(texts))
    for i, text in enumerate(texts):
        try:
            values[i] = parse(text)
        except ValueError:
            raise bad_labels(path, f"line {numbers[i]}: {quoted([text])} is no {what}") from None
    return values


def _clock_s(text: str) -> float:
    """Seconds since midnight."""
    half = HALVES.search(text)
    found = CLOCK.search(HALVES.sub(" ", text).strip())
    if not found:
        raise ValueError(text)
    hour, minute, second = (int(found[i]) for i in (1, 2, 3))
    if half:
        # 12 am is 0, 12 pm is 12; an hour that such a clock has not becomes 24, which is refused below.
        hour = hour % 12 + 12 * half[0].lower().startswith(AFTERNOON) if 1 <= hour <= 12 else 24
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(text)
    return hour * 3600 + minute * 60 + second + float(f"0.{found[4] or 0}")


def _seconds(text: str) -> float:
    return seconds(text.replace(",", "."))


def _whole(text: str) -> float:
    number = seconds(text)
    if number < 0 or number != int(number):
        raise ValueError(text)
    return number


def _refuse_other_epochs(path: Path, stages: pd.DataFrame, epoch_s: float) -> None:
    """BadRecording where stages without a duration lie as far apart as no epoch."""
    apart_s = stages.onset_s.diff().median()
    if abs(apart_s - epoch_s) > TOLERANCE_S:  # NaN for a single one
        apart = f"the stages lie {apart_s:g} s apart, and epoch_s is {epoch_s:g}"
        raise bad_labels(path, f"{apart}: say epoch_s, or which column is duration_s")


def read_bids(
    path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S, column: str = BIDS_STAGE
) -> Scoring:
    """The rows of BIDS events that `codes` names, or that fill the `column` of stages, as stages; others as events.

    A duration 'n/a' lasts until the next stage; a row without onset or text is left out. `epoch_s` is not used: the
    file has onsets. BadRecording where a column is missing, a time is no number, or no row is a stage.
    """
    cells = _bids_cells(path, column)
    # Of every row the first of these columns that is not empty.
    text = reduce(pd.Series.fillna, [cells[name] for name in dict.fromkeys((column, *BIDS_EVENTS)) if name in cells])
    onset_s, duration_s = (_bids_seconds(path, cells[name]) for name in ("onset", "duration"))
    table = pd.DataFrame({"onset_s": onset_s, "duration_s": duration_s, "description": text})
    table = table.dropna(subset=["onset_s", "description"]).sort_values("onset_s", ignore_index=True, kind="stable")
    labels = cells[column].dropna().unique() if column in cells and column not in BIDS_EVENTS else ()
    stage_of = {label: standard_stage(label) for label in labels}
    in_stage_column = {label: UNSCORED if stage is None else stage for label, stage in stage_of.items()}
    scoring = scoring_of_annotations(table, codes=in_stage_column | dict(codes))
    if scoring.stages.empty:
        kinds = quoted(table.description) or "empty"
        raise BadRecording("label_code", f"{path.name}: no row is a stage; rows are {kinds}, codes {', '.join(codes)}")
    return scoring


def _bids_cells(path: Path, column: str) -> pd.DataFrame:
    """All cells as text, NaN where one is empty or 'n/a'."""
    lines = read_lines(path)
    header = lines[0].split("\t")
    either = (column,) if column != BIDS_STAGE else (BIDS_STAGE, *BIDS_EVENTS)
    if not {"onset", "duration"} <= set(header) or not set(either) & set(header):
        needed = f"onset, duration and {' or '.join(either)}"
        raise bad_labels(path, f"the columns are {quoted(header)}; needed are {needed}, with tabs between")
    if len(lines) == 1:
        raise bad_labels(path, "there is no row below the header")
    for number, line in enumerate(lines, start=1):  # pandas fills short lines, and takes long ones for an index
        n_columns = line.count("\t") + 1
        if n_columns != len(header):
            raise bad_labels(path, f"line {number} has {n_columns} columns, the header {len(header)}")
    cells = pd.read_csv(io.StringIO("\n".join(lines)), sep="\t", dtype=str, na_filter=False, quoting=csv.QUOTE_NONE)
    cells = cells.apply(lambda column: column.str.strip())
    return cells.mask(cells.isin(BIDS_EMPTY))


def _bids_seconds(path: Path, cells: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce").astype(float)
    wrong = cells[cells.notna() & ~np.isfinite(numbers)]
    if len(wrong):
        raise bad_labels(path, f"{quoted(wrong[:1])} is no {cells.name}; expected seconds or n/a")
    if cells.name == "duration" and (numbers < 0).any():
        raise bad_labels(path, "a duration is below 0; expected seconds or n/a")
    return numbers

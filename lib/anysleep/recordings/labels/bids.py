"""`*_events.tsv` of the Brain Imaging Data Structure (BIDS): tab-separated onset, duration and what it is."""

import csv
import io
from collections.abc import Mapping
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.recordings.labels.hypnogram import STANDARD_CODES, quoted, standard_stage
from anysleep.recordings.labels.scoring import Scoring, scoring_of_annotations
from anysleep.recordings.labels.text import bad_labels, read_lines
from anysleep.recordings.reasons import BadRecording
from anysleep.stages import EPOCH_S, UNSCORED

STAGE_COLUMN = "stage"
"""Whatever stands here, or in the column that the recipe names, is a stage; elsewhere only what `codes` names."""
EVENT_COLUMNS = ("trial_type", "description")
"""What else the event is: the first of these that a row does not leave empty."""
EMPTY = ("n/a", "N/A", "")


def read_bids(
    path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S, column: str = STAGE_COLUMN
) -> Scoring:
    """The rows that `codes` names, or that fill the `column` of stages, as stages; all others as events.

    A duration 'n/a' lasts until the next stage; a row without onset or text is left out. `epoch_s` is not used: the
    file has onsets. BadRecording where a column is missing, a time is no number, or no row is a stage.
    """
    cells = _read_cells(path, column)
    # Of every row the first of these columns that is not empty.
    text = reduce(pd.Series.fillna, [cells[name] for name in dict.fromkeys((column, *EVENT_COLUMNS)) if name in cells])
    onset_s, duration_s = (_seconds(path, cells[name]) for name in ("onset", "duration"))
    table = pd.DataFrame({"onset_s": onset_s, "duration_s": duration_s, "description": text})
    table = table.dropna(subset=["onset_s", "description"]).sort_values("onset_s", ignore_index=True, kind="stable")
    labels = cells[column].dropna().unique() if column in cells and column not in EVENT_COLUMNS else ()
    stage_of = {label: standard_stage(label) for label in labels}
    in_stage_column = {label: UNSCORED if stage is None else stage for label, stage in stage_of.items()}
    scoring = scoring_of_annotations(table, codes=in_stage_column | dict(codes))
    if scoring.stages.empty:
        kinds = quoted(table.description) or "empty"
        raise BadRecording("label_code", f"{path.name}: no row is a stage; rows are {kinds}, codes {', '.join(codes)}")
    return scoring


def _read_cells(path: Path, column: str) -> pd.DataFrame:
    """All cells as text, NaN where one is empty or 'n/a'."""
    lines = read_lines(path)
    header = lines[0].split("\t")
    either = (column,) if column != STAGE_COLUMN else (STAGE_COLUMN, *EVENT_COLUMNS)
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
    return cells.mask(cells.isin(EMPTY))


def _seconds(path: Path, cells: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce").astype(float)
    wrong = cells[cells.notna() & ~np.isfinite(numbers)]
    if len(wrong):
        raise bad_labels(path, f"{quoted(wrong[:1])} is no {cells.name}; expected seconds or n/a")
    if cells.name == "duration" and (numbers < 0).any():
        raise bad_labels(path, "a duration is below 0; expected seconds or n/a")
    return numbers

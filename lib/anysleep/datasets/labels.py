"""What a recipe says of labels, and how label files are read by it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from anysleep.recordings.labels import (
    LABEL_READERS,
    STANDARD_CODES,
    LengthRule,
    Scoring,
    StartRule,
    UnknownRule,
    read_scoring,
    with_scoring,
)
from anysleep.recordings.labels.scoring import without_unread
from anysleep.recordings.labels.table import WHAT, WHEN, Role
from anysleep.recordings.readers import Files, read_recording, read_signals
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import LONGEST_S, Recording, annotation_table
from anysleep.settings import Positive, Strict
from anysleep.stages import STAGES, UNSCORED

StageName = Literal["Wake", "N1", "N2", "N3", "REM", "unscored"]
OWN_LABELS = "own"


class Labels(Strict):
    """Where the stages of a night stand, and what they are called."""

    reader: str = Field(description=f"'{OWN_LABELS}' for the recording's own file, or a label reader.")
    file: str = Field(default="", description="Pattern of the label file, with {stem}, {folder} and groups of `name`.")
    codes: dict[str, StageName] = Field(default={}, description="Label -> stage; standard names are known besides.")
    column: str = Field(default="", description="Column of a BIDS table that holds the stages; empty for 'stage'.")
    columns: dict[Role, str | Positive] = Field(default={}, description="Of a table: what -> name or number of column.")
    skip_to: str = Field(default="", description="Of a table: with what its header begins; empty to look for it.")
    epoch_s: float = Field(
        default=30.0, description="Seconds a label stands for, where the file does not say.", gt=0, le=3600
    )
    offset_s: float = Field(
        default=0.0, description="Second of the recording at which the labels begin.", ge=-LONGEST_S, le=LONGEST_S
    )
    length: LengthRule = Field(default="equal", description="The rule where labels and signals differ in length.")
    start: StartRule = Field(default="by_clock", description="Where labels with a clock of their own begin.")
    unknown: UnknownRule = Field(default="refuse", description="The rule for labels that nobody knows.")

    @cached_property
    def stage_of(self) -> dict[str, int]:
        """Label -> stage code."""
        numbers = dict(zip(STAGES, range(len(STAGES)), strict=True)) | {"unscored": UNSCORED}
        return {label: numbers[name] for label, name in self.codes.items()} or dict(STANDARD_CODES)

    def model_post_init(self, _: object) -> None:
        """ValueError where the reader is unknown or lacks its file."""
        known = (OWN_LABELS, *LABEL_READERS)
        if self.reader not in known:
            raise ValueError(f"no label reader {self.reader!r}; there are {', '.join(known)}")
        if (self.reader == OWN_LABELS) != (self.file == ""):
            raise ValueError(f"labels.file belongs to every reader but '{OWN_LABELS}'")
        if self.column and self.reader != "bids":
            raise ValueError("labels.column belongs to the reader 'bids' alone")
        self._check_columns()

    def _check_columns(self) -> None:
        """ValueError where the columns of a table do not say what begins when."""
        if not self.columns and not self.skip_to:
            return
        if self.reader != "table":
            raise ValueError("labels.columns and skip_to belong to the reader 'table' alone")
        if len(set(WHAT) & set(self.columns)) != 1 or len(set(WHEN) & set(self.columns)) > 1:
            raise ValueError(f"labels.columns needs one of {', '.join(WHAT)}, and at most one of {', '.join(WHEN)}")
        if {"duration_s", "end_s"} <= set(self.columns):
            raise ValueError("labels.columns names both duration_s and end_s; leave one")

    @property
    def rules(self) -> dict[str, object]:
        """How the labels come onto the time base of a night, see `with_scoring`."""
        return {name: getattr(self, name) for name in ("offset_s", "length", "unknown", "start")} | {
            "codes": self.stage_of
        }

    @property
    def options(self) -> dict[str, object]:
        """What the label reader is called with, beside the path."""
        more = {"column": self.column, "columns": self.columns, "skip_to": self.skip_to}
        return {"codes": self.stage_of, "epoch_s": self.epoch_s} | {
            name: value for name, value in more.items() if value
        }


def read_labels(file: Path, labels: Labels) -> Scoring:
    """What a label file says. BadRecording where it is damaged, or nothing in it is a stage."""
    return read_scoring(file, "edf" if labels.reader == OWN_LABELS else labels.reader, **labels.options)


def read_labelled(files: Files, file: Path | None, words: Mapping[str, object]) -> Recording:
    """A night with the stages of a file of its own, where there is one, which alone is read strictly.

    `words` say how to read it, as `labels` of a recipe do; without any its name or content tells. ParameterError where
    they are none of a recipe, else errors as of `read_recording`.
    """
    if not (file and words):
        try:
            return read_recording(files, hypnogram_path=file, labels="strict" if file else "lenient")
        except BadRecording as error:
            if file is None or not error.code.startswith("label"):
                raise
            hint = "labels_as says how to read another program's export, see docs/own_recordings.md (Labels)"
            raise BadRecording(error.code, f"{error}; {hint}") from None
    labels = Labels(file=str(file), **words)
    scoring = read_labels(file, labels)
    night, _ = without_unread(read_signals(files), replace(scoring, unread=()))
    return with_scoring(night, scoring, **labels.rules)


def other_hypnogram(night: Recording, file: Path, labels: Labels) -> np.ndarray:
    """int8 (E,): the stages of one more scorer on the time base of a labelled night. Errors as of `with_scoring`."""
    bare = replace(night, hypnogram=None, annotations=annotation_table([]), scorers={})
    cut = {"length": "equal"} if labels.length == "lights" else {}  # `labels` has cut the night so
    stages = with_scoring(bare, read_labels(file, labels), **labels.rules | cut).hypnogram
    return np.pad(stages, (0, night.n_epochs - len(stages)), constant_values=UNSCORED)

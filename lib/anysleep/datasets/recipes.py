"""Recipes: how the files of a data set are found, named, read and labelled. One YAML each, in params/datasets/."""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import translate
from functools import cached_property
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import pandas as pd
from pydantic import AfterValidator, Field

from anysleep.datasets.labels import OWN_LABELS, Labels
from anysleep.recordings.labels.edf import scorings_among
from anysleep.recordings.reasons import CONTROL, BadRecording
from anysleep.recordings.tables import numeric_ages, read_table, refuse_near_misses, rename_columns
from anysleep.settings import ParameterError, Strict, merge_parameters
from anysleep.system.limits import check_pattern, patience_with

PersonColumn = Literal["key", "subject", "age", "sex", "group", "lights_off", "lights_on"]
TOP = "./"
"""What `{folder}` stands for where a recording lies in the folder itself."""
RESERVED_SCORERS = ("labels", "consensus")
CONTENT_HASH = "hash"
"""The name in a template that stands for eight hexadecimal digits of the file's SHA-256."""

LONGEST_NAME = 100
"""Bytes of an id, so that it fits into the name of a file."""
FORBIDDEN = re.compile(r'[/\\#&<>:"|?*]')
"""Separators of paths and of published names, and what Windows forbids in the name of a file: no id may hold them."""
RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9]) *(\..*)?", re.IGNORECASE)
"""Windows keeps these for devices, whatever follows a dot."""
PLACEHOLDER = re.compile(r"[*?[]")
"""What makes a name a pattern."""


Pattern = Annotated[str, AfterValidator(check_pattern)]


class Channels(Strict):
    """Stored name -> what the file calls it, or the difference of two (`C3 - M2`); of several, the first there is.

    Of names only letters and digits count, whatever their case, where exactly one channel has them: `EEG(sec)` is also
    `EEG sec`, and `E1-M2` `E-1/m2`.
    """

    eeg: dict[str, str | list[str]] = Field(description="EEG channels to store, in this order.")
    eog: dict[str, str | list[str]] = Field(default={}, description="EOG channels to store, in this order.")

    def sources(self, present: Sequence[str]) -> dict[str, str]:
        """Stored name -> the expression in the spelling of these channels; the first as it is where none is there."""
        options = {name: [o] if isinstance(o, str) else o for name, o in (self.eeg | self.eog).items()}
        return {
            # `_respelt` gives None for what this recording has not.
            name: next(filter(None, (_respelt(o, present) for o in several)), several[0])
            for name, several in options.items()
        }


class Participants(Strict):
    """The table of persons."""

    file: str = Field(description="Pattern of the table: .csv, .tsv or .xlsx.")
    required: bool = Field(default=True, description="False: a data set without the table is prepared all the same.")
    key: Literal["subject", "recording"] = Field(default="subject", description="What a row belongs to.")
    columns: dict[PersonColumn, str] = Field(
        description="Ours -> the table's name, whatever its case and blanks; `subject` where it alone knows the person."
    )
    header_row: int = Field(default=1, description="Line of the names of the columns, counted from 1.", ge=1, le=1000)
    key_pattern: Pattern = Field(default="", description="Expression on the key; group 1 is the one here.")

    def model_post_init(self, _: object) -> None:
        """ValueError where the pattern has no group."""
        if self.key_pattern and not re.compile(self.key_pattern).groups:
            raise ValueError(f"participants.key_pattern {self.key_pattern!r} has no group in parentheses: the key here")


class Recipe(Strict):
    """One data set."""

    dataset: str = Field(description="Name of the data set in the archive.", pattern=r"^[^/#&]+$")
    source: str = Field(description="Where the recordings come from, and what these settings rest on.")
    files: list[str] = Field(description="Patterns of the recordings: of the name, or with a slash of the path.")
    name: Pattern = Field(description="Expression on the path below the folder, without suffix; its groups are names.")
    recording: str = Field(description="Id in the archive, from the groups: '{person}{night}', '{stem}' or '{hash}'.")
    subject: str = Field(description="The person (or family), from the groups; empty for unknown.")
    archive_subject: Pattern = Field(default="", description="Expression on the archive's id; group 1 is the person.")
    channels: Channels | Literal["by_name"] = Field(
        description="What to store; by_name: all whose name says EEG or EOG."
    )
    labels: Labels | None = Field(default=None, description="Where the stages stand; none for unscored recordings.")
    parts: bool = Field(default=False, description="Whether files that give the same recording are parts of one night.")
    scorers: dict[str, str | Labels] = Field(
        default={},
        description="Others who scored the nights: name -> pattern, all else as in `labels`; or as `labels`.",
    )
    trim_start: Literal["none", "mass"] = Field(default="none", description="Cut the start as a published table says.")
    minutes_around_sleep: float | None = Field(
        default=None, description="Cut to so much before and after sleep.", ge=0, le=1440
    )
    participants: Participants | None = Field(default=None, description="The table of persons.")
    split: Literal["usleep", "test_only"] = Field(default="usleep", description="The published split rule.")

    def model_post_init(self, _: object) -> None:
        """ValueError where parts of a night cannot be told by its id, or scorers not be read."""
        self._check_scorers()
        if self.parts and f"{{{CONTENT_HASH}}}" in self.recording:
            raise ValueError("parts: true needs a recording id from the groups of `name`, not from {hash}")

    def _check_scorers(self) -> None:
        for name, labels in self.scorers.items():
            like = self.labels if isinstance(labels, str) else labels
            if not _is_name(name) or name in RESERVED_SCORERS:
                raise ValueError(
                    f"scorers: {name!r} is no name, or one of {', '.join(RESERVED_SCORERS)}; choose another"
                )
            if like is None or like.reader == OWN_LABELS or not labels:
                raise ValueError(f"scorers.{name} needs a pattern and a reader of files; write both, as for labels")
            if like.length == "lights" and (self.labels is None or self.labels.length != "lights"):
                raise ValueError(f"scorers.{name}: only `labels` can cut a night to `lights`")

    @property
    def labels_of_scorers(self) -> dict[str, Labels]:
        """How the file of each scorer is read."""
        like = {name: labels for name, labels in self.scorers.items() if isinstance(labels, Labels)}
        return {
            name: like.get(name) or self.labels.model_copy(update={"file": labels})
            for name, labels in self.scorers.items()
        }

    @property
    def has_own_labels(self) -> bool:
        """Whether the stages are in the recording itself, or beside it by the naming of Sleep-EDF."""
        return self.labels is not None and self.labels.reader == OWN_LABELS


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe. ParameterError names the file, what is wrong, and what is allowed."""
    try:
        return Recipe(**merge_parameters([path], {}))
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from error


class Folder:
    """The files below a folder, listed once, whatever the case of their names.

    Links are followed, but in no circle; hidden files and folders are left out.
    """

    def __init__(self, path: Path):
        """ValueError where there is no such folder, OSError where it or one below cannot be read."""
        if not path.is_dir():
            raise ValueError(f"{path}: no such folder of recordings")
        self.path = path
        self.files = sorted(self._walk(path), key=str)
        """Paths below the folder."""

    def match(self, pattern: str) -> list[PurePosixPath]:
        """The files whose name, or path where the pattern holds a slash, matches `pattern` (*, ?, [...])."""
        whole, matches = "/" in pattern, re.compile(translate(pattern), re.IGNORECASE).match
        return [file for file in self.files if matches(str(file) if whole else file.name)]

    def named(self, name: str) -> list[PurePosixPath]:
        """The files of this name, or path where it holds a slash."""
        return self._by_name.get(name.lower(), [])

    @cached_property
    def _by_name(self) -> dict[str, list[PurePosixPath]]:
        """Name and path in small letters -> files."""
        files: dict[str, list[PurePosixPath]] = {}
        for file in self.files:
            for name in {file.name.lower(), str(file).lower()}:
                files.setdefault(name, []).append(file)
        return files

    @staticmethod
    def _walk(path: Path) -> list[PurePosixPath]:
        def refuse(error: OSError) -> None:
            where = "it" if Path(error.filename) == path else "a folder below"  # whose name could be a patient's
            raise OSError(f"{path}: {where} cannot be read ({error.strerror}); give the right to, or move it away")

        found, seen = [], set()
        for folder, subfolders, files in os.walk(path, onerror=refuse, followlinks=True):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                subfolders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))  # of two links, the first
            below = PurePosixPath(Path(folder).relative_to(path).as_posix())
            found += [below / file for file in files if not file.startswith(".")]
        return found


def find_recordings(recipe: Recipe, folder: Folder) -> list[PurePosixPath]:
    """The recordings of a data set, without scorings that belong to another. ValueError where there is none."""
    matching = {file for pattern in recipe.files for file in folder.match(pattern)}
    if recipe.has_own_labels:
        paths = {folder.path / file: file for file in matching}
        matching -= {paths[scoring] for scoring in scorings_among(paths, paths)}
    found = sorted(matching, key=str)
    if not found:
        raise ValueError(f"no file in {folder.path} matches {', '.join(recipe.files)} ({recipe.dataset})")
    return found


def nights_among(recipe: Recipe, files: Sequence[PurePosixPath]) -> list[list[PurePosixPath]]:
    """The files of each night: one, or, where the recipe knows `parts`, all with the same recording and subject."""
    nights: dict[object, list[PurePosixPath]] = {}
    for file in files:
        nights.setdefault(_night_of(recipe, file) if recipe.parts else file, []).append(file)
    return list(nights.values())


def _night_of(recipe: Recipe, file: PurePosixPath) -> object:
    """Recording and subject as the templates have them; the file itself where they cannot be filled in."""
    try:
        names = names_of(recipe, file)
        return _filled(recipe.recording, names, "recording"), _filled(recipe.subject, names, "subject")
    except BadRecording:  # `plan_nights` says why
        return file


def names_of(recipe: Recipe, file: PurePosixPath) -> dict[str, str]:
    """The groups of the recipe's `name` in a file's path, `stem`, and `folder` with a slash at its end.

    BadRecording where the path does not match.
    """
    with patience_with(recipe.name):
        match = re.search(recipe.name, str(file.with_suffix("")))
    if match is None:
        raise BadRecording("name", f"the file name does not match the recipe's name {recipe.name!r}")
    folder = "".join(f"{part}/" for part in file.parent.parts) or TOP
    return {"stem": file.stem, "folder": folder} | {group: text or "" for group, text in match.groupdict().items()}


def fill_in(template: str, names: Mapping[str, str], field: str) -> str:
    """A template with its names filled in. BadRecording where one is unknown or the result is no name."""
    text = _filled(template, names, field).removeprefix(TOP)
    if not _is_name(text):
        raise BadRecording(  # the name itself could tell who the patient is
            "name",
            f"{field} {template!r} cannot be a name in an archive here: it is empty, dots, longer than {LONGEST_NAME} "
            'bytes, kept by Windows (CON, NUL, COM1, ...), or holds one of / \\ # & < > : " | ? * or what is no text',
        )
    return text


def find_beside(pattern: str, names: Mapping[str, str], folder: Folder) -> Path | None:
    """The one file that a pattern with names means, None where there is none. BadRecording where there are several.

    Messages have the pattern as the recipe has it: filled in, it could tell who the patient is.
    """
    if PLACEHOLDER.search(pattern):
        text = _filled(pattern, {name: escape(text) for name, text in names.items()}, "the pattern")
        found = folder.match(text.removeprefix(TOP))
    else:
        text = _filled(pattern, names, "the pattern")
        found = folder.named(text.removeprefix(TOP))
    if "/" in text:  # a path means this folder, not any below
        depth = len(PurePosixPath(text.removeprefix(TOP)).parts)
        found = [file for file in found if len(file.parts) == depth]
    if len(found) > 1:
        raise BadRecording("label_file", f"{len(found)} files match {pattern!r}; which one is meant is not clear")
    if not found:
        return None
    if not (folder.path / found[0]).is_file():
        raise BadRecording("label_file", f"what matches {pattern!r} is a broken link, a pipe or a device")
    return folder.path / found[0]


def find_participants(recipe: Participants, folder: Folder) -> pd.DataFrame | None:
    """The table with columns of `PersonColumn`, as far as there are: all text but the age.

    None, with a warning, where there is no table and the recipe does not require it; a warning too where a column is
    missing. ValueError where a required table or the column of key or subject is, or a key occurs twice.
    """
    path = find_beside(recipe.file, {}, folder)
    if path is None:
        absent = f"no participants table in {folder.path} matches {recipe.file!r}"
        if recipe.required:
            raise ValueError(absent)
        warnings.warn(f"{absent}: ages and sexes are unknown", stacklevel=2)
        return None
    table = _our_columns(read_table(path, recipe.header_row), recipe.columns, path)
    if "age" in table:
        table = table.assign(age=numeric_ages(table.age, path.name))
    if recipe.key_pattern:
        table = _rows_of_keys(table, recipe.key_pattern, path)
    twice = table.key[table.key.duplicated()].unique()
    if len(twice):
        raise ValueError(f"{path.name} has several rows for {', '.join(map(str, twice[:5]))}")
    return table


def identify(recordings: pd.DataFrame, recipes: Sequence[Recipe]) -> pd.DataFrame:
    """Fill in the persons of an archive that does not tell them, as published ones do not, by `archive_subject`.

    `recordings` has columns dataset, recording, subject. Persons that are known stay. ValueError where an id does not
    match its recipe.
    """
    patterns = {recipe.dataset: recipe.archive_subject for recipe in recipes if recipe.archive_subject}
    known = recordings.subject.copy().astype(object)
    for i, row in recordings[known.isna()].iterrows():
        if row.dataset in patterns:
            with patience_with(patterns[row.dataset]):
                match = re.fullmatch(patterns[row.dataset], row.recording)
            if match is None:
                raise ValueError(f"{row.dataset}: id {row.recording!r} does not match {patterns[row.dataset]!r}")
            known[i] = match.group(1)
    return recordings.assign(subject=known)


def _our_columns(table: pd.DataFrame, columns: Mapping[str, str], path: Path) -> pd.DataFrame:
    """The columns under our names; what a person is known by must be there, the others may be missing."""
    there = ", ".join(table)
    table = rename_columns(table, columns, path.name)
    absent = [ours for ours in columns if ours not in table]
    refuse_near_misses([c for c in table if c not in columns], [columns[ours] for ours in absent], path.name)
    if absent:
        theirs = ", ".join(columns[ours] for ours in absent)
        message = f"{path.name} has no column {theirs}, only {there}"
        if "key" in absent or "subject" in absent:
            raise ValueError(message)
        warnings.warn(f"{message}: unknown for everybody: {', '.join(absent)}", stacklevel=3)
    return table[[ours for ours in columns if ours in table]]


def _rows_of_keys(table: pd.DataFrame, pattern: str, path: Path) -> pd.DataFrame:
    """A row for each key, group 1 of the pattern; what only one of its rows says holds for all.

    A warning counts rows whose key does not match, such as a legend. ValueError where two rows contradict each other.
    """
    with patience_with(pattern):
        keys = table.key.str.extract(f"^(?:{pattern})$", expand=True)[0]
    if keys.isna().any():
        warnings.warn(f"{path.name}: {keys.isna().sum()} rows do not match {pattern!r} and are left out", stacklevel=3)
    rows = table.assign(key=keys).dropna(subset="key").groupby("key", sort=False)
    differing = rows.nunique().gt(1).any(axis=1)
    if differing.any():
        raise ValueError(f"{path.name} has several rows for {', '.join(differing.index[differing][:5])} that differ")
    return rows.first().reset_index()


def _is_name(text: str) -> bool:
    if text in ("", ".", "..") or CONTROL.search(text) or FORBIDDEN.search(text) or RESERVED.fullmatch(text):
        return False
    return len(text.encode()) <= LONGEST_NAME


def _filled(template: str, names: Mapping[str, str], field: str) -> str:
    try:
        return template.format_map(names)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise BadRecording(
            "name", f"{field} {template!r} cannot be filled in ({error}); there are {', '.join(names)}"
        ) from error


def can_be_had(expression: str, present: Sequence[str]) -> bool:
    """Whether a recording with these channels has what a recipe calls `C4` or `C3 - M2`."""
    return expression in present or all(name.strip() in present for name in expression.split(" - ", 1))


def _respelt(expression: str, present: Sequence[str]) -> str | None:
    """The expression as a recording with these channels spells it; None where it cannot be had."""
    names = [expression] if expression in present else expression.split(" - ", 1)
    spelt = [_spelling(name.strip(), present) for name in names]
    return None if None in spelt else " - ".join(spelt)


def _spelling(name: str, present: Sequence[str]) -> str | None:
    """The channel of this name, or the only one with its letters and digits."""
    if name in present:
        return name
    letters = _letters(name)
    alike = [channel for channel in present if letters and _letters(channel) == letters]
    return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())  # letters of any script

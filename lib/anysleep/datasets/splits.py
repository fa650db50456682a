"""Which recordings train, validate and test: always by person, drawn within every data set.

A person is a `subject` of a data set: two data sets may use one id for different people. Where a family must stay
together, the recipe gives its members one subject. Data without subjects are refused unless `group_by="recording"` says
that every recording is a person of its own.
"""

import hashlib
import json
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from anysleep.recordings.reasons import NothingToMeasure
from anysleep.settings import GroupBy
from anysleep.system.files import atomic_write
from anysleep.system.limits import read_yaml
from anysleep.system.words import many

PARTS = ("train", "valid", "test")

Split = dict[str, dict[str, list[str]]]
"""Part -> data set -> recordings: the form of the published split file."""

MAX_VALID, MAX_TEST = 50, 100
"""At most so many persons of a data set validate and test (U-Sleep)."""


def split_by_person(
    recordings: pd.DataFrame,
    valid_share: float,
    test_share: float,
    seed: int,
    *,
    test_only: Collection[str] = (),
    group_by: GroupBy = "subject",
) -> Split:
    """Draw whole persons into test and validation within every data set; the others train.

    Neither the order of the rows of `recordings` (columns dataset, recording, subject) nor other data sets change what
    is drawn from a data set. Shares are of all persons of a data set, rounded up; 0.10 and 0.15 in U-Sleep (Perslev et
    al. 2021). Data sets in `test_only` test as a whole. `group_by` is `recording` where subjects are unknown and every
    recording is a person of its own.

    ValueError where a person is unknown, a recording occurs twice, a data set has too few persons to train, or there is
    no data set of a name in `test_only`.
    """
    if recordings.empty:
        raise ValueError("there is no recording to split; training counts only those with a hypnogram")
    people = _people(recordings, group_by)
    absent = sorted(set(test_only) - set(people.dataset))
    if absent:
        raise ValueError(f"test_only names {_few(absent)}; the data sets are {', '.join(sorted(set(people.dataset)))}")
    part_of: dict[tuple[str, str], str] = {}
    for dataset, persons in _shuffled(people, seed):
        if dataset in test_only:
            n_valid, n_test = 0, len(persons)
        else:
            n_valid = min(_n_drawn(valid_share, len(persons)), MAX_VALID)
            n_test = min(_n_drawn(test_share, len(persons)), MAX_TEST)
            _check_rest(dataset, len(persons), n_valid, n_test)
        part_of |= _dealt(dataset, persons, n_valid, n_test)
    return _split_of(people, part_of)


def split_k_folds(
    recordings: pd.DataFrame, k: int, valid_share: float, seed: int, group_by: GroupBy = "subject"
) -> list[Split]:
    """k splits in which every person tests exactly once; within a data set, test parts differ by at most one person.

    Those who follow the test persons in the drawn order validate: `valid_share` of all persons, rounded up.

    ValueError as in `split_by_person`, and where a data set has fewer than k persons.
    """
    if k < 2:
        raise ValueError(f"k is {k}; cross-validation needs at least 2 folds")
    people = _people(recordings, group_by)
    folds: list[dict[tuple[str, str], str]] = [{} for _ in range(k)]
    for dataset, persons in _shuffled(people, seed):
        n_persons = len(persons)
        if n_persons < k:
            raise ValueError(f"{dataset}: {n_persons} persons cannot fill {k} folds; k may be at most {n_persons}")
        n_valid = _n_drawn(valid_share, n_persons)
        _check_rest(dataset, n_persons, n_valid, n_test=ceil(n_persons / k))
        for i, part_of in enumerate(folds):
            # Parts that differ by one person at most; turned so that those of the fold come first, and test.
            first, last = i * n_persons // k, (i + 1) * n_persons // k
            part_of.update(_dealt(dataset, np.roll(persons, -first), n_valid, n_test=last - first))
    return [_split_of(people, part_of) for part_of in folds]


def write_split(path: str | Path, split: Split) -> Path:
    """Write the form of the published split file. ValueError for what `read_split` would refuse."""
    _check_content(split)
    with atomic_write(path) as temporary:
        temporary.write_text(yaml.safe_dump(split, sort_keys=False), encoding="utf-8")
    return Path(path)


def read_split(path: str | Path) -> Split:
    """Read a split file. ValueError where its form is wrong, a recording occurs twice, or an id lost its quotes."""
    try:
        content = read_yaml(Path(path))
        _check_content(content)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return {part: {dataset: ids or [] for dataset, ids in (content[part] or {}).items()} for part in PARTS}


def split_id(split: Split) -> str:
    """Twelve hexadecimal digits that any other recordings in any part would change; their order does not."""
    canonical = {part: {dataset: sorted(ids) for dataset, ids in split[part].items() if ids} for part in PARTS}
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:12]


def select_part(recordings: pd.DataFrame, split: Split, part: str, group_by: GroupBy = "subject") -> pd.DataFrame:
    """The rows of `recordings` that a part of the split names; a warning counts those of it that are not there.

    ValueError where none is there, and as in `check_persons`.
    """
    if part not in split:
        raise ValueError(f"no part {part!r}; the split has {', '.join(split)}")
    check_persons(recordings, split, group_by)
    chosen = recordings[_parts(recordings, split) == part]
    if chosen.empty:
        raise NothingToMeasure(f"the split's part {part!r} names no recording of this archive")
    absent = sum(len(ids) for ids in split[part].values()) - len(chosen)
    if absent:
        warnings.warn(f"not in this archive: {many(absent, 'recording')} of the split's part {part!r}", stacklevel=2)
    return chosen


def recordings_of(recordings: pd.DataFrame, datasets: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of these data sets, by default all. NothingToMeasure where one has none."""
    unknown = sorted(set(datasets) - set(recordings.dataset))
    if unknown:
        raise NothingToMeasure(
            f"no recording of {', '.join(unknown)}, only of {', '.join(recordings.dataset.unique())}"
        )
    return recordings[recordings.dataset.isin(datasets)] if datasets else recordings


def check_persons(recordings: pd.DataFrame, split: Split, group_by: GroupBy = "subject") -> None:
    """ValueError where a person has recordings in two parts, or who it is is unknown, among `recordings` in the split.

    Recordings have columns dataset, recording, subject.
    """
    people = _people_in(recordings, split, group_by)
    places = people[["dataset", "person", "part"]].drop_duplicates().sort_values(["dataset", "person", "part"])
    parts = places[places.duplicated(["dataset", "person"], keep=False)].groupby(["dataset", "person"]).part.agg(list)
    if len(parts):
        found = [f"{dataset}/{person} in {' and '.join(where)}" for (dataset, person), where in parts.items()]
        raise ValueError(f"persons have recordings in more than one part: {_few(found)}; split by person instead")


def split_table(recordings: pd.DataFrame, split: Split, group_by: GroupBy = "subject") -> pd.DataFrame:
    """How many of `recordings` and their persons each part holds: index dataset, part; columns recordings, persons."""
    people = _people_in(recordings, split, group_by)
    counts = people.groupby(["dataset", "part"]).agg(recordings=("recording", "size"), persons=("person", "nunique"))
    every = pd.MultiIndex.from_product([sorted(set(recordings.dataset)), PARTS], names=["dataset", "part"])
    return counts.reindex(every, fill_value=0)


def count_split(split: Split) -> pd.DataFrame:
    """How many recordings a split names: columns part, dataset, n_recordings."""
    rows = [(part, dataset, len(ids)) for part in split for dataset, ids in split[part].items()]
    return pd.DataFrame(rows, columns=["part", "dataset", "n_recordings"])


def unknown_names(names: pd.Series) -> pd.Series:
    """Which names are missing or empty text: bool (N,), with their index."""
    return names.isna() | (names.astype(str).str.strip() == "")


def _people(recordings: pd.DataFrame, group_by: GroupBy) -> pd.DataFrame:
    """Columns dataset, recording, person, in the order and with the index of `recordings`. ValueError where unknown."""
    if group_by not in ("subject", "recording"):
        raise ValueError(f"group_by is {group_by!r}; choose 'subject' or 'recording'")
    absent = [name for name in ("dataset", "recording", group_by) if name not in recordings]
    if absent:
        raise ValueError(f"the table of recordings has no column {', '.join(absent)}, only {', '.join(recordings)}")
    people = recordings[["dataset", "recording"]].assign(person=recordings[group_by])
    twice = people[people.duplicated(["dataset", "recording"])]
    if len(twice):
        raise ValueError(f"recordings occur twice in the table: {_few(_names(twice))}")
    unknown = people[unknown_names(people.person)]
    if len(unknown):
        raise ValueError(
            f"who the person is is unknown for {_few(_names(unknown))}, so no split by person is safe; let the "
            "recipe's subject or archive_subject find it, or say group_by='recording' where every one is another person"
        )
    return people


def _people_in(recordings: pd.DataFrame, split: Split, group_by: GroupBy) -> pd.DataFrame:
    """Columns dataset, recording, person, part of the recordings that the split names."""
    parts = _parts(recordings, split)
    return _people(recordings[parts.notna()], group_by).assign(part=parts[parts.notna()].to_numpy())


def _parts(recordings: pd.DataFrame, split: Split) -> pd.Series:
    """The part of every recording, None for those that the split does not name, with the index of `recordings`."""
    part_of = _part_of(split)
    keys = zip(recordings.dataset, recordings.recording, strict=True)
    return pd.Series([part_of.get(key) for key in keys], index=recordings.index, dtype=object)


def _part_of(split: Split) -> dict[tuple[str, str], str]:
    """(data set, recording) -> part. ValueError where a recording occurs twice."""
    parts_of: dict[tuple[str, str], list[str]] = {}
    for part, dataset, recording in _entries(split):
        parts_of.setdefault((dataset, recording), []).append(part)
    twice = [f"{d}/{r} in {' and '.join(parts)}" for (d, r), parts in parts_of.items() if len(parts) > 1]
    if twice:
        raise ValueError(f"a recording must occur once: {_few(twice)}")
    return {key: parts[0] for key, parts in parts_of.items()}


def _entries(content: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Part, data set, recording; a part or data set may be None for empty."""
    for part, datasets in content.items():
        for dataset, ids in (datasets or {}).items():
            for recording in ids or ():
                yield part, dataset, recording


def _shuffled(people: pd.DataFrame, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every data set with its persons in drawn order."""
    for dataset, persons in people.groupby("dataset", sort=True).person:
        yield dataset, np.random.default_rng(seed).permutation(sorted(persons.unique()))


def _n_drawn(share: float, n_persons: int) -> int:
    if not 0 <= share < 1:
        raise ValueError(f"a share of persons is {share}; it must be at least 0 and below 1")
    return ceil(round(share * n_persons, 9))  # a rounding error such as 0.07 * 100 > 7 is nobody


def _check_rest(dataset: str, n_persons: int, n_valid: int, n_test: int) -> None:
    if n_valid + n_test >= n_persons:
        raise ValueError(
            f"{dataset}: {n_persons} persons leave none to train after {n_valid} for validation and {n_test} for test"
        )


def _dealt(dataset: str, persons: Sequence[str], n_valid: int, n_test: int) -> dict[tuple[str, str], str]:
    """The first persons test, the next validate, the others train."""
    parts = ["test"] * n_test + ["valid"] * n_valid + ["train"] * (len(persons) - n_test - n_valid)
    return {(dataset, person): part for person, part in zip(persons, parts, strict=True)}


def _split_of(people: pd.DataFrame, part_of: Mapping[tuple[str, str], str]) -> Split:
    split: Split = {part: {} for part in PARTS}
    for row in people.sort_values(["dataset", "recording"]).itertuples():
        split[part_of[row.dataset, row.person]].setdefault(row.dataset, []).append(row.recording)
    return split


def _check_content(content: object) -> None:
    """ValueError where this is no split."""
    if not isinstance(content, Mapping) or set(content) != set(PARTS):
        found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"expected the parts {', '.join(PARTS)}, found {found}")
    unquoted: list[str] = []
    for part, datasets in content.items():
        if not isinstance(datasets, Mapping | None):
            raise ValueError(f"{part} should be data sets with their recordings, found {type(datasets).__name__}")
        unquoted += _not_text(part, datasets or ())
        for dataset, ids in (datasets or {}).items():
            if not isinstance(ids, list | None):
                raise ValueError(f"{part}/{dataset} should be a list of recordings, found {type(ids).__name__}")
            unquoted += _not_text(f"{part}/{dataset}", ids or ())
    if unquoted:
        raise ValueError(f"names that are not text to YAML: {_few(unquoted)}; put them in quotes, as they are written")
    _part_of(content)


def _not_text(place: str, names: Iterable[object]) -> list[str]:
    return [f"{place}/{name} ({type(name).__name__})" for name in names if not isinstance(name, str)]


def _names(recordings: pd.DataFrame) -> list[str]:
    return [f"{row.dataset}/{row.recording}" for row in recordings.itertuples()]


def _few(names: Sequence[str]) -> str:
    """The first five, and how many there are where there are more."""
    return ", ".join(names[:5]) + (f" ... ({len(names)} in all)" if len(names) > 5 else "")

"""Which recordings train, validate and test: always by person."""

import warnings
from collections.abc import Mapping
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from anysleep.files import written_whole

PARTS = ("train", "valid", "test")

Split = dict[str, dict[str, list[str]]]
"""Part -> data set -> recordings: the form of the published split file."""


def split_by_person(recordings: pd.DataFrame, valid_share: float, test_share: float, seed: int) -> Split:
    """Draw whole persons into test and validation within every data set; the others train.

    Shares are of persons, rounded up, as in the U-Sleep study. `recordings` has columns dataset, recording, subject.
    ValueError where a person is unknown or a data set has too few persons for three parts.
    """
    split: Split = {part: {} for part in PARTS}
    for dataset, rows in recordings.groupby("dataset", sort=True):
        if rows.subject.isna().any():
            raise ValueError(
                f"{dataset}: who the person is is unknown for some recordings, so no split by person is safe"
            )
        persons = np.random.default_rng(seed).permutation(sorted(rows.subject.unique()))
        n_test, n_valid = (ceil(round(share * len(persons), 9)) for share in (test_share, valid_share))
        if n_test + n_valid >= len(persons):
            raise ValueError(f"{dataset}: {len(persons)} persons leave none to train after {n_valid} + {n_test}")
        part_of = dict.fromkeys(persons, "train")
        part_of |= dict.fromkeys(persons[:n_test], "test")
        part_of |= dict.fromkeys(persons[n_test : n_test + n_valid], "valid")
        for part in PARTS:
            split[part][dataset] = sorted(rows.recording[rows.subject.map(part_of) == part])
    return split


def write_split(path: str | Path, split: Split) -> Path:
    """Write the form of the published split file."""
    with written_whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(split, sort_keys=False))
    return Path(path)


def read_split(path: str | Path) -> Split:
    """Read a split file. ValueError where parts overlap or an id lost its quotes (YAML reads 001 as a number)."""
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, Mapping) or set(content) != set(PARTS):
        raise ValueError(f"{path}: expected the parts {', '.join(PARTS)}")
    seen: dict[tuple[str, str], str] = {}
    for part in PARTS:
        for dataset, recordings in content[part].items():
            for recording in recordings or []:
                if not isinstance(recording, str):
                    raise ValueError(f"{path}: {part}/{dataset} holds {recording!r}, a number; quote recording ids")
                if seen.setdefault((dataset, recording), part) != part:
                    raise ValueError(f"{path}: {dataset}/{recording} is in {seen[dataset, recording]} and in {part}")
    return {part: {dataset: list(ids or []) for dataset, ids in content[part].items()} for part in PARTS}


def select_part(recordings: pd.DataFrame, split: Split, part: str) -> pd.DataFrame:
    """The rows of `recordings` (columns dataset, recording) that a part of the split names.

    ValueError where none is there, or a person of it stands in another part too.
    """
    part_of = {(d, r): p for p, datasets in split.items() for d, ids in datasets.items() for r in ids}
    parts = pd.Series(
        [part_of.get(key) for key in zip(recordings.dataset, recordings.recording, strict=True)], dtype=object
    )
    parts.index = recordings.index
    chosen = recordings[parts == part]
    absent = sum(len(ids) for ids in split[part].values()) - len(chosen)
    if absent:
        warnings.warn(f"{absent} recordings of the split's part {part!r} are not in this archive", stacklevel=2)
    if chosen.empty:
        raise ValueError(f"the split's part {part!r} names no recording of this archive")
    others = recordings[(parts != part) & parts.notna()]
    shared = set(zip(chosen.dataset, chosen.subject, strict=True)) & set(
        zip(others.dataset, others.subject, strict=True)
    )
    shared = sorted(subject for _, subject in shared if isinstance(subject, str))
    if shared:
        raise ValueError(f"persons {', '.join(shared)} have recordings in {part!r} and in another part")
    return chosen

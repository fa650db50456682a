"""Who slept, and what is known of them: persons and traits from an archive, a table of participants, or both."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.analysis.traits.forests import Nights
from anysleep.analysis.traits.transitions import count_triplets
from anysleep.datasets.splits import unknown_names
from anysleep.recordings.reasons import NothingToMeasure
from anysleep.recordings.tables import numeric_ages, read_table, refuse_near_misses, rename_columns
from anysleep.staging.predictions import Predictions

FACTS = ("subject", "age", "sex", "group")
"""What a table of participants may say of a recording."""

WHO = ("recording", "subject")
"""What a row may be about."""

Counts = dict[int, list[np.ndarray]]
"""Predictions per epoch -> triplet counts (blocks, 80) of every recording."""


def read_participants(path: Path, trait: str = "") -> pd.DataFrame:
    """A table (`tables.read_table`) with a column recording or subject; optionally dataset; age, sex, group.

    All text but the age. Names of columns count without case and blanks. ValueError where no column says whom a row is
    about, or none the trait, a name is nearly one of these, an id is empty, a row occurs twice, or an age is none.
    """
    known = list(dict.fromkeys(["dataset", *WHO, *FACTS]))
    table = rename_columns(read_table(path), dict(zip(known, known, strict=True)), path.name)
    # Of recording and subject one is enough: the other is not missed.
    absent = [name for name in known if name not in table and (name not in WHO or not set(WHO) & set(table))]
    refuse_near_misses([name for name in table if name not in known], absent, path.name)
    if not set(WHO) & set(table):
        raise ValueError(f"{path.name} has neither a column recording nor subject, only {', '.join(table)}")
    if trait in FACTS and trait not in table:
        raise ValueError(
            f"{path.name} has no column {trait}, only {', '.join(table)}; what is to be told must stand in the table"
        )
    if table[_key(table)].apply(unknown_names).any(axis=None):
        raise ValueError(f"{path.name} has rows without {' or '.join(_key(table))}; whom are they about?")
    twice = table[table.duplicated(_key(table))]
    if len(twice):
        raise ValueError(f"{path.name} has several rows for {', '.join(map(str, twice[_key(table)[-1]].head()))}")
    return table.assign(age=numeric_ages(table.age, path.name)) if "age" in table else table


def recordings_in(participants: pd.DataFrame) -> pd.DataFrame:
    """The recordings that a table of participants names: columns dataset, recording and `FACTS`.

    ValueError where it does not name them, so that an archive is needed.
    """
    absent = [name for name in ("dataset", "recording") if name not in participants]
    if absent:
        raise ValueError(f"participants has no column {', '.join(absent)}; name the archive, too")
    return participants.reindex(columns=["dataset", "recording", *FACTS])


def add_participants(recordings: pd.DataFrame, participants: pd.DataFrame) -> pd.DataFrame:
    """The recordings that the table names, with what it says of them.

    It is the truth: who is not in it is left out, and an age, sex or group that it has for anybody is known from it
    alone: for whom it says nothing, it is unknown, whatever was known before. Warnings count the recordings that it
    does not name, and its rows that name nobody here. ValueError where it names nobody at all, or it is not clear which
    data set is meant.
    """
    key = _key(participants)
    if "dataset" not in key and recordings.groupby(key[-1]).dataset.nunique().gt(1).any():
        raise ValueError(f"a {key[-1]} occurs in several data sets; add a column dataset to the participants")
    says = participants.set_index(key)[[name for name in FACTS if name in participants and name not in key]]
    here = pd.MultiIndex.from_frame(recordings[key]) if len(key) > 1 else pd.Index(recordings[key[0]])
    unknown = int((~says.index.isin(here)).sum())
    if unknown == len(says):
        raise ValueError(f"participants names nobody here by {_key(participants)[-1]}, such as {says.index[0]}")
    if unknown:
        example = says.index[~says.index.isin(here)][0]
        message = f"{unknown} of {len(says)} rows of participants name nobody here, such as {example}"
        warnings.warn(message, stacklevel=2)
    found = says.reindex(here).set_axis(recordings.index)
    if "subject" in found:
        # Unlike those facts, who slept stays known where the table does not say it.
        found["subject"] = found.subject.where(found.subject.notna(), recordings.subject)
    named = here.isin(says.index)
    if not named.all():
        message = f"{(~named).sum()} of {len(named)} recordings are not in participants and are left out"
        warnings.warn(message, stacklevel=2)
    return recordings.assign(**found)[named].reset_index(drop=True)


def count_nights(predictions: Predictions, recordings: pd.DataFrame, resolutions: Sequence[int]) -> Counts:
    """Triplets of every recording at every resolution. ValueError where there is no resolution 1, or one is missing."""
    absent = sorted({1, *resolutions} - set(predictions.resolutions))
    if absent:
        raise ValueError(
            f"{predictions.folder.name} has no predictions at {', '.join(map(str, absent))} an epoch, only at "
            f"{', '.join(map(str, predictions.resolutions))}; 1 says when sleep begins and ends, so predict it, too"
        )
    counts: Counts = {r: [] for r in resolutions}
    for night in recordings.itertuples():
        per_epoch = predictions.hypnogram(night.dataset, night.recording, 1)
        for r in resolutions:
            hypnogram = predictions.hypnogram(night.dataset, night.recording, r)
            counts[r].append(count_triplets(hypnogram, r, per_epoch))
    return counts


def trait_of(recordings: pd.DataFrame, trait: str, classes: Sequence[str]) -> np.ndarray:
    """float (N,): ages in years, or 1 for the second class and 0 for the first; NaN for what is neither.

    NothingToMeasure where nobody has one of the classes.
    """
    values = recordings[trait] if trait in recordings else pd.Series(np.nan, index=recordings.index)
    if not classes:
        return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    absent = [name for name in classes if name not in set(values.dropna())]
    if absent:
        there = ", ".join(sorted(map(str, set(values.dropna())))) or "nothing"
        raise NothingToMeasure(f"nobody's {trait} is {' or '.join(absent)}; there is {there}")
    return values.map({classes[0]: 0.0, classes[1]: 1.0}).to_numpy(dtype=float)


def choose_nights(
    recordings: pd.DataFrame, counts: Counts, trait: str, classes: Sequence[str], group_by: str
) -> tuple[Nights, pd.DataFrame, pd.Series]:
    """The recordings that can be used: for the forests, as rows of `recordings`, and why others were left out.

    A person is a subject of a data set; where that is unknown and `group_by` is recording, every night is one.
    NothingToMeasure where no recording is left; ValueError where it is unknown who slept otherwise, or nights of one
    person are of both classes.
    """
    values = trait_of(recordings, trait, classes)
    # One resolution tells it for all: their blocks are the same.
    has_sleep = np.array([len(blocks) > 0 for blocks in next(iter(counts.values()))], dtype=bool)
    named = recordings[trait] if trait in recordings else pd.Series(np.nan, index=recordings.index)
    unusable = [f"{trait} unknown" if pd.isna(name) else f"{trait} is {name}" for name in named]
    reasons = np.select([np.isnan(values), ~has_sleep], [unusable, "no sleep"], "")
    kept = recordings[reasons == ""]
    if kept.empty:
        raise NothingToMeasure(f"no recording is left: {pd.Series(reasons).value_counts().to_dict()}")
    subject = kept.subject.astype(object).mask(unknown_names(kept.subject))
    person, recording = (kept.dataset + "/" + names for names in (subject, kept.recording.astype(object)))
    if group_by == "subject" and person.isna().any():
        raise ValueError(
            f"who slept is unknown for {person.isna().sum()} recordings, such as {recording[person.isna()].iloc[0]}; "
            "name recipes or participants that tell it, or say group_by='recording'"
        )
    person = person.fillna(recording).to_numpy(dtype=str)
    if classes:
        _check_one_class(kept[trait], person, trait)
    nights = Nights(
        counts={
            r: [blocks for blocks, why in zip(of_r, reasons, strict=True) if not why] for r, of_r in counts.items()
        },
        trait=values[reasons == ""],
        person=person,
        group=recording.to_numpy(dtype=str) if group_by == "recording" else person,
        is_class=bool(classes),
    )
    return nights, kept, pd.Series(reasons[reasons != ""], dtype=str).value_counts()


def _check_one_class(values: pd.Series, person: np.ndarray, trait: str) -> None:
    """ValueError where nights of one person differ in what, unlike the age, is the same every night."""
    of_persons = values.groupby(person).unique()
    differing = of_persons[of_persons.map(len) > 1]
    if len(differing):
        raise ValueError(
            f"{len(differing)} persons have several values of {trait}, such as {differing.index[0]} "
            f"({' and '.join(sorted(differing.iloc[0]))}); correct the archive or the participants, a person has one"
        )


def _key(table: pd.DataFrame) -> list[str]:
    """The columns that say whom a row is about."""
    who = "recording" if "recording" in table else "subject"
    return ["dataset", who] if "dataset" in table else [who]

"""Rows of the ledger, one kind of number at a time."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from anysleep.figures.explain import plot_ledger_rows
from anysleep.figures.looks import seconds_text
from anysleep.stages import EPOCH_S

KIND = ["result", "network", "stage", "measure"]


def kinds_of_numbers(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Name of a kind -> its rows of the ledger; what was measured most often first, counts and single numbers not."""
    shown = rows[rows.tolerance > 0]
    names = [_name(*row) for row in shown[KIND].astype(object).fillna("").to_numpy(str)]
    kinds = {name: part for name, part in shown.groupby(names, sort=False) if len(part) > 1}
    return dict(sorted(kinds.items(), key=lambda kind: -kind[1].ours.notna().sum()))


def plot_numbers(kinds: Mapping[str, pd.DataFrame], kind: str) -> Figure:
    """The numbers of one kind, of `kinds_of_numbers`: published, tolerance, and ours with the interval by person."""
    numbers = ["published", "tolerance", "ours", "low", "high"]
    rows = [(_what(row), *(row[name] for name in numbers)) for row in kinds[kind].to_dict("records")]
    return plot_ledger_rows(rows, kind)


def _name(result: str, *parts: str) -> str:
    """What a kind is called: 'mf1 per dataset, anysleep'; nothing is said twice."""
    return ", ".join([result, *(part for part in parts if part and part not in result)]).replace("_", " ")


def _what(row: dict[str, Any]) -> str:
    """What tells a row from the others of its kind."""
    parts = [] if pd.isna(row["dataset"]) or not row["dataset"] else [str(row["dataset"])]
    if pd.notna(row["n_eeg"]):
        parts.append(f"{row['n_eeg']} EEG, {row['n_eog']} EOG")
    if pd.notna(row["predictions_per_epoch"]):
        parts.append(f"{seconds_text(EPOCH_S / row['predictions_per_epoch'])} s")
    return ", ".join(parts)

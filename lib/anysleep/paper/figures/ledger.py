"""Rows of the ledger, one kind of number at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from anysleep.figures.looks import NETWORKS, PUBLISHED, seconds_text
from anysleep.stages import EPOCH_S

KIND = ["result", "network", "stage", "measure"]
LedgerRow = tuple[str, float, float, float | None, float | None, float | None]
"""Name, published, tolerance, ours, low, high; the last three None or NaN where nobody measured it."""
LEDGER_ROWS: tuple[LedgerRow, ...] = (
    ("within", 0.800, 0.010, 0.806, 0.788, 0.822),
    ("within, interval wide", 0.800, 0.010, 0.793, 0.745, 0.838),
    ("outside", 0.800, 0.010, 0.822, 0.803, 0.839),
    ("not measured", 0.800, 0.010, None, None, None),
)


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


def plot_ledger_idea() -> Figure:
    """Four invented rows: the verdict asks whether ours lies in the band; the interval says what other persons do."""
    return plot_ledger_rows(LEDGER_ROWS, "MF1 (invented numbers)")


def plot_ledger_rows(rows: Sequence[LedgerRow], unit: str) -> Figure:
    """Published numbers with their tolerance, and ours beside them where there are, a row each."""
    figure, ax = plt.subplots(figsize=(7, 1.3 + 0.22 * len(rows)), layout="constrained")
    ax.use_sticky_edges = False  # a bar without width would cut the marker that lies on it
    look = NETWORKS["anysleep"]
    ours = [(y, row) for y, row in enumerate(rows) if pd.notna(row[3])]
    for y, (_, published, tolerance, *_) in enumerate(rows):
        first = y == 0
        ax.barh(y, 2 * tolerance, left=published - tolerance, height=0.6, color="0.88", label="tolerance" * first)
        ax.plot(published, y, "d", label="published" * first, **(PUBLISHED | {"linewidth": 0}))
    for n, (y, (*_, value, low, high)) in enumerate(ours):
        ax.hlines(y, low, high, color=look.colour, label="95 % interval of ours, by person" * (n == 0))
        ax.plot(value, y, look.marker, color=look.colour, label="ours" * (n == 0), zorder=4)
    ax.set(yticks=range(len(rows)), yticklabels=[row[0] for row in rows], xlabel=unit)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


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

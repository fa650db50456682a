"""The idea of a ledger row: a published number with its tolerance, and ours with its interval."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from anysleep.figures.looks import NETWORKS
from anysleep.paper.figures.style import COLUMN_IN, PAGE_IN, PUBLISHED

EXAMPLES = (
    ("within", 0.800, 0.010, 0.806, 0.788, 0.822),
    ("within, interval wide", 0.800, 0.010, 0.793, 0.745, 0.838),
    ("outside", 0.800, 0.010, 0.822, 0.803, 0.839),
    ("not measured", 0.800, 0.010, None, None, None),
)
"""Invented: verdict, published, tolerance, ours, low, high."""


def plot_ledger_idea() -> Figure:
    """Four invented rows: the verdict asks whether ours lies in the band; the interval says what other persons do."""
    figure, ax = plt.subplots(figsize=(PAGE_IN, COLUMN_IN * 0.62), layout="constrained")
    look = NETWORKS["anysleep"]
    for y, (_, published, tolerance, ours, low, high) in enumerate(EXAMPLES):
        first = y == 0
        ax.barh(y, 2 * tolerance, left=published - tolerance, height=0.6, color="0.88", label="tolerance" * first)
        ax.plot(published, y, "d", label="published" * first, **(PUBLISHED | {"linewidth": 0}))
        if ours is not None:
            ax.hlines(y, low, high, color=look.colour, label="95 % interval of ours, by person" * first)
            ax.plot(ours, y, look.marker, color=look.colour, label="ours" * first, zorder=4)
    ax.set(yticks=range(len(EXAMPLES)), yticklabels=[row[0] for row in EXAMPLES], xlabel="MF1 (invented numbers)")
    ax.invert_yaxis()
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure

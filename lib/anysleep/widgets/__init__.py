"""Notebook controls: thin skins over functions of rooms below. Nothing here computes a result.

Here stands what a notebook shows without a control: the growing figure of a training, and the shut answer.
"""

import html
import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from IPython.display import HTML, DisplayHandle, display

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CONTROLS = {name: "explorer" for name in ("Chooser", "Explorer", "explore", "next_stage_change")} | {
    "NightBrowser": "night_browser"
}
"""Imported when they are asked for, since a run without a browser needs none: name -> its module."""

__all__ = ["LiveFigure", "closed_answer", *CONTROLS]


def closed_answer(text: str, table: "pd.DataFrame | None" = None) -> HTML:
    """The answer to an exercise, shut until the reader opens it; JupyterLab shows hidden outputs after Run All."""
    shown = "" if table is None else table.to_html()
    return HTML(f"<details><summary>Answer</summary><p>{html.escape(text)}</p>{shown}</details>")


class LiveFigure:
    """A picture of a table that grows, drawn anew in the same place; in JupyterLab only.

    live = LiveFigure(plot_history, figsize=(6, 3.5)); live.draw(table)
    """

    def __init__(self, plot: "Callable[[pd.DataFrame, Figure], Figure]", **figure_settings: object):
        """`plot` draws a table into a figure; the settings are those of a matplotlib figure."""
        self.plot, self.figure_settings = plot, figure_settings
        self.place: DisplayHandle | None = None

    def figure(self, table: "pd.DataFrame") -> "Figure":
        """The picture of a table."""
        from matplotlib.figure import Figure

        figure = Figure(layout="constrained", **self.figure_settings)
        self.plot(table, figure)
        return figure

    def draw(self, table: "pd.DataFrame") -> None:
        """Show the table as it is now."""
        if "JPY_SESSION_NAME" not in os.environ:
            return
        if self.place is None:
            self.place = display(self.figure(table), display_id=True)
        else:
            self.place.update(self.figure(table))

    def clear(self) -> None:
        """Take the picture away, where the final one follows."""
        if self.place is not None:
            self.place.update(HTML(""))


def __getattr__(name: str) -> object:
    if name not in CONTROLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{CONTROLS[name]}"), name)

"""Notebook controls: thin skins over functions of rooms below. Nothing here computes a result."""

from importlib import import_module

from anysleep.widgets.shown import LiveFigure, closed_answer

CONTROLS = {name: "explorer" for name in ("Chooser", "Explorer", "explore", "next_stage_change")} | {
    "NightBrowser": "night_browser"
}
"""Imported when they are asked for, since a run without a browser needs none: name -> its module."""

__all__ = ["LiveFigure", "closed_answer", *CONTROLS]


def __getattr__(name: str) -> object:
    if name not in CONTROLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{CONTROLS[name]}"), name)

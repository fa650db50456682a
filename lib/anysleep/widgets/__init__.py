"""Notebook controls: thin skins over functions of rooms below. Nothing here computes a result."""

from anysleep.widgets.explorer import Explorer, LiveFigure, closed_answer, explore, next_stage_change
from anysleep.widgets.night_browser import NightBrowser

__all__ = ["Explorer", "LiveFigure", "NightBrowser", "closed_answer", "explore", "next_stage_change"]

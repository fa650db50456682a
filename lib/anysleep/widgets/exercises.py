"""Controls to learn with: boxes for the answers to exercises, and a night to score oneself."""

import html
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import ipywidgets
import numpy as np
import pandas as pd

from anysleep.evaluation.metrics import confusion_matrix, metrics_of_confusion
from anysleep.exports import ScoredNight
from anysleep.recordings.recording import Recording
from anysleep.stages import STAGES, UNSCORED
from anysleep.widgets.night_browser import NightBrowser


class AnswerBoxes(ipywidgets.VBox):
    """A line for each exercise that can be checked: what is asked for, the answer, and what is said of it.

    `verdict_of` has what is asked for -> a function of the answer as it was typed.
    """

    def __init__(self, verdict_of: Mapping[str, Callable[[str], str]]):
        self.answers = [_box(asks) for asks in verdict_of]
        self.verdicts = [ipywidgets.HTML() for _ in verdict_of]
        for box, says, verdict in zip(self.answers, self.verdicts, verdict_of.values(), strict=True):
            box.observe(partial(_judge, verdict=verdict, says=says), "value")
        super().__init__([ipywidgets.VBox(line) for line in zip(self.answers, self.verdicts, strict=True)])


def _box(asks: str) -> ipywidgets.Text:
    look = {"style": {"description_width": "26em"}, "layout": ipywidgets.Layout(width="42em", max_width="98%")}
    return ipywidgets.Text(description=asks, placeholder="answer, then Enter", continuous_update=False, **look)


def _judge(change: Mapping[str, str], verdict: Callable[[str], str], says: ipywidgets.HTML) -> None:
    says.value = html.escape(verdict(change["new"])) if change["new"].strip() else ""


class Practice(ipywidgets.VBox):
    """A night without anybody's stages in the night browser, and how far who scores it agrees with the expert."""

    def __init__(self, night: Recording, corrections: Path):
        """ValueError where the night has no expert's stages; `corrections` keeps what was scored, as in a review."""
        if night.hypnogram is None:
            raise ValueError("nobody has scored this night, so there is nothing to compare with")
        self._expert = night.hypnogram
        empty = ScoredNight(np.full(night.n_epochs, UNSCORED, dtype=np.int8))
        self.browser = NightBrowser(replace(night, hypnogram=None), [empty], corrections=corrections)
        self.agreement = ipywidgets.HTML()
        super().__init__([self.browser, self.agreement])
        self.browser.observe(self._show_agreement, "stages")
        self._show_agreement()

    def _show_agreement(self, _: object = None) -> None:
        confusion = confusion_matrix(self._expert, self.browser.corrected.stages)
        said = agreement_line(confusion)
        table = pd.DataFrame(confusion, index=[f"expert {stage}" for stage in STAGES], columns=list(STAGES))
        self.agreement.value = said + (table.to_html() if confusion.any() else "")


def agreement_line(confusion: np.ndarray) -> str:
    """How far two scorers agree, from their confusion matrix (5, 5)."""
    scores, n = metrics_of_confusion(confusion), int(confusion.sum())
    if not n:
        return "You have scored no epoch that the expert has scored, too."
    kappa = "no kappa yet" if np.isnan(scores.kappa) else f"kappa {scores.kappa:.2f}"
    return f"{n} epochs scored: {scores.accuracy:.0%} as the expert, {kappa}."

"""Exercises: one text for notebook and sheet, answers worked out from the run, and a night to score oneself."""

import runpy
from inspect import isfunction
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pandas as pd
import pytest

from anysleep.recordings.recording import Recording
from anysleep.widgets.night_browser import Practice, agreement_line
from anysleep.workbook.exercises import EXERCISES, verdict
from anysleep.workbook.run import Run

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def evaluated(tmp_path):
    """A run of 04 that has scored two nights: MF1 0.9 and 0.6, and 0.8 from summed counts; N1 found in 46.24 %."""
    scores = {"level": ["all", "recording", "recording"], "checkpoint": "03_train", "mf1": [0.8, 0.9, 0.6]}
    pd.DataFrame(scores | {"recall_n1": 0.4624}).to_csv(tmp_path / "scores.csv", index=False)
    interval = {"level": ["all"], "score": ["mf1"], "low": [0.7], "high": [0.85]}
    pd.DataFrame(interval).to_csv(tmp_path / "intervals.csv", index=False)
    return Run(SimpleNamespace(notebook="04_evaluate", group_by="subject"), tmp_path, "id")


def test_the_sheet_has_three_exercises_of_each_notebook_in_its_own_words():
    sheet = SimpleNamespace(**runpy.run_path(str(DOCS / "exercise_sheet.py")))
    assert (DOCS / "exercises.md").read_text() == sheet.sheet(), "run python docs/exercise_sheet.py"
    assert set(sheet.exercises()) == set(EXERCISES)
    for name, (_, text) in sheet.exercises().items():
        begins = [line.split("**")[1].strip(".") for line in text.splitlines() if "**" in line]
        assert begins == ["Read off", "Change", "Invent"], name
        assert all(one.asks[0] in "123" and one.hint for one in EXERCISES[name])


def test_an_answer_is_right_by_what_the_run_has_found(evaluated):
    found, width, mean = EXERCISES["04_evaluate"]
    assert [verdict(found, evaluated, answer) for answer in ("46", "46,2 %", "46.8")] == ["right"] * 3
    assert verdict(found, evaluated, "47").startswith("not yet: read the row N1")
    assert verdict(mean, evaluated, "0.75") == "right" and verdict(mean, evaluated, "0.8").startswith("not yet")
    assert verdict(mean, evaluated, "three quarters") == "not yet: a number is asked for, such as 12.5"
    assert "set it to 'recording'" in verdict(width, evaluated, "0.15")
    evaluated.params.group_by = "recording"
    assert verdict(width, evaluated, "0.15") == "right"
    (evaluated.folder / "scores.csv").unlink()
    assert "nothing for its table scores" in verdict(found, evaluated, "46")


def test_boxes_are_for_persons_and_say_what_they_think_of_an_answer(evaluated, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert evaluated.exercises() is None
    monkeypatch.setenv("JPY_SESSION_NAME", "04_evaluate.ipynb")
    boxes = evaluated.exercises()
    assert [box.value for box in boxes.answers] == ["", "", ""] == [says.value for says in boxes.verdicts]
    boxes.answers[2].value = "0.75"
    boxes.answers[0].value = "12"
    assert boxes.verdicts[2].value == "right" and boxes.verdicts[0].value.startswith("not yet")


def test_who_scores_a_night_sees_nobody_elses_stages_and_how_far_they_agree(tmp_path):
    signal = np.random.default_rng(0).normal(0, 20, 4 * 30 * 64).astype("float32")
    night = Recording(("C3-M2",), (signal,), (64.0,), ("uV",), 120.0, hypnogram=np.array([0, 2, 2, 9], np.int8))
    practice = Practice(night, tmp_path / "practice.csv")
    assert practice.browser.about["lanes"] == ["yours"] and practice.browser.about["resolutions"] == []
    assert practice.agreement.value == "You have scored no epoch that the expert has scored, too."
    for epoch, stage in {1: 0, 2: 2, 3: 1, 4: 3}.items():
        practice.browser._answer(None, {"type": "stage", "epochs": [epoch], "stage": stage, "seconds_spent": 1.0}, [])
    assert practice.agreement.value.startswith("3 epochs scored: 67% as the expert, kappa 0.50.")
    own = {name for name, value in vars(Practice).items() if isfunction(value)} - {"__init__"}
    assert not own & set(dir(ipywidgets.VBox)), "a method of the widgets is replaced, and fails only in the browser"
    again = Practice(night, tmp_path / "practice.csv")
    assert again.agreement.value == practice.agreement.value


def test_without_a_kappa_none_is_told():
    assert agreement_line(np.diag([0, 0, 5, 0, 0])) == "5 epochs scored: 100% as the expert, no kappa yet."

"""Nothing that stands in a file of others becomes code: no formula, tag or pickle. XML: test_labels_formats."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.bad_input import Evil
from helpers.toy_runs import inspect

from anysleep.analysis.scorers import read_scorers
from anysleep.datasets.preparation import write_key
from anysleep.staging.predictions import Predictions
from anysleep.training.state import load_state
from anysleep.widgets import closed_answer
from anysleep.workbook.run import start_run

FORMULA = '=HYPERLINK("a")'


def test_tables_and_keys_hold_no_formulas(tmp_path):
    table = pd.DataFrame({"recording": [FORMULA], "n": [-1]})
    run = start_run(inspect(tmp_path / "run"))
    run.table("nights", table)
    for file in (run.folder / "nights.csv", write_key(tmp_path / "key.csv", table)):
        row = pd.read_csv(file).iloc[0]
        assert row.recording == f"'{FORMULA}" and row.n == -1


def test_an_answer_is_no_html():
    assert "&lt;b&gt;" in closed_answer("<b>").data and "<b>" not in closed_answer("<b>").data
    assert "<b>" not in closed_answer("", pd.DataFrame({"channel": ["<b>"]})).data


def test_code_among_arrays_never_runs(tmp_path, capsys):
    evil = np.empty(1, dtype=object)
    evil[0] = Evil()
    (tmp_path / "r1").mkdir()
    for file in (tmp_path / "a.npz", tmp_path / "r1" / "predictions.npz"):
        np.savez(file, **{"dodh/a": evil})
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_scorers(tmp_path / "a.npz")
    with Predictions(tmp_path) as predictions, pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        dict(predictions._stages[1])
    assert "stranger" not in capsys.readouterr().out


def test_code_in_the_state_of_a_training_never_runs(tmp_path, capsys):
    torch.save({"key": "a", "state": Evil()}, tmp_path / "state.pt")
    assert load_state(tmp_path / "state.pt", "a") is None
    said = capsys.readouterr().out
    assert "state.pt cannot be read" in said and "stranger" not in said


UNSAFE = r"allow_pickle=True|weights_only=False|etree.*import.*(fromstring|parse)\b|ElementTree\.(parse|fromstring)\("
UNPICKLED = r"pickle\.loads?\(|read_pickle|joblib\.load|(?<![.\w])(eval|exec)\("


def test_nothing_in_the_library_reads_so_that_code_could_run(root):
    texts = {path.relative_to(root).as_posix(): path.read_text() for path in (root / "lib").rglob("*.py")}
    assert [name for name, text in texts.items() if re.search(UNSAFE, text.replace("from defusedxml", "safe"))] == []
    ours = {"lib/anysleep/recordings/readers/guarded.py"}  # what our own process beside answers through a pipe
    assert {name for name, text in texts.items() if re.search(UNPICKLED, text)} == ours
    for text in texts.values():
        assert all("weights_only=True" in call for call in re.findall(r"torch\.load\(.*", text))

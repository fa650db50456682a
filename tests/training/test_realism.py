"""tests/bench/realism.py: whose score is whose, and what may be compared. Its trainings take hours and are not here."""

from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from anysleep.datasets.splits import write_split


@pytest.fixture
def realism(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "bench")
    return import_module("realism")


def test_networks_of_other_persons_are_not_compared(realism, tmp_path):
    split = {"train": {"a": ["1", "2"]}, "valid": {"a": ["3"]}, "test": {"a": ["4"]}}
    other = split | {"train": {"a": ["1", "4"]}, "test": {"a": ["2"]}}
    first, second, third = (tmp_path / f"{name}.yaml" for name in "abc")
    for file, written in ((first, split), (second, split), (third, other)):
        write_split(file, written)
    realism.check_same_split([first, second])
    with pytest.raises(ValueError, match="split alike"):
        realism.check_same_split([first, third])


def test_scores_are_those_over_all_nights_in_the_order_of_the_checkpoints(realism, tmp_path):
    rows = [
        ("all", "b", "mf1", 0.5),
        ("dataset", "b", "mf1", 0.1),
        ("all", "b", "kappa", 0.2),
        ("all", "a", "mf1", 0.9),
    ]
    table = pd.DataFrame(rows, columns=["level", "checkpoint", "score", "estimate"]).assign(low=0.0, high=1.0)
    table.to_csv(tmp_path / "intervals.csv", index=False)
    assert [row["estimate"] for row in realism.loop.scores_of(tmp_path, "mf1")] == [0.5, 0.9]


def test_what_is_trained_is_not_trained_again_and_keeps_its_minutes(realism, tmp_path, monkeypatch):
    folder, asked = tmp_path / "03_train", []

    def run(notebook, folder, **parameters):
        asked.append((notebook, parameters["n_steps"], parameters["fine_tune"]["initial_checkpoint"]))
        folder.mkdir()
        (folder / "result.json").write_text("{}")

    monkeypatch.setattr(realism.loop, "run", run)
    minutes = realism.train(folder, tmp_path / "archive.h5", 30)
    assert realism.train(folder, tmp_path / "archive.h5", 30) == minutes >= 0
    assert asked == [("03_train", 30, "")]

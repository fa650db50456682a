"""What a student moves in 05 to 08 is what is drawn; without a person in front of it, it is one picture."""

import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from anysleep.figures import around_first_n2, plot_resolutions
from anysleep.figures.arousals import plot_matches
from anysleep.figures.looks import new_axes
from anysleep.figures.traits import plot_commonest_triplets
from anysleep.paper.figures import kinds_of_numbers, plot_numbers
from anysleep.staging.stage import Staging
from anysleep.widgets import Chooser
from anysleep.workbook.run import Run


def draw(title, n, word):
    return new_axes(2, 1, f"{title} {n} {word}")


def test_a_control_begins_with_what_is_drawn_and_redraws_what_is_chosen():
    seen = []
    chooser = Chooser(
        partial(lambda **chosen: seen.append(chosen) or draw("a", **chosen), n=3, word="b"),
        n=range(1, 9, 2),
        word=["a", "b"],
    )
    first = chooser.picture.value
    chooser.controls["n"].value = 5
    chooser.controls["word"].value = "a"
    assert seen == [{"n": 3, "word": "b"}, {"n": 5, "word": "b"}, {"n": 5, "word": "a"}]
    assert "data:image/png" in first and chooser.picture.value != first
    assert 'alt="a 5 a."' in chooser.picture.value  # for who cannot see it


def test_without_a_person_it_is_the_figure_alone_and_no_widget_is_imported(tmp_path, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    run = Run(SimpleNamespace(run_dir=tmp_path), tmp_path, "id")
    shown = run.interact("a", partial(draw, "a", n=1, word="b"), n=range(3))
    assert shown.data == (tmp_path / "figures/a.png").read_bytes() and run.outputs == ["figures/a.png", "figures/a.svg"]
    assert shown.alt == "a. a 1 b." and "<title>a. a 1 b.</title>" in (tmp_path / "figures/a.svg").read_text()
    assert run.explore(None, 1) is None
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    assert isinstance(run.interact("a", partial(draw, "a", n=1, word="b"), n=range(3)), Chooser)
    code = "import sys, anysleep.widgets, anysleep.workbook.run; sys.exit('ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_resolutions_stand_below_each_other_over_the_same_minutes():
    logits = {r: np.eye(5, dtype=np.float32)[np.repeat([0] * 6 + [2] * 14, r)] for r in (1, 4, 8)}
    staging = Staging(logits, None, 0.0)
    first = around_first_n2(staging)
    figure = plot_resolutions(staging, "a", predictions_per_epoch=4, minute=first)
    assert first == 2 and [ax.get_xlim() for ax in figure.axes] == [(2, 5)] * 3
    assert [ax.get_title("left").split()[-2] for ax in figure.axes] == ["30", "7.5", "3.75"]
    assert len(plot_resolutions(staging, "a", predictions_per_epoch=8, minute=0).axes) == 2


@pytest.mark.parametrize(
    "iou_above, at_least_s, shown", [(0.2, 0, "0.67 0.50 1.00"), (0.6, 0, "0.00 0.00 0.00"), (0.2, 5, "1.00 1.00 1.00")]
)
def test_a_match_needs_the_overlap_and_the_length_that_are_asked_for(iou_above, at_least_s, shown):
    expert = pd.DataFrame({"onset_s": [10.0], "end_s": [20.0]})
    events = pd.DataFrame({"onset_s": [15.0, 40, 70], "end_s": [20.0, 44, 80], "predictions_per_epoch": [8, 8, 1]})
    figure = plot_matches(expert, events, "a", iou_above, at_least_s, predictions_per_epoch=8, minute=0)
    left, right = figure.axes
    assert " ".join(text.get_text() for text in right.texts) == shown
    n_events, n_pairs = (2 if at_least_s else 3), int(shown[0] != "0" or shown[2] != "0")
    assert len(left.patches) == n_events and len(left.lines) == n_pairs


def test_the_commonest_triplets_are_those_of_the_chosen_night():
    night = np.zeros((2, 80), dtype=np.int64)
    night[:, 7] = 3, 4
    ax = plot_commonest_triplets({8: [night * 0, night]}, ["a", "b"], recording="b", predictions_per_epoch=8)
    assert ax.patches[0].get_width() == 7 and ax.get_title("left").endswith(": 7 triplets")


def test_numbers_of_a_kind_are_drawn_with_ours_where_it_is_measured():
    row = {"result": "mf1_per_dataset", "network": "usleep", "stage": None, "measure": "mf1", "dataset": "abc"}
    row |= {"predictions_per_epoch": pd.NA, "n_eeg": pd.NA, "n_eog": pd.NA, "published": 0.8, "tolerance": 0.01}
    ours = [{"ours": np.nan, "low": np.nan, "high": np.nan}, {"ours": 0.7, "low": 0.6, "high": 0.8}]
    rows = pd.DataFrame([row | ours[0], row | ours[0] | {"dataset": "b"}] + [row | {"result": "x"} | ours[1]] * 2)
    kinds = kinds_of_numbers(rows)
    assert list(kinds) == ["x, usleep, mf1", "mf1 per dataset, usleep"]
    for kind, labels in zip(kinds, (["abc", "abc"], ["abc", "b"]), strict=True):
        ax = plot_numbers(kinds, kind).axes[0]
        assert [label.get_text() for label in ax.get_yticklabels()] == labels
        assert ("ours" in ax.get_legend_handles_labels()[1]) == (kind[0] == "x")

"""A search finds what chance does not, says what is wrong before any work, and goes on after a stop as if in peace."""

import json
import math
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from anysleep.__main__ import main
from anysleep.settings import ParameterError, merge_parameters
from anysleep.workbook import runner
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import notebook_defaults
from anysleep.workbook.search import Search, best_trials, run_search, search_space

ASKED = {
    "ranges": {
        "learning_rate": {"low": 1.0e-5, "high": 1.0e-1, "log": True},
        "loss.gradient_clip": {"low": 0.0, "high": 10.0},
    },
    "score": "valid_mf1",
    "direction": "maximize",
    "n_trials": 30,
    "seed": 0,
}
MIXED = {
    "fixed": {"loss.stage_weights": "none"},
    "ranges": {"batch.n_windows": {"low": 2, "high": 64, "log": True}, "unet.complexity": {"low": 0.5, "high": 2.0}},
    "choices": {"compute.precision": ["32", "bf16"], "unet.depth": [4, 8]},
}


def quadratic(learning_rate, gradient_clip):
    """At most 0, where the learning rate is 1e-3 and the clip 7; both sides of the square count about the same."""
    return -((math.log10(learning_rate) + 3) ** 2) - ((gradient_clip - 7) / 2.5) ** 2


def score_by_quadratic(params):
    return quadratic(params.learning_rate, params.loss.gradient_clip)


@pytest.fixture
def searcher(root, tmp_path, monkeypatch):
    """Makes searches whose notebook is a formula of its parameters; `.ran` lists the parameters of every run."""
    monkeypatch.chdir(root)

    def execute(notebook, files, overrides):
        defaults = notebook_defaults(root / "notebooks" / f"{notebook}.ipynb")
        params = NOTEBOOKS[notebook](**(defaults | merge_parameters(files, overrides, defaults)))
        make.ran.append(params)
        params.run_dir.mkdir(parents=True, exist_ok=True)
        result = {"run_id": params.run_id, "scores": {"valid_mf1": make.formula(params), "note": "text"}}
        (params.run_dir / "result.json").write_text(json.dumps(result))
        return params.run_dir

    def make(folder="search", **changes):
        return Search(**(ASKED | {"run_dir": str(tmp_path / folder)} | changes))

    make.formula, make.ran = score_by_quadratic, []
    monkeypatch.setattr(runner, "execute", execute)
    return make


def test_it_finds_more_than_chance(searcher):
    rng = np.random.default_rng(0)
    chance = [max(quadratic(10 ** rng.uniform(-5, -1), rng.uniform(0, 10)) for _ in range(30)) for _ in range(400)]
    found = [float(best_trials(s, run_search(s)).score.iloc[0]) for s in (searcher(str(i), seed=i) for i in range(5))]
    assert np.median(found) > np.quantile(chance, 0.8)


def test_minimising_goes_down(searcher):
    searcher.formula = lambda params: -score_by_quadratic(params)
    search = searcher(direction="minimize")
    trials = run_search(search)
    scores = trials.score.astype(float)
    assert float(best_trials(search, trials).score.iloc[0]) == scores.min()
    assert scores[20:].median() < scores[:10].median()


def test_a_row_says_what_was_run(searcher):
    searcher.formula = lambda params: params.unet.complexity
    search = searcher(**MIXED, n_trials=25)
    trials = run_search(search)
    assert len(searcher.ran) == 25
    for params, row in zip(searcher.ran, trials.to_dict("records"), strict=True):
        assert (row["run_id"], row["folder"]) == (params.run_id, str(params.run_dir))
        assert (row["unet.complexity"], row["unet.depth"]) == (params.unet.complexity, params.unet.depth)
        assert (row["batch.n_windows"], row["compute.precision"]) == (params.batch.n_windows, params.compute.precision)
        assert 2 <= params.batch.n_windows <= 64 and 0.5 <= params.unet.complexity <= 2
        assert params.loss.stage_weights == "none"
        assert row["score"] == params.unet.complexity
    assert {params.unet.depth for params in searcher.ran} == {4, 8}
    assert {params.compute.precision for params in searcher.ran} == {"32", "bf16"}
    on_disk = pd.read_csv(
        search.run_dir / "trials.csv", keep_default_na=False, dtype={"run_id": str, "compute.precision": str}
    )
    pd.testing.assert_frame_equal(on_disk, trials)


@pytest.mark.parametrize("stopped_in", [0, 4, 17])
def test_stopped_it_goes_on_as_if_it_never_had(searcher, stopped_in):
    """With 17, Optuna already learns from what came before; up to ten trials are drawn at random."""
    searcher.formula = lambda params: params.unet.complexity - params.unet.depth
    in_peace = run_search(searcher("peace", **MIXED, n_trials=20))

    def stop(params):
        if params.run_dir.name == f"trial-{stopped_in:03d}":
            raise KeyboardInterrupt
        return params.unet.complexity - params.unet.depth

    searcher.formula = stop
    with pytest.raises(KeyboardInterrupt):
        run_search(searcher("trouble", **MIXED, n_trials=20))
    cut_off = searcher.ran[-1]
    searcher.formula = lambda params: params.unet.complexity - params.unet.depth
    gone_on = run_search(searcher("trouble", **MIXED, n_trials=20))
    assert cut_off == searcher.ran[20 + stopped_in + 1]
    pd.testing.assert_frame_equal(gone_on.drop(columns="folder"), in_peace.drop(columns="folder"))
    assert len(searcher.ran) == 20 + 20 + 1


def test_more_trials_can_be_asked_for(searcher):
    at_once = run_search(searcher("at once", n_trials=14))
    run_search(searcher("by and by", n_trials=3))
    later = run_search(searcher("by and by", n_trials=14))
    pd.testing.assert_frame_equal(later.drop(columns="folder"), at_once.drop(columns="folder"))
    assert len(run_search(searcher("by and by", n_trials=2))) == 14


def test_another_seed_is_another_search(searcher):
    first, other = run_search(searcher("a", n_trials=2)), run_search(searcher("b", n_trials=2, seed=1))
    assert not set(first.learning_rate) & set(other.learning_rate)


def test_failing_trials_are_rows_with_a_reason(searcher):
    def sometimes(params):
        number = int(params.run_dir.name[-3:])
        if number % 3 == 1:
            raise RuntimeError("OSError in a cell: disk full\nThe cell and what called what: x")
        return math.nan if number % 3 == 2 else score_by_quadratic(params)

    searcher.formula = sometimes
    search = searcher(n_trials=12)
    trials = run_search(search)
    assert list(trials.state) == ["done", "failed", "failed"] * 4
    assert list(trials.reason) == ["", "OSError in a cell: disk full", "valid_mf1 is nan"] * 4
    assert trials.learning_rate.nunique() == 12
    assert len(best_trials(search, trials)) == 4
    assert len(searcher.ran) == 12
    run_search(search)
    assert len(searcher.ran) == 12, "what has failed is not tried again"


def test_nothing_but_failures_is_an_error(searcher):
    def fail(params):
        raise RuntimeError("no GPU")

    searcher.formula = fail
    with pytest.raises(RuntimeError, match=r"every trial has failed, the last one of this: no GPU\nTo .* delete"):
        run_search(searcher(n_trials=2))


def test_a_wrong_score_does_not_cost_a_trial(searcher):
    with pytest.raises(ParameterError, match=r"score: 'valid_f1' is not a number of .*; there are valid_mf1, note"):
        run_search(searcher(score="valid_f1", n_trials=2))
    run_search(searcher(n_trials=2))
    assert len(searcher.ran) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_trials": 0}, "n_trials is 0"),
        ({"direction": "up"}, "direction is 'up'.*'maximize' or 'minimize'"),
        ({"parameters": {}}, "unknown parameter 'parameters'"),
        ({"notebook": "03_trains"}, "notebook is '03_trains'; there are 01_prepare"),
        ({"ranges": {}}, "nothing to search"),
        (
            {"ranges": {"learning_rat": {"low": 0.1, "high": 0.2}}},
            "'learning_rat'; did you mean 'learning_rate'",
        ),
        (
            {"ranges": {"los.gradient_clip": {"low": 0.1, "high": 0.2}}},
            "unknown parameter 'los.gradient_clip'; there are",
        ),
        ({"ranges": {"architecture": {"low": 0.1, "high": 0.2}}}, "architecture is 0.1: Input should be 'usleep'"),
        ({"ranges": {"compute.compile": {"low": 0, "high": 1}}}, "compile"),
        ({"ranges": {"learning_rate": {"low": 0.2, "high": 0.1}}}, "learning_rate: low is 0.2 and high is 0.1"),
        ({"ranges": {"learning_rate": {"low": 0.1, "high": 0.1}}}, "low has to be the smaller one"),
        ({"ranges": {"learning_rate": {"low": "1e-5", "high": 0.1}}}, "learning_rate: low is '1e-5'"),
        ({"ranges": {"learning_rate": {"low": 0.1, "high": math.inf}}}, "high is inf"),
        ({"ranges": {"learning_rate": {"low": 0.1, "hihg": 0.2}}}, "unknown parameter 'hihg'; did you mean 'high'"),
        ({"ranges": {"learning_rate": {"low": -0.1, "high": 0.1}}}, "learning_rate is -0.1.*greater than 0"),
        ({"ranges": {"loss.gradient_clip": {"low": 0, "high": 1, "log": True}}}, "low is 0, which has no logarithm"),
        ({"ranges": {"n_steps": {"low": 1.5, "high": 4}}}, "n_steps is 1.5: Input should be a valid integer"),
        ({"ranges": {"batch.n_windows": {"low": 1, "high": 4}}}, "batch: n_windows is 1.*greater than or equal to 2"),
        ({"choices": {"unet.dept": [4, 8]}}, "unet: unknown parameter 'dept'; did you mean 'depth'"),
        ({"choices": {"unet.depth": [4]}}, r"unet.depth has \[4\]; give two values or more"),
        ({"choices": {"unet.depth": [4, 8, 4]}}, r"unet.depth has \[4, 8, 4\]; .* each of them once"),
        ({"choices": {"unet.depth": [4, 8.5]}}, "unet: depth is 8.5.*valid integer"),
        ({"choices": {"learning_rate": [0.1, 0.2]}}, "learning_rate: a parameter is fixed"),
        ({"fixed": {"learning_rate": 0.1}}, "learning_rate: a parameter is fixed"),
        ({"fixed": {"run_dir": "x"}}, "run_dir: .* run_dir is the trial's"),
        ({"fixed": {"devise": "cpu"}}, "unknown parameter 'devise'; did you mean 'device'"),
    ],
)
def test_wrong_settings_stop_it_before_any_work(searcher, tmp_path, change, message):
    with pytest.raises(ParameterError, match=message):
        run_search(searcher(**change))
    assert not searcher.ran and not list(tmp_path.iterdir())


def test_a_parameter_that_counts_gets_whole_numbers(searcher):
    searcher.formula = lambda params: params.n_steps
    search = searcher(ranges={"n_steps": {"low": 1, "high": 3}, "learning_rate": {"low": 1, "high": 2}}, n_trials=20)
    run_search(search)
    assert {params.n_steps for params in searcher.ran} == {1, 2, 3}
    assert all(not params.learning_rate.is_integer() for params in searcher.ran)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"direction": "minimize"}, "direction"),
        ({"ranges": {"learning_rate": {"low": 0.1, "high": 0.2}}}, "ranges"),
        ({"fixed": {"n_steps": 7}}, "files and fixed"),
    ],
)
def test_trials_of_another_search_are_not_mixed_in(searcher, change, named):
    run_search(searcher(n_trials=1))
    with pytest.raises(ParameterError, match=rf"other settings \({named}\); choose another run_dir"):
        run_search(searcher(n_trials=2, **change))
    run_search(searcher(n_trials=2, fixed={"device": "cpu"}))  # changes where, not what
    assert len(searcher.ran) == 2


def test_two_processes_share_a_search(searcher):
    """A second search starts while the first is in trial 0, and takes all others; nothing is run twice."""
    alone = run_search(searcher("alone", n_trials=4))

    def start_another(params):
        searcher.formula = score_by_quadratic
        others = run_search(searcher("shared", n_trials=4))
        assert list(others.state) == ["running", "done", "done", "done"]
        return score_by_quadratic(params)

    searcher.formula = start_another
    trials = run_search(searcher("shared", n_trials=4))
    assert list(trials.state) == ["done"] * 4 and len(searcher.ran) == 4 + 4
    pd.testing.assert_frame_equal(trials.drop(columns="folder"), alone.drop(columns="folder"))


def test_a_trial_whose_process_was_killed_is_done_again(root, searcher, tmp_path):
    script = (
        "import os, signal\n"
        "from anysleep.workbook import runner\n"
        "from anysleep.workbook.search import run_search\n"
        "from anysleep.workbook.search import Search\n"
        "runner.execute = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"run_search(Search(**{ASKED | {'run_dir': str(tmp_path / 'killed'), 'n_trials': 2}!r}))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=root).returncode == -signal.SIGKILL
    trials, in_peace = run_search(searcher("killed", n_trials=2)), run_search(searcher("peace", n_trials=2))
    pd.testing.assert_frame_equal(trials.drop(columns="folder"), in_peace.drop(columns="folder"))
    assert len(searcher.ran) == 2 + 2


def test_the_command_line(searcher, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # pytest keeps its own
    file = tmp_path / "search.yaml"
    file.write_text(yaml.safe_dump(ASKED | {"run_dir": str(tmp_path / "search")}))
    assert main(["search", str(file), "n_trials=4", "fixed.n_steps=5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [f"trial {number}" for number in range(4)]
    scores = [float(line.split()[3]) for line in lines[-4:]]
    assert scores == sorted(scores, reverse=True)
    assert {params.n_steps for params in searcher.ran} == {5}
    assert main(["search", str(file), "seed=1"]) == 2 and "other settings" in capsys.readouterr().err
    assert main(["search", str(tmp_path / "none.yaml")]) == 2 and "none.yaml" in capsys.readouterr().err
    assert main(["search"]) == 2 and "usage" in capsys.readouterr().out


def test_every_search_of_the_repository_fits_its_notebook(root, monkeypatch):
    monkeypatch.chdir(root)
    files = list(root.glob("params/search/*.yaml"))
    assert files
    for file in files:
        assert search_space(Search(**merge_parameters([file], {})))

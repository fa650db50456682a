"""A run in parts: each does its share into one store, and the whole run finds everything done and publishes it."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import toy_predictions
from helpers.toy_predictions import predict, written

from anysleep.analysis.traits.forests import Nights, run_repetitions
from anysleep.analysis.traits.study import Study
from anysleep.analysis.traits.transitions import TRIPLETS
from anysleep.datasets.preparation import prepare_archive, prepare_shard
from anysleep.datasets.recipes import read_recipe
from anysleep.settings import ParameterError, Shard, Strict
from anysleep.synthetic import write_cohort
from anysleep.system.files import project_path
from anysleep.system.jobs import share_of
from anysleep.workbook import run as runs
from anysleep.workbook.arguments import checked_parameters
from anysleep.workbook.notebooks import Predict

archive, checkpoints, checkpoint = toy_predictions.archive, toy_predictions.checkpoints, toy_predictions.checkpoint


@pytest.mark.parametrize("n", [1, 2, 3, 16])
def test_the_shards_are_everything_and_nothing_twice(n):
    shares = [share_of(list("abcdefg"), f"{i}/{n}") for i in range(1, n + 1)]
    assert sorted(item for share in shares for item in share) == list("abcdefg")
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_what_is_no_shard_is_refused():
    class Work(Strict):
        shard: Shard

    assert Work(shard="3/16").shard == "3/16" and Work(shard="").shard == ""
    for wrong in ("0/4", "5/4", "3", "a/b", "1/2/3", "-1/4", "1/0"):
        with pytest.raises(ParameterError, match="no part of the work"):
            Work(shard=wrong)


def test_shards_do_not_write_a_synthetic_cohort_which_each_would_do():
    with pytest.raises(ParameterError, match="every shard would write the synthetic cohort anew"):
        checked_parameters("01_prepare", [project_path("params/demo/01_prepare.yaml")], {"shard": "1/2"})


def given(folder, archive, checkpoint, shard=""):
    words = [f"checkpoint={checkpoint}", f"archive={archive}", f"run_dir={folder}", "channels=[]", f"shard={shard}"]
    return [*words, "predictions_per_epoch=[1, 4]", "allow_synthetic=true", "leave_one_out=false", "device=cpu"]


def test_two_shards_at_once_and_then_the_whole_give_what_one_run_gives(
    root, tmp_path, archive, checkpoint, counted_stagings
):
    command = [sys.executable, "-m", "anysleep", "run", "05_predict"]
    parts = [
        subprocess.Popen(command + given(tmp_path / "run", archive, checkpoint, shard), cwd=root, text=True, stdout=-1)
        for shard in ("1/2", "2/2")
    ]
    said = [part.communicate()[0] for part in parts]
    assert [part.returncode for part in parts] == [0, 0], said
    assert not list((tmp_path / "run").glob("*.csv")) and not list((tmp_path / "run").glob("r*"))
    for name, n_nights in (("1-of-2", 3), ("2-of-2", 2)):
        result = json.loads((tmp_path / "run/shards" / name / "result.json").read_text())
        assert result["scores"] == {"shard": name.replace("-of-", "/")}
        assert f"0 of {n_nights} nights were done before" in said[int(name[0]) - 1]
    predict(tmp_path / "run", checkpoint, archive)
    assert counted_stagings == []
    predict(tmp_path / "alone", checkpoint, archive)
    ours, alone = written(tmp_path / "run"), written(tmp_path / "alone")
    assert alone.items() <= ours.items()
    assert all(name.startswith("shards/") for name in ours.keys() - alone.keys())


@pytest.fixture
def counted_stagings(monkeypatch):
    staged, stage = [], toy_predictions.Night.stage

    def counted(night, *arguments, **options):
        staged.append(night.recording)
        return stage(night, *arguments, **options)

    monkeypatch.setattr(toy_predictions.Night, "stage", counted)
    return staged


def test_shards_and_the_whole_run_exclude_each_other(root, tmp_path, archive, checkpoint, monkeypatch):
    code = "import sys; from anysleep.workbook import run as runs; from anysleep.workbook.notebooks import Predict\n"
    code += "from anysleep.workbook.arguments import checked_parameters, read_words; runs.WAIT_S = 0\n"
    code += "files, words = read_words(sys.argv[1:], Predict)\n"
    code += "print(runs.start_run(checked_parameters('05_predict', files, words)[0]).folder.name)"

    def elsewhere(shard):
        words = given(tmp_path / "run", archive, checkpoint, shard)
        return subprocess.run([sys.executable, "-c", code, *words], cwd=root, capture_output=True, text=True)

    plain = {"run_dir": str(tmp_path / "run"), "checkpoint": str(checkpoint), "archive": str(archive), "shard": "1/2"}
    plain |= {
        "recordings": [],
        "datasets": [],
        "split": "",
        "split_part": "test",
        "channels": [],
        "key_file": "",
        "lights_off": "",
        "lights_on": "",
        "exports": [],
    }
    plain |= {"predictions_per_epoch": [1], "precision": "32", "device": "cpu", "n_devices": 1}
    plain |= dict.fromkeys(["allow_synthetic", "name_by_file", "write_logits", "leave_one_out", "aligned"], False)
    shard = runs.start_run(Predict(**plain))
    assert elsewhere("2/2").stdout == "2-of-2\n"
    for other in ("1/2", ""):
        assert "another run is at work in" in elsewhere(other).stderr
    with pytest.raises(runs.ShardDone, match="shard 1/2 is done"):
        shard.end_shard()
    whole = runs.start_run(Predict(**plain | {"shard": ""}))
    assert "another run is at work in" in elsewhere("1/2").stderr
    whole.end_shard()  # nothing: it is no shard
    whole.finish()


def test_an_archive_prepared_in_shards_is_the_one_prepared_at_once(tmp_path):
    write_cohort(tmp_path / "cohort", n_persons=3, hours=0.1, seed=0)
    recipe = read_recipe(project_path("params/datasets/synthetic.yaml"))
    datasets, settings = [(recipe, tmp_path / "cohort")], {"sampling_rate_hz": 64}
    for shard in ("2/2", "1/2"):
        assert prepare_shard(datasets, tmp_path / "a/archive.h5", shard, **settings) is None
        assert not (tmp_path / "a/archive.h5").exists()
    parts = list((tmp_path / "a/.archive_nights").rglob("*.h5"))
    table, _ = prepare_archive(datasets, tmp_path / "a/archive.h5", **settings)
    assert len(parts) == len(table) > 2
    alone, _ = prepare_archive(datasets, tmp_path / "b/archive.h5", **settings)
    pd.testing.assert_frame_equal(table, alone)
    assert (tmp_path / "a/archive.h5").read_bytes() == (tmp_path / "b/archive.h5").read_bytes()


def test_repetitions_in_shards_are_those_of_one_run(tmp_path):
    rng = np.random.default_rng(0)
    counts = {1: [rng.integers(0, 9, (3, len(TRIPLETS))) for _ in range(6)]}
    nights = Nights(counts, person=np.arange(6), group=np.arange(6), trait=rng.uniform(20, 80, 6), is_class=False)
    study = Study(nights, n_folds=2, n_repetitions=3, seed=0, permuted=[], n_shuffles=0)
    parts = [run_repetitions(nights, study.jobs, 0, tmp_path, 1, shard) for shard in ("1/2", "2/2")]
    assert [len(part) for part in parts] == [2, 1] and len(list(tmp_path.iterdir())) == 3
    whole = run_repetitions(nights, study.jobs, 0, tmp_path, 1)
    assert whole.keys() == parts[0].keys() | parts[1].keys()
    assert all((whole[job] == part[job]).all() for part in parts for job in part)

"""Notebooks on what others have written: other nights, other checkpoints, a second time, after a kill."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import yaml
from helpers.edf_files import signal, write_edf
from helpers.toy_runs import SHORT_TRAINING, read

from anysleep.models import load_checkpoint
from anysleep.workbook.runner import execute

pytestmark = pytest.mark.slow


def test_04_studies_channels_and_compares_checkpoints(tiny, root, tmp_path):
    run = yaml.safe_load((tiny / "04_evaluate" / "params.yaml").read_text())
    (tmp_path / "twin").mkdir()
    shutil.copy(run["checkpoint"], tmp_path / "twin" / "checkpoint.pth")
    given = {name: run[name] for name in ("archive", "checkpoint", "split")} | {
        "run_dir": str(tmp_path / "04_evaluate"),
        "more_checkpoints": [str(tmp_path / "twin" / "checkpoint.pth")],
        "montages": "drawn",
        "draws": {"n_eeg": [0, 1, 3], "n_eog": [0, 1], "n_draws": 2},
        "n_bootstrap": 20,
    }
    execute("04_evaluate", [root / "params" / "demo" / "04_evaluate.yaml"], given)
    study = read(tmp_path, "04_evaluate", "channel_study").set_index("checkpoint")
    points = [[0, 1], [1, 0], [1, 1], [3, 0], [3, 1]]
    for name in ("03_train", "twin"):
        assert sorted(study.loc[name, ["n_eeg", "n_eog"]].to_numpy().tolist()) == points
        assert (study.n_draws[name] == 2).all()
        assert (tmp_path / "04_evaluate" / name / "pred_cms.npz").is_file()
    comparison = read(tmp_path, "04_evaluate", "comparison")
    assert len(comparison) == 6 and (comparison.difference == 0).all()


def test_05_stages_files_without_labels_and_goes_on_after_a_bad_one(tiny, tmp_path):
    recordings = [tmp_path / "bad.edf", tmp_path / "good.edf"]
    write_edf(recordings[1], [signal("EEG Cz", 100, seconds=95), signal("EOG", 50, seconds=95)])
    recordings[0].write_bytes(b"bad")
    given = {
        "run_dir": str(tmp_path / "run"),
        "checkpoint": str(tiny / "03_train" / "checkpoint.pth"),
        "allow_synthetic": True,
        "archive": "",
        "recordings": [str(path) for path in recordings],
        "channels": ["EEG Cz"],  # nothing to leave out
        "predictions_per_epoch": [4],
        "name_by_file": True,
        "key_file": str(tmp_path / "key.csv"),
    }
    execute("05_predict", [], given)
    nights = pd.read_csv(tmp_path / "run" / "nights.csv").set_index("recording")
    assert nights.status.to_dict() == {"good": "ok", "bad": "failed"}
    assert "not a whole EDF or BDF file" in nights.reason["bad"]
    assert nights.number.to_dict() == {"bad": 1, "good": 2} and nights.hypnogram["good"] == "hypnograms/files_good.csv"
    assert len(pd.read_csv(tmp_path / "run" / nights.hypnogram["good"])) == 3
    assert pd.read_csv(tmp_path / "key.csv").file.tolist() == [str(path) for path in recordings]
    with np.load(tmp_path / "run" / "r4" / "predictions.npz") as stages:
        assert stages["files_good"].shape == (12,)
    assert not (tmp_path / "run" / "r4" / "labels.npz").exists()


def test_06_takes_from_a_folder_the_arousals_that_an_archive_lacks(tiny, root, tmp_path):
    archive, folder = shutil.copy(tiny / "01_prepare" / "archive.h5", tmp_path / "archive.h5"), tmp_path / "annotations"
    folder.mkdir()
    with h5py.File(archive, "a") as opened:
        for name, night in opened["synthetic"].items():
            spans = pd.DataFrame(night.pop("arousals")[:], columns=["onset_s", "end_s"])
            spans.to_csv(folder / f"{name}.csv", index=False)
    given = {"archive": str(archive), "annotations": str(folder), "predictions": str(tiny / "05_predict")}
    given |= {"split": "", "start_s": 600.0, "n_bootstrap": 50, "run_dir": str(tmp_path / "06_arousals")}
    execute("06_arousals", [root / "params" / "demo" / "06_arousals.yaml"], given)
    for table in ("expert_events", "events", "counts", "scores", "published_error", "errors", "index", "stage_shares"):
        one, other = read(tiny, "06_arousals", table), read(tmp_path, "06_arousals", table)
        pd.testing.assert_frame_equal(one.drop(columns="run_id"), other.drop(columns="run_id"), check_exact=True)
    inputs = json.loads((tmp_path / "06_arousals" / "provenance.json").read_text())["inputs_sha256"]
    assert sum(role.startswith("annotations of synthetic/") for role in inputs) == len(list(folder.iterdir()))


def test_06_and_04_work_on_own_nights_without_expert_arousals_or_split(tiny, root, tmp_path):
    archive = shutil.copy(tiny / "01_prepare" / "archive.h5", tmp_path / "archive.h5")
    with h5py.File(archive, "a") as opened:
        for night in (night for dataset in opened.values() for night in dataset.values()):
            night.pop("arousals", None)
    data = {"archive": str(archive), "split": "", "n_bootstrap": 50}
    given = data | {"predictions": str(tiny / "05_predict"), "run_dir": str(tmp_path / "06_arousals")}
    execute("06_arousals", [root / "params" / "demo" / "06_arousals.yaml"], given)
    index = read(tmp_path, "06_arousals", "predicted_index")
    result = json.loads((tmp_path / "06_arousals" / "result.json").read_text())
    assert result["scores"]["n_scored"] == 0 and "scores.csv" not in result["outputs"]
    assert set(index.predictions_per_epoch) == {1, 8, 128} and index.predicted_per_h.notna().any()
    given = data | {"checkpoint": str(tiny / "03_train" / "checkpoint.pth"), "cost_channels": []}
    execute(
        "04_evaluate",
        [root / "params" / "demo" / "04_evaluate.yaml"],
        given | {"run_dir": str(tmp_path / "04_evaluate")},
    )
    result = json.loads((tmp_path / "04_evaluate" / "result.json").read_text())
    nights = read(tmp_path, "04_evaluate", "scores").query("level == 'recording'")
    assert (
        result["scores"]["n_recordings"] == len(nights) == read(tiny, "01_prepare", "recordings").n_scored.gt(0).sum()
    )
    assert re.fullmatch(r"0\.\d{3} to 0\.\d{3}", result["scores"]["mf1_interval"])


def test_a_second_run_gives_the_same_tables(tiny, root, tmp_path):
    for notebook, tables in (("07_traits", None), ("08_figures", ["ledger", "mf1_table"])):
        given = yaml.safe_load((tiny / notebook / "params.yaml").read_text())
        del given["run_id"]
        execute(
            notebook,
            [],
            {name: "" if value is None else value for name, value in given.items()}
            | {"run_dir": str(tmp_path / notebook)},
        )
        names = tables or [path.stem for path in (tiny / notebook).glob("*.csv")]
        assert len(names) > 1
        for name in names:
            first, second = ((folder / notebook / f"{name}.csv").read_bytes() for folder in (tiny, tmp_path))
            assert first == second, name


@pytest.fixture(scope="module")
def dynamo(shared, tmp_path_factory):
    """1.4 h of a real EEG channel at 100 Hz, with its stages, as the EDF+ file a lab would have."""
    samples = np.loadtxt(shared / "real" / "dynamo" / "segment_data.csv")
    stages = pd.read_csv(shared / "real" / "dynamo" / "segment_stages.csv")
    return samples, stages, tmp_path_factory.mktemp("dynamo") / "dynamo.edf"


def test_a_real_recording_is_staged_untouched_by_hand(tiny, dynamo, root, tmp_path):
    import edfio

    samples, stages, path = dynamo
    samples = samples[: len(samples) // 100 * 100]
    limit = float(np.ceil(np.abs(samples).max()))
    channel = edfio.EdfSignal(samples, 100, label="EEG", physical_dimension="uV", physical_range=(-limit, limit))
    texts = {5: "W", 4: "R", 3: "1", 2: "2", 1: "3"}
    notes = [
        edfio.EdfAnnotation(round(t, 2), None, f"Sleep stage {texts[code]}")
        for t, code in zip(stages.Time, stages.Stage, strict=True)
    ]
    edfio.Edf([channel], annotations=notes).write(path)
    given = {
        "run_dir": str(tmp_path / "run"),
        "recording": str(path),
        "channels": ["EEG"],
        "name_by_file": True,
        "checkpoint": str(tiny / "03_train" / "checkpoint.pth"),
    }
    demo = [root / "params" / "demo" / "stage_one_night.yaml"]
    with pytest.raises(RuntimeError, match=r"only ever seen synthetic nights.*params/mine"):
        execute("stage_one_night", demo, given)
    assert not list((tmp_path / "run").glob("*.npy"))
    execute("stage_one_night", demo, given | {"allow_synthetic": True})
    n_epochs = len(samples) // 3000
    logits = np.load(tmp_path / "run" / "prediction_dynamo.npy")
    assert logits.shape == (1, n_epochs, 5) and np.isfinite(logits).all()
    notebook = (tmp_path / "run" / "notebook.ipynb").read_text()
    assert "this network has only ever seen synthetic nights" in notebook
    print(f"\n{len(samples) / 360_000:.2f} h of real EEG, {n_epochs} epochs, {len(stages)} stage changes")


def test_a_misspelt_parameter_stops_plain_papermill(tiny, root, tmp_path):
    def papermill(*words):
        command = [sys.executable, "-m", "papermill", "notebooks/02_inspect.ipynb", str(tmp_path / "out.ipynb")]
        command += ["-f", "params/demo/02_inspect.yaml", "-p", "archive", str(tiny / "01_prepare" / "archive.h5")]
        return subprocess.run([*command, *words], cwd=root, capture_output=True, text=True)

    done = papermill("-p", "run_dir", str(tmp_path / "misspelt"), "-p", "recordng", "syn001-night1")
    assert done.returncode != 0 and "unknown parameter 'recordng'; did you mean 'recording'" in done.stderr
    assert not (tmp_path / "misspelt").exists()


def papermill(root, notebook, folder, given) -> subprocess.Popen:
    """Plain papermill, as a user would start it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "given.yaml").write_text(yaml.safe_dump(given | {"run_dir": str(folder)}))
    command = [sys.executable, "-m", "papermill", f"notebooks/{notebook}.ipynb", str(folder / "notebook.ipynb")]
    command += ["-f", f"params/demo/{notebook}.yaml", "-f", str(folder / "given.yaml"), "--no-progress-bar"]
    own = os.environ | {"TMPDIR": str(folder)}  # where a killed one leaves the file of its connection to the kernel
    return subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL, env=own)


def test_plain_papermill_runs_a_notebook_to_its_end(tiny, root, tmp_path):
    """Without the runner: the same tables, and the result that says that it has come to its end."""
    given = {"archive": str(tiny / "01_prepare" / "archive.h5"), "start_s": 600.0}
    assert papermill(root, "02_inspect", tmp_path / "02_inspect", given).wait() == 0
    result, theirs = (json.loads((folder / "02_inspect" / "result.json").read_text()) for folder in (tmp_path, tiny))
    assert result["outputs"] == theirs["outputs"] and result["scores"] == theirs["scores"]
    for table in ("recordings", "stages", "missing_channels"):
        ours, other = (read(folder, "02_inspect", table) for folder in (tmp_path, tiny))
        pd.testing.assert_frame_equal(ours.drop(columns="run_id"), other.drop(columns="run_id"), check_exact=True)


def test_a_training_killed_and_run_again_ends_in_the_same_tables(tiny, root, tmp_path):
    """By papermill alone: everything is killed after the first validation, and run again."""
    data = {"archive": str(tiny / "01_prepare" / "archive.h5")}
    training = tmp_path / "03_train"
    state = training / "training" / "state.pt"
    killed = papermill(root, "03_train", training, data | SHORT_TRAINING)
    while not state.is_file():
        assert killed.poll() is None
        time.sleep(0.05)
    started = [psutil.Process(killed.pid), *psutil.Process(killed.pid).children(recursive=True)]
    for process in started:
        process.kill()
    killed.wait()
    assert not (training / "result.json").exists()
    assert papermill(root, "03_train", training, data | SHORT_TRAINING).wait() == 0
    again = load_checkpoint(training / "checkpoint.pth")
    for name, tensor in load_checkpoint(tiny / "03_train" / "checkpoint.pth").state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    ours, theirs = (read(folder, "03_train", "history").drop(columns="run_id") for folder in (tmp_path, tiny))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    before = (training / "checkpoint.pth").read_bytes()
    assert papermill(root, "03_train", training, data | SHORT_TRAINING).wait() == 0
    assert "finished already, after step 4" in (training / "notebook.ipynb").read_text()
    assert (training / "checkpoint.pth").read_bytes() == before  # what later notebooks have used is still there
    assert papermill(root, "03_train", training, data | SHORT_TRAINING | {"retrain": True}).wait() == 0
    assert "finished already" not in (training / "notebook.ipynb").read_text()

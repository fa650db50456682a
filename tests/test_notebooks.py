"""The notebooks run headless, one after the other, on a tiny cohort, and their tables hold what they say."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time

import h5py
import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import yaml
from test_recordings import signal, write_edf

from anysleep.datasets.archive import Archive
from anysleep.models import load_checkpoint
from anysleep.paper.published import read_results
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import MARK
from anysleep.workbook.runner import execute

SHORT_TRAINING = {
    "unet": {"depth": 6, "complexity": 1.0},
    "batch": {"n_windows": 4, "window_epochs": 8, "max_channels": 2},
    "n_steps": 4,
    "steps_per_training_epoch": 2,
}
STAGES = ["Wake", "N1", "N2", "N3", "REM"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, root):
    """Folder of a profile in which every notebook ran once: four persons, one hour a night, four steps of training."""
    folder = tmp_path_factory.mktemp("tiny")
    data = {"archive": str(folder / "01_prepare" / "archive.h5")}
    trained = {"checkpoint": str(folder / "03_train" / "checkpoint.pth")}
    predicted = {"predictions": str(folder / "05_predict")}
    changes = {
        "01_prepare": {
            "datasets": {"params/datasets/synthetic.yaml": str(folder / "cohort")},
            "synthetic_dir": str(folder / "cohort"),
            "n_synthetic_persons": 4,
            "synthetic_hours": 1.0,
        },
        "02_inspect": {**data, "start_s": 600.0},
        "03_train": {**data, **SHORT_TRAINING},
        "04_evaluate": {**data, **trained, "split": str(folder / "03_train" / "split.yaml"), "cost_channels": []},
        "05_predict": {**data, **trained, "predictions_per_epoch": [1, 8, 128]},
        "06_arousals": {**data, **predicted, "split": "", "start_s": 600.0, "n_bootstrap": 50},
        "07_traits": {**data, **predicted, "n_folds": 2, "n_repetitions": 2, "n_bootstrap": 50, "n_jobs": 1},
        "08_figures": {"runs": [str(folder / "0*")]},
        "stage_one_night": {**trained, "recording": str(folder / "cohort" / "syn002-night1.edf")},
    }
    for notebook in NOTEBOOKS:
        given = changes[notebook] | {"run_dir": str(folder / notebook)}
        execute(notebook, [root / "params" / "demo" / f"{notebook}.yaml"], given)
    return folder


def read(folder, notebook, table):
    frame = pd.read_csv(folder / notebook / f"{table}.csv", dtype={"subject": str, "run_id": str})
    run_id = yaml.safe_load((folder / notebook / "params.yaml").read_text())["run_id"]
    assert (frame.run_id == run_id).all()
    return frame


def test_every_run_ends_with_a_result_and_all_its_files(tiny):
    for notebook in NOTEBOOKS:
        result = json.loads((tiny / notebook / "result.json").read_text())
        missing = [name for name in result["outputs"] if not (tiny / notebook / name).stat().st_size]
        assert result["notebook"] == notebook and not missing


def test_01_writes_an_archive_of_every_recording(tiny):
    table = read(tiny, "01_prepare", "recordings")
    assert (table.status == "ok").all() and (table.n_epochs == 120).all() and (table.n_scored == 120).all()
    people = pd.read_csv(tiny / "cohort" / "participants.tsv", sep="\t").set_index("subject")
    with Archive(tiny / "01_prepare" / "archive.h5") as archive:
        nights = archive.recordings()
    assert set(nights.recording) == set(table.recording)
    assert (nights.age.to_numpy() == people.age[nights.subject].to_numpy()).all()
    assert set(nights.channels) == {("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "E2-M2")}


def test_02_counts_every_epoch(tiny):
    stages = read(tiny, "02_inspect", "stages")
    assert (stages[[*STAGES, "unscored"]].sum(axis=1) == stages.n_epochs).all()
    with Archive(tiny / "01_prepare" / "archive.h5") as archive:
        first = archive.hypnogram("synthetic", stages.recording[0])
    assert stages.loc[0, STAGES].tolist() == np.bincount(first, minlength=5).tolist()


def test_03_trains_and_says_how(tiny):
    history = read(tiny, "03_train", "history")
    assert history.step.tolist() == [2, 4] and np.isfinite(history.train_loss).all()
    assert history.train_mf1.between(0, 1).all() and history.valid_mf1_synthetic.equals(history.valid_mf1)
    model = load_checkpoint(tiny / "03_train" / "checkpoint.pth")
    assert model.provenance["synthetic"] is True and model.provenance["n_steps"] == 4
    assert model.provenance["valid_mf1"] == pytest.approx(history.valid_mf1.max())


def test_04_scores_persons_that_training_has_not_seen(tiny):
    scores, cells = read(tiny, "04_evaluate", "scores"), read(tiny, "04_evaluate", "confusion")
    split = yaml.safe_load((tiny / "03_train" / "split.yaml").read_text())
    tested = scores[scores.level == "recording"]
    assert sorted(tested.recording) == split["test"]["synthetic"]
    assert not {name[:6] for name in tested.recording} & {name[:6] for name in split["train"]["synthetic"]}
    overall = scores[scores.level == "all"].iloc[0]
    assert overall.n_epochs == cells.n_epochs.sum() == 120 * len(tested)
    assert overall.accuracy == pytest.approx(cells.n_epochs[cells.truth == cells.prediction].sum() / overall.n_epochs)
    with np.load(tiny / "04_evaluate" / "pred_cms.npz") as confusions:
        keys = {f"synthetic#{name}#F3-M2&F4-M1&C3-M2&C4-M1&O1-M2&O2-M1&E1-M2&E2-M2" for name in tested.recording}
        assert set(confusions) == keys and sum(confusions.values()).ravel().tolist() == cells.n_epochs.tolist()
    intervals = read(tiny, "04_evaluate", "intervals").set_index(["level", "score"]).estimate
    assert intervals["all", "mf1"] == pytest.approx(overall.mf1)
    reviewed = read(tiny, "04_evaluate", "review").set_index("share_reviewed")
    assert reviewed.mf1[0] == pytest.approx(overall.mf1) and reviewed.accuracy[1] == 1


def test_runs_say_which_data_their_network_learned_from(tiny):
    for notebook, role in (("04_evaluate", "checkpoint_1"), ("05_predict", "checkpoint")):
        provenance = json.loads((tiny / notebook / "provenance.json").read_text())
        assert provenance["learned_from"] == {role: ["synthetic"]} and role in provenance["inputs_sha256"]


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


def test_05_writes_every_night_at_every_resolution(tiny):
    nights, attention = read(tiny, "05_predict", "nights"), read(tiny, "05_predict", "attention")
    assert (nights.status == "ok").all() and (nights.TIB == 60).all()
    weights = attention.groupby(["recording", "module"]).weight.sum()
    assert weights.to_numpy() == pytest.approx(1, abs=1e-5)
    montage = "F3-M2&C3-M2&O1-M2&E1-M2"
    for r in (1, 8, 128):
        folder = tiny / "05_predict" / f"r{r}"
        with np.load(folder / "predictions.npz") as stages, np.load(folder / "logits" / "predictions.npz") as logits:
            assert set(stages) == {f"synthetic_{recording}" for recording in nights.recording}
            ours = logits[f"synthetic#syn001-night1#{montage}"]
            assert ours.shape == (120 * r, 5) and ours.dtype == np.float32
            assert (stages["synthetic_syn001-night1"] == ours.argmax(axis=1)).all()
        with np.load(folder / "labels.npz") as labels, Archive(tiny / "01_prepare" / "archive.h5") as archive:
            truth = archive.hypnogram("synthetic", "syn001-night1")
            assert (labels["synthetic_syn001-night1"] == truth).all()


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


def test_05_has_sleep_statistics_of_every_night_and_resolution(tiny):
    nights, statistics = read(tiny, "05_predict", "nights"), read(tiny, "05_predict", "statistics")
    assert (nights.network == "anysleep").all()
    assert len(statistics) == 3 * len(nights) and (statistics.TIB == 60).all()
    at_30_s = statistics[statistics.predictions_per_epoch == 1]
    assert at_30_s.TST.tolist() == nights.TST.tolist() and (at_30_s.n_short_awakenings == 0).all()


def test_06_scores_every_arousal_of_the_archive(tiny):
    counts, expert = read(tiny, "06_arousals", "counts"), read(tiny, "06_arousals", "expert_events")
    with Archive(tiny / "01_prepare" / "archive.h5") as archive:
        known = {name: len(archive.arousals("synthetic", name)) for name in archive.recordings().recording}
    assert expert.groupby("recording").size().to_dict() == known
    one = counts[counts.matching == "one_to_one"]
    assert (one.true_positives + one.false_negatives == one.recording.map(known)).all()
    assert (one.true_positives + one.false_positives == one.n_predicted).all()


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
    for table in ("expert_events", "events", "counts", "scores", "slip", "errors", "index", "stage_shares"):
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


def test_07_tells_every_person_by_forests_of_others(tiny):
    told, summary = read(tiny, "07_traits", "predictions"), read(tiny, "07_traits", "summary")
    nights = read(tiny, "05_predict", "nights")
    assert (told.groupby(["predictions_per_epoch", "repetition"]).size() <= len(nights)).all()
    one = told[(told.predictions_per_epoch == 8) & (told.repetition == 0)]
    score = read(tiny, "07_traits", "scores").set_index(["predictions_per_epoch", "repetition"]).score[8, 0]
    assert score == pytest.approx(np.sqrt(np.mean((one.prediction - one.truth) ** 2)))
    assert (summary.n_persons == told.subject.nunique()).all() and (
        summary.gain == summary.baseline - summary["mean"]
    ).all()


"""One person left out at a time, as in the paper, and as little work as can be."""


def test_08_has_a_row_for_every_published_number_and_takes_synthetic_nights_for_none(tiny):
    rows = read(tiny, "08_figures", "ledger")
    assert len(rows) == len(read_results()) == 333
    assert (rows.verdict == "not measured").all() and rows.reason.str.startswith("no run of").all()
    figures = {path.stem for path in (tiny / "08_figures" / "figures").glob("*.svg")}
    assert figures >= {
        "channel_numbers",
        "channel_pairs",
        "attention",
        "cost",
        "traits",
        "arousal_excerpt",
        "statistics",
    }


def test_a_second_run_gives_the_same_tables(tiny, root, tmp_path):
    for notebook, tables in (("06_arousals", None), ("07_traits", None), ("08_figures", ["ledger", "mf1_table"])):
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


def test_one_night_writes_logits_and_a_hypnogram_with_clock_times(tiny):
    folder, name = tiny / "stage_one_night", "syn002-night1"
    logits = np.load(folder / f"prediction_{name}.npy")
    table = read(tiny, "stage_one_night", f"hypnogram_{name}")
    assert logits.shape == (1, 120, 5) and len(table) == 120
    assert [STAGES[i] for i in logits[0].argmax(axis=1)] == table.stage.tolist()
    clock = pd.to_timedelta(table.clock_time).dt.total_seconds()
    assert (clock.diff().dropna() % 86400 == 30).all()
    probabilities = np.exp(logits[0]) / np.exp(logits[0]).sum(axis=1, keepdims=True)
    assert np.abs(table[[f"p_{stage.lower()}" for stage in STAGES]].to_numpy() - probabilities).max() < 1e-4


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


def test_plain_papermill_works_and_a_misspelt_parameter_stops_it(tiny, root, tmp_path):
    def papermill(*words):
        command = [sys.executable, "-m", "papermill", "notebooks/02_inspect.ipynb", str(tmp_path / "out.ipynb")]
        command += ["-f", "params/demo/02_inspect.yaml", "-p", "archive", str(tiny / "01_prepare" / "archive.h5")]
        return subprocess.run([*command, *words], cwd=root, capture_output=True, text=True)

    done = papermill("-p", "run_dir", str(tmp_path / "good"), "-p", "start_s", "60.0")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "good" / "result.json").is_file()
    done = papermill("-p", "run_dir", str(tmp_path / "misspelt"), "-p", "recordng", "syn001-night1")
    assert done.returncode != 0 and "unknown parameter 'recordng'; did you mean 'recording'" in done.stderr
    assert not (tmp_path / "misspelt").exists()


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_are_committed_clean_and_follow_the_skeleton(root, notebook):
    book = nbformat.read(root / "notebooks" / f"{notebook}.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert book.metadata.kernelspec.name == "python3"
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert all(part in prose for part in ("**Reads**", "**Writes**", "**Runtime**", "## Data", "## Method"))
    assert all(part in prose for part in ("## Result", "## Checks", "## Outputs"))
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]  # a line a parameter, see below
    lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code if cell not in tagged]
    assert max(lengths) <= 20 and np.median(lengths) <= 5, lengths
    assert len(tagged) == 1 and tagged[0].source.startswith(MARK)
    names = [node.target.id for node in ast.parse(tagged[0].source).body]
    assert set(names) == set(NOTEBOOKS[notebook].model_fields)
    assert all(line.count("  # ") == 1 for line in tagged[0].source.splitlines()[1:])
    assert not any("class " in cell.source or "def " in cell.source for cell in code)


def test_answers_are_shut_and_print_nothing(root):
    """JupyterLab shows hidden outputs again after Run All, so what a cell shows is shut itself."""
    books = [nbformat.read(path, as_version=4) for path in (root / "notebooks").glob("*.ipynb")]
    answers = [cell for book in books for cell in book.cells if "answer" in cell.metadata.get("tags", [])]
    assert len(answers) == 5
    for cell in answers:
        *_, last = ast.parse(cell.source).body
        assert last.value.func.id == "closed_answer" and "print(" not in cell.source
        assert cell.metadata.jupyter == {"source_hidden": True}


def test_papermill_shows_every_parameter(root):
    for notebook, params in NOTEBOOKS.items():
        path = root / "notebooks" / f"{notebook}.ipynb"
        shown = subprocess.run(
            [sys.executable, "-m", "papermill", "--help-notebook", str(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert not [name for name in params.model_fields if f"{name}:" not in shown], shown


def papermill(root, notebook, folder, given) -> subprocess.Popen:
    """Plain papermill, as a user would start it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "given.yaml").write_text(yaml.safe_dump(given | {"run_dir": str(folder)}))
    command = [sys.executable, "-m", "papermill", f"notebooks/{notebook}.ipynb", str(folder / "notebook.ipynb")]
    command += ["-f", f"params/demo/{notebook}.yaml", "-f", str(folder / "given.yaml"), "--no-progress-bar"]
    own = os.environ | {"TMPDIR": str(folder)}  # where a killed one leaves the file of its connection to the kernel
    return subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL, env=own)


def test_a_training_killed_and_run_again_ends_in_the_same_tables(tiny, root, tmp_path):
    """By papermill alone: everything is killed after the first validation, run again, and evaluated."""
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
    given = data | {"checkpoint": str(training / "checkpoint.pth"), "split": str(training / "split.yaml")}
    assert papermill(root, "04_evaluate", tmp_path / "04_evaluate", given).wait() == 0
    for notebook, tables in (("03_train", ["history"]), ("04_evaluate", ["scores", "intervals", "reliability"])):
        for table in tables:
            ours, theirs = (read(folder, notebook, table).drop(columns="run_id") for folder in (tmp_path, tiny))
            pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    before = (training / "checkpoint.pth").read_bytes()
    assert papermill(root, "03_train", training, data | SHORT_TRAINING).wait() == 0
    assert "finished already, after step 4" in (training / "notebook.ipynb").read_text()
    assert (training / "checkpoint.pth").read_bytes() == before  # what later notebooks have used is still there
    assert papermill(root, "03_train", training, data | SHORT_TRAINING | {"retrain": True}).wait() == 0
    assert "finished already" not in (training / "notebook.ipynb").read_text()

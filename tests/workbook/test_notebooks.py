"""The notebooks run headless, one after the other, on a tiny cohort, and their tables hold what they say."""

import json
import re

import edfio
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.toy_runs import read

from anysleep.datasets.archive import Archive
from anysleep.models import load_checkpoint
from anysleep.paper.results import read_results
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.runner import execute

STAGES = ["Wake", "N1", "N2", "N3", "REM"]


def test_every_run_ends_with_a_result_and_all_its_files(tiny):
    for notebook in NOTEBOOKS:
        result = json.loads((tiny / notebook / "result.json").read_text())
        missing = [name for name in result["outputs"] if not (tiny / notebook / name).stat().st_size]
        assert result["notebook"] == notebook and not missing


def test_no_table_that_is_shown_is_longer_than_a_page(tiny):
    for notebook in NOTEBOOKS:
        book = nbformat.read(tiny / notebook / "notebook.ipynb", as_version=4)
        outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
        tables = [output.get("data", {}).get("text/html", "") for output in outputs]
        assert 0 < max(html.count("<tr") for html in tables) <= 40, notebook


def test_01_writes_an_archive_of_every_recording(tiny):
    table = read(tiny, "01_prepare", "recordings")
    assert (table.status == "ok").all() and (table.n_epochs == 120).all() and (table.n_scored == 120).all()
    people = pd.read_csv(tiny / "cohort" / "participants.tsv", sep="\t").set_index("subject")
    result = json.loads((tiny / "01_prepare" / "result.json").read_text())
    with Archive(tiny / "01_prepare" / "archive.h5") as archive:
        nights = archive.recordings()
        assert result["inputs_sha256"]["archive"] == archive.fingerprint()  # else nobody sees that it has changed
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


def test_finer_stages_of_one_night_come_with_those_at_30_s_and_all_that_was_asked_for(tiny, root, tmp_path):
    given = {
        "run_dir": str(tmp_path / "run"),
        "recording": str(tiny / "cohort" / "syn002-night1.edf"),
        "labels": str(tmp_path / "expert.txt"),
        "labels_as": {"reader": "table", "columns": {"epoch": "Nr", "stage": "Phase"}, "codes": {"Tief": "N3"}},
        "checkpoint": str(tiny / "03_train" / "checkpoint.pth"),
        "predictions_per_epoch": 8,
        "lights_off": "600",
        "exports": ["bids", "luna_eannot", "polyman"],
    }
    scored = np.tile([0, 1, 2, 3, 4, 2], 20)  # not what the recording itself says
    names = ["Wake", "N1", "N2", "Tief", "REM"]
    rows = [f"{i};{names[stage]}" for i, stage in enumerate(scored, start=1)]
    (tmp_path / "expert.txt").write_text("\n".join(["Export of 1 May", "Nr;Phase", *rows]))
    execute("stage_one_night", [root / "params" / "demo" / "stage_one_night.yaml"], given)
    staged = pd.read_csv(tmp_path / "run" / "hypnogram_30s_syn002-night1.csv").stage
    notebook = nbformat.read(tmp_path / "run" / "notebook.ipynb", 4)
    (agreement,) = [cell for cell in notebook.cells if cell.source.startswith("agreement = None")]
    accuracy = np.mean(staged == [STAGES[stage] for stage in scored])
    assert re.search(rf"accuracy +{accuracy:.3f}\n", agreement.outputs[-1].data["text/plain"])
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert "labels" in result["inputs_sha256"] and result["scores"]["accuracy"] == pytest.approx(accuracy, abs=5e-4)
    assert f"agree with a kappa of {result['scores']['kappa']:.2f}" in agreement.outputs[0].text
    assert {path.name for path in (tmp_path / "run").glob("hypnogram*")} == {
        f"hypnogram_{name}{suffix}"
        for name in ("syn002-night1", "30s_syn002-night1")
        for suffix in (".csv", "_events.tsv", "_events.json", "_polyman.txt")
    } | {"hypnogram_30s_syn002-night1.eannot", "hypnogram_30s_syn002-night1.edf"}
    notes = edfio.read_edf(tmp_path / "run" / "hypnogram_30s_syn002-night1.edf").annotations
    assert [note.onset for note in notes if note.text.startswith("Sleep stage")] == [30 * i for i in range(120)]
    assert [note.onset for note in notes if note.text.startswith("Lights")] == [600]
    statistics = pd.read_csv(tmp_path / "run" / "statistics_syn002-night1.csv").set_index("statistic")
    assert statistics.value.TIB == 50 and statistics.unit.arousal_index == "1/h"
    assert set(statistics.lights_from) == {"parameter, recording"}
    for name, r in (("syn002-night1", 8), ("30s_syn002-night1", 1)):
        assert len(pd.read_csv(tmp_path / "run" / f"hypnogram_{name}.csv")) == 120 * r


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

"""Cohorts staged night by night: right, the same however often they were stopped, and nothing done twice."""

import json
import multiprocessing
import os
import signal
import weakref
from collections import Counter
from pathlib import Path
from shutil import copytree

import edfio
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import toy_predictions
from helpers.toy_evaluation import stage_night
from helpers.toy_predictions import N_NIGHTS, RESOLUTIONS, done, load, predict, write_archive, written
from helpers.toy_training import RATE_HZ, toy_network

from anysleep.__main__ import main
from anysleep.analysis.channel_importance import channel_importance, leave_one_out
from anysleep.analysis.statistics import night_statistics, statistics_table
from anysleep.analysis.verdict import night_verdict
from anysleep.datasets.archive import Archive, DatasetFiles, assemble_archive
from anysleep.models import load_checkpoint, save_checkpoint
from anysleep.recordings.labels import STANDARD_CODES
from anysleep.recordings.labels.edf import read_edf_scoring
from anysleep.recordings.labels.hypnogram import known_or_standard
from anysleep.stages import AROUSAL_TEXT, STAGES
from anysleep.staging.nights import Night, voted_hypnogram
from anysleep.staging.predictions import Predictions
from anysleep.staging.sources import ArchivedNight, jobs_of_archive
from anysleep.staging.stage import stage_montages
from anysleep.system.files import NpzWriter
from anysleep.workbook.predicted_night import Wanted, stage_nights
from anysleep.workbook.predictions import write_predictions
from anysleep.workbook.run import Run

archive, counted = toy_predictions.archive, toy_predictions.counted
checkpoints, checkpoint = toy_predictions.checkpoints, toy_predictions.checkpoint


@pytest.fixture(scope="module")
def peace(archive, checkpoints, tmp_path_factory):
    """The folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("peace")
    predict(folder, checkpoints["anysleep"], archive)
    return folder


def test_the_files_hold_what_the_network_says(archive, checkpoint, peace):
    """The network is asked here without any of the library's staging."""
    network = load_checkpoint(checkpoint)
    weights = pd.read_csv(peace / "attention.csv").set_index(["recording", "module", "channel"]).weight
    with Archive(archive) as opened:
        for night in (f"n{i}" for i in range(N_NIGHTS)):
            signals = opened.signals("toy", night, ["F3", "C3", "E1"])
            with torch.inference_mode():
                features, attention = network.features(torch.from_numpy(signals.T[None]))
                expected = {r: network.classify(features, r)[0].numpy() for r in RESOLUTIONS}
            for r, logits in expected.items():
                ours = load(peace, f"r{r}/logits/predictions")[f"toy#{night}#F3&C3&E1"]
                assert ours.dtype == np.float32 and np.abs(ours - logits).max() < 1e-4
                stages, truth = ours.argmax(axis=1), opened.hypnogram("toy", night)
                if night == "n2":
                    stages[2 * r : int(np.ceil(80 / 30 * r))] = 9  # from 60 to 80 s the recorder paused
                saved = load(peace, f"r{r}/predictions")[f"toy_{night}"]
                assert saved.dtype == np.int8 and saved.tolist() == stages.tolist()
                labels = load(peace, f"r{r}/labels").get(f"toy_{night}")
                assert labels is truth is None or (labels.dtype == np.int8 and (labels == truth).all())
            for module, by_channel in enumerate(attention[:, 0].tolist()):
                assert weights[night, module].tolist() == pytest.approx(by_channel, abs=1e-6)
    assert list(load(peace, "r1/predictions")) == [f"toy_n{i}" for i in range(N_NIGHTS)]
    nights = pd.read_csv(peace / "nights.csv")
    assert nights.TIB.tolist() == [3, 3.5, 4, 3, 3.5] and (nights.n_channels == 3).all()
    said = [
        night_verdict(load(peace, "r1/predictions")[f"toy_n{i}"], c, None, None)[0]
        for i, c in enumerate(nights.mean_confidence)
    ]
    assert nights.verdict.tolist() == said


def test_every_night_has_a_hypnogram_that_people_can_open(checkpoint, peace, archive, tmp_path):
    nights = pd.read_csv(peace / "nights.csv")
    assert nights.number.tolist() == [1, 2, 3, 4, 5] and nights.hypnogram[2] == "hypnograms/toy_n2.csv"
    for night in nights.itertuples():
        table = pd.read_csv(peace / night.hypnogram)
        assert (table.run_id == "id").all() and ("clock_time" in table) == (night.recording != "n1")
        codes = table.stage.map({**{name: code for code, name in enumerate(STAGES)}, "unscored": 9})
        assert codes.tolist() == load(peace, "r1/predictions")[f"toy_{night.recording}"].tolist()
        assert table.onset_s.tolist() == [30.0 * i for i in range(len(table))] and (table.duration_s == 30).all()
        logits = load(peace, "r1/logits/predictions")[f"toy#{night.recording}#F3&C3&E1"]
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert np.abs(table.filter(like="p_").to_numpy() - expected).max() < 1e-4
    assert pd.read_csv(peace / nights.hypnogram[3]).clock_time[:3].tolist() == ["23:59:03", "23:59:33", "00:00:03"]
    copytree(peace, tmp_path / "run")
    predict(tmp_path / "run", checkpoint, write_archive(tmp_path / "small.h5", 2))
    left = sorted(path.name for path in (tmp_path / "run" / "hypnograms").iterdir())
    assert left == ["toy_n0.csv", "toy_n0.edf", "toy_n1.csv", "toy_n1.edf"]


def test_hypnograms_are_exported_with_the_run_or_afterwards(checkpoint, peace, archive, tmp_path, capsys):
    copytree(peace, tmp_path / "run")
    run = Run(None, tmp_path / "run", "id")
    jobs = jobs_of_archive(load_checkpoint(checkpoint), archive)
    options = {"write_logits": True, "device": "cpu", "exports": ["bids", "luna_eannot", "csv"]}
    write_predictions(run, checkpoint, jobs, RESOLUTIONS, **options)
    with_the_run = written(tmp_path / "run" / "hypnograms")
    assert set(with_the_run) == {
        f"toy_n{i}{suffix}"
        for i in range(N_NIGHTS)
        for suffix in (".csv", ".edf", "_events.tsv", "_events.json", ".eannot")
    }
    assert {f"hypnograms/{name}" for name in with_the_run} <= set(run.outputs)
    ended = {"outputs": run.outputs, "scores": {"network": "anysleep"}}
    (tmp_path / "run" / "result.json").write_text(json.dumps(ended))
    assert main(["export", str(tmp_path / "run"), "yasa", "edf"]) == 0
    said = capsys.readouterr().out
    assert "10 files written" in said and said.count("\n  hypnograms/") == 10
    afterwards = written(tmp_path / "run" / "hypnograms")
    stages = known_or_standard(read_edf_scoring(tmp_path / "run" / "hypnograms" / "toy_n2.edf").stages, STANDARD_CODES)
    assert stages.tolist() == load(tmp_path / "run", "r1/predictions")["toy_n2"].tolist()
    assert {name: afterwards[name] for name in with_the_run} == with_the_run
    assert {f"toy_n{i}_yasa.json" for i in range(N_NIGHTS)} == set(afterwards) - set(with_the_run)
    for words, message in (([str(tmp_path)], "there is no hypnogram in"), ([str(run.folder), "docx"], "format 'docx'")):
        assert main(["export", *words]) == 2 and message in capsys.readouterr().err


LIGHTS = {"lights_off_s": 20.0, "lights_off_from": "annotations"}


def test_lights_go_from_the_archive_into_table_and_exports(checkpoint, peace, tmp_path, counted, capsys):
    """Those of a parameter where the archive tells none; a night they do not fit is a row with the reason."""
    path = write_archive(tmp_path / "toy.h5", 3)
    with h5py.File(path, "r+") as file:
        file["toy/n0"].attrs.update(LIGHTS)
    run = Run(None, tmp_path / "run", "id")
    jobs = jobs_of_archive(load_checkpoint(checkpoint), path)
    nights = write_predictions(run, checkpoint, jobs, [1], device="cpu", lights=("60", "00:01:30"))["nights"]
    assert nights.status.tolist() == ["ok", "failed", "ok"] and nights.lights_on_s[2] == 148
    assert "00:01:30 has no place, since the recording tells no clock; say seconds" in nights.reason[1]
    nights = write_predictions(run, checkpoint, jobs, [1], device="cpu", lights=("60", "150"))["nights"]
    run.table("nights", nights)
    assert counted["stage"].total() == 3  # other lights need no staging
    assert nights.lights_off_s.tolist() == [20, 60, 60] and nights.TIB.tolist() == [2, 1.5, 1.5]
    assert nights.lights_from.tolist() == ["annotations, parameter", "parameter", "parameter"]
    stages = load(tmp_path / "run", "r1/predictions")["toy_n2"]
    assert nights.TST[2] == night_statistics(stages, (60, 150))["TST"]
    assert statistics_table(Predictions(tmp_path / "run", unfinished=True), nights).TIB.tolist() == nights.TIB.tolist()
    file = tmp_path / "run" / "hypnograms" / "toy_n0.edf"
    assert read_edf_lights(file) == {"Lights off": 20, "Lights on": 150}
    file.unlink()
    assert main(["export", str(tmp_path / "run"), "edf"]) == 0
    assert read_edf_lights(file) == {"Lights off": 20, "Lights on": 150}


def test_arousals_of_the_finest_resolution_go_into_table_and_exports(checkpoint, tmp_path, monkeypatch):
    path, run = write_archive(tmp_path / "toy.h5", 1), Run(None, tmp_path / "run", "id")
    jobs = jobs_of_archive(load_checkpoint(checkpoint), path)
    found = lambda stages, r: np.array([[61.0, 66.5]]) if (len(stages), r) == (6 * 8, 8) else None  # noqa: E731
    monkeypatch.setattr("anysleep.workbook.predicted_night.detect_arousals", found)
    assert "n_arousals" not in write_predictions(run, checkpoint, jobs, [1], device="cpu")["nights"]
    nights = write_predictions(run, checkpoint, jobs, [1, 2, 8], device="cpu")["nights"]
    stages = load(tmp_path / "run", "r1/predictions")["toy_n0"]
    assert nights.n_arousals[0] == night_statistics(stages, (None, None), [[61.0, 66.5]])["n_arousals"]
    notes = edfio.read_edf(tmp_path / "run" / "hypnograms" / "toy_n0.edf").annotations
    assert [(note.onset, note.duration) for note in notes if note.text == AROUSAL_TEXT] == [(61.0, 5.5)]


def test_without_lights_the_recording_stands_in_and_no_export_says_otherwise(peace):
    nights = pd.read_csv(peace / "nights.csv")
    assert (nights.lights_from == "recording").all() and (nights.lights_on_s == nights.n_epochs * 30).all()
    assert read_edf_lights(peace / "hypnograms" / "toy_n0.edf") == {}


def read_edf_lights(path):
    notes = edfio.read_edf(path).annotations
    return {note.text: note.onset for note in notes if note.text.startswith("Lights")}


def test_where_nobody_scored_there_is_no_file_of_labels(checkpoint, tmp_path):
    files = write_archive(tmp_path / "both.h5", 2), write_archive(tmp_path / "second.h5", 2)
    with h5py.File(files[1], "r+") as file:
        del file["toy/n0"]  # leaves the night that nobody scored
    for archive, expected in zip(files, (["toy_n0"], None), strict=True):
        predict(tmp_path / "run", checkpoint, archive)
        labels = [tmp_path / "run" / f"r{r}" / "labels.npz" for r in RESOLUTIONS]
        assert [list(np.load(file)) if file.is_file() else None for file in labels] == [expected, expected]


def test_usleep_votes_over_pairs_and_keeps_the_logits_of_each(archive, checkpoints, tmp_path):
    _, attention = predict(tmp_path, checkpoints["usleep"], archive)
    assert attention.empty
    logits, stages = load(tmp_path, "r4/logits/predictions"), load(tmp_path, "r4/predictions")
    assert list(logits) == [f"toy#n{i}#{eeg}#E1" for i in range(N_NIGHTS) for eeg in ("F3", "C3")]
    network = load_checkpoint(checkpoints["usleep"])
    with Archive(archive) as opened:
        stagings = stage_night(network, opened, "toy", "n0", resolutions=[4])
    assert (stages["toy_n0"] == voted_hypnogram(stagings, 4)).all()
    assert (logits["toy#n0#C3#E1"] == stagings["C3", "E1"].logits[4]).all()


def die_at(moment: str, nth: int, folder: Path, checkpoint: Path, archive: Path) -> None:
    """Predict in this process, and kill it before the nth call of what `moment` says."""
    owner, name = {"reading": (ArchivedNight, "read"), "staging": (Night, "stage"), "adding": (NpzWriter, "add")}.get(
        moment, (os, moment)
    )
    original, calls = getattr(owner, name), []

    def deadly(*arguments, **keywords):
        calls.append(1)
        if len(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)

    setattr(owner, name, deadly)
    predict(folder, checkpoint, archive)


@pytest.mark.parametrize(
    ("moment", "nth", "n_done"),
    [
        ("reading", 1, 0),
        ("staging", 3, 2),
        ("adding", 6, 0),  # the file of the first night is half written
        ("fsync", 7, 3),  # that of the fourth is whole, but has no name yet
        ("replace", 4, 3),
        ("replace", 8, 5),  # some published files are there, others not
        ("adding", 52, 5),  # all are staged, the published files are half written
    ],
)
def test_killed_at_any_moment_it_goes_on_as_if_it_never_was(
    moment, nth, n_done, archive, checkpoint, peace, tmp_path, counted, capsys
):
    arguments = (moment, nth, tmp_path, checkpoint, archive)
    process = multiprocessing.get_context("fork").Process(target=die_at, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(done(tmp_path)) == n_done and not (tmp_path / "nights.csv").exists()
    predict(tmp_path, checkpoint, archive)
    assert f"{n_done} of 5 nights were done before" in capsys.readouterr().out
    assert counted["read"] == counted["stage"] == Counter(f"n{i}" for i in range(n_done, 5))
    assert written(tmp_path) == written(peace)


def test_what_is_done_and_unchanged_is_not_done_again(archive, checkpoint, peace, tmp_path, counted):
    copytree(peace, tmp_path / "run")
    predict(tmp_path / "run", checkpoint, archive)
    assert not counted["read"] and not counted["stage"]
    assert written(tmp_path / "run") == written(peace)


@pytest.mark.parametrize("what", ["checkpoint", "channels", "resolutions", "labels", "preparation"])
def test_what_was_made_from_something_else_is_made_anew(what, archive, checkpoint, peace, tmp_path, counted):
    copytree(peace, tmp_path / "run")
    changed = tmp_path / "toy.h5"
    changed.write_bytes(archive.read_bytes())
    settings = {"archive": changed, "checkpoint": checkpoint}
    if what == "checkpoint":
        network = toy_network()
        torch.nn.init.zeros_(network.connector[0].bias)
        settings["checkpoint"] = save_checkpoint(tmp_path / "other.pth", network, {})
    elif what in ("channels", "resolutions"):
        settings |= {"channels": {"channels": ["F3", "E1"]}, "resolutions": {"resolutions": [1, 2]}}[what]
    else:
        with h5py.File(changed, "r+") as file:
            if what == "labels":
                file["toy/n3/hypnogram"][0] = 9
            else:
                file["toy/n3"].attrs["prepared"] = json.dumps({"key": "anew"})
    predict(tmp_path / "run", **settings)
    expected = ["n3"] if what in ("labels", "preparation") else [f"n{i}" for i in range(5)]
    assert counted["stage"] == Counter(expected)
    predict(tmp_path / "anew", **settings)
    kept, anew = written(tmp_path / "run"), written(tmp_path / "anew")
    assert anew.items() <= kept.items()
    others = kept.keys() - anew.keys()  # nights are never deleted, what was published of others is
    assert len(others) == len(expected) and all(name.startswith("store/") for name in others)


def test_half_a_file_of_a_night_is_made_anew(archive, checkpoint, peace, tmp_path, counted, capsys):
    copytree(peace, tmp_path / "run")
    empty, half, *_ = done(tmp_path / "run")
    empty.write_bytes(b"")
    half.write_bytes(half.read_bytes()[:-100])
    predict(tmp_path / "run", checkpoint, archive)
    said = capsys.readouterr().out
    assert said.count("is made anew") == 2 and "3 of 5 nights were done before" in said
    assert counted["stage"].total() == 2 and written(tmp_path / "run") == written(peace)


@pytest.mark.parametrize("n_devices", [1, 2])
def test_an_archive_that_is_replaced_meanwhile_stops_the_run(n_devices, archive, checkpoint, tmp_path):
    moving = tmp_path / "toy.h5"
    moving.write_bytes(archive.read_bytes())
    jobs = jobs_of_archive(load_checkpoint(checkpoint), moving)
    (tmp_path / "new.h5").write_bytes(archive.read_bytes())
    os.replace(tmp_path / "new.h5", moving)
    run = Run(None, tmp_path / "run", "id")
    with pytest.raises(RuntimeError, match=r"toy.h5 has been replaced or changed since the run began; run it again"):
        write_predictions(run, checkpoint, jobs, [1], device="cpu", n_devices=n_devices)
    assert not list((tmp_path / "run").glob("r*/*.npz"))
    predict(tmp_path / "run", checkpoint, moving, resolutions=[1])


def test_an_archive_may_grow_or_move(checkpoint, tmp_path, counted):
    predict(tmp_path / "run", checkpoint, write_archive(tmp_path / "small.h5", 2))
    nights, _ = predict(tmp_path / "run", checkpoint, write_archive(tmp_path / "large.h5", 4))
    assert len(nights) == 4 and counted["stage"] == Counter(f"n{i}" for i in range(4))


@pytest.mark.parametrize("where", ["read", "stage"])
def test_a_night_that_fails_is_a_row_and_is_tried_again(where, archive, checkpoint, peace, tmp_path, monkeypatch):
    cls = {"read": ArchivedNight, "stage": Night}[where]
    original, tried = getattr(cls, where), []

    def failing(self, *arguments, **options):
        tried.append(self.recording)
        if self.recording == "n1" and tried.count("n1") == 1:
            raise IndexError(f"{archive}: out of range")
        return original(self, *arguments, **options)

    monkeypatch.setattr(cls, where, failing)
    nights, attention = predict(tmp_path, checkpoint, archive)
    assert nights.status.tolist() == ["ok", "failed", "ok", "ok", "ok"]
    assert nights.reason[1] == "IndexError: out of range" and "n1" not in set(attention.recording)
    assert "toy_n1" not in load(tmp_path, "r1/predictions")
    predict(tmp_path, checkpoint, archive)
    assert Counter(tried) == Counter(n0=1, n1=2, n2=1, n3=1, n4=1)
    assert written(tmp_path) == written(peace)


def test_a_night_that_is_not_scaled_fails_alone(checkpoint, tmp_path):
    archive = write_archive(tmp_path / "toy.h5", 3)
    with h5py.File(archive, "r+") as file:
        file["toy/n1/PSG/E1"][:] *= 1000
    nights, _ = predict(tmp_path / "run", checkpoint, archive)
    assert nights.status.tolist() == ["ok", "failed", "ok"]
    assert "toy/n1, E1: its interquartile range is 1" in nights.reason[1]


def test_a_missing_channel_fails_its_night_only(checkpoint, tmp_path):
    archive = write_archive(tmp_path / "toy.h5", 3)
    with h5py.File(archive, "r+") as file:
        del file["toy/n1/PSG/C3"]
    nights, _ = predict(tmp_path / "run", checkpoint, archive, channels=["C3", "E1"])
    assert nights.status.tolist() == ["ok", "failed", "ok"] and (nights.n_channels[::2] == 2).all()
    assert nights.reason[1] == "toy/n1 has no channel C3; it has E1, F3"


@pytest.mark.parametrize(
    ("cls", "method", "error"),
    [
        (ArchivedNight, "read", KeyboardInterrupt),
        (Night, "stage", KeyboardInterrupt),
        (Night, "stage", torch.AcceleratorError),  # a GPU that is lost is lost for all nights
    ],
)
def test_what_is_no_fault_of_a_night_ends_the_run(
    cls, method, error, archive, checkpoint, peace, tmp_path, monkeypatch
):
    original = getattr(cls, method)

    def stopping(self, *arguments, **options):
        if self.recording == "n3":
            raise error
        return original(self, *arguments, **options)

    with monkeypatch.context() as patched, pytest.raises(error):
        patched.setattr(cls, method, stopping)
        predict(tmp_path, checkpoint, archive)
    assert len(done(tmp_path)) == 3
    predict(tmp_path, checkpoint, archive)
    assert written(tmp_path) == written(peace)


def test_nights_of_one_name_are_refused(checkpoint, tmp_path):
    parts = []
    for dataset, name in (("a", "b_c"), ("a_b", "c")):
        file = write_archive(tmp_path / f"{name}.h5", 1, dataset, [name])
        parts.append(DatasetFiles(dataset, ["F3", "C3"], ["E1"], [(file, f"{dataset}/{name}")]))
    archive = assemble_archive(tmp_path / "both.h5", parts, RATE_HZ)
    with pytest.raises(ValueError, match="nights 1 and 2 would both be a_b_c in the results"):
        predict(tmp_path / "run", checkpoint, archive)


def test_two_signals_are_in_memory_at_most(archive, checkpoint, tmp_path, monkeypatch):
    read, alive, counts = ArchivedNight.read, set(), []

    def noting(self, model):
        night = read(self, model)
        alive.add(self.recording)
        weakref.finalize(night.signals, alive.remove, self.recording)
        counts.append(len(alive))
        return night

    monkeypatch.setattr(ArchivedNight, "read", noting)
    predict(tmp_path, checkpoint, archive)
    assert len(counts) == N_NIGHTS and max(counts) == 2 and not alive


def test_the_size_is_foretold_and_a_full_disk_refused(archive, checkpoints, peace, tmp_path, monkeypatch, counted):
    import anysleep.workbook.predictions as module

    for name in ("anysleep", "usleep"):  # two pairs have the logits of two
        folder = tmp_path / name
        predict(folder, checkpoints[name], archive)
        jobs = jobs_of_archive(load_checkpoint(checkpoints[name]), archive)
        outputs = [f"r{r}/{kind}" for r in RESOLUTIONS for kind in ("predictions", "logits/predictions")]
        n_bytes = sum(array.nbytes for output in outputs for array in load(folder, output).values())
        wanted = Wanted("", tuple(RESOLUTIONS), write_logits=True)
        assert sum(map(wanted.n_bytes, jobs)) == n_bytes
    eight_hours = ArchivedNight("", "", (), (), False, 960, ((0,),), "", ())
    assert Wanted("", (3840,), write_logits=True).n_bytes(eight_hours) / 1e6 == pytest.approx(74 + 3.7, abs=0.3)
    counted["read"].clear()
    free = type("Usage", (), {"free": 100})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: free)
    with pytest.raises(ValueError, match=r"GB will be written, 0.00 GB are free: choose fewer resolutions"):
        predict(tmp_path / "full", checkpoints["anysleep"], archive)
    assert not counted["read"]


def test_a_resolution_that_cannot_be_stops_before_any_work(archive, checkpoint, tmp_path, counted):
    with pytest.raises(ValueError, match="predictions_per_epoch is 7; it must divide the 120 samples"):
        predict(tmp_path, checkpoint, archive, resolutions=[1, 7])
    assert not counted["read"]


def test_every_night_names_the_network(archive, checkpoints, tmp_path):
    for name, checkpoint in checkpoints.items():
        nights, _ = predict(tmp_path / name, checkpoint, archive, channels=["F3", "E1"])
        assert (nights.network == name).all()
        with Predictions(tmp_path / name) as predictions:
            assert predictions.network == name


def test_leaving_out_each_channel_gives_its_table(archive, checkpoints, tmp_path):
    model = load_checkpoint(checkpoints["anysleep"])
    run, jobs = Run(None, tmp_path, "id"), jobs_of_archive(model, archive)[:1]
    table = write_predictions(run, checkpoints["anysleep"], jobs, [1], leave_one_out=True)["channel_importance"]
    night = jobs[0].read(model)
    stagings = stage_montages(model, night.signals, montages=leave_one_out(len(night.channels)))
    expected = channel_importance(stagings, night.channels).drop(columns="doctor")  # nobody asked the doctor
    assert "doctor" not in table and (table.recording == night.recording).all()
    pd.testing.assert_frame_equal(table[expected.columns], expected, check_dtype=False)
    with pytest.raises(ValueError, match="none can be left out; set leave_one_out to false"):
        write_predictions(run, checkpoints["usleep"], jobs, [1], leave_one_out=True)


def test_nights_are_aligned_where_that_is_asked_for(archive, checkpoints, tmp_path):
    model = load_checkpoint(checkpoints["anysleep"])
    jobs, found = jobs_of_archive(model, archive)[:1], {}
    for aligned in (False, True):
        run = Run(None, tmp_path, "id")  # one folder: what is not aligned must not count as done
        tables = write_predictions(run, checkpoints["anysleep"], jobs, [1], write_logits=True, aligned=aligned)
        with np.load(tmp_path / "r1/logits/predictions.npz") as written:
            (found[aligned],) = written.values()
        (staging,) = jobs[0].read(model).stage(model, aligned=aligned).values()
        assert np.array_equal(found[aligned], staging.logits[1]) and len(tables["nights"]) == 1
    assert found[True].shape == found[False].shape and not np.allclose(found[True], found[False])


def test_nothing_is_lost_where_no_night_can_be_staged(archive, checkpoint, peace, tmp_path):
    copytree(peace, tmp_path / "run")
    with pytest.raises(RuntimeError, match=r"no night could be staged, so nothing is published; the first: .*typo"):
        predict(tmp_path / "run", checkpoint, archive, channels=["F3", "typo"])
    assert written(tmp_path / "run") == written(peace)


def test_a_checkpoint_that_is_replaced_meanwhile_stops_the_run(checkpoints, archive, tmp_path):
    checkpoint = tmp_path / "checkpoint.pth"
    checkpoint.write_bytes(checkpoints["anysleep"].read_bytes())
    jobs = jobs_of_archive(load_checkpoint(checkpoint), archive)
    wanted = Wanted("of another file", (1,), write_logits=False)
    with pytest.raises(RuntimeError, match="has been replaced since the run began"):
        next(stage_nights(checkpoint, wanted, [(tmp_path / "n.npz", jobs[0])], torch.device("cpu")))

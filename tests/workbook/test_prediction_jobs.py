"""Nights that are to be staged: found, named after what they hold, and noticed where they are others than before."""

import hashlib
import os
from collections import Counter
from datetime import time
from pathlib import Path

import edfio
import h5py
import numpy as np
import pytest
from helpers import toy_predictions
from helpers.edf_files import signal as edf_signal
from helpers.edf_files import write_edf
from helpers.toy_predictions import load, predict, write_archive, written
from helpers.toy_training import RATE_HZ, toy_network

from anysleep.datasets.archive import DatasetFiles, assemble_archive
from anysleep.datasets.night import source_sha256
from anysleep.models import load_checkpoint
from anysleep.staging.sources import jobs_of_archive, jobs_of_files, recordings_among
from anysleep.workbook.predictions import write_predictions
from anysleep.workbook.run import Run

archive, counted = toy_predictions.archive, toy_predictions.counted
checkpoints, checkpoint = toy_predictions.checkpoints, toy_predictions.checkpoint


def test_an_archive_that_does_not_say_how_it_was_prepared_counts_as_a_whole(checkpoint, tmp_path, counted):
    archive = write_archive(tmp_path / "toy.h5", 2)
    with h5py.File(archive, "r+") as file:
        for night in file["toy"].values():
            del night.attrs["prepared"]
        del file["toy/n0/hypnogram"]  # now only their names tell them apart
    for _ in range(2):
        predict(tmp_path / "run", checkpoint, archive)
    assert counted["stage"] == Counter(n0=1, n1=1)
    with h5py.File(archive, "r+") as file:
        file["toy/n1/PSG/F3"][0] = 1
    predict(tmp_path / "run", checkpoint, archive)
    assert counted["stage"] == Counter(n0=2, n1=2)


def test_only_the_data_sets_that_are_named_are_staged(checkpoint, tmp_path):
    parts = []
    for dataset in ("a", "b", "c"):
        file = write_archive(tmp_path / f"{dataset}.h5", 1, dataset)
        parts.append(DatasetFiles(dataset, ["F3", "C3"], ["E1"], [(file, f"{dataset}/n0")]))
    archive, model = assemble_archive(tmp_path / "all.h5", parts, RATE_HZ), load_checkpoint(checkpoint)
    assert [job.dataset for job in jobs_of_archive(model, archive, datasets=["c", "a"])] == ["a", "c"]
    assert [job.dataset for job in jobs_of_archive(model, archive)] == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"no recording of mass-c1, only of a, b, c"):
        jobs_of_archive(model, archive, datasets=["a", "mass-c1"])


def test_only_nights_of_the_part_of_a_split_are_staged(checkpoint, tmp_path):
    archive, model = write_archive(tmp_path / "toy.h5", 3, "toy"), load_checkpoint(checkpoint)
    part = {"toy": ["n2", "n0", "gone"], "other": ["n1"]}
    assert [job.recording for job in jobs_of_archive(model, archive, among=part)] == ["n0", "n2"]
    with pytest.raises(ValueError, match=r"there is no night in toy\.h5"):
        jobs_of_archive(model, archive, among={"other": ["n1"]})


def test_a_montage_may_be_named_by_sites_whatever_the_data_set_calls_its_channels(checkpoint, tmp_path):
    parts = []
    for dataset, eeg, eog in (("a", ["F3-M2", "F3-C3"], ["E2", "E1-M2"]), ("b", ["Cz", "F3-LER"], ["EOG1", "EOG2"])):
        file = write_archive(tmp_path / f"{dataset}.h5", 1, dataset, channels=[*eeg, *eog])
        parts.append(DatasetFiles(dataset, eeg, eog, [(file, f"{dataset}/n0")]))
    archive, model = assemble_archive(tmp_path / "all.h5", parts, RATE_HZ), load_checkpoint(checkpoint)
    nights = [job.read(model).channels for job in jobs_of_archive(model, archive, ["left EOG", "F3"])]
    assert nights == [("F3-M2", "E1-M2"), ("F3-LER", "EOG1")]
    night = jobs_of_archive(model, archive, ["F3", "O1"])[0]
    with pytest.raises(KeyError, match="O1"):
        night.read(model)


def test_an_archive_of_another_rate_is_refused(archive, checkpoints):
    network = toy_network()
    network.sampling_rate_hz = 8
    with pytest.raises(ValueError, match="the archive has 4 Hz, the network needs 8 Hz"):
        jobs_of_archive(network, archive)


@pytest.fixture
def edf_files(tmp_path):
    """One that is no EDF, one without a date, one of another length."""
    (tmp_path / "bad.edf").write_bytes(b"bad")
    files = [tmp_path / name for name in ("bad.edf", "Ann Smith.edf", "Bob.edf")]
    for path, seconds in zip(files[1:], (90, 120), strict=True):
        write_edf(path, [edf_signal("EEG Cz", 64, seconds=seconds), edf_signal("EOG", 32, seconds=seconds)])
    return files


def predict_files(folder, checkpoint, files, **naming):
    jobs = jobs_of_files(load_checkpoint(checkpoint), files, ["EEG Cz", "EOG"], **naming)
    return write_predictions(Run(None, folder, "id"), checkpoint, jobs, [1, 2], device="cpu")["nights"]


def test_files_are_called_after_what_they_hold(edf_files, checkpoint, tmp_path, counted):
    hashes = [f"night-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}" for file in edf_files[1:]]
    for _ in range(2):  # the second time only the bad one is tried again
        nights = predict_files(tmp_path / "run", checkpoint, edf_files)
        assert nights.recording.tolist() == ["file-1", *hashes] and nights.status.tolist() == ["failed", "ok", "ok"]
        assert {key: len(stages) for key, stages in load(tmp_path / "run", "r2/predictions").items()} == {
            f"files_{hashes[0]}": 6,
            f"files_{hashes[1]}": 8,
        }
    assert counted["read"].total() == 4 and counted["stage"].total() == 2
    nights = predict_files(tmp_path / "run", checkpoint, edf_files, name_by_file=True)
    assert nights.recording.tolist() == ["bad", "Ann Smith", "Bob"] and counted["stage"].total() == 4


def test_a_list_in_the_list_is_one_night_in_parts(edf_files, checkpoint, tmp_path, counted):
    _, first, second = edf_files
    signals = [edf_signal("EEG Cz", 64, seconds=120), edf_signal("EOG", 32, seconds=120)]
    write_edf(second, signals, starttime=time(23, 0, 3))  # 30 s after the first has ended
    named = [[second, tmp_path / "Ann*.edf"], tmp_path / "*.edf"]  # which has both parts, but they are no nights
    for _ in range(2):
        nights = predict_files(tmp_path / "run", checkpoint, named)
        joined = f"night-{source_sha256(first, second)[:8]}"
        assert nights.recording.tolist() == [joined, "file-2"] and nights.status.tolist() == ["ok", "failed"]
    assert counted["stage"].total() == 1
    (stages,) = load(tmp_path / "run", "r1/predictions").values()
    assert len(stages) == 8 and np.flatnonzero(stages == 9).tolist() == [3]
    write_edf(second, signals, starttime=time(22, 59, 3))
    with pytest.raises(RuntimeError, match=r"the first: \.\.\. begins at 22:59:03, 30 s before \.\.\. ends"):
        predict_files(tmp_path / "run", checkpoint, named)


def test_a_file_that_is_written_anew_or_gone_is_noticed(edf_files, checkpoint, tmp_path, counted):
    predict_files(tmp_path / "run", checkpoint, edf_files)
    os.utime(edf_files[1], (1, 1))
    edf_files[2].unlink()
    nights = predict_files(tmp_path / "run", checkpoint, edf_files)
    assert nights.status.tolist() == ["failed", "ok", "failed"] and nights.recording[2] == "file-3"
    assert counted["stage"].total() == 3


def test_a_file_that_vanishes_between_listing_and_reading_is_a_row(edf_files, checkpoint, tmp_path):
    jobs = jobs_of_files(load_checkpoint(checkpoint), edf_files[1:], ["EEG Cz", "EOG"])
    edf_files[1].unlink()
    nights = write_predictions(Run(None, tmp_path / "run", "id"), checkpoint, jobs, [1], device="cpu")["nights"]
    assert nights.status.tolist() == ["failed", "ok"] and nights.recording[0] == "file-1"
    assert "o such file" in nights.reason[0] and "Ann" not in nights.reason[0]


def test_what_is_written_does_not_tell_the_files_names(edf_files, checkpoint, tmp_path):
    predict_files(tmp_path / "run", checkpoint, edf_files).to_csv(tmp_path / "run" / "nights.csv")
    for name, content in written(tmp_path / "run").items():
        content = content.replace(b"EDF Annotations", b"")  # the name of a channel in every EDF+
        assert not any(word in name.encode() + content for word in (b"Ann", b"Smith", b"Bob"))


def test_lights_that_a_file_tells_count_but_not_those_that_contradict_each_other(edf_files, checkpoint, tmp_path):
    signals = [edf_signal("EEG Cz", 64, seconds=120), edf_signal("EOG", 32, seconds=120)]
    for file, times_s in zip(edf_files, ((30.0, 100.0), (100.0, 30.0)), strict=False):
        lights = zip(times_s, ("Lights off", "lights on"), strict=True)
        write_edf(file, signals, [edfio.EdfAnnotation(at_s, None, text) for at_s, text in lights])
    nights = predict_files(tmp_path / "run", checkpoint, edf_files)
    assert nights.status.tolist() == ["ok", "ok", "ok"]
    assert nights.lights_from.tolist() == ["annotations", "recording", "recording"]
    assert nights.TIB.tolist() == [1, 2, 2]
    assert nights.reason.tolist() == [
        "",
        "lights on (30 s, annotations) are not after lights off (100 s, annotations): they count as unknown",
        "",
    ]


def test_the_same_recording_under_two_names_counts_once(edf_files, checkpoint, tmp_path):
    twin = tmp_path / "twin.edf"
    twin.write_bytes(edf_files[1].read_bytes())
    jobs = jobs_of_files(load_checkpoint(checkpoint), [*edf_files, twin], ["EEG Cz", "EOG"])
    tables = write_predictions(Run(None, tmp_path / "run", "id"), checkpoint, jobs, [1], device="cpu")
    nights, attention = tables["nights"], tables["attention"]
    assert nights.status.tolist() == ["failed", "ok", "ok", "failed"]  # the first is none
    assert not attention.duplicated(["recording", "module", "channel"]).any() and len(attention) > 0
    assert nights.reason[3] == "the same recording as number 2"
    assert len(load(tmp_path / "run", "r1/predictions")) == 2
    other_bob = tmp_path / "other" / "Bob.edf"
    other_bob.parent.mkdir()
    other_bob.write_bytes(edf_files[1].read_bytes())
    with pytest.raises(ValueError, match="nights 1 and 2 would both be files_Bob in the results"):
        predict_files(tmp_path / "run", checkpoint, [edf_files[2], other_bob], name_by_file=True)


def test_a_file_without_a_header_at_the_start_is_not_taken_later(edf_files, checkpoint, tmp_path):
    file = tmp_path / "late.edf"
    file.write_bytes(b"")
    model = load_checkpoint(checkpoint)
    (job,) = jobs_of_files(model, [file], [])
    file.write_bytes(edf_files[1].read_bytes())
    with pytest.raises(OSError, match="could not be read when the run began"):
        job.read(model)


def test_a_folder_gives_its_recordings_without_hidden_files_and_scorings(tmp_path):
    names = ["SC4001E0-PSG.edf", "SC4001EC-Hypnogram.edf", "._SC4001E0-PSG.edf", "b.fif", "notes.txt"]
    folder = tmp_path / ".mine"  # one that is named is read, hidden or not
    for name in (*names, ".trash/a.edf", "deep/.old/more/a.edf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert [file.name for (file,) in recordings_among([folder])] == ["SC4001E0-PSG.edf", "b.fif"]


def test_a_folder_is_listed_once_however_many_recordings_of_sleep_edf_it_has(tmp_path, monkeypatch):
    for night in range(20):
        (tmp_path / f"SC40{night:02d}E0-PSG.edf").touch()
        (tmp_path / f"SC40{night:02d}EC-Hypnogram.edf").touch()
    monkeypatch.setattr(Path, "iterdir", lambda self: pytest.fail("the folder is listed again"))
    assert len(recordings_among([tmp_path])) == 20

"""A cohort becomes an archive: nothing is done twice, nothing is left half done, no file stops the rest."""

import os
import signal as signals
import subprocess
import sys
import time

import edfio
import numpy as np
import pandas as pd
import pytest
from helpers.archives import LAB, recipe, write_night
from helpers.edf_files import signal, stage, write_discontinuous, write_edf

from anysleep.datasets import preparation as cohort
from anysleep.datasets.archive import Archive
from anysleep.datasets.preparation import NightsLost, prepare_archive, quality_table, write_key
from anysleep.system.files import DiskFull


@pytest.fixture
def folder(tmp_path):
    """Three nights of three epochs."""
    path = tmp_path / "recordings"
    path.mkdir()
    for number in (1, 2, 3):
        write_night(path / f"p0{number}-night1.edf", f"N{number}")
    return path


def prepare(folder, tmp_path, used=LAB, **options):
    return prepare_archive([(used, folder)], tmp_path / "archive.h5", sampling_rate_hz=64, **options)


def content(path):
    """Everything in an archive that matters, comparable."""
    with Archive(path) as archive:
        nights = archive.recordings()
        signals = {r: archive.signals("lab", r, ["C3-M2", "E1-M2"]).tobytes() for r in nights.recording}
        stages = {r: archive.hypnogram("lab", r).tolist() for r in nights.recording}
        return nights.to_json(), signals, stages, quality_table(archive).to_json()


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """The recordings that are really prepared, not taken from before."""
    log = tmp_path / "calls.log"
    really = cohort.prepare_night

    def prepare_and_say(job, *rest):
        with open(log, "a") as file:  # the work is done in other processes
            file.write(f"{job.file.stem}\n")
        return really(job, *rest)

    def since_last_asked():
        names = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return names

    monkeypatch.setattr(cohort, "prepare_night", prepare_and_say)
    return since_last_asked


def test_what_is_done_is_not_done_again(folder, tmp_path, calls):
    table, _ = prepare(folder, tmp_path)
    before = content(tmp_path / "archive.h5")
    assert calls() == ["p01-night1", "p02-night1", "p03-night1"]
    again, _ = prepare(folder, tmp_path)
    assert not calls() and content(tmp_path / "archive.h5") == before
    pd.testing.assert_frame_equal(again, table)


def test_what_changed_is_done_again(folder, tmp_path, calls):
    prepare(folder, tmp_path)
    calls()
    write_night(folder / "p02-night1.edf", "R")
    write_night(folder / "p04-night1.edf")
    (folder / "p01-night1.edf").unlink()
    prepare(folder, tmp_path, drop_missing=True)
    assert calls() == ["p02-night1", "p04-night1"]
    with Archive(tmp_path / "archive.h5") as archive:
        assert archive.recordings().recording.tolist() == ["p02-night1", "p03-night1", "p04-night1"]
        assert archive.hypnogram("lab", "p02-night1").tolist() == [0, 0, 4]
    prepare(folder, tmp_path, recipe(participants=None, labels=None))
    assert len(calls()) == 3


def test_a_recording_that_vanishes_between_listing_and_reading_is_a_row(folder, tmp_path, monkeypatch):
    planned = cohort._plan_all

    def plan_and_lose(*arguments):
        plans = planned(*arguments)
        (folder / "p02-night1.edf").unlink()
        return plans

    monkeypatch.setattr(cohort, "_plan_all", plan_and_lose)
    table, _ = prepare(folder, tmp_path)
    assert table.status.tolist() == ["ok", "failed", "ok"] and table.recording[1] == "p02-night1"
    assert table.code[1] == "not_found" and "o such file" in table.reason[1] and "p02" not in table.reason[1]


def _unreadable(folder, monkeypatch):
    hashed = cohort.source_sha256

    def failing(file):
        if file.stem == "p02-night1":
            raise OSError(5, "Input/output error", str(file))
        return hashed(file)

    monkeypatch.setattr(cohort, "source_sha256", failing)
    return [(LAB, folder)]


def _moved_away(folder, monkeypatch):
    (folder / "p02-night1.edf").unlink()
    return [(LAB, folder)]


def _renamed(folder, monkeypatch):
    (folder / "p02-night1.edf").rename(folder / "p12-night1.edf")
    return [(LAB, folder)]


def _no_longer_as_long_as_its_labels(folder, monkeypatch):
    write_night(folder / "p02-night1.edf", "N2", seconds=20)
    return [(LAB, folder)]


def _another_data_set(folder, monkeypatch):
    return [(recipe(participants=None, dataset="clinic"), folder)]


@pytest.mark.parametrize(
    ("change", "n_lost", "night"),
    [
        (_unreadable, 1, "lab/p02-night1 (unreadable)"),
        (_moved_away, 1, "lab/p02-night1 (no file)"),
        (_renamed, 1, "lab/p02-night1 (no file)"),
        (_no_longer_as_long_as_its_labels, 1, "lab/p02-night1 (label_length)"),
        (_another_data_set, 3, "lab/p01-night1 (no file), lab/p02-night1 (no file), lab/p03-night1 (no file)"),
    ],
)
def test_no_night_leaves_the_archive_unless_it_may(change, n_lost, night, folder, tmp_path, monkeypatch):
    prepare(folder, tmp_path)
    path = tmp_path / "archive.h5"
    before = path.read_bytes()
    datasets = change(folder, monkeypatch)
    with pytest.raises(NightsLost) as refused:
        prepare_archive(datasets, path, sampling_rate_hz=64)
    said = f"{n_lost} of the 3 nights in the archive could not go into it again: {night}. It stays as it is"
    assert str(refused.value).startswith(said) and ".edf" not in str(refused.value)
    assert "drop_missing" in str(refused.value) and len(refused.value.table)
    assert path.read_bytes() == before
    prepare_archive(datasets, path, sampling_rate_hz=64, drop_missing=True)
    with Archive(path) as archive:
        held = set(archive.recordings().dataset + "/" + archive.recordings().recording)
    assert not held & {one.split()[0] for one in night.split(", ")}


def test_a_folder_that_may_not_be_entered_stops_the_run(folder, tmp_path, monkeypatch):
    (folder / "a patient").mkdir()
    (folder / "p03-night1.edf").rename(folder / "a patient" / "p03-night1.edf")
    prepare(folder, tmp_path)
    before = content(tmp_path / "archive.h5")
    scandir = os.scandir

    def locked(path):
        if "a patient" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(OSError, match=r"a folder below cannot be read \(Permission denied\)") as error:
        prepare(folder, tmp_path, drop_missing=True)
    assert "patient" not in str(error.value) and content(tmp_path / "archive.h5") == before


def test_half_a_night_or_an_empty_archive_is_made_anew(folder, tmp_path, calls, capfd):
    night = tmp_path / ".archive_nights" / "lab" / "p02-night1.h5"
    night.parent.mkdir(parents=True)
    for half in (b"", b"\x89HDF\r\n\x1a\n", bytes(5000)):
        night.parent.mkdir(parents=True, exist_ok=True)
        night.write_bytes(half)
        (tmp_path / "archive.h5").write_bytes(b"")
        table, _ = prepare(folder, tmp_path)
        assert len(calls()) == 3 and (table.status == "ok").all()
        assert ("p02-night1.h5 cannot be read (OSError) and is made anew" in capfd.readouterr().out) == (half != b"")
    with Archive(tmp_path / "archive.h5") as archive:
        assert len(archive.recordings()) == 3


def test_the_table_does_not_depend_on_the_number_of_processes(folder, tmp_path):
    one, _ = prepare(folder, tmp_path, n_jobs=1)
    many, _ = prepare(folder, tmp_path / "many", n_jobs=2)
    pd.testing.assert_frame_equal(one, many)
    assert content(tmp_path / "archive.h5") == content(tmp_path / "many" / "archive.h5")


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from helpers.archives import LAB
from anysleep.datasets.preparation import prepare_archive
prepare_archive([(LAB, Path(sys.argv[1]))], Path(sys.argv[2]), sampling_rate_hz=64, n_jobs=1)
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(folder, tmp_path, root, calls):
    """SIGKILL at many moments; an archive that is there is whole, and in the end it is as if never stopped."""
    for number in range(4, 9):
        write_night(folder / f"p0{number}-night1.edf", seconds=600)
    prepare(folder, tmp_path / "whole")
    calls()
    target = tmp_path / "killed" / "archive.h5"
    command = [sys.executable, "-c", SCRIPT, str(folder), str(target)]
    nights = tmp_path / "killed" / ".archive_nights" / "lab"
    for n_done in (1, 2, 4, 6, 8):
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(list(nights.glob("p*.h5"))) < n_done and not target.is_file() and time.monotonic() < deadline:
            time.sleep(0.001)
        os.killpg(process.pid, signals.SIGKILL)
        process.wait()
        assert list(nights.glob("p*.h5")) or target.is_file()
        if target.is_file():
            content(target)
    prepare(folder, tmp_path / "killed")
    assert len(calls()) < 8, "nights that were whole are kept"
    assert content(target) == content(tmp_path / "whole" / "archive.h5")
    assert sorted(p.name for p in target.parent.iterdir() if not p.name.endswith(".lock")) == [
        ".archive.h5.index",
        "archive.h5",
    ]


def _die_at_p02(job, *rest):
    if "p02" in job.file.stem:
        os.kill(os.getpid(), signals.SIGKILL)
    return cohort.Outcome(job.file, job.recipe.dataset, job.file.stem)


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_process_that_dies_costs_one_row(folder, n_jobs, pause_s):
    for number in (4, 5):
        write_night(folder / f"p0{number}-night1.edf")
    jobs = cohort.plan_nights(LAB, folder, 64)
    outcomes = {}
    for outcome in cohort._outcomes(_die_at_p02, jobs, n_jobs):
        outcomes[outcome.file.stem[:3]] = outcome.code
        time.sleep(pause_s)  # the pool may break while nobody waits for it
    assert outcomes == {"p01": "ok", "p02": "crashed", "p03": "ok", "p04": "ok", "p05": "ok"}


def _die_once(job, *rest):
    if "p02" in job.file.stem and not (mark := job.file.with_suffix(".died")).exists():
        mark.touch()
        os.kill(os.getpid(), signals.SIGKILL)
    return cohort.Outcome(job.file, job.recipe.dataset, job.file.stem)


def test_a_process_that_is_killed_once_costs_nothing(folder):
    """As where memory was short while several were at work."""
    outcomes = cohort._outcomes(_die_once, cohort.plan_nights(LAB, folder, 64), 2)
    assert sorted((outcome.file.stem[:3], outcome.code) for outcome in outcomes) == [
        (f"p0{i}", "ok") for i in (1, 2, 3)
    ]


def test_a_full_disk_ends_the_preparation_and_is_no_fault_of_a_night(folder, tmp_path, monkeypatch):
    """As rows of a table the nights would be lost to whoever goes on with the archive."""

    def full(job, source, night_file):
        raise DiskFull("disk full")

    prepare(folder, tmp_path / "run")
    before = (tmp_path / "run/archive.h5").read_bytes()
    write_night(folder / "p04-night1.edf")
    monkeypatch.setattr(cohort, "prepare_night", full)
    with pytest.raises(DiskFull):
        prepare(folder, tmp_path / "run")
    assert (tmp_path / "run/archive.h5").read_bytes() == before


SLEEPER = """
import sys, time, os
from anysleep.datasets.preparation import _outcomes
def work(job):
    os.write(1, f"{os.getpid()}\\n".encode())  # in one piece
    time.sleep(60)
for outcome in _outcomes(work, [1, 2], 2):
    pass
"""


def test_no_process_is_left_when_the_run_itself_is_killed(root):
    process = subprocess.Popen([sys.executable, "-c", SLEEPER], cwd=root, stdout=subprocess.PIPE, text=True)
    workers = [int(process.stdout.readline()) for _ in range(2)]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(_is_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(_is_alive(pid) for pid in workers)


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = f"/proc/{pid}/stat"
    return not os.path.exists(status) or open(status).read().split()[2] != "Z"


def test_files_that_would_become_one_recording_are_all_refused(folder, tmp_path):
    used = recipe(participants=None, recording="{person}", name=r"(?P<person>p\d+)-night\d+$")
    write_night(folder / "p02-night2.edf", "R")
    table, _ = prepare(folder, tmp_path, used)
    assert table.code.tolist() == ["ok", "duplicate", "duplicate", "ok"]
    with Archive(tmp_path / "archive.h5") as archive:
        assert archive.recordings().recording.tolist() == ["p01", "p03"]


def test_two_runs_do_not_write_one_archive(folder, tmp_path):
    import filelock

    with filelock.FileLock(tmp_path / ".archive.h5.lock"), pytest.raises(ValueError, match="another run"):
        prepare(folder, tmp_path)


def test_the_key_is_written_only_where_asked_for(folder, tmp_path):
    used = recipe(participants=None, name=".", recording="night-{hash}", subject="")
    table, key = prepare(folder, tmp_path, used)
    assert table.recording.str.fullmatch(r"night-[0-9a-f]{8}").all() and table.subject.isna().all()
    assert "p01" not in table.to_csv()
    write_key(tmp_path / "key.csv", key)
    written = pd.read_csv(tmp_path / "key.csv")
    assert written.file.map(os.path.basename).tolist() == ["p01-night1.edf", "p02-night1.edf", "p03-night1.edf"]
    assert written.recording.tolist() == table.recording.tolist()


def test_channels_whose_names_tell_nothing_are_left_out_and_said(tmp_path):
    (tmp_path / "in").mkdir()
    channels = [signal(name, 100, seconds=95) for name in ("EEG C3-M2", "X1", "EMG chin")]
    write_edf(tmp_path / "in" / "p01-night1.edf", channels)
    table, _ = prepare(tmp_path / "in", tmp_path, recipe(participants=None, channels="by_name"))
    assert table.eeg_channels.tolist() == ["C3-M2"]
    assert "names that do not tell EEG or EOG: X1; say what they are" in table.notes[0]


def test_several_data_sets_share_an_archive(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_night(other / "p01-night1.edf", "N3")
    kept_whole = recipe(participants=None, dataset="clinic", split="test_only")
    path = tmp_path / "archive.h5"
    prepare_archive([(LAB, folder), (kept_whole, other)], path, sampling_rate_hz=64)
    with Archive(path) as archive:
        assert archive.recordings().groupby("dataset").size().to_dict() == {"clinic": 1, "lab": 3}
        assert archive.hypnogram("clinic", "p01-night1").tolist() == [0, 0, 3]
        assert archive.test_only() == ["clinic"]


@pytest.mark.parametrize("rate_hz", [100, 142.857, 199.998])
def test_a_night_of_any_rate_may_be_cut_around_sleep(tmp_path, rate_hz):
    seconds = 3000
    samples = 30 * np.random.default_rng(0).standard_normal(round(seconds * rate_hz))
    channels = [
        edfio.EdfSignal.from_digital(
            samples.astype(np.int16), rate_hz, label=f"EEG {name}", physical_dimension="uV", physical_range=(-500, 500)
        )
        for name in ("C3-M2", "C4-M1")
    ]
    notes = [stage(0, 1200, "W"), stage(1200, 600, "N2"), stage(1800, 1200, "W")]
    (tmp_path / "in").mkdir()
    record_s = {100: 1, 142.857: 1000, 199.998: 500}[rate_hz]
    edfio.Edf(channels, annotations=notes, data_record_duration=record_s).write(tmp_path / "in" / "p01-night1.edf")
    used = recipe(participants=None, minutes_around_sleep=1.0, channels="by_name")
    table, _ = prepare(tmp_path / "in", tmp_path, used)
    assert table.n_epochs.tolist() == [24] and table.left_out.tolist() == [""]


def test_gaps_are_kept_as_time_and_marked(tmp_path, folder):
    write_discontinuous(folder / "p09-night1.edf", onsets_s=[*range(45), *range(100, 160)])
    prepare(folder, tmp_path)
    with Archive(tmp_path / "archive.h5") as archive:
        assert archive.gaps("lab", "p09-night1").tolist() == [[45, 100]]
        signal = archive.signals("lab", "p09-night1", ["C3-M2"])[0]
        assert np.all(signal[46 * 64 : 99 * 64] == 0) and signal.std() > 0.1
        assert archive.recordings().set_index("recording").n_epochs["p09-night1"] == 5


def arousals_of(folder, tmp_path, used=LAB):
    """What the archive and the table say of every night's arousals."""
    table, _ = prepare(folder, tmp_path, used)
    with Archive(tmp_path / "archive.h5") as archive:
        stored = [archive.arousals("lab", recording) for recording in table.recording]
    stored = [spans if spans is None else spans.tolist() for spans in stored]
    return stored, table.n_arousals.tolist(), " ".join(table.notes)


def test_a_night_that_nobody_scored_for_arousals_has_none_to_compare_with(tmp_path):
    channels = [signal("EEG C3-M2", 100, seconds=95), signal("EOG E1-M2", 64, seconds=95)]
    stages = [stage(0, 60, "W"), stage(60, 30, "N2")]
    arousal, at_the_end = edfio.EdfAnnotation(40, 5, "EEG arousal"), edfio.EdfAnnotation(92, 3, "EEG arousal")
    nights = {
        "scored": [*stages, arousal],
        "only-in-the-part-cut-off": [*stages, at_the_end],
        "stages-only": stages,
        "other-events": [*stages, edfio.EdfAnnotation(40, 5, "apnea")],
        "moment": [*stages, edfio.EdfAnnotation(40, None, "EEG arousal")],
        "unlabelled": [],
    }
    (tmp_path / "in").mkdir()
    for number, notes in enumerate(nights.values(), start=1):
        write_edf(tmp_path / "in" / f"p0{number}-night1.edf", channels, notes)
    stored, counted, said = arousals_of(tmp_path / "in", tmp_path)
    assert dict(zip(nights, stored, strict=True)) == dict.fromkeys(nights) | {
        "scored": [[40, 45]],
        "only-in-the-part-cut-off": [],
    }
    assert counted[:2] == [1, 0] and np.isnan(counted[2:]).all()
    assert said.count("1 arousals have no duration and are left out") == 1


def test_labels_that_cannot_hold_arousals_say_nothing_of_them(folder, tmp_path):
    for night in sorted(folder.iterdir()):
        night.with_name(f"{night.stem}_stages.txt").write_text("W\nW\nN2\n")
    (folder / "p03-night1_stages.txt").unlink()
    labels = {"reader": "text", "file": "{stem}_stages.txt", "codes": {"W": "Wake", "N2": "N2"}}
    stored, counted, _ = arousals_of(folder, tmp_path, recipe(participants=None, labels=labels))
    assert stored == [None] * 3 and counted == [None] * 3


def test_synthetic_nights_are_scored_for_arousals_even_where_there_is_none(tmp_path):
    channels = [signal("EEG C3-M2", 100, seconds=95), signal("EOG E1-M2", 64, seconds=95)]
    edfio.Edf(
        channels, annotations=[stage(0, 90, "W")], recording=edfio.Recording(equipment_code="anysleep-synthetic")
    ).write(tmp_path / "p01-night1.edf")
    assert arousals_of(tmp_path, tmp_path / "out")[:2] == ([[]], [0])


def test_what_concerns_many_nights_is_printed(folder, tmp_path, capsys):
    used = recipe(
        participants=None,
        channels={"eeg": {"C3-M2": "EEG C3-M2", "Cz": "EEG Oz"}, "eog": {}},
        labels={"reader": "text", "file": "{stem}_stages.txt", "codes": {"W": "Wake"}},
    )
    table, _ = prepare(folder, tmp_path, used)
    said = capsys.readouterr().out
    assert "lab: 0 of 3 nights have labels, by the pattern '{stem}_stages.txt'" in said
    assert "lab: no night has Cz; see left_out in recordings.csv" in said
    assert table.left_out[0] == "Cz (EEG Oz): not in the recording (EEG C3-M2, EOG E1-M2)"

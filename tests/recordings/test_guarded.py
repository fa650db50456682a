"""A file that crashes its reader, or keeps it for ever, is a row with a reason; the other nights stay."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from helpers import bad_readers
from helpers.bad_input import laboratory
from helpers.bad_recordings import GOOD, edf
from helpers.toy_formats import write_utime

from anysleep.datasets import preparation as cohort
from anysleep.recordings.readers import READERS, guarded, read_signals
from anysleep.recordings.readers.guarded import GUARD
from anysleep.recordings.reasons import BadRecording

ENDS = {"crash": "crashed", "hang": "timeout", "devour": "memory", "devour_in_pickling": "memory"}


@pytest.mark.parametrize(("reader", "code"), ENDS.items())
def test_a_reader_that_does_not_come_back_costs_one_row(tmp_path, monkeypatch, reader, code):
    monkeypatch.setitem(READERS, ".h5", getattr(bad_readers, reader))
    if reader == "hang":
        monkeypatch.setattr(guarded, "PATIENCE_S", 1.0)
    folder = tmp_path / "nights"
    folder.mkdir()
    edf(folder, f"{GOOD}.edf")
    (folder / "p00-night1.h5").write_bytes(b"any")
    table, _ = cohort.prepare_archive([(laboratory(), folder)], tmp_path / "archive.h5", sampling_rate_hz=64)
    assert sorted(table.code) == sorted([code, "ok"])


def test_after_a_crash_the_next_file_is_read(tmp_path, monkeypatch):
    good = write_utime(tmp_path / "good.h5")
    monkeypatch.setitem(READERS, ".set", bad_readers.crash)
    (tmp_path / "bad.set").touch()
    night = read_signals(good)
    with pytest.raises(BadRecording, match=r"bad.set: its reader crashed \(SIGABRT\)"):
        read_signals(tmp_path / "bad.set")
    assert night.signals[0].shape == (9000,)


def test_its_errors_and_warnings_are_told_and_what_it_prints_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setitem(READERS, ".h5", bad_readers.complain)
    (tmp_path / "x.h5").touch()
    with pytest.warns(UserWarning, match="said beside"), pytest.raises(BadRecording, match=r"x.h5: 'no such tag'"):
        read_signals(tmp_path / "x.h5")


def test_threads_share_one_process_and_forked_processes_have_their_own(tmp_path):
    (tmp_path / "x").touch()
    with ThreadPoolExecutor(2) as pool:
        own = set(pool.map(lambda _: GUARD.call(bad_readers.process, None, file=tmp_path / "x"), range(8)))
    assert len(own) == 1
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        other = pool.submit(_process_of, tmp_path / "x").result()
    assert other not in own
    assert GUARD.call(bad_readers.process, None, file=tmp_path / "x") in own


def _process_of(file):
    return GUARD.call(bad_readers.process, None, file=file)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs signals")
def test_it_is_in_no_group_with_the_process_that_started_it(tmp_path):
    """So Ctrl-C goes by it; and ipykernel, which ends its own group and waits for all of it, ends at once."""
    (tmp_path / "x").touch()
    assert os.getpgid(_process_of(tmp_path / "x")) != os.getpgrp()


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs signals")
def test_it_ends_with_the_process_that_started_it(tmp_path):
    (tmp_path / "x").touch()
    code = (
        "import sys; from pathlib import Path; from helpers import bad_readers;"
        "from anysleep.recordings.readers.guarded import GUARD;"
        "print(GUARD.call(bad_readers.process, None, file=Path(sys.argv[1])), flush=True); sys.stdin.read()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "x"], env=environment, **pipes) as parent:
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(600):
        if not _lives(child):
            return
        time.sleep(0.1)
    raise AssertionError("it lives on")


def _lives(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_path_counts_from_where_this_process_is_now(tmp_path, monkeypatch):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        write_utime(folder / "x.h5")
        monkeypatch.chdir(folder)
        assert read_signals("x.h5").signals[0].shape == (9000,)
        (folder / "x.h5").unlink()


def test_a_file_is_read_when_the_working_folder_has_gone(tmp_path):
    """The process beside is started there, too; here in a process of its own, as the folder is of a whole process."""
    (tmp_path / "gone").mkdir()
    code = (
        "import os, sys; from anysleep.recordings.readers import read_signals; os.rmdir(os.getcwd());"
        "print(read_signals(sys.argv[1]).signals[0].shape)"
    )
    command = [sys.executable, "-c", code, write_utime(tmp_path / "x.h5")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, cwd=tmp_path / "gone", env=environment, capture_output=True, text=True)
    assert done.stdout == "(9000,)\n", done.stderr

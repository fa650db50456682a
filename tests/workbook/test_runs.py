"""A run folder is one run's at a time, and what goes wrong is said in a sentence."""

import signal
import subprocess
import sys
import time

import pytest
from helpers.toy_runs import inspect

from anysleep.workbook import run as runs
from anysleep.workbook import runner

START = "import os; from anysleep.workbook import run as runs; from anysleep.workbook.notebooks import Inspect; "
START += "runs.WAIT_S = 0; runs.start_run(Inspect(**{}))"


def in_another_process(folder, then="") -> subprocess.CompletedProcess:
    """Start the run there, too, without waiting, and do what is said."""
    code = f"{START.format(inspect(folder).plain())}; {then}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_folder_is_one_run_s_until_it_has_finished(tmp_path):
    run = runs.start_run(inspect(tmp_path))
    assert "ValueError: another run is at work in" in in_another_process(tmp_path).stderr
    run = runs.start_run(inspect(tmp_path))  # the cell once more, in the same kernel
    run.finish()
    assert in_another_process(tmp_path).returncode == 0


def test_a_run_that_was_killed_leaves_no_lock(tmp_path):
    assert in_another_process(tmp_path, "os.kill(os.getpid(), 9)").returncode == -signal.SIGKILL
    assert in_another_process(tmp_path).returncode == 0


def test_a_kernel_ends_with_its_runner_whoever_takes_it_over(tmp_path):
    """By itself it would see only that init took it over, not systemd of a user, or a container's own."""
    code = "import os, subprocess, sys; os.environ['JPY_PARENT_PID'] = str(os.getpid()); "
    kernel = f"{START.format(inspect(tmp_path).plain())}; os.write(1, b'begun'); import time; time.sleep(1000)"
    code += f"subprocess.run([sys.executable, '-c', {kernel!r}])"
    runner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert runner.stdout.read(5) == b"begun"
    runner.kill()
    assert runner.stdout.read() == b""  # ends when the kernel, which holds the other end, has ended
    runner.wait()


def test_the_runner_touches_nothing_of_a_run_at_work(tmp_path, root, monkeypatch, capsys):
    run = runs.start_run(inspect(tmp_path / "run"))
    (run.folder / "notebook.ipynb").write_text("theirs")
    (tmp_path / "a.h5").touch()
    words = ["02_inspect", f"archive={tmp_path / 'a.h5'}", f"run_dir={run.folder}"]
    code = "import sys; from anysleep.__main__ import main; from anysleep.workbook import run; run.WAIT_S = 0; "
    code += f"sys.exit(main({['run', *words]!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 2 and "another run is at work" in done.stderr and len(done.stderr.splitlines()) == 1
    assert (run.folder / "notebook.ipynb").read_text() == "theirs"


def test_of_two_runs_started_at_once_one_kernel_starts(tmp_path, root):
    """The kernel is one that waits for the other process to have ended: only its runner can have locked the folder."""
    (tmp_path / "a.h5").touch()
    words = ["02_inspect", f"archive={tmp_path / 'a.h5'}", f"run_dir={tmp_path / 'run'}"]
    code = f"""if True:
        import sys, pathlib, time
        from anysleep.__main__ import main
        from anysleep.workbook import run as runs, runner
        here = pathlib.Path({str(tmp_path)!r})
        def kernel(params, *_):
            print("kernel", flush=True)
            while not (here / "other ended").exists():
                time.sleep(0.01)
            return params.run_dir
        runner._execute = kernel
        print("ready", flush=True)
        sys.stdin.readline()
        sys.exit(main({["run", *words]!r}))"""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=root, text=True, **streams) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    while all(process.poll() is None for process in both):
        time.sleep(0.01)
    (tmp_path / "other ended").touch()
    ended = sorted((*process.communicate(), process.returncode) for process in both)
    (loser_said, why, loser), (winner_said, _, winner) = ended
    assert (loser, winner) == (2, 0) and loser_said == "" and winner_said.startswith("kernel\n")
    assert "another run is at work in" in why and len(why.splitlines()) == 1


def test_a_run_that_lacks_its_inputs_leaves_the_folder_of_another_alone(tmp_path, root):
    words = ["02_inspect", f"archive={tmp_path / 'gone.h5'}", f"run_dir={tmp_path}", runner.MAY_LACK_INPUTS]
    command = [sys.executable, "-m", "anysleep.runs", *words]
    lock = runs.lock_folder(tmp_path, ".runner.lock")
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 2 and "another run is at work" in done.stderr
    assert not (tmp_path / "params.yaml").exists() and not (tmp_path / "result.json").exists()
    lock.release()
    assert subprocess.run(command, cwd=root, capture_output=True).returncode == 0
    assert "no file" in (tmp_path / "result.json").read_text()


def test_a_training_is_asked_to_stop_before_the_kernel_that_reads_its_words(tmp_path):
    training = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(print('saved'))); "
    training += "print('ready', flush=True); time.sleep(60)"
    kernel = "import subprocess, sys; from pathlib import Path; "
    kernel += (
        f"p = subprocess.Popen([sys.executable, '-c', {training!r}, 'anysleep.training'], stdout=subprocess.PIPE)\n"
    )
    kernel += f"for line in p.stdout: Path({str(tmp_path)!r}, line.decode().strip()).touch()\n"
    kernel += "p.wait(); import time; time.sleep(60)"
    code = "import signal, subprocess, sys; from anysleep.workbook import runner; "
    code += "signal.signal(signal.SIGTERM, runner.forward_sigterm); "
    code += f"subprocess.run([sys.executable, '-c', {kernel!r}])"
    started = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "ready").exists():
        assert started.poll() is None
        time.sleep(0.01)
    started.terminate()
    assert started.communicate()[1] == f"{runner.STOPPED}\n" and started.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "saved").exists()


def test_what_a_folder_held_is_said_before_it_is_replaced(tmp_path, capsys):
    runs.start_run(inspect(tmp_path)).finish()
    runs.start_run(inspect(tmp_path)).finish()
    assert capsys.readouterr().out == ""
    runs.start_run(inspect(tmp_path, recording="other", start_s=30.0)).finish()
    assert "replaces the results of another run in" in (said := capsys.readouterr().out)
    assert "different: recording, start_s" in said and "run_dir=..., keeps the two apart" in said


def test_a_run_that_never_began_leaves_the_result_before_it(tmp_path):
    runs.start_run(inspect(tmp_path)).finish()
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(RuntimeError, match="no kernel"), runs.result_aside(tmp_path):
        assert not (tmp_path / "result.json").exists()
        raise RuntimeError("no kernel")
    assert (tmp_path / "result.json").read_bytes() == before
    with runs.result_aside(tmp_path):
        runs.start_run(inspect(tmp_path, recording="b")).lock.release(force=True)
    assert not (tmp_path / "result.json").exists() and not (tmp_path / runs.ASIDE).exists()


def test_warnings_of_a_kernel_are_a_line_said_once():
    code = """
import warnings
from anysleep.workbook.run import _say_once
_say_once()
for place in range(2):
    warnings.warn("short", UserWarning, stacklevel=1); warnings.warn("short", UserWarning, stacklevel=2)
warnings.warn("theirs", DeprecationWarning)
warnings.warn("To exit: use 'exit', 'quit', or Ctrl-D.")
"""
    said = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert said.stderr.splitlines()[0] == "note: short" and said.stderr.count("short") == 1
    assert "DeprecationWarning: theirs" in said.stderr and "To exit" not in said.stderr

"""A training in processes of its own: killed or asked to stop, started again, spread over two processes."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import psutil
import pytest
import torch
import torch._dynamo  # every optimizer asks for it; here once for all trainings
import yaml
from filelock import FileLock
from helpers.forked import Forked
from helpers.toy_training import assert_same, params_of_03, write_archive

from anysleep.__main__ import main
from anysleep.datasets.splits import write_split
from anysleep.training.follow import STATE, STOPPED
from anysleep.training.state import load_state

TOY = {
    "unet": {"depth": 4, "complexity": 1.0},
    "batch": {"n_windows": 8, "window_epochs": 4, "max_channels": 0},
    "n_steps": 30,
    "steps_per_training_epoch": 7,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def run_folder(root, archive, tmp_path):
    """Makes a run folder that asks for a training."""

    def make(name, **changes):
        folder = tmp_path / name
        params = params_of_03(root, archive=str(archive), run_dir=str(folder), **(TOY | changes))
        folder.mkdir()
        (folder / "params.yaml").write_text(yaml.safe_dump({"run_id": params.run_id} | params.plain()))
        nights = ["a0", "a1", "b2", "c3"]
        write_split(folder / "split.yaml", {"train": {"toy": nights}, "valid": {"toy": ["d4", "d5"]}, "test": {}})
        return folder

    return make


def start(folder: Path) -> Forked:
    return Forked("anysleep.training", str(folder))


def run_to_the_end(folder: Path) -> str:
    training = start(folder)
    said = training.stdout.read()
    assert training.wait(timeout=60) == 0, said
    return said


def stop_at(folder: Path, line_starts: str, with_signal: signal.Signals) -> int:
    """Send the signal when the training says a line that starts so; returns the exit status."""
    training = start(folder)
    for line in training.stdout:
        if line.startswith(line_starts):
            training.send_signal(with_signal)
            break
    training.stdout.read()
    return training.wait(timeout=60)


def test_a_training_that_waits_for_another_one_can_be_stopped(run_folder):
    folder = run_folder("busy")
    (folder / "training").mkdir()
    with FileLock(folder / "training/.lock"):
        assert stop_at(folder, "another process trains in this folder", signal.SIGTERM) == STOPPED


def test_killed_or_asked_to_stop_it_goes_on_as_if_it_never_had(run_folder):
    run_to_the_end(run_folder("peace"))
    folder = run_folder("trouble")
    assert stop_at(folder, "step 7 of 30", signal.SIGKILL) == -signal.SIGKILL
    assert stop_at(folder, "step 14 of 30", signal.SIGTERM) == STOPPED
    stopped_at = load_state(folder / STATE).step
    assert 14 <= stopped_at < 30
    said = run_to_the_end(folder)
    assert said.startswith(f"going on after step {stopped_at} of 30")
    assert_same(load_state(folder / STATE), load_state(folder.parent / "peace" / STATE))
    assert run_to_the_end(folder).startswith("finished already, after step 30")
    assert (folder / "training/history.csv").read_bytes() == (folder.parent / "peace/training/history.csv").read_bytes()


def test_interrupted_it_saves_too(run_folder):
    folder = run_folder("interrupted", n_steps=100_000)
    assert stop_at(folder, "step 7 ", signal.SIGINT) == STOPPED
    assert load_state(folder / STATE).step >= 7


@pytest.mark.slow
def test_a_training_ends_with_the_process_that_started_it(run_folder):
    """The state is saved then, so that nothing is lost when a notebook's kernel dies."""
    folder = run_folder("orphan", n_steps=100_000)
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-m', 'anysleep.training', {str(folder)!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for line in parent.stdout:
        if line.startswith("step 7 "):
            parent.kill()
            break
    said = parent.stdout.read()  # ends when the training, which holds the other end, has ended
    assert load_state(folder / STATE).step >= 7 and "failed" not in said


@pytest.mark.slow
def test_two_processes_draw_the_windows_of_one_and_keep_the_same_weights(archive, tmp_path):
    """Two processes on the CPU talk by gloo; what they noted is compared with one process."""
    worker = Path(__file__).parents[1] / "helpers" / "two_processes.py"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launcher += [f"--log-dir={tmp_path / 'torchrun'}", str(worker)]
    subprocess.run([*launcher, str(archive), str(tmp_path)], check=True, timeout=300)
    subprocess.run([sys.executable, str(worker), str(archive), str(tmp_path)], check=True, timeout=300)
    one, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("0of1", "0of2", "1of2"))
    assert len(one["windows"]) == len(first["windows"]) == 4
    for whole, half, other in zip(one["windows"], first["windows"], second["windows"], strict=True):
        assert torch.equal(whole, torch.cat([half, other]))
    for a, b in zip(first["weights"], second["weights"], strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first["weights"][0], first["weights"][-1])
    assert first["history"] == second["history"]
    assert torch.equal(first["best"], second["best"])  # with the statistics of batch normalisation


@pytest.mark.slow
def test_a_run_of_two_processes_starts_them_and_goes_on(run_folder):
    """They listen on the loopback only: whoever reaches torch's store may write into it, so nobody else may."""
    compute = {"precision": "32", "compile": False, "n_devices": 2}
    training = start(run_folder("peace", compute=compute, n_steps=15))
    next(line for line in training.stdout if line.startswith("step 7 "))
    everyone = [training.process, *training.process.children(recursive=True)]
    listening = [c.laddr.ip for one in everyone for c in one.net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(everyone) == 3 and listening and set(listening) == {"127.0.0.1"}
    said = training.stdout.read()
    assert training.wait(timeout=60) == 0, said
    folder = run_folder("trouble", compute=compute, n_steps=15)
    assert stop_at(folder, "step 7 of 15", signal.SIGTERM) != 0
    assert 7 <= load_state(folder / STATE).step < 15
    run_to_the_end(folder)
    assert_same(load_state(folder / STATE), load_state(folder.parent / "peace" / STATE))


def test_a_dry_run_says_what_would_be_trained(root, archive, tmp_path, capsys):
    """The command line of --dry-run, on the toy cohort; what cannot start is said, and nothing is written."""
    words = [f"{name}={value}" for name, value in TOY.items() if name != "unet"]
    words += [f"archive={archive}", f"run_dir={tmp_path / 'run'}", "unet={depth: 4, complexity: 1.0}", "--dry-run"]
    assert main(["run", "03_train", *words]) == 0
    said = capsys.readouterr().out
    assert "6 labelled recordings of 1 data set at 4 Hz" in said and "training epoch:" in said
    assert "5 training epochs" in said  # 30 steps in epochs of 7
    assert not (tmp_path / "run").exists()
    assert main(["run", "03_train", *words, "archive=nowhere.h5"]) == 2
    assert "no file nowhere.h5; 01_prepare makes it" in capsys.readouterr().err
    assert main(["run", "03_train", *words, "compute.n_devices=3"]) == 2
    assert "3 devices (compute.n_devices) cannot share equally" in capsys.readouterr().err


@pytest.mark.parametrize("architecture", ["usleep", "anysleep"])
def test_validation_nights_without_labels_or_channels_are_left_out(run_folder, tmp_path, architecture):
    """A split may name nights that cannot be scored; a training does not end because of them."""
    folder = run_folder("gaps", architecture=architecture, n_steps=2, steps_per_training_epoch=2)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    changed = tmp_path / "gaps.h5"
    shutil.copy(params["archive"], changed)
    with h5py.File(changed, "r+") as file:
        del file["toy/d4/hypnogram"], file["toy/c3/PSG/E1"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"archive": str(changed)}))
    split = {"train": {"toy": ["a0", "a1", "b2"]}, "valid": {"toy": ["c3", "d4", "d5"]}, "test": {}}
    write_split(folder / "split.yaml", split)
    said = run_to_the_end(folder)
    assert ("1 of 2 nights are left out, without an EEG and an EOG channel" in said) == (architecture == "usleep")
    assert len(load_state(folder / STATE).history) == 1

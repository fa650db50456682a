"""Several devices write what one writes; however they are stopped, they end together and say why."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from helpers import toy_predictions
from helpers.toy_predictions import done, predict, write_archive, written

from anysleep.models import load_checkpoint
from anysleep.staging.sources import jobs_of_archive
from anysleep.workbook import predicted_night as workers
from anysleep.workbook.predicted_night import Wanted

archive = toy_predictions.archive
checkpoints, checkpoint = toy_predictions.checkpoints, toy_predictions.checkpoint


def stop_two_workers(stop, folder: Path, checkpoint: Path, archive: Path) -> None:
    """A run on two devices, in a process of its own, which `stop(process, workers)` stops after four more nights."""
    n_before = len(done(folder))
    process = multiprocessing.get_context("fork").Process(
        target=predict, args=(folder, checkpoint, archive), kwargs={"n_devices": 2}
    )
    process.start()
    while len(done(folder)) < n_before + 4:
        assert process.is_alive()
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    started = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    stop(process, started)
    process.join(600)  # one worker may have all other nights to stage
    _, alive = psutil.wait_procs(started, timeout=10)
    assert len(started) == 2 and not alive and process.exitcode
    assert n_before + 4 <= len(done(folder)) and not (folder / "nights.csv").exists()


@pytest.mark.slow
def test_two_devices_however_stopped_write_what_one_writes(checkpoint, tmp_path, capfd):
    """The run is asked to stop, then loses a worker; its workers do not outlive it."""
    archive = write_archive(tmp_path / "many.h5", n_nights=60)
    predict(tmp_path / "one", checkpoint, archive)
    run = (tmp_path / "two", checkpoint, archive)
    stop_two_workers(lambda process, _: process.terminate(), *run)
    stop_two_workers(lambda _, started: started[0].kill(), *run)
    said = capfd.readouterr().err
    assert (
        "RuntimeError: cpu: JobLost: its process died (" in said
    )  # by which signal is known only where it was waited for
    assert len(done(tmp_path / "two")) >= 59  # only the night it was at is lost
    predict(*run)
    assert written(tmp_path / "two") == written(tmp_path / "one")


def test_interrupted_it_ends_its_workers(archive, checkpoint, tmp_path):
    others = set(multiprocessing.active_children())

    def interrupt():
        while len(set(multiprocessing.active_children()) - others) < 2:
            time.sleep(0.05)
        time.sleep(0.5)  # now it waits for their results
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            predict(tmp_path, checkpoint, archive, n_devices=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert set(multiprocessing.active_children()) <= others and not (tmp_path / "nights.csv").exists()


def test_an_error_in_a_worker_is_told(archive, checkpoint, tmp_path):
    """Here the checkpoint is gone when the worker wants to load it."""
    jobs = jobs_of_archive(load_checkpoint(checkpoint), archive)
    tasks = [(tmp_path / f"{job.recording}.npz", job) for job in jobs]
    wanted, device = Wanted("", (1,), write_logits=False), torch.device("cpu")
    with pytest.raises(RuntimeError, match=r"cpu: FileNotFoundError: .*gone.pth.*, at n0, 5 not done"):
        list(workers.stage_on_many(tmp_path / "gone.pth", wanted, tasks, [device]))


def test_more_devices_than_there_are_are_refused(monkeypatch):
    assert workers.choose_devices("cpu", 3) == [torch.device("cpu")] * 3
    monkeypatch.setattr(workers, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert workers.choose_devices("cuda", 2) == [torch.device("cuda:0"), torch.device("cuda:1")]
    with pytest.raises(ValueError, match="n_devices is 3, but of cuda there is 2"):
        workers.choose_devices("cuda", 3)

"""Files appear whole or not at all, after a power failure, too."""

import json
import os
import re
import subprocess
import sys

import edfio
import h5py
import numpy as np
import pytest
import torch

from anysleep.system.files import DiskFull, NpzWriter, atomic_write, clear_left_over, read_if_whole


@pytest.fixture
def disk(monkeypatch):
    """What is asked of the system, in order: names of what is synced and renamed."""
    asked, fsync, replace = [], os.fsync, os.replace

    def noting_fsync(descriptor):
        asked.append(("synced", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def noting_replace(source, target):
        asked.append(("renamed", os.path.basename(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    return asked


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells what a descriptor belongs to")
def test_content_is_on_the_disk_before_its_name_and_then_the_name(disk, tmp_path):
    with atomic_write(tmp_path / "table.csv") as temporary:
        temporary.write_text("stage\n")
    with NpzWriter(tmp_path / "night.npz") as npz:
        npz.add("stages", np.arange(3))
    assert disk == [
        *[("synced", f".{os.getpid()}.table.csv"), ("renamed", "table.csv"), ("synced", tmp_path.name)],
        *[("synced", f".{os.getpid()}.night.npz"), ("renamed", "night.npz"), ("synced", tmp_path.name)],
    ]


def edf(path):
    signals = [edfio.EdfSignal(np.zeros(2_000_000), 100, label="C3", physical_range=(-1, 1))]
    edfio.Edf(signals).write(path)


def hdf5(path):
    with h5py.File(path, "w") as file:
        file["C3"] = np.zeros(300_000)


WRITERS = {
    "text": lambda path: path.write_text("x" * 2_000_000),
    "npz": lambda path: np.savez(path, stages=np.zeros(300_000)),
    "pth": lambda path: torch.save(torch.zeros(300_000), path),
    "h5": hdf5,
    "edf": edf,
}
"""Format -> writes 2 MB of it. Of a full disk every library says something else."""


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_in_a_sentence_and_leaves_what_was_there(name, tmp_path, largest_file):
    path = tmp_path / f"night.{name}"
    path.write_text("before")
    with largest_file(1_000_000), pytest.raises(DiskFull) as full, atomic_write(path) as temporary:
        WRITERS[name](temporary)
    said = rf"disk full: no room for night.{name} in {tmp_path}, where \d+\.\d\d GB are free; make room, or .*"
    assert re.fullmatch(said, str(full.value))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_another_fault_is_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(RuntimeError, match="its own fault"), atomic_write(tmp_path / "night.npz") as temporary:
        temporary.write_text("half")
        raise RuntimeError("its own fault")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_has_half_written_goes_and_nothing_else(tmp_path):
    (tmp_path / "store").mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        killed.wait()
    kept = [".lock", ".12", ".archive_nights", "7.csv", f".{os.getppid()}.at_work.csv"]
    for name in (*kept, f".{killed.pid}.table.csv", f"store/.{killed.pid}.night.npz", f".{os.getpid()}.mine.csv"):
        (tmp_path / name).touch()
    clear_left_over(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([*kept, "store"])


def test_half_a_file_is_said_and_read_as_none(tmp_path, capsys):
    path = tmp_path / "result.json"
    assert read_if_whole(path, json.loads) is None and not capsys.readouterr().out
    path.write_text('{"run_id":')
    assert read_if_whole(path, lambda path: json.loads(path.read_text())) is None
    assert capsys.readouterr().out == "result.json cannot be read (JSONDecodeError) and is made anew\n"


def test_nothing_goes_around_the_one_way_to_write(root):
    """Every module of the library that writes a file takes its name from `atomic_write`."""
    writes = re.compile(r"os\.(replace|rename)\(|torch\.save\(|\.(to_csv|write_text|write_bytes)\(|np\.savez?\(")
    others = [
        f"{path.name}: {line.strip()}"
        for path in (root / "lib").rglob("*.py")
        for line in path.read_text().splitlines()
        if writes.search(line) and "temporary" not in line
    ]
    assert not others

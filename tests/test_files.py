"""Files appear whole or not at all, after a power failure, too."""

import json
import os
import re

import numpy as np
import pytest

from anysleep.system.files import NpzWriter, atomic_write, read_if_whole


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


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zipfile.ZipFile.close", full)
    with pytest.raises(OSError, match="No space left"), NpzWriter(tmp_path / "night.npz") as npz:
        npz.add("stages", np.arange(3))
    assert not list(tmp_path.iterdir())


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

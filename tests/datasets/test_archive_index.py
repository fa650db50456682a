"""An archive of many nights is opened and listed without opening any; each is held against the index when read."""

import json
import os
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.hostile_archives import huge, index_of, toy_archive

from anysleep.datasets import archive_check
from anysleep.datasets.archive import Archive, ArchiveReplaced, DatasetFiles, NightWriter, assemble_archive


def keeping_its_time(path, change):
    """Change the file as somebody would who wants its index to be believed."""
    status = path.stat()
    with h5py.File(path, "r+") as file:
        change(file)
    os.truncate(path, max(status.st_size, path.stat().st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    index = json.loads(index_of(path).read_text())
    index["of"][1] = path.stat().st_size
    index_of(path).write_text(json.dumps(index))


def many_nights(folder, n_nights):
    folder.mkdir()
    with NightWriter(folder / "first.h5", "n", 1, 1) as night:
        night.add_channel("C3", np.ones(30))
        night.add_hypnogram(np.zeros(1))
    with h5py.File(folder / "first.h5") as first, h5py.File(folder / "nights.h5", "w") as nights:
        for i in range(n_nights):
            first.copy("n", nights, f"n{i}")
    files = [(folder / "nights.h5", f"n{i}") for i in range(n_nights)]
    parts = [DatasetFiles(name, ["C3"], [], files[half::2]) for half, name in enumerate(("a", "b"))]
    return assemble_archive(folder / "many.h5", parts, 1)


def test_to_open_and_list_four_times_as_many_nights_opens_no_more_of_the_file(tmp_path, monkeypatch):
    paths = [many_nights(tmp_path / f"{n}", n) for n in (300, 1200)]
    n_opened = []
    original = h5py.h5o.open
    monkeypatch.setattr(h5py.h5o, "open", lambda *args, **options: n_opened.append(1) or original(*args, **options))
    here = SimpleNamespace(call=lambda function, *args, file, n_bytes: function(*args))
    monkeypatch.setattr(archive_check, "GUARD", here)
    counts = []
    for path, n_nights in zip(paths, (300, 1200), strict=True):
        n_opened.clear()
        with Archive(path) as archive:
            assert len(archive.recordings()) == n_nights and archive.fingerprint() and archive.test_only() == []
        counts.append(len(n_opened))
    assert 0 < counts[0] == counts[1] < 20


def test_what_is_listed_is_the_same_with_and_without_an_index(tmp_path):
    path = toy_archive(tmp_path)
    with Archive(path) as archive:
        listed, fingerprint = archive.recordings(), archive.fingerprint()
    for change in (lambda index: index.unlink(), lambda index: index.write_text("{"), lambda _: os.utime(path)):
        change(index_of(path))
        with Archive(path) as archive:
            pd.testing.assert_frame_equal(archive.recordings(), listed)
            assert archive.fingerprint() == fingerprint
        assert len(json.loads(index_of(path).read_text())["nights"]) == len(listed)


def test_what_takes_the_archives_place_meanwhile_gets_no_index_of_the_one_before(tmp_path):
    path, new = many_nights(tmp_path / "old", 3), many_nights(tmp_path / "new", 4)
    index_of(path).unlink()
    with Archive(path) as archive:
        os.replace(new, path)
        assert len(archive.recordings()) == 3
    with Archive(path) as archive:
        assert len(archive.recordings()) == 4


def test_an_index_of_another_state_of_the_archive_is_not_believed(tmp_path):
    path = toy_archive(tmp_path)
    with Archive(path) as archive:
        before = archive.fingerprint()
    with h5py.File(path, "r+") as file:
        file["alone/n0/hypnogram"][0] = (file["alone/n0/hypnogram"][0] + 1) % 5
        file["alone"].copy("n0", file["alone"], "again")
    with Archive(path) as archive:
        assert archive.fingerprint() != before
        assert "again" in set(archive.recordings().recording)


def test_a_copy_in_a_folder_that_cannot_be_written_to_is_listed_as_well(tmp_path, monkeypatch):
    copy = shutil.copy(toy_archive(tmp_path), tmp_path / "copy.h5")
    index_of(copy).mkdir()  # no file of this name can be written
    with Archive(copy) as archive:
        assert len(archive.recordings()) == 3


def virtual(file):
    layout = h5py.VirtualLayout(file["alone/n0/hypnogram"].shape, "i1")
    layout[:] = h5py.VirtualSource("gone.h5", "x", layout.shape)
    del file["alone/n0/hypnogram"]
    file["alone/n0"].create_virtual_dataset("hypnogram", layout)


def outside(file):
    del file["alone/n0/hypnogram"]
    file["alone/n0/hypnogram"] = h5py.ExternalLink("gone.h5", "/x")


def moved(file, channel):
    """The signals lie below another night, where a link leads to; among them one more."""
    *_, other = file["big"].values()
    other.move(file["alone/n0/PSG"].name, "elsewhere")
    other["elsewhere/C9"] = channel
    file["alone/n0/PSG"] = h5py.SoftLink(other["elsewhere"].name)


def outside_by_two_links(file):
    """There is such a file, and the link that leads out lies where no night is."""
    with h5py.File(file.filename.replace("toy.h5", "there.h5"), "w") as there:
        there["x"] = np.ones(5)
    *_, other = file["big"].values()
    other["out"] = h5py.ExternalLink("there.h5", "/")
    file["alone/n0/PSG/C9"] = h5py.SoftLink(f"{other.name}/out/x")


def other_labels(file):
    file["alone/n0/hypnogram"][:] = 4


HOSTILE = {
    "a virtual dataset": (virtual, "lie in another file"),
    "a link out of the file": (outside, "is a link to another file"),
    "a link to a link out of the file": (
        lambda file: moved(file, h5py.ExternalLink("gone.h5", "/x")),
        "to another file",
    ),
    "a link through a link": (outside_by_two_links, "alone/n0/PSG/C9 lies in another file"),
    "values without end": (lambda file: huge(file, "alone/n0/PSG/C4"), "some were never written"),
    "a signal that is a group": (lambda file: file.create_group("alone/n0/PSG/C9"), "alone/n0 cannot be read"),
    "labels that are not those of the index": (other_labels, "not what .toy.h5.index says of it; delete that index"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_night_is_read_before_it_was_looked_at_whatever_the_index_says(tmp_path, kind):
    change, said = HOSTILE[kind]
    path = toy_archive(tmp_path)
    keeping_its_time(path, change)
    with Archive(path) as archive:
        assert len(archive.recordings()) == 3
        sound = archive.recordings().query("recording != 'n0'").iloc[0]
        assert archive.signals(sound.dataset, sound.recording, sound.channels).any()
        for read in (archive.hypnogram, archive.channels_of, archive.gaps, archive.quality, archive.prepared):
            with pytest.raises(ValueError, match=said):
                read("alone", "n0")
        with pytest.raises(ValueError, match=said):
            archive.check(archive.nights())


def test_a_night_of_an_archive_that_was_replaced_is_not_read(tmp_path):
    path = toy_archive(tmp_path)
    with Archive(path) as archive:
        shutil.copy(path, tmp_path / "other.h5").replace(path)
        with pytest.raises(ArchiveReplaced, match=r"toy\.h5 has been replaced or changed"):
            archive.hypnogram("alone", "n0")

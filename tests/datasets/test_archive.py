"""What goes into an archive comes out, by the published layout; what does not fit is named."""

import h5py
import numpy as np
import pytest
from helpers.archives import read_all, recipe
from helpers.edf_files import signal, stage, write_edf

from anysleep.data import preprocess, read_recording
from anysleep.datasets import archive as archives
from anysleep.datasets.archive import (
    Archive,
    ArchiveReplaced,
    DatasetFiles,
    NightWriter,
    NotInArchive,
    assemble_archive,
)
from anysleep.datasets.overview import archived_night
from anysleep.datasets.preparation import prepare_archive

SECONDS = 200  # six whole epochs and 20 s


@pytest.fixture
def recordings(tmp_path):
    """Two good files, one without the EOG and with labels for four epochs, one that is broken."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    both = [signal("EEG C3-M2", 100, seconds=SECONDS), signal("EOG E1-M2", 64, seconds=SECONDS)]
    write_edf(folder / "p01-night1.edf", both, [stage(0, 60, "W"), stage(60, 120, "N2")])
    write_edf(folder / "p01-night2.edf", both)
    write_edf(folder / "p02-night1.edf", both[:1], [stage(0, 90, "N3"), stage(90, 30, "R")])
    (folder / "p03-night1.edf").write_bytes(b"broken")
    (folder / "participants.tsv").write_text("subject\tage\tsex\np01\t30.5\tF\np02\t61\tM\np03\t5\tF\n")
    return folder


@pytest.fixture
def prepared(recordings, tmp_path):
    path = tmp_path / "archive.h5"
    return path, prepare_archive([(recipe(), recordings)], path, sampling_rate_hz=128)[0]


def test_signals_and_labels_come_out_as_they_went_in(prepared, recordings):
    night = read_recording(recordings / "p01-night1.edf")
    expected = preprocess(night.signals, night.rates_hz)[:, : 6 * 3840]
    with Archive(prepared[0]) as archive:
        assert np.array_equal(archive.signals("lab", "p01-night1", ["C3-M2", "E1-M2"]), expected)
        window = archive.signals("lab", "p01-night1", ["E1-M2"], start_epoch=2, n_epochs=3)
        assert np.array_equal(window, expected[1:, 2 * 3840 : 5 * 3840])
        assert archive.hypnogram("lab", "p01-night1").tolist() == [0, 0, 2, 2, 2, 2]
        assert archive.hypnogram("lab", "p02-night1").tolist() == [3, 3, 3, 4, 9, 9]
        assert archive.hypnogram("lab", "p01-night2") is None


def test_a_pause_of_an_archived_night_is_where_its_samples_are_zero(tmp_path):
    gaps_s = [[45.006, 75.006]]  # between two samples; an even number, so that no sample is the median
    (stored,) = preprocess([np.random.default_rng(0).standard_normal(4 * 3840)], 128, gaps_s=gaps_s)
    with NightWriter(tmp_path / "night.h5", "n1", 4, 128) as night:
        night.add_channel("C3-M2", stored)
        night.add_spans("gaps", gaps_s)
    lab = DatasetFiles("lab", ["C3-M2"], [], [(tmp_path / "night.h5", "n1")])
    with Archive(assemble_archive(tmp_path / "archive.h5", [lab], 128)) as archive:
        assert np.array_equal(np.isnan(archived_night(archive, "lab", "n1").signals[0]), stored == 0)


def test_an_interquartile_range_is_known_in_microvolts(prepared, recordings):
    night = read_recording(recordings / "p01-night1.edf")
    expected = [np.subtract(*np.percentile(samples, [75, 25])) for samples in night.signals]
    with Archive(prepared[0]) as archive:
        assert archive.iqr_uv("lab", "p01-night1", ["C3-M2", "E1-M2"]) == pytest.approx(expected, rel=0.02)
        assert np.isnan(archive.iqr_uv("lab", "p01-night1", ["C4-M1"])).all()


def test_a_row_a_file_says_what_happened(prepared):
    rows = prepared[1].set_index("recording")
    assert rows.status.to_dict() == {
        "p01-night1": "ok", "p01-night2": "ok", "p02-night1": "ok", "p03-night1": "failed",
    }  # fmt: skip
    assert rows.code["p03-night1"] == "damaged" and "not a whole EDF" in rows.reason["p03-night1"]
    assert rows.left_out["p02-night1"] == "E1-M2: not in the recording (EEG C3-M2)"
    assert rows.dropped_s["p01-night1"] == 20
    assert rows.n_scored.dropna().to_dict() == {"p01-night1": 6, "p01-night2": 0, "p02-night1": 4}


def test_the_layout_is_the_published_one(prepared):
    with h5py.File(prepared[0]) as file:
        assert list(file["lab"].attrs["eeg_channels"]) == ["C3-M2"]
        assert list(file["lab"].attrs["eog_channels"]) == ["E1-M2"]
        night = file["lab/p01-night1"]
        assert night["PSG/C3-M2"].shape == (6 * 3840,) and night["PSG/C3-M2"].dtype == np.float32
        assert night["hypnogram"].dtype == np.int8
        assert {key: list(value) for key, value in night["class_to_index"].items()} == {
            "0": [0, 1], "1": [], "2": [2, 3, 4, 5], "3": [], "4": [],
        }  # fmt: skip


def test_only_harmless_facts_about_the_person_are_kept(prepared):
    with h5py.File(prepared[0]) as file:
        attributes = dict(file["lab/p01-night1"].attrs)
    assert attributes.pop("source_sha256") and attributes.pop("prepared")
    assert attributes.pop("synthetic") == False  # noqa: E712 (a numpy truth value)
    assert attributes == {"subject": "p01", "age": 30.5, "sex": "F", "start_time": "22:58:03"}


def test_a_published_archive_opens_unchanged(tmp_path):
    """No version, no rate, -1 for unscored, nothing about the person."""
    with h5py.File(tmp_path / "published.h5", "w") as file:
        file.create_group("dodh").attrs.update(eeg_channels=["C3-M2"], eog_channels=np.array([b"EOG1"]))
        file["dodh/001/PSG/C3-M2"] = np.zeros(2 * 3840, dtype=np.float32)
        file["dodh/001/hypnogram"] = np.array([-1, 3])
    with Archive(tmp_path / "published.h5") as archive:
        row = archive.recordings().iloc[0]
        assert (row.recording, row.subject, row.n_epochs, row.channels) == ("001", None, 2, ("C3-M2",))
        assert archive.hypnogram("dodh", "001").tolist() == [9, 3]


def test_wrong_archives_are_named(tmp_path, prepared):
    with pytest.raises(FileNotFoundError, match="no such archive"):
        Archive(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(ValueError, match="not a whole HDF5 file"):
        Archive(tmp_path / "text.h5")
    with Archive(prepared[0]) as archive:
        with pytest.raises(KeyError, match="has no lab/p09"):
            archive.hypnogram("lab", "p09")
        with pytest.raises(KeyError, match="has no channel F3-M2; it has C3-M2, E1-M2"):
            archive.signals("lab", "p01-night1", ["F3-M2"])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda night: night.add_channel("C3", np.zeros(3841)), "3841 samples, not 1 epochs of 3840"),
        (lambda night: night.add_hypnogram(np.zeros(3)), "3 labels for 1 epochs"),
        (lambda night: night.add_channel("C3/M2", np.zeros(3840)), "'C3/M2' cannot be a name"),
    ],
)
def test_nights_that_contradict_themselves_are_refused(tmp_path, write, message):
    with pytest.raises(ValueError, match=message), NightWriter(tmp_path / "night.h5", "a", 1, 128) as night:
        write(night)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "n_epochs"), [("..", 1), ("a/b", 1), ("a", 0)])
def test_nights_without_a_name_or_an_epoch_are_refused(tmp_path, name, n_epochs):
    with pytest.raises(ValueError, match=r"cannot be a name|at least one"):
        NightWriter(tmp_path / "night.h5", name, n_epochs, 128)


def test_an_archive_appears_whole_or_not_at_all(tmp_path):
    with NightWriter(tmp_path / "a.h5", "a", 1, 128) as night:
        night.add_channel("C3", np.zeros(3840))
    files = DatasetFiles("lab", ["C3"], [], [(tmp_path / "a.h5", "a"), (tmp_path / "missing.h5", "b")])
    with pytest.raises(OSError):
        assemble_archive(tmp_path / "archive.h5", [files], 128)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_links_out_of_the_archive_are_refused(tmp_path, prepared):
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file.create_group("lab")
        file["lab/p01"] = h5py.ExternalLink(str(prepared[0]), "/lab/p01-night1")
    with pytest.raises(ValueError, match="/lab/p01 is a link to another file"):
        Archive(tmp_path / "linked.h5")


@pytest.mark.parametrize("name", ["hypnogram", "PSG/C3-M2"])
def test_values_that_lie_in_another_file_are_refused_not_read_as_zeros(tmp_path, prepared, name):
    with h5py.File(prepared[0], "r+") as file:
        night = file["lab/p01-night1"]
        layout = h5py.VirtualLayout(night[name].shape, night[name].dtype)
        layout[:] = h5py.VirtualSource("gone.h5", name, night[name].shape)
        del night[name]
        night.create_virtual_dataset(name, layout)
    with pytest.raises(ValueError, match=f"/lab/p01-night1/{name}' lie in another file"):
        Archive(prepared[0])


def test_lengths_that_differ_are_named(tmp_path, prepared):
    with h5py.File(prepared[0], "r+") as file:
        del file["lab/p01-night1/hypnogram"]
        file["lab/p01-night1/hypnogram"] = np.zeros(7, dtype=np.int8)
    with (
        Archive(prepared[0]) as archive,
        pytest.raises(ValueError, match=r"p01-night1: lengths differ.*'hypnogram': 7"),
    ):
        archive.recordings()


def test_a_recording_is_found_by_its_exact_name(prepared):
    with Archive(prepared[0]) as archive:
        assert archive.find(recording="p02-night1").recording == "p02-night1"
        assert archive.find().recording == "p01-night1"
        with pytest.raises(NotInArchive, match=r"^no recording 'p02' in \w+\.h5; it has p01-night1, "):
            archive.find(recording="p02")


def test_an_archive_that_is_replaced_after_its_check_is_refused(prepared, monkeypatch):
    def replace(path, identity):
        (path.parent / "other.h5").write_bytes(path.read_bytes())
        (path.parent / "other.h5").replace(path)

    monkeypatch.setattr(archives, "check_once", replace)
    with pytest.raises(ArchiveReplaced, match=r"archive\.h5 has been replaced"):
        Archive(prepared[0])


DAMAGE = {
    "a rate of 10^12 Hz": lambda file: file.attrs.create("sampling_rate_hz", 10**12),
    "a rate of 0 Hz": lambda file: file.attrs.create("sampling_rate_hz", 0),
    "a rate in words": lambda file: file.attrs.create("sampling_rate_hz", "fast"),
    "a dataset for a data set": lambda file: file.create_dataset("other", data=1),
    "a dataset for a night": lambda file: file.create_dataset("lab/other", data=1),
    "no signals": lambda file: file.__delitem__("lab/p01-night1/PSG"),
    "no channels": lambda file: file["lab"].attrs.__delitem__("eeg_channels"),
    "a number for channels": lambda file: file["lab"].attrs.create("eeg_channels", 3),
    "a group for a channel": lambda file: file.create_group("lab/p01-night1/PSG/C4-M1"),
    "a number for stages": lambda file: (
        file.__delitem__("lab/p01-night1/hypnogram"),
        file.__setitem__("lab/p01-night1/hypnogram", 3),
    ),
    "no JSON": lambda file: (
        file.__delitem__("lab/p01-night1/quality"),
        file.__setitem__("lab/p01-night1/quality", "{"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive_is_refused_by_name(prepared, damage):
    with h5py.File(prepared[0], "r+") as file:
        DAMAGE[damage](file)
    with pytest.raises(ValueError, match=r"archive\.h5"):
        read_all(prepared[0])

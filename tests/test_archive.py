"""What goes into an archive comes out, by the published layout; what does not fit is named."""

import h5py
import numpy as np
import pandas as pd
import pytest
from test_recordings import signal, stage, write_edf

from anysleep.data import preprocess, read_recording
from anysleep.data.archive import Archive, ArchivedNight, assemble_archive, write_night
from anysleep.data.preparation import Preparation, find_recordings, prepare_archive

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
    return folder


@pytest.fixture
def prepared(recordings, tmp_path):
    preparation = Preparation(
        dataset="lab",
        eeg_channels=["EEG C3-M2"],
        eog_channels=["EOG E1-M2"],
        subject_pattern=r"(p\d+)-night",
        sampling_rate_hz=128,
        participants=pd.DataFrame({"subject": ["p01", "p02"], "age": [30.5, 61.0], "sex": ["F", "M"]}),
    )
    path = tmp_path / "archive.h5"
    return path, prepare_archive(sorted(recordings.glob("*.edf")), preparation, path)


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


def test_a_row_a_file_says_what_happened(prepared):
    rows = prepared[1].set_index("recording")
    assert rows.status.to_dict() == {
        "p01-night1": "ok", "p01-night2": "ok", "p02-night1": "ok", "p03-night1": "failed",
    }  # fmt: skip
    assert "not a whole EDF file" in rows.reason["p03-night1"]
    assert "no channel 'EOG E1-M2'" in rows.left_out["p02-night1"]
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
    assert attributes.pop("source_sha256")
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
    with pytest.raises(ValueError, match="not an HDF5 file"):
        Archive(tmp_path / "text.h5")
    with Archive(prepared[0]) as archive:
        with pytest.raises(KeyError, match="has no lab/p09"):
            archive.hypnogram("lab", "p09")
        with pytest.raises(KeyError, match="has no channel F3-M2; it has C3-M2, E1-M2"):
            archive.signals("lab", "p01-night1", ["F3-M2"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signals": np.zeros((1, 3841), np.float32)}, "not whole epochs"),
        ({"hypnogram": np.zeros(3)}, "3 labels for 1 epochs"),
        ({"channels": ("C3/M2",)}, "'C3/M2' cannot be a name"),
        ({"recording": ".."}, "'..' cannot be a name"),
    ],
)
def test_nights_that_contradict_themselves_are_refused(tmp_path, change, message):
    night = {"recording": "a", "channels": ("C3",), "signals": np.zeros((1, 3840), np.float32)} | change
    with pytest.raises(ValueError, match=message):
        write_night(tmp_path / "night.h5", ArchivedNight(**night), 128)
    assert not any(tmp_path.iterdir())


def test_an_archive_appears_whole_or_not_at_all(tmp_path):
    night = ArchivedNight("a", ("C3",), np.zeros((1, 3840), np.float32))
    files = [write_night(tmp_path / "a.h5", night, 128), tmp_path / "missing.h5"]
    with pytest.raises(OSError):
        assemble_archive(
            tmp_path / "archive.h5", "lab", files, eeg_channels=["C3"], eog_channels=[], sampling_rate_hz=128
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_useless_cohorts_are_named(tmp_path, recordings):
    preparation = Preparation("lab", ["EEG Pz"], [], r"(p\d+)", 128)
    with pytest.raises(
        ValueError, match="none of 1 recordings can be used; the first: no channel can be used: no channel"
    ):
        prepare_archive([recordings / "p01-night1.edf"], preparation, tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"no file in .* matches '\*.txt'"):
        find_recordings(recordings, "*.txt")


def test_hidden_files_and_leftovers_of_a_killed_run_do_no_harm(tmp_path, recordings):
    (recordings / "._p01-night1.edf").write_bytes(b"a copy of a Mac's")
    (recordings / ".99.p01-night1.edf").write_bytes(b"half a file")
    files = find_recordings(recordings, "*.edf")
    assert [file.name for file in files] == [f"p0{n}.edf" for n in ("1-night1", "1-night2", "2-night1", "3-night1")]
    (tmp_path / "a_nights").mkdir()
    (tmp_path / "a_nights" / ".99.left.h5").write_bytes(b"half a night")
    preparation = Preparation("lab", ["EEG C3-M2"], [], r"(p\d+)", 128)
    table = prepare_archive(files, preparation, tmp_path / "a.h5")
    assert (table.status == "ok").sum() == 3 and not (tmp_path / "a_nights").exists()


def test_reasons_do_not_tell_where_a_file_lies(prepared, recordings):
    assert str(recordings) not in prepared[1].to_csv()


def test_links_out_of_the_archive_are_refused(tmp_path, prepared):
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file.create_group("lab")
        file["lab/p01"] = h5py.ExternalLink(str(prepared[0]), "/lab/p01-night1")
    with pytest.raises(ValueError, match="/lab/p01 is a link to another file"):
        Archive(tmp_path / "linked.h5")


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
        with pytest.raises(KeyError, match="no recording 'p02'"):
            archive.find(recording="p02")

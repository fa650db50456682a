"""Dreem's and U-Time's HDF5 files: labels, attributes, links, and whatever else such a file may hold."""

import h5py
import numpy as np
import pytest
from helpers.toy_formats import EEG_UV, EOG_UV, SECONDS, write_dod, write_utime

from anysleep.data import read_recording


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
def test_a_dod_hypnogram_is_one_stage_for_every_30_s(tmp_path, dtype):
    night = read_recording(write_dod(tmp_path / "a.h5", hypnogram=np.array([3, -1, 4], dtype=dtype)))
    assert night.hypnogram.tolist() == [3, 9, 4]
    assert night.annotations.description.tolist() == ["Sleep stage N3", "Sleep stage ?", "Sleep stage R"]
    assert night.annotations.onset_s.tolist() == [0, 30, 60]


@pytest.mark.parametrize("code", [5, 1.5, np.nan])
def test_a_code_that_means_no_stage_is_refused_by_name(tmp_path, code):
    with pytest.raises(ValueError, match=f"unknown stage labels: 'Sleep stage {code}'"):
        read_recording(write_dod(tmp_path / "a.h5", hypnogram=[0, code, 2]))


def test_a_dod_description_may_be_a_dictionary_with_other_rates_and_units(tmp_path):
    description = {"C3_M2": {"path": "s/a", "fs": 100, "unit": "V"}, "SpO2": {"path": "s/b", "fs": 1, "unit": "%"}}
    signals = {"s/a": EEG_UV.astype(float) * 1e-6, "s/b": np.full(SECONDS, 97, dtype=np.int16)}
    night = read_recording(write_dod(tmp_path / "a.h5", description, None, signals))
    assert (night.channels, night.rates_hz, night.units) == (("C3-M2", "SpO2"), (100, 1), ("uV", "%"))
    assert np.allclose(night.signals[0], EEG_UV, atol=1e-4) and (night.signals[1] == 97).all()
    assert night.hypnogram is None


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("text", "needs a 'path' and an 'fs'"),
        ([{"fs": 100}], "needs a 'path' and an 'fs'"),
        ([], "names no channel"),
        ([{"path": "signals/eeg/C3_M2"}], "the sample rate of C3-M2 is None"),
        ([{"path": "signals/eeg/C3_M2", "fs": -1}], "the sample rate of C3-M2 is -1"),
        ([{"path": "signals/none", "fs": 100}], "no dataset 'signals/none' for channel none"),
        ([{"path": "signals/eeg", "fs": 100}], "no dataset 'signals/eeg'"),
    ],
)
def test_a_wrong_dod_description_is_refused(tmp_path, description, message):
    with pytest.raises(ValueError, match=message):
        read_recording(write_dod(tmp_path / "a.h5", description))


def test_utime_attributes_hold_for_all_below_and_channels_keep_their_order(tmp_path):
    path = write_utime(tmp_path / "psg.h5", date="UNKNOWN")
    with h5py.File(path, "a") as file:
        file["channels/slow/SpO2"] = np.arange(SECONDS, dtype=np.int16)
        file["channels/slow"].attrs["sample_rate"] = 1
        file["channels/EOG"].attrs["unit"] = np.bytes_(b"mV")
    night = read_recording(path)
    assert night.channels == ("EOG", "C3", "SpO2") and night.rates_hz == (100, 100, 1)
    assert night.units == ("uV", "", "") and night.start_time is None
    assert np.allclose(night.signals[0], EOG_UV * 1000) and night.signals[2].tolist() == list(range(SECONDS))


def test_different_starts_are_counted_not_told(tmp_path):
    path = write_utime(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["channels/EOG"].attrs["date"] = 1.7e9
    with pytest.raises(ValueError, match=r"the channels name 2 different starts; all must begin together$"):
        read_recording(path)
    with pytest.raises(
        ValueError, match=r"the start time lies in no year from 1 to 9999; expected seconds since 1970$"
    ):
        read_recording(write_utime(tmp_path / "b.h5", date=1e18))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([b"a", b"b"]), "expected one row of real numbers"),
        (EEG_UV.astype(complex), "expected one row of real numbers"),
        (np.stack([EEG_UV, EEG_UV]), r"float32 of shape \(2, 9000\)"),
        (np.empty(0), "expected one row of real numbers"),
        (EEG_UV[:-2], "channels differ in duration: C3 lasts 89.980 s at 100 Hz, EOG 90.000 s"),
    ],
)
def test_a_channel_of_hdf5_is_one_row_as_long_as_the_others(tmp_path, samples, message):
    with pytest.raises(ValueError, match=message):
        read_recording(write_utime(tmp_path / "a.h5", {"EOG": EOG_UV, "C3": samples}))


def test_one_sample_less_is_rounding(tmp_path):
    night = read_recording(write_utime(tmp_path / "a.h5", {"EOG": EOG_UV, "C3": EEG_UV[:-1]}))
    assert night.duration_s == pytest.approx(89.99)


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (h5py.ExternalLink("other.h5", "/C3"), "link to another file"),
        (h5py.SoftLink("/nowhere"), "where there is nothing"),
        (h5py.SoftLink("/channels/link"), "where there is nothing"),
    ],
)
def test_links_that_lead_out_of_an_hdf5_file_or_nowhere_are_refused(tmp_path, link, message):
    path = write_utime(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["channels/link"] = link
    with pytest.raises(ValueError, match=message):
        read_recording(path)


def test_samples_stored_outside_an_hdf5_file_are_refused(tmp_path):
    EEG_UV.tofile(tmp_path / "outside.raw")
    for kind in ("external", "virtual"):
        path = write_utime(tmp_path / f"{kind}.h5")
        with h5py.File(path, "a") as file:
            if kind == "external":
                storage = [(str(tmp_path / "outside.raw"), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset("channels/Cz", EEG_UV.shape, "f4", external=storage)
            else:
                layout = h5py.VirtualLayout(EEG_UV.shape, "f4")
                layout[:] = h5py.VirtualSource("other.h5", "C3", EEG_UV.shape)
                file.create_virtual_dataset("channels/Cz", layout)
        with pytest.raises(ValueError, match="the values of '/channels/Cz' lie in another file"):
            read_recording(path)


def test_labels_stored_outside_an_hdf5_file_are_no_wake(tmp_path):
    path = write_dod(tmp_path / "a.h5", hypnogram=[2, 2, 2])
    with h5py.File(path, "a") as file:
        del file["hypnogram"]
        layout = h5py.VirtualLayout((3,), "i1")
        layout[:] = h5py.VirtualSource("gone.h5", "hypnogram", (3,))
        file.create_virtual_dataset("hypnogram", layout)
    with pytest.raises(ValueError, match="the values of '/hypnogram' lie in another file"):
        read_recording(path)


def test_links_within_an_hdf5_file_are_followed_once(tmp_path):
    path = write_utime(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["channels/again"] = h5py.SoftLink("/channels/C3")
        file["channels/up"] = h5py.SoftLink("/channels")
        file["channels/loop"] = file["channels"]
    night = read_recording(path)
    assert night.channels == ("EOG", "C3", "again")
    assert np.array_equal(night.signals[1], night.signals[2])


def test_hdf5_of_another_layout_is_refused_with_what_was_looked_for(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["something"] = EEG_UV
    with pytest.raises(ValueError, match=r"root attribute 'description', U-Time a group 'channels'"):
        read_recording(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["channels"] = EEG_UV
    with pytest.raises(ValueError, match="no group 'channels'"):
        read_recording(tmp_path / "b.h5")
    with pytest.raises(ValueError, match="no attribute 'sample_rate'"):
        path = write_utime(tmp_path / "c.h5")
        with h5py.File(path, "a") as file:
            del file.attrs["sample_rate"]
        read_recording(path)

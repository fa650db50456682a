"""FIF, BrainVision and EEGLAB: units, annotations, pauses and parts are kept; time cut out is refused."""

import gzip

import mne
import numpy as np
import pytest
from helpers.toy_formats import (
    EEG_UV,
    EOG_UV,
    MARKERS,
    RATE_HZ,
    SECONDS,
    VHDR,
    channel,
    write_brainvision,
    write_eeglab,
    write_fif,
    write_utime,
)

from anysleep.data import read_recording
from anysleep.datasets.night import wanted_channels
from anysleep.datasets.recipes import Recipe
from anysleep.recordings.quality import examine

BY_NAME = {"dataset": "a", "source": "", "files": ["*"], "name": ".", "recording": "{stem}", "subject": ""} | {
    "channels": "by_name"
}


def test_a_truncated_fif_file_does_not_become_a_short_night(tmp_path):
    path = write_fif(tmp_path / "night_raw.fif")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="Invalid tag"):
        read_recording(path)
    with gzip.open(write_fif(tmp_path / "night_raw.fif.gz")) as file:
        whole = file.read()
    (tmp_path / "cut_raw.fif.gz").write_bytes(gzip.compress(whole[: len(whole) // 2]))
    with pytest.raises(ValueError, match="Invalid tag"):
        read_recording(tmp_path / "cut_raw.fif.gz")


def test_units_that_are_no_voltages_stay_and_triggers_are_no_channel(tmp_path):
    for night in (
        read_recording(write_fif(tmp_path / "a_raw.fif")),
        read_recording(write_brainvision(tmp_path / "a.vhdr")),
    ):
        assert night.channels == ("C3", "EOG", "Temp")
        assert night.units == ("uV", "uV", "CEL")
        assert np.allclose(channel(night, "Temp"), 36.5)


def test_fif_annotations_count_from_the_first_sample(tmp_path):
    assert read_recording(write_fif(tmp_path / "a_raw.fif")).arousals.tolist() == [[10, 17]]


def test_types_of_channels_are_those_of_the_file(tmp_path):
    assert read_recording(write_fif(tmp_path / "a_raw.fif")).types == ("EEG", "EOG", "other")
    night = read_recording(write_eeglab(tmp_path / "a.set"))
    assert len(night.types) == len(night.channels) and night.pick(night.channels[1:]).types == night.types[1:]
    assert read_recording(write_brainvision(tmp_path / "a.vhdr")).types == ()


def test_channels_tsv_of_bids_says_what_channels_are(tmp_path):
    path, table = write_brainvision(tmp_path / "sub-01_eeg.vhdr"), tmp_path / "sub-01_channels.tsv"
    table.write_text("name\ttype\tunits\nC3\tEOG\tuV\nEOG\tEEG\tuV\nTemp\tn/a\tn/a\n")
    night = read_recording(path)
    assert night.types == ("EOG", "EEG", "unknown") and night.files[-1] == table
    assert examine(night).type.tolist() == ["EOG", "EEG", "other"]
    assert wanted_channels(night, Recipe(**BY_NAME)) == ({"EOG": "EOG"}, {"C3": "C3"})
    for content, message in (
        ("name\nC3\n", "channels.tsv needs columns name and type; it has name"),
        ("name\ttype\nX1\tEEG\n", "names no channel of the recording"),
        ("name\ttype\nC3\n", "line 2 has 1 cells, the header 2"),
    ):
        table.write_text(content)
        with pytest.raises(ValueError, match=message):
            read_recording(path)


def test_skips_of_a_fif_file_are_gaps(tmp_path):
    notes = mne.Annotations([40, 80], [20, 5], ["BAD_ACQ_SKIP", "EEG arousal"])
    night = read_recording(write_fif(tmp_path / "a_raw.fif", notes))
    assert night.gaps_s.tolist() == [[40, 60]]
    assert night.annotations.description.tolist() == ["EEG arousal"]
    missing = np.isnan(night.signals[0])
    assert missing[4000:6000].all() and missing.sum() == 2000
    assert np.allclose(night.signals[0][~missing], EEG_UV[~missing], atol=1e-4)


def test_a_split_fif_file_needs_all_its_parts(tmp_path):
    path = tmp_path / "night_raw.fif"
    info = mne.create_info(["C3"], RATE_HZ, "eeg")
    samples = np.tile(EEG_UV, 80) * 1e-6
    mne.io.RawArray(samples[None], info, verbose="error").save(path, split_size="2MB", verbose="error")
    night = read_recording(path)
    assert night.files == (path, tmp_path / "night_raw-1.fif", tmp_path / "night_raw-2.fif")
    assert night.duration_s == 80 * SECONDS and np.allclose(night.signals[0], samples * 1e6, atol=1e-4)
    (tmp_path / "night_raw-1.fif").unlink()
    with pytest.raises(ValueError, match=r"night_raw\.fif: .*night_raw-1\.fif does not exist"):
        read_recording(path)


def test_joined_fif_files_are_refused(tmp_path):
    info = mne.create_info(["C3"], RATE_HZ, "eeg")
    raws = [mne.io.RawArray(EEG_UV[None] * 1e-6, info, verbose="error") for _ in range(2)]
    mne.concatenate_raws(raws, verbose="error").save(tmp_path / "two_raw.fif", verbose="error")
    with pytest.raises(ValueError, match="time was cut out at 1 places, the first at 90 s"):
        read_recording(tmp_path / "two_raw.fif")


def test_brainvision_markers_become_annotations(tmp_path):
    rows = read_recording(write_brainvision(tmp_path / "a.vhdr")).annotations.to_numpy().tolist()
    assert rows == [[2.0, pytest.approx(np.nan, nan_ok=True), "Lights off"], [3.0, 0.5, "Artefact"]]


def test_dated_pauses_of_brainvision_are_kept_as_time(tmp_path):
    markers = [
        "New Segment,,1,1,0,20240229225803000000",
        "New Segment,,3001,1,0,20240229225903000000",  # 30 s of data, a minute later
        r"Comment,Lights off\1 door shut,4001,1,0",
        "New Segment,,6001,1,0,20240229225943000000",  # 30 s of data, 40 s later
    ]
    night = read_recording(write_brainvision(tmp_path / "a.vhdr", markers))
    assert night.gaps_s.tolist() == [[30, 60], [90, 100]]
    assert night.duration_s == 130
    assert night.annotations.onset_s.tolist() == [70] and night.annotations.description[0] == "Lights off, door shut"
    samples = night.signals[0]
    assert len(samples) == 130 * RATE_HZ
    assert np.isnan(samples[3000:6000]).all() and np.isnan(samples[9000:10_000]).all()
    assert np.abs(samples[~np.isnan(samples)] - EEG_UV).max() < 0.06


def test_undated_or_contradicting_pauses_of_brainvision_are_refused(tmp_path):
    for second, message in [
        ("", "paused 1 times"),
        (",20240229225813000000", "lasts 30 s, .* the next begins 20 s too early"),
    ]:
        markers = [MARKERS[0], f"New Segment,,3001,1,0{second}"]
        with pytest.raises(ValueError, match=message):
            read_recording(write_brainvision(tmp_path / "a.vhdr", markers))


def test_a_brainvision_channel_without_coordinates_is_still_a_voltage(tmp_path):
    path = write_brainvision(tmp_path / "a.vhdr")
    path.write_text(path.read_text("utf-8") + "[Coordinates]\nCh1=1,-45,0\nCh2=0,0,0\nCh3=0,0,0\n", encoding="utf-8")
    night = read_recording(path)
    assert night.units == ("uV", "uV", "CEL")
    assert np.abs(channel(night, "EOG") - EOG_UV).max() < 0.51


def test_brainvision_files_must_lie_beside_each_other_and_be_whole(tmp_path):
    path = write_brainvision(tmp_path / "a.vhdr")
    data = path.with_suffix(".eeg")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ValueError, match="ends within a sample"):
        read_recording(path)
    for stem in ("../a", "b"):
        path.write_text(VHDR.format(stem=stem), encoding="utf-8")
        with pytest.raises(ValueError, match="is not beside the header"):
            read_recording(path)


def test_eeglab_data_may_not_lie_elsewhere_and_a_missing_file_is_not_named(tmp_path):
    (tmp_path / "sub").mkdir()
    write_eeglab(tmp_path / "Doe_Jane.set", beside=True)
    path = write_eeglab(tmp_path / "sub" / "a.set", data="../Doe_Jane.fdt")
    with pytest.raises(ValueError, match="names a file in another folder"):
        read_recording(path)
    (tmp_path / "Doe_Jane.fdt").unlink()
    with pytest.raises(ValueError, match=r"a\.set: .* a file that it names is not beside it; was one moved"):
        read_recording(path)


def test_eeglab_data_may_lie_in_a_file_of_their_own(tmp_path):
    path = write_eeglab(tmp_path / "a.set", beside=True)
    night = read_recording(path)
    assert np.allclose(night.signals[1], EOG_UV, atol=1e-4)
    assert night.annotations.onset_s.tolist() == [2] and night.lights_s[0] == 2
    data = path.with_suffix(".fdt")
    data.write_bytes(data.read_bytes()[:-80])
    with pytest.raises(ValueError, match=r"a\.set: not a whole file"):
        read_recording(path)


@pytest.mark.filterwarnings("ignore:Omitted 1 annotation")
def test_eeglab_files_with_time_cut_out_are_refused(tmp_path):
    inside, outside = (("boundary", 3000.5),), (("boundary", 0.5), ("boundary", EEG_UV.size + 0.5))
    with pytest.raises(ValueError, match=r"time was cut out at 1 places, the first at 29.995 s"):
        read_recording(write_eeglab(tmp_path / "a.set", inside))
    assert read_recording(write_eeglab(tmp_path / "b.set", outside)).duration_s == SECONDS


def test_eeglab_epochs_and_matlab_7_3_are_refused(tmp_path):
    epochs = np.stack([EEG_UV, EOG_UV]).reshape(2, -1, 2)
    path = write_eeglab(tmp_path / "a.set", trials=2.0, pnts=EEG_UV.size / 2.0, data=epochs)
    with pytest.raises(ValueError, match="holds epochs"):
        read_recording(path)
    write_utime(tmp_path / "b.set")
    with pytest.raises(ValueError, match=r"MATLAB 7\.3"):
        read_recording(tmp_path / "b.set")

"""Every signal format gives the numbers that were written, one channel at a time, and names what is wrong."""

import gzip
import json
import tracemalloc
from datetime import UTC, datetime

import h5py
import mne
import numpy as np
import pytest
import scipy.io

from anysleep.data import read_recording

RATE_HZ = 100
SECONDS = 90
START = datetime(2024, 2, 29, 22, 58, 3)
RNG = np.random.default_rng(0)
EEG_UV, EOG_UV = (30 * RNG.standard_normal((2, RATE_HZ * SECONDS))).astype(np.float32)


def write_fif(path, annotations=None, **saving):
    info = mne.create_info(["C3", "EOG", "Temp", "STI"], RATE_HZ, ["eeg", "eog", "temperature", "stim"])
    rows = np.stack([EEG_UV * 1e-6, EOG_UV * 1e-6, np.full(EEG_UV.size, 36.5), np.zeros(EEG_UV.size)])
    raw = mne.io.RawArray(rows, info, first_samp=5 * RATE_HZ, verbose="error")
    raw.set_meas_date(START.replace(tzinfo=UTC))
    raw.set_annotations(annotations or mne.Annotations([10], [7], ["EEG arousal"]))
    raw.save(path, overwrite=True, verbose="error", buffer_size_sec=1, **saving)
    return path


VHDR = """BrainVision Data Exchange Header File Version 1.0
[Common Infos]
Codepage=UTF-8
DataFile={stem}.eeg
MarkerFile={stem}.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=3
SamplingInterval=10000
[Binary Infos]
BinaryFormat=INT_16
[Channel Infos]
Ch1=C3,,0.1,µV
Ch2=EOG,,0.001,mV
Ch3=Temp,,0.01,C
"""
MARKERS = ["New Segment,,1,1,0,20240229225803000000", "Comment,Lights off,201,1,0", "Artefact,,301,50,0"]


def write_brainvision(path, markers=MARKERS):
    rows = np.stack([EEG_UV / 0.1, EOG_UV, np.full(EEG_UV.size, 3650)], axis=1)
    path.with_suffix(".eeg").write_bytes(rows.round().astype("<i2").tobytes())
    lines = [f"Mk{i}={marker}\n" for i, marker in enumerate(markers, 1)]
    head = "BrainVision Data Exchange Marker File, Version 1.0\n[Common Infos]\nCodepage=UTF-8\n[Marker Infos]\n"
    path.with_suffix(".vmrk").write_text(head + "".join(lines), encoding="utf-8")
    path.write_text(VHDR.format(stem=path.stem), encoding="utf-8")
    return path


def write_eeglab(path, events=(("Lights off", 201.0),), beside=False, **fields):
    samples = np.stack([EEG_UV, EOG_UV])
    if beside:
        samples.T.tofile(path.with_suffix(".fdt"))
        samples = path.with_suffix(".fdt").name
    eeg = {
        "nbchan": 2.0,
        "trials": 1.0,
        "pnts": float(EEG_UV.size),
        "srate": float(RATE_HZ),
        "chanlocs": np.array([("C3", "EEG"), ("EOG", "EOG")], dtype=[("labels", object), ("type", object)]),
        "event": np.array(list(events), dtype=[("type", object), ("latency", float)]),
        "data": samples,
    } | fields
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False)
    return path


def write_wfdb(path, first_line=f"n {{}} {RATE_HZ} {EEG_UV.size} 22:58:03 29/02/2024"):
    """Two signals of 16 bits in a `.mat` file behind 24 other bytes."""
    rows = np.stack([EEG_UV * 100, EOG_UV], axis=1).round().astype("<i2")
    path.with_suffix(".mat").write_bytes(bytes(24) + rows.tobytes())
    name = path.with_suffix(".mat").name
    lines = [first_line.format(2), f"{name} 16+24 100/uV 16 0 0 0 0 C3", f"{name} 16+24 1000/mV 16 0 0 0 0 EOG"]
    path.write_text("\n".join([*lines, "#Age: 50"]) + "\n")
    return path


def write_dod(path, description=None, hypnogram=(0, -1, 4), signals=None):
    if description is None:
        description = [{"path": "signals/eeg/C3_M2", "fs": 100, "unit": "µV"}, {"path": "signals/eog/EOG", "fs": 100}]
    with h5py.File(path, "w") as file:
        file.attrs["description"] = json.dumps(description)
        file.attrs["start_time"] = int(START.replace(tzinfo=UTC).timestamp())
        for name, samples in (signals or {"signals/eeg/C3_M2": EEG_UV, "signals/eog/EOG": EOG_UV}).items():
            file[name] = samples
        if hypnogram is not None:
            file["hypnogram"] = np.array(hypnogram)
    return path


def write_utime(path, signals=None, **attributes):
    with h5py.File(path, "w") as file:
        file.attrs.update({"sample_rate": RATE_HZ, "date": START.replace(tzinfo=UTC).timestamp()} | attributes)
        for i, (name, samples) in enumerate((signals or {"EOG": EOG_UV, "C3": EEG_UV}).items()):
            file[f"channels/{name}"] = samples
            file[f"channels/{name}"].attrs["channel_index"] = i
    return path


WRITERS = {
    "night_raw.fif": write_fif,
    "night_raw.fif.gz": write_fif,
    "night.vhdr": write_brainvision,
    "night.set": write_eeglab,
    "night.hea": write_wfdb,
    "dod.h5": write_dod,
    "night.hdf5": write_utime,
}


@pytest.fixture(params=WRITERS)
def any_night(request, tmp_path):
    return WRITERS[request.param](tmp_path / request.param)


def channel(night, name):
    return night.pick([name]).signals[0]


def test_every_format_gives_the_microvolts_that_were_written_twice(any_night):
    night = read_recording(any_night)
    name = "C3-M2" if "C3-M2" in night.channels else "C3"
    samples = channel(night, name)
    assert samples.dtype == np.float32
    assert np.abs(samples - EEG_UV).max() < 0.06  # half a step of the coarsest file
    assert np.abs(channel(night, "EOG") - EOG_UV).max() < 0.51
    assert night.duration_s == SECONDS and set(night.rates_hz) == {RATE_HZ}
    assert night.units[night.channels.index(name)] == ("" if any_night.suffix == ".hdf5" else "uV")
    for first, again in zip(night.signals, read_recording(any_night).signals, strict=True):
        assert np.array_equal(first, again)


def test_a_recording_knows_all_its_files(tmp_path):
    beside = {"night.vhdr": [".eeg", ".vmrk"], "night.hea": [".mat"]}
    for name, write in WRITERS.items():
        path = write(tmp_path / name)
        night = read_recording(path)
        assert night.files == (path, *(path.with_suffix(suffix) for suffix in beside.get(name, [])))
        assert night.cut(30, 60).pick(night.channels[:1]).files == night.files
    path = write_eeglab(tmp_path / "two.set", beside=True)
    assert read_recording(path).files == (path, path.with_suffix(".fdt"))


def test_the_clock_is_as_in_the_file(tmp_path):
    nights = [name for name in WRITERS if name != "night.set"]  # EEGLAB has none
    times = {name: read_recording(WRITERS[name](tmp_path / name)).start_time for name in nights}
    five_seconds_later = START.replace(second=8)  # the first sample of the FIF file is its 500th
    assert times == {name: five_seconds_later if ".fif" in name else START for name in nights}


@pytest.mark.parametrize("damage", ["half", "empty", "text"])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_of_any_format_is_named(any_night, damage):
    victim = any_night
    if damage == "half" and any_night.suffix in (".hea", ".vhdr"):
        victim = any_night.with_suffix({".hea": ".mat", ".vhdr": ".eeg"}[any_night.suffix])
        if victim.suffix == ".eeg":
            any_night.write_text(any_night.read_text("utf-8").replace("[Binary", f"DataPoints={EEG_UV.size}\n[Binary"))
    content = victim.read_bytes()
    victim.write_bytes(
        {"half": content[: len(content) // 2], "empty": b"", "text": b"Dear diary, 12 3 4\n" * 99}[damage]
    )
    with pytest.raises((ValueError, OSError), match=any_night.name.replace(".", r"\.")):
        read_recording(any_night)


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


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".hea", ".vhdr", ".fif"])
def test_reading_one_channel_does_not_load_the_others(tmp_path, suffix):
    n_channels, n_samples = 20, 200_000
    noise = np.random.default_rng(1).standard_normal(n_samples).astype(np.float32)
    path = tmp_path / f"many_raw{suffix}"
    names = [f"E{i}" for i in range(n_channels)]
    if suffix == ".h5":
        entries = [{"path": name, "fs": 100} for name in names]
        write_dod(path, entries, None, dict.fromkeys(names, noise))
    elif suffix == ".hdf5":
        write_utime(path, dict.fromkeys(names, noise))
    elif suffix == ".fif":
        raw = mne.io.RawArray(
            np.stack([noise * 1e-6] * n_channels), mne.create_info(names, 100, "eeg"), verbose="error"
        )
        raw.save(path, verbose="error")
    else:
        counts = np.repeat((noise * 1000).round().astype("<i2")[:, None], n_channels, axis=1)
        counts.tofile(path.with_suffix(".dat"))
        if suffix == ".hea":
            lines = [f"{path.stem}.dat 16 1000/uV 16 0 0 0 0 {name}" for name in names]
            path.write_text("\n".join([f"many {n_channels} 100 {n_samples}", *lines]))
        else:
            head = (
                VHDR.partition("Ch1")[0]
                .replace("{stem}.eeg", f"{path.stem}.dat")
                .replace("MarkerFile={stem}.vmrk\n", "")
            )
            lines = [f"Ch{i}={name},,0.001,µV\n" for i, name in enumerate(names, 1)]
            path.write_text(head.replace("Channels=3", "Channels=20") + "".join(lines), encoding="utf-8")
    night = read_recording(path)
    tracemalloc.start()
    samples = night.signals[7]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.abs(samples - noise).max() < 1e-3
    assert peak < n_channels * noise.nbytes * 0.75


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


def test_wfdb_signals_keep_their_own_rates_and_invalid_samples_are_nan(tmp_path):
    frames = np.random.default_rng(2).integers(-500, 500, (300, 5)).astype("<i2")
    frames[7, 0] = -(2**15)
    frames.tofile(tmp_path / "slp01.dat")
    lines = ["slp01 2 50 300", "slp01.dat 16x4 2/mV 16 0 0 0 0 EEG (C4-A1)", "slp01.dat 16 1(3)/% 16 0 0 0 0"]
    (tmp_path / "slp01.hea").write_text("\n".join(lines))
    night = read_recording(tmp_path / "slp01.hea")
    assert night.channels == ("EEG (C4-A1)", "signal 1")
    assert night.rates_hz == (200, 50) and night.units == ("uV", "%") and night.duration_s == 6
    expected = frames[:, :4].reshape(-1) * 500.0
    assert np.flatnonzero(np.isnan(night.signals[0])).tolist() == [28]
    assert np.array_equal(np.delete(night.signals[0], 28), np.delete(expected, 28))
    assert night.signals[1].tolist() == (frames[:, 4] - 3).tolist()


def test_wfdb_records_are_read_in_blocks_without_seams(tmp_path, monkeypatch):
    path = write_wfdb(tmp_path / "n.hea")
    whole = read_recording(path).signals[0]
    monkeypatch.setattr("anysleep.data.readers.physionet.BLOCK", 777)
    assert np.array_equal(read_recording(path).signals[0], whole)


@pytest.mark.parametrize("name", ["../n.mat", "/etc/passwd", "sub/n.mat", r"..\n.mat", "n..mat"])
def test_a_wfdb_header_does_not_lead_out_of_its_folder(tmp_path, name):
    path = write_wfdb(tmp_path / "n.hea")
    path.write_text(path.read_text().replace("n.mat", name))
    with pytest.raises(ValueError, match="every file must lie beside the header"):
        read_recording(path)


@pytest.mark.parametrize(
    ("first_line", "message"),
    [
        ("../n {} 100 9000", "every file must lie beside the header"),
        ("n/3 {} 100 9000", "3 segments; join them"),
        ("n 3 100 9000", "says 3 signals and describes 2"),
        ("n {} 100", "both must be above 0"),
        ("n {} 100 9001", "holds less than the 9001 samples"),
    ],
)
def test_contradicting_wfdb_headers_are_refused(tmp_path, first_line, message):
    with pytest.raises(ValueError, match=message):
        read_recording(write_wfdb(tmp_path / "n.hea", first_line))


def test_a_wfdb_signal_file_may_not_be_missing(tmp_path):
    path = write_wfdb(tmp_path / "n.hea")
    path.with_suffix(".mat").unlink()
    with pytest.raises(ValueError, match="1 of 1 signal files are not beside the header"):
        read_recording(path)

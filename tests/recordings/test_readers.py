"""Every signal format gives the numbers that were written, one channel at a time, and names what is wrong."""

import tracemalloc

import mne
import numpy as np
import pytest
from helpers.toy_formats import (
    EEG_UV,
    EOG_UV,
    RATE_HZ,
    SECONDS,
    START,
    VHDR,
    channel,
    write_brainvision,
    write_dod,
    write_eeglab,
    write_fif,
    write_utime,
    write_wfdb,
)

from anysleep.data import read_recording

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

"""The montage doctor finds exactly the fault that is there, and says what to do about it."""

import re
import time
import tracemalloc
from datetime import date

import edfio
import numpy as np
import pandas as pd
import pytest
from scipy.signal import butter, lfilter, sosfilt

from anysleep.__main__ import main
from anysleep.recordings.quality import (
    COLUMNS,
    ChannelDoctor,
    examine,
    measure,
    usable_channels,
    verdict_of_night,
)
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import NO_GAPS, Recording
from anysleep.staging.sources import pick_channels
from anysleep.synthetic import draw_persons, simulate_night
from anysleep.synthetic.cohort import signal_type

RATE_HZ = 128
MINUTE = 60 * RATE_HZ
N = 20 * MINUTE


def brain(seed, rate_hz=RATE_HZ, minutes=20):
    """Pink-like noise of about 30 uV with a spindle each minute."""
    n = int(minutes * 60 * rate_hz)
    noise = lfilter([1], [1, -0.9], np.random.default_rng(seed).standard_normal(n))
    seconds = np.arange(n) / rate_hz
    spindles = 15 * np.sin(2 * np.pi * 13 * seconds) * (seconds % 60 < 1)
    return (30 * noise / noise.std() + spindles).astype(np.float32)


def night_of(channels, rate_hz=RATE_HZ, unit="uV", gaps_s=NO_GAPS):
    signals = [np.asarray(signal, dtype=np.float32) for signal in channels.values()]
    n = len(channels)
    duration_s = max(map(len, signals), default=0) / rate_hz
    return Recording(tuple(channels), signals, (rate_hz,) * n, (unit,) * n, duration_s, gaps_s=gaps_s)


def row_of(signal, channel="C3-M2", **night):
    return examine(night_of({channel: signal}, **night)).iloc[0]


def hum(share, hz, seed=0):
    """A brain with so much of its power above 1 Hz at one frequency."""
    signal = brain(seed)
    power = signal.var() * share / (1 - share)
    return signal + np.sqrt(2 * power) * np.sin(2 * np.pi * hz * np.arange(N) / RATE_HZ)


def came_off(minute, signal=None):
    signal = brain(0) if signal is None else signal
    signal[minute * MINUTE :] = 0
    return signal


def came_off_into_noise(minute):
    signal = brain(0)
    signal[minute * MINUTE :] *= 0.005
    return signal


def loose(n_epochs, factor):
    signal = brain(0)
    signal[: n_epochs * 30 * RATE_HZ] *= factor
    return signal


def dropouts():
    signal = brain(0)
    signal.reshape(-1, RATE_HZ)[::10] = 7
    return signal


def mostly_zero():
    """Less than half of the epochs are silent, but more than half of all samples are zero."""
    signal = brain(0)
    signal[: 18 * 30 * RATE_HZ] = 0
    signal[::5] = 0
    return signal


def muscle():
    """As a chin EMG is recorded: from 10 Hz on."""
    white = np.random.default_rng(0).normal(0, 10, N)
    return sosfilt(butter(2, 10, "highpass", fs=RATE_HZ, output="sos"), white)


def not_finite():
    signal = brain(0)
    signal[500:505] = np.nan
    return signal


FAULTS = {
    "mV for µV": (
        1000 * brain(0),
        "look",
        r"is about a thousand times that of a usual EEG: the header probably says mV",
    ),
    "µV for V": (
        1e-6 * brain(0),
        "look",
        r"is about a millionth of that of a usual EEG: the header probably says µV for V",
    ),
    "too quiet": (0.015 * brain(0), "look", r"amplitude 0\.\d+ µV is too quiet for an EEG: electrodes bridged"),
    "too loud": (50 * brain(0), "look", r"amplitude 2,\d+ µV is too loud for an EEG: a loose electrode"),
    "offset": (brain(0) + 9000, "look", r"an offset of 9,0\d\d is 2\d\d times the interquartile range"),
    "clipped": (np.clip(brain(0), -50, 50), "look", r"\d+ % of the samples are cut off: widen the range"),
    "hum 50": (hum(0.6, 50), "look", r"strong 50 Hz hum \(6\d % of the power\): high impedance"),
    "hum 60": (hum(0.6, 60), "look", r"strong 60 Hz hum \(6\d % of the power\): high impedance"),
    "an EMG": (muscle(), "look", r"7\d % of the power lies above 25 Hz, as in an EMG: make sure that"),
    "came off": (came_off(14), "look", r"30 % of the night is flat, from 00:14 h on: a loose contact"),
    "put on late": (came_off(14)[::-1], "look", r"30 % of the night is flat, mostly from 00:00 h to 00:06 h"),
    "dropouts": (
        dropouts(),
        "look",
        r"10 % of the night is flat, in 120 pieces: a loose contact",
    ),
    "loose": (
        loose(8, 100),
        "look",
        r"flat, or over 30 times louder or quieter than the night, for 8 of 40 epochs, mostly from 00:00 h to 00:04 h",
    ),
    "silent": (loose(8, 0.01), "look", r"flat, or over 30 times louder or quieter than the night, for 8 of 40 epochs"),
    "short": (brain(0)[: 20 * RATE_HZ], "look", r"20 s is shorter than one epoch of 30 s"),
    "off early": (came_off(5), "drop", r"disconnected for 30 of 40 epochs, from 00:05 h on: an electrode came off"),
    "noise after": (came_off_into_noise(5), "drop", r"disconnected for 30 of 40 epochs, from 00:05 h on"),
    "constant": (np.full(N, -12), "drop", r"constant at -12 for the whole night: nothing was plugged in"),
    "mostly one value": (mostly_zero(), "drop", r"half of all samples have the same value"),
    "not finite": (not_finite(), "drop", r"5 samples outside the pauses are NaN or infinite"),
    "empty": (np.zeros(0), "drop", r"it holds no samples"),
    "all NaN": (np.full(N, np.nan), "drop", r"153,600 samples outside the pauses are NaN"),
}


@pytest.mark.parametrize(("signal", "verdict", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(signal, verdict, sentence):
    row = row_of(signal)
    assert row.verdict == verdict
    assert len(row.reason.split("; ")) == 1
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(row.reason)


@pytest.mark.parametrize("rate_hz", [100, 128, 199.998, 256])
def test_a_good_night_is_used_as_it_is(rate_hz):
    names = ["EEG F3-M2", "C4-M1", "O1-M2", "EOG(L)", "E2-M2"]
    table = examine(night_of({name: brain(i, rate_hz) for i, name in enumerate(names)}, rate_hz=rate_hz))
    assert list(table) == list(COLUMNS)
    assert (table.verdict == "use").all() and (table.reason == "").all()
    assert usable_channels(table) == names
    assert verdict_of_night(table) == ("use", "3 EEG and 2 EOG")
    assert (table.n_epochs == 40).all() and (table.disconnected_epochs == 0).all()


def test_a_synthetic_night_is_used_as_it_is_but_for_what_is_neither_eeg_nor_eog():
    night = simulate_night(draw_persons(4, seed=0)[0], hours=1)
    labels = [f"{signal_type(channel)} {channel}" for channel in night.channels]
    table = examine(night_of(dict(zip(labels, night.signals_uv, strict=True)), rate_hz=night.rate_hz))
    assert table.type.tolist() == ["EEG"] * 6 + ["EOG"] * 2 + ["EMG", "ECG", "other"]
    assert (table.verdict == np.where(table.type.isin(["EEG", "EOG"]), "use", "drop")).all(), table.reason.tolist()


def test_a_real_channel_is_used_as_it_is(shared):
    samples = np.loadtxt(shared / "real" / "dynamo" / "segment_data.csv", dtype=np.float32)
    row = row_of(samples, channel="EEG", rate_hz=100)
    assert (row.verdict, row.reason) == ("use", "")


def test_the_numbers_are_those_of_the_signal():
    row = row_of(500 + np.random.default_rng(0).normal(0, 20, N))
    assert row.amplitude == pytest.approx(20 * 1.349, rel=0.02)
    assert row.offset == pytest.approx(500, abs=1)
    assert row.line_noise_share == pytest.approx(2 / 63, rel=0.15)  # white: 2 of 63 Hz
    clipped = measure(np.tile(np.repeat([0.0, 1.0, 2.0, 1.0], [2, 3, 5, 3]), 1000), 13)
    assert clipped.clipped_share == pytest.approx(7 / 13)


def test_slow_drift_is_not_amplitude():
    drift = np.linspace(-2000, 2000, N)
    assert row_of(brain(0) + drift).amplitude == pytest.approx(row_of(brain(0)).amplitude, rel=0.5)


def test_hum_that_the_rate_cannot_show_is_not_judged():
    row = row_of(brain(0, rate_hz=100), rate_hz=100)
    assert np.isnan(row.line_noise_share) and np.isnan(row.line_noise_hz)


def test_pauses_of_the_recorder_are_no_fault():
    signal = brain(0)
    signal[3 * MINUTE : 9 * MINUTE] = np.nan
    gaps_s = np.array([[180.0, 540.0]])
    row = row_of(signal, gaps_s=gaps_s)
    assert (row.verdict, row.n_epochs, row.flat_share) == ("use", 28, 0)
    signal[3 * MINUTE : 9 * MINUTE] = 0
    assert row_of(signal, gaps_s=gaps_s).verdict == "use"
    everything = row_of(signal, gaps_s=np.array([[0.0, 1200.0]]))
    assert (everything.verdict, everything.reason) == ("drop", "it holds no samples: leave it out")


def test_duplicates_are_found_under_any_name_scale_or_polarity():
    first = brain(0)
    channels = {"C3-M2": first, "C4-M1": brain(1), "O1-M2": 3 * first + 20, "O2-M1": -first, "F3-M2": first + brain(2)}
    table = examine(night_of(channels)).set_index("channel")
    assert table.duplicate_of.fillna("").tolist() == ["", "", "C3-M2", "C3-M2", ""]
    assert table.verdict.tolist() == ["use", "use", "look", "look", "use"]
    assert table.reason["O1-M2"].startswith("the same signal as C3-M2: it adds nothing")
    assert table.reason["O2-M1"].startswith("the same signal as C3-M2, upside down: ")


def test_a_shared_artefact_makes_no_duplicate():
    movement = np.zeros(N)
    movement[MINUTE : 2 * MINUTE] = 1e5 * np.sin(np.arange(MINUTE))
    table = examine(night_of({"C3-M2": brain(0) + movement, "C4-M1": brain(1) + movement}))
    assert table.duplicate_of.isna().all()


def test_two_dead_channels_are_dead_and_not_twins():
    table = examine(night_of({"C3-M2": np.zeros(N), "C4-M1": np.zeros(N)}))
    assert (table.verdict == "drop").all() and table.duplicate_of.isna().all()


def test_only_eeg_and_eog_are_asked_about():
    table = examine(night_of({"SpO2": brain(0), "EMG": brain(1), "E1": brain(2), "C3": brain(3)}))
    assert table.verdict.tolist() == ["drop", "drop", "use", "use"]
    assert table.reason.tolist() == ["neither EEG nor EOG"] * 2 + ["", ""]
    assert usable_channels(table) == ["C3", "E1"]


def test_a_name_that_says_nothing_is_asked_for_and_may_be_stated():
    night = night_of({"X1": brain(0), "E1": brain(1)})
    table = examine(night)
    assert (table.type[0], table.verdict[0]) == ("unknown", "look")
    assert table.reason[0].startswith("the name does not say what was recorded")
    assert usable_channels(table) == ["E1"]
    assert verdict_of_night(table) == (
        "look", "no EEG that can be used (if X1 is one, say so): AnySleep stages from EOG alone, but less well",
    )  # fmt: skip
    stated = examine(night, types={"X1": "EEG"})
    assert (stated.type[0], stated.verdict[0]) == ("EEG", "use")
    assert usable_channels(stated) == ["X1", "E1"]


def test_a_stated_type_must_fit():
    night = night_of({"EEG(sec)": brain(0)})
    with pytest.raises(BadRecording, match=r"type of EEG\(sec\) is 'EMG'; choose 'EEG' or 'EOG'"):
        examine(night, types={"EEG(sec)": "EMG"})
    with pytest.raises(BadRecording, match=r"no channel 'EEG\(sek\)'; did you mean 'EEG\(sec\)'"):
        examine(night, types={"EEG(sek)": "EEG"})


@pytest.mark.parametrize("scale", [1, 1e-3, 1e-6])
def test_a_channel_without_a_unit_is_used_where_its_amplitude_is_that_of_a_voltage(scale):
    row = row_of(scale * brain(0), unit="")
    assert row.verdict == "use" and "gives no unit" in row.reason


def test_a_channel_without_a_unit_and_of_another_amplitude_is_looked_at():
    row = row_of(1e5 * brain(0), unit="")
    assert row.verdict == "look" and "no unit, and an amplitude of" in row.reason


@pytest.mark.parametrize("level", [0.0, 5.0, -1e-6])
@pytest.mark.parametrize("seconds", [20, 600])
def test_a_constant_recording_is_dropped(level, seconds):
    table = examine(
        night_of({"EEG C3-M2": np.full(seconds * RATE_HZ, level), "what": np.full(seconds * RATE_HZ, level)})
    )
    assert table.verdict.tolist() == ["drop", "drop"] and verdict_of_night(table)[0] == "drop"


def test_a_unit_that_is_no_voltage_and_a_low_rate_are_said():
    assert "the unit '%' is no voltage" in row_of(brain(0), unit="%").reason
    slow = row_of(brain(0, rate_hz=50), rate_hz=50)
    assert slow.verdict == "look" and slow.reason.startswith("50 Hz is too slow for spindles")
    assert row_of(brain(0, rate_hz=1), rate_hz=1, channel="EOG").verdict == "look"


def test_the_night_is_as_good_as_its_best_channels():
    good, dead, loud = brain(0), np.zeros(N), 50 * brain(1)
    verdicts = {
        "drop": {"C3": dead, "E1": dead},
        "look": {"C3": loud, "E1": good},
        "use": {"C3": good, "C4": loud, "E1": brain(2)},
    }
    for verdict, channels in verdicts.items():
        assert verdict_of_night(examine(night_of(channels)))[0] == verdict
    verdict, reason = verdict_of_night(examine(night_of({"C3": good})))
    assert verdict == "look" and reason.startswith("no EOG that can be used")
    assert verdict_of_night(examine(night_of({})))[0] == "drop"


def test_a_channel_in_memory_is_examined_without_reading_it_again():
    doctor = ChannelDoctor(types={"X1": "EEG"})
    rows = [doctor.examine(name, brain(0), RATE_HZ, "uV") for name in ("X1", "C3")]
    table = examine(night_of({"X1": brain(0), "C3": brain(0)}), types={"X1": "EEG"})
    pd.testing.assert_frame_equal(pd.DataFrame(rows), table)


def test_ten_hours_at_512_hz_take_seconds_and_little_memory():
    signal = np.tile(brain(0, 512), 30)
    start = time.process_time()  # other processes may be busy
    ChannelDoctor().examine("C3-M2", signal, 512, "uV")
    assert time.process_time() - start < 10  # 1 s on a free core
    tracemalloc.start()
    ChannelDoctor().examine("C3-M2", signal, 512, "uV")
    peak = tracemalloc.get_traced_memory()[1] + signal.nbytes
    tracemalloc.stop()
    assert peak < 500 * 2**20


def write_edf(path, channels):
    signals = [
        edfio.EdfSignal(signal, RATE_HZ, label=name, physical_dimension="uV") for name, signal in channels.items()
    ]
    edfio.Edf(signals, recording=edfio.Recording(startdate=date(1985, 1, 1))).write(path)
    return path


@pytest.mark.parametrize(
    ("rate_hz", "names", "why"),
    [
        (10.0, ("C3-M2", "O1-M2"), "C3-M2, O1-M2: 10 Hz is too slow for spindles"),
        (128.0, ("C3-M2", "C3-M2"), ": C3-M2: 2 channels have this name: which is meant is not clear. To"),
        (128.0, ("chin", "ECG"), ": no EEG or EOG that can be used. To use some"),
    ],
)
def test_why_no_channel_is_used_is_said_in_the_doctor_s_own_words(rate_hz, names, why):
    noise = np.random.default_rng(0).standard_normal((2, int(300 * rate_hz))).astype(np.float32) * 20
    with pytest.raises(ValueError, match=re.escape(why)):
        pick_channels(Recording(names, list(noise), (rate_hz,) * 2, ("uV",) * 2, 300.0), ())


def test_the_command_prints_a_line_a_channel_with_advice(tmp_path, capsys):
    path = write_edf(tmp_path / "night.edf", {"EEG C3-M2": brain(0), "EOG(L)": brain(1), "X1": hum(0.7, 50, seed=2)})
    assert main(["quality", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["use", "EEG"], ["use", "EOG(L)"], ["look", "X1"]]
    assert lines[3].strip().startswith("- the name does not say")
    assert lines[4].strip().startswith("- strong 50 Hz hum")
    assert lines[-1] == "use: 1 EEG and 1 EOG (of 3 channels: 2 to use, 1 to look, 0 to drop)"


def test_a_file_that_cannot_be_read_is_one_line_and_status_2(tmp_path, capsys):
    path = tmp_path / "night.edf"
    path.write_bytes(b"nothing")
    assert main(["quality", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "night.edf" in err

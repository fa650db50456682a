"""EDF and EDF+ files are read as they are: own rates, real units, all annotations, labels on the signals' time base."""

import warnings
from datetime import time

import edfio
import numpy as np
import pandas as pd
import pytest
from helpers.edf_files import HOUR, SPACE, signal, stage, write_discontinuous, write_edf

from anysleep.data import preprocess, read_recording
from anysleep.recordings.labels import scoring_of_annotations, with_scoring
from anysleep.recordings.reasons import RecordingWarning
from anysleep.recordings.recording import Recording, known_unit, samples_in


@pytest.fixture
def sleep_edf(tmp_path):
    """A pair of files as in Sleep-EDF: signals with a 1 Hz channel, and the scoring in a file of its own."""
    signals = [signal("EEG Fpz-Cz", 100), signal("EOG horizontal", 50, "mV", 1e-3), signal("Temp rectal", 1, "DegC")]
    psg = write_edf(tmp_path / "SC4001E0-PSG.edf", signals)
    stages = [stage(0, 600, "W"), stage(600, 300, "1"), stage(900, 900, "2"), stage(1800, 600, "3")]
    stages += [stage(2400, 600, "4"), stage(3000, 300, "R"), edfio.EdfAnnotation(3300, 30, "Movement time")]
    write_edf(tmp_path / "SC4001EC-Hypnogram.edf", [], [*stages, stage(3330, 90_000, "?")])
    return psg


def test_every_channel_keeps_its_rate_and_voltages_become_microvolts(sleep_edf):
    night = read_recording(sleep_edf)
    assert night.channels == ("EEG Fpz-Cz", "EOG horizontal", "Temp rectal")
    assert night.rates_hz == (100, 50, 1)
    assert [len(s) for s in night.signals] == [100 * HOUR, 50 * HOUR, HOUR]
    assert night.units == ("uV", "uV", "DegC")
    quantum_uv = 1000 / 65535
    for samples, rate_hz in zip(night.signals[:2], (100, 50), strict=True):
        original = 30 * np.random.default_rng(rate_hz).standard_normal(rate_hz * HOUR)
        assert np.abs(samples - original).max() < quantum_uv


def test_a_sleep_edf_pair_is_one_night(sleep_edf):
    night = read_recording(sleep_edf)
    expected = np.repeat([0, 1, 2, 3, 3, 4, 9], [20, 10, 30, 20, 20, 10, 10])
    assert night.hypnogram.tolist() == expected.tolist()
    assert night.start_time.isoformat() == "2024-02-29T22:58:03"


def test_the_scoring_may_start_at_another_time(tmp_path):
    psg = write_edf(tmp_path / "psg.edf", [signal("EEG Cz", 100)], starttime=time(22, 0, 0))
    scoring = write_edf(tmp_path / "scoring.edf", [], [stage(0, 1800, "N2")], starttime=time(22, 15, 0))
    hypnogram = read_recording(psg, hypnogram_path=scoring).hypnogram
    assert hypnogram.tolist() == [9] * 30 + [2] * 60 + [9] * 30


def test_two_scorings_are_not_chosen_between(sleep_edf):
    write_edf(sleep_edf.with_name("SC4001EH-Hypnogram.edf"), [], [stage(0, 30, "W")])
    with pytest.raises(ValueError, match="several scorings lie beside it"):
        read_recording(sleep_edf)


def test_annotations_and_arousals_are_kept(tmp_path):
    notes = [edfio.EdfAnnotation(12.5, None, "Lights off"), edfio.EdfAnnotation(100, 7.25, "EEG arousal")]
    night = read_recording(write_edf(tmp_path / "a.edf", [signal("EEG Cz", 100)], notes))
    assert night.annotations.description.tolist() == ["Lights off", "EEG arousal"]
    assert night.arousals.tolist() == [[100, 107.25]]
    assert night.hypnogram is None
    small = tmp_path / "small.edf"
    small.write_bytes((tmp_path / "a.edf").read_bytes().replace(b"EDF Annotations", b"EDF annotations"))
    assert read_recording(small).annotations.equals(night.annotations)
    momentary = write_edf(tmp_path / "b.edf", [signal("EEG Cz", 100)], [edfio.EdfAnnotation(5, None, "arousal")])
    with pytest.warns(UserWarning, match="1 arousals have no duration"):
        assert read_recording(momentary).arousals.shape == (0, 2)


def test_channels_are_picked_by_exact_name(sleep_edf, tmp_path):
    night = read_recording(sleep_edf, channels=["EOG horizontal", "EEG Fpz-Cz"])
    assert night.rates_hz == (50, 100)
    assert night.pick(["EEG Fpz-Cz"]).rates_hz == (100,)
    with pytest.raises(ValueError, match="did you mean 'EEG Fpz-Cz'"):
        night.pick(["eeg fpz-c"])
    twice = write_edf(tmp_path / "twice.edf", [signal("EEG", 100), signal("EEG", 50)])
    with pytest.raises(ValueError, match="occurs 2 times"):
        read_recording(twice, channels=["EEG"])


def test_damaged_files_are_named(tmp_path, sleep_edf):
    whole = sleep_edf.read_bytes()
    for damaged in (b"", whole[:100], whole[:600], whole[:-1000], b"something else entirely" * 99):
        path = tmp_path / "damaged.edf"
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged\.edf: not a whole EDF or BDF file"):
            read_recording(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_recording(tmp_path / "missing.edf")
    with pytest.raises(ValueError, match=r"no reader for '.txt'"):
        (tmp_path / "a.txt").touch()
        read_recording(tmp_path / "a.txt")


@pytest.mark.parametrize("behind", [b"\n", b"\0", b"0" * 99])
def test_bytes_behind_the_data_are_left_out_and_said(sleep_edf, behind):
    before = read_recording(sleep_edf)
    sleep_edf.write_bytes(sleep_edf.read_bytes() + behind)
    with pytest.warns(RecordingWarning, match=f"{len(behind)} bytes behind the last data record are left out"):
        night = read_recording(sleep_edf)
    assert np.array_equal(night.signals[0], before.signals[0])


def with_range(path, text):
    """The file with `text` for the largest voltage of its first signal, one of three."""
    content = path.read_bytes()
    at = 256 + 3 * (16 + 80 + 8 + 8)
    path.write_bytes(content[:at] + text.ljust(8) + content[at + 8 :])
    return path


def test_a_decimal_comma_is_a_point_and_said(sleep_edf):
    before = read_recording(sleep_edf)
    with pytest.warns(RecordingWarning, match="commas in the numbers of the header are read as decimal points"):
        night = read_recording(with_range(sleep_edf, b"500,0"))
    assert np.array_equal(night.signals[0], before.signals[0])


@pytest.mark.parametrize("text", [b"1,000", b"-32,768"])
def test_a_comma_that_may_part_thousands_is_refused(sleep_edf, text):
    with pytest.raises(ValueError, match=f"is {text.decode()}, and that comma may be decimal or not"):
        read_recording(with_range(sleep_edf, text))


def table(*rows):
    return pd.DataFrame(rows, columns=["onset_s", "duration_s", "description"])


def hypnogram_of(*rows, duration_s, length="equal"):
    """The stages that these annotations give a recording of so many seconds."""
    night = Recording(("EEG",), [np.zeros(1)], (100.0,), ("uV",), duration_s)
    return with_scoring(night, scoring_of_annotations(table(*rows)), length=length).hypnogram


def test_a_stage_off_the_grid_is_said():
    with pytest.warns(UserWarning, match="1 of 4 epochs of 30 s hold more than one stage"):
        stages = hypnogram_of((0, 40, "Sleep stage W"), (40, 80, "Sleep stage N2"), duration_s=120)
    assert stages.tolist() == [0, 2, 2, 2]


def test_a_tie_between_two_stages_is_no_stage():
    with pytest.warns(UserWarning, match="1 of 2 epochs"):
        stages = hypnogram_of((0, 45, "Sleep stage W"), (45, 15, "Sleep stage R"), duration_s=60)
    assert stages.tolist() == [0, 9]


def test_stages_without_duration_last_until_the_next():
    nan = float("nan")
    rows = (0, nan, "Sleep stage W"), (60, nan, "Sleep stage R"), (120, nan, "Sleep stage N1")
    assert hypnogram_of(*rows, duration_s=180).tolist() == [0, 0, 4, 4, 1, 9]


def test_scored_stages_beyond_the_end_need_a_rule():
    rows = ((0, 600, "Sleep stage N3"),)
    with pytest.raises(
        ValueError, match=r"the labels cover 0 s to 600 s \(600 s\), the signals last 120 s; state the rule"
    ):
        hypnogram_of(*rows, duration_s=120)
    with pytest.warns(UserWarning, match="both end where the shorter one ends"):
        assert hypnogram_of(*rows, duration_s=120, length="trim_end").tolist() == [3] * 4


def test_unscored_time_beyond_the_end_is_no_matter():
    assert hypnogram_of((0, 60, "Sleep stage R"), (60, 9000, "Sleep stage ?"), duration_s=90).tolist() == [4, 4, 9]


def test_a_rounding_error_does_not_cost_an_epoch():
    assert hypnogram_of((0, 1890, "Sleep stage R"), duration_s=0.7 * 2700).shape == (63,)


def test_records_of_odd_length_are_continuous(tmp_path):
    path = tmp_path / "odd.edf"
    samples = edfio.EdfSignal(
        np.random.default_rng(0).standard_normal(70 * 90), 100, label="EEG", physical_range=(-9, 9)
    )
    edfio.Edf([samples], data_record_duration=0.7, annotations=[stage(0, 30, "W")]).write(path)
    assert read_recording(path).hypnogram.tolist() == [0, 9]


def test_pauses_are_kept_as_time(tmp_path):
    notes = [stage(0, 300, "N2"), *(edfio.EdfAnnotation(0, None, "space for later onsets") for _ in range(2))]
    path = write_discontinuous(tmp_path / "d.edf", [*range(50), *range(130, 300)], annotations=notes)
    night = read_recording(path)
    samples = night.signals[0]
    assert night.duration_s == 300 and night.gaps_s.tolist() == [[50, 130]] and len(samples) == 300 * 100
    assert np.isnan(samples[50 * 100 : 130 * 100]).all() and np.isnan(samples).sum() == 80 * 100
    original = signal("EEG", 100, seconds=220).data
    assert np.abs(samples[:5000] - original[:5000]).max() < 0.02
    assert np.abs(samples[13000:] - original[5000:]).max() < 0.02
    assert night.hypnogram.tolist() == [2] + [9] * 4 + [2] * 5, "epochs that a pause touches are unscored"


def test_pauses_of_a_file_that_says_it_is_continuous_are_refused(tmp_path):
    path = write_discontinuous(tmp_path / "d.edf", [*range(50), *range(130, 150)])
    path.write_bytes(path.read_bytes().replace(b"EDF+D", b"EDF+C", 1))
    with pytest.raises(ValueError, match="says it is continuous, but data record 50 begins at 130 s, not at 50 s"):
        read_recording(path)
    path = write_discontinuous(tmp_path / "d.edf", [*range(50), *range(20, 40)])
    with pytest.raises(ValueError, match="overlap in time or are not in order"):
        read_recording(path)


@pytest.mark.parametrize(("rate_hz", "record_s"), [(125, 1), (200, 1), (2048, 0.859375), (12, 0.75), (256, 1)])
def test_no_sample_is_lost_at_a_pause_and_nan_is_where_the_gaps_are(tmp_path, rate_hz, record_s):
    ends_s = np.cumsum([10.004, 2.5, 0.002, 0.033, 7.012, 31.004, 0.5])
    pauses_s = np.repeat([0, *ends_s], 6)
    onsets_s = (np.arange(len(pauses_s)) * record_s + pauses_s).round(3).tolist()
    night = read_recording(write_discontinuous(tmp_path / "d.edf", onsets_s, rate_hz, [SPACE], record_s))
    half_a_sample_s = 0.5 / rate_hz + 1e-3
    assert len(night.gaps_s) == 7 and night.duration_s == pytest.approx(onsets_s[-1] + record_s, abs=half_a_sample_s)
    original = signal("EEG", rate_hz, seconds=len(onsets_s) * record_s).data
    for part in (night, night.cut(30, 1000)):
        samples = part.signals[0]
        missing = np.isnan(samples)
        assert np.array_equal(missing, samples_in(part.gaps_s, rate_hz, samples.size))
        recorded = samples[~missing]
        assert np.abs(recorded - original[len(original) - len(recorded) :]).max() < 0.02
    assert np.isfinite(night.signals[0]).sum() == len(original)


@pytest.mark.parametrize(("rate_hz", "other_hz"), [(125, 50), (256, 32), (200, 1)])
def test_channels_of_other_rates_share_the_pauses(tmp_path, rate_hz, other_hz):
    """Wherever pauses of milliseconds leave the records, nothing is refused, and all have the same whole epochs."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        onsets_s = np.arange(64) + np.repeat(np.cumsum([0, *rng.uniform(0.002, 9, 3).round(3)]), 16)
        onsets_s[48:] += 90 - 1 - onsets_s[-1] + rng.choice([-1e-3, 0, 1e-3])  # it ends around a whole epoch
        path = write_discontinuous(tmp_path / "d.edf", onsets_s.round(3), rate_hz, [SPACE], other_hz=other_hz)
        night = read_recording(path)
        y = preprocess(night.signals, night.rates_hz, 128, gaps_s=night.gaps_s)
        assert y.shape[1] // (30 * 128) == night.n_epochs


@pytest.mark.parametrize("kind", [b"EDF+C", b"EDF+D"])
def test_a_clock_that_runs_away_from_the_samples_is_refused(tmp_path, kind):
    onsets_s = [round(i * 1.0009, 4) for i in range(7200)]
    path = write_discontinuous(tmp_path / "d.edf", onsets_s, 2, [SPACE], kind=kind)
    with pytest.raises(ValueError, match=r"7200 data records .* last 7200\.00 s by the header, but 7206\.48 s by the"):
        read_recording(path)


def test_a_small_drift_is_said_and_a_rounded_onset_is_none(tmp_path):
    path = write_discontinuous(
        tmp_path / "d.edf", [round(i * 1.0009, 4) for i in range(112)], 2, [SPACE], kind=b"EDF+C"
    )
    with pytest.warns(UserWarning, match=r"112\.00 s by the header, but 112\.10 s by the times of the records"):
        assert read_recording(path).duration_s == 112
    onsets_s = [round(i * 0.859375, 3) for i in range(200)]
    path = write_discontinuous(tmp_path / "d.edf", onsets_s, 2048, [SPACE], 0.859375, kind=b"EDF+C")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_recording(path).duration_s == 200 * 0.859375


def test_bdf_is_read_with_all_its_24_bits(tmp_path):
    samples = np.random.default_rng(0).integers(-(2**23), 2**23, 256 * 60)
    bdf = edfio.BdfSignal.from_digital(
        samples.astype(np.int32), 256, label="EEG Cz", physical_dimension="uV", physical_range=(-262144, 262143)
    )
    edfio.Bdf([bdf], annotations=[stage(0, 60, "R")]).write(tmp_path / "a.bdf")
    night = read_recording(tmp_path / "a.bdf")
    expected = edfio.read_bdf(tmp_path / "a.bdf").signals[0].data
    assert np.abs(night.signals[0] - expected).max() <= 262144 * 2**-24
    assert night.hypnogram.tolist() == [4, 4] and night.rates_hz == (256,)


def test_channels_are_read_one_at_a_time(sleep_edf):
    night = read_recording(sleep_edf)
    difference = night.derive({"a": "EEG Fpz-Cz", "b": "EEG Fpz-Cz - EEG Fpz-Cz"})
    assert np.array_equal(difference.signals[0], night.signals[0]) and not difference.signals[1].any()
    with pytest.raises(ValueError, match=r"b cannot be the difference of EEG Fpz-Cz \(100 Hz, uV\) and EOG"):
        night.derive({"b": "EEG Fpz-Cz - EOG horizontal"})


def test_a_cut_moves_everything(sleep_edf):
    night = read_recording(sleep_edf)
    part = night.cut(600, 1000)
    assert part.start_time.isoformat() == "2024-02-29T23:08:03" and part.duration_s == 400
    assert part.hypnogram.tolist() == night.hypnogram[20:33].tolist()
    assert np.array_equal(part.signals[1], night.signals[1][600 * 50 : 1000 * 50])
    assert part.annotations.onset_s.tolist() == [0, 300] and part.annotations.duration_s.tolist() == [300, 100]
    with pytest.raises(ValueError, match="off their 30 s grid"):
        night.cut(10, 1000)


def test_a_cut_takes_events_outside_away_and_cuts_those_across(tmp_path):
    arousals = [edfio.EdfAnnotation(at, 5, "arousal") for at in (10, 598, 700, 998, 2000)]
    night = read_recording(write_edf(tmp_path / "a.edf", [signal("EEG", 100)], arousals)).cut(600, 1000)
    assert night.arousals.tolist() == [[0, 3], [100, 105], [398, 400]]


@pytest.mark.parametrize("off", ["Lights off", "LightsOff", "lights_out", "Lights off@@EEG F4-A1"])
def test_lights_are_found(tmp_path, off):
    notes = [edfio.EdfAnnotation(12.5, None, off), edfio.EdfAnnotation(3000, None, "LIGHTS ON")]
    assert read_recording(write_edf(tmp_path / "a.edf", [signal("EEG", 10)], notes)).lights_s == (12.5, 3000)


def test_labels_that_cannot_be_used_need_not_stop_staging(tmp_path):
    path = write_edf(tmp_path / "odd.edf", [signal("EEG", 100, seconds=60)], [stage(0, 30, "N")])
    with pytest.raises(ValueError, match=r"odd\.edf: unknown stage labels: 'Sleep stage N'"):
        read_recording(path)
    with pytest.warns(UserWarning, match="counts as unscored: unknown stage labels"):
        assert read_recording(path, labels="lenient").hypnogram is None


def test_the_warning_about_labels_does_not_name_their_file(tmp_path):
    path = write_edf(tmp_path / "night.edf", [signal("EEG", 100, seconds=60)])
    scoring = write_edf(tmp_path / "Doe_Jane.edf", [], [stage(0, 30, "N")])
    scoring.write_bytes(scoring.read_bytes()[:300])
    with pytest.warns(UserWarning, match="counts as unscored: ") as caught:
        read_recording(path, labels="lenient", hypnogram_path=scoring)
    assert "Doe" not in str(caught[0].message)


@pytest.mark.parametrize(
    ("unit", "known"),
    [
        (" mV", "uV"),
        ("\u03bcV", "uV"),
        ("DegC", "DegC"),
        ("%", "%"),
        ("", ""),
        ("cmH2O ", "cmH2O"),
        ("J. Doe", "other"),
    ],
)
def test_a_unit_is_kept_only_where_it_is_one(unit, known):
    assert known_unit(unit) == known


def test_header_fields_that_must_be_whole_numbers_are(tmp_path):
    path = write_edf(tmp_path / "a.edf", [signal("EEG", 100, seconds=60)])
    whole = path.read_bytes()
    for at, text in ((236, b"60.7    "), (256 + 216, b"100.9   ")):  # data records; samples in each
        path.write_bytes(whole[:at] + text + whole[at + 8 :])
        with pytest.raises(ValueError, match="expected a whole number"):
            read_recording(path)


def test_a_channel_without_a_scale_is_nan_and_a_missing_clock_is_none(tmp_path):
    path = write_edf(tmp_path / "a.edf", [signal("EEG", 100, seconds=60), signal("AUX", 10, seconds=60)])
    header = bytearray(path.read_bytes())
    n_signals = 2
    for field, width in ((104, 8), (112, 8)):  # after label (16), transducer (80), dimension (8): physical min and max
        at = 256 + field * n_signals + width
        header[at : at + width] = b"0       "
    header[176:184] = b" " * 8
    path.write_bytes(header)
    with pytest.warns(UserWarning, match="'AUX' an empty range|no start time"):
        night = read_recording(path)
    assert np.isnan(night.signals[1]).all() and np.isfinite(night.signals[0]).all()
    assert night.start_time is None


@pytest.mark.parametrize(
    ("stated", "day"), [("02-MAR-2002", "2002-03-02"), ("02-Mar-2002", "2002-03-02"), ("02-MRZ-2002", "2024-02-29")]
)
def test_the_date_of_edf_plus_goes_before_the_old_field_where_it_can_be_read(tmp_path, stated, day):
    path = write_edf(tmp_path / "a.edf", [signal("EEG", 100, seconds=60)])
    header = bytearray(path.read_bytes())
    header[88:168] = f"Startdate {stated} X X X".encode().ljust(80)
    path.write_bytes(header)
    assert read_recording(path).start_time.date().isoformat() == day


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 30, "Sleep stage Q")], "unknown stage labels: 'Sleep stage Q'"),
        ([(0, 60, "Sleep stage W"), (0, 60, "Sleep stage R")], "2 epochs carry two stages"),
        ([(9000, 60, "Sleep stage W")], "no scored stage lies inside"),
        ([(-60, 90, "Sleep stage W")], "scored before the first sample"),
    ],
)
def test_contradicting_stages_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        hypnogram_of(*rows, duration_s=120)

"""Promises of `anysleep.synthetic`: reproducible files, recognisable stages, planted effects and no others."""

import datetime
import importlib.util
from pathlib import Path

import edfio
import numpy as np
import pandas as pd
import pytest
from scipy import signal, stats

from anysleep.data import read_recording
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import read_recipe
from anysleep.stages import AROUSAL_TEXT, N1, N2, N3, REM, STAGE_TEXTS, UNSCORED, WAKE
from anysleep.synthetic import (
    Person,
    draw_persons,
    simulate_hypnogram,
    simulate_night,
    write_cohort,
)
from anysleep.synthetic.background import component_spectra, lean_weights, smooth_noise
from anysleep.synthetic.cohort import FAULTY_NIGHTS, pause_of, write_edf
from anysleep.synthetic.events import AROUSAL_S, SHAPES, cover, draw_arousals
from anysleep.synthetic.hypnogram import stage_path
from anysleep.synthetic.persons import draw_traits

RATE_HZ = 128
F3, F4, C3, C4, O1, O2, E1, E2 = range(8)
EFFECTS = Path(__file__).parents[1] / "bench" / "effects.py"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), n_persons=3, hours=0.5, seed=3)


@pytest.fixture(scope="module")
def night():
    """A young sleeper's night of 5 h that has every stage."""
    return simulate_night(Person("syn900", 25.0, "F", False, 1), hours=5.0, seed=2)


# --- who ----------------------------------------------------------------------------------------------------------


def test_a_person_does_not_depend_on_the_size_of_the_cohort():
    assert draw_persons(30, seed=1)[:5] == draw_persons(5, seed=1)
    assert draw_persons(5, seed=1) != draw_persons(5, seed=2)


def test_osa_is_half_of_the_cohort_and_independent_of_age_and_sex():
    persons = draw_persons(240, seed=0)
    osa = np.array([p.osa for p in persons])
    age = np.array([p.age for p in persons])
    male = np.array([p.sex == "M" for p in persons])
    assert osa.mean() == 0.5
    assert male[osa].mean() == 0.5
    assert abs(age[osa].mean() - age[~osa].mean()) < 0.5
    assert np.mean([p.n_nights == 2 for p in persons]) == pytest.approx(1 / 3)


# --- files --------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_processes(cohort, tmp_path):
    again = write_cohort(tmp_path, n_persons=3, hours=0.5, seed=3, n_jobs=2)
    assert again.recording.tolist() == cohort.recording.tolist()
    for first, second in zip(cohort.file, again.file, strict=True):
        assert Path(first).read_bytes() == Path(second).read_bytes()


def test_nights_persons_and_seeds_give_different_signals(cohort):
    person = draw_persons(1, seed=3)[0]
    one = simulate_night(person, 1, hours=0.1, seed=3).signals_uv
    for other in (simulate_night(person, 2, hours=0.1, seed=3), simulate_night(person, 1, hours=0.1, seed=4)):
        assert abs(np.corrcoef(one[C3], other.signals_uv[C3])[0, 1]) < 0.2


def test_edf_returns_samples_labels_and_annotations(cohort):
    row = cohort.iloc[0]
    person = draw_persons(1, seed=3)[0]
    night = simulate_night(person, 1, hours=0.5, seed=3)
    edf = edfio.read_edf(row.file)
    quantum_uv = 1000 / 2**16
    assert [s.label for s in edf.signals][:2] == ["EEG F3-M2", "EEG F4-M1"]
    assert [s.label for s in edf.signals][6:] == ["EOG E1-M2", "EOG E2-M2", "EMG chin", "ECG II", "Resp nasal"]
    for channel, samples in zip(edf.signals, night.signals_uv, strict=True):
        assert (channel.sampling_frequency, channel.physical_dimension) == (RATE_HZ, "uV")
        assert np.abs(channel.data - samples).max() < quantum_uv * (10 if channel.label == "ECG II" else 1)
    stages = [a for a in edf.annotations if a.text in STAGE_TEXTS]
    assert [STAGE_TEXTS.index(a.text) for a in stages] == night.hypnogram.tolist()
    assert [(a.onset, a.duration) for a in stages] == [(30.0 * e, 30.0) for e in range(len(night.hypnogram))]
    arousals = [(a.onset, a.onset + a.duration) for a in edf.annotations if a.text == AROUSAL_TEXT]
    np.testing.assert_allclose(np.reshape(arousals, (-1, 2)), night.arousals, atol=0.011)


def test_the_file_says_that_it_is_synthetic(cohort):
    edf = edfio.read_edf(cohort.file[0])
    assert edf.patient.name == "synthetic"
    assert edf.recording.equipment_code == "anysleep-synthetic"


def test_participants_table_lists_persons_and_the_folder_holds_nothing_else(cohort):
    folder = Path(cohort.file[0]).parent
    table = pd.read_csv(folder / "participants.tsv", sep="\t")
    assert table.columns.tolist() == ["subject", "age", "sex", "group", "n_nights"]
    assert table.n_nights.sum() == len(cohort)
    assert set(table.group) <= {"osa", "control"}
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["participants.tsv", *(f"{name}.edf" for name in cohort.recording)]
    )


# --- hypnograms ---------------------------------------------------------------------------------------------------


def test_every_epoch_keeps_the_majority_of_its_stage_though_stages_change_inside_epochs():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(10):
        hypnogram = simulate_hypnogram(960, rng)
        path = stage_path(hypnogram, rng)
        agreement = (path.reshape(-1, 30) == hypnogram[:, None]).sum(axis=1)
        assert agreement.min() >= 16
        inside += np.sum(np.diff(path.reshape(-1, 30), axis=1) != 0)
    assert inside > 500


def test_hypnogram_statistics_lie_within_those_of_the_real_nights():
    spec = importlib.util.spec_from_file_location("effects", EFFECTS)
    effects = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(effects)
    if not effects.DOD.exists():
        pytest.skip(f"the real nights are not at {effects.DOD}")
    table = effects.compare_hypnograms()
    assert table.ok.all(), table[~table.ok].to_string()


def test_a_night_of_6_h_has_rem_and_every_kind_of_sleep_is_its_own():
    def shares(sleep: str, n_epochs: int = 960) -> np.ndarray:
        """(5,) share of each stage, mean of 12 nights; and how soon REM comes, as a share of the night."""
        nights = [simulate_hypnogram(n_epochs, np.random.default_rng(i), sleep) for i in range(12)]
        assert min(np.sum(night == REM) for night in nights) >= 10
        first_rem = np.mean([np.argmax(night == REM) - np.argmax(night != WAKE) for night in nights])
        return np.r_[np.mean([np.bincount(night, minlength=5) for night in nights], axis=0) / n_epochs, first_rem]

    usual = shares("usual")
    assert shares("insomnia")[WAKE] > 1.8 * usual[WAKE]
    assert shares("apnoea")[N3] < 0.6 * usual[N3] and shares("apnoea")[N1] > 1.5 * usual[N1]
    assert shares("old age")[N3] < 0.6 * usual[N3]
    assert shares("narcolepsy")[-1] < 0.4 * usual[-1]
    assert shares("first night")[REM] < usual[REM]
    split = simulate_hypnogram(960 * 4, np.random.default_rng(0), "split night").reshape(2, -1)
    assert np.sum(split[1] == REM) > np.sum(split[0] == REM)


def test_osa_and_sex_leave_the_hypnogram_alone():
    nights = [
        simulate_night(Person("syn001", 50.0, sex, osa, 1), hours=1.0, seed=0)
        for sex, osa in (("F", False), ("M", False), ("F", True))
    ]
    for other in nights[1:]:
        np.testing.assert_array_equal(nights[0].hypnogram, other.hypnogram)
    np.testing.assert_array_equal(nights[0].signals_uv, nights[1].signals_uv)  # sex changes nothing at all
    assert not np.array_equal(nights[0].signals_uv, nights[2].signals_uv)


# --- arousals -----------------------------------------------------------------------------------------------------


def draw_many_arousals(age: float, osa: bool, n: int = 40) -> tuple[np.ndarray, float]:
    """All arousals of `n` persons' nights, and how many an hour of sleep has."""
    arousals, hours_asleep = [], 0.0
    for i in range(n):
        rng = np.random.default_rng(i)
        path = stage_path(simulate_hypnogram(960, rng), rng)
        traits = draw_traits(Person(f"syn{i:03d}", age, "F", osa, 1), seed=0, night=1)
        arousals.append(draw_arousals(path, traits.arousals_per_h, rng))
        hours_asleep += np.sum(path != WAKE) / 3600
    return np.concatenate(arousals), sum(map(len, arousals)) / hours_asleep


def test_arousals_last_3_to_15_s_and_come_out_of_10_s_of_sleep(night):
    arousals, _ = draw_many_arousals(50.0, True)
    durations = np.diff(arousals, axis=1)
    assert durations.min() >= AROUSAL_S[0] - 0.01 and durations.max() <= AROUSAL_S[1] + 0.01
    for onset, end in night.arousals:
        assert np.all(night.stage_path[int(onset) - 10 : int(end) + 1] != WAKE)
    assert np.all(night.arousals[1:, 0] - night.arousals[:-1, 1] >= 10)


def test_arousals_grow_with_age_and_with_osa():
    young, old = draw_many_arousals(25.0, False)[1], draw_many_arousals(75.0, False)[1]
    young_osa = draw_many_arousals(25.0, True)[1]
    assert old > 1.5 * young
    assert young_osa > 1.5 * young


def test_an_arousal_is_a_burst_of_alpha_and_muscle_activity(night):
    fast = band_power_per_s(night, C3, 16, 40)
    asleep = np.isin(night.stage_path, (N2, N3)) & (cover(len(fast), night.arousals) == 0)
    inside = (cover(len(fast), night.arousals) == 1) & np.isin(night.stage_path, (N2, N3))
    assert np.median(fast[inside]) > 4 * np.median(fast[asleep])


# --- signals ------------------------------------------------------------------------------------------------------


def band_power_per_s(night, channel: int, low_hz: float, high_hz: float) -> np.ndarray:
    """(S,) power in a band in each second, uV^2."""
    sos = signal.butter(4, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos")
    return (signal.sosfiltfilt(sos, night.signals_uv[channel]) ** 2).reshape(-1, RATE_HZ).mean(axis=1)


def stage_power(night, channel: int, low_hz: float, high_hz: float) -> np.ndarray:
    """(5,) mean band power by stage, arousals left out."""
    power = band_power_per_s(night, channel, low_hz, high_hz)
    quiet = cover(len(power), night.arousals) == 0
    return np.array([power[quiet & (night.stage_path == stage)].mean() for stage in range(5)])


def test_alpha_marks_wake_and_is_strongest_over_the_occiput(night):
    occipital, frontal = stage_power(night, O1, 8, 12), stage_power(night, F3, 8, 12)
    assert occipital[WAKE] > 4 * occipital[N2]
    assert occipital[WAKE] > 4 * occipital[REM]
    assert occipital[WAKE] / occipital[REM] > 1.5 * frontal[WAKE] / frontal[REM]


def test_theta_relative_to_alpha_rises_from_wake_to_n1(night):
    ratio = stage_power(night, O1, 4, 7) / stage_power(night, O1, 8, 12)
    assert ratio[N1] > 3 * ratio[WAKE]


def test_slow_waves_mark_n3_and_are_strongest_over_the_frontal_lobe(night):
    frontal, occipital = stage_power(night, F3, 0.5, 2), stage_power(night, O1, 0.5, 2)
    assert frontal[N3] > 3 * frontal[N2] > 3 * frontal[REM]
    assert frontal[N3] > 1.5 * occipital[N3]


@pytest.mark.parametrize(
    ("kind", "channel", "band_hz"),
    [("spindle", C3, (12, 15)), ("k_complex", F3, (0.5, 2)), ("sawtooth", C3, (2, 6))],
)
def test_power_rises_where_an_event_was_planted(night, kind, channel, band_hz):
    power = band_power_per_s(night, channel, *band_hz)
    inside = cover(len(power), night.events[kind]) > 0.5
    stage = N2 if kind != "sawtooth" else REM
    others = (night.stage_path == stage) & ~inside & (cover(len(power), night.arousals) == 0)
    assert inside.sum() > 10
    assert np.median(power[inside]) > 2 * np.median(power[others])


def test_eyes_move_out_of_phase_in_rem_and_eeg_shows_in_both_in_phase(night):
    moves = night.events["rapid_eye_movement"]
    moves = moves[night.stage_path[moves[:, 0].astype(int)] == REM]
    correlation = [
        np.corrcoef(night.signals_uv[[E1, E2], int(onset * RATE_HZ) : int(end * RATE_HZ)])[0, 1] for onset, end in moves
    ]
    assert len(moves) > 50
    assert np.median(correlation) < -0.7
    n3 = np.repeat(night.stage_path == N3, RATE_HZ)
    assert np.corrcoef(night.signals_uv[[E1, E2]][:, n3])[0, 1] > 0.4


def test_in_rem_eyes_move_less_and_muscles_are_weaker_than_in_wake(night):
    """Standard deviation within epochs, in interquartile ranges of the night as a network sees it; median by stage."""
    chin = night.channels.index("chin")
    fast = signal.sosfilt(signal.butter(4, 16, "highpass", fs=RATE_HZ, output="sos"), night.signals_uv[:chin])
    deviation = {}
    for name, signals in {"all": night.signals_uv[:chin], "fast": fast}.items():
        iqr_uv = np.subtract(*np.percentile(night.signals_uv[:chin], [75, 25], axis=1))
        epochs = (signals / iqr_uv[:, None]).reshape(chin, -1, 30 * RATE_HZ).std(axis=-1)
        deviation[name] = np.array([np.median(epochs[:, night.hypnogram == stage], axis=1) for stage in range(5)])
    assert 0.4 < deviation["all"][REM, E1] < 0.65 and 0.8 < deviation["all"][WAKE, E1] < 1.2
    assert deviation["fast"][REM, E1] < 0.3 * deviation["fast"][WAKE, E1]
    assert (deviation["fast"][REM] < deviation["fast"][[WAKE, N1]]).all()
    tone_uv = [np.median(epoch_sd(night, chin)[night.hypnogram == stage]) for stage in range(5)]
    assert tone_uv[WAKE] > 1.5 * tone_uv[N1] > tone_uv[N2] > tone_uv[N3] > 1.3 * tone_uv[REM]


def epoch_sd(night, channel: int) -> np.ndarray:
    """(E,) standard deviation of a channel in each epoch, uV."""
    return night.signals_uv[channel].reshape(-1, 30 * RATE_HZ).std(axis=1)


def test_rem_is_phasic_in_bursts_with_sawtooth_waves_before_them(night):
    moves = night.events["rapid_eye_movement"]
    moves = moves[night.stage_path[moves[:, 0].astype(int)] == REM]
    intervals_s = np.diff(moves[:, 0])
    assert np.median(intervals_s) < 3 and np.percentile(intervals_s, 90) > 3 * np.median(intervals_s)
    following = [np.sum((moves[:, 0] > onset) & (moves[:, 0] < onset + 10)) for onset, _ in night.events["sawtooth"]]
    at_any_time = len(moves) / np.sum(night.stage_path == REM) * 10
    assert np.mean(following) > 1.3 * at_any_time


def test_alpha_of_rem_is_slower_than_that_of_wake(night):
    def peak_hz(stage: int) -> float:
        """Of the spectrum between 7 and 12 Hz, times f for the fall of what lies below, over the occiput."""
        epochs = night.signals_uv[O1].reshape(-1, 30 * RATE_HZ)[night.hypnogram == stage]
        freqs_hz, psd = signal.welch(epochs, RATE_HZ, nperseg=4 * RATE_HZ)
        band = (freqs_hz >= 7) & (freqs_hz <= 12)
        return freqs_hz[band][(np.median(psd, axis=0)[band] * freqs_hz[band]).argmax()]

    assert 0.75 <= peak_hz(WAKE) - peak_hz(REM) <= 2.5


def test_the_heart_and_the_breath_have_their_rates(night):
    traits = draw_traits(night.person, seed=2, night=1)
    ecg_uv, flow_uv = (night.signals_uv[night.channels.index(name)] for name in ("II", "nasal"))
    beats, _ = signal.find_peaks(ecg_uv, height=400)
    assert len(beats) / 300 == pytest.approx(traits.beats_per_min, rel=0.1)
    breaths = np.sum((flow_uv[:-1] < 0) & (flow_uv[1:] >= 0))
    assert breaths / 300 == pytest.approx(traits.breaths_per_min, rel=0.1)


def test_apnoeas_end_with_arousals_in_osa_alone():
    for osa in (False, True):
        night = simulate_night(Person("syn900", 60.0, "M", osa, 1), hours=1.0, seed=0)
        flow_uv = night.signals_uv[night.channels.index("nasal")]
        before = [flow_uv[int(onset - 6) * RATE_HZ : int(onset - 1) * RATE_HZ].std() for onset, _ in night.arousals]
        assert (np.median(before) < 0.2 * flow_uv.std()) == osa


def test_events_belong_to_their_stages(night):
    for kind, stages in {"spindle": (N2, N3), "k_complex": (N2, N3), "sawtooth": (REM,)}.items():
        planted = night.stage_path[night.events[kind].mean(axis=1).astype(int)]
        assert np.isin(planted, stages).mean() > 0.85, kind


def test_background_has_the_power_that_was_asked_for():
    from anysleep.synthetic.background import simulate_background

    traits = draw_traits(Person("syn001", 50.0, "F", False, 1), seed=0, night=1)
    powers = np.zeros((600, 9), dtype=np.float32)
    powers[:, 4] = 100.0  # alpha; strongest over the occiput
    background = simulate_background(powers, traits, RATE_HZ, np.random.default_rng(0))
    assert background.shape == (8, 600 * RATE_HZ)
    assert background[O1].var() == pytest.approx(100.0, rel=0.1)
    freqs_hz, psd = signal.welch(background[O1], RATE_HZ, nperseg=4 * RATE_HZ)
    assert freqs_hz[psd.argmax()] == pytest.approx(traits.alpha_hz, abs=0.5)


def test_spectra_shares_and_smooth_noise_are_normalised():
    assert component_spectra(np.arange(65.0), 10.0).sum(axis=1) == pytest.approx(np.ones(9))
    weights = lean_weights(np.repeat(np.arange(5), 100), np.random.default_rng(0))
    assert weights.min() >= 0 and weights.sum(axis=1) == pytest.approx(np.ones(500), abs=1e-5)
    assert smooth_noise(20000, 6.0, np.random.default_rng(0)).std() == pytest.approx(1.0, rel=0.1)


def test_shapes_start_and_end_near_zero_with_unit_size():
    for name, shape in SHAPES.items():
        size = [np.ptp(shape(128, RATE_HZ, np.random.default_rng(i))) for i in range(20)]
        assert 0.8 < np.median(size) < 2.1, name


def test_cover_counts_parts_of_seconds():
    np.testing.assert_allclose(cover(4, np.array([[0.5, 2.25], [2.75, 3.0]])), [0.5, 1.0, 0.5, 0.0])


def test_other_rates_give_the_same_physiology():
    person = Person("syn001", 30.0, "F", False, 1)
    variances = []
    for rate_hz in (100, 256):
        night = simulate_night(person, hours=1.0, seed=1, rate_hz=rate_hz)
        assert night.signals_uv.shape == (11, 3600 * rate_hz)
        variances.append(night.signals_uv[:8].std(axis=1))
    np.testing.assert_allclose(variances[0], variances[1], rtol=0.15)


def test_persons_differ_in_amplitude_and_frequency():
    traits = [draw_traits(p, seed=0, night=1) for p in draw_persons(40, seed=0)]
    assert np.std([t.alpha_hz for t in traits]) > 0.3
    assert np.std(np.log([t.slow_wave_uv for t in traits])) > 0.08
    ages = [p.age for p in draw_persons(40, seed=0)]
    assert stats.spearmanr(ages, [t.slow_wave_uv for t in traits])[0] < -0.4


# --- faults -------------------------------------------------------------------------------------------------------


def test_the_faults_of_a_cohort_are_found_and_its_other_nights_are_whole(tmp_path, root):
    table = write_cohort(tmp_path / "cohort", n_persons=12, hours=0.5, seed=0, rate_hz=64, n_jobs=2, faults=True)
    recipe = read_recipe(root / "params" / "datasets" / "synthetic.yaml")
    rows, _ = prepare_archive([(recipe, tmp_path / "cohort")], tmp_path / "archive.h5", sampling_rate_hz=64)
    rows = rows.set_index("recording")
    found = {
        "syn005-night2": rows.left_out["syn005-night2"].startswith(
            "F4-M1: disconnected for 40 of 60 epochs, from 00:10 h"
        ),
        "syn006-night1": rows.left_out["syn006-night1"].startswith("O2-M1: not in the recording"),
        "syn012-night2": rows.n_scored["syn012-night2"] == 0 and pd.isna(rows.n_arousals["syn012-night2"]),
        "syn005-night1": rows.gaps_s["syn005-night1"] == 60 and rows.n_scored["syn005-night1"] == 58,
    }
    assert set(found) == set(FAULTY_NIGHTS) and all(found.values()), found
    whole = rows.drop(index=list(FAULTY_NIGHTS))
    assert set(whole.index) < set(table.recording) and (whole.n_scored == 60).all() and (whole.gaps_s == 0).all()
    usual = write_cohort(tmp_path / "usual", n_persons=12, hours=0.02, seed=0)
    assert set(table.recording) - set(usual.recording) == {"syn012-night2"}  # no labelled night is lost
    assert (whole.left_out == "").all() and whole.n_arousals.notna().all()


def test_after_a_pause_signals_and_stages_keep_their_time(tmp_path):
    person = draw_persons(12, seed=0)[4]
    night = simulate_night(person, 1, hours=0.5, seed=0, rate_hz=64)
    write_edf(night, tmp_path / "a.edf", datetime.datetime(2000, 1, 1, 22), pause_of(night))
    read = read_recording(tmp_path / "a.edf")
    assert read.gaps_s.tolist() == [[900, 960]] and (read.hypnogram[30:32] == UNSCORED).all()
    kept = np.r_[0:30, 32:60]
    assert (read.hypnogram[kept] == night.hypnogram[kept]).all()
    samples = np.r_[0 : 900 * 64, 960 * 64 : 1800 * 64]
    assert np.abs(read.signals[C3][samples] - night.signals_uv[C3][samples]).max() < 1000 / 2**16


# --- mistakes -----------------------------------------------------------------------------------------------------


def test_a_folder_with_anything_real_in_it_is_never_touched(tmp_path):
    for name, content in (("patient.edf", "x"), ("participants.tsv", "subject\tage\nsub-01\t40\n")):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text(content)
        with pytest.raises(ValueError, match=f"holds {name}, which is not a synthetic cohort"):
            write_cohort(folder, n_persons=1, hours=0.1)
        assert (folder / name).read_text() == content


def test_nights_of_an_earlier_cohort_do_not_stay(tmp_path):
    write_cohort(tmp_path, n_persons=3, hours=0.02, seed=0)
    for half in (".1.syn002-night1.edf", ".1.participants.tsv"):  # of a process that was killed
        (tmp_path / half).touch()
    table = write_cohort(tmp_path, n_persons=1, hours=0.02, seed=1)
    assert sorted(file.stem for file in tmp_path.glob("*.edf")) == sorted(table.recording)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hours": 0}, "hours is 0"),
        ({"hours": float("nan")}, "hours is nan"),
        ({"rate_hz": 32}, "at least 64"),
        ({"rate_hz": 100.5}, "whole number"),
        ({"n_persons": 0}, "n_persons is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"n_jobs": 0}, "n_jobs is 0"),
        ({"variety": 1.5}, "variety is 1.5"),
    ],
)
def test_a_mistake_names_the_value_and_writes_nothing(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_cohort(tmp_path / "cohort", **{"n_persons": 1, "hours": 0.1, **arguments})
    assert not (tmp_path / "cohort").exists()


def test_a_night_needs_an_epoch_and_a_number():
    with pytest.raises(ValueError, match="n_epochs is 0"):
        simulate_hypnogram(0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="night is 0"):
        simulate_night(draw_persons(1, 0)[0], night=0)
    with pytest.raises(ValueError, match="sleep is 'siesta'; there are usual"):
        simulate_hypnogram(10, np.random.default_rng(0), "siesta")

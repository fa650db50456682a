"""Promises of the variety of synthetic nights: drawn from one table, told, none at 0, and read like any other."""

from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import signal

from anysleep.datasets.archive import Archive
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import read_recipe
from anysleep.stages import N2, REM, WAKE
from anysleep.synthetic import draw_persons, simulate_night, write_cohort
from anysleep.synthetic.background import CHANNELS
from anysleep.synthetic.events import draw_bursts, draw_events
from anysleep.synthetic.persons import Circumstances, draw_circumstances, draw_traits, under
from anysleep.synthetic.recorder import MONTAGES, derivation, disturb, record

RATE_HZ = 128
PERSON = draw_persons(1, seed=0)[0]


def recorded(signals_uv, **circumstances):
    """What the recorder makes of signals of a person whose electrodes are alike and without noise."""
    traits = replace(draw_traits(PERSON, 0, 1), channel_gains=np.ones(8), sensor_noise_uv=0.0)
    return record(signals_uv.copy(), traits, Circumstances(**circumstances), RATE_HZ, np.random.default_rng(0))


@pytest.fixture(scope="module")
def noise():
    """(8, 100 s) white noise of 20 uV."""
    return 20 * np.random.default_rng(0).standard_normal((8, 100 * RATE_HZ)).astype(np.float32)


def test_at_0_everybody_is_recorded_alike_and_at_1_nobody():
    persons = draw_persons(60, seed=0)
    assert {draw_circumstances(p, 0, 0.0) for p in persons} == {Circumstances()}
    drawn = pd.DataFrame([asdict(draw_circumstances(p, 0, 1.0)) for p in persons])
    assert (drawn.nunique() >= 2).all() and set(drawn.montage) == set(MONTAGES)
    halfway = pd.DataFrame([asdict(draw_circumstances(p, 0, 0.5)) for p in persons])
    assert halfway.slope.std() == pytest.approx(drawn.slope.std() / 2, rel=0.01)
    for each in fields(Circumstances):
        if "range" in each.metadata and each.name != "amplitude_db":
            low, high = each.metadata["range"]
            assert drawn[each.name].between(low, high).all() and np.ptp(drawn[each.name]) > 0.8 * (high - low)


def test_only_who_has_it_sleeps_so():
    drawn = [(p, draw_circumstances(p, 1, 1.0).sleep) for p in draw_persons(240, seed=1)]
    assert {p.osa for p, sleep in drawn if sleep in ("apnoea", "split night")} == {True}
    assert min(p.age for p, sleep in drawn if sleep == "old age") >= 60


def test_derivations_are_differences_of_potentials():
    named = dict(zip(CHANNELS, range(8), strict=True))
    assert derivation("F3-M2").tolist() == np.eye(8)[named["F3-M2"]].tolist()
    expected = np.zeros(8)
    expected[[named["F3-M2"], named["F4-M1"]]] = 0.5
    expected[[named["C3-M2"], named["C4-M1"]]] = -0.5
    assert derivation("Fz-Cz").tolist() == expected.tolist()
    for name in ("F3-avg", "E1-E2", "Pz-Oz"):
        assert derivation(name).sum() == pytest.approx(0, abs=1e-6)
    assert all(np.abs(derivation(name)).sum() > 0.4 for names in MONTAGES.values() for name in names)


def test_a_recorder_without_faults_changes_nothing(noise):
    names, signals_uv = recorded(noise)
    assert names == CHANNELS
    np.testing.assert_allclose(signals_uv, noise, rtol=1e-5)


def test_filters_hum_and_gain_are_those_of_the_table(noise):
    def power(**circumstances):
        freqs_hz, psd = signal.welch(recorded(noise, **circumstances)[1], RATE_HZ, nperseg=4 * RATE_HZ)
        return freqs_hz, psd.mean(axis=0)

    freqs_hz, usual = power()
    assert power(lowpass_hz=30.0)[1][freqs_hz == 30] == pytest.approx(usual[freqs_hz == 30] / 2, rel=0.1)
    assert power(highpass_hz=0.5)[1][freqs_hz == 0.5] == pytest.approx(usual[freqs_hz == 0.5] / 2, rel=0.25)
    assert power(gain_db=6.0)[1].sum() == pytest.approx(usual.sum() * 10**0.6, rel=0.01)
    hum = power(hum_uv=10.0, mains_hz="60")[1] - usual
    assert freqs_hz[hum.argmax()] == 60


def test_a_half_wired_night_keeps_one_eeg_and_all_eog(noise):
    names, signals_uv = recorded(noise, n_unplugged=9.0)
    assert len(names) == len(signals_uv) == 3 and names[1:] == ("E1-M2", "E2-M2")
    assert signals_uv[0] == pytest.approx(noise[CHANNELS.index(names[0])], rel=1e-5)


def test_one_electrode_is_loose_for_its_share_of_the_night(noise):
    loose = np.abs(recorded(noise, loose_share=0.25)[1] - noise).reshape(8, 100, -1).mean(axis=-1) > 1
    assert loose.any(axis=1).sum() == 1 and loose.sum() == pytest.approx(25, abs=2)


def test_what_drops_out_is_held():
    ramp = np.tile(np.linspace(-100, 100, 3600 * RATE_HZ, dtype=np.float32), (8, 1))
    held = np.diff(recorded(ramp, dropouts_per_h=30.0)[1], axis=1) == 0
    assert np.all(held == held[0]) and 0.02 < held.mean() < 0.2


@pytest.mark.parametrize("fault", ["ecg_share", "sweat_uv", "snoring_uv", "movements_per_h"])
def test_a_disturbance_is_there_where_asked_for_alone(fault):
    high = next(each.metadata["range"][1] for each in fields(Circumstances) if each.name == fault)
    weights = np.eye(6, dtype=np.float32)[np.full(7200, N2)]
    breath = np.arange(7200 * RATE_HZ) * 0.25 / RATE_HZ
    ecg_uv = 900 * (np.arange(7200 * RATE_HZ) % RATE_HZ == 0).astype(np.float32)
    for level in (-1.0, high):
        signals_uv = np.zeros((8, 7200 * RATE_HZ), dtype=np.float32)
        disturb(signals_uv, weights, breath, ecg_uv, Circumstances(**{fault: level}), np.random.default_rng(1))
        assert np.any(signals_uv, axis=1).all() == (level > 0) == signals_uv.any()


def test_a_varied_cohort_is_seeded_told_and_prepared_by_name(tmp_path, root):
    table = write_cohort(tmp_path / "cohort", n_persons=4, hours=0.5, seed=1, rate_hz=64, variety=1.0)
    told = pd.read_csv(tmp_path / "cohort" / "participants.tsv", sep="\t")
    persons = draw_persons(4, seed=1)
    for person, (_, row) in zip(persons, told.iterrows(), strict=True):
        for name, value in asdict(draw_circumstances(person, 1, 1.0)).items():
            assert str(row[name]) == str(value), name
    again = write_cohort(tmp_path / "again", n_persons=4, hours=0.5, seed=1, rate_hz=64, variety=1.0)
    assert [Path(f).read_bytes() for f in again.file] == [Path(f).read_bytes() for f in table.file]
    recipe = read_recipe(root / "params" / "datasets" / "synthetic_varied.yaml")
    rows, _ = prepare_archive([(recipe, tmp_path / "cohort")], tmp_path / "archive.h5", sampling_rate_hz=64)
    assert rows.recording.tolist() == table.recording.tolist() and (rows.n_scored > 0).all()
    with Archive(tmp_path / "archive.h5") as archive:
        stored = archive.recordings().set_index("recording").channels
    montages = {name: set(MONTAGES[told.montage[int(name[3:6]) - 1]]) for name in stored.index}
    assert all(set(channels) <= montages[name] for name, channels in stored.items())


def test_a_nap_is_short_and_a_night_has_its_rem():
    naps = [p for p in draw_persons(120, seed=0) if draw_circumstances(p, 0, 1.0).sleep == "nap"]
    assert len(simulate_night(naps[0], hours=4.0, seed=0, rate_hz=64, variety=1.0).hypnogram) == 120
    night = simulate_night(PERSON, hours=6.0, seed=0, rate_hz=64, variety=0.0)
    assert np.sum(night.hypnogram == REM) >= 10


def test_who_lies_awake_with_open_eyes_blinks_more():
    def blinks_per_minute(eyes_open_s):
        awake = np.tile(np.eye(6, dtype=np.float32)[WAKE], (7200, 1))
        closed = draw_bursts(7200, mean_on_s=60.0, mean_off_s=eyes_open_s, rng=np.random.default_rng(0))
        return len(draw_events(awake, closed, draw_traits(PERSON, 0, 1), np.random.default_rng(1))["blink"]) / 120

    assert under(draw_traits(PERSON, 0, 1), Circumstances(eyes_open_s=240.0)).eyes_open_s == 240.0
    assert 1 < blinks_per_minute(10.0) < 5 < 10 < blinks_per_minute(240.0)

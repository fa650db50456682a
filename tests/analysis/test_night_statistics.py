"""The statistics of a report, on hypnograms small enough to count by hand, and against yasa where it has them."""

import numpy as np
import pandas as pd
import pytest
import yasa

from anysleep.analysis import (
    STATISTICS,
    change_per_decade,
    night_statistics,
    reference_band,
    sleep_periods,
    stage_transitions,
)
from anysleep.analysis.definitions import reference_bands
from anysleep.analysis.statistics import complete_cycles
from anysleep.published import read_published

NAMES = {0: "WAKE", 1: "N1", 2: "N2", 3: "N3", 4: "REM", 9: "UNS"}


def epochs(*bouts):
    """Stages and numbers of epochs in turn."""
    return np.repeat(bouts[::2], bouts[1::2])


NIGHT = epochs(0, 20, 1, 2, 0, 4, 2, 60, 4, 10, 0, 6, 2, 40, 0, 10)
"""10 min awake, a minute of N1, 2 min awake, 30 min N2, 5 min REM, 3 min awake, 20 min N2, 5 min awake."""


def test_every_statistic_of_a_night_counted_by_hand():
    assert night_statistics(NIGHT) == pytest.approx(
        {
            "TIB": 76, "SPT": 61, "WASO": 5, "WASO_to_lights_on": 10, "TST": 56, "SE": 100 * 56 / 76,
            "SME": 100 * 56 / 61, "SFI": 3 / (56 / 60), "SOL": 10, "SOL_N2": 13, "SOL_90s": 13, "SOL_5min": 13,
            "Lat_REM": 43, "Lat_REM_onset": 33, "WAKE": 20, "N1": 1, "N2": 50, "N3": 0, "REM": 5,
            "%N1": 100 / 56, "%N2": 5000 / 56, "%N3": 0, "%REM": 500 / 56, "n_short_awakenings": 0,
            "n_awakenings": 2, "n_stage_shifts": 5, "stage_shift_index": 5 / (56 / 60),
            "n_REM_periods": 1, "n_cycles": 1, "cycle_min": 38,
        },
        abs=1e-4,
    )  # fmt: skip


def test_lights_cut_time_in_bed_and_move_what_is_counted_from_it():
    whole, between = night_statistics(NIGHT), night_statistics(NIGHT, (300.0, 4440.0))
    assert between["TIB"] == 69 and between["SOL"] == 5 and between["Lat_REM"] == 38 and between["SOL_N2"] == 8
    assert between["SE"] == pytest.approx(100 * 56 / 69, abs=1e-4) and between["WASO_to_lights_on"] == 8
    kept = ["TST", "SPT", "WASO", "SME", "Lat_REM_onset", "n_stage_shifts", "n_cycles", "%N2"]
    assert {name: between[name] for name in kept} == {name: whole[name] for name in kept}


@pytest.mark.parametrize("seed", range(5))
def test_between_the_lights_they_are_yasas(seed):
    rng = np.random.default_rng(seed)
    hypnogram = np.repeat(rng.choice([0, 1, 2, 3, 4, 9], 80), rng.geometric(0.2, 80))
    off, on = 25, len(hypnogram) - 31
    theirs = yasa.Hypnogram([NAMES[s] for s in hypnogram[off:on]], n_stages=5, freq="30s").sleep_statistics()
    ours = night_statistics(hypnogram, (off * 30.0, on * 30.0))
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, nan_ok=True, abs=1e-4)


@pytest.mark.parametrize(
    ("bouts", "sol", "sol_n2", "sol_90s"),
    [
        ((0, 2, 1, 1, 0, 3, 2, 1, 1, 2), 1, 3, 3),
        ((1, 2, 9, 1, 1, 2), 0, np.nan, np.nan),
        ((0, 4), np.nan, np.nan, np.nan),
        ((3, 3, 2, 1), 0, 1.5, 0),
    ],
)
def test_sleep_begins_by_three_definitions(bouts, sol, sol_n2, sol_90s):
    found = night_statistics(epochs(*bouts))
    assert [found[name] for name in ("SOL", "SOL_N2", "SOL_90s")] == pytest.approx([sol, sol_n2, sol_90s], nan_ok=True)


def test_unscored_epochs_in_bed_are_neither_sleep_nor_wake():
    found = night_statistics(epochs(9, 4, 2, 20, 9, 6, 2, 10))
    assert found["UNS"] == 5 and found["TIB"] == 20 and found["SOL"] == 2
    assert found["SE"] == 75 and found["WASO"] == 0 and found["SME"] == pytest.approx(100 * 30 / 36, abs=1e-4)
    assert found["n_awakenings"] == 0 and found["n_stage_shifts"] == 0


def test_a_night_without_sleep_has_no_onset_and_no_index():
    found = night_statistics(epochs(0, 40), arousals_s=np.empty((0, 2)))
    undefined = ["SOL", "Lat_REM_onset", "WASO_to_lights_on", "stage_shift_index", "cycle_min", "arousal_index"]
    assert all(np.isnan(found[name]) for name in undefined)
    assert found["n_cycles"] == found["n_awakenings"] == found["n_arousals"] == 0 and found["SE"] == 0


def test_arousals_belong_to_the_stage_before_them_and_to_time_in_bed():
    hypnogram = epochs(0, 10, 2, 120, 4, 60, 0, 10)
    onsets_s = np.array([10, 300, 310, 3000, 3900, 3901, 5700, 5701])
    found = night_statistics(hypnogram, (0.0, 5700.0), np.column_stack([onsets_s, onsets_s + 5]))
    assert found["n_arousals"] == 5  # 10 and 300 follow Wake, 5701 is out of bed; 3900 ends N2, 5700 ends REM
    assert found["arousal_index"] == pytest.approx(5 / 1.5, abs=1e-4)
    assert found["arousal_index_N2"] == 3 and found["arousal_index_REM"] == 4 and np.isnan(found["arousal_index_N1"])
    assert "arousal_index" not in night_statistics(hypnogram)


def rows(periods):
    return [(r.cycle, r.period, r.start_s / 60, r.duration_s / 60) for r in periods.itertuples()]


def test_cycles_of_a_night_by_feinberg_and_floyd():
    """The first REM may be short; later REM below 5 min belongs to NREM; REM within 15 min is one period."""
    night = epochs(0, 10, 2, 60, 4, 2, 2, 80, 4, 6, 2, 40, 4, 10, 0, 10, 4, 10, 2, 50, 0, 20)
    assert rows(sleep_periods(night)) == [
        (1, "NREM", 5, 30), (1, "REM", 35, 1), (2, "NREM", 36, 63), (2, "REM", 99, 15), (3, "NREM", 114, 25),
    ]  # fmt: skip
    assert complete_cycles(sleep_periods(night)).tolist() == [31, 78]
    found = night_statistics(night)
    assert (found["n_cycles"], found["n_REM_periods"], found["cycle_min"]) == (2, 2, 54.5)


@pytest.mark.parametrize(("n_between", "n_periods"), [(29, 1), (30, 2)])
def test_fifteen_minutes_part_two_rem_periods(n_between, n_periods):
    night = epochs(2, 40, 4, 10, 2, n_between, 4, 10)
    assert (sleep_periods(night).period == "REM").sum() == n_periods


@pytest.mark.parametrize(("n_rem", "n_cycles"), [(9, 1), (10, 2)])
def test_a_later_rem_period_lasts_five_minutes(n_rem, n_cycles):
    assert night_statistics(epochs(2, 40, 4, 10, 2, 40, 4, n_rem))["n_cycles"] == n_cycles


def test_rem_at_sleep_onset_makes_no_cycle():
    night = epochs(1, 4, 4, 10, 2, 60, 4, 20)
    assert rows(sleep_periods(night)) == [(0, "REM", 2, 5), (1, "NREM", 7, 30), (1, "REM", 37, 10)]


def test_a_night_without_sleep_has_no_periods():
    assert sleep_periods(epochs(0, 20)).empty


def test_transitions_are_counted_and_unscored_makes_none():
    table = stage_transitions(epochs(0, 3, 2, 2, 9, 1, 2, 1, 4, 1))
    assert table.loc["Wake"].tolist() == [2, 0, 1, 0, 0] and table.loc["N2"].tolist() == [0, 0, 1, 0, 1]
    assert table.to_numpy().sum() == 5 and table.index.name == "from" and table.columns.name == "to"


def test_every_statistic_has_a_unit_a_meaning_and_a_source():
    every = night_statistics(epochs(0, 5, 9, 1, 2, 40), arousals_s=[[100, 105]])
    assert list(every) == list(STATISTICS)
    assert pd.DataFrame(STATISTICS.values()).map(len).min().min() > 0
    assert {one.unit for one in STATISTICS.values()} == {"min", "%", "1/h", "count"}


def test_the_page_has_the_table_of_the_code(root):
    """Where they differ, these are the lines that belong into the page."""
    lines = [f"| `{name}` | {s.title} | {s.unit} | {s.meaning} | {s.source} |" for name, s in STATISTICS.items()]
    page = (root / "docs" / "statistics.md").read_text().splitlines()
    assert [line for line in page if line.startswith("| `") and line.count("|") == 6][: len(lines)] == lines


def test_a_band_is_that_of_the_age_group_in_completed_years():
    assert reference_band("SE", 30.9)[:3] == (87.0, 71.9, 94.1)
    assert reference_band("TST", 61)[:3] == (378.3, 216.0, 440.0)
    assert reference_band("SE", 45) is reference_band("SE", 18) is reference_band("SE", 78) is None
    assert set(reference_bands(25, 480)) == {"TST", "SE"} and not reference_bands(0, 480)
    assert not reference_bands(25, 479)  # less than 4 h is no night
    assert reference_band("SE", None) is reference_band("SE", float("nan")) is reference_band("N3", 25) is None
    with pytest.raises(KeyError, match="no statistic 'sleep'"):
        reference_band("sleep", 25)


def test_what_a_decade_changes_has_its_interval_and_source():
    assert change_per_decade("WASO")[:3] == (9.7, 6.9, 12.4) and "Boulos et al. 2019" in change_per_decade("SE").source
    assert change_per_decade("%N3") is None
    for row in read_published("reference_values"):
        assert float(row["low"]) < float(row["value"]) < float(row["high"]) and row["statistic"] in STATISTICS

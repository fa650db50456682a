"""Sleep statistics: those of yasa at 30 s, the same at every resolution, and stated rules for what is finer."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest
import yasa

from anysleep.analysis.definitions import STATISTICS
from anysleep.analysis.statistics import (
    change_from_coarsest,
    lasting_states,
    sleep_statistics,
    statistics_table,
)
from anysleep.figures.traits import CHANGING, plot_statistic_changes
from anysleep.stages import N2, PUBLISHED_RESOLUTIONS, REM, UNSCORED, WAKE
from anysleep.staging.predictions import Predictions

NAMES = {0: "WAKE", 1: "N1", 2: "N2", 3: "N3", 4: "REM", 9: "UNS"}
R = 30
"""Predictions a second long."""
SLEEP = (1, 2, 3, 4)


def by_yasa(hypnogram, freq="30s"):
    names = [NAMES[stage] for stage in np.asarray(hypnogram).tolist()]
    return yasa.Hypnogram(names, n_stages=5, freq=freq).sleep_statistics()


def random_night(seed, stages=(0, 1, 2, 3, 4, 9), n_bouts=20):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.choice(stages, n_bouts), rng.geometric(0.2, n_bouts)).astype(np.int8)


NIGHTS = {
    **{f"any stage, {seed}": random_night(seed) for seed in range(20)},
    **{f"restless, {seed}": random_night(seed, (0, 1, 2), 30) for seed in range(5)},
    "no sleep": random_night(0, (0, 9)),
    "unscored": np.full(20, 9, np.int8),
    "no REM": random_night(1, (0, 1, 2, 3)),
    "only sleep": random_night(2, (1, 2, 3, 4)),
    "one epoch of Wake": np.array([0], np.int8),
    "one epoch of REM": np.array([4], np.int8),
}


@pytest.mark.parametrize("night", NIGHTS)
def test_at_30_s_they_are_yasas(night):
    ours, theirs = sleep_statistics(NIGHTS[night]), by_yasa(NIGHTS[night])
    assert list(ours.index) == [*theirs, "n_short_awakenings"] and ours["n_short_awakenings"] == 0
    assert ours[list(theirs)].tolist() == pytest.approx(list(theirs.values()), nan_ok=True, abs=1e-4)


@pytest.mark.parametrize("night", NIGHTS)
def test_30_s_labels_have_the_same_statistics_at_every_resolution(night):
    coarse = sleep_statistics(NIGHTS[night])
    for r in PUBLISHED_RESOLUTIONS:
        pd.testing.assert_series_equal(sleep_statistics(np.repeat(NIGHTS[night], r), r), coarse, rtol=0, atol=0)


@pytest.mark.parametrize("night", ["any stage, 3", "restless, 1", "no REM"])
def test_yasa_says_the_same_where_it_is_given_fine_labels_of_whole_epochs(night):
    fine = np.repeat(NIGHTS[night], 8)
    ours = sleep_statistics(fine, 8)
    assert ours.drop("n_short_awakenings").to_dict() == pytest.approx(by_yasa(fine, "3.75s"), nan_ok=True, abs=1e-4)


def seconds(*bouts):
    """Stages and seconds in turn -> a prediction a second."""
    return np.repeat(bouts[::2], bouts[1::2])


def test_amounts_count_every_prediction():
    """They are yasa's at any resolution, because no rule touches them."""
    rng = np.random.default_rng(0)
    fine = np.repeat(rng.choice([0, 1, 2, 3, 4, 9], 2000), rng.integers(1, 40, 2000))
    ours, theirs = sleep_statistics(fine, R), by_yasa(fine, "1s")
    amounts = ["TIB", "TST", "SE", "WAKE", "N1", "N2", "N3", "REM", "UNS", "%N1", "%N2", "%N3", "%REM"]
    assert ours[amounts].tolist() == pytest.approx([theirs[name] for name in amounts], abs=1e-4)


def filled(before, after):
    if UNSCORED in (before, after):
        return UNSCORED
    return N2 if before == after == N2 else WAKE


@pytest.mark.parametrize("seed", range(20))
def test_short_bouts_are_filled_from_both_sides(seed):
    """The same in a loop over bouts, on nights of which about half the bouts are short."""
    rng = np.random.default_rng(seed)
    fine = np.repeat(rng.choice([0, 0, 2, 3, 4, 4, 9], 100), rng.integers(1, 60, 100))
    states = [WAKE if stage == 0 else UNSCORED if stage == 9 else N2 for stage in fine.tolist()]
    bouts = [(state, len(list(run))) for state, run in itertools.groupby(states)]
    kept = [state if n >= R or state == UNSCORED else None for state, n in bouts]
    expected = []
    for i, (_, n) in enumerate(bouts):
        before = next((state for state in kept[:i][::-1] if state is not None), WAKE)
        after = next((state for state in kept[i + 1 :] if state is not None), UNSCORED)
        expected += n * [kept[i] if kept[i] is not None else filled(before, after)]
    for stage, run in itertools.groupby(range(len(fine)), lambda i: fine[i]):
        run = list(run)
        if stage == 4 and len(run) >= R:
            expected[run[0] : run[-1] + 1] = [REM] * len(run)
    assert lasting_states(fine, R).tolist() == expected


def test_sleep_begins_and_ends_with_30_s_of_it():
    night = sleep_statistics(seconds(0, 60, 1, 29, 0, 10, 1, 15, 2, 600, 0, 20, 2, 30, 0, 5, 2, 29, 0, 60), R)
    assert night.SOL == pytest.approx(99 / 60, abs=1e-4)  # N1 and N2 together last 30 s, N1 alone had not
    assert night.SPT == pytest.approx((615 + 20 + 30) / 60, abs=1e-4) and night.WASO == pytest.approx(20 / 60, abs=1e-4)
    assert night.TST == pytest.approx((29 + 645 + 29) / 60, abs=1e-4)
    assert night.SME == pytest.approx(100 * 645 / 665, abs=1e-4)


def test_a_stage_begins_with_30_s_of_it():
    assert sleep_statistics(seconds(2, 100, 4, 29, 2, 50, 4, 30, 0, 31), R).Lat_REM == pytest.approx(179 / 60, abs=1e-4)
    assert np.isnan(sleep_statistics(seconds(2, 100, 4, 29, 2, 51), R).Lat_REM)


@pytest.mark.parametrize(
    ("bouts", "n_awakenings", "n_short"),
    [
        ((2, 60, 0, 30, 2, 60), 1, 0),
        ((2, 60, 0, 29, 2, 61), 0, 1),
        ((2, 60, 0, 29, 2, 1, 0, 29, 2, 61), 0, 2),  # never 30 s in a row
        ((2, 60, 0, 30, 2, 29, 0, 30, 2, 61), 1, 0),  # not asleep in between
        ((2, 60, 0, 5, 2, 5, 0, 60, 2, 60), 1, 1),  # what is short lies between sleep and Wake
        ((2, 60, 9, 3, 0, 60, 2, 57), 0, 0),  # nobody knows how that one began
        ((0, 20, 2, 60, 0, 20), 0, 0),  # not between sleep and sleep
        ((2, 60, 9, 3, 0, 10, 2, 50), 0, 0),
    ],
)
def test_an_awakening_is_30_s_of_wake_after_30_s_of_sleep(bouts, n_awakenings, n_short):
    night = sleep_statistics(seconds(*bouts), R)
    asleep_h = np.isin(lasting_states(seconds(*bouts), R), SLEEP).sum() / 3600
    assert night.SFI * asleep_h == pytest.approx(n_awakenings, abs=1e-3)
    assert night.n_short_awakenings == n_short


def test_short_wake_does_not_break_five_minutes_of_sleep():
    night = sleep_statistics(seconds(0, 60, 1, 200, 0, 30, 2, 150, 0, 29, 2, 121, 0, 60), R)
    assert night.SOL == 1 and night.SOL_5min == pytest.approx(290 / 60, abs=1e-4)
    assert np.isnan(sleep_statistics(seconds(2, 299, 0, 31, 2, 270), R).SOL_5min)


def test_sleep_without_30_s_in_a_row_is_an_amount_but_no_period():
    night = sleep_statistics(seconds(*[0, 15, 2, 15] * 20), R)
    assert night.TST == 5 and night.SPT == 0 and night.n_short_awakenings == 19
    assert night[["WASO", "SME", "SFI", "SOL", "SOL_5min", "Lat_REM"]].isna().all()


def test_a_night_at_the_finest_resolution_is_a_matter_of_seconds():
    fine = np.random.default_rng(0).choice([0, 1, 2, 3, 4], 960 * 3840).astype(np.int8)
    start = time.process_time()
    sleep_statistics(fine, 3840)
    took = time.process_time() - start
    print(f"\n8 h at 3840 predictions an epoch: {took:.2f} s of the processor")
    assert took < 15


@pytest.mark.parametrize(
    ("hypnogram", "message"),
    [([], "at least one"), ([[0, 1]], r"shape \(1, 2\)"), ([0, 7, -1], r"codes \[-1, 7\]; stages are 0 to 4, 9")],
)
def test_what_is_no_hypnogram_is_refused(hypnogram, message):
    with pytest.raises(ValueError, match=message):
        sleep_statistics(hypnogram)


@pytest.fixture
def table(tmp_path):
    """Of two nights at three resolutions, as 05 writes them."""
    nights = pd.DataFrame({"dataset": "toy", "recording": ["a", "b"]})
    rng = np.random.default_rng(0)
    for r in (8, 1, 64):
        (tmp_path / f"r{r}").mkdir()
        stages = {f"toy_{name}": np.repeat(rng.choice([0, 1, 2, 3, 4], 20 * r), 7).astype(np.int8) for name in "ab"}
        np.savez(tmp_path / f"r{r}" / "predictions.npz", **stages)
    with Predictions(tmp_path) as predictions:
        yield predictions, statistics_table(predictions, nights)


def test_the_table_has_a_row_a_night_and_resolution(table):
    predictions, rows = table
    assert rows.recording.tolist() == list("aaabbb") and rows.predictions_per_epoch.tolist() == [1, 8, 64] * 2
    assert rows.seconds_per_prediction.tolist() == [30, 3.75, 0.46875] * 2
    expected = sleep_statistics(predictions.hypnogram("toy", "b", 8), 8)
    names = rows.columns.tolist()[4:]
    assert names == [name for name in STATISTICS if name in expected.index]
    assert rows.iloc[4][names].tolist() == pytest.approx(expected[names].tolist(), nan_ok=True)


def test_nights_with_lights_are_counted_between_them_at_every_resolution(table):
    predictions, _ = table
    nights = pd.DataFrame({"dataset": ["toy"], "recording": ["a"], "lights_off_s": [610.0], "lights_on_s": [3005.0]})
    rows = statistics_table(predictions, nights)
    assert (rows.TIB == 40).all()
    expected = sleep_statistics(predictions.hypnogram("toy", "a", 8)[20 * 8 : 100 * 8], 8)
    assert rows.WASO[1] == expected.WASO and rows["%N1"][1] == expected["%N1"]


def test_a_night_that_lacks_a_statistic_somewhere_is_left_out_and_counted(table):
    _, rows = table
    rows = rows.assign(WASO=[1.0, 2.0, 4.0, 10.0, 30.0, np.nan], SOL=5.0)
    changes, coarsest = change_from_coarsest(rows, "WASO")
    assert changes.index.tolist() == [("toy", "a")] and coarsest.tolist() == [1]
    assert changes.iloc[0].to_dict() == {30: 0, 3.75: 1, 0.46875: 3}
    titles = [ax.get_title(loc="left") for ax in plot_statistic_changes(rows).axes]
    assert [title.endswith("\n1 of 2 nights") for title in titles] == [name == "WASO" for name in CHANGING]
    none = plot_statistic_changes(rows.assign(WASO=np.nan)).axes[list(CHANGING).index("WASO")]
    assert none.get_title(loc="left").endswith("not defined\n0 of 2 nights")
    fewer = rows[(rows.recording == "a") | (rows.predictions_per_epoch != 64)]  # never staged at 64: lacks nothing
    assert len(change_from_coarsest(fewer, "WASO")[0]) == 2


def test_the_figure_shows_the_change_from_the_coarsest(table):
    _, rows = table
    figure = plot_statistic_changes(rows)
    ax = figure.axes[list(CHANGING).index("%N1")]
    line = ax.lines[-1].get_xydata()
    wide = rows.pivot(index="recording", columns="seconds_per_prediction", values="%N1")
    expected = {seconds: (wide[seconds] - wide[30]).median() for seconds in wide}
    assert dict(line.tolist()) == pytest.approx(expected)
    assert f"median {wide[30].median():.3g} %" in ax.get_title(loc="left")

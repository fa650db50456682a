"""Forests on transition blocks against scikit-learn and plain loops; tables against closed forms; stopped work."""

import signal
import subprocess
import sys
import time
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import f1_score, root_mean_squared_error

from anysleep.analysis.traits import forests
from anysleep.analysis.traits.forests import (
    Nights,
    Repetition,
    Settings,
    grow_forest,
    make_folds,
    predict_blocks,
    read_settings,
    run_repetitions,
    shuffled_trait,
)
from anysleep.analysis.traits.study import (
    Study,
    baseline_score,
    bootstrap_score,
    permutation_p,
    predicted_table,
    scores_of,
    spread_of_ages,
    summary_table,
    trait_headline,
    trait_score_table,
)
from anysleep.figures.traits import plot_permutation, plot_trait_scores


@pytest.fixture
def few_trees(monkeypatch):
    """Forests of 20 trees: enough for what these tests look at."""
    monkeypatch.setattr(forests, "N_TREES", 20)


def toy_nights(n_persons=12, n_nights=2, is_class=True, effect=0.0, fingerprint=0.0, by="person", seed=0) -> Nights:
    """Nights of three blocks; the trait has an `effect` on five counts, the person a `fingerprint` on all."""
    random = np.random.default_rng(seed)
    person = np.repeat([f"a/{i:03}" for i in range(n_persons)], n_nights)
    of_persons = random.permutation(np.arange(n_persons) % 2) if is_class else random.uniform(20, 80, n_persons)
    trait = np.repeat(of_persons, n_nights).astype(float)
    shift = effect * (trait - trait.mean()) / trait.std()
    own = np.repeat(np.exp(fingerprint * random.standard_normal((n_persons, 80))), n_nights, axis=0)
    rates = 5 * own * np.exp(shift[:, np.newaxis] * (np.arange(80) < 5))
    counts = {r: [random.poisson(r * rate, (3, 80)) for rate in rates] for r in (1, 2)}
    group = person if by == "person" else np.array([f"{name}/{i}" for i, name in enumerate(person)])
    return Nights(counts, trait, person, group, is_class)


@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize("value", [0, 1])
def test_where_all_targets_are_the_same_they_are_what_is_said(few_trees, is_class, value):
    blocks = np.random.default_rng(0).poisson(3, (9, 80)).astype(np.float32)
    forest = grow_forest(blocks, np.full(9, float(value)), is_class, Settings(3, 2, 2, "sqrt"), seed=5)
    assert predict_blocks(forest, blocks).tolist() == [value] * 9


@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize("n_folds", [0, 3])
def test_a_repetition_equals_a_plain_loop(is_class, n_folds):
    """Settings and seeds are drawn alike; everything else is written out with scikit-learn's forests."""
    nights, job = toy_nights(8, is_class=is_class, effect=0.3), Repetition(2, n_folds, repetition=4)
    folds = make_folds(nights, nights.trait, n_folds, [forests._FOLDS, 7, 4])
    random = np.random.default_rng([forests._FORESTS, 7, 2, 4])
    settings = {name: int(random.integers(2, 8)) for name in ("max_depth", "min_samples_leaf", "min_samples_split")}
    settings["max_features"] = ["sqrt", "log2"][random.integers(2)]
    expected = np.full(len(folds), np.nan)
    for fold in sorted(set(folds)):
        state, tie_state = random.integers(2**31, size=2)
        x = [block for i in range(len(folds)) if folds[i] != fold for block in nights.counts[2][i]]
        y = [nights.trait[i] for i in range(len(folds)) if folds[i] != fold for _ in nights.counts[2][i]]
        make = RandomForestClassifier if is_class else RandomForestRegressor
        weights = {"class_weight": "balanced"} if is_class else {}
        forest = make(200, random_state=int(state), **settings, **weights).fit(x, y)
        for place, i in enumerate(np.flatnonzero(folds == fold)):
            mean = np.mean(forest.predict(nights.counts[2][i]))
            coin = np.random.default_rng(tie_state).integers(0, 2, place + 1)[-1]
            expected[i] = mean if not is_class else coin if mean == 0.5 else mean > 0.5
    assert forests.predict_repetition(nights, job, seed=7) == pytest.approx(expected, rel=1e-12)


def test_settings_of_a_table_are_taken_in_place_of_drawn_ones(few_trees, tmp_path, monkeypatch):
    table = tmp_path / "forests.csv"
    table.write_text("max_features,max_depth,min_samples_leaf,min_samples_split\nsqrt,2.0,7,3\nlog2,7,2,5\n")
    given, grown = read_settings(table), []
    assert given == [Settings(2, 7, 3, "sqrt"), Settings(7, 2, 5, "log2")]
    grow = forests.grow_forest
    monkeypatch.setattr(forests, "grow_forest", lambda *args: grown.append(args[3]) or grow(*args))
    with pytest.raises(ValueError, match="n_repetitions is 3; the table of forests has 2 rows"):
        Study(toy_nights(4), 2, 3, [], 0, 0, given)
    study = Study(toy_nights(4), 2, 2, [], 0, 0, given)
    done = [forests.predict_repetition(study.nights, job, 0) for job in study.repetitions(1)]
    assert grown == [given[0]] * 2 + [given[1]] * 2 and len(done) == 2
    names = {forests._name(job, 0, {1: ""}) for job in (*study.repetitions(1), Repetition(1, 2, 0))}
    assert len(names) == 3  # no result of other settings is taken for it
    for row in ("sqrt,2,7,1", "auto,2,7,3", "sqrt,2.5,7,3", "sqrt,0,7,3"):
        table.write_text(f"max_features,max_depth,min_samples_leaf,min_samples_split\nsqrt,2,7,3\n{row}\n")
        with pytest.raises(ValueError, match="row 2 below the header needs whole numbers"):
            read_settings(table)
    names = "max_depth, min_samples_leaf, min_samples_split, max_features"
    for text in ("max_depth\n2\n", f"{names.replace(' ', '')},max_depth\n2,7,3,sqrt,2\n"):
        table.write_text(text)
        with pytest.raises(ValueError, match=f"needs columns {names}, each once|max_depth"):
            read_settings(table)


@pytest.mark.quick
@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize("n_folds", [0, 2, 5])
def test_folds_never_split_a_person_and_leave_out_everybody_once(is_class, n_folds):
    nights = toy_nights(13, n_nights=3, is_class=is_class)
    for seed in range(5):
        folds = make_folds(nights, nights.trait, n_folds, [seed])
        assert pd.Series(folds).groupby(nights.person).nunique().eq(1).all()
        assert len(set(folds)) == (n_folds or 13)
        if is_class and n_folds:
            assert pd.Series(nights.trait).groupby(folds).nunique().eq(2).all()


@pytest.mark.quick
def test_by_recording_every_night_is_left_out_alone():
    nights = toy_nights(5, by="recording")
    assert sorted(make_folds(nights, nights.trait, 0, [0])) == list(range(10))


def test_too_few_persons_are_refused():
    with pytest.raises(ValueError, match="4 persons of the rarer class cannot fill 5 folds"):
        make_folds(toy_nights(8), toy_nights(8).trait, 5, [0])
    with pytest.raises(ValueError, match="1 persons of the rarer class cannot fill 2 folds"):
        make_folds(toy_nights(3), toy_nights(3).trait, 0, [0])


@pytest.mark.quick
def test_a_tied_vote_is_decided_by_a_coin(monkeypatch):
    monkeypatch.setattr(forests, "predict_blocks", lambda forest, blocks: blocks[:, 0])
    tied = [np.array([[0.9], [0.1]])] * 200 + [np.array([[0.9], [0.6], [0.1]]), np.array([[0.5], [0.5]])]
    decided = forests._decide(None, tied, True, seed=3)
    assert 60 < decided[:200].sum() < 140 and decided[200:].tolist() == [1, 0]
    assert np.array_equal(decided, forests._decide(None, tied, True, seed=3))


@pytest.mark.quick
def test_a_shuffle_keeps_the_nights_of_a_person_together():
    nights = toy_nights(9, n_nights=3, is_class=False)
    shuffled = shuffled_trait(nights, 2, seed=1)
    assert pd.Series(shuffled).groupby(nights.person).nunique().eq(1).all()
    assert sorted(shuffled) == sorted(nights.trait) and not np.array_equal(shuffled, nights.trait)
    assert not np.array_equal(shuffled, shuffled_trait(nights, 3, seed=1))
    assert shuffled_trait(nights, -1, seed=1) is nights.trait


def study_of(nights, folder, n_folds=4, n_repetitions=4, permuted=(), n_shuffles=0):
    study = Study(nights, n_folds, n_repetitions, permuted, n_shuffles, seed=0)
    return study, run_repetitions(nights, study.jobs, 0, folder, n_jobs=1)


@pytest.mark.parametrize("is_class", [True, False])
def test_a_planted_effect_is_found_and_chance_is_not(few_trees, tmp_path, is_class):
    found, control, nothing = [], [], []
    for effect, gains in ((1.0, found), (0.0, nothing)):
        nights = toy_nights(24, n_nights=1, is_class=is_class, effect=effect, seed=3)
        study, done = study_of(nights, tmp_path, permuted=[2], n_shuffles=19 if effect else 0, n_repetitions=6)
        table = summary_table(study, done, n_bootstrap=100)
        gains += table.gain.tolist()
        if effect:
            control.append(table.control[1] - table.baseline[1])
            assert table.p[1] == 1 / 20 and np.isnan(table.p[0])
    large, small = (0.3, 0.15) if is_class else (6, 3)
    assert min(found) > large and max(nothing) < small and abs(control[0]) < small


def test_by_recording_a_person_is_remembered(few_trees, tmp_path):
    """Persons differ in everything but their age, so that only who was seen before can be told."""
    gains = {}
    for by in ("person", "recording"):
        nights = toy_nights(15, is_class=False, fingerprint=1.0, by=by)
        study, done = study_of(nights, tmp_path / by, n_folds=0, n_repetitions=2)
        gains[by] = summary_table(study, done, n_bootstrap=100).gain.mean()
    assert gains["recording"] > 1 > gains["person"] and gains["recording"] > gains["person"] + 3


@pytest.mark.parametrize("is_class", [True, False])
def test_scores_and_intervals_equal_those_of_scikit_learn(few_trees, tmp_path, is_class):
    nights = toy_nights(10, is_class=is_class, effect=0.3)
    study, done = study_of(nights, tmp_path, n_repetitions=2)
    jobs = study.repetitions(1)

    def score(chosen, job):
        truth, said = nights.trait[chosen], done[job][chosen]
        if not is_class:
            return root_mean_squared_error(truth, said)
        return f1_score(truth, said, labels=[0, 1], average="macro", zero_division=1)

    everybody = np.arange(20)
    assert scores_of(study, jobs, done) == pytest.approx([score(everybody, job) for job in jobs])
    draws = np.random.default_rng(0).multinomial(10, [0.1] * 10, 200)
    drawn = [np.repeat(everybody, np.repeat(times, 2)) for times in draws]
    means = [np.mean([score(chosen, job) for job in jobs]) for chosen in drawn]
    assert bootstrap_score(study, jobs, done, 200) == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_the_mean_age_has_the_error_of_its_closed_form():
    """Of n persons with a night each, leaving one out makes every deviation n / (n - 1) times as large."""
    nights = toy_nights(11, n_nights=1, is_class=False)
    assert baseline_score(nights) == pytest.approx(nights.trait.std() * 11 / 10)


@pytest.mark.parametrize("n_positive", [1, 3])
def test_the_coin_scores_the_mean_of_all_that_coins_can_say(n_positive):
    trait = (np.arange(7) < n_positive).astype(float)
    names = np.array([f"a/{i}" for i in range(7)])
    nights = Nights({1: [np.ones((1, 80), int)] * 7}, trait, names, names, is_class=True)
    every = product((0, 1), repeat=7)
    scores = [f1_score(trait, coins, labels=[0, 1], average="macro", zero_division=1) for coins in every]
    assert baseline_score(nights) == pytest.approx(np.mean(scores))


def test_p_counts_shuffles_that_are_as_good():
    shuffled = np.array([0.5, 0.6, 0.7])
    assert permutation_p(0.6, shuffled, smaller_is_better=False) == 3 / 4
    assert permutation_p(0.6, shuffled, smaller_is_better=True) == 3 / 4
    assert permutation_p(0.8, shuffled, smaller_is_better=False) == 1 / 4
    assert np.isnan(permutation_p(0.8, np.array([]), smaller_is_better=False))


def test_a_p_value_stands_beside_the_score_that_it_tests(few_trees, tmp_path):
    """One person left out at a time, so that the test has other folds than the mean."""
    study, done = study_of(toy_nights(11, is_class=False), tmp_path, 0, 2, permuted=[2], n_shuffles=3)
    errors = {job: root_mean_squared_error(shuffled_trait(study.nights, job.shuffle, 0), done[job]) for job in done}
    table = summary_table(study, done, n_bootstrap=20).set_index("predictions_per_epoch")
    score = np.mean([errors[Repetition(2, 10, i)] for i in range(2)])
    assert table.test_folds[2] == 10 and table.tested_score[2] == pytest.approx(score)
    assert table["mean"][2] == pytest.approx(np.mean([errors[Repetition(2, 0, i)] for i in range(2)])) != score
    assert table.p[2] == np.mean([True, *(errors[Repetition(2, 10, i, shuffle=i)] <= score for i in range(3))])
    assert table.loc[1, ["control", "p", "tested_score", "test_folds"]].isna().all()
    ax = plot_trait_scores(table.reset_index(), plt.subplots()[1])
    assert [text.xy for text in ax.texts] == [(15, pytest.approx(score))]
    assert "what p belongs to: the mean with 10 folds" in ax.get_legend_handles_labels()[1]
    ax = plot_permutation(np.array([9.0, 11]), 10, 7, "rmse", plt.subplots()[1])
    assert ax.get_xlabel() == "error in years (RMSE), 7 folds"


def test_shuffles_at_a_resolution_that_is_not_there_are_refused():
    for n_shuffles in (0, 9):  # without shuffles there would still be no control
        with pytest.raises(ValueError, match="shuffled at 8, 32 predictions an epoch, but there is only 1, 2;"):
            Study(toy_nights(), 4, 1, [2, 32, 8], n_shuffles, seed=0)


def test_every_recording_is_told_once_a_repetition(few_trees, tmp_path):
    nights = toy_nights(6)
    study, done = study_of(nights, tmp_path, n_folds=3)
    kept = pd.DataFrame({"dataset": "a", "recording": [f"n{i}" for i in range(12)], "subject": nights.person})
    table = predicted_table(study, done, kept, ["F", "M"])
    assert set(table.truth) == {"F", "M"} and len(table) == 12 * 2 * 4
    assert (table.groupby(["recording", "predictions_per_epoch", "repetition"]).size() == 1).all()
    first = table[(table.predictions_per_epoch == 2) & (table.repetition == 1)]
    expected = f1_score(first.truth, first.prediction, average="macro")
    scores = trait_score_table(study, done).set_index(["predictions_per_epoch", "repetition"])
    assert scores.score[2, 1] == pytest.approx(expected) and scores.seconds_per_prediction[2, 1] == 15


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(tmp_path):
    nights = toy_nights(6, effect=0.2)
    study = Study(nights, 3, 2, [1], 1, seed=5)
    alone, together = (run_repetitions(nights, study.jobs, 5, tmp_path / str(n), n_jobs=n) for n in (1, 2))
    pd.testing.assert_frame_equal(summary_table(study, alone, 50), summary_table(study, together, 50))
    files = [sorted(path.name for path in (tmp_path / str(n)).iterdir()) for n in (1, 2)]
    assert files[0] == files[1] and len(files[0]) == len(study.jobs)


@pytest.mark.slow
def test_what_was_killed_goes_on_to_the_same_tables(root, tmp_path):
    script = (
        "from pathlib import Path\n"
        "from test_traits import Study, run_repetitions, toy_nights\n"
        "study = Study(toy_nights(6, effect=0.2), 3, 6, [], 0, seed=5)\n"
        f"run_repetitions(study.nights, study.jobs, 5, Path({str(tmp_path / 'killed')!r}), n_jobs=1)\n"
    )
    running = subprocess.Popen([sys.executable, "-c", script], cwd=root / "tests/analysis", stdout=subprocess.DEVNULL)
    while len(list(tmp_path.glob("killed/[!.]*.npz"))) < 2:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    n_done = len(list(tmp_path.glob("killed/[!.]*.npz")))
    study = Study(toy_nights(6, effect=0.2), 3, 6, [], 0, seed=5)
    assert 2 <= n_done < len(study.jobs)
    damaged, empty, *_ = tmp_path.glob("killed/[!.]*.npz")
    damaged.write_bytes(b"PK damaged")
    empty.write_bytes(b"")
    resumed, whole = (
        run_repetitions(study.nights, study.jobs, 5, tmp_path / name, n_jobs=1) for name in ("killed", "whole")
    )
    pd.testing.assert_frame_equal(trait_score_table(study, resumed), trait_score_table(study, whole))


def test_other_data_or_another_seed_are_other_results(few_trees, tmp_path):
    nights, job = toy_nights(6), [Repetition(1, 3, 0)]
    run_repetitions(nights, job, 0, tmp_path, n_jobs=1)
    run_repetitions(nights, job, 1, tmp_path, n_jobs=1)
    nights.counts[1][3][0, 0] += 1
    run_repetitions(nights, job, 0, tmp_path, n_jobs=1)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_spread_of_ages_is_the_error_of_guessing_their_mean():
    nights = toy_nights(is_class=False)
    ages = pd.DataFrame({"person": nights.person, "age": nights.trait})
    of_persons = ages.groupby("person").age.mean()
    guess = [root_mean_squared_error(x, np.full(len(x), np.mean(x))) for x in (ages.age, of_persons)]
    assert spread_of_ages(nights) == pytest.approx(guess)


ROW = {"measure": "mf1", "mean": 0.71234, "low": 0.6, "high": 0.8, "baseline": 0.49, "gain": 0.22234, "p": np.nan}


@pytest.mark.parametrize(
    ("differs", "shown"),
    [
        ({}, "better than the baseline"),
        ({"low": 0.48}, "not told apart from chance"),
        ({"low": np.nan, "high": np.nan}, "not told apart from chance"),
        ({"p": 0.2}, "not told apart from chance"),
        ({"p": 0.01}, "better than the baseline"),
        ({"low": 0.1, "high": 0.3, "gain": -0.2}, "worse than the baseline"),
        ({"measure": "rmse", "low": 5.0, "high": 9.0, "baseline": 8.5, "gain": 1.0}, "not told apart from chance"),
        ({"measure": "rmse", "low": 5.0, "high": 8.0, "baseline": 8.5, "gain": 1.0}, "better than the baseline"),
    ],
)
def test_the_headline_says_chance_where_interval_or_p_do(differs, shown):
    row = ROW | differs
    found = trait_headline(pd.Series(row))
    assert found["shown"] == shown and found[row["measure"]] == 0.7123
    assert ("low" in found) == np.isfinite(row["low"]) and ("p" in found) == np.isfinite(row["p"])


def test_the_headline_is_of_the_resolution_named_first_not_of_the_best():
    counts = {r: [np.ones((1, 80), int)] * 4 for r in (1, 8, 32)}
    nights = Nights(counts, np.arange(4.0), np.array(list("abcd")), np.array(list("abcd")), is_class=False)
    plan = {"n_folds": 2, "n_repetitions": 1, "n_shuffles": 0, "seed": 0}
    assert [Study(nights, permuted=named, **plan).chosen for named in ([32, 1], [8], [])] == [32, 8, 1]

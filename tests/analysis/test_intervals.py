"""Intervals and p-values by person: equal to slow loops and closed forms, and right as often as they say."""

import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from anysleep.analysis import (
    bootstrap_scores,
    confusion_matrix,
    paired_bootstrap,
    paired_bootstrap_of_means,
    welch_as_published,
)

STAGE_NAMES = ("wake", "n1", "n2", "n3", "rem")


def random_nights(n_nights=12, n_epochs=120, seed=0):
    """Truth and prediction of each night, the nights of unequal difficulty; persons have one to three nights."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, (n_nights, n_epochs))
    hard = rng.random((n_nights, 1)) < rng.uniform(0.1, 0.6, (n_nights, 1))
    prediction = np.where(rng.random(truth.shape) < 0.2 + 0.3 * hard, rng.integers(0, 5, truth.shape), truth)
    return truth, prediction, rng.choice(list("edcba"), n_nights)


def night_counts(truth, prediction):
    return np.stack([confusion_matrix(*night) for night in zip(truth, prediction, strict=True)])


def accuracy_counts(n_right, n_wrong):
    """Nights with so many right and wrong epochs."""
    confusions = np.zeros((len(n_right), 5, 5), int)
    confusions[:, 2, 2], confusions[:, 2, 1] = n_right, n_wrong
    return confusions


def drawn_nights(persons, n_bootstrap, seed):
    """The nights of each draw, a person's nights as often as the person was drawn."""
    names = sorted(set(persons))
    draws = np.random.default_rng(seed).multinomial(len(names), [1 / len(names)] * len(names), n_bootstrap)
    for draw in draws:
        yield [
            i for name, times in zip(names, draw, strict=True) for i in np.flatnonzero(persons == name).repeat(times)
        ]


def sklearn_scores(truth, prediction):
    pair = truth.ravel(), prediction.ravel()
    by_stage = f1_score(*pair, average=None, labels=range(5))
    named = {f"f1_{name}": value for name, value in zip(STAGE_NAMES, by_stage, strict=True)}
    return named | {"mf1": by_stage.mean(), "kappa": cohen_kappa_score(*pair), "accuracy": accuracy_score(*pair)}


def test_the_interval_equals_a_slow_loop_over_the_same_draws():
    truth, prediction, persons = random_nights()
    table = bootstrap_scores(night_counts(truth, prediction), persons, n_bootstrap=60, seed=3)
    slow = [sklearn_scores(truth[nights], prediction[nights]) for nights in drawn_nights(persons, 60, 3)]
    for name, estimate in sklearn_scores(truth, prediction).items():
        low, high = np.quantile([scores[name] for scores in slow], [0.025, 0.975])
        assert table.loc[name].tolist() == pytest.approx([estimate, low, high])
    assert list(table) == ["estimate", "low", "high"]
    assert "n_epochs" not in table.index
    assert len(table) == 18


def test_accuracy_of_independent_persons_has_the_binomial_interval():
    right = np.random.default_rng(0).random(500) < 0.8
    accuracy = bootstrap_scores(accuracy_counts(right, ~right), np.arange(500), n_bootstrap=4000, seed=1).loc[
        "accuracy"
    ]
    half_width = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 500)
    assert accuracy.estimate == right.mean()
    assert accuracy.low == pytest.approx(right.mean() - half_width, abs=0.004)
    assert accuracy.high == pytest.approx(right.mean() + half_width, abs=0.004)


def test_only_persons_matter_not_the_order_of_nights():
    truth, prediction, persons = random_nights()
    confusions, order = night_counts(truth, prediction), np.random.default_rng(1).permutation(len(persons))
    one = bootstrap_scores(confusions, persons, n_bootstrap=50, seed=0)
    assert one.equals(bootstrap_scores(confusions[order], persons[order], n_bootstrap=50, seed=0))
    merged = np.stack([confusions[persons == name].sum(axis=0) for name in sorted(set(persons))])
    assert one.equals(bootstrap_scores(merged, sorted(set(persons)), n_bootstrap=50, seed=0))


def test_intervals_by_person_hold_the_truth_and_intervals_by_night_do_not():
    """Fifty persons, four nights each; the accuracy of a person is beta distributed around 0.7."""
    rng, held = np.random.default_rng(2), {"person": 0, "night": 0}
    persons, n_studies = np.repeat(np.arange(50), 4), 200
    for study in range(n_studies):
        n_right = rng.binomial(100, rng.beta(7, 3, 50)[persons])
        for unit, ids in {"person": persons, "night": np.arange(200)}.items():
            interval = bootstrap_scores(accuracy_counts(n_right, 100 - n_right), ids, 300, study).loc["accuracy"]
            held[unit] += interval.low <= 0.7 <= interval.high
    shares = {unit: n / n_studies for unit, n in held.items()}
    print(f"\n95 % intervals that hold the truth: {shares}")
    assert 0.90 < shares["person"] < 0.98
    assert shares["night"] < 0.80


@pytest.mark.parametrize(("n_persons", "published"), [(5, 0.85), (10, 0.90), (40, 0.94)])
def test_few_persons_make_intervals_too_narrow_by_as_much_as_is_said(n_persons, published):
    """Closed form for a mean: the bootstrap's normal quantile and 1 / n variance against Student's t."""
    expected = 1 - 2 * stats.t.sf(1.96 * np.sqrt((n_persons - 1) / n_persons), n_persons - 1)
    rng, n_studies = np.random.default_rng(n_persons), 400
    held = 0
    for study in range(n_studies):
        result = paired_bootstrap_of_means(
            np.zeros(n_persons), rng.normal(size=n_persons), range(n_persons), 300, study
        )
        held += result.low <= 0 <= result.high
    assert expected == pytest.approx(published, abs=0.006)
    assert held / n_studies == pytest.approx(expected, abs=0.05)


def test_one_person_has_no_interval():
    truth, prediction, _ = random_nights(3)
    confusions, same = night_counts(truth, prediction), ["a", "a", "a"]
    table = bootstrap_scores(confusions, same, n_bootstrap=10, seed=0)
    assert table.estimate.notna().all()
    assert table[["low", "high"]].isna().all(axis=None)
    for result in (
        paired_bootstrap(confusions, confusions, same, 10, 0),
        paired_bootstrap_of_means([0.1, 0.2, 0.3], [0.2, 0.2, 0.2], same, 10, 0),
    ):
        assert result.difference == pytest.approx(0)
        assert result[["low", "high", "p"]].isna().all()


def test_a_score_that_some_draws_lack_is_judged_by_the_others():
    """N1 is predicted in one of three nights only, then always rightly."""
    confusions = np.zeros((3, 5, 5), int)
    confusions[:, 2, 2], confusions[0, 1, 1], confusions[0, 2, 1] = 10, 3, 1
    table = bootstrap_scores(confusions, ["a", "b", "c"], n_bootstrap=200, seed=0)
    assert table.loc["precision_n1"].tolist() == [0.75, 0.75, 0.75]
    assert table.loc["precision_rem"].isna().all()


def test_the_paired_difference_equals_a_slow_loop_over_the_same_draws():
    truth, a, persons = random_nights()
    b = np.where(np.random.default_rng(9).random(a.shape) < 0.1, truth, a)
    result = paired_bootstrap(night_counts(truth, a), night_counts(truth, b), persons, 80, 5)
    slow = np.array(
        [
            sklearn_scores(truth[n], b[n])["mf1"] - sklearn_scores(truth[n], a[n])["mf1"]
            for n in drawn_nights(persons, 80, 5)
        ]
    )
    difference = sklearn_scores(truth, b)["mf1"] - sklearn_scores(truth, a)["mf1"]
    p = min(1, 2 * (1 + min((slow <= 0).sum(), (slow >= 0).sum())) / 81)
    assert result.tolist() == pytest.approx([difference, *np.quantile(slow, [0.025, 0.975]), p])


def test_the_paired_mean_equals_scipy_bootstrap_and_normal_theory():
    rng = np.random.default_rng(4)
    a = rng.normal(0.7, 0.1, 300)
    b = a + rng.normal(0.01, 0.05, 300)
    result = paired_bootstrap_of_means(a, b, np.arange(300), n_bootstrap=5000, seed=0)
    interval = stats.bootstrap((b - a,), np.mean, method="percentile", n_resamples=5000, rng=1).confidence_interval
    assert result.difference == pytest.approx((b - a).mean())
    assert [result.low, result.high] == pytest.approx([interval.low, interval.high], abs=4e-4)
    assert result.p == pytest.approx(stats.ttest_rel(b, a).pvalue, abs=0.003)


def test_the_mean_of_nights_weighs_nights_not_persons():
    """Two persons, a with two nights and 0.3, b with one and -0.3: a quarter of the draws holds b only."""
    result = paired_bootstrap_of_means([0, 0, 0], [0.3, 0.3, -0.3], ["a", "a", "b"], n_bootstrap=4000, seed=0)
    assert result.difference == pytest.approx(0.1)
    assert [result.low, result.high] == pytest.approx([-0.3, 0.3])
    assert result.p == pytest.approx(2 * 0.25, abs=0.03)


def test_p_is_uniform_without_a_difference_and_small_with_one():
    """Both sides are one network with independent errors, then b is right a little more often; persons vary."""
    rng, persons = np.random.default_rng(6), np.repeat(np.arange(60), 2)
    p_values = {0.0: [], 0.03: []}
    for study in range(300):
        skill = rng.beta(7, 3, 60)[persons]
        for gain, found in p_values.items():
            right_a, right_b = rng.binomial(200, skill), rng.binomial(200, np.minimum(skill + gain, 1))
            found.append(paired_bootstrap_of_means(right_a / 200, right_b / 200, persons, 400, study).p)
    null, planted = np.array(p_values[0.0]), np.array(p_values[0.03])
    print(f"\np <= 0.05 without a difference: {(null <= 0.05).mean():.3f}; with one: {(planted <= 0.05).mean():.3f}")
    assert stats.kstest(null, "uniform").pvalue > 0.01
    assert 0.02 <= (null <= 0.05).mean() <= 0.09
    assert (planted <= 0.05).mean() > 0.95


def test_equal_sides_have_p_of_one():
    truth, prediction, persons = random_nights()
    confusions = night_counts(truth, prediction)
    assert paired_bootstrap(confusions, confusions, persons, 50, 0).tolist() == [0, 0, 0, 1]


def test_p_is_never_zero():
    b_always_better = paired_bootstrap_of_means(np.zeros(20), np.ones(20), range(20), n_bootstrap=99, seed=0)
    assert b_always_better.p == pytest.approx(2 / 100)


def test_welch_by_hand():
    a, b = np.array([1.0, 2, 3]), np.array([2.0, 4, 6, 8])
    t = (5 - 2) / np.sqrt(1 / 3 + (20 / 3) / 4)
    freedom = (1 / 3 + 5 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (5 / 3) ** 2 / 3)
    assert welch_as_published(a, b).tolist() == pytest.approx([3, t, stats.t.sf(t, freedom)])
    assert welch_as_published(b, a).p == pytest.approx(1 - stats.t.sf(t, freedom))


def test_welchs_test_is_one_sided_as_published():
    """A difference of 0.0015 with a standard error of 0.00246: t = .61; .271 lies above, .542 on both sides."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 5000))
    noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(axis=1, ddof=1, keepdims=True)
    a, b = 0.123 * noise[0] + 0.7657, 0.123 * noise[1] + 0.7672
    test = welch_as_published(a, b)
    assert test.t == pytest.approx(0.0015 / np.sqrt(2 * 0.123**2 / 5000))
    assert (round(test.p, 3), round(stats.ttest_ind(b, a, equal_var=False).pvalue, 3)) == (0.271, 0.542)


def test_more_draws_from_the_same_persons_shrink_p_of_welch_but_not_of_the_bootstrap():
    rng = np.random.default_rng(8)
    a, b = rng.normal(0.70, 0.1, 30), rng.normal(0.72, 0.1, 30)
    persons, many = np.arange(30), np.repeat(np.arange(30), 100)
    assert welch_as_published(a, b).p > 0.05
    assert welch_as_published(a[many], b[many]).p < 1e-3
    few, more = (paired_bootstrap_of_means(a[i], b[i], persons[i], 1000, 0) for i in (persons, many))
    assert few.tolist() == pytest.approx(more.tolist())


def test_a_thousand_draws_of_700_persons_take_under_a_second():
    confusions = np.random.default_rng(0).integers(0, 200, (700, 5, 5))
    start = time.perf_counter()
    bootstrap_scores(confusions, np.arange(700), n_bootstrap=1000, seed=0)
    seconds = time.perf_counter() - start
    print(f"\n1000 draws of 700 persons: {seconds:.2f} s")
    assert seconds < 1


NIGHTS = np.ones((2, 5, 5), int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_scores(NIGHTS[0], ["a"], 10, 0), r"shape \(5, 5\); expected \(nights, 5, 5\)"),
        (lambda: bootstrap_scores(NIGHTS, ["a"], 10, 0), "2 nights but 1 persons"),
        (lambda: bootstrap_scores(NIGHTS[:0], [], 10, 0), "0 nights but 0 persons"),
        (lambda: bootstrap_scores(NIGHTS, ["a", None], 10, 0), "1 night without a known .* group_by=recording"),
        (lambda: bootstrap_scores(NIGHTS, ["a", "b"], 0, 0), "n_bootstrap is 0"),
        (lambda: paired_bootstrap(NIGHTS, NIGHTS[:1], ["a", "b"], 10, 0), "a has 2 nights, b 1"),
        (lambda: paired_bootstrap_of_means([1], [1, 2], ["a", "b"], 10, 0), "expected one a night for both"),
        (lambda: paired_bootstrap_of_means([1, np.nan], [1, 2], ["a", "b"], 10, 0), "1 nights lack a score"),
    ],
)
def test_what_cannot_be_judged_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Calibration and review equal brute force and scikit-learn, and planted temperatures are found."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, log_loss

from anysleep.analysis import (
    expected_calibration_error,
    fit_temperature,
    reliability,
    review_curve,
    stage_metrics,
)
from anysleep.figures import plot_reliability, plot_review


def calibrated_night(n=20_000, seed=0, spread=1.6):
    """Logits, and stages drawn from their softmax: right as often as they say; every tenth epoch is unscored."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, 5))
    truth = np.array((rng.random((n, 1)) > softmax(logits, axis=1).cumsum(axis=1)[:, :4]).sum(axis=1))
    truth[::10], truth[5::20] = 9, -1
    return logits, truth


def night_with_ties(n=400, seed=1):
    """Probabilities in steps of 0.1, so that many epochs are equally certain."""
    rng = np.random.default_rng(seed)
    probabilities = rng.multinomial(10, [0.35, 0.1, 0.35, 0.1, 0.1], n) / 10
    truth = np.where(rng.random(n) < 0.5, probabilities.argmax(axis=1), rng.integers(0, 5, n))
    return probabilities, truth


def test_calibrated_logits_have_temperature_one():
    assert fit_temperature(*calibrated_night()) == pytest.approx(1, abs=0.02)


def test_scaled_logits_scale_the_temperature():
    logits, truth = calibrated_night(2000)
    temperature = fit_temperature(logits, truth)
    assert fit_temperature(3 * logits, truth) == pytest.approx(3 * temperature, rel=1e-4)
    assert fit_temperature(logits / 7, truth) == pytest.approx(temperature / 7, rel=1e-4)


def test_no_other_temperature_has_less_cross_entropy():
    logits, truth = calibrated_night(2000)
    scored = np.isin(truth, range(5))

    def cross_entropy(temperature):
        return log_loss(truth[scored], softmax(2.5 * logits[scored] / temperature, axis=1), labels=range(5))

    best = fit_temperature(2.5 * logits, truth)
    others = np.geomspace(0.05, 50, 200)
    assert cross_entropy(best) <= min(map(cross_entropy, others))
    assert cross_entropy(best) < min(cross_entropy(best * 1.02), cross_entropy(best / 1.02))


def test_where_no_temperature_is_best_it_is_extreme():
    logits = np.eye(5) * 2
    assert 0.01 <= fit_temperature(logits, np.arange(5)) < 0.05
    assert 99 < fit_temperature(logits, np.roll(np.arange(5), 1)) <= 100


def test_reliability_by_brute_force():
    probabilities, truth = night_with_ties()
    rows = []
    for i in range(10):
        inside = [
            (max(p), np.argmax(p) == stage)
            for p, stage in zip(probabilities, truth, strict=True)
            if i / 10 < max(p) <= (i + 1) / 10 + 1e-12
        ]
        if inside:
            rows.append([*np.mean(inside, axis=0), len(inside)])
    table = reliability(probabilities, truth)
    assert list(table) == ["confidence", "accuracy", "n"]
    assert table.to_numpy() == pytest.approx(np.array(rows))
    assert table.n.sum() == len(truth)


def test_reliability_equals_scikit_learn():
    """Scikit-learn bins the probability of a yes; here yes is that the chosen stage is right."""
    logits, truth = calibrated_night(5000)
    probabilities, scored = softmax(logits, axis=1), np.isin(truth, range(5))
    right = (probabilities.argmax(axis=1) == truth)[scored]
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1)[scored], n_bins=10)
    table = reliability(probabilities, truth)
    assert table.accuracy.tolist() == pytest.approx(accuracy.tolist())
    assert table.confidence.tolist() == pytest.approx(confidence.tolist())


def test_calibration_error_is_the_weighted_gap():
    """Three epochs say 0.6 and one of them is right, one says 1 and is right: 3/4 of 0.6 - 1/3."""
    probabilities = np.array([[0.6, 0.4, 0, 0, 0]] * 3 + [[0, 0, 0, 0, 1]])
    table = reliability(probabilities, [0, 1, 1, 4])
    assert expected_calibration_error(table) == pytest.approx(0.75 * (0.6 - 1 / 3))


def test_a_fitted_temperature_calibrates():
    logits, truth = calibrated_night()
    sure, tempered = (softmax(3 * logits / t, axis=1) for t in (1, fit_temperature(3 * logits, truth)))
    assert expected_calibration_error(reliability(sure, truth)) > 0.2
    assert expected_calibration_error(reliability(tempered, truth)) < 0.02


def test_review_equals_relabelling_epoch_by_epoch():
    """No two epochs are equally certain, so the least certain can be relabelled and scikit-learn asked."""
    logits, truth = calibrated_night(1000)
    probabilities, scored = softmax(logits, axis=1), np.isin(truth, range(5))
    curve = review_curve(probabilities, truth, shares=[0, 0.1, 0.3, 0.5, 0.9])
    stages, experts = probabilities[scored].argmax(axis=1), truth[scored]
    ranked = np.argsort(probabilities[scored].max(axis=1))
    for row in curve.itertuples():
        reviewed, rest = np.split(ranked, [round(row.share_reviewed * len(ranked))])
        corrected = stages.copy()
        corrected[reviewed] = experts[reviewed]
        assert row.accuracy == pytest.approx(accuracy_score(experts, corrected))
        assert row.kappa == pytest.approx(cohen_kappa_score(experts, corrected))
        assert row.mf1 == pytest.approx(f1_score(experts, corrected, average="macro"))
        assert row.accuracy_of_rest == pytest.approx(accuracy_score(experts[rest], stages[rest]))


def test_review_of_nothing_gives_the_plain_scores_and_of_everything_one():
    probabilities, truth = night_with_ties()
    curve, plain = review_curve(probabilities, truth), stage_metrics(truth, probabilities.argmax(axis=1))
    names = ["accuracy", "kappa", "mf1"]
    assert curve[names].iloc[0].tolist() == plain[names].tolist()
    assert curve.accuracy_of_rest.iloc[0] == plain.accuracy
    assert curve[names].iloc[-1].tolist() == [1, 1, 1]
    assert np.isnan(curve.accuracy_of_rest.iloc[-1])
    assert curve.share_reviewed.tolist() == pytest.approx(np.arange(21) / 20)
    assert (np.diff(curve.accuracy) >= 0).all()


def test_ties_are_reviewed_as_if_picked_at_random():
    """The mean over random orders of equally certain epochs; for the accuracy, expected counts are exact."""
    probabilities, truth = night_with_ties()
    rng, shares, n = np.random.default_rng(0), [0.1, 0.25, 0.6], len(truth)
    stages, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    means = np.zeros((3, 3))
    for _ in range(400):
        ranked = np.lexsort((rng.random(n), confidence))
        for i, share in enumerate(shares):
            corrected = stages.copy()
            corrected[ranked[: round(share * n)]] = truth[ranked[: round(share * n)]]
            means[i] += stage_metrics(truth, corrected)[["accuracy", "kappa", "mf1"]].to_numpy() / 400
    curve = review_curve(probabilities, truth, shares)
    assert curve[["accuracy", "kappa", "mf1"]].to_numpy() == pytest.approx(means, abs=1e-3)


def test_the_order_of_epochs_does_not_matter():
    probabilities, truth = night_with_ties()
    order = np.random.default_rng(2).permutation(len(truth))
    curve, shuffled = review_curve(probabilities, truth), review_curve(probabilities[order], truth[order])
    assert curve.to_numpy() == pytest.approx(shuffled.to_numpy(), nan_ok=True)


def test_equally_certain_epochs_are_reviewed_evenly():
    """Nothing is known about any epoch: accuracy rises from a fifth to one in proportion."""
    curve = review_curve(np.full((10, 5), 0.2), [0, 1, 2, 3, 4] * 2, shares=[0, 0.25, 0.5, 1])
    assert curve.accuracy.tolist() == pytest.approx([0.2, 0.4, 0.6, 1])
    assert curve.accuracy_of_rest.tolist()[:3] == pytest.approx([0.2, 0.2, 0.2])


def test_shares_that_are_no_exact_binary_number_review_whole_epochs():
    """0.29 of 100 epochs are 29, the doubtful ones; the only N3 is among them, and N3 occurs nowhere else."""
    probabilities = np.tile([0.9, 0.1, 0, 0, 0], (100, 1))
    probabilities[:29] = [0.4, 0.0, 0.0, 0.6, 0.0]
    curve = review_curve(probabilities, np.zeros(100, int), shares=[0.28, 0.29])
    assert curve.mf1.tolist() == pytest.approx([(2 * 99 / 199 + 3) / 5, 1])


def test_unscored_epochs_are_left_out_of_everything():
    logits, truth = calibrated_night(500)
    scored = np.isin(truth, range(5))
    for function in (reliability, review_curve):
        values = softmax(logits, axis=1)
        assert function(values, truth).equals(function(values[scored], truth[scored]))
    assert fit_temperature(logits, truth) == fit_temperature(logits[scored], truth[scored])


SURE = np.eye(5)


@pytest.mark.parametrize("function", [fit_temperature, reliability, review_curve])
@pytest.mark.parametrize(
    ("values", "truth", "message"),
    [
        (SURE, [9, 9, -1, -1, 9], "no scored epoch"),
        (SURE, [0, 1], r"shape \(5, 5\), truth \(2,\)"),
        (SURE[:, :4], [0] * 5, r"shape \(5, 4\)"),
        (SURE, [0, 1, 2, 3, 7], r"unknown stage codes \[7\]"),
        (SURE * np.nan, [0] * 5, "hold NaN or infinity"),
    ],
)
def test_what_cannot_be_judged_is_refused(function, values, truth, message):
    with pytest.raises(ValueError, match=message):
        function(values, truth)


@pytest.mark.parametrize("function", [reliability, review_curve])
def test_logits_are_no_probabilities(function):
    with pytest.raises(ValueError, match="after softmax, not logits"):
        function(3 * SURE, np.arange(5))


def test_shares_must_make_sense():
    with pytest.raises(ValueError, match=r"shares are \[5.0\].*10 % is 0.1"):
        review_curve(SURE, np.arange(5), shares=[5])


def test_the_reliability_figure_draws_each_table_and_its_error():
    probabilities, truth = night_with_ties()
    table = reliability(probabilities, truth)
    ax = plot_reliability({"one": table, "two": table.head(2)}, plt.figure().subplots())
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[0] == f"one: {expected_calibration_error(table):.3f}"
    points = [collection.get_offsets().data.tolist() for collection in ax.collections]
    assert points == [t[["confidence", "accuracy"]].to_numpy().tolist() for t in (table, table.head(2))]
    areas = ax.collections[0].get_sizes()
    assert areas / areas.max() == pytest.approx(table.n.to_numpy() / table.n.max())


def test_the_review_figure_draws_each_score():
    curve = review_curve(*night_with_ties())
    ax = plot_review(curve, plt.figure().subplots())
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert drawn["accuracy"].tolist() == curve.accuracy.tolist()
    assert drawn["MF1"].tolist() == curve.mf1.tolist()
    assert drawn["Cohen's kappa"].tolist() == curve.kappa.tolist()
    assert list(drawn["accuracy, random review"]) == [curve.accuracy[0], 1]

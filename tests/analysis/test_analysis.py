"""Scores equal an independent computation; the consensus follows its rules."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, precision_score, recall_score

from anysleep.analysis import confusion_matrix, consensus_hypnogram, stage_metrics
from anysleep.analysis.statistics import sleep_statistics, uncertainty
from anysleep.evaluation.metrics import metrics_of_confusion
from anysleep.recordings.labels.consensus import soft_agreement


def random_pair(seed=0, n=2000):
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 2, 3, 4, 9, -1], n)
    prediction = np.where(rng.random(n) < 0.6, np.clip(truth, 0, 4), rng.integers(0, 5, n))
    return truth, prediction


def test_scores_equal_scikit_learn():
    truth, prediction = random_pair()
    scores = stage_metrics(truth, prediction)
    scored = (truth >= 0) & (truth < 9)
    pair = (truth[scored], prediction[scored])
    names = ["wake", "n1", "n2", "n3", "rem"]
    for score, function in {"precision": precision_score, "recall": recall_score, "f1": f1_score}.items():
        assert scores[[f"{score}_{name}" for name in names]].tolist() == pytest.approx(function(*pair, average=None))
    assert scores.mf1 == pytest.approx(f1_score(*pair, average="macro"))
    assert scores.kappa == pytest.approx(cohen_kappa_score(*pair))
    assert scores.accuracy == pytest.approx(accuracy_score(*pair))
    assert scores.n_epochs == scored.sum()


def test_a_stage_that_never_occurs_counts_as_f1_of_one():
    scores = stage_metrics([0, 0, 2, 2], [0, 0, 2, 0])
    assert (scores.f1_n1, scores.f1_n3, scores.f1_rem) == (1, 1, 1)
    assert np.isnan(scores.precision_n1)
    assert scores.f1_wake == pytest.approx(0.8)


def test_counts_add_up_over_recordings():
    pairs = [random_pair(seed) for seed in range(3)]
    summed = sum(confusion_matrix(*pair) for pair in pairs)
    together = stage_metrics(*(np.concatenate(side) for side in zip(*pairs, strict=True)))
    assert metrics_of_confusion(summed).equals(together)


def test_a_night_without_scored_epochs_has_no_scores():
    assert metrics_of_confusion(np.zeros((5, 5), int)).drop("n_epochs").isna().all()


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        ([0, 1], [0], "truth has 2 epochs, prediction 1"),
        ([0, 5], [0, 1], "truth holds unknown stage codes \\[5\\]"),
        ([9, -1], [0, 1], "no epoch is scored"),
        ([[0]], [[0]], "expected one stage an epoch"),
    ],
)
def test_what_cannot_be_scored_is_refused(truth, prediction, message):
    with pytest.raises(ValueError, match=message):
        stage_metrics(truth, prediction)


def test_soft_agreement_by_hand():
    scorers = np.array([[0, 2], [0, 2], [1, 2]])
    # First: others vote {0: 1, 1: 1} and {2: 2}, so 1 and 1. Third: others vote {0: 2}, so 0 and 1.
    assert soft_agreement(scorers).tolist() == [1.0, 1.0, 0.5]


def test_consensus_by_slow_rules():
    """The same consensus, epoch by epoch in plain Python: four best scorers, majority, ties to the best of the tied."""
    scorers = np.random.default_rng(5).choice([0, 1, 2, 3, 4, -1], size=(5, 300), p=[0.3, 0.1, 0.3, 0.1, 0.1, 0.1])
    ranking = sorted(range(5), key=lambda s: -soft_agreement(scorers)[s])[:4]
    expected = []
    for epoch in scorers.T:
        votes = [epoch[s] for s in ranking]
        most = max(votes.count(v) for v in votes)
        winner = next(v for v in votes if votes.count(v) == most)
        expected.append(9 if winner == -1 else winner)
    assert consensus_hypnogram(scorers).tolist() == expected


def test_real_scorers_agree_with_their_consensus(shared):
    """80 nights of the Dreem Open Datasets, five scorers each: published mean agreement of pairs is near kappa 0.7."""
    with np.load(shared / "real" / "dod" / "scorers.npz") as nights:
        kappas = [[stage_metrics(consensus_hypnogram(night), s).kappa for s in night] for night in nights.values()]
        lengths = [(consensus_hypnogram(night).shape, night.shape[1:]) for night in nights.values()]
    kappas = np.array(kappas)
    print(f"\n{len(kappas)} nights: median kappa with the consensus {np.median(kappas):.3f}, mean {kappas.mean():.3f}")
    assert kappas.shape == (80, 5)
    assert 0.75 < kappas.mean() < 0.90
    assert all(ours == theirs for ours, theirs in lengths)


def test_sleep_statistics_of_a_known_night():
    statistics = sleep_statistics(np.repeat([0, 1, 2, 0, 3, 4], [20, 10, 40, 10, 20, 20]))
    assert statistics.TIB == 60
    assert statistics.SOL == 10
    assert statistics.TST == 45
    assert statistics.WASO == 5
    assert statistics["%N3"] == pytest.approx(100 * 20 / 90)


def test_uncertainty_of_known_probabilities():
    sure, even = np.eye(5)[[0, 1]], np.full((2, 5), 0.2)
    assert uncertainty(sure).tolist() == pytest.approx([1, 0], abs=1e-9)
    assert uncertainty(even).tolist() == pytest.approx([0.2, np.log2(5)])

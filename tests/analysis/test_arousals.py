"""Arousals: detection against the parity numbers and a plain simulation, matching against all possible matchings."""

import time
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from anysleep.analysis.arousals.events import (
    detect_arousals,
    iou_matrix,
    match_arousals,
    score_arousals,
)
from anysleep.stages import N2, PUBLISHED_RESOLUTIONS, REM, UNSCORED, WAKE

TENTHS = np.arange(0, 1.05, 0.1)
CASES = range(6)


def night(*stretches):
    """Stages from (stage, number of predictions), one after the other."""
    return np.concatenate([np.full(n, stage, dtype=np.int8) for stage, n in stretches])


def seconds(*stretches):
    """Arousals of a night at one prediction a second, from (stage, seconds)."""
    return detect_arousals(night(*stretches), 30).tolist()


@pytest.mark.parametrize("case", CASES)
def test_arousals_equal_the_parity_numbers(case, extract):
    parity = {key.rpartition("/")[2]: value for key, value in extract.items() if f"high_frequency/{case}/" in key}
    found = detect_arousals(parity["hypnogram"], int(parity["frequency"]))
    assert found.dtype == np.float64 and found.shape == parity["arousals"].shape
    assert (found == parity["arousals"]).all()


@pytest.mark.parametrize("case", CASES)
def test_many_to_one_counts_equal_the_parity_numbers(case, extract):
    parity = {key.rpartition("/")[2]: value for key, value in extract.items() if f"high_frequency/{case}/" in key}
    thresholds = extract["high_frequency/iou_thresholds"]
    counts = score_arousals(parity["expert_arousals"], parity["arousals"], thresholds, "many_to_one")
    for found, name in zip(counts, ("true_positives", "false_positives", "false_negatives"), strict=True):
        assert found.dtype == np.int64 and found.tolist() == parity[name].tolist()


@pytest.mark.parametrize(
    ("n_wake", "events"),
    [(2, []), (3, [[20, 23]]), (15, [[20, 35]]), (16, [])],
)
def test_an_arousal_lasts_3_to_15_s(n_wake, events):
    assert seconds((N2, 20), (WAKE, n_wake), (N2, 20)) == events


def test_ten_seconds_of_sleep_come_before_an_arousal_and_its_length_is_judged_later():
    assert seconds((N2, 9), (WAKE, 5), (N2, 9)) == []
    assert seconds((N2, 10), (WAKE, 5), (N2, 9)) == [[10, 15]]
    # The short run at 20 is no arousal itself, but takes away the sleep before the next one; so does a long one.
    assert seconds((N2, 20), (WAKE, 1), (N2, 9), (WAKE, 5), (N2, 9)) == []
    assert seconds((N2, 20), (WAKE, 60), (N2, 9), (WAKE, 5), (N2, 10), (WAKE, 4), (N2, 1)) == [[104, 108]]


def test_neighbours_merge_while_short_and_the_gap_small():
    assert seconds((N2, 20), (WAKE, 5), (N2, 1), (WAKE, 4), (N2, 20)) == [[20, 30]]  # a gap of exactly 10 %
    assert seconds((N2, 20), (WAKE, 4), (N2, 1), (WAKE, 4), (N2, 20)) == [[20, 24]]  # of 11 %; the second too early
    assert seconds((N2, 20), (WAKE, 9), (N2, 1), (WAKE, 5), (N2, 20)) == [[20, 35]]  # exactly 15 s
    assert seconds((N2, 20), (WAKE, 9), (N2, 1), (WAKE, 6), (N2, 20)) == [[20, 29]]  # 16 s stay apart
    # 5 + 1 + 4 merge first; of these 10 s and the next 4 s, the gap of 1 s is a fifteenth.
    assert seconds((N2, 20), (WAKE, 5), (N2, 1), (WAKE, 4), (REM, 1), (WAKE, 4), (N2, 9)) == [[20, 35]]
    # From left to right: 1 + 1 + 4 do not merge, though 4 + 1 + 5 after them do.
    assert seconds((N2, 20), (WAKE, 1), (N2, 1), (WAKE, 4), (N2, 1), (WAKE, 5), (N2, 9)) == []


def test_ends_of_the_recording():
    assert seconds((WAKE, 5), (N2, 20)) == []
    assert seconds((N2, 20), (WAKE, 5)) == [[20, 25]]
    assert seconds((WAKE, 5)) == []
    for none in ([], [N2] * 30, [WAKE] * 30, [UNSCORED] * 30):
        assert detect_arousals(none, 30).shape == (0, 2)


def test_after_a_pause_all_begins_anew_and_what_runs_into_it_does_not_count():
    assert seconds((N2, 20), (WAKE, 5), (UNSCORED, 4), (N2, 10), (WAKE, 5), (N2, 1)) == [[39, 44]]
    assert seconds((N2, 20), (UNSCORED, 4), (N2, 9), (WAKE, 5), (N2, 20)) == []
    assert seconds((N2, 20), (WAKE, 5), (UNSCORED, 1), (WAKE, 5), (N2, 20)) == []
    # Nothing merges across a pause of 1 s, which a gap of 1 s would allow.
    assert seconds((N2, 20), (WAKE, 5), (N2, 1), (UNSCORED, 1), (WAKE, 9), (N2, 1)) == [[20, 25]]
    alone = night((N2, 12), (WAKE, 4), (N2, 1), (WAKE, 9), (N2, 8))
    paused = np.concatenate([night((REM, 7), (UNSCORED, 3)), alone])
    assert (detect_arousals(paused, 30) - 10 == detect_arousals(alone, 30)).all()


def simulated(stages, r):
    """The rule of arousals once more, prediction by prediction. Pauses are left to other tests.

    Time is counted in units of which a second has r and a prediction 30, so that all is whole.
    """
    spans, last = [], None
    for i, stage in enumerate(stages):
        if stage == WAKE and last == WAKE:
            spans[-1][1] = 30 * (i + 1)
        elif stage == WAKE:
            spans.append([30 * i, 30 * (i + 1)])
        last = stage
    i = 0
    while i + 1 < len(spans):
        (start, end), (next_start, next_end) = spans[i : i + 2]
        if next_end - start <= 15 * r and 10 * (next_start - end) <= next_end - start:
            spans[i : i + 2] = [[start, next_end]]
        else:
            i += 1
    before = [0] + [end for _, end in spans]
    rested = [span for span, end in zip(spans, before, strict=False) if span[0] - end >= 10 * r]
    return [[start / r, end / r] for start, end in rested if 3 * r <= end - start <= 15 * r]


@settings(max_examples=300, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 12)), max_size=20),
    r=st.sampled_from([1, 2, 7, 16, 30, 32]),
)
def test_detection_equals_a_plain_simulation(runs, r):
    stages = night((N2, 1), *(pair for n_sleep, n_wake in runs for pair in ((N2, n_sleep), (WAKE, n_wake))))
    expected = np.reshape(simulated(stages, r), (-1, 2))
    found = detect_arousals(stages, r)
    assert found.shape == expected.shape and found == pytest.approx(expected)


@pytest.mark.parametrize("r", [10, 30, 100, 3840])
def test_lengths_are_compared_in_whole_predictions(r):
    """10 s before, 3 s long, at every place of a night: rounded seconds would lose some of them."""
    sleep, wake = -(-10 * r // 30), -(-3 * r // 30)
    stages = night(*[(N2, sleep), (WAKE, wake)] * 300)
    assert len(detect_arousals(stages, r)) == 300


def test_the_resolution_does_not_matter_where_stages_are_the_same():
    coarse = np.random.default_rng(4).choice([WAKE, N2], size=800, p=[0.3, 0.7])
    expected = detect_arousals(coarse, 8)
    assert len(expected) > 20
    for times in (2, 48, 480):
        assert (detect_arousals(np.repeat(coarse, times), 8 * times) == expected).all()


@pytest.mark.parametrize(
    ("hypnogram", "r", "message"),
    [
        (np.zeros((2, 3)), 8, r"shape \(2, 3\).*one night"),
        ([0, 2], 0, "predictions_per_epoch is 0"),
        ([0, 2], 1.5, "predictions_per_epoch is 1.5"),
    ],
)
def test_wrong_predictions_are_explained(hypnogram, r, message):
    with pytest.raises(ValueError, match=message):
        detect_arousals(hypnogram, r)


def test_iou_of_known_pairs():
    iou = iou_matrix([[0, 10], [20, 24]], [[0, 10], [5, 15], [10, 12], [21, 22], [23, 23]])
    assert iou == pytest.approx(np.array([[1, 1 / 3, 0, 0, 0], [0, 0, 0, 0.25, 0]]))


def test_iou_equals_the_share_of_samples():
    rng = np.random.default_rng(0)
    expert, events = (np.sort(rng.integers(0, 60, (6, 2)), axis=1) + np.array([0, 1]) for _ in range(2))
    for a, b in product(range(6), range(6)):
        first, second = set(range(*expert[a])), set(range(*events[b]))
        assert iou_matrix(expert, events)[a, b] == pytest.approx(len(first & second) / len(first | second))


def random_events(rng, n, latest=40):
    onset = rng.uniform(0, latest, n)
    return np.column_stack([onset, onset + rng.uniform(1, 15, n)])


def best_by_trying_all(iou, above):
    """Most pairs, then the largest sum of IoUs, over all matchings of a small matrix."""
    n, m = iou.shape
    best = (0, 0.0)
    for k in range(1, min(n, m) + 1):
        for rows, columns in product(combinations(range(n), k), permutations(range(m), k)):
            chosen = iou[list(rows), list(columns)]
            if (chosen > above).all():
                best = max(best, (k, chosen.sum()))
    return best


@pytest.mark.parametrize("seed", range(25))
def test_one_to_one_is_the_best_of_all_matchings(seed):
    rng = np.random.default_rng(seed)
    expert, events = random_events(rng, rng.integers(1, 5)), random_events(rng, rng.integers(1, 6))
    iou = iou_matrix(expert, events)
    for above in (0, 0.1, 0.3):
        pairs = match_arousals(expert, events, above)
        n_best, sum_best = best_by_trying_all(iou, above)
        assert (len(pairs), iou[tuple(pairs.T)].sum()) == (n_best, pytest.approx(sum_best))


def test_one_to_one_of_a_crowd_equals_a_linear_programme():
    rng = np.random.default_rng(8)
    expert, events = random_events(rng, 25, 100), random_events(rng, 30, 100)
    iou = iou_matrix(expert, events)
    rows, columns = np.nonzero(iou > 0.2)
    incidence = np.vstack([rows == i for i in range(25)] + [columns == j for j in range(30)])
    limits = {"A_ub": incidence.astype(float), "b_ub": np.ones(55), "bounds": (0, 1)}
    most = -linprog(-np.ones(len(rows)), **limits).fun
    best = -linprog(-(100 + iou[rows, columns]), **limits).fun - 100 * most
    pairs = match_arousals(expert, events, 0.2)
    assert len(pairs) == pytest.approx(most) and iou[tuple(pairs.T)].sum() == pytest.approx(best)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)


def test_more_pairs_come_before_better_ones():
    # 0-0 is the best pair, but takes the only partners of the other two.
    expert, events = [[0, 10], [10, 13]], [[1, 11], [-3, 2]]
    assert iou_matrix(expert, events)[0, 0] > 0.8
    assert match_arousals(expert, events, 0).tolist() == [[0, 1], [1, 0]]


def test_two_predictions_on_one_expert_event():
    expert, events = [[0, 10]], [[0, 5], [5, 10]]
    assert [counts.tolist() for counts in score_arousals(expert, events, [0.2])] == [[1], [1], [0]]
    assert [counts.tolist() for counts in score_arousals(expert, events, [0.2], "many_to_one")] == [[2], [0], [0]]


def test_one_prediction_over_two_expert_events_finds_the_better_only():
    expert, events = [[0, 4], [4, 10]], [[0, 10]]
    for matching in ("one_to_one", "many_to_one"):
        assert [counts.tolist() for counts in score_arousals(expert, events, [0.2, 0.5], matching)] == [
            [1, 1],
            [0, 0],
            [1, 1],
        ]
    # The first event prefers the second expert event, so many-to-one nobody is left for the first one.
    expert, events = [[0, 5], [5, 15]], [[3, 14], [6, 15]]
    assert [counts.tolist() for counts in score_arousals(expert, events, [0], "many_to_one")] == [[2], [0], [1]]
    assert [counts.tolist() for counts in score_arousals(expert, events, [0])] == [[2], [0], [0]]


def test_an_expert_event_that_was_marked_twice_is_found_once_and_missed_once():
    counts = score_arousals([[0, 10], [0, 10]], [[1, 10]], [0.2], "many_to_one")
    assert [c.tolist() for c in counts] == [[1], [0], [1]]


def test_an_iou_of_three_tenths_does_not_exceed_three_tenths():
    """Whether the threshold is 0.3 or, from arange, 0.30000000000000004, and wherever the events lie."""
    for start in (0, 0.1, 1234.7, 28000.3):
        for tenths in range(1, 11):
            expert, events = [[start, start + 1]], [[start, start + tenths / 10]]
            for matching in ("one_to_one", "many_to_one"):
                for thresholds in (TENTHS, np.arange(11) / 10):
                    found = score_arousals(expert, events, thresholds, matching)[0]
                    assert found.tolist() == [1] * tenths + [0] * (11 - tenths)


def test_events_that_only_touch_do_not_match():
    assert 0.1 + 0.2 > 0.3  # by rounding
    assert score_arousals([[0.3, 5]], [[0, 0.1 + 0.2]], [0])[0].tolist() == [0]


@pytest.mark.parametrize("matching", ["one_to_one", "many_to_one"])
def test_without_events(matching):
    some = [[0, 5], [20, 24], [40, 45]]
    none = np.empty((0, 2))
    assert [c.tolist() for c in score_arousals(some, none, [0, 0.5], matching)] == [[0, 0], [0, 0], [3, 3]]
    assert [c.tolist() for c in score_arousals([], some, [0, 0.5], matching)] == [[0, 0], [3, 3], [0, 0]]
    assert [c.tolist() for c in score_arousals(none, [], [0, 0.5], matching)] == [[0, 0]] * 3
    assert match_arousals(none, some, 0.2).shape == match_arousals(some, none, 0.2).shape == (0, 2)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 12), m=st.integers(0, 12))
def test_counts_add_up_whatever_the_order(seed, n, m):
    rng = np.random.default_rng(seed)
    expert, events = random_events(rng, n), random_events(rng, m)
    one, many = (score_arousals(expert, events, TENTHS, matching) for matching in ("one_to_one", "many_to_one"))
    for tp, fp, fn in (one, many):
        assert (tp + fp == m).all() and (np.diff(tp) <= 0).all() and (np.diff(fn) >= 0).all() and tp[-1] == 0
    assert (one[0] + one[2] == n).all() and (one[0] <= min(n, m)).all()
    assert (one[0] <= many[0]).all() and (many[0] + many[2] >= n).all()
    shuffled = score_arousals(rng.permutation(expert), rng.permutation(events), TENTHS)
    assert all((a == b).all() for a, b in zip(one, shuffled, strict=True))
    turned = score_arousals(events, expert, TENTHS)
    assert (turned[0] == one[0]).all() and (turned[1] == one[2]).all()


@pytest.mark.parametrize(
    ("expert", "events", "thresholds", "matching", "message"),
    [
        ([[5, 4]], [], [0.2], "one_to_one", r"expert event \[5.0, 4.0\].*not before"),
        ([], [[0, np.nan]], [0.2], "one_to_one", "predicted event .*nan"),
        ([[0, np.inf]], [], [0.2], "one_to_one", "expert event .*inf"),
        ([0, 5], [], [0.2], "one_to_one", r"expert events have shape \(2,\)"),
        ([[0, 5]], [[0, 5]], [20], "one_to_one", r"thresholds are \[20.0\]; expected numbers from 0 to 1"),
        ([[0, 5]], [[0, 5]], [np.nan], "one_to_one", "thresholds are"),
        ([[0, 5]], [[0, 5]], [0.2], "greedy", "matching is 'greedy'; choose 'one_to_one' or 'many_to_one'"),
    ],
)
def test_wrong_events_are_explained(expert, events, thresholds, matching, message):
    with pytest.raises(ValueError, match=message):
        score_arousals(expert, events, thresholds, matching)


def test_a_night_at_the_finest_resolution_takes_a_moment():
    rng = np.random.default_rng(1)
    finest = PUBLISHED_RESOLUTIONS[-1]
    stages = np.repeat(rng.choice([WAKE, N2], size=960 * 60, p=[0.2, 0.8]), finest // 60).astype(np.int8)
    expert = random_events(rng, 400, 28800)
    began = time.process_time()
    score_arousals(expert, detect_arousals(stages, finest), TENTHS)
    assert time.process_time() - began < 2

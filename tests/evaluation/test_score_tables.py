"""Counts become tables: every level from the same counts, every score and difference as from a plain loop."""

import numpy as np
import pandas as pd
import pytest
from helpers import toy_evaluation
from helpers.toy_evaluation import network, scored_by_sklearn, stage_night
from scipy.stats import ttest_ind
from sklearn.metrics import cohen_kappa_score

from anysleep.evaluation import score_tables
from anysleep.evaluation.evaluate import evaluate
from anysleep.evaluation.metrics import metrics_of_confusion
from anysleep.figures import plot_channel_draws, plot_pair_matrix
from anysleep.staging.montages import plan_montages

archive, nights = toy_evaluation.archive, toy_evaluation.nights


@pytest.fixture(scope="module")
def drawn(archive, nights):
    """Counts of two checkpoints on the same draws."""
    plan = plan_montages(nights, "drawn", n_eeg=[0, 1, 3], n_eog=[0, 1], n_draws=12, seed=2)
    counts = [evaluate([network(seed=s)], archive, plan).counts.assign(checkpoint=f"seed{s}") for s in range(2)]
    return pd.concat(counts, ignore_index=True)


def test_every_level_sums_to_the_same_counts(drawn):
    table = score_tables.score_table(drawn)
    sums = table.groupby(["checkpoint", "level"]).n_epochs.sum().unstack()
    assert list(sums) == ["all", "dataset", "montage", "recording"] and (sums.nunique(axis=1) == 1).all()
    night = drawn[(drawn.checkpoint == "seed0") & (drawn.recording == "a2")]
    by_hand = sum(
        times * np.array(cells).reshape(5, 5)
        for times, cells in zip(night.n_draws, night[score_tables.COUNTS].to_numpy(), strict=True)
    )
    row = table[(table.level == "recording") & (table.checkpoint == "seed0") & (table.recording == "a2")].iloc[0]
    assert row.n_epochs == by_hand.sum() and row.subject == "a"
    assert (row.mf1, row.kappa) == tuple(metrics_of_confusion(by_hand)[["mf1", "kappa"]])


def test_a_persons_scores_equal_scikit_learn_on_all_epochs(archive, nights):
    model = network()
    counts = evaluate([model], archive, plan_montages(nights, "all")).counts.assign(checkpoint="x")
    keys = [("few", "a1"), ("toy", "a1"), ("toy", "a2"), ("toy", "b1")]
    truth = np.concatenate([archive.hypnogram(*key) for key in keys])
    stages = np.concatenate([next(iter(stage_night(model, archive, *key).values())).hypnogram(1) for key in keys])
    table = score_tables.score_table(counts)
    assert table.level.tolist() == ["all", "dataset", "dataset"] + ["recording"] * 4 + ["montage"] * 2
    assert table.mf1[0] == pytest.approx(scored_by_sklearn(truth, stages))
    assert table.kappa[0] == pytest.approx(cohen_kappa_score(truth[truth != 9], stages[truth != 9]))
    cells = score_tables.confusion_table(counts)
    assert cells.n_epochs.sum() == table.n_epochs[0] == (truth != 9).sum()
    hits = cells[(cells.truth == "N2") & (cells.prediction == "N2")].n_epochs.item()
    assert hits == ((truth == 2) & (stages == 2)).sum()


def test_nights_of_one_stage_and_nights_without_any_are_scored_or_refused(drawn):
    night = drawn[drawn.checkpoint == "seed0"].assign(**dict.fromkeys(score_tables.COUNTS, 0))
    with pytest.raises(ValueError, match=r"scored no epoch of .* nights"):
        score_tables.score_table(night)
    table = score_tables.score_table(night.assign(n2_as_n2=960))  # nothing but N2, all found
    assert (table.mf1 == 1).all() and (table.accuracy == 1).all() and table.kappa.isna().all()
    assert {"kappa", "f1_rem"} <= set(table) and (table.f1_rem == 1).all()


def test_persons_of_two_data_sets_are_two(drawn, archive, nights):
    counts = evaluate([network()], archive, plan_montages(nights, "all")).counts.assign(checkpoint="x")
    assert set(score_tables.persons_of(counts, "subject")) == {"toy/a", "toy/b", "few/a"}
    intervals = score_tables.interval_table(counts, "subject", n_bootstrap=200, seed=0)
    n_persons = intervals.drop_duplicates("dataset").set_index("dataset").n_persons
    assert n_persons.to_list() == [3, 1, 2] and n_persons["toy"] == 2
    overall = intervals[(intervals.level == "all") & (intervals.score == "mf1")].iloc[0]
    assert overall.low <= overall.estimate <= overall.high
    assert overall.estimate == score_tables.score_table(counts).mf1[0]


def test_the_curve_is_the_mean_over_recordings_of_the_mean_over_their_draws(drawn):
    curve = score_tables.channel_curve(drawn, "subject", n_bootstrap=50, seed=0)
    assert len(curve) == 2 * 5 and (curve.n_draws == 12).all()
    point = curve[(curve.checkpoint == "seed1") & (curve.n_eeg == 3) & (curve.n_eog == 1)].iloc[0]
    draws = {}
    for row in drawn[(drawn.checkpoint == "seed1") & (drawn.n_eeg == 3) & (drawn.n_eog == 1)].to_dict("records"):
        confusion = np.array([row[name] for name in score_tables.COUNTS]).reshape(5, 5)
        draws.setdefault(row["recording"], []).extend([metrics_of_confusion(confusion).mf1] * row["n_draws"])
    assert sum(map(len, draws.values())) == 12 and point.n_recordings == len(draws) == 3
    assert point.mf1 == pytest.approx(np.mean([np.mean(one) for one in draws.values()]))
    assert point.low <= point.mf1 <= point.high


def test_checkpoints_are_compared_on_what_both_have(drawn):
    fewer = drawn[(drawn.checkpoint == "seed0") | (drawn.n_eog == 1)]
    settings = {"group_by": "subject", "n_bootstrap": 100, "seed": 0}
    table = score_tables.compare_checkpoints(fewer, "drawn", **settings)
    assert table[["n_eeg", "n_eog"]].iloc[1:].to_numpy().tolist() == [[0, 1], [1, 1], [3, 1]]
    scores = score_tables.score_table(drawn[drawn.n_eog == 1])
    mf1 = scores[scores.level == "all"].set_index("checkpoint").mf1
    assert table.difference[0] == pytest.approx(mf1["seed1"] - mf1["seed0"])
    assert table[["first", "second"]].drop_duplicates().to_numpy().tolist() == [["seed0", "seed1"]]
    assert score_tables.compare_checkpoints(drawn[drawn.checkpoint == "seed0"], "all", **settings).empty
    with pytest.raises(ValueError, match="seed0 and seed1 have no night and montage in common"):
        apart = drawn[(drawn.checkpoint == "seed0") == (drawn.n_eog == 0)]
        score_tables.compare_checkpoints(apart, "all", **settings)


def test_welchs_test_takes_every_draw_for_itself(drawn):
    """Here from the list of all draws, one after the other."""
    settings = {"group_by": "subject", "n_bootstrap": 10, "seed": 0}
    table = score_tables.compare_checkpoints(drawn, "drawn", **settings)
    draws = {"seed0": [], "seed1": []}
    for row in drawn[(drawn.n_eeg == 3) & (drawn.n_eog == 1)].to_dict("records"):
        confusion = np.array([row[name] for name in score_tables.COUNTS]).reshape(5, 5)
        draws[row["checkpoint"]] += [metrics_of_confusion(confusion).mf1] * row["n_draws"]
    expected = ttest_ind(draws["seed1"], draws["seed0"], equal_var=False, alternative="greater")
    row = table[(table.n_eeg == 3) & (table.n_eog == 1)].iloc[0]
    assert len(draws["seed0"]) == 12
    assert (row.welch_t, row.welch_p) == pytest.approx((expected.statistic, expected.pvalue))
    assert "welch_p" not in score_tables.compare_checkpoints(drawn, "all", **settings)


def test_training_runs_of_two_networks_are_compared_together_and_usleep_comes_first(drawn):
    """Run by run on the same draws: the difference is that of all counts of both runs summed."""
    names = {
        ("seed0", "anysleep"): "anysleep-run1",
        ("seed1", "anysleep"): "anysleep-run2",
        ("seed0", "usleep"): "usleep-run1",
        ("seed1", "usleep"): "usleep-run2",
    }
    parts = [
        drawn[drawn.checkpoint == seed].assign(checkpoint=name, network=network)
        for (seed, network), name in names.items()
    ]
    parts[2] = parts[2].assign(n2_as_n2=parts[2].n2_as_n2 + 3)
    settings = {"group_by": "subject", "n_bootstrap": 50, "seed": 0}
    table = score_tables.compare_checkpoints(pd.concat(parts), "drawn", **settings)
    assert table[["first", "second"]].drop_duplicates().to_numpy().tolist() == [["usleep", "anysleep"]]
    mf1 = [
        metrics_of_confusion(score_tables.confusions_of(pd.concat(two)).sum(axis=0)).mf1
        for two in (parts[2:], parts[:2])
    ]
    assert table.difference[0] == pytest.approx(mf1[1] - mf1[0]) and table.n_recordings[0] == 3
    unequal = score_tables.compare_checkpoints(pd.concat(parts[:3]), "drawn", **settings)
    pairs = unequal[["first", "second"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [
        ["usleep-run1", "anysleep-run1"],
        ["usleep-run1", "anysleep-run2"],
        ["anysleep-run1", "anysleep-run2"],
    ]


def test_whether_usleep_is_beaten_is_tested_whatever_the_order_of_the_checkpoints(drawn):
    """One run each: the one-sided p is small where AnySleep is the better one, also where it is given first."""
    better = drawn[drawn.checkpoint == "seed0"].assign(checkpoint="a", network="anysleep")
    better = better.assign(
        **{name: better[name] + 500 for name in score_tables.COUNTS if len(set(name.split("_as_"))) == 1}
    )
    usleep = drawn[drawn.checkpoint == "seed0"].assign(checkpoint="u", network="usleep")
    settings = {"group_by": "subject", "n_bootstrap": 10, "seed": 0}
    first, last = (
        score_tables.compare_checkpoints(pd.concat(two), "drawn", **settings)
        for two in ([better, usleep], [usleep, better])
    )
    pd.testing.assert_frame_equal(first, last)
    assert (first[["first", "second"]] == ["u", "a"]).all(axis=None)
    assert (first.difference > 0).all() and (first.welch_p < 0.01).all()


def test_what_an_eog_channel_adds_is_the_difference_of_the_curves_all_draws_tested_one_sided(drawn):
    settings = {"group_by": "subject", "n_bootstrap": 100, "seed": 0}
    runs = drawn.assign(checkpoint="toy-run" + drawn.checkpoint.str[-1])
    table = score_tables.compare_eog(runs, **settings).set_index("n_eeg")
    assert (table.training == "toy").all()
    assert list(table.index) == [1, 3] and (table.n_eog == 1).all() and (table.n_recordings == 3).all()
    curve = score_tables.channel_curve(drawn, **settings).groupby(["n_eeg", "n_eog"]).mf1.mean()
    assert table.difference[3] == pytest.approx(curve[3, 1] - curve[3, 0])
    scores = {}
    for row in drawn[drawn.n_eeg == 3].to_dict("records"):
        confusion = np.array([row[name] for name in score_tables.COUNTS]).reshape(5, 5)
        scores.setdefault(row["n_eog"], []).extend([metrics_of_confusion(confusion).mf1] * row["n_draws"])
    expected = ttest_ind(scores[1], scores[0], equal_var=False, alternative="greater")
    assert len(scores[0]) == 24 and table.welch_p[3] == pytest.approx(expected.pvalue)
    assert score_tables.compare_eog(drawn[drawn.n_eog == 1], **settings).empty


def test_a_network_and_what_was_tuned_from_it_are_no_runs_of_one_training(drawn):
    """Of one architecture, but called otherwise: each is compared by itself, and each has its own gain by EOG."""
    names = {"released": "anysleep", "tuned": "anysleep", "usleep-run1": "usleep", "usleep-run2": "usleep"}
    one = drawn[drawn.checkpoint == "seed0"]
    counts = pd.concat([one.assign(checkpoint=name, network=network) for name, network in names.items()])
    counts.loc[(counts.checkpoint == "tuned") & (counts.n_eog == 0), "n2_as_n2"] += 500
    settings = {"group_by": "subject", "n_bootstrap": 10, "seed": 0}
    table = score_tables.compare_checkpoints(counts, "drawn", **settings)
    assert {*table["first"], *table.second} == set(names)
    gain = score_tables.compare_eog(counts, **settings).groupby("training").difference.mean()
    assert list(gain.index) == ["released", "tuned", "usleep"] and gain.tuned < gain.released == gain.usleep


def test_a_pair_is_compared_with_usleeps_in_both_orders(archive, nights):
    night, sites = nights[nights.recording == "b1"], {"channels": ["F3", "C3"]}
    ours = evaluate([network()], archive, plan_montages(night, "pairs", **sites)).counts.assign(checkpoint="ours")
    plan = plan_montages(night, "pairs", usleep=True, **sites)
    theirs = evaluate([network("usleep")], archive, plan).counts.assign(checkpoint="theirs")
    settings = {"group_by": "subject", "n_bootstrap": 10, "seed": 0}
    table = score_tables.compare_checkpoints(pd.concat([ours, theirs]), "pairs", **settings).dropna(subset="sites")
    mf1 = {
        rows.checkpoint.iloc[0]: dict(
            zip(
                rows.sites,
                score_tables.score_table(rows.assign(dataset=rows.sites)).query("level == 'dataset'").mf1,
                strict=True,
            )
        )
        for rows in (ours, theirs)
    }
    expected = {
        "F3&F3": mf1["ours"]["F3"] - mf1["theirs"]["F3&F3"],
        "C3&C3": mf1["ours"]["C3"] - mf1["theirs"]["C3&C3"],
        "F3&C3": mf1["ours"]["F3&C3"] - mf1["theirs"]["F3&C3"],
        "C3&F3": mf1["ours"]["F3&C3"] - mf1["theirs"]["C3&F3"],
    }
    assert dict(zip(table.sites, table.difference, strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["anysleep", "usleep"])
def test_both_eogs_fold_into_one_row_of_the_matrix(archive, nights, name):
    usleep = name == "usleep"
    plan = plan_montages(nights, "pairs", usleep=usleep, channels=["EOG", "F3", "F4", "C3", "C4", "O1", "O2"])
    counts = evaluate([network(name)], archive, plan).counts.assign(checkpoint=name)
    pairs = score_tables.pair_table(counts)
    assert len(counts) == 3 * (64 if usleep else 36) and len(pairs) == (49 if usleep else 28)
    assert (pairs.n_recordings == 3).all()
    scores = [metrics_of_confusion(confusion).mf1 for confusion in score_tables.confusions_of(counts)]
    by_sites = counts.assign(mf1=scores).groupby("sites").mf1.mean()  # as many montages in every night
    cells = pairs.set_index(["first", "second"]).mf1
    assert cells["F3", "EOG"] == pytest.approx(by_sites["F3&EOG"])
    assert cells["C4", "C4"] == pytest.approx(by_sites["C4&C4" if usleep else "C4"])
    if usleep:
        assert cells["EOG", "EOG"] == pytest.approx(by_sites["EOG&EOG"])
    else:
        assert cells["EOG", "EOG"] == pytest.approx((2 * by_sites["EOG"] + by_sites["EOG&EOG"]) / 3)


def test_the_matrix_is_symmetric_but_for_usleep():
    import matplotlib.pyplot as plt

    cells = {"first": ["F3", "F3", "EOG"], "second": ["F3", "EOG", "EOG"], "mf1": [0.5, 0.6, 0.7]}
    drawn = {}
    for network_name in ("anysleep", "usleep"):
        _, ax = plt.subplots()
        pairs = pd.DataFrame(cells | {"checkpoint": "x", "network": network_name})
        plot_pair_matrix(pairs, ax, sites=["EOG", "F3"])
        drawn[network_name] = ax.collections[0].get_array().filled(np.nan).reshape(2, 2)
    np.testing.assert_array_equal(drawn["anysleep"], [[0.7, 0.6], [0.6, 0.5]])
    np.testing.assert_array_equal(drawn["usleep"], [[0.7, np.nan], [0.6, 0.5]])


def test_the_curve_has_a_line_for_every_checkpoint_and_number_of_eog(drawn):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    curve = score_tables.channel_curve(drawn, "subject", n_bootstrap=10, seed=0)
    assert plot_channel_draws(curve, ax) is ax
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(lines) == ["seed0, no EOG", "seed0, 1 EOG", "seed1, no EOG", "seed1, 1 EOG"]
    expected = curve[(curve.checkpoint == "seed1") & (curve.n_eog == 1)].sort_values("n_eeg").mf1
    assert lines["seed1, 1 EOG"].tolist() == expected.tolist()

"""Nights staged, counted and scored: every level from the same counts, every vote as by hand."""

import shutil
import warnings
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import ttest_ind
from sklearn.metrics import cohen_kappa_score, f1_score

from anysleep.analysis import levels
from anysleep.analysis.metrics import confusion_matrix, metrics_of_confusion
from anysleep.data.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.data.splits import split_id
from anysleep.evaluation import (
    Evaluation,
    calibrate,
    confusion_of_night,
    evaluate,
    evaluate_validation,
    learned_from,
    name_checkpoints,
    stage_named,
    stage_night,
    warn_of_other_split,
)
from anysleep.figures import plot_channel_draws, plot_pair_matrix
from anysleep.inference import mean_log_probabilities, vote_stages
from anysleep.models import build_model, unet_filters
from anysleep.montages import plan_montages, with_channel_types

RATE_HZ = 4
"""A toy rate: epochs of 120 samples make tests fast."""
EEG, EOG = ["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1"], ["E1-M2", "E2-M2"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three nights of two persons with eight channels, and one of another `a` with two; a tenth is unscored."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    files = {"toy": [], "few": []}
    for dataset, recording, channels in [
        ("toy", "a1", EEG + EOG),
        ("toy", "a2", EEG + EOG),
        ("toy", "b1", EEG + EOG),
        ("few", "a1", ["C3-A2", "EOG(L)"]),
    ]:
        hypnogram = rng.choice([0, 1, 2, 3, 4, 9], 40, p=[0.2, 0.1, 0.3, 0.1, 0.2, 0.1]).astype(np.int8)
        path = folder / f"{dataset}-{recording}.h5"
        with NightWriter(path, recording, len(hypnogram), RATE_HZ) as night:
            for name in channels:
                night.add_channel(name, rng.standard_normal(len(hypnogram) * 30 * RATE_HZ).astype(np.float32))
            night.add_hypnogram(hypnogram)
            night.describe(pd.DataFrame(), {"subject": recording[0]})
        files[dataset].append((path, recording))
    datasets = [DatasetFiles("few", ["C3-A2"], ["EOG(L)"], files["few"]), DatasetFiles("toy", EEG, EOG, files["toy"])]
    with Archive(assemble_archive(folder / "toy.h5", datasets, RATE_HZ)) as opened:
        yield opened


@pytest.fixture(scope="module")
def nights(archive):
    return with_channel_types(archive, archive.recordings())


@cache
def network(name="anysleep", seed=0):
    """Random weights, with BatchNorm used to the signals and logits centred, so that every stage is predicted."""
    torch.manual_seed(seed)
    hidden = {} if name == "usleep" else {"attention_hidden": 8}
    model = build_model(name, sampling_rate_hz=RATE_HZ, filters=unet_filters(depth=3), **hidden)
    x, last = torch.randn(4, 10 * 120, 2), model.segment_classifier.segment_classifier[-1]
    with torch.no_grad():
        for _ in range(20):
            model.train()(x)
        logits = model.eval()(x)
        spread = logits.std(dim=(0, 1))
        last.weight.div_(spread[:, None, None])
        last.bias.sub_(logits.mean(dim=(0, 1))).div_(spread)
    return model


def scored_by_sklearn(truth, stages):
    scored = truth != 9
    return f1_score(truth[scored], stages[scored], labels=range(5), average="macro", zero_division=1.0)


def test_all_channels_give_what_a_night_alone_gives(archive, nights):
    model = network()
    evaluation = evaluate([model], archive, plan_montages(nights, "all"))
    confusions = levels.confusions_of(evaluation.counts)
    for row, confusion in zip(evaluation.counts.itertuples(), confusions, strict=True):
        assert (confusion == confusion_of_night(model, archive, row.dataset, row.recording)).all()
        staging = stage_night(model, archive, row.dataset, row.recording)[tuple(row.channels.split("&"))]
        truth = archive.hypnogram(row.dataset, row.recording)
        assert metrics_of_confusion(confusion).mf1 == pytest.approx(scored_by_sklearn(truth, staging.hypnogram(1)))
        assert (evaluation.staged[f"{row.dataset}#{row.recording}#{row.channels}"] == confusion).all()
    assert len(evaluation.staged) == len(confusions) == 4
    assert evaluation.log_probabilities.shape == (160, 5) and (evaluation.truth == 9).sum() > 0
    assert set(evaluation.log_probabilities.argmax(axis=1)) == set(range(5))  # else this would test little


def test_every_montage_goes_through_one_call_and_once(archive, nights, monkeypatch):
    import anysleep.evaluation as module

    calls, stage_montages = [], module.stage_montages

    def counted(model, signals, *, montages, **options):
        calls.append((signals.shape[0], list(montages)))
        return stage_montages(model, signals, montages=montages, **options)

    monkeypatch.setattr(module, "stage_montages", counted)
    plan = plan_montages(nights[nights.recording == "a1"], "drawn", n_eeg=[1, 2], n_eog=[1, 2], n_draws=60)
    evaluate([network("usleep")], archive, plan)
    (n_channels, montages), *others = calls
    assert others == [] and n_channels == 8  # one night has enough channels
    assert len(set(montages)) == len(montages) == 12  # every EEG with every EOG
    assert plan.n_draws.sum() == 240 > len(plan)


def test_usleep_votes_over_its_pairs(archive, nights):
    model = network("usleep")
    plan = plan_montages(nights[nights.dataset == "toy"], "drawn", usleep=True, n_eeg=[2], n_eog=[2])
    majority, mean = (evaluate([model], archive, plan, vote=vote, seed=5) for vote in ("majority", "mean"))
    row = majority.counts.iloc[7]
    (eeg, eog), truth = np.array_split(row.channels.split("&"), 2), archive.hypnogram("toy", row.recording)
    pairs = [(a, b) for a in eeg for b in eog]
    stagings = stage_named(model, archive, "toy", row.recording, pairs)
    votes = np.array([stagings[pair].hypnogram(1) for pair in pairs])  # (4, E)
    most = [{s for s in epoch if (epoch == s).sum() == max((epoch == t).sum() for t in epoch)} for epoch in votes.T]
    voted = vote_stages([stagings[pair].logits[1] for pair in pairs], seed=5)
    assert all(stage in stages for stage, stages in zip(voted, most, strict=True))
    assert (levels.confusions_of(majority.counts)[7] == confusion_matrix(truth, voted)).all()
    by_mean = np.mean([softmax(stagings[pair].logits[1], axis=1) for pair in pairs], axis=0).argmax(axis=1)
    assert (levels.confusions_of(mean.counts)[7] == confusion_matrix(truth, by_mean)).all()
    assert set(majority.staged) >= {f"toy#{row.recording}#{a}#{b}" for a, b in pairs}
    for a, b in pairs:
        alone = confusion_matrix(truth, stagings[a, b].hypnogram(1))
        assert (majority.staged[f"toy#{row.recording}#{a}#{b}"] == alone).all()


def test_votes_by_hand():
    surely_n2, rather_wake = np.log([[0.01, 0.01, 0.96, 0.01, 0.01]]), np.log([[0.4, 0.15, 0.15, 0.15, 0.15]])
    logits = [surely_n2 + 7, rather_wake, rather_wake - 2]  # a constant changes no probability
    assert vote_stages(logits, "majority").tolist() == [0]
    assert vote_stages(logits, "mean").tolist() == [2]
    expected = (np.exp(surely_n2) + 2 * np.exp(rather_wake)) / 3
    assert np.exp(mean_log_probabilities(logits)) == pytest.approx(expected)
    tied = [np.tile(surely_n2, (4000, 1)), np.tile(rather_wake, (4000, 1))]
    first, again, other = (vote_stages(tied, seed=seed) for seed in (0, 0, 1))
    assert set(first) == {0, 2} and 0.45 < (first == 0).mean() < 0.55
    assert (first == again).all() and not (first == other).all()


def test_averaged_checkpoints_are_the_mean_of_their_probabilities(archive, nights):
    models = [network(seed=seed) for seed in range(3)]
    evaluation = evaluate(models, archive, plan_montages(nights, "named", channels=["EOG", "C3"]))
    assert len(evaluation.counts) == 4
    start = 0
    for row in evaluation.counts.itertuples():
        montage = tuple(row.channels.split("&"))
        alone = [stage_named(model, archive, row.dataset, row.recording, [montage])[montage] for model in models]
        mean = np.mean([softmax(staging.logits[1].astype(float), axis=1) for staging in alone], axis=0)
        truth = archive.hypnogram(row.dataset, row.recording)
        assert np.exp(evaluation.log_probabilities[start : start + 40]) == pytest.approx(mean)
        assert (
            levels.confusions_of(evaluation.counts)[start // 40] == confusion_matrix(truth, mean.argmax(axis=1))
        ).all()
        start += 40


def test_usleep_is_not_averaged_with_another(archive, nights):
    with pytest.raises(ValueError, match="can be compared, but not averaged"):
        evaluate([network(), network("usleep")], archive, plan_montages(nights, "all"))


def test_the_same_seed_gives_the_same_table_in_any_order(archive, nights):
    settings = {"usleep": True, "n_eeg": [2], "n_eog": [1, 2], "n_draws": 20, "seed": 1}
    plans = [plan_montages(rows, "drawn", **settings) for rows in (nights, nights.iloc[::-1])]
    first, second = (evaluate([network("usleep")], archive, plan, seed=1).counts for plan in plans)
    pd.testing.assert_frame_equal(first, second)


@pytest.fixture(scope="module")
def drawn(archive, nights):
    """Counts of two checkpoints on the same draws."""
    plan = plan_montages(nights, "drawn", n_eeg=[0, 1, 3], n_eog=[0, 1], n_draws=12, seed=2)
    counts = [evaluate([network(seed=s)], archive, plan).counts.assign(checkpoint=f"seed{s}") for s in range(2)]
    return pd.concat(counts, ignore_index=True)


def test_every_level_sums_to_the_same_counts(drawn):
    table = levels.score_table(drawn)
    sums = table.groupby(["checkpoint", "level"]).n_epochs.sum().unstack()
    assert list(sums) == ["all", "dataset", "montage", "recording"] and (sums.nunique(axis=1) == 1).all()
    night = drawn[(drawn.checkpoint == "seed0") & (drawn.recording == "a2")]
    by_hand = sum(
        times * np.array(cells).reshape(5, 5)
        for times, cells in zip(night.n_draws, night[levels.COUNTS].to_numpy(), strict=True)
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
    table = levels.score_table(counts)
    assert table.level.tolist() == ["all", "dataset", "dataset"] + ["recording"] * 4 + ["montage"] * 2
    assert table.mf1[0] == pytest.approx(scored_by_sklearn(truth, stages))
    assert table.kappa[0] == pytest.approx(cohen_kappa_score(truth[truth != 9], stages[truth != 9]))
    cells = levels.confusion_table(counts)
    assert cells.n_epochs.sum() == table.n_epochs[0] == (truth != 9).sum()
    hits = cells[(cells.truth == "N2") & (cells.prediction == "N2")].n_epochs.item()
    assert hits == ((truth == 2) & (stages == 2)).sum()


def test_persons_of_two_data_sets_are_two(drawn, archive, nights):
    counts = evaluate([network()], archive, plan_montages(nights, "all")).counts.assign(checkpoint="x")
    assert set(levels.persons_of(counts, "subject")) == {"toy/a", "toy/b", "few/a"}
    intervals = levels.interval_table(counts, "subject", n_bootstrap=200, seed=0)
    n_persons = intervals.drop_duplicates("dataset").set_index("dataset").n_persons
    assert n_persons.to_list() == [3, 1, 2] and n_persons["toy"] == 2
    overall = intervals[(intervals.level == "all") & (intervals.score == "mf1")].iloc[0]
    assert overall.low <= overall.estimate <= overall.high
    assert overall.estimate == levels.score_table(counts).mf1[0]


def test_the_curve_is_the_mean_over_recordings_of_the_mean_over_their_draws(drawn):
    curve = levels.channel_curve(drawn, "subject", n_bootstrap=50, seed=0)
    assert len(curve) == 2 * 5 and (curve.n_draws == 12).all()
    point = curve[(curve.checkpoint == "seed1") & (curve.n_eeg == 3) & (curve.n_eog == 1)].iloc[0]
    draws = {}
    for row in drawn[(drawn.checkpoint == "seed1") & (drawn.n_eeg == 3) & (drawn.n_eog == 1)].to_dict("records"):
        confusion = np.array([row[name] for name in levels.COUNTS]).reshape(5, 5)
        draws.setdefault(row["recording"], []).extend([metrics_of_confusion(confusion).mf1] * row["n_draws"])
    assert sum(map(len, draws.values())) == 12 and point.n_recordings == len(draws) == 3
    assert point.mf1 == pytest.approx(np.mean([np.mean(one) for one in draws.values()]))
    assert point.low <= point.mf1 <= point.high


def test_checkpoints_are_compared_on_what_both_have(drawn):
    fewer = drawn[(drawn.checkpoint == "seed0") | (drawn.n_eog == 1)]
    settings = {"group_by": "subject", "n_bootstrap": 100, "seed": 0}
    table = levels.compare_checkpoints(fewer, "drawn", **settings)
    assert table[["n_eeg", "n_eog"]].iloc[1:].to_numpy().tolist() == [[0, 1], [1, 1], [3, 1]]
    scores = levels.score_table(drawn[drawn.n_eog == 1])
    mf1 = scores[scores.level == "all"].set_index("checkpoint").mf1
    assert table.difference[0] == pytest.approx(mf1["seed1"] - mf1["seed0"])
    assert table[["first", "second"]].drop_duplicates().to_numpy().tolist() == [["seed0", "seed1"]]
    assert levels.compare_checkpoints(drawn[drawn.checkpoint == "seed0"], "all", **settings).empty
    with pytest.raises(ValueError, match="seed0 and seed1 have no night and montage in common"):
        apart = drawn[(drawn.checkpoint == "seed0") == (drawn.n_eog == 0)]
        levels.compare_checkpoints(apart, "all", **settings)


def test_welchs_test_takes_every_draw_for_itself(drawn):
    """Here from the list of all draws, one after the other."""
    settings = {"group_by": "subject", "n_bootstrap": 10, "seed": 0}
    table = levels.compare_checkpoints(drawn, "drawn", **settings)
    draws = {"seed0": [], "seed1": []}
    for row in drawn[(drawn.n_eeg == 3) & (drawn.n_eog == 1)].to_dict("records"):
        confusion = np.array([row[name] for name in levels.COUNTS]).reshape(5, 5)
        draws[row["checkpoint"]] += [metrics_of_confusion(confusion).mf1] * row["n_draws"]
    expected = ttest_ind(draws["seed1"], draws["seed0"], equal_var=False)
    row = table[(table.n_eeg == 3) & (table.n_eog == 1)].iloc[0]
    assert len(draws["seed0"]) == 12
    assert (row.welch_t, row.welch_p) == pytest.approx((expected.statistic, expected.pvalue))
    assert "welch_p" not in levels.compare_checkpoints(drawn, "all", **settings)


def test_a_pair_is_compared_with_usleeps_in_both_orders(archive, nights):
    night, sites = nights[nights.recording == "b1"], {"channels": ["F3", "C3"]}
    ours = evaluate([network()], archive, plan_montages(night, "pairs", **sites)).counts.assign(checkpoint="ours")
    plan = plan_montages(night, "pairs", usleep=True, **sites)
    theirs = evaluate([network("usleep")], archive, plan).counts.assign(checkpoint="theirs")
    settings = {"group_by": "subject", "n_bootstrap": 10, "seed": 0}
    table = levels.compare_checkpoints(pd.concat([ours, theirs]), "pairs", **settings).dropna(subset="sites")
    mf1 = {
        rows.checkpoint.iloc[0]: dict(
            zip(
                rows.sites,
                levels.score_table(rows.assign(dataset=rows.sites)).query("level == 'dataset'").mf1,
                strict=True,
            )
        )
        for rows in (ours, theirs)
    }
    expected = {
        "F3&F3": mf1["theirs"]["F3&F3"] - mf1["ours"]["F3"],
        "C3&C3": mf1["theirs"]["C3&C3"] - mf1["ours"]["C3"],
        "F3&C3": mf1["theirs"]["F3&C3"] - mf1["ours"]["F3&C3"],
        "C3&F3": mf1["theirs"]["C3&F3"] - mf1["ours"]["F3&C3"],
    }
    assert dict(zip(table.sites, table.difference, strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["anysleep", "usleep"])
def test_both_eogs_fold_into_one_row_of_the_matrix(archive, nights, name):
    usleep = name == "usleep"
    plan = plan_montages(nights, "pairs", usleep=usleep, channels=["EOG", "F3", "F4", "C3", "C4", "O1", "O2"])
    counts = evaluate([network(name)], archive, plan).counts.assign(checkpoint=name)
    pairs = levels.pair_table(counts)
    assert len(counts) == 3 * (64 if usleep else 36) and len(pairs) == (49 if usleep else 28)
    assert (pairs.n_recordings == 3).all()
    scores = [metrics_of_confusion(confusion).mf1 for confusion in levels.confusions_of(counts)]
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
    curve = levels.channel_curve(drawn, "subject", n_bootstrap=10, seed=0)
    assert plot_channel_draws(curve, ax) is ax
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(lines) == ["seed0, no EOG", "seed0, 1 EOG", "seed1, no EOG", "seed1, 1 EOG"]
    expected = curve[(curve.checkpoint == "seed1") & (curve.n_eog == 1)].sort_values("n_eeg").mf1
    assert lines["seed1, 1 EOG"].tolist() == expected.tolist()


def test_validation_of_usleep_reads_one_pair_that_the_seed_decides(archive):
    model = network("usleep")
    pairs = stage_night(model, archive, "toy", "a1")
    truth = archive.hypnogram("toy", "a1")
    by_pair = [confusion_matrix(truth, staging.hypnogram(1)).tolist() for staging in pairs.values()]
    seen = set()
    for seed in range(40):
        drawn, again = (confusion_of_night(model, archive, "toy", "a1", pair_seed=seed) for _ in range(2))
        assert drawn.tolist() == again.tolist() and drawn.tolist() in by_pair
        seen.add(by_pair.index(drawn.tolist()))
    assert len(seen) > 6  # of twelve pairs
    model = network()
    assert (
        confusion_of_night(model, archive, "toy", "a1", pair_seed=1) == confusion_of_night(model, archive, "toy", "a1")
    ).all()


def test_validation_nights_are_staged_for_the_temperature(archive, nights):
    split = {"train": {}, "valid": {"toy": ["a1", "a2"]}, "test": {"toy": ["b1"], "few": ["a1"]}}
    learned = evaluate_validation([network()], archive, nights, split, "all")
    alone = np.concatenate([archive.hypnogram("toy", name) for name in ("a1", "a2")])
    assert learned.truth.tolist() == alone.tolist() and learned.log_probabilities.shape == (80, 5)


def test_a_network_twice_too_sure_gets_the_temperature_two():
    rng = np.random.default_rng(0)
    sides = []
    for n in (40_000, 20_000):
        honest = 3 * rng.standard_normal((n, 5))
        truth = (softmax(honest, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        sides.append(Evaluation(pd.DataFrame(), {}, log_softmax(2 * honest, axis=1), truth, pd.DataFrame()))
    temperature, table, review = calibrate(*sides)
    assert temperature == pytest.approx(2, abs=0.03)
    right = (sides[1].log_probabilities.argmax(axis=1) == sides[1].truth).mean()
    assert review.accuracy[0] == pytest.approx(right)
    before, after = (table[table.probabilities == name] for name in ("as they are", "with temperature"))
    off = [(many.accuracy - many.confidence).abs().max() for many in (before[before.n > 500], after[after.n > 500])]
    assert off[1] < 0.03 and off[0] > 0.1
    assert before.n.sum() == after.n.sum() == 20_000


def test_nothing_is_calibrated_where_there_is_nothing_to_learn_or_several_montages(archive, nights):
    split = {"train": {}, "valid": {"other": ["z"]}, "test": {}}
    model = network()
    assert evaluate_validation([model], archive, nights, split, "all") is None
    split["valid"] = {"few": ["a1"]}
    assert evaluate_validation([model], archive, nights, split, "named", ["F3"]) is None
    assert evaluate_validation([model], archive, nights, split, "pairs") is None
    few = nights[nights.dataset == "few"]
    temperature, reliability, _ = calibrate(None, evaluate([model], archive, plan_montages(few, "all")))
    assert np.isnan(temperature) and set(reliability.probabilities) == {"as they are"}
    _, reliability, review = calibrate(None, evaluate([model], archive, plan_montages(few, "pairs")))
    assert reliability.empty and review.empty


def test_checkpoints_are_named_by_what_tells_them_apart():
    paths = [Path("/w/a/03_train/checkpoint.pth"), Path("/w/a/03_train.usleep/checkpoint.pth"), Path("/x/run1.pth")]
    assert list(name_checkpoints(paths, "compare")) == ["03_train", "03_train.usleep", "run1"]
    assert name_checkpoints(paths, "average") == {"mean of 3": paths}
    assert list(name_checkpoints(paths[:1], "average")) == ["03_train"]
    others = [Path("/w/a/03_train/checkpoint.pth"), Path("/w/b/03_train/checkpoint.pth")]
    assert list(name_checkpoints(others, "compare")) == ["a/03_train", "b/03_train"]
    with pytest.raises(ValueError, match="named twice"):
        name_checkpoints(paths[:1] * 2, "compare")


def test_a_network_that_may_know_the_persons_is_named():
    split = {"train": {"a": ["1", "2"]}, "valid": {"a": ["3"]}, "test": {"a": ["4"]}}
    model = network("usleep")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_other_split(model, split)  # does not say
        model.provenance = {"split": split_id(split)}
        warn_of_other_split(model, split | {"train": {"a": ["2", "1"], "b": []}})
    with pytest.warns(UserWarning, match="another split"):
        warn_of_other_split(model, split | {"valid": {"a": ["4"]}, "test": {"a": ["3"]}})


def test_what_a_network_learned_from_counts_all_its_trainings():
    model = network("usleep")
    assert learned_from(model) == []  # does not say
    model.provenance = {"data": ["b"], "fine_tuned_from": {"data": ["c", "a"], "fine_tuned_from": {}}}
    assert learned_from(model) == ["a", "b", "c"]


def test_a_night_that_cannot_be_staged_is_a_row_with_the_reason(archive, nights, tmp_path):
    """One with a number that is none; when all are so, there is nothing to report."""
    broken = tmp_path / "broken.h5"
    shutil.copy(archive.path, broken)
    bad = nights.iloc[0]
    with h5py.File(broken, "r+") as file:
        file[f"{bad.dataset}/{bad.recording}/PSG/{bad.channels[0]}"][7] = np.nan
    plan = plan_montages(nights, "all", usleep=False)
    with Archive(broken) as opened:
        found = evaluate([network()], opened, plan)
        assert found.failed[["dataset", "recording"]].to_numpy().tolist() == [[bad.dataset, bad.recording]]
        assert "NaN" in found.failed.reason[0]
        assert len(found.counts) == len(plan) - 1
        with pytest.raises(ValueError, match=r"no night could be staged; of the first: .*NaN"):
            evaluate([network()], opened, plan[(plan.dataset == bad.dataset) & (plan.recording == bad.recording)])

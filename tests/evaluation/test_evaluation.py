"""Nights staged and counted: the same alone and together, every vote as by hand, and no network taken for another."""

import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers import toy_evaluation
from helpers.toy_evaluation import network, scored_by_sklearn, stage_night
from scipy.special import log_softmax, softmax

from anysleep.datasets.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.datasets.splits import split_id
from anysleep.evaluation import score_tables
from anysleep.evaluation.evaluate import (
    Evaluation,
    calibrate,
    check_synthetic_training,
    confusion_of_night,
    evaluate,
    learned_from,
    name_checkpoints,
    plan_validation,
    stage_plan,
    warn_of_other_split,
)
from anysleep.evaluation.metrics import confusion_matrix, metrics_of_confusion
from anysleep.staging.montages import plan_montages
from anysleep.staging.nights import Night
from anysleep.staging.votes import mean_log_probabilities, vote_stages
from anysleep.system.files import DiskFull
from anysleep.workbook.networks import evaluation_nights
from anysleep.workbook.run import Run

archive, nights = toy_evaluation.archive, toy_evaluation.nights


def test_all_channels_give_what_a_night_alone_gives(archive, nights):
    model = network()
    evaluation = evaluate([model], archive, plan_montages(nights, "all"))
    confusions = score_tables.confusions_of(evaluation.counts)
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
    import anysleep.staging.nights as module

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
    stagings = stage_night(model, archive, "toy", row.recording, pairs)
    votes = np.array([stagings[pair].hypnogram(1) for pair in pairs])  # (4, E)
    most = [{s for s in epoch if (epoch == s).sum() == max((epoch == t).sum() for t in epoch)} for epoch in votes.T]
    voted = vote_stages([stagings[pair].logits[1] for pair in pairs], seed=5)
    assert all(stage in stages for stage, stages in zip(voted, most, strict=True))
    assert (score_tables.confusions_of(majority.counts)[7] == confusion_matrix(truth, voted)).all()
    by_mean = np.mean([softmax(stagings[pair].logits[1], axis=1) for pair in pairs], axis=0).argmax(axis=1)
    assert (score_tables.confusions_of(mean.counts)[7] == confusion_matrix(truth, by_mean)).all()
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
        alone = [stage_night(model, archive, row.dataset, row.recording, [montage])[montage] for model in models]
        mean = np.mean([softmax(staging.logits[1].astype(float), axis=1) for staging in alone], axis=0)
        truth = archive.hypnogram(row.dataset, row.recording)
        assert np.exp(evaluation.log_probabilities[start : start + 40]) == pytest.approx(mean)
        assert (
            score_tables.confusions_of(evaluation.counts)[start // 40] == confusion_matrix(truth, mean.argmax(axis=1))
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
    learned = evaluate([network()], archive, plan_validation(nights, split, "all"))
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
    assert plan_validation(nights, None, "all").empty and plan_validation(nights, split, "all").empty
    split["valid"] = {"few": ["a1"]}
    assert len(plan_validation(nights, split, "all")) == 1
    assert plan_validation(nights, split, "named", ["F3"]).empty and plan_validation(nights, split, "pairs").empty
    few = nights[nights.dataset == "few"]
    temperature, reliability, _ = calibrate(None, evaluate([model], archive, plan_montages(few, "all")))
    assert np.isnan(temperature) and set(reliability.probabilities) == {"as they are"}
    _, reliability, review = calibrate(None, evaluate([model], archive, plan_montages(few, "pairs")))
    assert reliability.empty and review.empty


def test_checkpoints_are_named_by_what_tells_them_apart():
    paths = [Path("/w/a/03_train/checkpoint.pth"), Path("/w/a/03_train.usleep/checkpoint.pth"), Path("/x/run1.pth")]
    assert list(name_checkpoints(paths, ensemble=False)) == ["03_train", "03_train.usleep", "run1"]
    assert name_checkpoints(paths, ensemble=True) == {"mean of 3": paths}
    assert list(name_checkpoints(paths[:1], ensemble=True)) == ["03_train"]
    others = [Path("/w/a/03_train/checkpoint.pth"), Path("/w/b/03_train/checkpoint.pth")]
    assert list(name_checkpoints(others, ensemble=False)) == ["a/03_train", "b/03_train"]
    with pytest.raises(ValueError, match="named twice"):
        name_checkpoints(paths[:1] * 2, ensemble=False)


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
    with pytest.warns(UserWarning, match="a split, and none is named: it may know the persons"):
        warn_of_other_split(model, None)  # every night, those of its training too


def test_a_network_of_synthetic_nights_judges_others_only_where_that_is_allowed():
    model = network("usleep")
    check_synthetic_training(model, all_synthetic=False)  # a released file does not say
    model.provenance = {"synthetic": True, "data": ["mine"]}
    check_synthetic_training(model, all_synthetic=True)
    with pytest.raises(ValueError, match=r"only ever seen synthetic nights.*allow_synthetic: true"):
        check_synthetic_training(model, all_synthetic=False)
    with pytest.warns(UserWarning, match="only ever seen synthetic nights"):
        check_synthetic_training(model, all_synthetic=False, allowed=True)


def test_what_a_network_learned_from_counts_all_its_trainings():
    model = network("usleep")
    assert learned_from(model) == []  # does not say
    model.provenance = {"data": ["b"], "fine_tuned_from": {"data": ["c", "a"]}}
    assert learned_from(model) == ["a", "b", "c"]
    model.provenance["fine_tuned_from"] = {}  # a released network
    assert learned_from(model) == ["b", "unknown"]


UNSCALED = {
    "a thousand times too large": lambda x: 1000 * x,
    "microvolts": lambda x: 15 * x,
    "volts": lambda x: 15e-6 * x,
    "nothing": lambda x: 0 * x,
}


@pytest.mark.parametrize("what", UNSCALED)
def test_a_night_that_is_not_scaled_is_a_row_that_names_its_channel(archive, nights, tmp_path, what):
    broken = tmp_path / "broken.h5"
    shutil.copy(archive.path, broken)
    bad, good = nights.iloc[0], nights.iloc[1]
    with h5py.File(broken, "r+") as file:
        for row, change in ((bad, UNSCALED[what]), (good, lambda x: np.where(np.arange(len(x)) < 0.6 * len(x), 0, x))):
            signal = file[f"{row.dataset}/{row.recording}/PSG/{row.channels[0]}"]
            signal[:] = change(signal[:])
        whole_s = good.n_epochs * 30.0
        file[f"{good.dataset}/{good.recording}/gaps"] = [[0, 0.6 * whole_s]]  # a pause is 0, and no mistake
    with Archive(broken) as opened:
        found = evaluate([network()], opened, plan_montages(nights, "all", usleep=False))
    assert found.failed.recording.tolist() == [bad.recording] and len(found.counts) == len(nights) - 1
    place = f"{bad.dataset}/{bad.recording}, {bad.channels[0]}"
    assert f"{place}: its interquartile range is " in found.failed.reason[0]


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


def test_a_full_disk_is_no_fault_of_the_nights(archive, nights, tmp_path, largest_file):
    """As failed rows they would be missing in the scores."""
    with largest_file(100), pytest.raises(DiskFull, match=r"disk full: no room for .*npz in "):
        evaluate([network()], archive, plan_montages(nights, "all"), store=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_was_staged_once_is_not_staged_again(archive, nights, tmp_path, monkeypatch):
    """By the same weights, of the same night, with the same montages: whatever differs is staged anew."""
    staged, stage = [], Night.stage

    def counted(night, *given, **options):
        staged.append((night.dataset, night.recording))
        return stage(night, *given, **options)

    monkeypatch.setattr(Night, "stage", counted)
    plan, keys = plan_montages(nights, "all"), list(zip(nights.dataset, nights.recording, strict=True))
    first = evaluate([network()], archive, plan, store=tmp_path)
    assert sorted(staged) == sorted(keys) and len(list(tmp_path.iterdir())) == 4
    one = min(tmp_path.iterdir())
    one.write_bytes(one.read_bytes()[:-9])
    again = evaluate([network()], archive, plan, store=tmp_path)
    assert len(staged) == 5  # the half file's
    for found in (again, evaluate([network()], archive, plan)):
        pd.testing.assert_frame_equal(found.counts, first.counts)
        assert np.array_equal(found.log_probabilities, first.log_probabilities)
    staged.clear()
    for shard in ("1/3", "2/3", "3/3"):
        stage_plan([network(seed=1)], archive, plan, shard, store=tmp_path)
    assert sorted(staged) == sorted(keys)
    evaluate([network(seed=1)], archive, plan, store=tmp_path)
    evaluate([network()], archive, plan, store=tmp_path, precision="bf16")
    assert sorted(staged) == sorted(keys * 2)
    staged.clear()
    evaluate([network(), network(seed=1)], archive, plan, store=tmp_path)  # their mean needs nothing new
    assert staged == []
    evaluate([network("usleep")], archive, plan_montages(nights, "all", usleep=True), store=tmp_path)
    assert sorted(staged) == sorted(keys)
    evaluate([network("usleep")], archive, plan_montages(nights, "all", usleep=True), store=tmp_path, vote="mean")
    assert sorted(staged) == sorted(keys)  # a vote stages nothing


def test_04_asks_who_slept_before_it_stages(tmp_path):
    """Hours of staging would be lost; the tables need persons."""
    with NightWriter(tmp_path / "night.h5", "n", 2, toy_evaluation.RATE_HZ) as night:
        night.add_channel("C3", np.zeros(2 * 30 * toy_evaluation.RATE_HZ, dtype=np.float32))
        night.add_hypnogram(np.array([0, 2]))
        night.describe(pd.DataFrame(), {})
    files = [DatasetFiles("lab", ["C3"], [], [(tmp_path / "night.h5", "n")])]
    asked = SimpleNamespace(recipes=[], split=None, datasets=[], group_by="subject", allow_synthetic=True)
    with Archive(assemble_archive(tmp_path / "a.h5", files, toy_evaluation.RATE_HZ)) as archive:
        with pytest.raises(ValueError, match="1 night without a known person; name recipes that tell who slept"):
            evaluation_nights(Run(asked, tmp_path, "id"), asked, archive, {})
        asked.group_by = "recording"
        assert len(evaluation_nights(Run(asked, tmp_path, "id"), asked, archive, {})[1]) == 1

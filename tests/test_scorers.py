"""Public scorers of the Dreem Open Datasets: reading them, agreement, and the published procedure on real nights."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from anysleep.analysis.scorers import compare_scorers, count_consensus, read_scorers, scored_nights
from anysleep.analysis.traits.participants import choose_nights
from anysleep.analysis.traits.repetitions import run_repetitions
from anysleep.analysis.traits.study import Study, summary_table
from anysleep.recordings.labels.consensus import consensus_hypnogram


def toy_scorers(seed=0):
    random = np.random.default_rng(seed)
    truth = np.repeat(random.integers(0, 5, 40), 5)
    return {
        (dataset, recording): np.where(random.random((5, 200)) < 0.8, truth, random.integers(-1, 5, (5, 200)))
        for dataset, recording in (("dodh", "a"), ("dodh", "b"), ("dodo", "c"))
    }


def test_the_public_files_and_an_npz_say_the_same(tmp_path):
    scorers = toy_scorers()
    np.savez(tmp_path / "scorers.npz", **{f"{d}/{r}": stages for (d, r), stages in scorers.items()})
    for (dataset, recording), stages in scorers.items():
        for i, of_one in enumerate(stages, start=1):
            path = tmp_path / "public" / dataset / f"scorer_{i}" / f"{recording}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(of_one.tolist()))
    noted = []
    of_folder = read_scorers(tmp_path / "public", lambda role, path: noted.append((role, path)))
    of_npz = read_scorers(tmp_path / "scorers.npz")
    assert set(of_folder) == set(of_npz) == set(scorers) and len(noted) == len(set(noted)) == 15
    for key, stages in scorers.items():
        assert np.array_equal(of_folder[key], stages) and np.array_equal(of_npz[key], stages)
        assert not any(key[1] in role.split("_") for role, _ in noted)


def test_a_damaged_night_is_left_out_and_none_at_all_refused(tmp_path):
    for i in range(1, 6):
        for name in ("a", "b"):
            path = tmp_path / "dodh" / f"scorer_{i}" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("[0, 1, 2]" if (name, i) != ("b", 3) else "[0, 1]")
    with pytest.warns(UserWarning, match="1 nights cannot be read, the first because"):
        assert set(read_scorers(tmp_path)) == {("dodh", "a")}
    with pytest.raises(ValueError, match="no scored night"):
        read_scorers(tmp_path / "elsewhere")


def test_each_scorer_is_compared_with_the_other_four():
    scorers = toy_scorers()
    table = compare_scorers(scorers)
    assert len(table) == 15 and list(table) == ["dataset", "recording", "scorer", "kappa", "mf1"]
    for row in table.itertuples():
        stages = scorers[row.dataset, row.recording]
        others = consensus_hypnogram([stages[i] for i in range(5) if i != row.scorer - 1])
        own = stages[row.scorer - 1]
        both = (own >= 0) & (others != 9)
        assert row.kappa == pytest.approx(cohen_kappa_score(others[both], own[both]))
        assert row.mf1 == pytest.approx(f1_score(others[both], own[both], average="macro"))


def test_every_scored_night_is_a_person():
    nights = scored_nights(toy_scorers())
    assert nights.subject.tolist() == nights.recording.tolist() == ["a", "b", "c"]


@pytest.fixture(scope="module")
def dod(shared):
    return read_scorers(shared / "real" / "dod" / "scorers.npz")


def test_real_scorers_agree_as_experts_do(dod):
    """Guillot et al. 2020: the five agree better on healthy volunteers than on patients."""
    table = compare_scorers(dod)
    means = table.groupby("dataset").kappa.mean()
    assert len(table) == 400 and table.notna().all(axis=None)
    assert 0.65 < means["dodo"] < means["dodh"] < 0.85


def test_the_published_procedure_on_real_nights(dod, tmp_path):
    """DOD-O against DOD-H from the consensus at 30 s, one left out at a time. 160 forests."""
    recordings = scored_nights(dod)
    counts = {1: count_consensus(dod, recordings)}
    nights, kept, _ = choose_nights(recordings, counts, "dataset", ["dodh", "dodo"], "recording")
    study = Study(nights, n_folds=0, n_repetitions=2, permuted=[], n_shuffles=0, seed=0)
    summary = summary_table(study, run_repetitions(nights, study.jobs, 0, tmp_path, n_jobs=0), n_bootstrap=1000).iloc[0]
    assert len(kept) == summary.n_persons == 80 and pd.Series(nights.trait).sum() == 55
    assert summary["mean"] == pytest.approx(0.60, abs=0.08) and summary.sd < 0.08
    assert summary.low < summary["mean"] < summary.high

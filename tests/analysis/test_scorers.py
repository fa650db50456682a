"""Several scorers of one night, in an archive and in the Dreem Open Datasets: reading them, and how far they agree."""

import json

import edfio
import h5py
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.metrics import cohen_kappa_score, f1_score

from anysleep.analysis.scorers import (
    agreement_table,
    archived_scorers,
    compare_scorers,
    count_consensus,
    lanes,
    read_scorers,
    scored_nights,
)
from anysleep.analysis.traits.forests import run_repetitions
from anysleep.analysis.traits.participants import choose_nights
from anysleep.analysis.traits.study import Study, summary_table
from anysleep.datasets.archive import Archive, fingerprint_of
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import Recipe
from anysleep.evaluation.evaluate import evaluate
from anysleep.evaluation.score_tables import confusions_of
from anysleep.exports import ScoredNight, hypnogram_table
from anysleep.figures import plot_scorer_lanes
from anysleep.models import build_model
from anysleep.recordings.labels.consensus import consensus_hypnogram
from anysleep.settings import ParameterError
from anysleep.stages import STAGE_COLOURS, STAGES
from anysleep.staging.montages import plan_montages, with_channel_types


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


@pytest.mark.slow
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


NAMES = (*STAGES, "unscored")
N_EPOCHS = 40
RECIPE = {
    "dataset": "lab",
    "source": "a laboratory",
    "files": ["*.edf"],
    "name": "(?P<id>.*)",
    "recording": "{id}",
    "subject": "{id}",
    "channels": {"eeg": {"C3-M2": "EEG C3-M2"}, "eog": {"E1-M2": "EOG E1-M2"}},
    "labels": {"reader": "text", "file": "{stem}.txt"},
    "scorers": {
        "second": "{stem}_second.txt",
        "corrected": {
            "reader": "table",
            "file": "{stem}_corrected.csv",
            "columns": {"onset_s": "onset", "stage": "stage"},
        },
    },
}


def scorings(seed, n_epochs=N_EPOCHS):
    """Labels, a second scorer and a corrected version: each its own in a fifth of the epochs, some unscored."""
    random = np.random.default_rng(seed)
    truth = np.repeat(random.integers(0, 5, n_epochs // 2), 2)
    of_each = [
        np.where(random.random(n_epochs) < 0.2, random.choice([0, 1, 2, 3, 4, 9], n_epochs), truth) for _ in range(3)
    ]
    return dict(zip(("labels", "second", "corrected"), of_each, strict=True))


def write_night(folder, name, scored, n_epochs=N_EPOCHS):
    random = np.random.default_rng(len(name))
    signals = [
        edfio.EdfSignal(30 * random.standard_normal(100 * 30 * n_epochs), 100, label=label, physical_dimension="uV")
        for label in ("EEG C3-M2", "EOG E1-M2")
    ]
    edfio.Edf(signals).write(folder / f"{name}.edf")
    texts = {scorer: [NAMES[min(stage, 5)] for stage in stages] for scorer, stages in scored.items()}
    (folder / f"{name}.txt").write_text("\n".join(texts["labels"]))
    if "second" in texts:
        (folder / f"{name}_second.txt").write_text("\n".join(texts["second"]))
    if "corrected" in texts:
        rows = [f"{30 * i},{stage}" for i, stage in enumerate(texts["corrected"])]
        (folder / f"{name}_corrected.csv").write_text("\n".join(["onset,stage", *rows]))


def prepare(folder, **more):
    recipe = Recipe(**RECIPE | more)
    return prepare_archive([(recipe, folder)], folder / "archive.h5", sampling_rate_hz=64)[0].set_index("recording")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Three nights: three scorers, two scorers, one."""
    folder = tmp_path_factory.mktemp("lab")
    nights = {"a": scorings(1), "b": scorings(2), "c": scorings(3)}
    del nights["b"]["corrected"], nights["c"]["corrected"], nights["c"]["second"]
    for name, scored in nights.items():
        write_night(folder, name, scored)
    return folder, nights, prepare(folder)


def test_the_archive_keeps_every_scorer_beside_the_labels(lab):
    folder, nights, table = lab
    assert table.scorers.to_dict() == {"a": "second, corrected", "b": "second", "c": ""}
    assert "scorer corrected: left out, because no file is called '{stem}_corrected.csv'" in table.notes["b"]
    with Archive(folder / "archive.h5") as archive:
        found = archived_scorers(archive, archive.recordings())
        assert archive.scorers("lab", "c") == {}
    assert set(found) == {("lab", "a"), ("lab", "b")}  # one scorer has nobody to agree with
    for (_, recording), scorers in found.items():
        assert set(scorers) == set(nights[recording])
        for name, stages in scorers.items():
            assert stages.tolist() == nights[recording][name].tolist()


def test_two_agree_by_the_counts_of_epochs_that_both_have_scored(lab):
    folder, nights, _ = lab
    with Archive(folder / "archive.h5") as archive:
        table = agreement_table(archived_scorers(archive, archive.recordings()))
    rows = table[(table.scorer == "second") & (table.reference == "labels")].set_index("recording")
    assert rows.level.to_dict() == {"": "dataset", "a": "recording", "b": "recording"}
    both = [nights[name][of].tolist() for of in ("labels", "second") for name in "ab"]
    pairs = {"a": (both[0], both[2]), "b": (both[1], both[3]), "": (both[0] + both[1], both[2] + both[3])}
    for recording, sides in pairs.items():
        truth, said = (np.array(side)[(np.array(sides) != 9).all(axis=0)] for side in sides)
        row = rows.loc[recording]
        assert row.n_epochs == len(truth) and row.accuracy == pytest.approx((truth == said).mean())
        assert row.kappa == pytest.approx(cohen_kappa_score(truth, said))
        each = f1_score(truth, said, labels=range(5), average=None, zero_division=1)
        assert row[[f"f1_{stage.lower()}" for stage in STAGES]].tolist() == pytest.approx(list(each))
        assert row.mf1 == pytest.approx(each.mean())


def test_three_have_a_consensus_by_the_rule_of_dreem_and_two_have_none(lab):
    folder, nights, _ = lab
    with Archive(folder / "archive.h5") as archive:
        found = archived_scorers(archive, archive.recordings())
    assert list(lanes(found["lab", "b"])) == ["labels", "second"]
    consensus = consensus_hypnogram(list(nights["a"].values()))
    assert lanes(found["lab", "a"])["consensus"].tolist() == consensus.tolist()


def test_of_four_each_is_compared_with_the_consensus_of_the_others():
    """Of three that would be a consensus of two, who are equally reliable: the order of names would decide."""
    four = scorings(4) | {"network": scorings(5)["labels"]}
    table = agreement_table({("lab", "x"): four}).set_index(["level", "scorer", "reference"])
    assert len(table) == 2 * (6 + 4)
    for name, stages in four.items():
        others = consensus_hypnogram([four[other] for other in four if other != name])
        both = (others != 9) & (stages != 9)
        kappa = table.kappa["dataset", name, "consensus of the others"]
        assert kappa == pytest.approx(cohen_kappa_score(others[both], stages[both]))
    three = agreement_table({("lab", "x"): scorings(4)})
    assert set(three.reference) == {"labels", "second"}


def test_a_network_is_compared_with_each_scorer_and_their_consensus(lab):
    folder, nights, _ = lab
    network = build_model("anysleep", sampling_rate_hz=64).eval()
    with Archive(folder / "archive.h5") as archive:
        recordings = with_channel_types(archive, archive.recordings())
        done = evaluate([network], archive, plan_montages(recordings, "all", usleep=False))
        found = archived_scorers(archive, recordings)
    table = (
        agreement_table(found, {"mine": done.hypnograms}).set_index(["recording", "scorer", "reference"]).sort_index()
    )
    assert set(table.loc["a", "mine"].index) == {"labels", "second", "corrected", "consensus"}
    assert set(table.loc["b", "mine"].index) == {"labels", "second"}
    scored = nights["a"]["second"] != 9
    right = done.hypnograms["lab", "a"][scored] == nights["a"]["second"][scored]
    assert table.accuracy["a", "mine", "second"] == pytest.approx(right.mean())
    confusion = confusions_of(done.counts[done.counts.recording == "a"])[0]
    assert table.accuracy["a", "mine", "labels"] == pytest.approx(np.trace(confusion) / confusion.sum())


def test_the_hypnogram_that_05_writes_is_a_scorer_too(tmp_path):
    scored = scorings(1)
    write_night(tmp_path, "a", {"labels": scored["labels"]})
    hypnogram_table(ScoredNight(scored["second"], 1)).to_csv(tmp_path / "a_05.csv", index=False)
    columns = {"onset_s": "onset_s", "stage": "stage"}
    prepare(tmp_path, scorers={"network": {"reader": "table", "file": "{stem}_05.csv", "columns": columns}})
    with Archive(tmp_path / "archive.h5") as archive:
        assert archive.scorers("lab", "a")["network"].tolist() == scored["second"].tolist()


def test_a_damaged_scorer_is_refused_with_the_archive(tmp_path):
    write_night(tmp_path, "a", scorings(1))
    prepare(tmp_path)
    with h5py.File(tmp_path / "archive.h5", "r+") as file:
        del file["lab/a/scorers/second"]
        file["lab/a/scorers/second"] = np.zeros(N_EPOCHS - 1, dtype=np.int8)
    with Archive(tmp_path / "archive.h5") as archive, pytest.raises(ValueError, match=r"differ.*scorers/second"):
        archive.recordings()
    with h5py.File(tmp_path / "archive.h5", "r+") as file:
        file["lab/a/scorers/class_to_index"] = np.zeros(10**6, dtype=np.int8)
    with pytest.raises(ValueError, match="class_to_index"):
        Archive(tmp_path / "archive.h5")


def test_scorers_are_cut_with_the_night(tmp_path):
    """On the recipe's minutes around sleep, and where labels end before the signals."""
    labels = np.repeat([0, 2, 0], [20, 10, 10])
    write_night(tmp_path, "a", {"labels": labels, "second": np.where(labels == 2, 3, 1)[:30]})
    table = prepare(tmp_path, minutes_around_sleep=2, labels=RECIPE["labels"] | {"length": "trim_end"})
    with Archive(tmp_path / "archive.h5") as archive:
        assert archive.hypnogram("lab", "a").tolist() == [0] * 4 + [2] * 10 + [0] * 4
        assert archive.scorers("lab", "a")["second"].tolist() == [1] * 4 + [3] * 10 + [9] * 4
    assert "scorer second: the labels cover" in table.notes["a"]


def test_a_scorer_that_does_not_fit_is_left_out_and_the_night_is_kept(tmp_path):
    write_night(tmp_path, "a", scorings(1) | {"second": np.zeros(N_EPOCHS + 5, int)})
    table = prepare(tmp_path)
    assert table.status["a"] == "ok" and table.scorers["a"] == "corrected"
    assert "scorer second: left out, because the labels cover 0 s to 1350 s" in table.notes["a"]


def test_a_changed_scoring_makes_the_night_and_the_fingerprint_anew(tmp_path):
    write_night(tmp_path, "a", scorings(1))
    prepare(tmp_path)
    before = fingerprint_of(tmp_path / "archive.h5")
    (tmp_path / "a_second.txt").write_text("\n".join(["N2"] * N_EPOCHS))
    prepare(tmp_path)
    with Archive(tmp_path / "archive.h5") as archive:
        assert archive.scorers("lab", "a")["second"].tolist() == [2] * N_EPOCHS
        assert archive.fingerprint() != before


@pytest.mark.parametrize(
    ("scorers", "message"),
    [
        ({"labels": "{stem}.txt"}, "'labels' is no name, or one of labels, consensus"),
        ({"a/b": "{stem}.txt"}, "'a/b' is no name"),
        ({"second": ""}, "needs a pattern and a reader of files"),
        ({"second": {"reader": "own"}}, "needs a pattern and a reader of files"),
        ({"second": RECIPE["labels"] | {"length": "lights"}}, "only `labels` can cut a night"),
    ],
)
def test_a_scorer_that_cannot_be_read_is_refused_by_the_recipe(scorers, message):
    with pytest.raises(ParameterError, match=message):
        Recipe(**RECIPE | {"scorers": scorers})
    if isinstance(scorers.get("second"), str):
        with pytest.raises(ParameterError, match="needs a pattern"):
            Recipe(**RECIPE | {"labels": None, "scorers": {"second": "{stem}.txt"}})


def test_lanes_have_the_colours_of_the_stages():
    ax = plot_scorer_lanes({"labels": np.array([0, 0, 2, 9]), "second": np.array([0, 4, 4, 4])}).axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["labels", "second"]
    lanes_of = {
        (round(path.get_extents().y0 + 0.4), to_rgb(one.get_facecolor()[0])): (
            path.get_extents().x0,
            path.get_extents().x1,
        )
        for one in ax.collections
        for path in one.get_paths()
    }
    colours = [to_rgb(STAGE_COLOURS[stage]) for stage in range(5)]
    assert {key: tuple(np.round(np.multiply(x, 120)).astype(int)) for key, x in lanes_of.items()} == {
        (0, colours[0]): (0, 2),
        (0, colours[2]): (2, 3),
        (1, colours[0]): (0, 1),
        (1, colours[4]): (1, 4),
    }

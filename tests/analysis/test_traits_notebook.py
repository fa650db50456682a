"""07 run headless on a few invented persons: classes, participants, a split, shuffles, and human scorers."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest
from helpers.toy_runs import read
from sklearn.metrics import cohen_kappa_score, f1_score

from anysleep.datasets.splits import write_split
from anysleep.recordings.labels.consensus import consensus_hypnogram
from anysleep.workbook.runner import execute

ONE_OUT = {"n_folds": 0, "n_repetitions": 1, "n_bootstrap": 20, "n_jobs": 1}


def printed(folder):
    cells = nbformat.read(folder / "notebook.ipynb", as_version=4).cells
    return "".join(output.get("text", "") for cell in cells if cell.cell_type == "code" for output in cell.outputs)


def test_07_tells_classes_of_persons_that_the_network_has_not_seen(root, tmp_path):
    """Eight persons, the last with two nights; the split says that the network learned from the first two."""
    random, nights = np.random.default_rng(0), [*(f"p{i}n1" for i in range(8)), "p7n2"]
    asleep = np.repeat([False, True, False], [10, 91, 20])
    for r in (1, 8):
        (tmp_path / "staged" / f"r{r}").mkdir(parents=True)
        stages = {f"lab_{night}": np.repeat(asleep, r) * random.integers(1, 5, 121 * r) for night in nights}
        np.savez(tmp_path / "staged" / f"r{r}" / "predictions.npz", **stages)
    people = pd.DataFrame({"dataset": "lab", "recording": nights, "subject": [night[:2] for night in nights]})
    people["group"] = people.subject.map(lambda name: ["control", "osa"][int(name[1]) % 2])
    people.to_csv(tmp_path / "people.csv", index=False)
    write_split(tmp_path / "split.yaml", {"train": {"lab": nights[:2]}, "valid": {}, "test": {"lab": nights[2:]}})
    given = {"predictions": str(tmp_path / "staged"), "archive": "", "participants": str(tmp_path / "people.csv")}
    given |= {"split": str(tmp_path / "split.yaml"), "permutation": {"resolutions": [8], "n_shuffles": 3}}
    given |= {"trait": "group", "classes": ["control", "osa"], "run_dir": str(tmp_path / "07_traits")}
    execute("07_traits", [root / "params" / "demo" / "07_traits.yaml"], given | ONE_OUT)

    told = read(tmp_path, "07_traits", "predictions").merge(people[["recording", "group"]])
    assert (told.truth == told.group).all() and set(told.prediction) <= {"control", "osa"}
    summary = read(tmp_path, "07_traits", "summary").set_index("predictions_per_epoch")
    assert (summary.classes == "control or osa").all()
    for r, rows in told.groupby("predictions_per_epoch"):
        assert sorted(rows.recording) == nights[2:]
        score = f1_score(rows.truth, rows.prediction, average="macro", zero_division=1)
        assert summary["mean"][r] == pytest.approx(score)
    assert (summary.n_recordings == 7).all() and (summary.n_persons == 6).all() and (summary.measure == "mf1").all()
    tests = summary[["control", "p", "tested_score", "test_folds"]]
    assert tests.loc[1].isna().all() and tests.loc[8].notna().all()
    assert 4 * tests.p[8] in (1, 2, 3, 4) and tests.test_folds[8] == 3  # three persons of each class
    result = json.loads((tmp_path / "07_traits" / "result.json").read_text())
    outputs, headline = result["outputs"], result["scores"]
    assert headline["predictions_per_epoch"] == 8  # the first in permutation, whichever scores best
    assert headline["mf1"] == pytest.approx(summary["mean"][8], abs=1e-4) and headline["p"] == round(tests.p[8], 4)
    assert headline["shown"] == "not told apart from chance"  # p is at least 1/4
    assert "figures/permutation_8.svg" in outputs and "scorers.csv" not in outputs
    assert "the first block of lab/p2n1: 0.75 hours" in printed(tmp_path / "07_traits")  # 90 epochs of 30 s
    assert "DOD-O" not in printed(tmp_path / "07_traits")


def test_07_compares_scorers_and_says_what_two_data_sets_do_not_show(root, tmp_path):
    random = np.random.default_rng(0)
    nights = [(dataset, f"{dataset}{i}") for dataset in ("dodh", "dodo") for i in range(2)]
    scored = {"/".join(night): random.integers(0, 5, (5, 60)) for night in nights}
    np.savez(tmp_path / "scorers.npz", **scored)
    given = {"predictions": "", "archive": "", "scorers": str(tmp_path / "scorers.npz"), "trait": "dataset"}
    given |= {"classes": ["dodh", "dodo"], "permutation": {"resolutions": [], "n_shuffles": 0}}
    given |= {"run_dir": str(tmp_path / "07_traits")}
    execute("07_traits", [root / "params" / "demo" / "07_traits.yaml"], given | ONE_OUT)
    agreement = read(tmp_path, "07_traits", "scorers").set_index(["dataset", "recording", "scorer"]).kappa
    assert len(agreement) == 5 * len(nights)
    of_night = scored["dodo/dodo1"]
    assert agreement["dodo", "dodo1", 1] == pytest.approx(
        cohen_kappa_score(of_night[0], consensus_hypnogram(of_night[1:]))
    )
    summary = read(tmp_path, "07_traits", "summary")
    assert summary[["network", "datasets"]].to_numpy().tolist() == [["scorers", "dodh+dodo"]]
    assert summary.n_persons[0] == 4 and summary.predictions_per_epoch[0] == 1 and summary.p.isna().all()
    assert "DOD-O against DOD-H is no test for sleep apnoea" in printed(tmp_path / "07_traits")

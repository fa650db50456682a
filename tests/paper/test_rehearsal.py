"""The paper's run comes to its end: on what its public files look like, and where some of them are not there."""

import json

import pandas as pd
import pytest
import rehearsal

from anysleep.paper.results import read_results

VARIANTS = {
    "04_evaluate": ["", ".usleep", ".draws", ".pairs"],
    "05_predict": ["", ".attention", ".closeup"],
    "06_arousals": ["", ".closeup"],
    "07_traits": [""],
    "08_figures": [""],
}
"""Of the paper's runs those without which a figure has no content; `make rehearse` takes all."""


LEFT_OUT = {
    "sex_mf1_isruc",
    "osa_mf1_dod",
    "osa_mf1_usleep_claim",
    "age_rmse_mean_guess",  # is that of exactly 124 nights
}
"""What those runs do not measure."""


def keep_variants(folder):
    """Leave the parameter files of these runs alone, so that the graph has no others."""
    wanted = {f"{notebook}.{part}" for notebook, all in VARIANTS.items() for one in all for part in one.split(".")}
    for file in folder.glob("0[4-8]_*.yaml"):
        if f"{file.stem}." not in wanted and file.stem not in wanted:
            file.unlink()


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where snakemake leaves a folder behind when a job fails
    return tmp_path / "workbook"


def test_a_rehearsal_deletes_nothing_but_an_earlier_one(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    for taken in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(SystemExit, match="is not empty; name a new folder"):
            rehearsal.make_room(taken)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"
    (tmp_path / "empty").mkdir()
    for free in (tmp_path / "empty", tmp_path / "new"):
        rehearsal.make_room(free)
    monkeypatch.setattr(rehearsal, "DEFAULT", tmp_path / "mine")
    rehearsal.make_room(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def ledger_of(folder):
    rows = pd.read_csv(folder / "outputs/paper/08_figures/ledger.csv", dtype={"reason": str}).fillna({"reason": ""})
    assert len(rows) == len(read_results())
    return rows


@pytest.mark.slow
def test_the_papers_run_ends_with_every_figure(workbook):
    rehearsal.lay_out(workbook)
    keep_variants(workbook / "params" / "paper")
    assert rehearsal.run_paper(workbook) == 0
    assert rehearsal.figures_without_content(workbook) == []
    rows = ledger_of(workbook).query("network in ('anysleep', 'usleep') or network.isna()")
    assert set(rows[rows.verdict == "not measured"].result) <= LEFT_OUT


LACKING = {
    "01_prepare": {
        "datasets": {f"params/datasets/{name}.yaml": f"data/{name}" for name in ("isruc-sg3", "dodh", "dodo")}
    },
    "05_predict": {"datasets": ["isruc-sg3"], "predictions_per_epoch": [1, 8]},
    "07_traits": {"datasets": ["isruc-sg3"], "recipes": [], "predictions_per_epoch": [1, 8], "n_repetitions": 1},
}


@pytest.mark.slow
def test_what_is_not_there_is_a_row_of_the_ledger_and_does_not_stop_the_rest(workbook, capfd):
    rehearsal.lay_out(workbook, LACKING, datasets=["isruc-sg3", "dodh"])
    for file in (workbook / "params" / "paper").glob("*.yaml"):
        if file.stem not in ("01_prepare", "05_predict", "05_predict.dod", "07_traits", "07_traits.osa", "08_figures"):
            file.unlink()
    (workbook / "data" / "isruc-sg3" / "Details_subgroup_III_Submission.xlsx").unlink()
    assert rehearsal.run_paper(workbook) == 0
    assert "not on disk, and left out: dodo" in capfd.readouterr().err
    result = json.loads((workbook / "outputs/paper/07_traits/result.json").read_text())
    ages = "no recording is left: {'age unknown': 2}"
    assert result["scores"] == {"not_measured": ages} and result["outputs"] == []
    reasons = ledger_of(workbook).drop_duplicates("result").set_index("result").reason
    assert reasons.age_rmse_isruc.endswith(
        f"sg1+isruc-sg2+isruc-sg3; runs of this kind without anything to measure: outputs/paper/07_traits ({ages})"
    )
    assert "outputs/paper/07_traits.osa (no recording of dodo" in reasons.osa_mf1_dod

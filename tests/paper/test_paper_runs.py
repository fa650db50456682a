"""Runs are found by their folders, their tables put together, and what is damaged or contradicts itself is refused."""

import pandas as pd
import pytest
from helpers.published_study import Study, copied, tables_of, write_run

from anysleep.paper.ledger import ledger
from anysleep.paper.results import read_results
from anysleep.paper.runs import average_trained, describe_runs, find_runs, read_tables


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study that found exactly what was published."""
    return Study(tmp_path_factory.mktemp("study"), read_results()).write()


def test_the_mean_over_trained_networks_counts_each_once():
    table = pd.DataFrame({"x": [1, 1, 1, 2], "trained": ["a", "b", "a", "a"], "score": [0.2, 0.4, 0.9, 0.7]})
    means = average_trained(table, ["x"], ["score"])
    assert means.to_dict("list") == {"x": [1, 2], "score": [pytest.approx(0.3), 0.7], "n_trained": [2, 1]}


@pytest.mark.parametrize("began_at", ["", "outputs/paper/weights/anysleep-run1.pth"])
def test_what_was_fine_tuned_is_a_network_of_its_own(tmp_path, began_at):
    training = write_run(tmp_path / "03_train.tuned", {"fine_tune": {"initial_checkpoint": began_at}}, {})
    named = {"anysleep-run1.pth": "fresh", str(training / "checkpoint.pth"): "tuned"}
    for i, (checkpoint, digest) in enumerate(named.items()):
        nights = pd.DataFrame({"dataset": ["a"], "recording": ["1"], "network": ["anysleep"], "mf1": [0.7 + 0.2 * i]})
        write_run(tmp_path / f"05_predict.{i}", {"checkpoint": checkpoint}, {"nights": nights}, {"checkpoint": digest})
    runs, _ = find_runs([f"{tmp_path}/05*"], leave_out=tmp_path)
    means = average_trained(read_tables(runs)["05_predict/nights"], ["network"], ["mf1"])
    apart = {"anysleep": pytest.approx(0.7), "anysleep_fine_tuned": pytest.approx(0.9)}
    assert dict(zip(means.network, means.mf1, strict=True)) == (apart if began_at else {"anysleep": pytest.approx(0.8)})


def test_runs_are_found_and_described(study):
    runs, _ = find_runs([f"{study}/0*", f"{study}/05_predict.seed0"], leave_out=study / "07_traits.osa_mf1_dod0")
    folders = sorted(path.name for path in study.iterdir() if path.name != "07_traits.osa_mf1_dod0")
    assert [run.folder.name for run in runs] == folders
    overview = describe_runs(runs, read_tables(runs)).set_index("run")
    draws = overview.loc[overview.index.str.endswith("04_evaluate.draws")].iloc[0]
    assert (draws.notebook, draws.variant, draws.network) == ("04_evaluate", "draws", "anysleep and usleep")
    assert draws.run_id == "id-04_evaluate.draws" and draws.finished.startswith("2026")


def test_folders_that_cannot_be_used_are_listed_with_a_reason(tmp_path):
    (tmp_path / "04_evaluate.unfinished").mkdir()
    table = {"counts": pd.DataFrame({"dataset": ["a"]})}
    write_run(tmp_path / "02_inspect", {}, {"stages": pd.DataFrame({"n": [1]})})
    write_run(tmp_path / "04_evaluate.train", {"split": "s", "split_part": "train"}, table)
    write_run(tmp_path / "04_evaluate.mean", {"ensemble": True, "more_checkpoints": ["x"]}, table)
    with pytest.raises(ValueError, match=r"no finished run to draw \(.*02_inspect: wrote no table that is read here; "):
        find_runs([f"{tmp_path}/0*"], leave_out=tmp_path)
    write_run(tmp_path / "04_evaluate", {}, table)
    runs, unusable = find_runs([f"{tmp_path}/0*", f"{tmp_path}/nothing"], leave_out=tmp_path)
    assert [run.folder.name for run in runs] == ["04_evaluate"]
    reasons = {name.split("/")[-1]: reason for name, reason in unusable.itertuples(index=False)}
    assert "no table that is read here" in reasons["02_inspect"]
    assert "not finished" in reasons["04_evaluate.unfinished"]
    assert "part 'train'" in reasons["04_evaluate.train"]
    assert "mean of several checkpoints" in reasons["04_evaluate.mean"]
    assert "no folder" in reasons["nothing"]


@pytest.mark.parametrize("notebook", ["03_train", "04_evaluate", "05_predict", "06_arousals", "07_traits"])
def test_a_run_with_nothing_to_measure_has_its_reason_and_no_tables(tmp_path, notebook):
    folder = write_run(tmp_path / notebook, {"montages": "all", "trait": "age"}, {}, scores={"not_measured": "no eyes"})
    runs, unusable = find_runs([f"{tmp_path}/0*"], leave_out=tmp_path)
    assert unusable.reason.tolist() == ["nothing to measure: no eyes"]
    tables = read_tables(runs)
    assert list(tables) == ["not_measured"] and tables["not_measured"].reason.tolist() == ["no eyes"]
    assert describe_runs(runs, tables)[["notebook", "network"]].values.tolist() == [[notebook, ""]]
    assert (ledger(read_results(), tables).verdict == "not measured").all() and folder.is_dir()


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("scores.csv", lambda text: "", r"scores\.csv cannot be read"),
        ("scores.csv", lambda text: text.replace("iou_above", "iou"), r"scores\.csv has no column iou_above"),
        ("scores.csv", lambda text: text.replace("id-06", "id-77"), r"scores\.csv has rows of run id-77"),
        ("scores.csv", lambda text: text + text.splitlines()[3] + "\n", r"06_arousals.seed0 has two values"),
        ("result.json", lambda text: text[:-3], r"result\.json is damaged"),
        ("result.json", lambda text: "{}", r"result\.json is damaged \(no notebook, run_id, outputs\)"),
        ("result.json", lambda text: '{"run_id": "x"}', r"result\.json is damaged \(no notebook, outputs\)"),
        ("params.yaml", lambda text: text.replace("id-06", "id-7"), r"result\.json is of run id-06_arousals\.seed0"),
    ],
)  # fmt: skip
def test_damaged_and_contradictory_files_are_errors_that_name_them(study, tmp_path, file, change, message):
    folder = copied(study, tmp_path, "05_predict.seed0", "06_arousals.seed0")
    path = folder / "06_arousals.seed0" / file
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message):
        ledger(read_results(), tables_of(folder))


def test_a_table_that_a_run_wrote_and_that_is_gone_is_an_error(study, tmp_path):
    folder = copied(study, tmp_path, "07*0")
    (folder / "07_traits.osa_mf1_dod0" / "summary.csv").unlink()
    with pytest.raises(ValueError, match=r"07_traits\.osa_mf1_dod0/summary\.csv cannot be read"):
        tables_of(folder)


def test_a_checkpoint_without_counts_is_an_error_that_names_the_file(study, tmp_path):
    folder = copied(study, tmp_path, "04_evaluate.usleep")
    path = folder / "04_evaluate.usleep" / "intervals.csv"
    path.write_text(path.read_text().replace("usleep-0", "other"))
    with pytest.raises(ValueError, match=r"intervals\.csv names 'other', which counts\.csv lacks"):
        tables_of(folder)


def test_two_networks_of_one_name_are_an_error_that_names_both_runs(tmp_path):
    counts = {"counts": pd.DataFrame({"dataset": ["a"]})}
    nights = {"nights": pd.DataFrame({"dataset": ["a"], "recording": ["1"]})}
    named = {"checkpoint": "outputs/x/checkpoint.pth"}
    write_run(tmp_path / "04_evaluate", named, counts, inputs={"checkpoint_1": "aaa"})
    write_run(tmp_path / "05_predict", named, nights, inputs={"checkpoint": "aaa"})
    write_run(tmp_path / "06_arousals", {"predictions": str(tmp_path / "05_predict")}, counts, {"checkpoint": "aaa"})
    runs, _ = find_runs([f"{tmp_path}/0*"], leave_out=tmp_path)
    assert len(runs) == 3
    for folder in ("05_predict", "04_evaluate"):  # first 05 is of another network than 04, then 06 than both
        path = tmp_path / folder / "provenance.json"
        path.write_text(path.read_text().replace("aaa", "bbb"))
        with pytest.raises(ValueError, match=r"04_evaluate and .* different networks from outputs/x/checkpoint\.pth"):
            find_runs([f"{tmp_path}/04*", f"{tmp_path}/0*"], leave_out=tmp_path)

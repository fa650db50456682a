"""Every published number is there, has one row in the ledger, and is compared only with its like."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.published_study import Study, copied, tables_of, write_run

from anysleep.datasets.splits import count_split
from anysleep.paper.figures import plot_traits
from anysleep.paper.ledger import KEY, TOLERANCES, ledger, mf1_table, size_table, tolerance_table
from anysleep.paper.results import read_results
from anysleep.paper.runs import find_runs, read_tables
from anysleep.stages import STAGES


@pytest.fixture(scope="module")
def published():
    return read_results()


@pytest.fixture(scope="module")
def study(published, tmp_path_factory):
    """The folder of a study that found exactly what was published."""
    return Study(tmp_path_factory.mktemp("study"), published).write()


@pytest.fixture(scope="module")
def tables(study):
    return tables_of(study)


def rows_of_source(source):
    """The published numbers as (result, what tells them apart) -> number, straight from the file of facts."""
    numbers = {}
    for dataset, entry in source["mf1_per_dataset"].items():
        numbers["recordings_per_dataset", dataset, "value"] = entry["recordings"]
        for network in set(entry) - {"recordings", "held_out"}:
            numbers["mf1_per_dataset", dataset, network, "value"] = entry[network]["mf1"]
            numbers["mf1_per_dataset", dataset, network, "sd"] = entry[network]["sd"]
    for result in ("mf1_mean_in_distribution", "mf1_mean_held_out"):
        numbers |= {(result, network, "value"): value for network, value in source[result].items()}
    lines = {"anysleep_with_one_eog": ("anysleep", 1), "anysleep_without_eog": ("anysleep", 0)}
    for name, (network, n_eog) in (lines | {"usleep_vote_with_one_eog": ("usleep", 1)}).items():
        for n_eeg, value in source["mf1_by_eeg_channels"][name].items():
            numbers["mf1_by_eeg_channels", network, n_eeg, n_eog, "value"] = value
    lowest, highest = source["two_channel_mf1_range"]
    numbers["two_channel_mf1_range", "anysleep", "lowest_mf1", "value"] = lowest
    numbers["two_channel_mf1_range", "anysleep", "highest_mf1", "value"] = highest
    numbers["worst_single_channel_mf1", "anysleep", "lowest_mf1", "value"] = source["worst_single_channel_mf1"]
    for result in ("age_rmse_isruc", "sex_mf1_isruc", "osa_mf1_dod"):
        for r, entry in source[result].items():
            numbers[result, r, "value"], numbers[result, r, "sd"] = entry["mean"], entry["sd"]
            numbers |= {(result, r, f"run {i}"): value for i, value in enumerate(entry["runs"])}
    for grouped, value in source["age_rmse_mean_guess"].items():
        what, n = grouped.split("_")
        numbers["age_rmse_mean_guess", f"rmse_of_{n}_{what}", "value"] = value
    for name, value in source["osa_mf1_usleep_claim"].items():
        numbers["osa_mf1_usleep_claim", int(name.split("_")[1]), "value"] = value
    for r, scores in source["arousal_scores_at_iou_0_2_as_published"].items():
        numbers |= {("arousal_scores_as_published", r, name, "value"): value for name, value in scores.items()}
    for r, shares in source["stage_share_of_expert_arousal_time_W_N1_N2_N3_REM"].items():
        for stage, value in zip(STAGES, shares, strict=True):
            numbers["stage_share_of_arousal_time", r, stage, "value"] = value
    numbers["receptive_field", "receptive_field_min", "value"] = source["receptive_field_minutes"]
    for ours, theirs in (("n_train", "train"), ("n_valid", "validation"), ("n_test", "test")):
        numbers["recordings", ours, "value"] = source["recordings"][theirs]
    return numbers


APART = {
    "recordings_per_dataset": ("dataset",),
    "mf1_per_dataset": ("dataset", "network"),
    "mf1_mean_in_distribution": ("network",),
    "mf1_mean_held_out": ("network",),
    "mf1_by_eeg_channels": ("network", "n_eeg", "n_eog"),
    "two_channel_mf1_range": ("network", "measure"),
    "worst_single_channel_mf1": ("network", "measure"),
    "age_rmse_isruc": ("predictions_per_epoch",),
    "age_rmse_mean_guess": ("measure",),
    "sex_mf1_isruc": ("predictions_per_epoch",),
    "osa_mf1_dod": ("predictions_per_epoch",),
    "osa_mf1_usleep_claim": ("predictions_per_epoch",),
    "arousal_scores_as_published": ("predictions_per_epoch", "measure"),
    "stage_share_of_arousal_time": ("predictions_per_epoch", "stage"),
    "receptive_field": ("measure",),
    "recordings": ("measure",),
    "recordings_with_pairs": (),
    "recordings_with_draws": (),
    "recordings_with_attention": (),
    "recordings_by_part": ("dataset", "measure"),
    "parameters": ("network",),
    "usleep_swap_loss": ("measure",),
    "highest_attention": (),
}
"""What tells the rows of a result apart."""


PRINTED = {
    ("recordings_with_pairs", "value"): 563,
    ("recordings_with_draws", "value"): 643,
    ("recordings_with_attention", "value"): 614,
    ("parameters", "usleep", "value"): 3114337,
    ("parameters", "anysleep", "value"): 3157856,
    ("parameters", "anysleep_early_fusion", "value"): 3131601,
    ("parameters", "anysleep_late_fusion", "value"): 3137356,
    ("usleep_swap_loss", "lowest_loss", "value"): 0.16,
    ("usleep_swap_loss", "highest_loss", "value"): 0.203,
    ("highest_attention", "value"): 0.88,
}
"""Numbers that the paper prints and the file of facts lacks."""


def rows_of_split(shared):
    split = yaml.safe_load((shared / "upstream" / "usleep_split.yaml").read_text())
    parts = ("train", "valid")
    return {
        ("recordings_by_part", name, f"n_{part}", "value"): len(ids)
        for part in parts
        for name, ids in split[part].items()
    }


def rows_of_table(published):
    numbers = {}
    for row in published.to_dict("records"):
        key = row["result"], *(row[name] for name in APART[row["result"]])
        numbers[*key, "value"] = row["value"]
        if not np.isnan(row["sd"]):
            numbers[*key, "sd"] = row["sd"]
        numbers |= {(*key, f"run {i}"): float(value) for i, value in enumerate(row["runs"].split())}
    return numbers


def test_the_published_table_is_the_source_number_by_number(published, shared):
    source = yaml.safe_load((shared / "facts" / "published_results.yaml").read_text())
    theirs, ours = rows_of_source(source) | PRINTED | rows_of_split(shared), rows_of_table(published)
    assert set(ours) == set(theirs)
    assert {key: value for key, value in ours.items() if value != theirs[key]} == {}

    def count(entry):
        if isinstance(entry, dict):
            return sum(count(value) for value in entry.values())
        return len(entry) if isinstance(entry, list) else isinstance(entry, int | float) and not isinstance(entry, bool)

    n_counted = count(source)  # blindly: none was overlooked above
    assert n_counted == 297 + 126 + 126 and len(theirs) == n_counted + len(PRINTED) + 2 * 13
    held_out = {name for name, entry in source["mf1_per_dataset"].items() if entry["held_out"]}
    assert set(published.dataset[(published.held_out == "yes") & (published.dataset != "")]) == held_out


def test_every_row_says_where_it_is_printed_and_whose_it_is(published, shared):
    places = {"Table 1", "Table 2", "Figure 1a", "Figure 1b", "Figure 2", "Figure 4", "methods"}
    claims = published.printed_in.str.startswith("U-Sleep (doi ")
    assert set(published.result[claims]) == {"osa_mf1_usleep_claim"}
    assert set(published.printed_in[~claims]) == {*places, "section on high-frequency predictions"}
    assert ledger(published, {}).printed_in.tolist() == published.printed_in.tolist()
    totals = published[published.result == "recordings"].set_index("measure").value
    by_part = published[published.result == "recordings_by_part"].groupby("measure").value.sum()
    assert (by_part["n_train"], by_part["n_valid"]) == (totals["n_train"], totals["n_valid"]) == (18038, 559)


def test_the_pages_count_the_rows_of_the_ledger(published, root):
    for page in ("README.md", "docs/paper.md"):
        assert f"a row for each of {len(ledger(published, {}))} published numbers" in (root / page).read_text()
    assert len(published) == 333 and not published.duplicated(KEY).any()


def test_the_source_is_named_in_the_first_line(root):
    first = (root / "lib" / "anysleep" / "published" / "results.tsv").read_text().splitlines()[0]
    assert first.startswith("#") and "arXiv 2512.14461" in first and "means over three training runs" in first


def test_the_published_means_weigh_data_sets_by_their_recordings(published):
    scores = published[published.result == "mf1_per_dataset"]
    sizes = published[published.result == "recordings_per_dataset"].set_index("dataset").value
    for result, held_out in (("mf1_mean_in_distribution", "no"), ("mf1_mean_held_out", "yes")):
        means = published[published.result == result].set_index("network").value
        for network, rows in scores[scores.held_out == held_out].groupby("network"):
            mean = np.average(rows.value, weights=rows.dataset.map(sizes))
            assert mean == pytest.approx(means[network], abs=0.003)  # scores are printed with two digits


def test_every_published_number_has_one_row_and_is_within_where_all_is_equal(published, tables):
    rows = ledger(published, tables)
    assert rows[KEY].equals(published[KEY]) and not rows.duplicated(KEY).any()
    assert (rows.verdict == "within").all() and (rows.reason == "").all() and (rows.note == "").all()
    means = rows.result.str.startswith("mf1_mean")  # of scores with two digits
    assert rows.ours[~means].to_numpy() == pytest.approx(rows.published[~means].to_numpy(), abs=1e-12)
    trained = rows[~rows.result.str.startswith("recordings") & ~rows.result.isin(["receptive_field", "parameters"])]
    assert (trained[trained.network != ""].n_runs == 3).all()


def test_every_kind_of_number_has_a_tolerance_that_is_explained(published):
    table = tolerance_table()
    assert set(table.result) == set(published.result) == set(TOLERANCES)
    assert table.why.str.len().gt(5).all()


def test_a_tolerance_is_so_many_sd_but_never_less_than_stated(published):
    rows = ledger(published, {}).set_index(["result", "dataset", "network"])
    assert rows.tolerance["mf1_per_dataset", "dodh", "usleep"] == pytest.approx(0.024)  # two of 0.012
    assert rows.tolerance["mf1_per_dataset", "abc", "anysleep_early_fusion"] == 0.01  # two of 0.002 are less
    assert rows.tolerance["recordings_per_dataset", "abc", ""] == 0


@pytest.mark.parametrize(
    ("name", "chosen", "column", "moved"),
    [
        ("04_evaluate/all/intervals", {"dataset": "sedf-st", "network": "usleep"}, "estimate", 0.02),
        ("04_evaluate/drawn/channel_study", {"network": "anysleep", "n_eeg": 0}, "mf1", -0.02),
        ("06_arousals/scores", {"measure": "f1", "predictions_per_epoch": 8}, "estimate", 0.03),
        ("06_arousals/stage_shares", {"stage": "N2", "predictions_per_epoch": 1}, "share", -0.03),
        ("07_traits/summary", {"trait": "sex", "predictions_per_epoch": 128}, "mean", 0.1),
    ],
)  # fmt: skip
def test_one_number_off_makes_one_row_outside(published, tables, name, chosen, column, moved):
    table = tables[name].copy()
    of_chosen = (table[list(chosen)] == pd.Series(chosen)).all(axis=1)
    table.loc[of_chosen, column] += moved
    rows = ledger(published, tables | {name: table})
    outside = rows[rows.verdict == "outside"]
    assert len(outside) == 1 and (rows.verdict == "within").sum() == len(rows) - 1
    assert outside.iloc[0].ours - outside.iloc[0].published == pytest.approx(moved)


def test_without_runs_nothing_is_measured_and_each_row_says_what_would(published):
    rows = ledger(published, {})
    assert (rows.verdict == "not measured").all() and (rows.n_runs == 0).all() and rows.ours.isna().all()
    assert rows.reason.str.match(r"no run of 0\d_\w+").all() and not rows.reason.str.contains("<NA>|{").any()
    reasons = rows.set_index(["result", "dataset", "network"]).reason
    expected = "no run of 04_evaluate (montages all) of usleep with data set dodh"
    assert reasons["mf1_per_dataset", "dodh", "usleep"] == expected


def test_runs_without_anything_to_measure_are_named_where_they_are_about_the_same_data_sets(published, tmp_path):
    for name, trait, datasets in (("mesa", "age", ["mesa"]), ("isruc", "age", ["isruc-sg3"]), ("osa", "dataset", [])):
        params = {"trait": trait, "datasets": datasets}
        write_run(tmp_path / f"07_traits.{name}", params, {}, scores={"not_measured": f"no {name}"})
    runs, _ = find_runs([f"{tmp_path}/0*"], leave_out=tmp_path)
    reasons = ledger(published, read_tables(runs)).drop_duplicates("result").set_index("result").reason
    without = "; runs of this kind without anything to measure: "
    said = reasons.age_rmse_isruc.split(without)[1]
    assert said.endswith("07_traits.isruc (no isruc)") and "mesa" not in said and "osa" not in said
    said = reasons.osa_mf1_dod.split(without)[1]
    assert said.endswith("07_traits.osa (no osa)") and "isruc" not in said
    assert without not in reasons.mf1_per_dataset


@pytest.mark.parametrize(
    ("name", "result", "n"),
    [
        ("04_evaluate/pairs/counts", "recordings_with_pairs", 563),
        ("04_evaluate/drawn/counts", "recordings_with_draws", 643),
        ("05_predict/attention", "recordings_with_attention", 614),
    ],
)
def test_the_number_of_nights_of_a_figure_is_checked(published, tables, name, result, n):
    rows = ledger(published, tables).set_index("result")
    assert (rows.ours[result], rows.published[result], rows.verdict[result]) == (n, n, "within")
    more = [tables[name].assign(recording=f"one more {i}") for i in range(3)]
    more = [table[table.dataset == "isruc-sg1"].drop_duplicates(["run", "trained"]) for table in more]
    rows = ledger(published, tables | {name: pd.concat([tables[name], *more])}).set_index("result")
    assert (rows.ours[result], rows.verdict[result]) == (n + 3, "outside")
    other = tables[name].assign(dataset=tables[name].dataset.replace("phys", "mine"))
    rows = ledger(published, tables | {name: other}).set_index("result")
    assert rows.verdict[result] == "not measured" and "exactly the 1" in rows.reason[result]


def test_what_usleep_loses_with_eeg_and_eog_swapped_is_the_worst_and_best_of_six_sites(published, tables):
    """By hand: .75 as EEG and EOG; the other way round F3 .59, F4 .581, ..., O2 .547."""
    study = tables["04_evaluate/pairs/channel_study"]
    of_usleep = study[(study.network == "usleep") & (study.checkpoint == "usleep-0")].set_index(["first", "second"]).mf1
    assert of_usleep["F3", "EOG"] == 0.75 and of_usleep["EOG", "F3"] == pytest.approx(0.59)
    assert of_usleep["EOG", "O2"] == pytest.approx(0.547)
    rows = ledger(published, tables)
    loss = rows[rows.result == "usleep_swap_loss"].set_index("measure").ours
    assert loss.to_dict() == pytest.approx({"lowest_loss": 0.16, "highest_loss": 0.203})


@pytest.mark.parametrize("left_out", ["EOG", "F4"])
def test_pairs_of_fewer_sites_are_not_compared(published, tables, left_out):
    """Their range, their worst site and their number of nights are of another matrix than the published one."""
    study = tables["04_evaluate/pairs/channel_study"]
    fewer = tables | {"04_evaluate/pairs/channel_study": study[~(study[["first", "second"]] == left_out).any(axis=1)]}
    of_pairs = ["two_channel_mf1_range", "worst_single_channel_mf1", "usleep_swap_loss", "recordings_with_pairs"]
    rows = ledger(published, fewer)
    assert set(rows[rows.result.isin(of_pairs)].verdict) == {"not measured"}
    assert (rows[~rows.result.isin(of_pairs)].verdict == "within").all()


def test_attention_is_compared_in_the_published_montage_alone(published, tables):
    """However a data set calls the left eye; weights of another montage are no part of the highest."""
    attention = tables["05_predict/attention"]
    assert {"EOG1", "EOG_left_horizontal", "E1-M2"} <= set(attention.channel)
    other = attention.head(4).assign(montage="F3-M2&C3-M2", channel="C3-M2", weight=1.0, module=20)
    rows = ledger(published, tables | {"05_predict/attention": pd.concat([attention, other])}).set_index("result")
    assert rows.ours["highest_attention"] == pytest.approx(0.88) and rows.verdict["highest_attention"] == "within"


def test_counts_of_the_split_need_no_training(published, study, tmp_path):
    folder = copied(study, tmp_path, "03_train")
    split = yaml.safe_load((folder / "03_train" / "split.yaml").read_text())
    write_run(tmp_path / "scored" / "04_evaluate", {}, {"split": count_split(split)})
    rows = ledger(published, tables_of(tmp_path / "scored"))
    by_part = rows[rows.result == "recordings_by_part"]
    assert (by_part.verdict == "within").all() and len(by_part) == 26
    assert by_part.set_index(["dataset", "measure"]).ours["mros", "n_train"] == 3714
    totals = rows[rows.result == "recordings"].set_index("measure").ours
    assert (totals["n_train"], totals["n_valid"]) == (18038, 559) and np.isnan(totals["n_test"])
    sizes = size_table(rows).set_index(["dataset", "part"])
    assert sizes.loc[("shhs", "valid")].tolist() == [77, 77] and len(sizes) == 26 + 21
    assert sizes.published["svuh", "test"] == 25 and np.isnan(sizes.ours["svuh", "test"])


def test_other_data_sets_are_never_compared(published, tables):
    """A study of the same shape on other people: nothing but what follows from the network alone is comparable."""
    others = {}
    for name, table in tables.items():
        renamed = {column: "other" for column in ("dataset", "datasets") if column in table}
        others[name] = table.assign(**renamed).drop_duplicates()
    others = {name: table for name, table in others.items() if name != "04_evaluate/all/intervals"}
    rows = ledger(published, others)
    assert set(rows.result[rows.verdict != "not measured"]) == {"receptive_field", "parameters"}


def test_a_network_of_another_size_has_no_published_receptive_field(published, tables):
    small = tables["04_evaluate/cost"].assign(n_parameters=50_000, receptive_field_min=1)
    rows = ledger(published, {"04_evaluate/cost": small})
    assert (rows.verdict == "not measured").all()


def test_ours_is_the_mean_of_trained_networks_each_counted_once(published, study, tmp_path):
    folder = copied(study, tmp_path, "05*", "06*")
    path = folder / "06_arousals.seed0" / "stage_shares.csv"
    shares = pd.read_csv(path)
    wake = (shares.stage == "Wake") & (shares.predictions_per_epoch == 4)
    shares.loc[wake, ["share", "low", "high"]] += 0.03
    shares.to_csv(path, index=False)
    again = write_run(
        folder / "06_arousals.zagain",
        {"predictions": str(folder / "05_predict.seed0")},
        {name: pd.read_csv(path.with_name(f"{name}.csv")) for name in ("counts", "stage_shares")},
        {"checkpoint": "sha-anysleep-0"},
    )
    rows = ledger(published, tables_of(folder)).set_index(["result", "predictions_per_epoch", "stage"])
    row = rows.loc["stage_share_of_arousal_time", 4, "Wake"]
    assert row.n_runs == 3 and again.name not in row["run"] and len(row["run"].split()) == 3
    assert row.ours == pytest.approx(row.published + 0.01)
    assert (row.low, row.high) == pytest.approx((row.ours - 0.015, row.ours + 0.015))


def say_learned_from(run, datasets):
    """As if each checkpoint that the run read had been trained on so many of these data sets."""
    path = run / "provenance.json"
    provenance = json.loads(path.read_text())
    roles = zip(provenance["inputs_sha256"], datasets, strict=True)
    path.write_text(json.dumps(provenance | {"learned_from": dict(roles)}))


def test_a_network_that_learned_from_other_data_is_not_compared(published, study, tmp_path):
    folder = copied(study, tmp_path, "04_evaluate.usleep")
    sizes = published[published.result == "recordings_per_dataset"]
    as_published = sizes.dataset[sizes.held_out == "no"].tolist()
    one_more, all_more = [*as_published, "dodh"], [[*as_published, "my-lab", "dodh"]] * 3
    say_learned_from(folder / "04_evaluate.usleep", [one_more, as_published, as_published])
    rows = ledger(published, tables_of(folder)).set_index(["result", "dataset", "network"])
    assert rows.n_runs["mf1_per_dataset", "abc", "usleep"] == rows.n_runs["mf1_per_dataset", "dodh", "usleep"] == 2
    assert (rows.note == "").all()
    say_learned_from(folder / "04_evaluate.usleep", all_more)
    tables = tables_of(folder)
    rows = ledger(published, tables)
    of_usleep = rows[(rows.result == "mf1_per_dataset") & (rows.network == "usleep")]
    assert (of_usleep.verdict == "not measured").all() and not of_usleep["run"].any()
    expected = "only of networks that have learned from other data sets than the published ones (dodh, my-lab)"
    assert set(of_usleep.reason) == {expected}
    assert mf1_table(rows, published, tables).ours.isna().all()


def test_a_network_that_learned_from_fewer_data_sets_gets_a_note(published, study, tmp_path):
    folder = copied(study, tmp_path, "04_evaluate.usleep")
    say_learned_from(folder / "04_evaluate.usleep", [["abc"], ["abc"], ["abc", "ccshs"]])
    rows = ledger(published, tables_of(folder)).set_index(["result", "dataset", "network"])
    note = rows.note["mf1_per_dataset", "cfs", "usleep"]
    assert note == "trained on 1 of the 13 data sets; trained on 2 of the 13 data sets"
    say_learned_from(folder / "04_evaluate.usleep", [["abc", "unknown"]] * 3)
    rows = ledger(published, tables_of(folder)).set_index(["result", "dataset", "network"])
    assert rows.note["mf1_per_dataset", "cfs", "usleep"] == "tuned from weights that do not say their data"


def test_a_checkpoint_of_two_runs_of_04_is_one_trained_network(published, study, tmp_path):
    folder = copied(study, tmp_path, "04_evaluate.usleep")
    shutil.copytree(folder / "04_evaluate.usleep", folder / "04_evaluate.usleep2")
    rows = ledger(published, tables_of(folder)).set_index(["result", "dataset", "network"])
    assert rows.n_runs["mf1_per_dataset", "abc", "usleep"] == 3


def test_folds_by_recording_go_before_folds_by_person_which_get_a_note(published, tables):
    summary = tables["07_traits/summary"]
    by_person = summary.assign(group_by="subject", n_folds=5)
    by_person["mean"] += 1
    both = ledger(published, {"07_traits/summary": pd.concat([by_person, summary])})
    traits = both[both.result == "age_rmse_isruc"]
    assert (traits.verdict == "within").all() and (traits.note == "").all()
    by_person = by_person.drop_duplicates(["trait", "network", "trained", "predictions_per_epoch"])
    alone = ledger(published, {"07_traits/summary": by_person})
    traits = alone[alone.result == "age_rmse_isruc"]
    assert set(traits.note) == {"grouped by person, published by recording; 5 folds, published leaving one out"}


@pytest.mark.parametrize(
    ("table", "result", "note"),
    [
        ("06_arousals/counts", "arousal_scores_as_published", "2 recordings, 115 as published"),
        ("06_arousals/counts", "stage_share_of_arousal_time", "2 recordings, 115 as published"),
        ("04_evaluate/all/counts", "mf1_per_dataset", "2 recordings, 53 as published"),
        ("04_evaluate/drawn/channel_study", "mf1_by_eeg_channels", "2 recordings, 643 as published"),
        ("04_evaluate/pairs/channel_study", "two_channel_mf1_range", "2 recordings, 563 as published"),
        ("07_traits/summary", "sex_mf1_isruc", "2 recordings, 126 as published"),
        ("07_traits/summary", "osa_mf1_dod", "2 recordings, 80 as published"),
    ],
)
def test_fewer_recordings_than_published_get_a_note(published, tables, table, result, note):
    given = tables[table]
    few = given.assign(n_recordings=2) if "n_recordings" in given else given.groupby("run").head(2)
    if table == "04_evaluate/all/counts":
        few = given[given.dataset == "mass-c1"].groupby(["run", "checkpoint"]).head(2)
    rows = ledger(published, tables | {table: few})
    assert note in set(rows.note[(rows.result == result) & (rows.verdict != "not measured")])
    whole = ledger(published, tables)
    assert not whole.note[whole.result == result].any()


def test_the_figure_and_the_ledger_choose_the_same_run_of_a_trained_network(published, tables):
    summary = tables["07_traits/summary"]
    osa = summary[(summary.trait == "dataset") & (summary.network == "anysleep")]
    first = osa.assign(run="a first by name", channels="C3-M2", mean=0.1)
    second = osa.assign(run="b", n_repetitions=2, mean=0.2)
    both = {"07_traits/summary": pd.concat([first, second, summary])}
    rows = ledger(published, both)
    ours = rows[rows.result == "osa_mf1_dod"]
    ax = next(ax for ax in plot_traits(both, published).axes if "DOD-O" in ax.get_title(loc="left") + ax.get_title())
    line = next(line for line in ax.lines if line.get_label().startswith("AnySleep"))
    drawn = dict(zip(np.round(30 / line.get_xdata()).astype(int), line.get_ydata(), strict=True))
    assert drawn == pytest.approx(dict(zip(ours.predictions_per_epoch, ours.ours, strict=True)))


def test_the_mf1_table_has_all_data_sets_and_ours_beside_them(published, tables):
    extra = tables["04_evaluate/all/intervals"].assign(dataset="mine", estimate=0.5)
    counts = tables["04_evaluate/all/counts"]
    more = {
        "04_evaluate/all/intervals": pd.concat([tables["04_evaluate/all/intervals"], extra.drop_duplicates("trained")]),
        "04_evaluate/all/counts": pd.concat([counts, counts.assign(dataset="mine").drop_duplicates("trained")]),
    }
    table = mf1_table(ledger(published, tables | more), published, tables | more)
    sizes = table.groupby("group").dataset.nunique()  # with the row of the mean
    assert sizes.to_dict() == {"held out": 9, "in distribution": 14, "not published": 1}
    mine = table[table.dataset == "mine"]
    assert (mine.ours == 0.5).all() and mine.published.isna().all() and (mine.n_runs == 3).all()

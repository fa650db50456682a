"""The parity ledger: every published number beside ours, and whether they agree within a stated tolerance.

Only like is compared with like: the same data sets, network, resolution, channels and way of scoring, and no network
that has learned from data sets which the published ones never saw. What no run has measured is said to be not measured,
with the run that would.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from anysleep.paper.results import KEY, MEASURED, NUMBERS, dataset_scores, measured_numbers
from anysleep.paper.runs import LEARNED_FROM, NOT_MEASURED, Tables
from anysleep.staging.predictions import UNKNOWN


@dataclass(frozen=True)
class Tolerance:
    """How far ours may lie from the published number: so many published sd, but never less than `at_least`."""

    n_sd: float
    at_least: float
    why: str


EXACT = Tolerance(0, 0, "a count")
MF1_OF_RUNS = Tolerance(2, 0.01, "two sd over training runs; MF1 is printed with two digits")
MF1_NO_SD = Tolerance(0, 0.01, "no sd is published; two of the sd over runs that MF1 has in most data sets (0.004)")
WITH_FORESTS = Tolerance(2, 0, "two published sd, which are over training runs and repetitions of the forests")
AROUSAL = Tolerance(0, 0.02, "no sd is published; twice the sd over runs that MF1 has on the same nights (0.01)")
TOLERANCES = {
    "recordings_per_dataset": EXACT,
    "mf1_per_dataset": MF1_OF_RUNS,
    "mf1_mean_in_distribution": MF1_NO_SD,
    "mf1_mean_held_out": MF1_NO_SD,
    "mf1_by_eeg_channels": MF1_NO_SD,
    "two_channel_mf1_range": MF1_NO_SD,
    "worst_single_channel_mf1": MF1_NO_SD,
    "age_rmse_isruc": WITH_FORESTS,
    "age_rmse_mean_guess": Tolerance(0, 0.075, "follows from the ages: half the last digit, and n or n - 1 (0.07)"),
    "sex_mf1_isruc": WITH_FORESTS,
    "osa_mf1_dod": WITH_FORESTS,
    "osa_mf1_usleep_claim": Tolerance(0, 0.064, "a claim without sd; two sd of AnySleep at these resolutions (0.032)"),
    "arousal_scores_as_published": AROUSAL,
    "stage_share_of_arousal_time": AROUSAL,
    "receptive_field": Tolerance(0, 0.005, "follows from the network alone: half the last printed digit"),
    "recordings": EXACT,
    "recordings_with_pairs": EXACT,
    "recordings_with_draws": Tolerance(0, 2, "5,000 draws leave out 0.3 of 643 recordings in the mean"),
    "recordings_with_attention": EXACT,
    "recordings_by_part": EXACT,
    "parameters": EXACT,
    "usleep_swap_loss": Tolerance(0, 0.02, "no sd is published; the difference of two MF1, so twice their tolerance"),
    "highest_attention": Tolerance(0, 0.05, "no sd is published, and training runs differ: our choice"),
}

WHOLE_SIZE = "04_evaluate (cost_channels) of a network of the published size"
PAIRS = "04_evaluate (montages pairs) of {network} with the data sets that have all seven sites"
BY_RESOLUTION = "of {network} at {predictions_per_epoch} predictions an epoch with {dataset}"
MADE_BY = {
    "recordings_per_dataset": "04_evaluate with data set {dataset}",
    "mf1_per_dataset": "04_evaluate (montages all) of {network} with data set {dataset}",
    "mf1_mean_in_distribution": "04_evaluate (montages all) of {network} with all 13 data sets of the training",
    "mf1_mean_held_out": "04_evaluate (montages all) of {network} with all 8 held-out data sets",
    "mf1_by_eeg_channels": "04_evaluate (montages drawn) of {network} with {n_eeg} EEG and {n_eog} EOG channels of "
    "exactly the 12 data sets with 6 EEG channels",
    "two_channel_mf1_range": PAIRS,
    "worst_single_channel_mf1": PAIRS,
    "age_rmse_isruc": f"07_traits (age) {BY_RESOLUTION}",
    "age_rmse_mean_guess": "07_traits (age) with {dataset}",
    "sex_mf1_isruc": f"07_traits (sex) {BY_RESOLUTION}",
    "osa_mf1_dod": f"07_traits (dataset) {BY_RESOLUTION}",
    "osa_mf1_usleep_claim": f"07_traits (dataset) {BY_RESOLUTION}",
    "arousal_scores_as_published": f"06_arousals {BY_RESOLUTION}",
    "stage_share_of_arousal_time": f"06_arousals {BY_RESOLUTION}",
    "receptive_field": WHOLE_SIZE,
    "recordings": "04_evaluate or 03_train with the published split, for test with all 21 data sets",
    "recordings_with_pairs": "04_evaluate (montages pairs) with exactly the 10 data sets that have all seven sites",
    "recordings_with_draws": "04_evaluate (montages drawn) with exactly the 12 data sets with 6 EEG channels",
    "recordings_with_attention": "05_predict (left EOG, F3, C3, O1) with exactly the 11 data sets that have them",
    "recordings_by_part": "04_evaluate or 03_train with the published split",
    "parameters": WHOLE_SIZE,
    "usleep_swap_loss": PAIRS,
    "highest_attention": "05_predict (left EOG, F3, C3, O1) of {network} with exactly the 11 data sets that have them",
}
"""The run that measures a result."""


def tolerance_table() -> pd.DataFrame:
    """The rule of each result: result, n_sd, at_least, why."""
    return pd.DataFrame([{"result": name, **vars(rule)} for name, rule in TOLERANCES.items()])


def ledger(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """One row for every published number of `read_results`, in the same order, beside ours from `read_tables`.

    The columns that tell the numbers apart, then printed_in, published, sd, ours (the mean over trained networks),
    sd_of_runs (theirs, where there are several), low and high (the means of their 95 % intervals by person; empty where
    the tables have none), tolerance, verdict (within, outside, not measured), n_runs (trained networks), run (folders,
    by blanks), note, reason (where not measured). ValueError where a run has two values of one number.
    """
    measured = measured_numbers(published, tables)
    measured = measured.assign(**_compare_trainings(measured, published, tables))
    ours = _average(measured[measured.spoilt_by == ""])
    spoilt = measured.loc[measured.spoilt_by != "", [*KEY, "spoilt_by"]].drop_duplicates(KEY)
    rows = published.drop(columns=["runs", "held_out"]).rename(columns={"value": "published"})
    rows = rows.merge(ours, on=KEY, how="left", validate="one_to_one")
    rows = rows.merge(spoilt.astype(dict.fromkeys(NUMBERS, "Int64")), on=KEY, how="left")
    rules = [TOLERANCES[result] for result in rows.result]
    floor = np.array([rule.at_least for rule in rules])
    rows["tolerance"] = np.maximum(np.array([rule.n_sd for rule in rules]) * rows.sd.fillna(0), floor)
    agrees = (rows.ours - rows.published).abs() <= rows.tolerance + 1e-9  # 0.81 - 0.8 is a little above 0.01
    rows["verdict"] = np.where(rows.ours.isna(), "not measured", np.where(agrees, "within", "outside"))
    rows["n_runs"] = rows.n_runs.fillna(0).astype(int)
    rows["reason"] = [
        _reason(row, tables) if row["verdict"] == "not measured" else "" for row in rows.to_dict("records")
    ]
    rows[["run", "note"]] = rows[["run", "note"]].astype(object).fillna("")
    ours = ["ours", "sd_of_runs", "low", "high", "tolerance", "verdict", "n_runs", "run", "note", "reason"]
    return rows[[*KEY, "printed_in", "published", "sd", *ours]]


def mf1_table(rows: pd.DataFrame, published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """MF1 of every data set and network, published and ours, in and out of distribution, with the mean rows.

    `rows` are those of `ledger`, made of the same two. Columns group (in distribution, held out, not published),
    dataset, network, published, sd, ours, sd_of_runs, low, high, n_runs.
    """
    rows = rows[rows.result.isin(["mf1_per_dataset", "mf1_mean_in_distribution", "mf1_mean_held_out"])]
    group = published.held_out[rows.index].map({"yes": "held out", "no": "in distribution"})
    rows = rows.assign(group=group, dataset=rows.dataset.mask(rows.dataset == "", "mean"))
    ours = _average(dataset_scores(published, tables).reindex(columns=MEASURED))
    other = ours[~ours.dataset.isin(rows.dataset)].assign(group="not published")
    columns = ["group", "dataset", "network", "published", "sd", "ours", "sd_of_runs", "low", "high", "n_runs"]
    both = [part.reindex(columns=columns) for part in (rows, other) if len(part)]
    return pd.concat(both, ignore_index=True)


def size_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Recordings of every data set in training, validation and test, from the rows of `ledger`.

    Columns dataset, part (train, valid, test), published, ours.
    """
    rows = rows[rows.result.isin(["recordings_by_part", "recordings_per_dataset"])]
    part = rows.measure.replace("n_recordings", "n_test").str.removeprefix("n_")
    return rows.assign(part=part)[["dataset", "part", "published", "ours"]].reset_index(drop=True)


def _average(measured: pd.DataFrame) -> pd.DataFrame:
    """Mean over trained networks, each counted once: of several runs of one, the first by name."""
    twice = measured[measured.duplicated([*KEY, "trained", "run"])]
    if len(twice):
        first = twice.iloc[0]
        named = " ".join(str(first[name]) for name in KEY if not pd.isna(first[name]) and first[name] != "")
        raise ValueError(f"{first['run']} has two values of {named}; run its notebook again")
    once = measured.drop_duplicates([*KEY, "trained"])
    table = once.groupby(KEY, sort=False, dropna=False).agg(
        ours=("ours", "mean"),
        sd_of_runs=("ours", "std"),  # with n - 1; empty of one
        low=("low", "mean"),
        high=("high", "mean"),
        n_runs=("trained", "size"),
        run=("run", lambda names: " ".join(dict.fromkeys(names))),
        note=("note", lambda notes: "; ".join(dict.fromkeys(note for note in notes if isinstance(note, str) and note))),
    )
    return table.reset_index().astype(dict.fromkeys(NUMBERS, "Int64"))


def _compare_trainings(measured: pd.DataFrame, published: pd.DataFrame, tables: Tables) -> dict[str, list[str]]:
    """For each row the data sets that its network has learned from but the published ones not, and its note."""
    sizes = published[published.result == "recordings_per_dataset"]
    as_published = set(sizes.dataset[sizes.held_out == "no"])
    said = tables.get(LEARNED_FROM, pd.DataFrame(columns=["trained", "dataset"]))
    known = {trained: set(names) for trained, names in said.groupby("trained").dataset}
    spoilt_by = {trained: ", ".join(sorted(names - as_published - {UNKNOWN})) for trained, names in known.items()}
    fewer = {
        trained: "tuned from weights that do not say their data"
        if UNKNOWN in names
        else f"trained on {len(names)} of the {len(as_published)} data sets"
        for trained, names in known.items()
        if names != as_published
    }
    pairs = zip(measured.note, measured.trained, strict=True)
    notes = [[note if isinstance(note, str) else "", fewer.get(trained, "")] for note, trained in pairs]
    joined = ["; ".join(filter(None, parts)) for parts in notes]
    return {"spoilt_by": [spoilt_by.get(trained, "") for trained in measured.trained], "note": joined}


def _reason(row: dict[str, object], tables: Tables) -> str:
    if not pd.isna(row["spoilt_by"]):
        return f"only of networks that have learned from other data sets than the published ones ({row['spoilt_by']})"
    no_run = "no run of " + MADE_BY[str(row["result"])].format(**row)
    empty = [
        f"{run.run} ({run.reason})"
        for run in tables.get(NOT_MEASURED, pd.DataFrame()).itertuples()
        if no_run.startswith(f"no run of {run.kind}") and _may_share(str(row["dataset"]), run.datasets)
    ]
    return f"{no_run}; runs of this kind without anything to measure: {', '.join(empty)}" if empty else no_run


def _may_share(some: str, others: str) -> bool:
    """Whether two lists of data sets, joined by +, have one in common; an empty one stands for any."""
    return not some or not others or not set(some.split("+")).isdisjoint(others.split("+"))

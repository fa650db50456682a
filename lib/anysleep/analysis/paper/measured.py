"""What the collected tables say of every kind of published number: our side of the ledger.

Each function of `SOURCES` gives rows of one kind, for the same data sets, network, resolution and channels only.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from anysleep.analysis.paper.collected import SPLIT, Tables
from anysleep.stages import PUBLISHED_RATE_HZ

KEY = ["result", "dataset", "network", "predictions_per_epoch", "n_eeg", "n_eog", "stage", "measure"]
"""What tells published numbers apart."""
NUMBERS = ("predictions_per_epoch", "n_eeg", "n_eog")
MEASURED = [*KEY, "ours", "low", "high", "trained", "run", "note"]

ISRUC, DOD, MASS = "isruc-sg1+isruc-sg2+isruc-sg3", "dodh+dodo", "mass-c1+mass-c3"
AGES_OF_ISRUC = 124
"""Of its 126 test recordings; the age of two is not known."""
N_MANY_CHANNELS = 643
"""Recordings of the published channel study."""
DOD_MONTAGE = {"C3-M2", "F3-F4", "F3-M2", "F4-O2", "F3-O1", "EOG1", "EOG2"}
"""The fixed montage of the published OSA analysis."""
MANY_CHANNELS = frozenset("abc chat dcsm dodh dodo hpap isruc-sg1 isruc-sg2 isruc-sg3 mass-c1 mass-c3 phys".split())
"""Data sets with at least 6 EEG and 1 EOG channels, those of the published channel study."""
ALL_SITES = MANY_CHANNELS - {"dodh", "dodo"}
"""Those of them in which every recording has F3, F4, C3, C4, O1, O2 and EOG; the pairs need these."""
FULL_SIZE = {"usleep": 3114337, "anysleep": 3157856, "anysleep_early_fusion": 3131601, "anysleep_late_fusion": 3137356}
"""Parameters of the published networks: a smaller one has another receptive field."""


def _rows(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """With the columns `KEY` and note; texts and numbers that do not matter are empty and missing."""
    empty = {name: pd.NA if name in NUMBERS else "" for name in [*KEY, "note"] if name not in table}
    return table.assign(**(empty | columns)).astype(dict.fromkeys(NUMBERS, "Int64"))


def _note_of_part(rows: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """For each row whether its `n_recordings` are all of the published test; empty where they are."""
    sizes = published[published.result == "recordings_per_dataset"].set_index("dataset").value
    totals = [sum(sizes.get(name, np.nan) for name in names.split("+")) for names in rows.dataset]
    with_age = [AGES_OF_ISRUC if names == ISRUC else total for names, total in zip(rows.dataset, totals, strict=True)]
    return [
        "" if pd.isna(total) or n in (total, known) else f"{n} recordings, {total:.0f} as published"
        for n, total, known in zip(rows.n_recordings, totals, with_age, strict=True)
    ]


def _recordings_per_dataset(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    counts = tables.get("04_evaluate/all/counts", pd.DataFrame(columns=["run", "dataset", "recording"]))
    nights = counts.drop_duplicates(["run", "dataset", "recording"])
    sizes = nights.groupby(["run", "dataset"]).size().reset_index(name="ours")
    # Counts are no matter of the trained network: the run tells them apart.
    return _rows(sizes, result="recordings_per_dataset", measure="n_recordings", trained=sizes.run)


def dataset_scores(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """MF1 of every data set, whether published or not, with `n_recordings`."""
    if "04_evaluate/all/intervals" not in tables:
        return pd.DataFrame(columns=[*MEASURED, "n_recordings"])
    intervals, counts = tables["04_evaluate/all/intervals"], tables["04_evaluate/all/counts"]
    rows = intervals[(intervals.level == "dataset") & (intervals.score == "mf1")]
    nights = counts.drop_duplicates(["run", "checkpoint", "dataset", "recording"])
    sizes = nights.groupby(["run", "checkpoint", "dataset"]).size().reset_index(name="n_recordings")
    rows = rows.merge(sizes, on=["run", "checkpoint", "dataset"]).rename(columns={"estimate": "ours"})
    return _rows(rows, result="mf1_per_dataset", measure="mf1", note=_note_of_part(rows, published))


def _mean_scores(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Means over data sets, each weighing as much as it has recordings; this gives the published means."""
    scores, means = dataset_scores(published, tables), []
    sizes = published[published.result == "recordings_per_dataset"]
    for result, held_out in (("mf1_mean_in_distribution", "no"), ("mf1_mean_held_out", "yes")):
        datasets = set(sizes.dataset[sizes.held_out == held_out])
        rows = scores[scores.dataset.isin(datasets)].drop_duplicates(["network", "trained", "dataset"])
        for (network, trained), of_one in rows.groupby(["network", "trained"], sort=False):
            if set(of_one.dataset) == datasets:
                mean = np.average(of_one.ours.astype(float), weights=of_one.n_recordings.astype(float))
                known = {"network": network, "trained": trained, "run": " ".join(dict.fromkeys(of_one.run))}
                means.append({"result": result, "ours": mean} | known)
    return _rows(pd.DataFrame(means, columns=["result", "ours", "network", "trained", "run"]), measure="mf1")


def _runs_with(tables: Tables, counts: str, wanted: Callable[[frozenset[str]], bool]) -> list[str]:
    """Runs whose data sets are the wanted ones."""
    if counts not in tables:
        return []
    datasets = tables[counts].groupby("run").dataset.agg(frozenset)
    return [run for run, names in datasets.items() if wanted(names)]


def _channel_numbers(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    runs = _runs_with(tables, "04_evaluate/drawn/counts", lambda names: names == MANY_CHANNELS)
    study = tables.get("04_evaluate/drawn/channel_study", pd.DataFrame(columns=["run"]))
    rows = study[study.run.isin(runs)].rename(columns={"mf1": "ours"})
    part = [
        f"{n} recordings, {N_MANY_CHANNELS} as published" if n != N_MANY_CHANNELS else ""
        for n in rows.get("n_recordings", [])
    ]
    return _rows(rows, result="mf1_by_eeg_channels", measure="mf1", note=part)


def _channel_pairs(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    runs = _runs_with(tables, "04_evaluate/pairs/counts", lambda names: ALL_SITES <= names <= MANY_CHANNELS)
    study = tables.get("04_evaluate/pairs/channel_study", pd.DataFrame(columns=["run"]))
    study, rows = study[study.run.isin(runs)], []
    for (run, trained, network), cells in study.groupby(["run", "trained", "network"], sort=False) if runs else []:
        single = cells["first"] == cells["second"]
        known = {"run": run, "trained": trained, "network": network}
        pairs = {"result": "two_channel_mf1_range"} | known
        rows.append(pairs | {"measure": "lowest_mf1", "ours": cells.mf1[~single].min()})
        rows.append(pairs | {"measure": "highest_mf1", "ours": cells.mf1[~single].max()})
        alone = {"result": "worst_single_channel_mf1", "measure": "lowest_mf1"} | known
        rows.append(alone | {"ours": cells.mf1[single].min()})
    return _rows(pd.DataFrame(rows, columns=["result", "measure", "ours", "run", "trained", "network"]))


TRAITS = (
    ("age_rmse_isruc", "age", ISRUC, "rmse", "anysleep"),
    ("sex_mf1_isruc", "sex", ISRUC, "mf1", "anysleep"),
    ("osa_mf1_dod", "dataset", DOD, "mf1", "anysleep"),
    ("osa_mf1_usleep_claim", "dataset", DOD, "mf1", "usleep"),
)
"""Result, trait, data sets, measure and network, as in 07's summary."""


def nearest_first(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of 07's summary, first those that were made most nearly as published.

    Of several runs of one trained network the first counts: of the published montage, then of most repetitions.
    """
    order = summary.assign(other=_other_montage(summary)).sort_values(
        ["other", "n_repetitions"], ascending=[True, False], kind="stable"
    )
    return order.drop(columns="other")


def _other_montage(summary: pd.DataFrame) -> pd.Series:
    """Rows that tell data sets apart by stages of other channels than the published ones."""
    return (summary.trait == "dataset") & (summary.channels.str.split("&").map(set) != DOD_MONTAGE)


def _traits(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Grouped by recording as published; by person, with a note, where that is all there is."""
    if "07_traits/summary" not in tables:
        return pd.DataFrame(columns=MEASURED)
    summary = nearest_first(tables["07_traits/summary"]).rename(columns={"mean": "ours", "datasets": "dataset"})
    by = np.where(summary.group_by == "recording", "", "grouped by person, published by recording; ")
    folds = np.where(summary.n_folds == 0, "", summary.n_folds.astype(str) + " folds, published leaving one out; ")
    few = np.where(summary.n_repetitions == 50, "", summary.n_repetitions.astype(str) + " repetitions, published 50; ")
    montage = np.where(_other_montage(summary), "not the published montage, which may tell the data set; ", "")
    notes = zip(by, folds, few, montage, _note_of_part(summary, published), strict=True)
    summary = summary.assign(note=["".join(parts).removesuffix("; ") for parts in notes])
    parts = []
    for result, trait, dataset, measure, network in TRAITS:
        of_trait = summary[(summary.trait == trait) & (summary.dataset == dataset)]
        rows = of_trait[(of_trait.measure == measure) & (of_trait.network == network)]
        as_published = rows.groupby("predictions_per_epoch").group_by.transform(lambda by: (by == "recording").any())
        rows = rows[(rows.group_by == "recording") | ~as_published.astype(bool)]
        parts.append(_rows(rows, result=result))
    return pd.concat(parts, ignore_index=True)


def _mean_guess(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """RMSE of always saying the mean age, which is the standard deviation of the ages."""
    if "07_traits/summary" not in tables:
        return pd.DataFrame(columns=MEASURED)
    summary = tables["07_traits/summary"]
    rows = summary[(summary.trait == "age") & (summary.datasets == ISRUC) & (summary.measure == "rmse")]
    rows = rows[rows.n_recordings == AGES_OF_ISRUC]
    rows = rows.drop_duplicates("run")[["run", "datasets", "sd_of_recordings", "sd_of_persons"]]
    names = {"sd_of_recordings": "rmse_of_124_recordings", "sd_of_persons": "rmse_of_116_persons"}
    rows = rows.rename(columns=names | {"datasets": "dataset"})
    rows = rows.melt(["run", "dataset"], list(names.values()), var_name="measure", value_name="ours")
    return _rows(rows, result="age_rmse_mean_guess", trained=rows.run)


def _arousal_scores(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    if "06_arousals/scores" not in tables:
        return pd.DataFrame(columns=MEASURED)
    scores = _with_number_of_nights(tables["06_arousals/scores"], tables)
    as_published = (scores.matching == "as_published") & np.isclose(scores.iou_above, 0.2)
    rows = scores[as_published & (scores.datasets == MASS)]
    rows = rows.rename(columns={"estimate": "ours", "datasets": "dataset"})
    return _rows(rows, result="arousal_scores_as_published", note=_note_of_part(rows, published))


def _with_number_of_nights(table: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """A table of 06 with the number of nights that each run has scored."""
    nights = tables["06_arousals/counts"].drop_duplicates(["run", "dataset", "recording"]).groupby("run").size()
    return table.assign(n_recordings=table.run.map(nights))


def _stage_shares(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    if "06_arousals/stage_shares" not in tables:
        return pd.DataFrame(columns=MEASURED)
    shares = _with_number_of_nights(tables["06_arousals/stage_shares"], tables)
    rows = shares[shares.datasets == MASS].rename(columns={"share": "ours", "datasets": "dataset"})
    return _rows(rows, result="stage_share_of_arousal_time", measure="share", note=_note_of_part(rows, published))


def _receptive_field(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Of U-Sleep and AnySleep, which share one U-Net."""
    columns = ["network", "sampling_rate_hz", "n_parameters", "run"]
    cost = tables.get("04_evaluate/cost", pd.DataFrame(columns=columns))
    full_size = (cost.n_parameters == cost.network.map(FULL_SIZE)) & (cost.sampling_rate_hz == PUBLISHED_RATE_HZ)
    rows = cost[full_size & cost.network.isin(["usleep", "anysleep"])].drop_duplicates(["run"])
    rows = rows.rename(columns={"receptive_field_min": "ours"}).drop(columns="network")
    return _rows(rows, result="receptive_field", measure="receptive_field_min", trained=rows.run)


def _recordings(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Recordings in all: of training and validation from the split, of the test from what was scored."""
    sizes = published[published.result == "recordings_per_dataset"]
    parts = []
    if SPLIT in tables:
        split = tables[SPLIT]
        of_training = set(sizes.dataset[sizes.held_out == "no"])
        seen = split[split.part == "train"].groupby("run").dataset.agg(set)
        runs = [run for run, names in seen.items() if names == of_training]
        rows = split[split.run.isin(runs) & split.part.isin(["train", "valid"])]
        sums = rows.groupby(["run", "part"]).n_recordings.sum().reset_index(name="ours")
        parts.append(sums.assign(measure="n_" + sums.part))
    tested = _recordings_per_dataset(published, tables)
    for run, rows in tested.groupby("run"):
        if set(rows.dataset) == set(sizes.dataset):
            parts.append(pd.DataFrame({"run": [run], "measure": ["n_test"], "ours": [rows.ours.sum()]}))
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["run", "measure", "ours"])
    return _rows(rows, result="recordings", trained=rows.run)


SOURCES: tuple[Callable[[pd.DataFrame, Tables], pd.DataFrame], ...] = (
    _recordings_per_dataset,
    dataset_scores,
    _mean_scores,
    _channel_numbers,
    _channel_pairs,
    _traits,
    _mean_guess,
    _arousal_scores,
    _stage_shares,
    _receptive_field,
    _recordings,
)
"""What finds our numbers in the tables."""

"""The published results, and what the collected tables say of every kind of them: both sides of the ledger.

Each function of `NUMBERS_OF` gives rows of one kind, for the same data sets, network, resolution and channels only.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from anysleep.paper.runs import NIGHT, SPLIT_COLUMNS, SPLITS, Tables
from anysleep.published import read_published
from anysleep.recordings.channels import is_left_eye, site_of
from anysleep.stages import PUBLISHED_RATE_HZ

FIXED_SITES = ("EOG", "F3", "C3", "O1")
"""The sites of the published figure: the left EOG, here EOG, and EEG channels of the left side."""


def with_sites(attention: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column site ('C3' of C3-M2, EOG of the left eye, or the label itself) and is_fixed.

    `is_fixed` says whether the row's montage is of the four published sites. Weights are shares within a montage, so
    those of other montages cannot be averaged with them.
    """
    labels = {label for montage in attention.montage.unique() for label in montage.split("&")}
    sites = {label: "EOG" if is_left_eye(label) else site_of(label) or label for label in labels}
    fixed = {
        montage: sorted(sites[label] for label in montage.split("&")) == sorted(FIXED_SITES)
        for montage in attention.montage.unique()
    }
    return attention.assign(site=attention.channel.map(sites), is_fixed=attention.montage.map(fixed).astype(bool))


def read_results() -> pd.DataFrame:
    """The published results, a row a number; `sd` is the one published with it (NaN where none is).

    Columns result, dataset (several joined by +), network, predictions_per_epoch, n_eeg, n_eog (missing where they do
    not matter), stage, measure, value, sd, runs (of each training run, by blanks) and held_out (yes or no, of data
    sets). Texts that do not matter are empty. Over training runs alone in `mf1_per_dataset`, `sd` is over runs and
    repetitions with other forests for age, sex and OSA.
    """
    table = pd.DataFrame(read_published("results"))
    counts, numbers = ["predictions_per_epoch", "n_eeg", "n_eog"], ["value", "sd"]
    table[[*counts, *numbers]] = table[[*counts, *numbers]].apply(pd.to_numeric)
    return table.astype(dict.fromkeys(counts, "Int64"))


KEY = ["result", "dataset", "network", "predictions_per_epoch", "n_eeg", "n_eog", "stage", "measure"]
"""What tells published numbers apart."""
NUMBERS = ("predictions_per_epoch", "n_eeg", "n_eog")
MEASURED = [*KEY, "ours", "low", "high", "trained", "run", "note"]

ISRUC, DOD, MASS = "isruc-sg1+isruc-sg2+isruc-sg3", "dodh+dodo", "mass-c1+mass-c3"
AGES_OF_ISRUC = 124
"""Of its 126 test recordings; the age of two is not known."""
DOD_MONTAGE = {"C3-M2", "F3-F4", "F3-M2", "F4-O2", "F3-O1", "EOG1", "EOG2"}
"""The fixed montage of the published OSA analysis."""
MANY_CHANNELS = frozenset("abc chat dcsm dodh dodo hpap isruc-sg1 isruc-sg2 isruc-sg3 mass-c1 mass-c3 phys".split())
"""Data sets with at least 6 EEG and 1 EOG channels, those of the published channel study."""
ALL_SITES = MANY_CHANNELS - {"dodh", "dodo"}
"""Those of them with F3, F4, C3, C4, O1 and O2 against ear or mastoid; the pairs need these."""
SITES = ("EOG", "F3", "F4", "C3", "C4", "O1", "O2")
"""Rows and columns of the published matrix of pairs."""
WITH_ATTENTION = MANY_CHANNELS - {"dodh"}
"""Those of them with left EOG, F3, C3 and O1, the montage of the published figure of attention."""


def _rows(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """With the columns `KEY` and note; texts and numbers that do not matter are empty and missing."""
    empty = {name: pd.NA if name in NUMBERS else "" for name in [*KEY, "note"] if name not in table}
    return table.assign(**(empty | columns)).astype(dict.fromkeys(NUMBERS, "Int64"))


def _published(published: pd.DataFrame, result: str) -> float:
    """The one number of a result."""
    return published.value[published.result == result].item()


def _note_of_number(numbers: pd.Series, as_published: float) -> list[str]:
    """For each number of recordings whether it is the published one; empty where it is."""
    return ["" if n == as_published else f"{n} recordings, {as_published:.0f} as published" for n in numbers]


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
    counts = tables.get("04_evaluate/all/counts", pd.DataFrame(columns=["run", *NIGHT]))
    sizes = counts.drop_duplicates(["run", *NIGHT]).groupby(["run", "dataset"]).size().reset_index(name="ours")
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
    datasets = tables[counts].groupby("run").dataset.agg(frozenset)
    return [run for run, names in datasets.items() if wanted(names)]


def _nights_of(tables: Tables, counts: str, runs: Sequence[str]) -> pd.DataFrame:
    """How many recordings each of these runs has scored: run, ours."""
    nights = tables[counts].drop_duplicates(["run", *NIGHT])
    return nights[nights.run.isin(runs)].groupby("run").size().reset_index(name="ours")


def _channel_numbers(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    counts = "04_evaluate/drawn/counts"
    runs = _runs_with(tables, counts, lambda names: names == MANY_CHANNELS)
    study = tables.get("04_evaluate/drawn/channel_study", pd.DataFrame(columns=["run", "n_recordings"]))
    rows = study[study.run.isin(runs)].rename(columns={"mf1": "ours"})
    note = _note_of_number(rows.n_recordings, _published(published, "recordings_with_draws"))
    scores = _rows(rows, result="mf1_by_eeg_channels", measure="mf1", note=note)
    nights = _nights_of(tables, counts, runs)
    number = _rows(nights, result="recordings_with_draws", measure="n_recordings", trained=nights.run)
    return pd.concat([scores, number], ignore_index=True)


def _channel_pairs(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """What is published of the matrix: its range, the worst site alone, and what U-Sleep loses with EEG for EOG.

    Only of runs with every site: of fewer, neither the range nor the worst is that of the published matrix.
    """
    counts = "04_evaluate/pairs/counts"
    study = tables.get("04_evaluate/pairs/channel_study", pd.DataFrame(columns=["run", "first", "second"]))
    whole = study.groupby("run")["first"].agg(set).map(set(SITES).issubset)
    runs = [run for run in _runs_with(tables, counts, lambda names: names == ALL_SITES) if whole.get(run, False)]
    study, rows = study[study.run.isin(runs) & study["first"].isin(SITES) & study["second"].isin(SITES)], []
    for (run, trained, network), cells in study.groupby(["run", "trained", "network"], sort=False) if runs else []:
        mf1 = cells.set_index(["first", "second"]).mf1
        alone, pairs = (mf1[(cells["first"] == cells["second"]).to_numpy() == same] for same in (True, False))
        found = [("two_channel_mf1_range", "lowest_mf1", pairs.min())]
        found += [("two_channel_mf1_range", "highest_mf1", pairs.max())]
        found += [("worst_single_channel_mf1", "lowest_mf1", alone.min())]
        if network == "usleep":
            loss = [mf1[site, "EOG"] - mf1["EOG", site] for site in SITES[1:]]
            found += [("usleep_swap_loss", "lowest_loss", min(loss)), ("usleep_swap_loss", "highest_loss", max(loss))]
        known = {"run": run, "trained": trained, "network": network, "n_recordings": cells.n_recordings.max()}
        rows += [dict(zip(("result", "measure", "ours"), one, strict=True)) | known for one in found]
    columns = ["result", "measure", "ours", "run", "trained", "network", "n_recordings"]
    table = pd.DataFrame(rows, columns=columns)
    note = _note_of_number(table.n_recordings, _published(published, "recordings_with_pairs"))
    nights = _nights_of(tables, counts, runs)
    number = _rows(nights, result="recordings_with_pairs", measure="n_recordings", trained=nights.run)
    return pd.concat([_rows(table, note=note), number], ignore_index=True)


def _attention(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Nights with the published montage, and the highest mean weight of a site at a depth."""
    attention = with_sites(tables["05_predict/attention"])
    attention = attention[attention.is_fixed]
    runs = [run for run, names in attention.groupby("run").dataset.agg(frozenset).items() if names == WITH_ATTENTION]
    of_runs = attention[attention.run.isin(runs)]
    keys = ["run", "trained", "network"]
    weights = of_runs.groupby([*keys, "module", "site"]).weight.mean().groupby(keys).max().reset_index(name="ours")
    nights = _nights_of({"attention": of_runs}, "attention", runs)
    note = _note_of_number(
        weights.run.map(nights.set_index("run").ours), _published(published, "recordings_with_attention")
    )
    number = _rows(nights, result="recordings_with_attention", measure="n_recordings", trained=nights.run)
    return pd.concat(
        [_rows(weights, result="highest_attention", measure="weight", note=note), number], ignore_index=True
    )


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
    summary = tables["07_traits/summary"]
    rows = summary[(summary.trait == "age") & (summary.datasets == ISRUC) & (summary.measure == "rmse")]
    rows = rows[rows.n_recordings == AGES_OF_ISRUC]
    rows = rows.drop_duplicates("run")[["run", "datasets", "sd_of_recordings", "sd_of_persons"]]
    names = {"sd_of_recordings": "rmse_of_124_recordings", "sd_of_persons": "rmse_of_116_persons"}
    rows = rows.rename(columns=names | {"datasets": "dataset"})
    rows = rows.melt(["run", "dataset"], list(names.values()), var_name="measure", value_name="ours")
    return _rows(rows, result="age_rmse_mean_guess", trained=rows.run)


def _arousal_scores(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
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
    shares = _with_number_of_nights(tables["06_arousals/stage_shares"], tables)
    rows = shares[shares.datasets == MASS].rename(columns={"share": "ours", "datasets": "dataset"})
    return _rows(rows, result="stage_share_of_arousal_time", measure="share", note=_note_of_part(rows, published))


def _of_full_size(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """What follows from the networks alone, where they are as large as the published ones; U-Sleep tells."""
    cost = tables["04_evaluate/cost"]
    usleep = published.value[(published.result == "parameters") & (published.network == "usleep")].item()
    is_full = (cost.network == "usleep") & (cost.n_parameters == usleep) & (cost.sampling_rate_hz == PUBLISHED_RATE_HZ)
    rows = cost[cost.run.isin(cost.run[is_full])].drop_duplicates(["run", "network"])
    sizes = rows.assign(ours=rows.n_parameters)
    fields = rows[rows.network == "usleep"].assign(ours=rows.receptive_field_min, network="")  # all share one U-Net
    return pd.concat(
        [
            _rows(sizes, result="parameters", measure="n_parameters", trained=sizes.run),
            _rows(fields, result="receptive_field", measure="receptive_field_min", trained=fields.run),
        ],
        ignore_index=True,
    )


def _recordings(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Of training and validation by data set and in all, from the split; of the test in all, from what was scored."""
    sizes = published[published.result == "recordings_per_dataset"]
    split = pd.concat([tables.get(name, pd.DataFrame(columns=["run", *SPLIT_COLUMNS])) for name in SPLITS])
    of_training = set(sizes.dataset[sizes.held_out == "no"])
    seen = split[split.part == "train"].groupby("run").dataset.agg(set)
    runs = [run for run, names in seen.items() if names == of_training]
    rows = split[split.run.isin(runs) & split.part.isin(["train", "valid"])]
    by_part = rows.rename(columns={"n_recordings": "ours"}).assign(measure="n_" + rows.part)
    sums = by_part.groupby(["run", "measure"]).ours.sum().reset_index()
    tested = _recordings_per_dataset(published, tables)
    whole = [(run, rows.ours.sum()) for run, rows in tested.groupby("run") if set(rows.dataset) == set(sizes.dataset)]
    tests = pd.DataFrame(whole, columns=["run", "ours"]).assign(measure="n_test")
    parts = [(sums, "recordings"), (tests, "recordings"), (by_part, "recordings_by_part")]
    return pd.concat(
        [_rows(one, result=result, trained=one.run) for one, result in parts if len(one)] or [_rows(sums)],
        ignore_index=True,
    )


NumbersOf = Callable[[pd.DataFrame, Tables], pd.DataFrame]
NUMBERS_OF: dict[NumbersOf, str] = {
    _recordings_per_dataset: "04_evaluate/all/counts",
    dataset_scores: "04_evaluate/all/intervals",
    _mean_scores: "04_evaluate/all/intervals",
    _channel_numbers: "04_evaluate/drawn/counts",
    _channel_pairs: "04_evaluate/pairs/counts",
    _attention: "05_predict/attention",
    _traits: "07_traits/summary",
    _mean_guess: "07_traits/summary",
    _arousal_scores: "06_arousals/scores",
    _stage_shares: "06_arousals/stage_shares",
    _of_full_size: "04_evaluate/cost",
    _recordings: "",
}
"""What finds our numbers in the tables, and the table without which it finds none."""


def measured_numbers(published: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Our side of the ledger: the columns `MEASURED`, a row a number of a run."""
    found = [
        numbers_of(published, tables) for numbers_of, needed in NUMBERS_OF.items() if not needed or needed in tables
    ]
    filled = [table.reindex(columns=MEASURED) for table in found if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=MEASURED)

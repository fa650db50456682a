"""Scores at every level from one table of counts: counts are summed, never scores (AnySleep, methods: evaluation).

A table of counts has a row a night and montage (and checkpoint): dataset, recording, subject, channels, sites, n_eeg,
n_eog, n_draws (how often the row counts), and the 25 cells of its confusion matrix, `COUNTS`.
"""

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from anysleep.evaluation.metrics import (
    bootstrap_scores,
    paired_bootstrap,
    paired_bootstrap_of_means,
    scores_of_confusions,
    welch_as_published,
)
from anysleep.stages import N_STAGES, STAGES

COUNTS = [f"{truth.lower()}_as_{prediction.lower()}" for truth in STAGES for prediction in STAGES]
"""Columns of epochs by true and predicted stage, row by row of the confusion matrix."""

LEVELS = {"all": [], "dataset": ["dataset"], "recording": ["dataset", "recording", "subject"], "montage": ["channels"]}
"""What tells the rows of a level apart."""

COMPARED_BY = {"all": ["dataset"], "named": ["dataset"], "drawn": ["n_eeg", "n_eog"], "pairs": ["sites"]}
"""What `compare_checkpoints` tells apart, by the way the montages were chosen."""

PUBLISHED_MODES = ("drawn", "pairs")
"""The ways to choose montages for which there is a published test of one checkpoint against another."""

CASE = ["training_run", "dataset", "recording", "subject", "channels"]
"""What must be the same where checkpoints are compared."""

IDENTITY = ["checkpoint", "dataset", "recording", "subject", "channels"]


def confusions_of(counts: pd.DataFrame) -> np.ndarray:
    """Confusion matrices (N, 5, 5) of the rows, each as often as it was drawn."""
    times = counts.n_draws.to_numpy()[:, np.newaxis, np.newaxis]
    return times * counts[COUNTS].to_numpy().reshape(-1, N_STAGES, N_STAGES)


def persons_of(counts: pd.DataFrame, group_by: str) -> pd.Series:
    """Who slept, unique over data sets; missing where the column `group_by` (subject or recording) is."""
    return counts.dataset + "/" + counts[group_by].astype(counts.dataset.dtype)  # of nobody known it is None, no text


def score_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Scores of all nights together, every data set, every recording and every montage; for every checkpoint.

    Columns level, checkpoint, dataset, recording, subject, channels, then those of `stage_metrics`. ValueError where no
    epoch is scored.
    """
    if not counts[COUNTS].to_numpy().any():
        raise ValueError(f"the expert scored no epoch of {_n_recordings(counts)} nights, so there is nothing to score")
    tables = []
    for level, columns in LEVELS.items():
        sums = _summed(counts, ["checkpoint", *columns])
        scores = pd.DataFrame(scores_of_confusions(confusions_of(sums)))
        tables.append(pd.concat([sums[["checkpoint", *columns]], scores], axis=1).assign(level=level))
    table = pd.concat(tables, ignore_index=True)
    return table[["level", *IDENTITY, *(name for name in table if name not in ("level", *IDENTITY))]]


def confusion_table(counts: pd.DataFrame) -> pd.DataFrame:
    """All nights together: columns checkpoint, truth, prediction, n_epochs; 25 rows a checkpoint."""
    cells = [(truth, prediction) for truth in STAGES for prediction in STAGES]
    tables = [
        pd.DataFrame(cells, columns=["truth", "prediction"]).assign(
            checkpoint=checkpoint, n_epochs=confusions_of(rows).sum(axis=0).ravel()
        )
        for checkpoint, rows in counts.groupby("checkpoint", sort=False)
    ]
    return pd.concat(tables, ignore_index=True)[["checkpoint", "truth", "prediction", "n_epochs"]]


def interval_table(counts: pd.DataFrame, group_by: str, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Intervals, by person, of the scores of all nights together and of every data set.

    Columns level, checkpoint, dataset, n_persons, score, estimate, low, high; see `bootstrap_scores`.
    """
    tables = []
    for level in ("all", "dataset"):
        for key, rows in counts.groupby(["checkpoint", *LEVELS[level]], sort=False):
            persons = persons_of(rows, group_by)
            table = bootstrap_scores(confusions_of(rows), persons, n_bootstrap, seed).reset_index(names="score")
            named = dict(zip(["checkpoint", "dataset"], key, strict=False))
            tables.append(table.assign(level=level, n_persons=persons.nunique(), **named))
    columns = ["level", "checkpoint", "dataset", "n_persons", "score", "estimate", "low", "high"]
    return pd.concat(tables, ignore_index=True).reindex(columns=columns)


def compare_checkpoints(counts: pd.DataFrame, mode: str, group_by: str, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """How much better the second of two checkpoints is in MF1, on the nights and montages that both have.

    For every two checkpoints a row over all, then one for every value of the columns that `COMPARED_BY` names for the
    `mode` of the montages. Columns first, second, those, n_recordings, n_persons, difference, low, high, p; see
    `paired_bootstrap`. No p is corrected for the number of rows. Where montages are drawn or pairs also welch_t and
    welch_p, of the MF1 of every draw by itself; see `welch_as_published`. Empty where there is one checkpoint.

    Networks with equally many training runs, several each, are compared with their runs together: see `runs_together`.
    """
    by, rows = COMPARED_BY[mode], []
    counts = runs_together(counts)
    for first, second in combinations(counts.checkpoint.unique(), 2):
        a, b = (counts[counts.checkpoint == name] for name in (first, second))
        if mode == "pairs" and (a.network.iloc[0] == "usleep") != (b.network.iloc[0] == "usleep"):
            a, b = _in_both_orders(a), _in_both_orders(b)
        both = a.merge(b[[*CASE, *COUNTS]], on=CASE, suffixes=("", " of second"))
        if both.empty:
            raise ValueError(f"{first} and {second} have no night and montage in common")
        # First all rows together, under no key: `zip` then names nothing.
        for key, part in [((), both), *both.groupby(by, sort=False)]:
            named = {"first": first, "second": second} | dict(zip(by, key, strict=False))
            persons = persons_of(part, group_by)
            second_counts = part.drop(columns=COUNTS).rename(columns={f"{name} of second": name for name in COUNTS})
            result = paired_bootstrap(confusions_of(part), confusions_of(second_counts), persons, n_bootstrap, seed)
            n = {"n_recordings": _n_recordings(part), "n_persons": persons.nunique()}
            as_published = _welch(part, second_counts) if mode in PUBLISHED_MODES else {}
            rows.append(named | n | result.to_dict() | as_published)
    columns = ["first", "second", *by, "n_recordings", "n_persons", "difference", "low", "high", "p"]
    return pd.DataFrame(rows, columns=[*columns, *(["welch_t", "welch_p"] if mode in PUBLISHED_MODES else [])])


def runs_together(counts: pd.DataFrame) -> pd.DataFrame:
    """With a column training_run; where each of several networks has as many runs, its name for their checkpoints.

    Runs of one training are those called alike but for their number, as anysleep-run1 and anysleep-run2 are.
    Runs are told apart by their number, in order: the first of one network meets the first of the other. Otherwise
    checkpoints stay as they are, and are all of one run. U-Sleep, which the others are to beat, always comes first: the
    published test is one-sided.
    """
    counts = counts.sort_values("network", key=lambda names: names != "usleep", kind="stable")
    runs = counts.drop_duplicates("checkpoint").groupby("network", sort=False).checkpoint.agg(list)
    one_training = runs.map(lambda names: len({training_of(name) for name in names}) == 1).all()
    # Nothing to pair: one network, one run of each, unlike numbers of runs, or runs of several trainings.
    if len(runs) < 2 or set(runs.map(len)) == {1} or runs.map(len).nunique() > 1 or not one_training:
        return counts.assign(training_run=0)
    number = {name: i for names in runs for i, name in enumerate(names)}
    return counts.assign(checkpoint=counts.network, training_run=counts.checkpoint.map(number))


def training_of(checkpoint: str) -> str:
    """The name of a checkpoint without its number: 'paper/usleep' of 'paper/usleep-run2'; others are on their own."""
    return re.sub(r"-run\d+$", "", checkpoint)


def compare_eog(counts: pd.DataFrame, group_by: str, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """What an EOG channel adds to so many drawn EEG channels (AnySleep, figure 1b), all runs of one training together.

    A row a training (see `training_of`) and number of EEG and EOG channels: network, training, n_eeg, n_eog,
    n_recordings, n_persons, then difference (with less without) of the mean over recordings, low, high and p of
    `paired_bootstrap_of_means`, and welch_t and welch_p of all draws, see `welch_as_published`. Empty where nothing was
    drawn with and without EOG.
    """
    scored = counts.assign(mf1=scores_of_confusions(confusions_of(counts))["mf1"]).dropna(subset="mf1")
    scored = scored.assign(person=persons_of(scored, group_by), sum=scored.mf1 * scored.n_draws)
    scored, rows = scored.assign(training=scored.checkpoint.map(training_of)), []
    for (network, training, n_eeg, n_eog), part in scored.groupby(
        ["network", "training", "n_eeg", "n_eog"], sort=False
    ):
        same = (scored.network == network) & (scored.training == training) & (scored.n_eeg == n_eeg)
        without = scored[same & (scored.n_eog == 0)]
        if n_eog == 0 or without.empty:
            continue
        sums = [one.groupby(["dataset", "recording", "person"])[["sum", "n_draws"]].sum() for one in (without, part)]
        means = pd.concat([of["sum"] / of.n_draws for of in sums], axis=1, join="inner")
        persons = means.index.get_level_values("person")
        result = paired_bootstrap_of_means(means[0], means[1], persons, n_bootstrap, seed)
        named = {"network": network, "training": training, "n_eeg": n_eeg, "n_eog": n_eog}
        n = {"n_recordings": len(means), "n_persons": persons.nunique()}
        rows.append(named | n | result.to_dict() | _welch_of(*(one.mf1.repeat(one.n_draws) for one in (without, part))))
    return pd.DataFrame(rows)


def channel_study(counts: pd.DataFrame, mode: str, group_by: str, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """How MF1 depends on the channels: `channel_curve` of drawn ones, `pair_table` of pairs, else an empty table."""
    if mode == "drawn":
        return channel_curve(counts, group_by, n_bootstrap, seed)
    return pair_table(counts) if mode == "pairs" else pd.DataFrame()


def channel_curve(counts: pd.DataFrame, group_by: str, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """MF1 against the number of channels (AnySleep, figure 1), with an interval by person.

    The mean over a recording's draws, then over recordings. The paper takes the mean over all draws: the same in
    expectation, but it moves with how often each recording happens to be drawn. Nights without a scored epoch are left
    out. Columns checkpoint, n_eeg, n_eog, n_draws, n_recordings, n_persons, mf1, low, high.
    """
    mf1 = scores_of_confusions(confusions_of(counts))["mf1"]
    draws = counts.assign(person=persons_of(counts, group_by), sum=mf1 * counts.n_draws)[~np.isnan(mf1)]
    rows = []
    for checkpoint, of_one in draws.groupby("checkpoint", sort=False):
        for (n_eog, n_eeg), point in of_one.groupby(["n_eog", "n_eeg"]):
            nights = point.groupby(["dataset", "recording", "person"])[["sum", "n_draws"]].sum().reset_index()
            means = nights["sum"] / nights.n_draws
            # Compared with a score of 0, the difference is the mean itself.
            mean = paired_bootstrap_of_means(np.zeros(len(means)), means, nights.person, n_bootstrap, seed)
            n = {"n_draws": nights.n_draws.sum(), "n_recordings": len(nights), "n_persons": nights.person.nunique()}
            named = {"checkpoint": checkpoint, "n_eeg": n_eeg, "n_eog": n_eog} | n
            rows.append(named | {"mf1": mean.difference, "low": mean.low, "high": mean.high})
    return pd.DataFrame(rows)


def pair_table(counts: pd.DataFrame) -> pd.DataFrame:
    """MF1 by the two sites of a montage; one channel alone, or one given twice, is a pair with itself.

    The mean over a recording's montages of these sites (two EOG channels share one: each alone and both together are
    EOG with EOG), then over recordings. For U-Sleep the first site is the one given as EEG; otherwise the order does
    not matter and each pair has one row. Columns checkpoint, network, first, second, n_recordings, mf1.
    """
    scored = counts[counts[COUNTS].to_numpy().any(axis=1)]
    order = {site: i for i, site in enumerate(dict.fromkeys("&".join(scored.sites).split("&")))}
    pairs = [sites.split("&") for sites in scored.sites]
    pairs = [
        pair if network == "usleep" else sorted(pair, key=order.get)
        for pair, network in zip(pairs, scored.network, strict=True)
    ]
    mf1 = scores_of_confusions(confusions_of(scored))["mf1"]
    # The last of one is the first: a channel alone is a pair with itself.
    scored = scored.assign(first=[pair[0] for pair in pairs], second=[pair[-1] for pair in pairs], mf1=mf1)
    cell = ["checkpoint", "network", "first", "second"]
    by_recording = scored.groupby([*cell, "dataset", "recording"], sort=False).mf1.mean()
    return by_recording.groupby(cell, sort=False).agg(n_recordings="size", mf1="mean").reset_index()


def _in_both_orders(counts: pd.DataFrame) -> pd.DataFrame:
    """Pairs as U-Sleep has them, which is told what is EEG: each in both orders, one channel as a pair with itself.

    To other networks the order is the same.
    """
    if (counts.network == "usleep").all():
        return counts
    names = ["channels", "sites"]
    split = counts[names].apply(lambda column: column.str.split("&"))
    # Of one channel the last is the first, which makes it a pair with itself.
    turned = counts.assign(**{name: ["&".join([of[-1], of[0]]) for of in split[name]] for name in names})
    return pd.concat([counts[split.channels.map(len) == 2], turned], ignore_index=True)


def _summed(counts: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The counts of rows with the same `columns` together, each row as often as it was drawn."""
    weighted = counts.assign(**{name: counts[name] * counts.n_draws for name in COUNTS})
    return weighted.groupby(list(columns), sort=False, dropna=False)[COUNTS].sum().reset_index().assign(n_draws=1)


def _welch(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float]:
    """`welch_as_published` of the MF1 of every draw by itself; a night without a scored epoch has none."""
    scores_a, scores_b = (scores_of_confusions(confusions_of(rows))["mf1"].repeat(rows.n_draws) for rows in (a, b))
    scored = ~np.isnan(scores_a)
    return _welch_of(scores_a[scored], scores_b[scored])


def _welch_of(scores_a: ArrayLike, scores_b: ArrayLike) -> dict[str, float]:
    """`welch_as_published`; NaN with fewer than two draws."""
    if min(len(scores_a), len(scores_b)) < 2:
        return {"welch_t": np.nan, "welch_p": np.nan}
    test = welch_as_published(scores_a, scores_b)
    return {"welch_t": test.t, "welch_p": test.p}


def _n_recordings(counts: pd.DataFrame) -> int:
    return len(counts[["dataset", "recording"]].drop_duplicates())

"""How well a trait can be told from transitions: scores with baseline, control, interval and permutation test.

Scores are over recordings: the root mean square error of ages in years (RMSE), or the mean F1 of two classes (MF1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import binom

from anysleep.analysis.traits.forests import Nights, Repetition, Settings, most_folds, shuffled_trait
from anysleep.evaluation.metrics import draw_sums, sums_by_person
from anysleep.stages import EPOCH_S

PERMUTATION_FOLDS = 10
"""Folds of the permutation test where persons are otherwise left out one at a time, which would take too long."""

ALPHA = 0.05
"""A larger p is called chance."""

Done = Mapping[Repetition, np.ndarray]
"""Predictions (R,) of every job, as `run_repetitions` returns them."""


@dataclass(frozen=True)
class Study:
    """What is computed: which repetitions, which shuffles."""

    nights: Nights
    n_folds: int
    n_repetitions: int
    permuted: Sequence[int]
    """Resolutions with a negative control and a permutation test."""
    n_shuffles: int
    seed: int
    forests: Sequence[Settings] = ()
    """Settings of each repetition; drawn where there are none."""

    def __post_init__(self) -> None:
        if self.forests and len(self.forests) != self.n_repetitions:
            raise ValueError(
                f"n_repetitions is {self.n_repetitions}; the table of forests has {len(self.forests)} rows"
            )
        absent = sorted(set(self.permuted) - set(self.nights.counts))
        if absent:
            raise ValueError(
                f"persons are to be shuffled at {', '.join(map(str, absent))} predictions an epoch, but there is only "
                f"{', '.join(map(str, self.nights.counts))}; name some of these in permutation, or none"
            )

    @property
    def measure(self) -> str:
        """rmse, the smaller the better, or mf1."""
        return "mf1" if self.nights.is_class else "rmse"

    @property
    def jobs(self) -> list[Repetition]:
        """Everything to be computed, each once."""
        every = [job for r in self.nights.counts for job in self.repetitions(r)]
        for r in self.tested:
            every += [*self.controls(r), *self.observed(r), *self.shuffles(r)]
        return list(dict.fromkeys(every))

    @property
    def tested(self) -> list[int]:
        """The resolutions in `permuted`, in the order of the counts."""
        return [r for r in self.nights.counts if r in self.permuted]

    @property
    def chosen(self) -> int:
        """The resolution of the headline, chosen before the results: the first in `permuted`, else the coarsest."""
        return self.permuted[0] if self.permuted else min(self.nights.counts)

    @cached_property
    def test_folds(self) -> int:
        """Folds of the permutation test."""
        return self.n_folds or min(PERMUTATION_FOLDS, most_folds(self.nights))

    def repetitions(self, r: int) -> list[Repetition]:
        """The repetitions at a resolution."""
        return [self._repetition(r, self.n_folds, i) for i in range(self.n_repetitions)]

    def controls(self, r: int) -> list[Repetition]:
        """The same repetitions, each with the trait shuffled in another way."""
        return [self._repetition(r, self.n_folds, i, shuffle=i) for i in range(self.n_repetitions)]

    def observed(self, r: int) -> list[Repetition]:
        """What the shuffles are compared with: the repetitions with the folds of the permutation test."""
        return [self._repetition(r, self.test_folds, i) for i in range(self.n_repetitions if self.n_shuffles else 0)]

    def shuffles(self, r: int) -> list[Repetition]:
        """One repetition for each shuffle of the permutation test."""
        return [self._repetition(r, self.test_folds, i, shuffle=i) for i in range(self.n_shuffles)]

    def _repetition(self, r: int, n_folds: int, i: int, shuffle: int = -1) -> Repetition:
        settings = self.forests[i % len(self.forests)] if self.forests else None
        return Repetition(r, n_folds, i, shuffle, settings)


def scores_of(study: Study, jobs: Sequence[Repetition], done: Done) -> np.ndarray:
    """The score of each job (J,), against the trait as it was shuffled for it."""
    truth = np.stack([shuffled_trait(study.nights, job.shuffle, study.seed) for job in jobs], axis=1)  # (R, J)
    predictions = np.stack([done[job] for job in jobs], axis=1)
    return score_of_sums(_terms(truth, predictions, study.nights.is_class).sum(axis=0))


def score_of_sums(sums: np.ndarray) -> np.ndarray:
    """Scores (...) from sums (..., 2) of squared errors and recordings, or (..., 4) of confusions.

    The confusions are true positives, false positives, false negatives, true negatives. F1 is 1 for a class that occurs
    neither in truth nor in prediction, as everywhere in the workbook.
    """
    if sums.shape[-1] == 2:
        return np.sqrt(sums[..., 0] / sums[..., 1])
    hits, wrong = sums[..., [0, 3]], sums[..., [1]] + sums[..., [2]]  # wrong is both classes' FP + FN
    present = 2 * hits + wrong
    return np.where(present == 0, 1.0, 2 * hits / np.where(present == 0, 1, present)).mean(axis=-1)


def bootstrap_score(study: Study, jobs: Sequence[Repetition], done: Done, n_bootstrap: int) -> tuple[float, float]:
    """95 % interval of the mean score of several repetitions, over draws of persons; NaN with one person.

    The draws are those of `evaluation.metrics`. Forests are not grown again, so it is an interval of the score of
    these forests, not of the procedure.
    """
    predictions = np.stack([done[job] for job in jobs], axis=1)  # (R, J)
    terms = _terms(study.nights.trait[:, np.newaxis], predictions, study.nights.is_class)  # (R, J, 2 or 4)
    draws = draw_sums(sums_by_person(terms, study.nights.person), n_bootstrap, study.seed)
    if not len(draws):
        return np.nan, np.nan
    low, high = np.quantile(score_of_sums(draws).mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def baseline_score(nights: Nights) -> float:
    """What needs no transitions: the mean age of the other persons; of classes, what a fair coin scores on average."""
    if nights.is_class:
        return _score_of_coins(int(nights.trait.sum()), int((1 - nights.trait).sum()))
    names, persons = np.unique(nights.person, return_inverse=True)
    means = np.bincount(persons, weights=nights.trait) / np.bincount(persons)
    of_others = (means.sum() - means[persons]) / (len(names) - 1)
    return float(np.sqrt(np.mean((nights.trait - of_others) ** 2)))


def spread_of_ages(nights: Nights) -> tuple[float, float]:
    """Standard deviations of the ages of recordings and of persons; NaN for classes."""
    if nights.is_class:
        return np.nan, np.nan
    per_person = pd.Series(nights.trait).groupby(nights.person).mean()
    return float(nights.trait.std()), float(per_person.std(ddof=0))


def control_score(study: Study, r: int, done: Done) -> float:
    """The mean score with shuffled persons, which should be no better than the baseline.

    Where persons differ in nights, a shuffle changes what the baseline scores, too; only what the forests add to that
    counts, so that the result can be compared with the baseline of the trait as it is.
    """
    jobs = study.controls(r)
    shuffled = [replace(study.nights, trait=shuffled_trait(study.nights, job.shuffle, study.seed)) for job in jobs]
    added = scores_of(study, jobs, done) - [baseline_score(nights) for nights in shuffled]
    return baseline_score(study.nights) + float(added.mean())


def permutation_p(score: float, shuffled: np.ndarray, smaller_is_better: bool) -> float:
    """How often a shuffled trait is told as well: (1 + n at least as good) / (1 + n); NaN without shuffles.

    The score is a mean of repetitions, each shuffle only one: it varies more, so p is rather too large than too small.
    """
    if not len(shuffled):
        return np.nan
    as_good = shuffled <= score if smaller_is_better else shuffled >= score
    return float((1 + as_good.sum()) / (1 + len(shuffled)))


def trait_score_table(study: Study, done: Done) -> pd.DataFrame:
    """A row a repetition: measure, predictions_per_epoch, seconds_per_prediction, repetition, score."""
    tables = [
        pd.DataFrame(
            {
                "measure": study.measure,
                "predictions_per_epoch": r,
                "seconds_per_prediction": EPOCH_S / r,
                "repetition": range(study.n_repetitions),
                "score": scores_of(study, study.repetitions(r), done),
            }
        )
        for r in study.nights.counts
    ]
    return pd.concat(tables, ignore_index=True)


def predicted_table(study: Study, done: Done, kept: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """A row a recording, resolution and repetition; `kept` has columns dataset, recording, subject in order.

    Columns dataset, recording, subject, predictions_per_epoch, repetition, truth, prediction: ages or class names.
    """
    named = (lambda codes: np.array(classes)[codes.astype(int)]) if study.nights.is_class else np.asarray
    tables = [
        kept[["dataset", "recording", "subject"]].assign(
            predictions_per_epoch=job.predictions_per_epoch,
            repetition=job.repetition,
            truth=named(study.nights.trait),
            prediction=named(done[job]),
        )
        for r in study.nights.counts
        for job in study.repetitions(r)
    ]
    return pd.concat(tables, ignore_index=True)


def summary_table(study: Study, done: Done, n_bootstrap: int) -> pd.DataFrame:
    """A row a resolution.

    Columns measure, predictions_per_epoch, seconds_per_prediction, n_recordings, n_persons, n_repetitions, mean and sd
    over repetitions, low and high of the mean (persons drawn), sd_of_recordings and sd_of_persons (of the ages: the
    RMSE of guessing their mean), baseline, gain over it (above 0 is better); and only where it was asked for, control
    (the mean score with shuffled persons), p, and what p belongs to: tested_score, the mean with test_folds folds,
    which is another number than mean where persons are otherwise left out one at a time.
    """
    sd_of_recordings, sd_of_persons = spread_of_ages(study.nights)
    nights, baseline = study.nights, baseline_score(study.nights)
    better = 1 if nights.is_class else -1
    rows = []
    for r in nights.counts:
        jobs = study.repetitions(r)
        scores = scores_of(study, jobs, done)
        low, high = bootstrap_score(study, jobs, done, n_bootstrap)
        rows.append(
            {"measure": study.measure, "predictions_per_epoch": r, "seconds_per_prediction": EPOCH_S / r}
            | {"n_recordings": len(nights.trait), "n_persons": len(set(nights.person)), "n_repetitions": len(jobs)}
            | {"mean": scores.mean(), "sd": scores.std(ddof=1) if len(jobs) > 1 else np.nan, "low": low, "high": high}
            | {"sd_of_recordings": sd_of_recordings, "sd_of_persons": sd_of_persons}
            | {"baseline": baseline, "gain": better * (scores.mean() - baseline)}
            | _tests(study, r, done)
        )
    return pd.DataFrame(rows).astype({"test_folds": "Int64"})


def trait_headline(row: pd.Series) -> dict[str, float | str]:
    """A row of the summary as scores of the run: the measure, its 95 % interval, the baseline, and what they show.

    Only where the interval leaves the baseline out, and p, if there is one, is at most 0.05, it says more than 'not
    told apart from chance'.
    """
    beyond = row.low > row.baseline or row.high < row.baseline  # NaN is beyond nothing
    verdict = "better than the baseline" if row.gain > 0 else "worse than the baseline"
    found = {row.measure: row["mean"], "low": row.low, "high": row.high, "baseline": row.baseline}
    found |= {} if pd.isna(row.p) else {"p": row.p}
    scores = {name: round(float(value), 4) for name, value in found.items() if not pd.isna(value)}
    not_chance = beyond and not row.p > ALPHA  # without a test p is NaN, which is not above ALPHA
    return scores | {"shown": verdict if not_chance else "not told apart from chance"}


def named(table: pd.DataFrame, **values: str) -> pd.DataFrame:
    """The table with these columns in front, the same value in every row."""
    return pd.DataFrame(values, index=table.index).join(table)


def _tests(study: Study, r: int, done: Done) -> dict[str, float]:
    """Columns control, p, tested_score and test_folds of a resolution."""
    found = {"control": np.nan, "p": np.nan, "tested_score": np.nan, "test_folds": pd.NA}
    if r not in study.tested:
        return found
    found["control"] = control_score(study, r, done)
    if not study.n_shuffles:
        return found
    score, shuffled = scores_of(study, study.observed(r), done).mean(), scores_of(study, study.shuffles(r), done)
    p = permutation_p(score, shuffled, not study.nights.is_class)
    return found | {"p": p, "tested_score": score, "test_folds": study.test_folds}


def _terms(truth: np.ndarray, predictions: np.ndarray, is_class: bool) -> np.ndarray:
    """What each recording adds to the sums of `score_of_sums`."""
    if not is_class:
        errors = (predictions - truth) ** 2
        return np.stack([errors, np.ones_like(errors)], axis=-1)
    truth, said = np.broadcast_arrays(truth == 1, predictions == 1)
    # TP, FP, FN, TN
    return np.stack([truth & said, ~truth & said, truth & ~said, ~truth & ~said], axis=-1).astype(float)


def _score_of_coins(n_positive: int, n_negative: int) -> float:
    """The expected MF1 of tossing a fair coin for every recording: all outcomes, each times its probability."""
    hits, alarms = np.arange(n_positive + 1)[:, np.newaxis], np.arange(n_negative + 1)[np.newaxis]
    # In the order of `score_of_sums`: TP, FP, FN, TN of every outcome.
    outcomes = np.broadcast_arrays(hits, alarms, n_positive - hits, n_negative - alarms)
    scores = score_of_sums(np.stack(outcomes, axis=-1).astype(float))
    return float(binom.pmf(hits[:, 0], n_positive, 0.5) @ scores @ binom.pmf(alarms[0], n_negative, 0.5))

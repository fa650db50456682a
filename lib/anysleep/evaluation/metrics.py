"""How well a hypnogram agrees with another: counts first, every score from the counts, and how sure a score is.

How far a score would move with other persons says the bootstrap by person. Nights of one person resemble each other, so
persons are drawn, with replacement, and all their nights come along. The draws are a multinomial: row b of
`numpy.random.default_rng(seed).multinomial(n, [1 / n] * n, n_bootstrap)` says how often each of the n persons, in
sorted order, is in draw b.

`scipy.stats.bootstrap` could draw the persons' numbers, but draws other persons for a seed, and one draw that is 0 / 0
makes its interval NaN. Here one product of matrices sums all draws, for all scores and both sides of a comparison.

Percentile intervals are too narrow where persons are few: a 95 % interval of a mean over 5 persons holds the truth in
about 85 % of studies, over 10 persons in 90 %, over 40 in 94 %; p-values are too small alike.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import ttest_ind

from anysleep.stages import N_STAGES, STAGES, UNSCORED
from anysleep.system.words import many


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike) -> np.ndarray:
    """Epochs of true stage (row) and predicted stage (column), int64 (5, 5).

    Epochs that either side leaves unscored (-1 or 9) are left out. ValueError where lengths differ or a code is
    unknown.
    """
    truth, prediction = stage_codes(truth, "truth"), stage_codes(prediction, "prediction")
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has {len(truth)} epochs, prediction {len(prediction)}; align them first")
    scored = (truth != UNSCORED) & (prediction != UNSCORED)
    cells = np.bincount(truth[scored] * N_STAGES + prediction[scored], minlength=N_STAGES**2)
    return cells.reshape(N_STAGES, N_STAGES)


def stage_metrics(truth: ArrayLike, prediction: ArrayLike) -> pd.Series:
    """Scores of a prediction against the truth, over scored epochs.

    precision_wake ... precision_rem, recall_wake ..., f1_wake ..., mf1, kappa, accuracy, n_epochs; see
    `metrics_of_confusion`. ValueError where lengths differ, a code is unknown, or no epoch is scored by both.
    """
    confusion = confusion_matrix(truth, prediction)
    if not confusion.any():
        raise ValueError("no epoch is scored in both truth and prediction")
    return metrics_of_confusion(confusion)


def metrics_of_confusion(confusion: np.ndarray) -> pd.Series:
    """The scores of `stage_metrics` from a confusion matrix (5, 5), or from the sum of several.

    F1 is 2 TP / (2 TP + FP + FN), and 1 where a stage occurs neither in truth nor in prediction (AnySleep, methods:
    evaluation); MF1 is the mean F1 of the five stages. Precision, recall and kappa are NaN where they are 0 / 0, and
    everything is NaN where no epoch was scored.
    """
    return pd.Series({name: float(score) for name, score in scores_of_confusions(confusion).items()})


def scores_of_confusions(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """The scores of `metrics_of_confusion` for a stack of matrices (..., 5, 5) at once, every score (...).

    Counts may be fractions, as they are where epochs are counted by weight.
    """
    in_truth, in_prediction = confusions.sum(axis=-1), confusions.sum(axis=-2)  # (..., 5)
    hits, total = np.diagonal(confusions, axis1=-2, axis2=-1), in_truth.sum(axis=-1)
    # 0 / 0 is NaN on purpose: there is no such score.
    with np.errstate(invalid="ignore"):
        precision, recall = hits / in_prediction, hits / in_truth
        f1 = np.where(in_truth + in_prediction == 0, 1.0, 2 * hits / (in_truth + in_prediction))
        f1 = np.where(total[..., np.newaxis] == 0, np.nan, f1)  # else a night that nobody scored is perfect
        accuracy, by_chance = hits.sum(axis=-1) / total, (in_truth * in_prediction).sum(axis=-1) / total**2
        kappa = (accuracy - by_chance) / (1 - by_chance)
    named = {
        f"{score}_{stage.lower()}": values[..., i]
        for score, values in {"precision": precision, "recall": recall, "f1": f1}.items()
        for i, stage in enumerate(STAGES)
    }
    return named | {"mf1": f1.mean(axis=-1), "kappa": kappa, "accuracy": accuracy, "n_epochs": total}


def stage_codes(hypnogram: ArrayLike, name: str) -> np.ndarray:
    """A hypnogram as int64 (E,), with 9 for every unscored epoch. ValueError, which says `name`, where it is none."""
    codes = np.asarray(hypnogram)
    if codes.ndim != 1:
        raise ValueError(f"{name} has shape {codes.shape}; expected one stage an epoch")
    codes = np.where(codes == -1, UNSCORED, codes)
    unknown = set(np.unique(codes)) - {*range(N_STAGES), UNSCORED}
    if unknown:
        raise ValueError(f"{name} holds unknown stage codes {sorted(map(int, unknown))}; known are 0-4, and -1 or 9")
    return codes.astype(np.int64)


SHARE = 0.95
"""Share of the draws that lie within an interval."""


def interval_text(low: float, high: float) -> str:
    """An interval in a headline: '0.712 to 0.801'; 'none' where there is none, as with one person."""
    return "none" if np.isnan(low) or np.isnan(high) else f"{low:.3f} to {high:.3f}"


def bootstrap_scores(confusions: np.ndarray, persons: ArrayLike, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Scores of the summed counts (N, 5, 5) of several nights, and the 95 % percentile interval of each.

    `persons` says who slept, (N,). An id means one person whatever the data set, so make ids unique over data sets.

    A row a score of `stage_metrics` but n_epochs; columns estimate, low, high. Draws in which a score is 0 / 0 (the
    precision of a stage that is never predicted) are left out of its interval. With one person the interval is NaN.
    """
    per_person = sums_by_person(_checked_confusions(confusions), persons)  # (persons, 5, 5)
    draws = draw_sums(per_person, n_bootstrap, seed)  # (n_bootstrap, 5, 5)
    estimates, drawn = scores_of_confusions(per_person.sum(axis=0)), scores_of_confusions(draws)
    low, high = _interval(pd.DataFrame(drawn))
    table = pd.DataFrame({"estimate": pd.Series(estimates, dtype=float), "low": low, "high": high})
    return table.drop("n_epochs")


def paired_bootstrap(
    confusions_a: np.ndarray, confusions_b: np.ndarray, persons: ArrayLike, n_bootstrap: int, seed: int
) -> pd.Series:
    """How much better b is than a on the same nights in the same order, in the MF1 of the summed counts.

    Every draw of persons serves both sides, so what makes a night hard for both cancels out. Arguments as in
    `bootstrap_scores`.

    Returns
    -------
    difference (b - a), low, high, p. The two-sided p is twice the share of draws on the rarer side of zero (a draw of
    exactly zero lies on both), with one draw added above and below the fraction line and never above 1:
    2 (1 + min(n <= 0, n >= 0)) / (1 + n_bootstrap). Interval and p are NaN with one person.
    """
    a, b = _checked_confusions(confusions_a), _checked_confusions(confusions_b)
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} nights, b {len(b)}; give the same nights in the same order")
    per_person = sums_by_person(np.stack([a, b], axis=1), persons)  # (persons, 2, 5, 5)
    score_a, score_b = scores_of_confusions(per_person.sum(axis=0))["mf1"]
    drawn_a, drawn_b = scores_of_confusions(draw_sums(per_person, n_bootstrap, seed))["mf1"].T
    return _judge(score_b - score_a, drawn_b - drawn_a)


def paired_bootstrap_of_means(
    scores_a: ArrayLike, scores_b: ArrayLike, persons: ArrayLike, n_bootstrap: int, seed: int
) -> pd.Series:
    """How much better b is than a in the mean over nights of a score (N,) that each night has; see `paired_bootstrap`.

    Where a night was scored with several channel choices, give the mean over them.
    """
    scores_a, scores_b = np.asarray(scores_a, dtype=float), np.asarray(scores_b, dtype=float)
    if scores_a.shape != scores_b.shape or scores_a.ndim != 1:
        raise ValueError(
            f"scores have shapes {scores_a.shape} and {scores_b.shape}; expected one a night for both sides"
        )
    differences = scores_b - scores_a
    if np.isnan(differences).any():
        raise ValueError(f"{np.isnan(differences).sum()} nights lack a score in a or b; leave them out of both")
    sums = sums_by_person(np.column_stack([differences, np.ones(len(differences))]), persons)
    drawn_sum, drawn_nights = draw_sums(sums, n_bootstrap, seed).T
    return _judge(differences.mean(), drawn_sum / drawn_nights)


def bootstrap_ratios(
    parts: np.ndarray, whole: np.ndarray, persons: ArrayLike, n_bootstrap: int, seed: int
) -> pd.DataFrame:
    """Sums over nights of parts (N, K) divided by the sum of the whole (N,), each ratio with its interval.

    A whole of ones gives means. The same draws of persons serve all K ratios.

    Returns
    -------
    K rows, columns estimate, low, high; NaN where the whole is 0, and intervals are NaN with one person.
    """
    per_person = sums_by_person(np.column_stack([parts, whole]), persons)  # (persons, K + 1)
    drawn = draw_sums(per_person, n_bootstrap, seed)
    sums = np.vstack([per_person.sum(axis=0), drawn])  # as they are, then as drawn
    ratios = sums[:, :-1] / np.where(sums[:, -1:] == 0, np.nan, sums[:, -1:])
    low, high = _interval(pd.DataFrame(ratios[1:]))
    return pd.DataFrame({"estimate": ratios[0], "low": low, "high": high})


def welch_as_published(scores_a: ArrayLike, scores_b: ArrayLike) -> pd.Series:
    """Welch's one-sided t-test that b is better than a, as in AnySleep's channel study; show it beside a bootstrap.

    It takes every row for an independent observation. The rows are channel choices drawn again and again from the same
    nights of the same persons: more draws bring no more persons, yet they shrink p as far as one likes. It is
    therefore too sure. (That both sides saw the same nights is ignored too.)

    Returns
    -------
    difference (b - a), t, p: of a difference as large as this or larger if there were none (near 1 where a is better).
    """
    a, b = np.asarray(scores_a, dtype=float), np.asarray(scores_b, dtype=float)
    test = ttest_ind(b, a, equal_var=False, alternative="greater")
    return pd.Series({"difference": b.mean() - a.mean(), "t": test.statistic, "p": test.pvalue})


def _checked_confusions(confusions: np.ndarray) -> np.ndarray:
    confusions = np.asarray(confusions)
    if confusions.ndim != 3 or confusions.shape[1:] != (5, 5):
        raise ValueError(f"confusions have shape {confusions.shape}; expected (nights, 5, 5)")
    return confusions


def sums_by_person(values: np.ndarray, persons: ArrayLike) -> np.ndarray:
    """Values of nights (N, ...) summed to persons (persons, ...), in sorted order of persons."""
    persons = pd.Series(persons)
    if len(persons) != len(values) or not len(values):
        raise ValueError(
            f"{len(values)} nights but {len(persons)} persons; expected one for every night, and one night"
        )
    refuse_unknown(persons)
    codes, names = pd.factorize(persons, sort=True)
    sums = np.zeros((len(names), *values.shape[1:]))
    np.add.at(sums, codes, values)  # `sums[codes] +=` would add one night a person only
    return sums


def refuse_unknown(persons: pd.Series) -> None:
    """ValueError where it is not known of every night who slept."""
    if n := int(persons.isna().sum()):
        raise ValueError(
            f"{many(n, 'night')} without a known person; name recipes that tell who slept, or say group_by=recording "
            "where every night is of another one"
        )


def draw_sums(per_person: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """Sums (n_bootstrap, ...) over drawn persons, of values (persons, ...). One person is no sample: no draws."""
    if n_bootstrap < 1:
        raise ValueError(f"n_bootstrap is {n_bootstrap}; draw at least once, better 1000 times")
    n = len(per_person)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_bootstrap if n > 1 else 0)
    sums = counts.astype(float) @ per_person.reshape(n, -1)  # (n_bootstrap, persons) @ (persons, values)
    return sums.reshape(len(counts), *per_person.shape[1:])


def _interval(draws: pd.DataFrame | pd.Series) -> tuple[pd.Series, pd.Series] | tuple[float, float]:
    """Bounds of the middle 95 % of each column; draws that are NaN are left out."""
    return draws.quantile((1 - SHARE) / 2), draws.quantile((1 + SHARE) / 2)


def _judge(difference: float, draws: np.ndarray) -> pd.Series:
    """The result of `paired_bootstrap` from the drawn differences; those that are NaN are left out."""
    draws = draws[~np.isnan(draws)]
    low, high = _interval(pd.Series(draws))
    rarer = min((draws <= 0).sum(), (draws >= 0).sum())
    p = min(1.0, 2 * (1 + rarer) / (1 + len(draws))) if len(draws) else np.nan
    return pd.Series({"difference": difference, "low": low, "high": high, "p": p})

"""How well a hypnogram agrees with another: counts first, every score from the counts."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from anysleep.stages import N_STAGES, STAGES, UNSCORED


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

    Returns
    -------
    precision_wake ... precision_rem, recall_wake ..., f1_wake ..., mf1, kappa, accuracy, n_epochs; see
    `metrics_of_confusion`.

    Raises
    ------
    ValueError
        Lengths differ, a code is unknown, or no epoch is scored by both.
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
    with np.errstate(invalid="ignore"):
        precision, recall = hits / in_prediction, hits / in_truth
        f1 = np.where(in_truth + in_prediction == 0, 1.0, 2 * hits / (in_truth + in_prediction))
        f1 = np.where(total[..., np.newaxis] == 0, np.nan, f1)
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

"""Does the network know when it is wrong? Calibration, and what a technician gains who reviews doubtful epochs.

An epoch is one prediction: at a finer resolution `truth` has one stage a prediction as well. Epochs that the expert
left unscored (-1 or 9) are left out of everything here.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from anysleep.evaluation.metrics import scores_of_confusions, stage_codes
from anysleep.stages import N_STAGES, UNSCORED

TEMPERATURES = (0.01, 100.0)
"""Where `fit_temperature` searches."""
REVIEWED_SHARES = tuple(np.linspace(0, 1, 21).round(2).tolist())


def fit_temperature(logits: np.ndarray, truth: ArrayLike) -> float:
    """The T > 0 for which softmax(logits / T) has the least cross-entropy (Guo et al. 2017, arXiv 1706.04599).

    T above 1 tempers a network that is too sure; the chosen stages stay the same. Fit it on other persons than those it
    is judged on. Where every epoch is right, or the network is worse than chance, no T is best: then T is extreme,
    within `TEMPERATURES`, and means nothing. `logits` are (P, 5), `truth` is (P,): 0-4, -1 or 9 where unscored.
    ValueError where shapes differ, a code is unknown, or no epoch is scored.
    """
    logits, truth = _scored(logits, truth)

    def cross_entropy(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -log_probabilities[np.arange(len(truth)), truth].mean()

    # Cross-entropy is convex in 1 / T, so it has one minimum along log T as well.
    found = minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def reliability(probabilities: np.ndarray, truth: ArrayLike) -> pd.DataFrame:
    """How often the network is right when it is so and so sure.

    Epochs are binned by confidence, their largest probability, in ten equal bins from 0 to 1; a value on a border
    belongs to the bin below. Columns confidence (mean), accuracy, n (epochs); a row for each bin that is not empty.
    """
    probabilities, truth = _scored_probabilities(probabilities, truth)
    confidence = probabilities.max(axis=1)
    bins = np.searchsorted(np.linspace(0, 1, 11)[1:-1], confidence)
    right = probabilities.argmax(axis=1) == truth
    epochs = pd.DataFrame({"confidence": confidence, "accuracy": right, "n": 1}).groupby(bins)
    return epochs.agg({"confidence": "mean", "accuracy": "mean", "n": "sum"}).reset_index(drop=True)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of accuracy and confidence over the bins of `reliability`, each weighted by its epochs."""
    return float(np.average((table.accuracy - table.confidence).abs(), weights=table.n))


def review_curve(probabilities: np.ndarray, truth: ArrayLike, shares: ArrayLike = REVIEWED_SHARES) -> pd.DataFrame:
    """Scores of the whole when a technician reviews the least certain epochs and leaves the others to the network.

    A reviewed epoch gets the expert's stage, so the curve says what review can gain at best. Epochs are ranked by
    confidence, their largest probability. Of epochs that are equally certain, each is reviewed in part, all to the same
    part: their counts are those expected if the technician picked among them at random. No order of the epochs and no
    seed enters.

    A row for each of the `shares` of scored epochs that are reviewed: share_reviewed, accuracy, kappa, mf1 (of all
    scored epochs), accuracy_of_rest (of those not reviewed, NaN where none is left).
    """
    probabilities, truth = _scored_probabilities(probabilities, truth)
    shares = np.atleast_1d(np.asarray(shares, dtype=float))
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"shares are {shares.tolist()}; expected between 0 and 1 (10 % is 0.1)")
    cells = truth * N_STAGES + probabilities.argmax(axis=1)
    n_less_certain, n_as_certain = _ranks(probabilities.max(axis=1))
    by_network = np.empty((len(shares), N_STAGES, N_STAGES))  # epochs not reviewed
    for i, share in enumerate(shares):
        n_reviewed = np.round(share * len(truth), 6)  # 0.29 * 100 is 28.999999999999996
        reviewed = np.clip((n_reviewed - n_less_certain) / n_as_certain, 0, 1)  # part of each epoch, (P,)
        by_network[i] = np.bincount(cells, weights=1 - reviewed, minlength=N_STAGES**2).reshape(N_STAGES, N_STAGES)
    by_technician = np.bincount(truth, minlength=N_STAGES) - by_network.sum(axis=2)  # (shares, 5)
    scores = scores_of_confusions(by_network + by_technician[:, :, np.newaxis] * np.eye(N_STAGES))
    return pd.DataFrame(
        {"share_reviewed": shares}
        | {name: scores[name] for name in ("accuracy", "kappa", "mf1")}
        | {"accuracy_of_rest": scores_of_confusions(by_network)["accuracy"]}
    )


def _ranks(confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every epoch, how many are less certain, and how many are as certain, itself included."""
    _, group, sizes = np.unique(confidence, return_inverse=True, return_counts=True)
    # `np.unique` sorts: before a group come all that are less certain.
    return (np.cumsum(sizes) - sizes)[group], sizes[group]


def _scored(values: np.ndarray, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Values float64 (P, 5) and stages (P,) of the scored epochs."""
    values, truth = np.asarray(values, dtype=float), stage_codes(truth, "truth")
    if values.shape != (len(truth), N_STAGES):
        raise ValueError(f"predictions have shape {values.shape}, truth {truth.shape}; expected (P, 5) and (P,)")
    scored = truth != UNSCORED
    if not scored.any():
        raise ValueError("truth holds no scored epoch")
    if not np.isfinite(values[scored]).all():
        raise ValueError("predictions of scored epochs hold NaN or infinity")
    return values[scored], truth[scored]


def _scored_probabilities(probabilities: np.ndarray, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """As `_scored`; ValueError where the rows are no probabilities."""
    probabilities, truth = _scored(probabilities, truth)
    if not (np.abs(probabilities.sum(axis=1) - 1) < 0.01).all() or (probabilities < 0).any():
        raise ValueError("rows are not probabilities that sum to one; give a hypnodensity, after softmax, not logits")
    return probabilities, truth

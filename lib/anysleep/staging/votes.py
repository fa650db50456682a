"""Stages and probabilities from logits, of one montage or of several together."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import special

from anysleep.stages import N_STAGES

Vote = Literal["majority", "mean"]


def majority_vote(hypnograms: Sequence[np.ndarray], seed: int = 0) -> np.ndarray:
    """The stage most montages agree on, int8 (P,); ties are drawn, with a seed, among the tied."""
    votes = np.stack([np.sum(np.stack(hypnograms) == stage, axis=0) for stage in range(N_STAGES)], axis=1)  # (P, 5)
    tie_break = np.random.default_rng(seed).random(votes.shape)  # less than one vote, so it decides ties alone
    return (votes + tie_break).argmax(axis=1).astype(np.int8)


def vote_stages(logits: Sequence[np.ndarray], vote: Vote = "majority", seed: int = 0) -> np.ndarray:
    """One hypnogram int8 (P,) from the logits (P, 5) of several montages.

    `majority`: the stage that most of them choose, see `majority_vote`. `mean`: the most probable in the mean.
    """
    if vote == "mean":
        return mean_log_probabilities(logits).argmax(axis=1).astype(np.int8)
    return majority_vote([one.argmax(axis=1) for one in logits], seed)


def mean_log_probabilities(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Logarithm of the mean probabilities of several logits (P, 5), float64 (P, 5). Softmax gives the mean back."""
    stacked = special.log_softmax(np.stack(logits).astype(float), axis=-1)  # (montages, P, 5)
    return special.logsumexp(stacked, axis=0) - np.log(len(stacked))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    return special.softmax(logits, axis=-1)

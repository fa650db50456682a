"""Several scorers, one night: their consensus (Guillot et al. 2020, doi 10.1109/TNSRE.2020.3011181)."""

import numpy as np
from numpy.typing import ArrayLike

from anysleep.stages import N_STAGES, UNSCORED


def soft_agreement(scorers: ArrayLike) -> np.ndarray:
    """How far each scorer agrees with the others, float64 (S,), 0 to 1.

    For a scorer, every epoch counts the share of votes that his stage gets from the others, relative to their most
    frequent stage; the mean over epochs is his soft agreement.
    """
    votes = _votes(scorers)  # (S, E, codes)
    others = votes.sum(axis=0) - votes
    relative = others / others.max(axis=2, keepdims=True)
    return (votes * relative).sum(axis=2).mean(axis=1)


def consensus_hypnogram(scorers: ArrayLike, n_kept: int = 4) -> np.ndarray:
    """The stage that most of the best-agreeing scorers give: int8 (E,), 9 where the vote is unscored.

    `scorers` are int (S, E): stages 0-4, -1 or 9 where unscored. They are ranked by `soft_agreement`; the best `n_kept`
    vote, all where there are fewer, and a tie goes to the highest-ranked scorer among those who gave a tied stage.
    Unscored is a vote like any stage.
    """
    votes = _votes(scorers)
    ranked = votes[np.argsort(-soft_agreement(scorers), kind="stable")][:n_kept]  # (n_kept, E, codes)
    # A vote of the r-th ranked adds less than one whole vote in all: enough to decide ties, and nothing else.
    rank_bonus = 0.5 ** np.arange(1, len(ranked) + 1)
    winner = np.einsum("sec,s->ec", ranked, 1 + rank_bonus).argmax(axis=1)
    return np.where(winner == N_STAGES, UNSCORED, winner).astype(np.int8)


def _votes(scorers: ArrayLike) -> np.ndarray:
    """One-hot float64 (S, E, 6); the sixth code is unscored."""
    scorers = np.asarray(scorers)
    if scorers.ndim != 2 or len(scorers) < 2:
        raise ValueError(f"scorers have shape {scorers.shape}; expected at least two rows, (scorers, epochs)")
    codes = np.where(np.isin(scorers, (-1, UNSCORED)), N_STAGES, scorers)
    if not np.isin(codes, range(N_STAGES + 1)).all():
        raise ValueError(f"unknown stage codes in {np.unique(scorers).tolist()}; known are 0-4, and -1 or 9")
    return np.eye(N_STAGES + 1)[codes.astype(int)]

"""Where a reviewer looks next: disagreements, doubtful epochs, arousals and changes of stage."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from anysleep.stages import EPOCH_S, UNSCORED


def jump_targets(
    hypnograms: Mapping[str, np.ndarray],
    hypnodensity: np.ndarray | None,
    arousals_s: Sequence[np.ndarray],
    reviewed: Collection[int] = (),
) -> dict[str, list[float]]:
    """Seconds to jump to, by what is there.

    `disagreement`: epochs that two scorers have given different stages; `stage_change`: the first epoch of every new
    stage of the last scorer; `arousal`: where arousals begin; `least_certain`: epochs that are neither reviewed nor
    unscored, by their largest probability, the smallest first.

    `hypnograms` has scorer -> (E,) stages, 9 where unscored; `hypnodensity` is (E, 5), None where nothing was
    predicted; `arousals_s` has arousals (n, 2) of each who has marked or found some; `reviewed` are epochs, from 1,
    that are done.
    """
    last = list(hypnograms.values())[-1]
    onsets_s = np.concatenate([np.empty(0), *(spans[:, 0] for spans in arousals_s)])
    return {
        "disagreement": _seconds(np.flatnonzero(disagreeing(list(hypnograms.values())))),
        "stage_change": _seconds(np.flatnonzero(np.diff(last)) + 1),
        "arousal": np.unique(onsets_s).tolist(),
        "least_certain": [] if hypnodensity is None else _seconds(_least_certain(hypnodensity, last, reviewed)),
    }


def disagreeing(hypnograms: Sequence[np.ndarray]) -> np.ndarray:
    """bool (E,): where two of the hypnograms (E,) have different stages; unscored agrees with everything."""
    stages = np.stack(hypnograms).astype(float)
    stages[stages == UNSCORED] = np.nan
    return np.fmax.reduce(stages) > np.fmin.reduce(stages)


def _least_certain(hypnodensity: np.ndarray, stages: np.ndarray, reviewed: Collection[int]) -> np.ndarray:
    order = np.argsort(hypnodensity.max(axis=1), kind="stable")
    done = np.isin(order + 1, list(reviewed)) | (stages[order] == UNSCORED)
    return order[~done]


def _seconds(epochs: np.ndarray) -> list[float]:
    return (epochs * float(EPOCH_S)).tolist()

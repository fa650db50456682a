"""Arousals: short awakenings inside sleep, found as runs of Wake and compared with an expert's events.

AnySleep (arXiv 2512.14461), high-frequency analyses. An arousal lasts 3 to 15 s and follows at least 10 s of sleep
(AASM). Two events match where their intersection over union (IoU) exceeds a threshold: the time both cover, divided by
the time at least one covers. Events are arrays (n, 2) of onset and end in s since the start of the recording.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from anysleep.stages import EPOCH_S, N_STAGES, WAKE

SHORTEST_S, LONGEST_S = 3, 15
"""How long an arousal lasts."""
SLEEP_BEFORE_S = 10
"""How long there is no Wake before an arousal."""
LARGEST_GAP_SHARE = (1, 10)
"""Largest gap inside a merged event as a share of its duration: numerator and denominator."""
HEADLINE_IOU = 0.2
"""The threshold of the published scores, which the headline has, too."""
IOU_TOLERANCE = 1e-9
"""An IoU exceeds a threshold by more than this: else 3 s / 10 s may come out above 0.3 by rounding."""

Matching = Literal["one_to_one", "many_to_one"]


def detect_arousals(hypnogram: ArrayLike, predictions_per_epoch: int) -> np.ndarray:
    """Arousals in predicted stages: float64 (n, 2), onset and end in s, in order of time.

    Runs of Wake are taken from left to right. A run joins the event before it where the two together, with the gap,
    last at most 15 s and the gap takes at most 10 % of that. An event counts where at least 10 s have passed since the
    event before it, of any length, or since the start of the recording, and where it lasts 3 to 15 s. All is compared
    in whole predictions, so nothing depends on rounding.

    Where the recorder paused, stages are unscored and nobody knows what happened: after a pause all begins anew, as at
    the start of a recording, and an event that runs into a pause does not count, since its end is unknown. (One that
    runs into the end of the recording counts, as published.)

    Parameters
    ----------
    hypnogram
        (P,) stages 0-4; 9 (or anything else) where unscored.
    predictions_per_epoch
        Predictions in 30 s. ValueError where it is not a positive whole number, or the hypnogram is not one night's.
    """
    stages = np.asarray(hypnogram)
    if stages.ndim != 1:
        raise ValueError(f"the hypnogram has shape {stages.shape}; expected (P,), the predictions of one night")
    if predictions_per_epoch < 1 or predictions_per_epoch != int(predictions_per_epoch):
        raise ValueError(f"predictions_per_epoch is {predictions_per_epoch}; expected a whole number such as 1 or 128")
    scored = (stages >= 0) & (stages < N_STAGES)
    events = [
        event
        for start, end in runs_of(scored).tolist()
        for event in _events_of_stretch(stages[start:end] == WAKE, start, int(predictions_per_epoch), end < len(stages))
    ]
    return np.array(events, dtype=float).reshape(-1, 2) * EPOCH_S / predictions_per_epoch


def runs_of(inside: np.ndarray) -> np.ndarray:
    """int (n, 2): first and one past the last position of every run of True in (P,)."""
    padded = np.concatenate([[False], inside, [False]])
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)  # start, end, start ...


def match_arousals(expert: ArrayLike, events: ArrayLike, iou_above: float) -> np.ndarray:
    """One-to-one pairs with an IoU above the threshold: int (k, 2), indices of an expert event and of a predicted one.

    As many pairs as possible; of all such choices the one with the largest sum of IoUs. In order of the expert events.
    Events need not be sorted and may overlap. ValueError as in `score_arousals`.
    """
    return _matched(iou_matrix(expert, events), *_checked_thresholds(iou_above))


def score_arousals(
    expert: ArrayLike, events: ArrayLike, thresholds: Sequence[float], matching: Matching = "one_to_one"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True positives, false positives and false negatives: int64 arrays, a number for each threshold of the IoU.

    one_to_one
        As in `match_arousals`: a true positive is a pair, so it uses up one expert event and one predicted event.
    many_to_one
        As published: each predicted event looks for the expert event with the largest IoU, of several the first, and
        where that exceeds the threshold it is a true positive, even where another one has matched the same expert
        event. An expert event that no predicted event matches so is a false negative: of two under one predicted event
        the better one is found, the other missed. Expert events that were marked twice are two here. True positives
        and false negatives need not add up to the number of expert events. (The published false negatives were those
        of threshold 0 at every threshold, by mistake; here they are counted.)

    ValueError where events are not (n, 2) finite numbers or end before they begin, or where a threshold is not from 0
    to 1 or the matching unknown.
    """
    iou = iou_matrix(expert, events)
    thresholds = _checked_thresholds(thresholds)
    if matching == "one_to_one":
        matched_expert = matched_events = np.array([len(_matched(iou, above)) for above in thresholds], dtype=np.int64)
    elif matching == "many_to_one":
        best = _of_best_expert(iou)
        matched_expert = _n_above(best.max(axis=1, initial=0), thresholds)
        matched_events = _n_above(best.max(axis=0, initial=0), thresholds)
    else:
        raise ValueError(f"matching is {matching!r}; choose 'one_to_one' or 'many_to_one'")
    return matched_events, iou.shape[1] - matched_events, iou.shape[0] - matched_expert


def iou_matrix(expert: ArrayLike, events: ArrayLike) -> np.ndarray:
    """Intersection over union of each expert event (n) with each predicted one (m): float64 (n, m), 0 to 1."""
    expert, events = checked_events(expert, "expert"), checked_events(events, "predicted")
    onset, end = expert[:, :1], expert[:, 1:]  # (n, 1) against (m,)
    both = np.minimum(end, events[:, 1]) - np.maximum(onset, events[:, 0])
    either = np.maximum(end, events[:, 1]) - np.minimum(onset, events[:, 0])  # the union where they overlap
    return np.divide(both, either, out=np.zeros_like(both), where=both > 0)


def checked_events(events: ArrayLike, name: str) -> np.ndarray:
    """float64 (n, 2). ValueError where events are something else, not finite, or end before they begin."""
    events = np.asarray(events, dtype=float)
    if events.size == 0:
        return np.empty((0, 2))
    if events.ndim != 2 or events.shape[1] != 2:
        raise ValueError(f"{name} events have shape {events.shape}; expected (n, 2), onset and end in s")
    wrong = ~np.isfinite(events).all(axis=1) | ~(events[:, 1] >= events[:, 0])
    if wrong.any():
        raise ValueError(f"{name} event {events[wrong][0].tolist()}: expected onset and end in s, the end not before")
    return events


def _events_of_stretch(wake: np.ndarray, offset: int, r: int, before_pause: bool) -> list[tuple[int, int]]:
    """Arousals of a stretch (P,) without pauses, first prediction and one past the last, counted from `offset`."""
    merged = _merge(runs_of(wake).tolist(), r)
    ends = [0, *(end for _, end in merged)]  # where the event before each ends; before the first, the stretch begins
    return [
        (offset + start, offset + end)
        for (start, end), end_before in zip(merged, ends, strict=False)
        if (start - end_before) * EPOCH_S >= SLEEP_BEFORE_S * r
        and SHORTEST_S * r <= (end - start) * EPOCH_S <= LONGEST_S * r
        and not (before_pause and end == len(wake))
    ]


def _merge(runs: list[list[int]], r: int) -> list[list[int]]:
    """Runs [start, end), each joined with the event before it where the rule of `detect_arousals` allows."""
    share, whole = LARGEST_GAP_SHARE
    merged: list[list[int]] = []
    for start, end in runs:
        if merged:
            duration, gap = end - merged[-1][0], start - merged[-1][1]
            if duration * EPOCH_S <= LONGEST_S * r and gap * whole <= duration * share:
                merged[-1][1] = end
                continue
        merged.append([start, end])
    return merged


def _of_best_expert(iou: np.ndarray) -> np.ndarray:
    """An IoU matrix (n, m) with only the largest of each column, of several the first; 0 elsewhere."""
    best = np.zeros_like(iou)
    if iou.size:
        chosen = iou.argmax(axis=0), np.arange(iou.shape[1])
        best[chosen] = iou[chosen]
    return best


def _n_above(ious: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of (n,) exceed each threshold: int64, a number each."""
    return (ious > thresholds[:, np.newaxis] + IOU_TOLERANCE).sum(axis=1, dtype=np.int64)


def _matched(iou: np.ndarray, iou_above: float) -> np.ndarray:
    """The pairs of `match_arousals` from an IoU matrix."""
    allowed = iou > iou_above + IOU_TOLERANCE
    # Without events that match nothing: the time of an assignment grows with the third power of its size.
    rows, columns = np.flatnonzero(allowed.any(axis=1)), np.flatnonzero(allowed.any(axis=0))
    block = np.ix_(rows, columns)
    one_pair = 1 + min(len(rows), len(columns))  # outweighs all IoUs together, so the number of pairs comes first
    i, j = linear_sum_assignment(np.where(allowed[block], one_pair + iou[block], 0), maximize=True)
    # The assignment pairs as many as it can, also where no match is allowed.
    chosen = allowed[rows[i], columns[j]]
    return np.column_stack([rows[i], columns[j]])[chosen].astype(np.int64)


def _checked_thresholds(thresholds: ArrayLike) -> np.ndarray:
    thresholds = np.atleast_1d(np.asarray(thresholds, dtype=float))
    wrong = ~((thresholds >= 0) & (thresholds <= 1))
    if thresholds.ndim != 1 or wrong.any():
        raise ValueError(f"thresholds are {thresholds.tolist()}; expected numbers from 0 to 1, such as [0.2, 0.5]")
    return thresholds

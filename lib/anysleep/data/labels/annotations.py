"""Hypnograms from timed annotations, as EDF+ files carry them."""

import warnings

import numpy as np
import pandas as pd

from anysleep.data.recording import whole_epochs
from anysleep.stages import EPOCH_S, N1, N2, N3, REM, UNSCORED, WAKE

STAGE_DESCRIPTIONS = {
    "sleep stage w": WAKE,
    "sleep stage n1": N1,
    "sleep stage n2": N2,
    "sleep stage n3": N3,
    "sleep stage r": REM,
    "sleep stage 1": N1,
    "sleep stage 2": N2,
    "sleep stage 3": N3,
    "sleep stage 4": N3,  # stages 3 and 4 of Rechtschaffen and Kales are N3 of the AASM
    "sleep stage ?": UNSCORED,
    "movement time": UNSCORED,
}
"""The standard texts of EDF+ and Sleep-EDF, in lower case."""

CODES = (WAKE, N1, N2, N3, REM, UNSCORED)


def hypnogram_from_annotations(annotations: pd.DataFrame, duration_s: float) -> np.ndarray | None:
    """The stage of every whole epoch, from annotations on the recording's time base.

    An epoch takes the stage that covers most of it, 9 where none covers half. Annotations without duration last until
    the next one. Whatever is not plain (off the 30 s grid, beyond the end) is said in a warning.

    Parameters
    ----------
    annotations
        Columns onset_s, duration_s, description; other descriptions than stages are left alone.
    duration_s
        Length of the recording.

    Returns
    -------
    int8 (whole epochs,), or None where no annotation is a stage.

    Raises
    ------
    ValueError
        An unknown 'Sleep stage ...', two stages at the same time, or no scored epoch inside the recording.
    """
    stages = _stage_rows(annotations)
    if stages.empty:
        return None
    n_epochs = whole_epochs(duration_s)
    covered_s = _seconds_per_stage(stages, n_epochs)  # (E, codes)
    crowded = np.flatnonzero(covered_s.sum(axis=1) > EPOCH_S + 0.1)
    if crowded.size:
        raise ValueError(
            f"{crowded.size} epochs carry two stage annotations at the same time, the first at {crowded[0] * EPOCH_S} s"
        )
    hypnogram = np.array(CODES, dtype=np.int8)[covered_s.argmax(axis=1)]
    hypnogram[covered_s.max(axis=1) < EPOCH_S / 2] = UNSCORED
    if (hypnogram == UNSCORED).all() and (stages.code != UNSCORED).any():
        raise ValueError(
            f"no stage annotation lies inside the recording: they span {stages.onset_s.min():g} s to "
            f"{stages.end_s.max():g} s, the recording lasts {duration_s:g} s"
        )
    _warn_of_what_is_not_plain(stages, covered_s, duration_s)
    return hypnogram


def _stage_rows(annotations: pd.DataFrame) -> pd.DataFrame:
    text = annotations.description.str.strip().str.lower()
    unknown = sorted(set(text[text.str.startswith("sleep stage")]) - set(STAGE_DESCRIPTIONS))
    if unknown:
        raise ValueError(f"unknown stage annotations {', '.join(map(repr, unknown))}")
    stages = annotations.assign(code=text.map(STAGE_DESCRIPTIONS)).dropna(subset="code").sort_values("onset_s")
    until_next_s = (-stages.onset_s.diff(-1)).fillna(EPOCH_S)
    lasting_s = stages.duration_s.where(stages.duration_s > 0, until_next_s)
    return stages.assign(code=stages.code.astype(int), end_s=stages.onset_s + lasting_s)


def _seconds_per_stage(stages: pd.DataFrame, n_epochs: int) -> np.ndarray:
    """(E, codes): how many seconds of each epoch each code covers."""
    borders_s = np.arange(n_epochs + 1) * EPOCH_S
    covered_s = np.zeros((n_epochs, len(CODES)))
    for onset_s, end_s, code in zip(stages.onset_s, stages.end_s, stages.code, strict=True):
        first = max(int(onset_s // EPOCH_S), 0)
        last = max(first, min(int(-(-end_s // EPOCH_S)), n_epochs))
        starts_s, ends_s = borders_s[first:last], borders_s[first + 1 : last + 1]
        overlap_s = np.minimum(ends_s, end_s) - np.maximum(starts_s, onset_s)
        covered_s[first:last, CODES.index(code)] += np.clip(overlap_s, 0, None)
    return covered_s


def _warn_of_what_is_not_plain(stages: pd.DataFrame, covered_s: np.ndarray, duration_s: float) -> None:
    mixed = int(((covered_s > 0.1).sum(axis=1) > 1).sum())
    if mixed:
        warnings.warn(
            f"stage annotations do not lie on the recording's {EPOCH_S} s grid: {mixed} of {len(covered_s)} epochs "
            "hold more than one stage and take the one that covers most",
            stacklevel=3,
        )
    scored = stages[stages.code != UNSCORED]
    outside_s = (scored.end_s - scored.onset_s.clip(lower=duration_s)).clip(lower=0).sum()
    outside_s += (scored.end_s.clip(upper=0) - scored.onset_s).clip(lower=0).sum()
    if outside_s > EPOCH_S:  # a last partial epoch is usual
        warnings.warn(
            f"{outside_s:g} s of scored stages lie outside the {duration_s:g} s of the recording and are left out",
            stacklevel=3,
        )

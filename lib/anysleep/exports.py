"""Stagings as files that other programs read."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from anysleep.stages import EPOCH_S, STAGES, UNSCORED


def hypnogram_table(
    hypnogram: np.ndarray, hypnodensity: np.ndarray, predictions_per_epoch: int, start_time: datetime | None
) -> pd.DataFrame:
    """One row a prediction: onset_s, duration_s, clock_time (where the start is known), stage, p_wake ... p_rem.

    `hypnogram` is int (P,), 9 for unscored, `hypnodensity` float (P, 5).
    """
    seconds = EPOCH_S / predictions_per_epoch
    onset_s = np.arange(len(hypnogram)) * seconds
    columns = {
        "onset_s": onset_s,
        "duration_s": seconds,
        "stage": ["unscored" if code == UNSCORED else STAGES[code] for code in hypnogram],
        **{f"p_{stage.lower()}": hypnodensity[:, i].round(4) for i, stage in enumerate(STAGES)},
    }
    table = pd.DataFrame(columns)
    if start_time is not None:
        table.insert(1, "clock_time", [_clock(start_time, seconds) for seconds in onset_s])
    return table


def _clock(start: datetime, seconds: float) -> str:
    """Time of day, with milliseconds only where they are not zero; no date."""
    moment = start + timedelta(seconds=float(seconds))
    return moment.strftime("%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "")

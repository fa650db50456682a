"""Stagings as files that other programs read."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from anysleep.inference import Staging
from anysleep.stages import EPOCH_S, STAGES


def hypnogram_table(staging: Staging, predictions_per_epoch: int, start_time: datetime | None) -> pd.DataFrame:
    """One row a prediction: onset_s, duration_s, clock_time (where the start is known), stage, p_wake ... p_rem."""
    probabilities = staging.hypnodensity(predictions_per_epoch)
    seconds = EPOCH_S / predictions_per_epoch
    onset_s = np.arange(len(probabilities)) * seconds
    columns = {
        "onset_s": onset_s,
        "duration_s": seconds,
        "stage": [STAGES[code] for code in staging.hypnogram(predictions_per_epoch)],
        **{f"p_{stage.lower()}": probabilities[:, i].round(4) for i, stage in enumerate(STAGES)},
    }
    table = pd.DataFrame(columns)
    if start_time is not None:
        table.insert(1, "clock_time", [_clock(start_time, seconds) for seconds in onset_s])
    return table


def _clock(start: datetime, seconds: float) -> str:
    """Time of day, with milliseconds only where they are not zero; no date."""
    moment = start + timedelta(seconds=float(seconds))
    return moment.strftime("%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "")

"""The hypnogram as a table: CSV with clock times, and Parquet with every digit of the hypnodensity."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.exports.scored_night import ScoredNight
from anysleep.stages import STAGES


def hypnogram_table(night: ScoredNight) -> pd.DataFrame:
    """One row a prediction: onset_s, clock_time (where the start is known), duration_s, stage, p_wake ... p_rem.

    Probabilities are there where the hypnodensity is, rounded to four digits.
    """
    table = _stage_table(night)
    if night.start_time is not None:
        table.insert(1, "clock_time", [clock_time(night.start_time, onset_s) for onset_s in night.onsets_s])
    return table.round({name: 4 for name in table if name.startswith("p_")})


def write_csv(temporary: Path, night: ScoredNight) -> None:
    """Write `hypnogram_table`."""
    hypnogram_table(night).to_csv(temporary, index=False)


def write_parquet(temporary: Path, night: ScoredNight) -> None:
    """Write the table with float32 probabilities and no clock times; the start and the scorer are its `attrs`."""
    table = _stage_table(night)
    table = table.astype({name: np.float32 for name in table if name.startswith("p_")})
    table.attrs = {"start_time": night.start_time and night.start_time.isoformat(), "scorer": night.scorer}
    table.to_parquet(temporary, engine="pyarrow", index=False)


def clock_time(start: datetime, seconds: float) -> str:
    """Time of day, with milliseconds only where they are not zero; no date."""
    moment = start + timedelta(seconds=float(seconds))
    return moment.strftime("%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "")


def _stage_table(night: ScoredNight) -> pd.DataFrame:
    columns = {"onset_s": night.onsets_s, "duration_s": night.seconds_per_prediction, "stage": night.names}
    if night.hypnodensity is not None:
        columns |= {f"p_{stage.lower()}": night.hypnodensity[:, i] for i, stage in enumerate(STAGES)}
    return pd.DataFrame(columns)

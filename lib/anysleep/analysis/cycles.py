"""NREM and REM periods of a night, and the sleep cycles that they make.

The rule is that of Feinberg & Floyd (1979, doi 10.1111/j.1469-8986.1979.tb02991.x) as Blume & Cajochen (2021, doi
10.1016/j.mex.2021.101318) describe it for stages of the AASM, without its splitting of long NREM periods by hand:

- REM belongs to one REM period where less than 15 min of anything else lie between. A REM period lasts at least 5 min
  from its first to its last REM, the first of the night as long as it likes; shorter REM is part of the NREM around it.
- A NREM period is what lies before a REM period, or after the last, until sleep ends: at least 15 min with NREM sleep
  in it. Wake and unscored epochs within count as time.
- A cycle is a NREM period and the REM period after it. REM at sleep onset has no NREM period, and makes no cycle.
"""

import numpy as np
import pandas as pd

from anysleep.stages import EPOCH_S, N1, N3, REM

SHORTEST_NREM = 15 * 60 // EPOCH_S
"""Epochs of a NREM period."""
SHORTEST_REM = 5 * 60 // EPOCH_S
"""Epochs of a REM period but the first."""
COLUMNS = ("cycle", "period", "start_s", "duration_s")


def sleep_periods(hypnogram: np.ndarray, start_s: float = 0.0) -> pd.DataFrame:
    """The periods of a hypnogram (E,) of 30 s that begins at `start_s`, in order: a row each.

    Columns cycle (from 1; 0 for REM without a NREM period), period (NREM or REM), start_s and duration_s. A last NREM
    period without REM has a cycle of its own, which is incomplete and not counted by `complete_cycles`.
    """
    hypnogram = np.asarray(hypnogram)
    asleep = np.flatnonzero((hypnogram >= N1) & (hypnogram <= REM))
    if not len(asleep):
        return pd.DataFrame(columns=list(COLUMNS))
    rows, cycle, begin, end = [], 0, int(asleep[0]), int(asleep[-1]) + 1
    for start, stop in [*_rem_periods(hypnogram), (end, end)]:
        stages = hypnogram[begin:start]
        has_nrem = len(stages) >= SHORTEST_NREM and ((stages >= N1) & (stages <= N3)).any()
        if has_nrem:
            cycle += 1
            rows.append((cycle, "NREM", begin * EPOCH_S, (start - begin) * EPOCH_S))
        if stop > start:
            rows.append((cycle if has_nrem else 0, "REM", start * EPOCH_S, (stop - start) * EPOCH_S))
        begin = stop
    periods = pd.DataFrame(rows, columns=list(COLUMNS))
    return periods.assign(start_s=periods.start_s + start_s)


def complete_cycles(periods: pd.DataFrame) -> pd.Series:
    """Length in minutes of every cycle that ends with a REM period, by its number."""
    ended = periods.cycle[(periods.period == "REM") & (periods.cycle > 0)]
    of_cycles = periods[periods.cycle.isin(ended)]
    return of_cycles.groupby("cycle").duration_s.sum() / 60


def _rem_periods(hypnogram: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last epoch of each."""
    rem = np.flatnonzero(hypnogram == REM)
    groups = np.split(rem, np.flatnonzero(np.diff(rem) > SHORTEST_NREM) + 1) if len(rem) else []
    spans = [(int(group[0]), int(group[-1]) + 1) for group in groups]
    return [span for i, span in enumerate(spans) if i == 0 or span[1] - span[0] >= SHORTEST_REM]

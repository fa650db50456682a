"""The statistics of a night's report: from lights off to lights on, at 30 s. `STATISTICS` says what each one means.

Which epochs are in bed says `epochs_in_bed`. Unscored epochs there are part of time in bed and of the sleep period, but
neither sleep nor Wake: they lower both efficiencies, pass as time in latencies, and end a run of sleep.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from anysleep.analysis.definitions import STATISTICS, Statistic
from anysleep.analysis.statistics import find_bouts, sleep_period, sleep_statistics
from anysleep.recordings.lights import LightsTimes, epochs_in_bed
from anysleep.stages import EPOCH_S, N1, N2, N3, N_STAGES, REM, STAGES, WAKE

EPOCHS_PER_HOUR = 3600 // EPOCH_S


def night_statistics(
    hypnogram: ArrayLike,
    lights_s: LightsTimes = (None, None),
    arousals_s: ArrayLike | None = None,
) -> dict[str, float]:
    """The statistics of `STATISTICS` by name; NaN where a night has none, as the REM latency of one without REM.

    `hypnogram` is int (E,), a stage every 30 s of the recording, codes 0-4, and 9 where unscored. `lights_s` is when
    the lights went off and on, in s of the recording; None for its beginning or end. `arousals_s` are onset and end of
    all arousals, float (n, 2), in s of the recording; None where nobody looked for any: then there are no statistics of
    them.

    ValueError where there is another code, or no epoch between lights off and on.
    """
    hypnogram = np.asarray(hypnogram)
    in_bed = epochs_in_bed(len(hypnogram), lights_s)
    stages = hypnogram[in_bed]
    statistics = sleep_statistics(stages).to_dict() | _onsets(stages) | _fragmentation(stages) | _cycles(stages)
    if arousals_s is not None:
        statistics |= _arousals(hypnogram, in_bed, arousals_s)
    return {name: round(float(statistics[name]), 4) for name in STATISTICS if name in statistics}


def statistics_report(statistics: Mapping[str, float]) -> pd.DataFrame:
    """A row a statistic of a night at 30 s, which can show no shorter awakenings: statistic, value, `Statistic`."""
    shown = {name: value for name, value in statistics.items() if name != "n_short_awakenings"}
    rows = [(name, value, *STATISTICS[name]) for name, value in shown.items()]
    return pd.DataFrame(rows, columns=["statistic", "value", *Statistic._fields])


def stage_transitions(hypnogram: ArrayLike) -> pd.DataFrame:
    """How often each stage (row) is followed by each (column), itself too, in a hypnogram (E,): counts (5, 5).

    Unscored epochs and their neighbours make no transition.
    """
    hypnogram = np.asarray(hypnogram)
    before, after = hypnogram[:-1], hypnogram[1:]
    both = (before < N_STAGES) & (after < N_STAGES)
    counts = np.zeros((N_STAGES, N_STAGES), dtype=int)
    np.add.at(counts, (before[both], after[both]), 1)
    return pd.DataFrame(counts, index=pd.Index(STAGES, name="from"), columns=pd.Index(STAGES, name="to"))


def _onsets(stages: np.ndarray) -> dict[str, float]:
    """Sleep onset by other definitions, what is counted from it, and Wake after it."""
    asleep = _is_sleep(stages)
    in_a_row = np.convolve(asleep, np.ones(3), "valid") == 3 if len(stages) >= 3 else asleep[:0]
    onset = _minutes_to(asleep)
    return {
        "SOL_N2": _minutes_to(stages == N2),
        "SOL_90s": _minutes_to(in_a_row),
        "Lat_REM_onset": _minutes_to(stages == REM) - onset,
        "WASO_to_lights_on": np.sum(stages[asleep.argmax() :] == WAKE) * EPOCH_S / 60 if asleep.any() else np.nan,
    }


def _fragmentation(stages: np.ndarray) -> dict[str, float]:
    period = stages[sleep_period(stages)]
    before, after = period[:-1], period[1:]
    n_shifts = np.count_nonzero((before != after) & (before < N_STAGES) & (after < N_STAGES))
    states, _ = find_bouts(np.where(_is_sleep(stages), N2, stages))
    n_awakenings = np.count_nonzero((states[:-2] == N2) & (states[1:-1] == WAKE) & (states[2:] == N2))
    return {
        "n_awakenings": n_awakenings,
        "n_stage_shifts": n_shifts,
        "stage_shift_index": _per_hour(n_shifts, _is_sleep(stages)),
    }


def _cycles(stages: np.ndarray) -> dict[str, float]:
    periods = sleep_periods(stages)
    lengths_min = complete_cycles(periods)
    return {
        "n_REM_periods": np.count_nonzero(periods.period == "REM"),
        "n_cycles": len(lengths_min),
        "cycle_min": lengths_min.mean(),
    }


def _arousals(hypnogram: np.ndarray, in_bed: slice, arousals_s: ArrayLike) -> dict[str, float]:
    """An arousal belongs to the stage just before it begins, so at an epoch's border to the epoch before."""
    onset_s = np.asarray(arousals_s, dtype=float).reshape(-1, 2)[:, 0]
    epochs = np.maximum(np.ceil(onset_s / EPOCH_S).astype(int) - 1, 0)
    begun_in = hypnogram[epochs[(epochs >= in_bed.start) & (epochs < in_bed.stop)]]
    stages, n_arousals = hypnogram[in_bed], np.count_nonzero(_is_sleep(begun_in))
    by_stage = {
        f"arousal_index_{STAGES[stage]}": _per_hour(np.count_nonzero(begun_in == stage), stages == stage)
        for stage in range(N1, REM + 1)
    }
    return {"n_arousals": n_arousals, "arousal_index": _per_hour(n_arousals, _is_sleep(stages))} | by_stage


def _is_sleep(stages: np.ndarray) -> np.ndarray:
    return (stages >= N1) & (stages <= REM)


def _minutes_to(found: np.ndarray) -> float:
    return float(found.argmax()) * EPOCH_S / 60 if found.any() else np.nan


def _per_hour(count: int, epochs: np.ndarray) -> float:
    n_epochs = np.count_nonzero(epochs)
    return count * EPOCHS_PER_HOUR / n_epochs if n_epochs else np.nan


SHORTEST_NREM = 15 * 60 // EPOCH_S
"""Epochs of a NREM period."""
SHORTEST_REM = 5 * 60 // EPOCH_S
"""Epochs of a REM period but the first."""
PERIOD_COLUMNS = ("cycle", "period", "start_s", "duration_s")


def sleep_periods(hypnogram: np.ndarray, start_s: float = 0.0) -> pd.DataFrame:
    """The periods of a hypnogram (E,) of 30 s that begins at `start_s`, in order: a row each.

    The rule is that of Feinberg & Floyd (1979, doi 10.1111/j.1469-8986.1979.tb02991.x) as Blume & Cajochen (2021, doi
    10.1016/j.mex.2021.101318) describe it for stages of the AASM, without splitting long NREM periods by hand:

    - REM belongs to one REM period where less than 15 min of anything else lie between. A REM period lasts at least
      5 min from its first to its last REM, the first of the night as long as it likes; shorter REM is part of the NREM
      around it.
    - A NREM period is what lies before a REM period, or after the last, until sleep ends: at least 15 min with NREM
      sleep in it. Wake and unscored epochs within count as time.
    - A cycle is a NREM period and the REM period after it. REM at sleep onset has no NREM period, and makes no cycle.

    Columns cycle (from 1; 0 for REM without a NREM period), period (NREM or REM), start_s and duration_s. A last NREM
    period without REM has a cycle of its own, which is incomplete and not counted by `complete_cycles`.
    """
    hypnogram = np.asarray(hypnogram)
    asleep = np.flatnonzero((hypnogram >= N1) & (hypnogram <= REM))
    if not len(asleep):
        return pd.DataFrame(columns=list(PERIOD_COLUMNS))
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
    periods = pd.DataFrame(rows, columns=list(PERIOD_COLUMNS))
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

"""Sleep statistics of a night at any resolution, by yasa, and how sure the network was.

yasa (Vallat & Walker 2021, doi 10.7554/eLife.70092) follows the AASM manual, which knows epochs of 30 s only. For finer
predictions two rules are added here, which change nothing where every stage lasts a whole number of epochs:

- What is an amount of time (TST, WASO, %N1 ...) counts every prediction, however short.
- What is an event needs 30 s of it without a break: sleep begins with the first 30 s of sleep (of any stages) and ends
  with the last; REM begins with the first 30 s of REM; an awakening is 30 s of Wake after 30 s of sleep. yasa finds
  these in a night without shorter bouts (`lasting_states`). Awakenings shorter than 30 s are counted by themselves.

The report of a night, `night_statistics`, is at 30 s from lights off to lights on; `STATISTICS` says what each of them
means. Unscored epochs in bed are part of time in bed and of the sleep period, but neither sleep nor Wake: they lower
both efficiencies, pass as time in latencies, and end a run of sleep.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from anysleep.analysis.definitions import STATISTICS, Statistic
from anysleep.recordings.lights import LightsTimes, epochs_in_bed
from anysleep.stages import EPOCH_S, N1, N2, N3, N_STAGES, REM, STAGES, UNSCORED, WAKE
from anysleep.staging.predictions import Predictions
from anysleep.system.words import progress

YASA_EVENTS = ("SPT", "SFI", "SOL", "SOL_5min", "Lat_REM")
"""The statistics of yasa that need 30 s without a break."""
YASA_NAMES = np.full(UNSCORED + 1, "UNS", dtype=object)
"""yasa's name of every code."""
YASA_NAMES[:N_STAGES] = [stage.upper() for stage in STAGES]
EPOCHS_PER_HOUR = 3600 // EPOCH_S
SHORTEST_NREM = 15 * 60 // EPOCH_S
"""Epochs of a NREM period."""
SHORTEST_REM = 5 * 60 // EPOCH_S
"""Epochs of a REM period but the first."""
PERIOD_COLUMNS = ("cycle", "period", "start_s", "duration_s")


def sleep_statistics(hypnogram: np.ndarray, predictions_per_epoch: int = 1) -> pd.Series:
    """Those of `STATISTICS` that yasa has, by the module's rules for fine predictions; UNS only where there is any.

    Time in bed is all of the hypnogram, int (P,), codes 0-4, and 9 where unscored: what lies before lights off and
    after lights on is cut off before. ValueError where there is no prediction, or another code.
    """
    hypnogram = np.asarray(hypnogram)
    _check(hypnogram, predictions_per_epoch)
    lasting = lasting_states(hypnogram, predictions_per_epoch)
    statistics, events = (_statistics_by_yasa(night, predictions_per_epoch) for night in (hypnogram, lasting))
    statistics |= {name: events[name] for name in YASA_EVENTS}
    period = hypnogram[sleep_period(lasting)]
    if len(period):
        statistics["WASO"] = np.count_nonzero(period == WAKE) * EPOCH_S / 60 / predictions_per_epoch
        statistics["SME"] = 100 * float(np.mean((period != WAKE) & (period != UNSCORED)))
    else:
        statistics |= {"WASO": np.nan, "SME": np.nan}
    statistics["n_short_awakenings"] = _short_awakenings(hypnogram, predictions_per_epoch)
    return pd.Series(statistics, dtype=float).round(4)


def lasting_states(hypnogram: np.ndarray, predictions_per_epoch: int) -> np.ndarray:
    """The hypnogram (P,) of Wake, N2 for any sleep, REM and unscored without bouts shorter than 30 s.

    A shorter bout of sleep or Wake becomes sleep where sleep lies on both sides of it; unscored beside unscored and at
    the end, where nobody knows how it went on; and Wake elsewhere. Shorter REM is sleep but no REM.
    """
    values, lengths = _bouts_of_states(hypnogram)
    lasts = (lengths >= predictions_per_epoch) | (values == UNSCORED)
    sides = np.concatenate([[WAKE], values[lasts], [UNSCORED]])
    n_before = np.cumsum(lasts) - lasts
    before, after = sides[n_before], sides[n_before + 1]
    filled = np.select([(before == UNSCORED) | (after == UNSCORED), before == after], [UNSCORED, before], WAKE)
    states = np.repeat(np.where(lasts, values, filled), lengths)
    is_rem, lengths = find_bouts(hypnogram == REM)
    states[np.repeat(is_rem & (lengths >= predictions_per_epoch), lengths)] = REM
    return states


def statistics_table(predictions: Predictions, nights: pd.DataFrame) -> pd.DataFrame:
    """A row a night and resolution; one hypnogram is in memory at a time.

    `nights` has columns dataset and recording, and counts from lights_off_s to lights_on_s where it has these. Columns
    dataset, recording, predictions_per_epoch, seconds_per_prediction, then those of yasa in `STATISTICS`.
    """
    rows = []
    wanted = predictions.of(nights)
    for night in progress(wanted.itertuples(), "statistics", len(wanted)):
        for r in predictions.resolutions:
            named = {"dataset": night.dataset, "recording": night.recording, "predictions_per_epoch": r}
            hypnogram = predictions.hypnogram(night.dataset, night.recording, r)
            lights_s = getattr(night, "lights_off_s", None), getattr(night, "lights_on_s", None)
            in_bed = epochs_in_bed(len(hypnogram) // r, lights_s)
            statistics = sleep_statistics(hypnogram[in_bed.start * r : in_bed.stop * r], r)
            rows.append(named | {"seconds_per_prediction": EPOCH_S / r} | statistics.to_dict())
    table = pd.DataFrame(rows)
    return table[[*list(table)[:4], *(name for name in STATISTICS if name in table)]]


def change_from_coarsest(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.Series]:
    """How one statistic changes within each night, and what it is at the coarsest resolution.

    Nights that lack the statistic at one of their resolutions are left out: without 30 s of sleep in a row there is no
    sleep onset, and a line would tell of other nights at each of its points.

    `table` is from `statistics_table`, or several of those with a column `trained`. Returns a row a night and a column
    for each of the seconds per prediction; and a value a night.
    """
    night = [column for column in ("trained", "dataset", "recording") if column in table]
    lacks = table[name].isna().groupby([table[column] for column in night]).transform("any")
    wide = table[~lacks].pivot(index=night, columns="seconds_per_prediction", values=name)
    wide = wide.reindex(columns=sorted(table.seconds_per_prediction.unique()))  # also where no night is left
    coarsest = wide[wide.columns.max()]
    return wide.sub(coarsest, axis=0), coarsest


def uncertainty(hypnodensity: np.ndarray, hypnogram: np.ndarray | None = None) -> pd.Series:
    """Mean probability of the chosen stage, and mean entropy in bits, of probabilities (P, 5); NaN of none.

    What `hypnogram` (P,) has as unscored, such as a pause of the recorder, does not count.
    """
    hypnodensity = hypnodensity if hypnogram is None else hypnodensity[hypnogram != UNSCORED]
    if not len(hypnodensity):
        return pd.Series({"mean_confidence": np.nan, "mean_entropy_bits": np.nan})
    entropy_bits = -(hypnodensity * np.log2(np.clip(hypnodensity, 1e-12, None))).sum(axis=1)
    return pd.Series({"mean_confidence": hypnodensity.max(axis=1).mean(), "mean_entropy_bits": entropy_bits.mean()})


def find_bouts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of equal values of an array (P,), in their order: value and length of each, (B,)."""
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return values[starts], np.diff(np.append(starts, len(values)))


def _statistics_by_yasa(hypnogram: np.ndarray, predictions_per_epoch: int) -> dict[str, float]:
    from yasa import Hypnogram  # two seconds, which not every user of this module has to wait

    freq = f"{round(EPOCH_S * 1e9 / predictions_per_epoch)}ns"
    return Hypnogram(YASA_NAMES[hypnogram], n_stages=N_STAGES, freq=freq).sleep_statistics()


def _bouts_of_states(hypnogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of Wake, unscored and, whatever the stage, sleep as N2."""
    return find_bouts(np.where((hypnogram == WAKE) | (hypnogram == UNSCORED), hypnogram, N2))


def sleep_period(states: np.ndarray) -> slice:
    """From the first to the last sleep of stages or states (P,)."""
    asleep = np.flatnonzero((states != WAKE) & (states != UNSCORED))
    return slice(asleep[0], asleep[-1] + 1) if len(asleep) else slice(0)


def _short_awakenings(hypnogram: np.ndarray, predictions_per_epoch: int) -> int:
    """Wake of less than 30 s, directly between sleep and sleep."""
    values, lengths = _bouts_of_states(hypnogram)
    short_wake = (values == WAKE) & (lengths < predictions_per_epoch)
    return int(np.count_nonzero((values[:-2] == N2) & short_wake[1:-1] & (values[2:] == N2)))


def _check(hypnogram: np.ndarray, predictions_per_epoch: int) -> None:
    if predictions_per_epoch < 1 or predictions_per_epoch != int(predictions_per_epoch):
        raise ValueError(f"predictions_per_epoch is {predictions_per_epoch}; expected a whole number such as 1 or 128")
    if hypnogram.ndim != 1 or not len(hypnogram):
        raise ValueError(f"the hypnogram has shape {hypnogram.shape}; expected one stage a prediction, at least one")
    others = np.setdiff1d(hypnogram, [*range(N_STAGES), UNSCORED])
    if len(others):
        raise ValueError(f"the hypnogram holds the codes {others.tolist()}; stages are 0 to 4, {UNSCORED} is unscored")


def night_statistics(
    hypnogram: ArrayLike, lights_s: LightsTimes = (None, None), arousals_s: ArrayLike | None = None
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

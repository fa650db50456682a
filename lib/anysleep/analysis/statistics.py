"""Sleep statistics of a night at any resolution, by yasa, and how sure the network was.

yasa (Vallat & Walker 2021, doi 10.7554/eLife.70092) follows the AASM manual, which knows epochs of 30 s only. For finer
predictions two rules are added here, which change nothing where every stage lasts a whole number of epochs:

- What is an amount of time (TST, WASO, %N1 ...) counts every prediction, however short.
- What is an event needs 30 s of it without a break: sleep begins with the first 30 s of sleep (of any stages) and ends
  with the last; REM begins with the first 30 s of REM; an awakening is 30 s of Wake after 30 s of sleep. yasa finds
  these in a night without shorter bouts (`lasting_states`). Awakenings shorter than 30 s are counted by themselves.
"""

import numpy as np
import pandas as pd

from anysleep.analysis.definitions import STATISTICS
from anysleep.recordings.lights import epochs_in_bed
from anysleep.stages import EPOCH_S, N2, N_STAGES, REM, STAGES, UNSCORED, WAKE
from anysleep.staging.predictions import Predictions
from anysleep.system.words import progress

YASA_EVENTS = ("SPT", "SFI", "SOL", "SOL_5min", "Lat_REM")
"""The statistics of yasa that need 30 s without a break."""
YASA_NAMES = np.full(UNSCORED + 1, "UNS", dtype=object)
"""yasa's name of every code."""
YASA_NAMES[:N_STAGES] = [stage.upper() for stage in STAGES]


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

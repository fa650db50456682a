"""Sleep statistics of a night at any resolution, and how sure the network was.

At one prediction in 30 s all are defined, named and rounded as in yasa (Vallat & Walker 2021,
doi 10.7554/eLife.70092), which follows the AASM manual. That manual knows epochs of 30 s only. For finer predictions
two rules are added here, which change nothing where every stage lasts a whole number of epochs:

- What is an amount of time (TST, WASO, %N1 ...) counts every prediction, however short.
- What is an event needs 30 s of it without a break: sleep begins with the first 30 s of sleep (of any stages) and ends
  with the last; REM begins with the first 30 s of REM; an awakening is 30 s of Wake after 30 s of sleep. Shorter bouts
  in between neither make nor undo an event (but for unscored ones: after them nobody knows whether the person slept);
  awakenings shorter than 30 s are counted by themselves.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from anysleep.analysis.predictions import Predictions
from anysleep.stages import EPOCH_S, N_STAGES, REM, STAGES, UNSCORED, WAKE

STATISTICS = {
    "TIB": ("min", "time in bed: the whole recording"),
    "SPT": ("min", "sleep period: from sleep onset to the end of the last sleep"),
    "WASO": ("min", "Wake after sleep onset, within the sleep period"),
    "TST": ("min", "total sleep time: N1, N2, N3 and REM"),
    "SE": ("%", "sleep efficiency: TST of TIB"),
    "SME": ("%", "sleep maintenance efficiency: sleep within the sleep period, of SPT"),
    "SFI": ("1/h", "sleep fragmentation index: awakenings of at least 30 s in an hour of TST"),
    "SOL": ("min", "sleep onset latency: from the start to the first 30 s of sleep"),
    "SOL_5min": ("min", "from the start to the first 5 min of sleep; Wake shorter than 30 s does not break it"),
    "Lat_REM": ("min", "from the start (not from sleep onset) to the first 30 s of REM"),
    "WAKE": ("min", "Wake in the whole recording"),
    "N1": ("min", "N1, light sleep"),
    "N2": ("min", "N2"),
    "N3": ("min", "N3, deep sleep"),
    "REM": ("min", "REM sleep"),
    "UNS": ("min", "unscored, where there is any"),
    "%N1": ("%", "N1 of TST"),
    "%N2": ("%", "N2 of TST"),
    "%N3": ("%", "N3 of TST"),
    "%REM": ("%", "REM of TST"),
    "n_short_awakenings": ("count", "Wake shorter than 30 s between sleep and sleep; none at 30 s"),
}
"""Name -> unit and meaning."""

ASLEEP = 1
"""What N1, N2, N3 and REM are where only Wake, sleep and unscored matter."""
PERSISTENT_EPOCHS = 10
"""The 5 minutes of `SOL_5min`."""


@dataclass(frozen=True)
class Bouts:
    """Runs of equal values (B,), in their order."""

    values: np.ndarray
    starts: np.ndarray
    """Index of the first prediction."""
    ends: np.ndarray
    """Index after the last prediction."""

    @property
    def lengths(self) -> np.ndarray:
        """In predictions."""
        return self.ends - self.starts

    def where(self, mask: np.ndarray) -> "Bouts":
        """Those of the mask (B,)."""
        return Bouts(self.values[mask], self.starts[mask], self.ends[mask])


def sleep_statistics(hypnogram: np.ndarray, predictions_per_epoch: int = 1) -> pd.Series:
    """The statistics of `STATISTICS`, whose rules for fine predictions the module tells; UNS only where there is any.

    Parameters
    ----------
    hypnogram
        int (P,), codes 0-4, and 9 where unscored.
    predictions_per_epoch
        Predictions in 30 s.

    Raises
    ------
    ValueError
        There is no prediction, or another code.
    """
    hypnogram = np.asarray(hypnogram)
    _check(hypnogram, predictions_per_epoch)
    minutes = EPOCH_S / 60 / predictions_per_epoch
    counts = np.bincount(hypnogram, minlength=UNSCORED + 1)
    times = {name.upper(): n * minutes for name, n in zip(STAGES, counts[:N_STAGES], strict=True)}
    sleep_min = len(hypnogram) * minutes - times["WAKE"] - counts[UNSCORED] * minutes
    shares = {f"%{name}": 100 * _ratio(times[name], sleep_min) for name in STAGES[1:]}
    unscored = {"UNS": counts[UNSCORED] * minutes} if counts[UNSCORED] else {}
    statistics = {"TIB": len(hypnogram) * minutes, "TST": sleep_min, "SE": 100 * sleep_min / len(hypnogram) / minutes}
    statistics |= _event_statistics(hypnogram, predictions_per_epoch, sleep_min) | times | unscored | shares
    return pd.Series({name: round(float(statistics[name]), 4) for name in STATISTICS if name in statistics})


def statistics_table(predictions: Predictions, nights: pd.DataFrame) -> pd.DataFrame:
    """A row a night (columns dataset, recording) and resolution; one hypnogram is in memory at a time.

    Columns dataset, recording, predictions_per_epoch, seconds_per_prediction, then those of `STATISTICS`.
    """
    rows = []
    for night in predictions.of(nights).itertuples():
        for r in predictions.resolutions:
            named = {"dataset": night.dataset, "recording": night.recording, "predictions_per_epoch": r}
            statistics = sleep_statistics(predictions.hypnogram(night.dataset, night.recording, r), r)
            rows.append(named | {"seconds_per_prediction": EPOCH_S / r} | statistics.to_dict())
    table = pd.DataFrame(rows)
    return table[[*list(table)[:4], *(name for name in STATISTICS if name in table)]]


def uncertainty(hypnodensity: np.ndarray) -> pd.Series:
    """Mean probability of the chosen stage, and mean entropy in bits, of probabilities (P, 5)."""
    entropy_bits = -(hypnodensity * np.log2(np.clip(hypnodensity, 1e-12, None))).sum(axis=1)
    return pd.Series({"mean_confidence": hypnodensity.max(axis=1).mean(), "mean_entropy_bits": entropy_bits.mean()})


def find_bouts(values: np.ndarray) -> Bouts:
    """Runs of equal values of an array (P,)."""
    borders = np.flatnonzero(values[1:] != values[:-1]) + 1
    starts = np.concatenate([[0] if len(values) else [], borders]).astype(int)
    return Bouts(values[starts], starts, np.append(starts[1:], [len(values)] if len(values) else []).astype(int))


def _event_statistics(hypnogram: np.ndarray, n_epoch: int, sleep_min: float) -> dict[str, float]:
    """What begins, ends or is counted: `n_epoch` predictions last 30 s."""
    minutes = EPOCH_S / 60 / n_epoch
    states = np.where((hypnogram == WAKE) | (hypnogram == UNSCORED), hypnogram, ASLEEP).astype(np.int8)
    bouts, rem = find_bouts(states), find_bouts(hypnogram == REM)
    long = bouts.where((bouts.lengths >= n_epoch) | (bouts.values == UNSCORED))
    rem_starts = rem.starts[rem.values & (rem.lengths >= n_epoch)]
    events = {
        "Lat_REM": _first(rem_starts) * minutes,
        "SOL_5min": _persistent_sleep(long, PERSISTENT_EPOCHS * n_epoch) * minutes,
        "n_short_awakenings": _short_awakenings(bouts, n_epoch),
    }
    asleep = long.where(long.values == ASLEEP)
    if not len(asleep.values):
        return events | {"SPT": 0, "WASO": np.nan, "SME": np.nan, "SFI": np.nan, "SOL": np.nan}
    onset, end = asleep.starts[0], asleep.ends[-1]
    period, n_period = states[onset:end], end - onset
    n_awakenings = np.count_nonzero((long.values[:-1] == ASLEEP) & (long.values[1:] == WAKE))
    return events | {
        "SPT": n_period * minutes,
        "WASO": np.count_nonzero(period == WAKE) * minutes,
        "SME": 100 * np.count_nonzero(period == ASLEEP) / n_period,
        "SFI": n_awakenings / (sleep_min / 60),
        "SOL": onset * minutes,
    }


def _persistent_sleep(long: Bouts, n_persistent: int) -> float:
    """First prediction of sleep that lasts so long, with nothing but short bouts in it; NaN where there is none."""
    groups = find_bouts(long.values)  # of bouts that follow each other
    starts, ends = long.starts[groups.starts], long.ends[groups.ends - 1]
    return _first(starts[(groups.values == ASLEEP) & (ends - starts >= n_persistent)])


def _short_awakenings(bouts: Bouts, n_epoch: int) -> int:
    """Wake of less than 30 s, directly between sleep and sleep."""
    between = (bouts.values[:-2] == ASLEEP) & (bouts.values[2:] == ASLEEP)
    return int(np.count_nonzero(between & (bouts.values[1:-1] == WAKE) & (bouts.lengths[1:-1] < n_epoch)))


def _first(indices: np.ndarray) -> float:
    return float(indices[0]) if len(indices) else np.nan


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _check(hypnogram: np.ndarray, predictions_per_epoch: int) -> None:
    if predictions_per_epoch < 1 or predictions_per_epoch != int(predictions_per_epoch):
        raise ValueError(f"predictions_per_epoch is {predictions_per_epoch}; expected a whole number such as 1 or 128")
    if hypnogram.ndim != 1 or not len(hypnogram):
        raise ValueError(f"the hypnogram has shape {hypnogram.shape}; expected one stage a prediction, at least one")
    others = np.setdiff1d(hypnogram, [*range(N_STAGES), UNSCORED])
    if len(others):
        raise ValueError(f"the hypnogram holds the codes {others.tolist()}; stages are 0 to 4, {UNSCORED} is unscored")

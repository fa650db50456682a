"""One night in memory: every channel at its own rate, labels on the same time base."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches

import numpy as np
import pandas as pd

from anysleep.stages import EPOCH_S


@dataclass(frozen=True)
class Recording:
    """What a reader returns. Time zero of everything is the first sample."""

    channels: tuple[str, ...]
    """Names as the file gives them."""
    signals: tuple[np.ndarray, ...]
    """One float32 array (T_c,) a channel, at its own rate."""
    rates_hz: tuple[float, ...]
    """Samples per second of each channel."""
    units: tuple[str, ...]
    """'uV' for every voltage, whatever the file used; else the file's own unit."""
    duration_s: float
    """Length of the recording."""
    annotations: pd.DataFrame
    """Columns onset_s, duration_s (NaN where the file gives none), description; by onset."""
    start_time: datetime | None = None
    """Clock time of the first sample; dates of anonymous files are 1985-01-01, as EDF+ prescribes."""
    hypnogram: np.ndarray | None = None
    """int8 (E,), stages 0-4 and 9 unscored, for every whole epoch; None where the file has no stages."""

    synthetic: bool = False
    """True where the file says that it was simulated by `anysleep.data.synthetic`."""

    @property
    def n_epochs(self) -> int:
        """Whole epochs of 30 s."""
        return whole_epochs(self.duration_s)

    @property
    def clock_time(self) -> str | None:
        """Time of day of the first sample, without the date, which could help to tell who the patient is."""
        return None if self.start_time is None else self.start_time.strftime("%H:%M:%S")

    @property
    def arousals(self) -> np.ndarray:
        """Annotated arousals, float64 (n, 2): onset and end in s. Those without a duration are left out."""
        rows = self.annotations[self.annotations.description.str.contains("arousal", case=False)]
        rows = rows[rows.duration_s > 0]
        return np.column_stack([rows.onset_s, rows.onset_s + rows.duration_s]).astype(float)

    def pick(self, channels: Sequence[str]) -> "Recording":
        """The same night with these channels in this order. ValueError for a name that is missing or ambiguous."""
        positions = [position_of(name, self.channels) for name in channels]
        return replace(
            self,
            channels=tuple(channels),
            signals=tuple(self.signals[i] for i in positions),
            rates_hz=tuple(self.rates_hz[i] for i in positions),
            units=tuple(self.units[i] for i in positions),
        )


def whole_epochs(duration_s: float) -> int:
    """Whole epochs in a duration, which may be a rounding error short of a border."""
    return int(round(duration_s, 6) // EPOCH_S)


def position_of(name: str, channels: Sequence[str]) -> int:
    """Index of a channel by its exact name. ValueError where it is missing or there are several."""
    found = [i for i, channel in enumerate(channels) if channel == name]
    if len(found) > 1:
        raise ValueError(
            f"channel {name!r} occurs {len(found)} times in this recording; which one is meant is not clear"
        )
    if not found:
        near = get_close_matches(name, channels, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no channel {name!r}; {hint}the recording has {', '.join(channels)}")
    return found[0]

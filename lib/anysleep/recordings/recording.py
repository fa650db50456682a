"""One night: every channel at its own rate, labels on the same time base, samples read when they are asked for.

There is one way to count: second 0 is the first sample. Voltages are in microvolts, whatever unit a file uses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from anysleep.recordings.reasons import BadRecording, note
from anysleep.stages import EPOCH_S

LONGEST_S = 7 * 24 * 3600.0
"""No recording of sleep lasts longer; a file that says so is damaged."""
FASTEST_HZ = 1e5
"""No recorder of sleep samples faster."""
NO_GAPS = np.empty((0, 2))
ANONYMOUS = date(1985, 1, 1)
"""The date of a file that does not tell its own, as EDF+ prescribes."""
ANNOTATION_COLUMNS = {"onset_s": float, "duration_s": float, "description": str}
_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "nv": 1e-3}
_OTHER_UNITS = frozenset(
    "% a.u. au boolean s ms 1/min bpm rpm hz c °c degc f degf k mmhg mmh2o cmh2o pa hpa kpa mbar ml l ml/s l/s l/min "
    "ohm kohm mohm us µs na ua µa ma a db mg g m/s2 m/s^2 m/s² deg ° lx lux".split()
)


class Signals(Sequence[np.ndarray]):
    """float32 (T_c,) a channel, each read anew whenever it is asked for: one channel in memory, not the night."""

    def __init__(self, loaders: Sequence[Callable[[], np.ndarray]]):
        self._loaders = tuple(loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def __getitem__(self, index: int | slice) -> "np.ndarray | Signals":  # type: ignore[override]
        return Signals(self._loaders[index]) if isinstance(index, slice) else self._loaders[index]()

    def __iter__(self) -> Iterator[np.ndarray]:
        return (load() for load in self._loaders)


class Unread(NamedTuple):
    """An annotation that breaks the rules of its format."""

    place: str
    """Where in the file it stands."""
    texts: tuple[str, ...] | None
    """What it is about, nothing for mere blanks; None where that cannot be told."""


@dataclass(frozen=True)
class Recording:
    """What a reader returns. Time zero of everything is the first sample."""

    channels: tuple[str, ...]
    """Names as the file gives them."""
    signals: Sequence[np.ndarray]
    """float32 (T_c,) a channel, at its own rate; NaN where nothing was recorded."""
    rates_hz: tuple[float, ...]
    """Samples per second of each channel."""
    units: tuple[str, ...]
    """'uV' for every voltage, whatever the file used; else the file's own unit where it is a known one, or 'other'."""
    duration_s: float
    """Length of the recording, gaps included."""
    annotations: pd.DataFrame = field(default_factory=lambda: annotation_table([]))
    """Columns onset_s, duration_s (NaN where the file gives none), description; by onset."""
    start_time: datetime | None = None
    """Clock time of the first sample; dates of anonymous files are 1985-01-01, as EDF+ prescribes."""
    hypnogram: np.ndarray | None = None
    """int8 (E,), stages 0-4 and 9 unscored, for every whole epoch; None where the file has no stages."""
    scorers: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Stages of others who scored the night, as `hypnogram`, by their names."""
    gaps_s: np.ndarray = field(default_factory=NO_GAPS.copy)
    """float64 (n, 2): start and end of the pauses of the recorder, in s."""
    labels_epoch_s: float | None = None
    """Set where the file's own stages are a plain list, one for every so many seconds, as long as the signals."""
    files: tuple[Path, ...] = ()
    """Every file the samples lie in, or that says how to read them; the one that was asked for is the first."""
    types: tuple[str, ...] = ()
    """What the file says each channel is, '' for nothing; empty where its format has no types."""
    unread: tuple[Unread, ...] = ()
    """What cannot be read, and so is missing among the annotations."""
    patient: str = field(default="", repr=False)
    """What an EDF header says of the patient: to tell parts of one night from those of others, and never written."""
    synthetic: bool = False
    """True where the file says that it was simulated by `anysleep.synthetic`."""

    @property
    def n_epochs(self) -> int:
        """Whole epochs of 30 s."""
        return whole_epochs(self.duration_s)

    @property
    def clock_time(self) -> str | None:
        """Time of day of the first sample, without the date, which could help to tell who the patient is.

        As `23:05:00`, or `23:05:00.250000` where it has a fraction.
        """
        return None if self.start_time is None else self.start_time.time().isoformat()

    @property
    def arousals(self) -> np.ndarray:
        """Annotated arousals, float64 (n, 2): onset and end in s; a warning counts those without a duration."""
        rows = self.annotations[self.annotations.description.str.contains("arousal", case=False)]
        lasting = rows.duration_s > 0
        if not lasting.all():
            note(f"{(~lasting).sum()} arousals have no duration and are left out")
        rows = rows[lasting]
        return np.column_stack([rows.onset_s, rows.onset_s + rows.duration_s]).astype(float)

    @property
    def lights_s(self) -> tuple[float | None, float | None]:
        """When the lights went off and on, in s, from annotations such as 'Lights off'; None where none says it.

        Of several the first off and the last on count, which a warning says.
        """
        text = self.annotations.description.str.lower().str.replace(r"[\s_-]+", " ", regex=True)
        off_s = self.annotations.onset_s[text.str.contains(r"\blights? ?(?:off|out)\b")].unique()
        on_s = self.annotations.onset_s[text.str.contains(r"\blights? ?on\b")].unique()
        for what, times_s, which in (("off", off_s, "first"), ("on", on_s, "last")):
            if len(times_s) > 1:
                note(f"lights {what} are annotated at {len(times_s)} times; the {which} one counts")
        return (float(off_s.min()) if len(off_s) else None), (float(on_s.max()) if len(on_s) else None)

    def pick(self, channels: Sequence[str]) -> "Recording":
        """The same night with these channels in this order. ValueError for a name that is missing or ambiguous."""
        return self.derive({name: name for name in channels})

    def derive(self, derivations: Mapping[str, str]) -> "Recording":
        """The same night with channels under new names: `{"C3-M2": "C3 - M2", "EOG": "EOG horizontal"}`.

        What stands at the right is the name of a channel, or two names with ` - ` between: their difference.
        ValueError where a name is missing or ambiguous, or the two differ in rate or unit.
        """
        sources = {name: _operands(expression, self.channels) for name, expression in derivations.items()}
        loaders = []
        for name, positions in sources.items():
            first, last = positions[0], positions[-1]
            if (self.rates_hz[first], self.units[first]) != (self.rates_hz[last], self.units[last]):
                both = " and ".join(f"{self.channels[i]} ({self.rates_hz[i]:g} Hz, {self.units[i]})" for i in positions)
                raise BadRecording("channels", f"{name} cannot be the difference of {both}: rate or unit differ")
            loaders.append(partial(_difference, self.signals, positions))
        firsts = [positions[0] for positions in sources.values()]
        return replace(
            self,
            channels=tuple(derivations),
            signals=Signals(loaders),
            rates_hz=tuple(self.rates_hz[i] for i in firsts),
            units=tuple(self.units[i] for i in firsts),
            types=tuple(self.types[i] for i in firsts) if self.types else (),
        )

    def cut(self, start_s: float, end_s: float) -> "Recording":
        """The part from `start_s` to `end_s`, with everything on its new time base.

        ValueError where nothing is left, or a hypnogram would lose its 30 s grid.
        """
        start_s, end_s = max(start_s, 0.0), min(end_s, self.duration_s)
        if end_s <= start_s:
            raise BadRecording("too_short", f"nothing lies between {start_s:g} s and {end_s:g} s")
        if (self.scorers or self.hypnogram is not None) and start_s % EPOCH_S:
            raise BadRecording("label_time", f"a cut at {start_s:g} s would move the labels off their 30 s grid")
        first = int(start_s // EPOCH_S)
        epochs = slice(first, first + whole_epochs(end_s - start_s))
        gaps_s = np.clip(self.gaps_s, start_s, end_s) - start_s
        return replace(
            self,
            signals=Signals(
                [
                    # 1e-6: a rounding error is no further sample.
                    partial(_slice, self.signals, i, round(start_s * rate_hz), ceil(end_s * rate_hz - 1e-6))
                    for i, rate_hz in enumerate(self.rates_hz)
                ]
            ),
            duration_s=end_s - start_s,
            annotations=_cut_annotations(self.annotations, start_s, end_s),
            start_time=None if self.start_time is None else self.start_time + timedelta(seconds=start_s),
            hypnogram=None if self.hypnogram is None else self.hypnogram[epochs],
            scorers={name: stages[epochs] for name, stages in self.scorers.items()},
            gaps_s=gaps_s[gaps_s[:, 1] > gaps_s[:, 0]],
        )


def annotation_table(rows: Sequence[tuple[float, float, str]]) -> pd.DataFrame:
    """Rows of onset in s, duration in s (NaN for none) and text as the table that recordings carry, by onset."""
    table = pd.DataFrame(rows, columns=list(ANNOTATION_COLUMNS)).astype(ANNOTATION_COLUMNS)
    return table.sort_values("onset_s", ignore_index=True, kind="stable")


def position_of(name: str, channels: Sequence[str]) -> int:
    """Index of a channel by its exact name. ValueError where it is missing or there are several."""
    found = [i for i, channel in enumerate(channels) if channel == name]
    if len(found) > 1:
        raise BadRecording(
            "channels", f"channel {name!r} occurs {len(found)} times in this recording; which one is meant is not clear"
        )
    if not found:
        as_meant = {channel.lower(): channel for channel in channels}
        near = get_close_matches(name.lower(), as_meant, n=1)
        hint = f"did you mean {as_meant[near[0]]!r}? " if near else ""
        raise BadRecording("channels", f"no channel {name!r}; {hint}the recording has {first_of(channels)}")
    return found[0]


def first_of(channels: Sequence[str]) -> str:
    """The first ten channels in words, and how many more there are."""
    more = f" and {len(channels) - 10} more" if len(channels) > 10 else ""
    return ", ".join(channels[:10]) + more


def _operands(expression: str, channels: Sequence[str]) -> list[int]:
    """Positions of the one or two channels that an expression names; a channel's own name goes first."""
    if expression in channels or " - " not in expression:
        return [position_of(expression, channels)]
    return [position_of(name.strip(), channels) for name in expression.split(" - ", 1)]


def _difference(signals: Sequence[np.ndarray], positions: Sequence[int]) -> np.ndarray:
    first, *others = (signals[i] for i in positions)
    return first if not others else first - others[0]


def _cut_annotations(annotations: pd.DataFrame, start_s: float, end_s: float) -> pd.DataFrame:
    """Annotations between start and end, cut to that and counted from the start; a missing duration stays missing."""
    onset_s = annotations.onset_s.clip(start_s, end_s)
    until_s = (annotations.onset_s + annotations.duration_s.fillna(0)).clip(start_s, end_s)
    # A moment must lie inside; of what lasts a part is enough.
    inside = (annotations.onset_s >= start_s) & (annotations.onset_s < end_s) | (until_s > onset_s)
    duration_s = (until_s - onset_s).where(annotations.duration_s.notna())
    return annotations.assign(onset_s=onset_s - start_s, duration_s=duration_s)[inside].reset_index(drop=True)


def _slice(signals: Sequence[np.ndarray], index: int, start: int, stop: int) -> np.ndarray:
    return signals[index][start:stop]


def whole_epochs(duration_s: float) -> int:
    """Whole epochs of 30 s in a duration, which may be a rounding error short of a border."""
    return int(round(duration_s, 6) // EPOCH_S)


def samples_in(spans_s: np.ndarray, rate_hz: float, n_samples: int) -> np.ndarray:
    """bool (n_samples,): which samples lie in any of the spans (n, 2), in s."""
    inside = np.zeros(n_samples, dtype=bool)
    for start_s, end_s in spans_s:
        inside[round(start_s * rate_hz) : round(end_s * rate_hz)] = True
    return inside


def epochs_in(spans_s: np.ndarray, n_epochs: int, epoch_s: float = EPOCH_S) -> np.ndarray:
    """bool (n_epochs,): which epochs of `epoch_s` any of the spans (n, 2) touches."""
    touched = np.zeros(n_epochs, dtype=bool)
    for start_s, end_s in np.round(spans_s, 6):  # a rounding error does not touch an epoch
        touched[int(start_s // epoch_s) : int(-(-end_s // epoch_s))] = True  # the end rounded up
    return touched


def microvolts(unit: str) -> float | None:
    """Microvolts in one `unit` ('mV' -> 1000.0); None where it is no voltage."""
    return _MICROVOLTS.get(_plain(unit))


def known_unit(unit: str) -> str:
    """'uV' for every voltage, another physical unit as it is, else 'other': such a field may hold a person's name."""
    if microvolts(unit):
        return "uV"
    return unit.strip() if _plain(unit) in {"", *_OTHER_UNITS} else "other"


def _plain(unit: str) -> str:
    return unit.strip().lower().replace("\u03bc", "\u00b5")  # Greek mu -> micro sign

"""A night in several files: its parts on one time base, with the time between them as gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.recordings.labels.scoring import DAY_S, NO_CLOCK, TOLERANCE_S, is_anonymous
from anysleep.recordings.readers.edf import PAUSE_S, on_samples
from anysleep.recordings.reasons import BadRecording, note
from anysleep.recordings.recording import Recording, Signals, first_of

LONGEST_PAUSE_S = 12 * 3600.0
"""Parts further apart are two nights."""


def join_parts(parts: Mapping[Path, Recording]) -> Recording:
    """One recording of the parts of a night, in whatever order they are named; samples are read when asked for.

    Second 0 is the first sample of the earliest part, and labels count from there. Pauses between parts are gaps, as
    those of an EDF+D file.

    Raises
    ------
    BadRecording
        A part does not say when it begins, two overlap or are of two nights, or they differ in channels, rates, units
        or patients. The message names the files.
    """
    if not parts:
        raise BadRecording("not_found", "no file is named")
    if len(parts) == 1:
        return next(iter(parts.values()))
    _refuse_strangers(parts)
    onsets_s = _onsets_s(parts)
    first = parts[next(iter(onsets_s))]
    nights = [_ordered_as(first, parts[file]) for file in onsets_s]
    starts_s = np.array(list(onsets_s.values()))
    ends_s = starts_s + [night.duration_s for night in nights]
    annotations = pd.concat(
        n.annotations.assign(onset_s=n.annotations.onset_s + at_s) for n, at_s in zip(nights, starts_s, strict=True)
    )
    return replace(
        first,
        signals=Signals([partial(_joined, nights, starts_s, ends_s, i) for i in range(len(first.channels))]),
        duration_s=float(ends_s[-1]),
        annotations=annotations.sort_values("onset_s", ignore_index=True, kind="stable"),
        gaps_s=_gaps_s(nights, starts_s, ends_s),
        files=tuple(file for night in nights for file in night.files),
        unread=tuple(unread for night in nights for unread in night.unread),
        synthetic=all(night.synthetic for night in nights),
    )


def _gaps_s(nights: Sequence[Recording], starts_s: np.ndarray, ends_s: np.ndarray) -> np.ndarray:
    """float (n, 2): pauses between the parts, and those within."""
    between = np.column_stack([ends_s[:-1], starts_s[1:]])
    within = [night.gaps_s + start_s for night, start_s in zip(nights, starts_s, strict=True)]
    gaps_s = np.concatenate([between[between[:, 1] > between[:, 0]], *within])
    return gaps_s[np.argsort(gaps_s[:, 0])]


def _joined(nights: Sequence[Recording], starts_s: np.ndarray, ends_s: np.ndarray, index: int) -> np.ndarray:
    """float32 (T,) of one channel: after a pause, which is NaN, a part begins at the sample next to its start."""
    rate_hz, pieces, n_samples = nights[0].rates_hz[index], [], 0
    for night, start_s, end_s in zip(nights, starts_s, [0.0, *ends_s], strict=False):  # end of the part before
        n_missing = max(round(start_s * rate_hz) - n_samples, 0) if start_s > end_s else 0
        pieces += [np.full(n_missing, np.nan, dtype=np.float32), night.signals[index]]
        n_samples += n_missing + len(pieces[-1])
    return np.concatenate(pieces)


def _refuse_strangers(parts: Mapping[Path, Recording]) -> None:
    """BadRecording where two parts cannot be of one night."""
    for (one, night), (other, of_other) in combinations(parts.items(), 2):
        both = f"{one.name} and {other.name}"
        if _other_patient(night.patient, of_other.patient):
            raise BadRecording(
                "person", f"the headers of {both} tell of different patients; leave one out, or mend what is wrong"
            )
        alone = sorted(set(night.channels) ^ set(of_other.channels))
        if alone or len(night.channels) != len(of_other.channels):
            raise BadRecording(
                "channels",
                f"{both} differ in channels, {first_of(alone) or 'in their number'}; leave one out, or export alike",
            )
        kinds = zip(night.channels, _kinds(night), _kinds(_ordered_as(night, of_other)), strict=True)
        for name, ours, theirs in kinds:
            if ours != theirs:
                raise BadRecording(
                    "time_base", f"{both} differ in channel {name}: {ours} and {theirs}; export them alike"
                )


def _ordered_as(first: Recording, night: Recording) -> Recording:
    return night if night.channels == first.channels else night.pick(first.channels)


def _kinds(night: Recording) -> list[str]:
    """Rate, unit and type of each channel."""
    types = night.types or [""] * len(night.channels)
    return [
        f"{hz:.7g} Hz {unit} {kind}".strip() for hz, unit, kind in zip(night.rates_hz, night.units, types, strict=True)
    ]


def _other_patient(one: str, other: str) -> bool:
    """Whether two patient fields (of EDF+: code, sex, birth date, name; X where hidden) cannot be of one person."""
    ours, theirs = (text.upper().split() for text in (one, other))
    if all(len(fields) >= 4 and fields[1] in ("M", "F", "X") for fields in (ours, theirs)):
        return any(a != b and "X" not in (a, b) for a, b in zip(ours[:4], theirs[:4], strict=True))
    return ours != theirs and bool(set(ours) - {"X"}) and bool(set(theirs) - {"X"})


def _onsets_s(parts: Mapping[Path, Recording]) -> dict[Path, float]:
    """When each part begins, in s from the earliest on, in this order; without a pause exactly where another ends."""
    clocks_s = _clocks_s(parts)
    onsets_s, end_s, before = {}, 0.0, ""
    for file in sorted(parts, key=clocks_s.__getitem__):
        pause_s = clocks_s[file] - end_s if before else 0.0
        if _follows(pause_s, parts[file].start_time):
            onset_s = end_s
        elif pause_s < 0:
            raise BadRecording(
                "time_base",
                f"{file.name} begins at {parts[file].clock_time}, {-pause_s:g} s before {before} ends; leave one "
                "out, or mend the start in its header",
            )
        elif pause_s > LONGEST_PAUSE_S:
            raise BadRecording(
                "time_base",
                f"between {before} and {file.name} lie {pause_s / 3600:.1f} h: two nights; name the files of one",
            )
        else:
            placed_s = float(on_samples(np.array([clocks_s[file]]), parts[file].rates_hz)[0])
            onset_s = placed_s if placed_s > end_s + PAUSE_S else end_s  # rounding may have closed the pause
        onsets_s[file], end_s, before = onset_s, onset_s + parts[file].duration_s, file.name
    return onsets_s


def _follows(pause_s: float, start: datetime) -> bool:
    """Whether there is no pause, as far as the clock tells; one of whole seconds does not tell their fraction."""
    if -TOLERANCE_S < pause_s < -PAUSE_S and not start.microsecond:
        note(f"a part begins {-pause_s:g} s before another ends, by a clock of whole seconds: taken as no pause")
        return True
    return abs(pause_s) <= PAUSE_S


def _clocks_s(parts: Mapping[Path, Recording]) -> dict[Path, float]:
    """When each part begins, in s after the earliest.

    Where dates are those of anonymous files, by the time of day: so that the night is as short as it can be.
    """
    unknown = [file.name for file, night in parts.items() if night.start_time in (None, NO_CLOCK)]
    if unknown:
        raise BadRecording(
            "time_base",
            f"{', '.join(unknown)} does not say when it begins, so its place in the night is not clear; write that "
            "into the header, or export the night as one file",
        )
    starts = [night.start_time for night in parts.values() if night.start_time]
    anonymous = [is_anonymous(start) for start in starts]
    # Dates that were all made anonymous, but differ, still tell which day is the first.
    if any(anonymous) and not (all(anonymous) and len({start.date() for start in starts}) > 1):
        return dict(zip(parts, _by_time_of_day(starts, [night.duration_s for night in parts.values()]), strict=True))
    earliest = min(starts)
    return {file: (start - earliest).total_seconds() for file, start in zip(parts, starts, strict=True)}


def _by_time_of_day(starts: Sequence[datetime], durations_s: Sequence[float]) -> list[float]:
    times_s = [(start - datetime.combine(start.date(), time(0))).total_seconds() for start in starts]
    # Each part may have been the first; if it is the one with the earliest clock, there is no midnight between.
    orders = [[(time_s - first_s) % DAY_S for time_s in times_s] for first_s in sorted(times_s)]
    shortest = min(orders, key=lambda onsets_s: max(np.add(onsets_s, durations_s)))
    if shortest != orders[0]:
        note("the dates of the parts are anonymous: by the time of day, the night goes over midnight")
    return shortest

"""When the lights went off and on, and who says so.

Of several that say it, the first of `SOURCES` counts, for off and on each: annotations of the recording, the table of
participants, a parameter. Where none says it, the recording begins or ends then.
"""

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from math import ceil
from typing import Literal, NamedTuple

from anysleep.recordings.reasons import BadRecording, note
from anysleep.stages import EPOCH_S

LightsSource = Literal["annotations", "participants", "parameter", "recording"]
SOURCES: tuple[LightsSource, ...] = ("annotations", "participants", "parameter")
When = float | str | None
"""Seconds since the first sample, as number or text; a clock time such as 23:10; None or an empty text for unknown."""
Pair = tuple[When, When]
"""Lights off and on."""
LightsTimes = tuple[float | None, float | None]
"""The same in s since the first sample."""

CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?")
DAY_S = 24 * 3600.0


class Lights(NamedTuple):
    """When the lights went off and on, in s since the first sample, and where that is from."""

    off_s: float
    on_s: float
    off_from: LightsSource
    on_from: LightsSource

    @property
    def lights_from(self) -> str:
        """The source; two where off and on have two, such as `annotations, recording`."""
        return ", ".join(dict.fromkeys((self.off_from, self.on_from)))

    @property
    def noted_s(self) -> LightsTimes:
        """Lights off and on as far as somebody noted them."""
        return (
            None if self.off_from == "recording" else self.off_s,
            None if self.on_from == "recording" else self.on_s,
        )

    def columns(self) -> dict[str, float | str]:
        """What a row of a table has of them."""
        return {"lights_off_s": self.off_s, "lights_on_s": self.on_s, "lights_from": self.lights_from}

    @classmethod
    def of_columns(cls, row: Mapping[str, object]) -> "Lights":
        """What `columns` says, taken back."""
        sources = str(row["lights_from"]).split(", ")  # two, or one for both
        return cls(float(row["lights_off_s"]), float(row["lights_on_s"]), sources[0], sources[-1])

    def unused(self, parameter: Pair) -> str:
        """Which lights of a parameter do not count, since others of `SOURCES` come first; empty where all do."""
        given = zip(("lights_off", "lights_on"), parameter, (self.off_from, self.on_from), strict=True)
        return "; ".join(f"{name}={when} is not used: the {source} say when" for name, when, source in given
                         if when not in (None, "") and source != "parameter")  # fmt: skip

    def line(self, clock_time: str | None = None) -> str:
        """In words, with the time of day where that of the first sample is known."""
        if self.lights_from == "recording":
            return "lights not known: the whole recording counts as time in bed"
        off, on = (_in_words(at_s, clock_time) for at_s in (self.off_s, self.on_s))
        told_off, told_on = (
            "not known, where the recording {} stands in" if source == "recording" else f"from {source}"
            for source in (self.off_from, self.on_from)
        )
        return f"lights off {off} ({told_off.format('begins')}), on {on} ({told_on.format('ends')})"


def find_lights(
    duration_s: float,
    clock_time: str | None = None,
    *,
    annotations: Pair = (None, None),
    participants: Pair = (None, None),
    parameter: Pair = (None, None),
) -> Lights:
    """The lights of a recording that lasts `duration_s` and begins at the time of day `clock_time`; over midnight, too.

    Lights on may come less than an epoch after the end, where the rest of an epoch was dropped: that is the end.
    Annotations that contradict each other or the recording are said and count as unknown: they are no reason to lose a
    night. BadRecording where others do, or a clock time cannot be placed.
    """
    noted = dict(zip(SOURCES, (annotations, participants, parameter), strict=True))
    try:
        _find_lights(duration_s, clock_time, {"annotations": annotations})
    except BadRecording as error:
        note(f"{error}: they count as unknown")
        noted["annotations"] = (None, None)
    return _find_lights(duration_s, clock_time, noted)


def _find_lights(duration_s: float, clock_time: str | None, noted: Mapping[LightsSource, Pair]) -> Lights:
    moments = []
    for i, (name, at_the_end) in enumerate((("lights off", 0.0), ("lights on", float(duration_s)))):
        source = next((source for source, pair in noted.items() if pair[i] not in (None, "")), None)
        at_s = (
            at_the_end if source is None else _seconds(noted[source][i], f"{name} ({source})", clock_time, duration_s)
        )
        moments.append((at_s, source or "recording"))
    (off_s, off_from), (on_s, on_from) = moments
    on_s = min(on_s, duration_s)
    if on_s <= off_s:
        raise BadRecording(
            "lights", f"lights on ({on_s:g} s, {on_from}) are not after lights off ({off_s:g} s, {off_from})"
        )
    return Lights(off_s, on_s, off_from, on_from)


def checked_when(when: str) -> str:
    """ValueError where a text is neither a clock time, nor seconds, nor empty."""
    if when and not CLOCK.fullmatch(when.strip()):
        _number(when, "lights")
    return when


def epochs_in_bed(n_epochs: int, lights_s: LightsTimes) -> slice:
    """The epochs between lights off and on, in s, where None is the recording's beginning or end.

    An epoch is in bed where its middle is, so lights count to the nearest border between epochs, at every resolution.
    ValueError where there is none.
    """
    off_s, on_s = lights_s
    start = 0 if off_s is None else max(ceil(off_s / EPOCH_S - 0.5), 0)
    stop = n_epochs if on_s is None else min(ceil(on_s / EPOCH_S - 0.5), n_epochs)
    if stop <= start:
        raise ValueError(f"none of {n_epochs} epochs lies between lights off ({off_s} s) and lights on ({on_s} s)")
    return slice(start, stop)


def _seconds(when: float | str, name: str, clock_time: str | None, duration_s: float) -> float:
    is_clock = isinstance(when, str) and CLOCK.fullmatch(when.strip())
    at_s = _after_start(when.strip(), name, clock_time, duration_s) if is_clock else _number(when, name)
    if not 0 <= at_s < duration_s + EPOCH_S:
        begun = f" and begins at {clock_time}" if clock_time else ""
        raise BadRecording(
            "lights", f"{name}: {when if is_clock else f'{at_s:g} s'} lies outside the recording, which lasts "
            f"{duration_s:g} s{begun}"
        )  # fmt: skip
    return at_s


def _number(when: float | str, name: str) -> float:
    try:
        at_s = float(when)
    except ValueError:
        at_s = None
    if at_s is None or (isinstance(when, str) and 0 < at_s < 1):  # a spreadsheet's clock times are parts of a day
        raise BadRecording("lights", f"{name}: {when!r} is neither a clock time such as 23:10 nor seconds")
    return at_s


def _after_start(clock: str, name: str, clock_time: str | None, duration_s: float) -> float:
    """Seconds from the first sample to the next time that a clock shows this; 0 for less than an epoch before it."""
    if clock_time is None or time.fromisoformat(clock_time) == time(0):  # which programs write that know no clock
        raise BadRecording("lights", f"{name}: {clock} has no place, since the recording tells no clock; say seconds")
    if duration_s > DAY_S:
        raise BadRecording("lights", f"{name}: {clock} comes more than once in {duration_s / 3600:g} h; say seconds")
    at_s = (_time_of_day(clock) - _time_of_day(clock_time)).total_seconds() % DAY_S
    return 0.0 if at_s > DAY_S - EPOCH_S else at_s


def _time_of_day(clock: str) -> timedelta:
    hours, minutes, *seconds = clock.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds[0]) if seconds else 0)


def _in_words(at_s: float, clock_time: str | None) -> str:
    if clock_time is None:
        return f"at {at_s:g} s"
    moment = datetime.combine(datetime.min, time.fromisoformat(clock_time)) + timedelta(seconds=at_s)
    return f"at {moment:%H:%M:%S} ({at_s:g} s)"

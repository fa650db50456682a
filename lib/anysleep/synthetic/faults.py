"""What goes wrong in a laboratory, planted in single nights of a cohort: the montage doctor has something to find."""

from dataclasses import replace

import numpy as np

from anysleep.synthetic.night import SyntheticNight
from anysleep.synthetic.persons import Person

FAULTY_NIGHTS = {
    "syn005-night1": "pause",
    "syn005-night2": "electrode off",
    "syn006-night1": "channel missing",
    "syn012-night2": "unscored",
}
"""Recording -> its fault. In the demo's split the first three choose among weights, and the last is one more: what the
network learns from and what it is tested on stays whole. Smaller cohorts have fewer of them."""
LOOSE_CHANNEL, MISSING_CHANNEL = "F4-M1", "O2-M1"
LOOSE_GAIN = 0.002
"""What is left of a signal whose electrode hangs in the air."""
PAUSE_SHARE = 1 / 30
"""Of the night, from its middle on: 12 minutes of 6 hours."""


def with_fault(night: SyntheticNight) -> SyntheticNight:
    """The night as the laboratory recorded it: an electrode off after a third of it, or a channel never plugged in."""
    fault = FAULTY_NIGHTS.get(night.recording)
    if fault == "electrode off":
        signals_uv = night.signals_uv.copy()
        signals_uv[night.channels.index(LOOSE_CHANNEL), signals_uv.shape[1] // 3 :] *= LOOSE_GAIN
        return replace(night, signals_uv=signals_uv)
    if fault == "channel missing":
        kept = [i for i, channel in enumerate(night.channels) if channel != MISSING_CHANNEL]
        return replace(night, channels=tuple(night.channels[i] for i in kept), signals_uv=night.signals_uv[kept])
    if fault == "unscored":
        return replace(night, hypnogram=np.empty(0, np.int8), arousals=np.empty((0, 2)))
    return night


def with_unscored_night(persons: list[Person]) -> list[Person]:
    """Person 12, if there, sleeps one night more, which nobody scores."""
    return [replace(person, n_nights=2) if person.subject == "syn012" else person for person in persons]


def pause_of(night: SyntheticNight) -> slice:
    """The seconds in which the recorder paused; mostly none."""
    seconds = night.signals_uv.shape[1] // night.rate_hz
    length = round(seconds * PAUSE_SHARE) if FAULTY_NIGHTS.get(night.recording) == "pause" else 0
    return slice(seconds // 2, seconds // 2 + length)


def cut_records(edf: bytes, records: slice) -> bytes:
    """EDF+C without some of its data records, as EDF+D: every record says when it began, so the rest keeps its time."""
    header_bytes, n_records = int(edf[184:192]), int(edf[236:244])
    record_bytes = (len(edf) - header_bytes) // n_records
    start, stop = (header_bytes + record * record_bytes for record in (records.start, records.stop))
    n_left = f"{n_records - (records.stop - records.start):<8}".encode()
    return edf[:192] + b"EDF+D" + edf[197:236] + n_left + edf[244:start] + edf[stop:]

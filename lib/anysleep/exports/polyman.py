"""Text as Polyman exports it, known from the Haaglanden Medisch Centrum's data set on PhysioNet."""

from datetime import datetime, timedelta
from pathlib import Path

from anysleep.exports.scored_night import ScoredNight, decimal

HEADER = "Date, Time, Recording onset, Duration, Annotation, Linked channel"


def write_polyman(temporary: Path, night: ScoredNight) -> None:
    """Write a line a prediction, and one an event; date and time are empty where the start is not known."""
    lines = [
        ", ".join([_moment(night.start_time, onset_s), decimal(onset_s), decimal(duration_s), text, ""])
        for onset_s, duration_s, text in night.events()[["onset_s", "duration_s", "text"]].itertuples(index=False)
    ]
    temporary.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")


def _moment(start: datetime | None, onset_s: float) -> str:
    """Date and time, with the fraction only where it is not zero."""
    if start is None:
        return ", "
    moment = start + timedelta(seconds=onset_s)
    return f"{moment:%d.%m.%y, %H.%M.%S}" + (f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else "")

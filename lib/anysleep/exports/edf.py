"""EDF+ without signals: stages, arousals and lights as annotations, in a file of their own as in Sleep-EDF."""

from pathlib import Path

import edfio

from anysleep.exports.scored_night import ScoredNight
from anysleep.recordings.labels.scoring import NO_CLOCK


def write_edf(temporary: Path, night: ScoredNight) -> None:
    """Write one annotation a prediction, and one an event, with the standard texts of EDF+.

    The header has the start with its fraction; where that is not known, 01.01.85 00.00.00, which readers take for none.
    """
    start = night.start_time or NO_CLOCK
    annotations = [edfio.EdfAnnotation(row.onset_s, row.duration_s, row.text) for row in night.events().itertuples()]
    recording = edfio.Recording(startdate=start.date(), investigator_technician_code=_code(night))
    edfio.Edf([], recording=recording, starttime=start.time(), annotations=annotations).write(temporary)


def _code(night: ScoredNight) -> str:
    """The scorer as EDF+ allows it in the header: ASCII, at most 40 characters, no blanks; X for unknown."""
    return "_".join(night.scorer.split()).encode("ascii", "replace").decode()[:40] or "X"

"""`hypnogram.ids` of the Danish Center for Sleep Medicine (DCSM): lines `start,duration,stage`, in s."""

from collections.abc import Mapping
from pathlib import Path

from anysleep.recordings.labels.hypnogram import STANDARD_CODES, quoted
from anysleep.recordings.labels.scoring import Scoring
from anysleep.recordings.labels.text import bad_labels, read_lines, seconds
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S


def read_ids(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The stages, by the recording's own time; commas or spaces between. BadRecording names a line that is otherwise.

    `codes` and `epoch_s` are not used: every line is a stage and says how long it lasts.
    """
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            onset, duration, stage = line.replace(",", " ", 2).split(maxsplit=2)
            rows.append((seconds(onset), seconds(duration), stage))
        except ValueError:
            raise bad_labels(
                path, f"line {number} is {quoted([line])}; expected 'start,duration,stage', in s"
            ) from None
        if rows[-1][1] <= 0:
            raise bad_labels(path, f"the stage in line {number} lasts {duration} s")
    return Scoring(annotation_table(rows))

"""`.rml` of Philips Sleepware G3: stages and events of a study, in seconds after its recording began."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from anysleep.recordings.labels.hypnogram import STANDARD_CODES, quoted
from anysleep.recordings.labels.scoring import Scoring
from anysleep.recordings.labels.text import bad_labels, onset_and_duration, read_xml, told_seconds
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S

SESSIONS = "{*}Acquisition/{*}Sessions/{*}Session"
STAGINGS = "{*}ScoringData/{*}StagingData/{*}UserStaging/*"
EVENTS = "{*}ScoringData/{*}Events/{*}Event"


def read_sleepware(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The stages that a person scored, each until the next one, and all events, by the clock of the recording's start.

    `codes` and `epoch_s` are not used. What the program staged by itself (MachineStaging) is no scoring. BadRecording
    where it is no whole file of this form, or of several sessions, or holds several scorings.
    """
    root = read_xml(path)
    sessions = root.findall(SESSIONS)
    if len(sessions) != 1:
        raise bad_labels(path, f"there are {len(sessions)} sessions in <{root.tag.rpartition('}')[2]}>; expected one")
    stagings = [staging for staging in root.findall(STAGINGS) if staging.find("{*}Stage") is not None]
    if len(stagings) != 1:
        raise bad_labels(path, f"a person scored its stages {len(stagings)} times (UserStaging); expected once")
    stages = _rows(path, stagings[0].findall("{*}Stage"))
    ends_s = [*(row[0] for row in stages[1:]), told_seconds(path, "its Duration", sessions[0].findtext("{*}Duration"))]
    lasting = [(onset_s, end_s - onset_s, name) for (onset_s, _, name), end_s in zip(stages, ends_s, strict=True)]
    if any(lasting_s < 0 for _, lasting_s, _ in lasting):
        raise bad_labels(path, "its stages are not in order, or begin after the end of the session")
    events = _rows(path, root.findall(EVENTS))
    return Scoring(annotation_table(lasting), annotation_table(events), start_time=_start(path, sessions[0]))


def _rows(path: Path, elements: Sequence[Element]) -> list[tuple[float, float, str]]:
    """Start, Duration and Type of each."""
    rows = []
    for number, element in enumerate(elements, start=1):
        times = element.get("Start"), element.get("Duration")
        kind = element.get("Type", "").strip()
        rows.append((*onset_and_duration(path, f"{kind or 'entry'} {number}", *times), kind))
    return rows


def _start(path: Path, session: Element) -> datetime:
    text = (session.findtext("{*}RecordingStart") or "").strip()
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise bad_labels(path, f"its RecordingStart is {quoted([text])}; expected as 2024-02-01T22:30:00") from None

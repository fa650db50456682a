"""Stages and events as programs export them in XML: of the NSRR, Compumedics Profusion, Philips Sleepware, EDFbrowser.

All but EDFbrowser's say by themselves what a stage is and how long it lasts, so `codes` and `epoch_s` are not used.
BadRecording where a file is no whole one of its form.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from anysleep.recordings.labels.hypnogram import STANDARD_CODES, quoted
from anysleep.recordings.labels.scoring import Scoring, scoring_of_annotations, scoring_of_list
from anysleep.recordings.labels.text import bad_labels, read_xml, seconds
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import Unread, annotation_table
from anysleep.stages import EPOCH_S


def read_nsrr(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """Scorings of the National Sleep Research Resource: `shhs1-200001-nsrr.xml`.

    Stages by their whole concept ('Stage 1 sleep|1'), other events by the second half of it ('Arousal ()'): the first
    would call a respiratory event an arousal ('Respiratory effort related arousal|RERA'). Times count from the first
    sample of the EDF, so the file's clock time does not matter. Of a night without any arousal the file does not say
    whether somebody looked for them.
    """
    root = read_xml(path)
    events = root.findall("ScoredEvents/ScoredEvent")
    if root.tag != "PSGAnnotation" or not events:
        raise bad_labels(
            path,
            f"there are no PSGAnnotation/ScoredEvents in <{root.tag}>; the reader 'profusion' reads <CMPStudyConfig>, "
            "'table' what a program exports as text",
        )
    numbered = list(enumerate(events, start=1))
    stages = [
        (*_scored_event(path, number, event), _text(event, "EventConcept"))
        for number, event in numbered
        if _is_stage(event)
    ]
    others, unread = _readable(path, [one for one in numbered if not _is_stage(one[1])], _event_name)
    return Scoring(annotation_table(stages), annotation_table(others), unread)


def _is_stage(event: Element) -> bool:
    return _text(event, "EventType").startswith("Stages")


def _event_name(event: Element) -> str:
    """How the scoring software called it; an arousal always has the word in its name."""
    kind, name = _text(event, "EventType"), _text(event, "EventConcept").rpartition("|")[2]
    return f"arousal: {name}" if kind.startswith("Arousals") and "arousal" not in name.lower() else name


def _readable(
    path: Path, numbered: Iterable[tuple[int, Element]], name_of: Callable[[Element], str]
) -> tuple[list[tuple[float, float, str]], tuple[Unread, ...]]:
    """Onset, duration and name of the events whose times can be read, and the others."""
    rows, unread = [], []
    for number, event in numbered:
        try:
            rows.append((*_scored_event(path, number, event), name_of(event)))
        except BadRecording as error:
            place = str(error).removeprefix(f"{path.name}: ")  # which may name a person, and can become a note
            unread.append(Unread(place, (name_of(event),)))
    return rows, tuple(unread)


PROFUSION_STAGES = {"0": "W", "1": "N1", "2": "N2", "3": "N3", "4": "NREM4", "5": "R", "9": "unscored"}
"""Number in the file -> a standard name. Any other number stays as it is, and is refused or named by `codes`."""


def read_profusion(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """Scorings of Compumedics, which the NSRR has, too (`shhs1-200001-profusion.xml`).

    A stage for every epoch of the file's own length, and the events; both count from the first sample.
    """
    root = read_xml(path)
    numbers = [(stage.text or "").strip() for stage in root.findall("SleepStages/SleepStage")]
    if root.tag != "CMPStudyConfig" or not numbers:
        raise bad_labels(path, f"there are no CMPStudyConfig/SleepStages in <{root.tag}>")
    lasting_s = _told_seconds(path, "its EpochLength", root.findtext("EpochLength"))
    if not lasting_s > 0:
        raise bad_labels(path, f"its EpochLength is {lasting_s:g} s")
    scoring = scoring_of_list([PROFUSION_STAGES.get(number, number) for number in numbers], lasting_s)
    numbered = enumerate(root.findall("ScoredEvents/ScoredEvent"), start=1)
    rows, unread = _readable(path, numbered, lambda event: _text(event, "Name"))
    return replace(scoring, events=annotation_table(rows), unread=unread)


SESSIONS = "{*}Acquisition/{*}Sessions/{*}Session"
STAGINGS = "{*}ScoringData/{*}StagingData/{*}UserStaging/*"
EVENTS = "{*}ScoringData/{*}Events/{*}Event"


def read_sleepware(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """`.rml` of Philips Sleepware G3, in seconds after its recording began.

    The stages that a person scored, each until the next one, and all events, by the clock of the recording's start.
    What the program staged by itself (MachineStaging) is no scoring. BadRecording where the file has several sessions,
    or several scorings.
    """
    root = read_xml(path)
    sessions = root.findall(SESSIONS)
    if len(sessions) != 1:
        raise bad_labels(path, f"there are {len(sessions)} sessions in <{root.tag.rpartition('}')[2]}>; expected one")
    stagings = [staging for staging in root.findall(STAGINGS) if staging.find("{*}Stage") is not None]
    if len(stagings) != 1:
        raise bad_labels(path, f"a person scored its stages {len(stagings)} times (UserStaging); expected once")
    stages = _timed(path, stagings[0].findall("{*}Stage"))
    ends_s = [*(row[0] for row in stages[1:]), _told_seconds(path, "its Duration", sessions[0].findtext("{*}Duration"))]
    lasting = [(onset_s, end_s - onset_s, name) for (onset_s, _, name), end_s in zip(stages, ends_s, strict=True)]
    if any(lasting_s < 0 for _, lasting_s, _ in lasting):
        raise bad_labels(path, "its stages are not in order, or begin after the end of the session")
    events = _timed(path, root.findall(EVENTS))
    return Scoring(annotation_table(lasting), annotation_table(events), start_time=_session_start(path, sessions[0]))


def _timed(path: Path, elements: Sequence[Element]) -> list[tuple[float, float, str]]:
    """Start, Duration and Type of each."""
    rows = []
    for number, element in enumerate(elements, start=1):
        times = element.get("Start"), element.get("Duration")
        kind = element.get("Type", "").strip()
        rows.append((*_onset_and_duration(path, f"{kind or 'entry'} {number}", *times), kind))
    return rows


def _session_start(path: Path, session: Element) -> datetime:
    text = _text(session, "{*}RecordingStart")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise bad_labels(path, f"its RecordingStart is {quoted([text])}; expected as 2024-02-01T22:30:00") from None


def read_edfbrowser(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """Annotations of EDFbrowser: moments with a date, by the clock of `recording_start_time`."""
    root = read_xml(path)
    annotations = root.findall("annotation")
    if root.tag != "annotationlist" or not annotations:
        raise bad_labels(path, f"there are no annotationlist/annotation in <{root.tag}>")
    start = _moment(path, root, "recording_start_time")
    rows = [_edfbrowser_event(path, annotation, start) for annotation in annotations]
    return replace(scoring_of_annotations(annotation_table(rows), codes), start_time=start)


def _edfbrowser_event(path: Path, annotation: Element, start: datetime) -> tuple[float, float, str]:
    duration = _text(annotation, "duration")
    try:
        duration_s = seconds(duration) if duration else np.nan
    except ValueError:
        raise bad_labels(path, f"{quoted([duration])} is no duration; expected seconds") from None
    onset_s = (_moment(path, annotation, "onset") - start).total_seconds()
    return onset_s, duration_s, _text(annotation, "description")


def _moment(path: Path, element: Element, tag: str) -> datetime:
    text = _text(element, tag)
    try:
        # EDFbrowser writes seven digits behind the point, `strptime` reads six.
        return datetime.strptime(text[:26], "%Y-%m-%dT%H:%M:%S.%f" if "." in text else "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise bad_labels(path, f"{quoted([text])} is no {tag}; expected as 2024-02-01T22:30:00.0000000") from None


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _scored_event(path: Path, number: int, event: Element) -> tuple[float, float]:
    """Onset and duration in s of an event of NSRR or Profusion."""
    return _onset_and_duration(path, f"ScoredEvent {number}", event.findtext("Start"), event.findtext("Duration"))


def _told_seconds(path: Path, what: str, text: str | None) -> float:
    """`seconds(text)`. BadRecording says `what` it should be."""
    try:
        return seconds((text or "").strip())
    except ValueError:
        raise bad_labels(path, f"{what} is {quoted([(text or '').strip()])}; expected seconds") from None


def _onset_and_duration(path: Path, place: str, onset: str | None, duration: str | None) -> tuple[float, float]:
    """Both in s, the duration NaN where none is told. BadRecording names the place in the file."""
    lasts = duration and duration.strip()
    onset_s = _told_seconds(path, f"{place}: its Start", onset)
    return onset_s, _told_seconds(path, f"{place}: its Duration", lasts) if lasts else np.nan

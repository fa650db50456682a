"""XML annotations of the National Sleep Research Resource (`shhs1-200001-nsrr.xml`)."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

from anysleep.recordings.labels.hypnogram import STANDARD_CODES
from anysleep.recordings.labels.scoring import Scoring
from anysleep.recordings.labels.text import bad_labels, onset_and_duration, read_xml
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S


def read_nsrr(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """Stages by their whole concept ('Stage 1 sleep|1'), other events by the second half of it ('Arousal ()').

    Times count from the first sample of the EDF, so the file's clock time does not matter. The first half would call a
    respiratory event an arousal ('Respiratory effort related arousal|RERA'). Of a night without any arousal the file
    does not say whether somebody looked for them. `codes` and `epoch_s` are not used: the file says what a stage is and
    how long it lasts. BadRecording where it is no whole file of this form.
    """
    root = read_xml(path)
    events = root.findall("ScoredEvents/ScoredEvent")
    if root.tag != "PSGAnnotation" or not events:
        raise bad_labels(
            path,
            f"there are no PSGAnnotation/ScoredEvents in <{root.tag}>; the reader 'profusion' reads <CMPStudyConfig>, "
            "'table' what a program exports as text",
        )
    stages, others = [], []
    for number, event in enumerate(events, start=1):
        kind, concept = _text(event, "EventType"), _text(event, "EventConcept")
        times = event.findtext("Start"), event.findtext("Duration")
        timed = onset_and_duration(path, f"ScoredEvent {number}", *times)
        if kind.startswith("Stages"):
            stages.append((*timed, concept))
        else:
            others.append((*timed, _event_name(kind, concept)))
    return Scoring(annotation_table(stages), annotation_table(others))


def _event_name(kind: str, concept: str) -> str:
    """How the scoring software called it; an arousal always has the word in its name."""
    name = concept.rpartition("|")[2]
    return f"arousal: {name}" if kind.startswith("Arousals") and "arousal" not in name.lower() else name


def _text(event: Element, tag: str) -> str:
    return (event.findtext(tag) or "").strip()

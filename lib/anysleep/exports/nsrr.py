"""XML annotations as the National Sleep Research Resource (NSRR) publishes them."""

from pathlib import Path
from xml.etree import ElementTree

from anysleep.exports.scored_night import LIGHTS_OFF, LIGHTS_ON, TEXT_OF, ScoredNight, decimal
from anysleep.stages import AROUSAL_TEXT

_STAGES = ("Wake|0", "Stage 1 sleep|1", "Stage 2 sleep|2", "Stage 3 sleep|3", "REM sleep|5", "Unscored|9")
CONCEPTS = {text: ("Stages|Stages", concept) for text, concept in zip(TEXT_OF.values(), _STAGES, strict=True)} | {
    AROUSAL_TEXT: ("Arousals|Arousals", "Arousal|Arousal ()"),
    LIGHTS_OFF: ("Lights|Lights", "Lights off|Lights off"),
    LIGHTS_ON: ("Lights|Lights", "Lights on|Lights on"),
}
"""Text -> EventType, EventConcept."""


def write_nsrr(temporary: Path, night: ScoredNight) -> None:
    """Write a ScoredEvent a prediction, and one an event, in seconds from the first sample."""
    root = ElementTree.Element("PSGAnnotation")
    _append(root, SoftwareVersion="AnySleep Workbook", EpochLength=decimal(night.seconds_per_prediction))
    events = ElementTree.SubElement(root, "ScoredEvents")
    clock = {"ClockTime": f"{night.start_time:%d.%m.%y %H.%M.%S}"} if night.start_time else {}
    length_s = decimal(len(night.stages) * night.seconds_per_prediction)
    _event(events, "", "Recording Start Time", "0", length_s, **clock)
    for event in night.events().itertuples():
        _event(events, *CONCEPTS[event.text], decimal(event.onset_s), decimal(event.duration_s))
    ElementTree.indent(root, " ")
    ElementTree.ElementTree(root).write(temporary, encoding="UTF-8", xml_declaration=True)


def _event(events: ElementTree.Element, kind: str, concept: str, start: str, duration: str, **more: str) -> None:
    event = ElementTree.SubElement(events, "ScoredEvent")
    _append(event, EventType=kind, EventConcept=concept, Start=start, Duration=duration, **more)


def _append(parent: ElementTree.Element, **texts: str) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = text

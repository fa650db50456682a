"""Stages, arousals and lights as annotations: EDF+, XML of EDFbrowser and NSRR, and for MNE-Python."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import edfio

from anysleep.exports.scored_night import LIGHTS_OFF, LIGHTS_ON, TEXT_OF, ScoredNight, decimal
from anysleep.recordings.labels.scoring import NO_CLOCK
from anysleep.stages import AROUSAL_TEXT

if TYPE_CHECKING:  # slow to import
    import mne


def write_edf_annotations(temporary: Path, night: ScoredNight) -> None:
    """Write EDF+ without signals, as in Sleep-EDF: an annotation a prediction, and one an event, with standard texts.

    The header has the start with its fraction; where that is not known, 01.01.85 00.00.00, which readers take for none.
    """
    start = night.start_time or NO_CLOCK
    annotations = [edfio.EdfAnnotation(row.onset_s, row.duration_s, row.text) for row in night.events().itertuples()]
    recording = edfio.Recording(startdate=start.date(), investigator_technician_code=_code(night))
    edfio.Edf([], recording=recording, starttime=start.time(), annotations=annotations).write(temporary)


def _code(night: ScoredNight) -> str:
    """The scorer as EDF+ allows it in the header: ASCII, at most 40 characters, no blanks; X for unknown."""
    return "_".join(night.scorer.split()).encode("ascii", "replace").decode()[:40] or "X"


def write_edfbrowser_xml(temporary: Path, night: ScoredNight) -> None:
    """Write what EDFbrowser imports (Tools, Import annotations): an `annotationlist`, whose onsets are moments.

    They have a date, and fit a recording that begins at that moment; of an unknown start 1 January 1985 at midnight.
    """
    start = night.start_time or NO_CLOCK
    root = ElementTree.Element("annotationlist")
    _append(root, recording_start_time=_moment(start))
    for event in night.events().itertuples():
        annotation = ElementTree.SubElement(root, "annotation")
        onset = _moment(start + timedelta(seconds=event.onset_s))
        _append(annotation, onset=onset, duration=decimal(event.duration_s), description=event.text)
    _write_xml(temporary, root)


def _moment(moment: datetime) -> str:
    """With the seven digits of EDFbrowser."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0"


_NSRR_STAGES = ("Wake|0", "Stage 1 sleep|1", "Stage 2 sleep|2", "Stage 3 sleep|3", "REM sleep|5", "Unscored|9")
NSRR_CONCEPTS = {
    text: ("Stages|Stages", concept) for text, concept in zip(TEXT_OF.values(), _NSRR_STAGES, strict=True)
} | {
    AROUSAL_TEXT: ("Arousals|Arousals", "Arousal|Arousal ()"),
    LIGHTS_OFF: ("Lights|Lights", "Lights off|Lights off"),
    LIGHTS_ON: ("Lights|Lights", "Lights on|Lights on"),
}
"""Text -> EventType, EventConcept."""


def write_nsrr(temporary: Path, night: ScoredNight) -> None:
    """Write XML as the National Sleep Research Resource: a ScoredEvent a prediction or event, in s from the start."""
    root = ElementTree.Element("PSGAnnotation")
    _append(root, SoftwareVersion="AnySleep Workbook", EpochLength=decimal(night.seconds_per_prediction))
    events = ElementTree.SubElement(root, "ScoredEvents")
    clock = {"ClockTime": f"{night.start_time:%d.%m.%y %H.%M.%S}"} if night.start_time else {}
    length_s = decimal(len(night.stages) * night.seconds_per_prediction)
    _scored_event(events, "", "Recording Start Time", "0", length_s, **clock)
    for event in night.events().itertuples():
        _scored_event(events, *NSRR_CONCEPTS[event.text], decimal(event.onset_s), decimal(event.duration_s))
    _write_xml(temporary, root)


def _scored_event(events: ElementTree.Element, kind: str, concept: str, start: str, duration: str, **more: str) -> None:
    event = ElementTree.SubElement(events, "ScoredEvent")
    _append(event, EventType=kind, EventConcept=concept, Start=start, Duration=duration, **more)


def _append(parent: ElementTree.Element, **texts: str) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = text


def _write_xml(temporary: Path, root: ElementTree.Element) -> None:
    ElementTree.indent(root, " ")
    ElementTree.ElementTree(root).write(temporary, encoding="UTF-8", xml_declaration=True)


def to_mne_annotations(night: ScoredNight, raw: mne.io.BaseRaw) -> mne.Annotations:
    """Stages, arousals and lights for `raw.set_annotations`, on the time base of that recording."""
    import mne

    events = night.events()
    onsets_s = events.onset_s + (raw.first_time if raw.info["meas_date"] else 0.0)
    return mne.Annotations(onsets_s, events.duration_s, events.text, orig_time=raw.info["meas_date"])

"""Annotations that EDFbrowser imports (Tools, Import annotations): as XML, and as text."""

from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

from anysleep.exports.scored_night import ScoredNight, decimal
from anysleep.recordings.labels.scoring import NO_CLOCK


def write_edfbrowser_xml(temporary: Path, night: ScoredNight) -> None:
    """Write `annotationlist`, whose onsets are moments with a date: they fit a recording that begins at that moment.

    Of an unknown start it is 1 January 1985 at midnight.
    """
    start = night.start_time or NO_CLOCK
    root = ElementTree.Element("annotationlist")
    ElementTree.SubElement(root, "recording_start_time").text = _moment(start)
    for event in night.events().itertuples():
        annotation = ElementTree.SubElement(root, "annotation")
        ElementTree.SubElement(annotation, "onset").text = _moment(start + timedelta(seconds=event.onset_s))
        ElementTree.SubElement(annotation, "duration").text = decimal(event.duration_s)
        ElementTree.SubElement(annotation, "description").text = event.text
    ElementTree.indent(root, " ")
    ElementTree.ElementTree(root).write(temporary, encoding="UTF-8", xml_declaration=True)


def write_edfbrowser_text(temporary: Path, night: ScoredNight) -> None:
    """Write Onset, Duration, Annotation, in seconds from the start of the file."""
    events = night.events()
    columns = {"Onset": events.onset_s.map(decimal), "Duration": events.duration_s.map(decimal)}
    events.assign(**columns, Annotation=events.text)[[*columns, "Annotation"]].to_csv(temporary, index=False)


def _moment(moment: datetime) -> str:
    """With the seven digits of EDFbrowser."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0"

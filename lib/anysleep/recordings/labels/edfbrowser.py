"""Annotations that EDFbrowser exports as XML: moments with a date, and the start of the recording beside them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from anysleep.recordings.labels.hypnogram import STANDARD_CODES, quoted
from anysleep.recordings.labels.scoring import Scoring, scoring_of_annotations
from anysleep.recordings.labels.text import bad_labels, read_xml, seconds
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S


def read_edfbrowser(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The annotations, by the clock of `recording_start_time`. BadRecording where it is no whole file of this form.

    `epoch_s` is not used: annotations have onsets.
    """
    root = read_xml(path)
    annotations = root.findall("annotation")
    if root.tag != "annotationlist" or not annotations:
        raise bad_labels(path, f"there are no annotationlist/annotation in <{root.tag}>")
    start = _moment(path, root, "recording_start_time")
    rows = [_row(path, annotation, start) for annotation in annotations]
    return replace(scoring_of_annotations(annotation_table(rows), codes), start_time=start)


def _row(path: Path, annotation: Element, start: datetime) -> tuple[float, float, str]:
    duration = (annotation.findtext("duration") or "").strip()
    try:
        duration_s = seconds(duration) if duration else np.nan
    except ValueError:
        raise bad_labels(path, f"{quoted([duration])} is no duration; expected seconds") from None
    onset_s = (_moment(path, annotation, "onset") - start).total_seconds()
    return onset_s, duration_s, (annotation.findtext("description") or "").strip()


def _moment(path: Path, element: Element, tag: str) -> datetime:
    text = (element.findtext(tag) or "").strip()
    try:
        return datetime.strptime(text[:26], "%Y-%m-%dT%H:%M:%S.%f" if "." in text else "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise bad_labels(path, f"{quoted([text])} is no {tag}; expected as 2024-02-01T22:30:00.0000000") from None

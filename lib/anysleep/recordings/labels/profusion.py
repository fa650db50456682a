"""XML of Compumedics Profusion, which the National Sleep Research Resource has, too (`shhs1-200001-profusion.xml`)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from anysleep.recordings.labels.hypnogram import STANDARD_CODES
from anysleep.recordings.labels.scoring import Scoring, scoring_of_list
from anysleep.recordings.labels.text import bad_labels, onset_and_duration, read_xml, told_seconds
from anysleep.recordings.recording import annotation_table
from anysleep.stages import EPOCH_S

STAGES = {"0": "W", "1": "N1", "2": "N2", "3": "N3", "4": "NREM4", "5": "R", "9": "unscored"}
"""Number in the file -> a standard name. Any other number stays as it is, and is refused or named by `codes`."""


def read_profusion(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """A stage for every epoch of the file's own length, and the events; both count from the first sample.

    `codes` and `epoch_s` are not used. BadRecording where it is no whole file of this form.
    """
    root = read_xml(path)
    numbers = [(stage.text or "").strip() for stage in root.findall("SleepStages/SleepStage")]
    if root.tag != "CMPStudyConfig" or not numbers:
        raise bad_labels(path, f"there are no CMPStudyConfig/SleepStages in <{root.tag}>")
    lasting_s = told_seconds(path, "its EpochLength", root.findtext("EpochLength"))
    if not lasting_s > 0:
        raise bad_labels(path, f"its EpochLength is {lasting_s:g} s")
    scoring = scoring_of_list([STAGES.get(number, number) for number in numbers], lasting_s)
    events = enumerate(root.findall("ScoredEvents/ScoredEvent"), start=1)
    return replace(scoring, events=annotation_table([_row(path, number, event) for number, event in events]))


def _row(path: Path, number: int, event: Element) -> tuple[float, float, str]:
    times = event.findtext("Start"), event.findtext("Duration")
    return *onset_and_duration(path, f"ScoredEvent {number}", *times), (event.findtext("Name") or "").strip()

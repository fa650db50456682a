"""What writes a scored night: first tables and lists, then annotations, as EDF+, XML and for MNE-Python."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import edfio
import numpy as np
import pandas as pd

from anysleep.exports.scored_night import LIGHTS_OFF, LIGHTS_ON, TEXT_OF, ScoredNight, decimal
from anysleep.recordings.labels.scoring import NO_CLOCK
from anysleep.recordings.tables import without_formulas
from anysleep.stages import AROUSAL_TEXT, STAGES, UNSCORED


def hypnogram_table(night: ScoredNight) -> pd.DataFrame:
    """One row a prediction: onset_s, clock_time (where the start is known), duration_s, stage, p_wake ... p_rem.

    Probabilities are there where the hypnodensity is, rounded to four digits.
    """
    table = _stage_table(night)
    if night.start_time is not None:
        table.insert(1, "clock_time", [clock_time(night.start_time, onset_s) for onset_s in night.onsets_s])
    return table.round({name: 4 for name in table if name.startswith("p_")})


def write_csv(temporary: Path, night: ScoredNight) -> None:
    """Write `hypnogram_table`."""
    hypnogram_table(night).to_csv(temporary, index=False)


def write_parquet(temporary: Path, night: ScoredNight) -> None:
    """Write the table with float32 probabilities and no clock times; the start and the scorer are its `attrs`."""
    table = _stage_table(night)
    table = table.astype({name: np.float32 for name in table if name.startswith("p_")})
    table.attrs = {"start_time": night.start_time and night.start_time.isoformat(), "scorer": night.scorer}
    table.to_parquet(temporary, engine="pyarrow", index=False)


def clock_time(start: datetime, seconds: float) -> str:
    """Time of day, with milliseconds only where they are not zero; no date."""
    moment = start + timedelta(seconds=float(seconds))
    return moment.strftime("%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "")


def _stage_table(night: ScoredNight) -> pd.DataFrame:
    columns = {"onset_s": night.onsets_s, "duration_s": night.seconds_per_prediction, "stage": night.names}
    if night.hypnodensity is not None:
        columns |= {f"p_{stage.lower()}": night.hypnodensity[:, i] for i, stage in enumerate(STAGES)}
    return pd.DataFrame(columns)


BIDS_SIDECAR = {
    "trial_type": {
        "LongName": "Event",
        "Description": "Sleep stages (AASM), arousals and lights, with the standard texts of EDF+.",
        "Levels": {TEXT_OF[code]: stage for code, stage in enumerate(STAGES)}
        | {TEXT_OF[UNSCORED]: "Unscored", AROUSAL_TEXT: "Arousal", LIGHTS_OFF: "Lights off", LIGHTS_ON: "Lights on"},
    },
    "stage": {
        "LongName": "Sleep stage",
        "Description": "Sleep stage (AASM); n/a where unscored, and for other events.",
        "Levels": {stage: f"Sleep stage {stage}" for stage in STAGES},
    },
    "scorer": {"Description": "Who or what scored the event."},
    "confidence": {"Description": "Probability of the stage, 0 to 1; n/a where it is not known."},
}


def write_bids_events(temporary: Path, night: ScoredNight) -> None:
    """Write task events of BIDS 1.10: onset, duration, trial_type, stage, scorer and confidence of each event."""
    events = night.events()
    columns = {
        "onset": events.onset_s.map(decimal),
        "duration": events.duration_s.map(decimal),
        "trial_type": events.text,
        "stage": events.stage.where(events.stage != "unscored"),
        "scorer": night.scorer or None,
        "confidence": events.confidence.round(4),
    }
    without_formulas(events.assign(**columns)[list(columns)]).to_csv(temporary, sep="\t", index=False, na_rep="n/a")


def write_bids_sidecar(temporary: Path, night: ScoredNight) -> None:
    """Write what the columns mean."""
    temporary.write_text(json.dumps(BIDS_SIDECAR, indent=2) + "\n", encoding="utf-8")


LUNA_CLASSES = {text: text.removeprefix("Sleep stage ") for text in TEXT_OF.values()} | {
    AROUSAL_TEXT: "arousal",
    LIGHTS_OFF: "lights_off",
    LIGHTS_ON: "lights_on",
}
LUNA_HEADER = ("class", "instance", "channel", "start", "stop", "meta")


def write_annot(temporary: Path, night: ScoredNight) -> None:
    """Write intervals of Luna (zzz.bwh.harvard.edu/luna), in seconds: one a prediction, and one an event."""
    rows = [
        (LUNA_CLASSES[event.text], ".", ".", decimal(event.onset_s), decimal(event.onset_s + event.duration_s), ".")
        for event in night.events().itertuples()
    ]
    temporary.write_text("".join("\t".join(row) + "\n" for row in (LUNA_HEADER, *rows)), encoding="utf-8")


def write_eannot(temporary: Path, night: ScoredNight) -> None:
    """Write a stage a line, for Luna."""
    temporary.write_text("".join(f"{LUNA_CLASSES[TEXT_OF[code]]}\n" for code in night.stages), encoding="utf-8")


POLYMAN_HEADER = "Date, Time, Recording onset, Duration, Annotation, Linked channel"


def write_polyman(temporary: Path, night: ScoredNight) -> None:
    """Write text as of Haaglanden Medisch Centrum (PhysioNet), an event a line; with the clock where it is known."""
    lines = [
        ", ".join([_date_and_time(night.start_time, onset_s), decimal(onset_s), decimal(duration_s), text, ""])
        for onset_s, duration_s, text in night.events()[["onset_s", "duration_s", "text"]].itertuples(index=False)
    ]
    temporary.write_text("\n".join([POLYMAN_HEADER, *lines]) + "\n", encoding="utf-8")


def _date_and_time(start: datetime | None, onset_s: float) -> str:
    """Date and time, with the fraction only where it is not zero."""
    if start is None:
        return ", "
    moment = start + timedelta(seconds=onset_s)
    return f"{moment:%d.%m.%y, %H.%M.%S}" + (f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else "")


def write_edfbrowser_text(temporary: Path, night: ScoredNight) -> None:
    """Write Onset, Duration, Annotation, in seconds from the start of the file."""
    events = night.events()
    columns = {"Onset": events.onset_s.map(decimal), "Duration": events.duration_s.map(decimal)}
    events.assign(**columns, Annotation=events.text)[[*columns, "Annotation"]].to_csv(temporary, index=False)


YASA_LABELS = {**dict(enumerate(("WAKE", "N1", "N2", "N3", "REM"))), UNSCORED: "UNS"}


def write_yasa_json(temporary: Path, night: ScoredNight) -> None:
    """Write stages, seconds, start, scorer and probabilities, for `yasa.Hypnogram.from_json`."""
    import yasa  # slow to import

    proba = None
    if night.hypnodensity is not None:
        rows = night.hypnodensity / np.sum(night.hypnodensity, axis=1, keepdims=True)  # yasa wants sums of one
        proba = pd.DataFrame(rows, columns=list(YASA_LABELS.values())[:-1])
    hypnogram = yasa.Hypnogram(
        [YASA_LABELS[code] for code in night.stages],
        freq=f"{decimal(night.seconds_per_prediction)}s",
        start=night.start_time,
        scorer=night.scorer or None,
        proba=proba,
    )
    hypnogram.to_json(temporary)


if TYPE_CHECKING:  # slow to import
    import mne


def write_edf_annotations(temporary: Path, night: ScoredNight) -> None:
    """Write EDF+ without signals, as in Sleep-EDF: an annotation a prediction, and one an event, with standard texts.

    The header has the start with its fraction; where that is not known, 01.01.85 00.00.00, which readers take for none.
    """
    start = night.start_time or NO_CLOCK
    annotations = [edfio.EdfAnnotation(row.onset_s, row.duration_s, row.text) for row in night.events().itertuples()]
    # As EDF+ allows it in the header: ASCII, at most 40 characters, no blanks; X for unknown.
    scorer = "_".join(night.scorer.split()).encode("ascii", "replace").decode()[:40] or "X"
    recording = edfio.Recording(startdate=start.date(), investigator_technician_code=scorer)
    edfio.Edf([], recording=recording, starttime=start.time(), annotations=annotations).write(temporary)


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

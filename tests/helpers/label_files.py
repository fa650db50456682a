"""Label files of several formats."""

import json
from datetime import time

import edfio
import numpy as np
import wfdb

from helpers.toy_labels import START, write


def write_edf(path, *annotations, start=time(22, 0, 0)):
    notes = [edfio.EdfAnnotation(*annotation) for annotation in annotations]
    day = edfio.Recording(startdate=START.date())
    edfio.Edf([], recording=day, starttime=start, annotations=notes).write(path)
    return path


def nsrr(*events, root="PSGAnnotation"):
    fields = ("EventType", "EventConcept", "Start", "Duration")
    parts = ["".join(f"<{f}>{v}</{f}>" for f, v in zip(fields, event, strict=True)) for event in events]
    scored = "".join(f"<ScoredEvent>{part}</ScoredEvent>" for part in parts)
    return f'<?xml version="1.0" encoding="UTF-8"?><{root}><ScoredEvents>{scored}</ScoredEvents></{root}>'


def write_arousal(folder, notes, rate_hz=200, header=None):
    samples = np.array([round(onset_s * 200) for onset_s, _ in notes])
    texts = [text for _, text in notes]
    wfdb.wrann("tr03-0005", "arousal", samples, ['"'] * len(notes), aux_note=texts, fs=rate_hz, write_dir=str(folder))
    if header:
        write(folder / "tr03-0005.hea", header)
    return folder / "tr03-0005.arousal"


def write_scorers(folder, *scorers):
    for i, stages in enumerate(scorers, start=1):
        write(folder / f"scorer_{i}" / "night.json", json.dumps(stages))
    return folder / "scorer_1" / "night.json"


def mass_event(channel, group="MicroArousal"):
    return f'<Event channel="{channel}" groupName="{group}" name="CARSM expert" scoringType="expert"/>'


def annotations(onset="2024-02-01T22:00:00.5", duration="30", start="2024-02-01T22:00:00", root="annotationlist"):
    note = f"<annotation><onset>{onset}</onset><duration>{duration}</duration><description>W</description></annotation>"
    return f"<{root}><recording_start_time>{start}</recording_start_time>{note}</{root}>"

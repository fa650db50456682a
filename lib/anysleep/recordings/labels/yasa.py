"""The JSON file of a `yasa.Hypnogram`: a stage for every so many seconds, by the clock where it has one."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from anysleep.recordings.labels.hypnogram import STANDARD_CODES
from anysleep.recordings.labels.scoring import Scoring, scoring_of_list
from anysleep.recordings.labels.text import bad_labels, read_lines
from anysleep.stages import EPOCH_S


def read_yasa(path: Path, codes: Mapping[str, int] = STANDARD_CODES, epoch_s: float = EPOCH_S) -> Scoring:
    """The stages. BadRecording where it is no whole file of this form.

    `codes` and `epoch_s` are not used: the file says what a stage is and how long it lasts.
    """
    try:
        content = json.loads("\n".join(read_lines(path)))
        labels = [_label(value) for value in content["values"]]
        lasting_s = pd.Timedelta(content["freq"]).total_seconds()
        start = content.get("start") and pd.Timestamp(content["start"]).tz_localize(None).to_pydatetime()
    except (KeyError, TypeError, ValueError) as error:
        raise bad_labels(path, f"this is no JSON file of a yasa Hypnogram: {error}") from error
    if not labels or not lasting_s > 0:
        raise bad_labels(path, "there are no stages that last")
    scoring = scoring_of_list(labels, lasting_s)
    return replace(scoring, start_time=start, epoch_s=None) if start else scoring


def _label(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no label")
    return value

"""`*_events.tsv` and its `.json` of the Brain Imaging Data Structure (BIDS 1.10, task events)."""

import json
from pathlib import Path

from anysleep.exports.scored_night import LIGHTS_OFF, LIGHTS_ON, TEXT_OF, ScoredNight, decimal
from anysleep.recordings.tables import without_formulas
from anysleep.stages import AROUSAL_TEXT, STAGES, UNSCORED

SIDECAR = {
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
    """Write onset, duration, trial_type, stage, scorer, confidence: a row a prediction, and one an event."""
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
    temporary.write_text(json.dumps(SIDECAR, indent=2) + "\n", encoding="utf-8")

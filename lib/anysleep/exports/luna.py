"""Annotations of Luna (zzz.bwh.harvard.edu/luna): intervals in `.annot`, a stage an epoch in `.eannot`."""

from pathlib import Path

from anysleep.exports.scored_night import LIGHTS_OFF, LIGHTS_ON, TEXT_OF, ScoredNight, decimal
from anysleep.stages import AROUSAL_TEXT

CLASSES = {text: text.removeprefix("Sleep stage ") for text in TEXT_OF.values()} | {
    AROUSAL_TEXT: "arousal",
    LIGHTS_OFF: "lights_off",
    LIGHTS_ON: "lights_on",
}
HEADER = ("class", "instance", "channel", "start", "stop", "meta")


def write_annot(temporary: Path, night: ScoredNight) -> None:
    """Write an interval a prediction, and one an event, in seconds from the first sample."""
    rows = [
        (CLASSES[event.text], ".", ".", decimal(event.onset_s), decimal(event.onset_s + event.duration_s), ".")
        for event in night.events().itertuples()
    ]
    temporary.write_text("".join("\t".join(row) + "\n" for row in (HEADER, *rows)), encoding="utf-8")


def write_eannot(temporary: Path, night: ScoredNight) -> None:
    """Write a stage a line."""
    temporary.write_text("".join(f"{CLASSES[TEXT_OF[code]]}\n" for code in night.stages), encoding="utf-8")

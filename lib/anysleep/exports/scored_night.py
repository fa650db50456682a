"""A scored night as the exports take it: stages, their clock, and the events that go along."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd

from anysleep.recordings.labels.scoring import NO_CLOCK
from anysleep.recordings.recording import ANONYMOUS
from anysleep.stages import AROUSAL_TEXT, EPOCH_S, N_STAGES, STAGE_TEXTS, STAGES, UNSCORED, UNSCORED_TEXT

TEXT_OF = {**dict(enumerate(STAGE_TEXTS)), UNSCORED: UNSCORED_TEXT}
"""Stage or 9 -> the standard text of EDF+."""
LIGHTS_OFF, LIGHTS_ON = "Lights off", "Lights on"
"""So are these."""

decimal = partial(np.format_float_positional, precision=7, trim="-")
"""Seconds as text, exact at every resolution of a network at 128 Hz (1/128 s is 0.0078125 s)."""


@dataclass(frozen=True)
class ScoredNight:
    """Stages of one night at one resolution. Second 0 of everything is the first sample of the recording."""

    stages: np.ndarray
    """int (P,), 0-4, and 9 where unscored."""
    predictions_per_epoch: int = 1
    start_time: datetime | None = None
    """Clock time of second 0, with its fraction; `without_date` where the date is to stay unknown."""
    hypnodensity: np.ndarray | None = None
    """float (P, 5), the probability of every stage."""
    arousals_s: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    """float (n, 2), onset and end."""
    lights_off_s: float | None = None
    lights_on_s: float | None = None
    scorer: str = ""
    """Who or what scored the night, such as the name of a network."""

    def __post_init__(self):
        """ValueError where a file made of this would not be that of a night."""
        unknown = set(np.unique(self.stages).tolist()) - set(TEXT_OF)
        if np.ndim(self.stages) != 1 or not len(self.stages) or unknown:
            raise ValueError(f"stages have shape {np.shape(self.stages)} and hold {unknown or '{}'}; expected 0-4 or 9")
        if not np.issubdtype(np.asarray(self.stages).dtype, np.integer):
            raise ValueError(f"stages are {np.asarray(self.stages).dtype}; expected whole numbers, such as int8")
        if self.predictions_per_epoch < 1:
            raise ValueError(f"predictions_per_epoch is {self.predictions_per_epoch}; expected 1 or more")
        shape = (len(self.stages), N_STAGES)
        if self.hypnodensity is not None and np.shape(self.hypnodensity) != shape:
            raise ValueError(f"the hypnodensity has shape {np.shape(self.hypnodensity)}; expected {shape}")
        if self.hypnodensity is not None and not np.isfinite(self.hypnodensity).all():
            raise ValueError("the hypnodensity holds what is no number; was a signal without samples staged?")
        self._check_events()
        if not self.scorer.isprintable():
            raise ValueError(f"the scorer {self.scorer!r} holds what cannot be printed; expected a name in one line")

    def _check_events(self) -> None:
        lights_s = [at_s for at_s in (self.lights_off_s, self.lights_on_s) if at_s is not None]
        if not np.isfinite(lights_s).all():
            raise ValueError(f"lights are off at {self.lights_off_s} and on at {self.lights_on_s}; expected s, or None")
        spans = np.asarray(self.arousals_s, dtype=float)
        wrong = (
            spans.ndim != 2 or spans.shape[1] != 2 or not np.isfinite(spans).all() or (spans[:, 1] < spans[:, 0]).any()
        )
        if wrong:
            raise ValueError("arousals need an onset and, not before it, an end, in s: float (n, 2)")

    @property
    def seconds_per_prediction(self) -> float:
        """How long each stage lasts."""
        return EPOCH_S / self.predictions_per_epoch

    @property
    def onsets_s(self) -> np.ndarray:
        """float64 (P,), when each prediction begins."""
        return np.arange(len(self.stages)) * self.seconds_per_prediction

    @property
    def names(self) -> list[str]:
        """The name of each stage, of `STAGES` or 'unscored'."""
        return ["unscored" if code == UNSCORED else STAGES[code] for code in self.stages]

    @property
    def confidence(self) -> np.ndarray:
        """float (P,), the probability of the stage that was chosen; NaN where that is not known."""
        if self.hypnodensity is None:
            return np.full(len(self.stages), np.nan)
        scored = self.stages != UNSCORED
        chosen = self.hypnodensity[np.arange(len(self.stages)), np.where(scored, self.stages, 0)]
        return np.where(scored, chosen, np.nan)

    def events(self) -> pd.DataFrame:
        """Stages, arousals and lights by onset: columns onset_s, duration_s, text (of EDF+), stage, confidence.

        `stage` is of `STAGES`, or 'unscored'; None for other events, whose confidence is NaN.
        """
        stages = {
            "onset_s": self.onsets_s,
            "duration_s": self.seconds_per_prediction,
            "text": [TEXT_OF[code] for code in self.stages],
            "stage": self.names,
            "confidence": self.confidence,
        }
        others = pd.DataFrame(self._other_events(), columns=["onset_s", "duration_s", "text"])
        tables = [pd.DataFrame(stages), others] if len(others) else [pd.DataFrame(stages)]
        return pd.concat(tables).sort_values("onset_s", ignore_index=True, kind="stable")

    def _other_events(self) -> Iterator[tuple[float, float, str]]:
        yield from ((onset, end - onset, AROUSAL_TEXT) for onset, end in self.arousals_s)
        lights = {LIGHTS_OFF: self.lights_off_s, LIGHTS_ON: self.lights_on_s}
        yield from ((at_s, 0.0, text) for text, at_s in lights.items() if at_s is not None)


def without_date(start_time: datetime | None) -> datetime | None:
    """The time of day on the date of files that tell none: a date could help to tell who the patient is.

    Midnight sharp becomes the next one: on that date it stands for no clock at all.
    """
    if start_time is None or start_time == NO_CLOCK:
        return start_time
    moment = datetime.combine(ANONYMOUS, start_time.time())
    return moment + timedelta(days=1) if moment == NO_CLOCK else moment

"""Labels as a file holds them, and how they come onto the time base of a recording."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import Literal

import numpy as np
import pandas as pd

from anysleep.recordings.labels.hypnogram import (
    ALSO_EVENTS,
    ROUNDING_S,
    STANDARD_CODES,
    TO_SAY,
    codes_of,
    hypnogram_from_stages,
    is_ambiguous,
    key,
    known_codes,
    known_or_standard,
    plain_labels,
    quoted,
    standard_codes,
    standard_stage,
)
from anysleep.recordings.reasons import BadRecording, note
from anysleep.recordings.recording import (
    ANNOTATION_COLUMNS,
    ANONYMOUS,
    LONGEST_S,
    Recording,
    Unread,
    annotation_table,
    epochs_in,
)
from anysleep.stages import EPOCH_S, REM, STAGES, UNSCORED, WAKE
from anysleep.system.words import many

TOLERANCE_S = 1.0
"""Stages may begin by less before the first sample: clocks and onsets are often told in whole seconds."""
DAY_S = 24 * 3600.0
NO_CLOCK = datetime.combine(ANONYMOUS, time(0))
"""What programs write that were told no clock: 01.01.85 00.00.00."""
USUAL_EPOCHS_S = (1, 2, 5, 10, 15, 20, 30, 60)
MANY_LABELS = 100
"""With so many labels it is no chance that another length of epochs fits."""
WITH_SIGNAL = "if they begin with the first sample, say `start: with_signal`"

LengthRule = Literal["equal", "trim_end", "lights"]
"""What happens where labels and signals differ in length. `equal`: the night is refused. `trim_end`: both end where the
shorter one ends. `lights`: the signals are cut to the time between lights off and on, which the labels must cover."""


StartRule = Literal["by_clock", "with_signal"]
"""Where labels begin that lie in a file with a clock of its own. `by_clock`: as the clocks of both files say; the night
is refused where one cannot be read. `with_signal`: at the first sample of the signals."""


UnknownRule = Literal["refuse", "unscored"]
"""What happens to a label that is neither in the codes nor a standard name. `refuse`: the night is refused. `unscored`:
the label counts as 9, which is said; but the night is refused where such labels look like stages or like lines that are
no label, or are more than `MOST_UNKNOWN` of what is scored."""
MOST_UNKNOWN = 0.05
"""Their time as a share of the time that is scored."""
LIKE_A_STAGE = re.compile(
    r"[a-z]{0,5}[ ._-]*[0-5](\.0*)?|.*(\b[ns][1-4]\b|sleep|stage|stadium|stade|schlaf|n?rem\b|wak|wach).*"
)
"""A number 0 to 5 behind a few letters, or a word of staging; matched with the label in small letters."""
LIKE_A_COMMENT = re.compile(r"[#%;/*!].*|.*[\s:=].*")


@dataclass(frozen=True)
class Scoring:
    """What a label reader returns.

    Whether anybody scored arousals, the events alone need not tell: a night without any may be one where nobody looked.
    So arousals count as scored (`arousals_scored`) where the night's source lists at least one that lasts, or is there
    to list them (`lists_arousals`). A list of stages, or of events of several kinds with no arousal in a whole night,
    does not say so. That may leave out a rare night in which somebody looked and saw none, but invents no such night.
    """

    stages: pd.DataFrame
    """Columns onset_s, duration_s (NaN: until the next), description (the label as written), by onset."""
    events: pd.DataFrame = field(default_factory=lambda: annotation_table([]))
    """Anything else, in the same columns; arousals carry the word 'arousal' in their description."""
    unread: tuple[Unread, ...] = ()
    """What cannot be read and so is missing above."""
    start_time: datetime | None = None
    """Clock time of second 0; None where the labels count from the first sample of the signals, or `clock_unread`."""
    clock_unread: bool = False
    """True where the labels lie by a clock of their own that cannot be read."""
    epoch_s: float | None = None
    """Set for a plain list of labels, one for every so many seconds: it should then be as long as the signals."""
    lists_arousals: bool = False
    """True where the file is there to list arousals, so that none in it means that there was none."""


def scoring_of_list(labels: Sequence[str], epoch_s: float) -> Scoring:
    """A plain list of labels, one for every `epoch_s`, the first at second 0."""
    onsets_s = np.arange(len(labels)) * float(epoch_s)
    table = pd.DataFrame({"onset_s": onsets_s, "duration_s": float(epoch_s), "description": list(labels)})
    return Scoring(table.astype(ANNOTATION_COLUMNS), epoch_s=epoch_s)


def scoring_of_annotations(annotations: pd.DataFrame, codes: Mapping[str, int] = STANDARD_CODES) -> Scoring:
    """Annotations divided into stages and other events.

    Stages are what `codes` names and what begins with 'Sleep stage'. Where there are none, the standard names are,
    unless all of them may mean something else (`REM`, `W`; `S1`, `SP`). Beside stages a standard name is one, too, and
    that is said; but inside the time of another scored stage it is an event, such as an eye movement. What often is one
    (`ALSO_EVENTS`) is a stage only where it lasts. A name of several stages is left to `codes_of` to refuse.
    """
    code, standard_code = known_codes(annotations, codes), standard_codes(annotations)
    is_stage = code.notna() | plain_labels(annotations).str.startswith("sleep stage")
    may_be_event = annotations.description.map(key).isin(ALSO_EVENTS)
    standard = standard_code.notna() | annotations.description.map(is_ambiguous).astype(bool)
    standard &= ~is_stage & ((annotations.duration_s > 0) | ~may_be_event)
    if is_stage.any():
        unscored = code.fillna(standard_code) == UNSCORED
        standard &= ~_inside(annotations, annotations[is_stage & ~unscored])
        standard &= ~may_be_event | (standard_code != UNSCORED)  # time without a stage is unscored anyway
        if (known := standard & standard_code.notna()).any():
            beside = quoted(annotations.description[known])
            note(f"beside the other stages these count as stages: {beside}")
    elif may_be_event[standard].all() or standard_code[standard].isin((WAKE, REM, UNSCORED)).all():
        standard &= False
    else:
        standard &= ~may_be_event | ~_inside(annotations, annotations[standard & ~may_be_event])
    is_stage |= standard
    return Scoring(annotations[is_stage].reset_index(drop=True), annotations[~is_stage].reset_index(drop=True))


def refuse_unread(unread: Sequence[Unread], code: str = "damaged") -> None:
    """BadRecording that names the first place, where there is one: what is missing may be a stage or an arousal."""
    if unread:
        raise BadRecording(code, said_unread(unread))


def said_unread(unread: Sequence[Unread]) -> str:
    """How many annotations cannot be read, and where the first one is."""
    return f"{many(len(unread), 'annotation')} cannot be read, the first in {unread[0].place}"


def without_unread(night: Recording, scoring: Scoring | None) -> tuple[Recording, Scoring | None]:
    """Both as if there were nothing that cannot be read, which is said. BadRecording where a stage may be among it."""
    unread = night.unread + (scoring.unread if scoring else ())
    if unread:
        note(f"{said_unread(unread)}: left out")
    texts = [one.texts for one in (scoring or night).unread]
    named = annotation_table([(0, 0, text) for read in texts for text in read or ()])
    is_stage = standard_codes(named).notna() | plain_labels(named).str.startswith("sleep stage")
    if None in texts or is_stage.any():
        raise BadRecording("damaged", f"{said_unread(unread)}, and a stage may be among them")
    return replace(night, unread=()), scoring and replace(scoring, unread=())


def _inside(annotations: pd.DataFrame, stages: pd.DataFrame) -> np.ndarray:
    """bool (n,): which annotations begin while one of the stages lasts.

    A stage that does not say how long it lasts does so until the next; that holds against annotations that do say it.
    """
    stages = stages.sort_values("onset_s")
    said_s = stages.duration_s.where(stages.duration_s > 0)
    # `diff(-1)` is this onset less the next one.
    until_next_s = (-stages.onset_s.diff(-1)).fillna(EPOCH_S)
    before = np.searchsorted(stages.onset_s, annotations.onset_s, side="right")
    begins_inside = [
        # The latest end of all stages that begin before, or with, the annotation.
        np.maximum.accumulate([-np.inf, *(stages.onset_s + lasts_s)])[before] > annotations.onset_s + ROUNDING_S
        for lasts_s in (said_s.fillna(0), said_s.fillna(until_next_s))
    ]
    return begins_inside[0] | (begins_inside[1] & (annotations.duration_s > 0))


def arousals_scored(night: Recording, scoring: Scoring | None = None) -> bool:
    """Whether somebody scored the arousals of a night, so that none means none; the rule is that of `Scoring`.

    `night` carries all its annotations, `scoring` is what a label file said. Synthetic nights know their arousals,
    if anybody scored them at all.
    """
    if (night.synthetic and len(night.annotations)) or (scoring is not None and scoring.lists_arousals):
        return True
    lasting = night.annotations[night.annotations.duration_s > 0]
    return bool(lasting.description.str.contains("arousal", case=False).any())


def with_scoring(
    night: Recording,
    scoring: Scoring | None,
    *,
    codes: Mapping[str, int] = STANDARD_CODES,
    offset_s: float = 0.0,
    length: LengthRule = "equal",
    unknown: UnknownRule = "refuse",
    start: StartRule = "by_clock",
) -> Recording:
    """The night with a hypnogram, and the scoring as its annotations, on the time base of its signals.

    `scoring` has labels by their own clock; None for those that are the annotations of the night itself. `codes` has
    label, in any case -> stage 0-4 or 9. `offset_s` is where second 0 of the labels lies in the recording, beyond what
    the clock times of both files say. `length`, `unknown` and `start` are rules, see their types.

    BadRecording where an annotation cannot be read, nobody knows a label, two are at the same time, a clock cannot be
    read, scored time lies before the first sample, or lengths differ without a rule; the message gives both.
    """
    refuse_unread(night.unread)
    refuse_unread(scoring.unread if scoring else (), "label_file")
    if scoring is None:
        night, scoring = _own(night, codes, length)
    if length == "lights":
        night = _between_lights(night, scoring)
    shift_s = offset_s + (_clock_difference_s(night, scoring) if start == "by_clock" else 0.0)
    tables = [night.annotations, *(t.assign(onset_s=t.onset_s + shift_s) for t in (scoring.stages, scoring.events))]
    # Without empty ones, which may have lost the type of their texts and would change that of all.
    annotations = pd.concat([table for table in tables if len(table)] or tables[:1])
    night = replace(night, annotations=annotations.sort_values("onset_s", ignore_index=True, kind="stable"))
    if scoring.stages.empty:
        return night
    stages = scoring.stages.assign(onset_s=scoring.stages.onset_s + shift_s)
    stages["duration_s"] = _lasting_s(stages, night.duration_s)
    if scoring.epoch_s is not None:
        _refuse_epoch_numbers(stages)
    if unknown == "unscored":
        codes = _with_unknown(stages, codes, is_list=scoring.epoch_s is not None)
    code = codes_of(stages, codes)
    _say_meanings(stages.description[known_codes(stages, codes).isna()])
    night = _fit(night, stages, code, scoring.epoch_s, length)
    hypnogram = hypnogram_from_stages(stages, night.duration_s, codes)
    hypnogram[epochs_in(night.gaps_s, len(hypnogram))] = UNSCORED
    return replace(night, hypnogram=hypnogram)


def _own(night: Recording, codes: Mapping[str, int], length: LengthRule) -> tuple[Recording, Scoring]:
    """The night without its annotations, which come back with the scoring, and the scoring that they are."""
    if length == "lights":
        raise BadRecording("label_time", "the rule `lights` is for labels of another file")
    scoring = replace(scoring_of_annotations(night.annotations, codes), epoch_s=night.labels_epoch_s)
    return replace(night, annotations=annotation_table([])), scoring


def _with_unknown(stages: pd.DataFrame, codes: Mapping[str, int], *, is_list: bool) -> dict[str, int]:
    """The codes, and 9 for every label that nobody knows. BadRecording where that would hide a mistake."""
    code = known_or_standard(stages, codes)
    unknown = stages[code.isna()]
    if unknown.empty:
        return dict(codes)
    is_scored = code.notna() & (code != UNSCORED)
    if unknown.duration_s.sum() > MOST_UNKNOWN * stages.duration_s[is_scored].sum():
        why = f"they are more than {MOST_UNKNOWN:.0%} of what is scored"
    elif (ambiguous := unknown.description[unknown.description.map(is_ambiguous)]).any():
        why = f"{quoted(ambiguous)} may be more than one stage"
    elif plain_labels(unknown).str.fullmatch(LIKE_A_STAGE).any():
        why = "they look like stages"
    elif is_list and (code.isna().iloc[0] or plain_labels(unknown).str.fullmatch(LIKE_A_COMMENT).any()):
        why = "a line that is no label would shift all that follow"
    else:
        labels = quoted(unknown.description)
        note(f"{len(unknown)} labels count as unscored: {labels}")
        return {**codes, **dict.fromkeys(unknown.description, UNSCORED)}
    raise BadRecording(
        "label_code",
        f"{len(unknown)} of {len(stages)} labels are unknown: {quoted(unknown.description)}; {why}. Name all stages in "
        "`codes`, and take out lines that are no label",
    )


def _say_meanings(labels: pd.Series) -> None:
    """A warning of the labels outside the codes that mean stages in some languages or programs only."""
    taken = {label: standard_stage(label) for label in labels.unique() if key(label) in TO_SAY}
    if taken:
        texts = [f"{label!r} as {STAGES[stage]}" for label, stage in taken.items() if stage is not None]
        note(f"taken by name: {', '.join(texts)}; if not so, say it in `codes`")


def _refuse_epoch_numbers(stages: pd.DataFrame) -> None:
    """BadRecording where a list counts up by one from its first line to its last."""
    numbers = pd.to_numeric(stages.description, errors="coerce")
    if len(numbers) >= 6 and (numbers.diff()[1:] == 1).all():
        raise BadRecording("label_code", f"the {len(numbers)} labels count up by one: epoch numbers, but no stages")


def seconds_between(earlier: datetime, later: datetime, duration_s: float = 0.0) -> float:
    """By dates and times; where a date is that of anonymous files, by the times of day alone, the shorter way round.

    Unless these dates, too, place `later` within the `duration_s` that begins with `earlier`. BadRecording where one
    clock is the zero of files that were given none.
    """
    seconds = (later - earlier).total_seconds()
    if not (is_anonymous(earlier) or is_anonymous(later)) or 0 <= seconds < duration_s:
        return seconds
    if (earlier == NO_CLOCK) != (later == NO_CLOCK):
        raise BadRecording("label_time", f"of the clocks of labels and signals, one stands at zero; {WITH_SIGNAL}")
    # Into the half day before and the half day after.
    return (seconds + DAY_S / 2) % DAY_S - DAY_S / 2


def is_anonymous(clock: datetime) -> bool:
    """Whether its date is one of files that do not tell their own."""
    return 0 <= (clock.date() - ANONYMOUS).days * DAY_S <= LONGEST_S


def _clock_difference_s(night: Recording, scoring: Scoring) -> float:
    """Where second 0 of the labels lies in the recording, in s."""
    ours, theirs = night.start_time, scoring.start_time
    if theirs is None and not scoring.clock_unread:
        return 0.0
    if ours is None or theirs is None:
        where = "label file" if theirs is None else "recording"
        raise BadRecording("label_time", f"the {where} holds no clock to place the labels by; {WITH_SIGNAL}")
    if not theirs.microsecond:  # a clock of whole seconds does not tell the fraction with which the signals began
        ours = ours.replace(microsecond=0)
    return seconds_between(ours, theirs, night.duration_s)


def _between_lights(night: Recording, scoring: Scoring) -> Recording:
    if scoring.epoch_s is None:
        raise BadRecording(
            "label_time", "labels with times of their own need no lights: say `length: equal` or trim_end"
        )
    off_s, on_s = night.lights_s
    if off_s is None or on_s is None:
        raise BadRecording("label_time", "no annotation says when the lights went off and on")
    return night.cut(off_s, on_s)


def _lasting_s(stages: pd.DataFrame, duration_s: float) -> pd.Series:
    """How long each stage lasts: as written, else until the next one, the last for one epoch within the recording."""
    until_next_s = -stages.onset_s.diff(-1)
    until_end_s = (duration_s - stages.onset_s).clip(0, EPOCH_S)
    return stages.duration_s.where(stages.duration_s > 0, until_next_s.fillna(until_end_s))


def _other_epoch_s(n_labels: int, duration_s: float) -> int | None:
    """The length of epochs that makes a long list as long as the signals; None where none does."""
    fitting = (s for s in USUAL_EPOCHS_S if n_labels >= MANY_LABELS and abs(n_labels * s - duration_s) < s)
    return next(fitting, None)


def _fit(
    night: Recording, stages: pd.DataFrame, code: pd.Series, epoch_s: float | None, length: LengthRule
) -> Recording:
    """The night, cut to the labels where `trim_end` says so. BadRecording where the two do not fit."""
    counted = stages if epoch_s else stages[code != UNSCORED]  # timed labels may leave the rest of a day unscored
    if counted.empty:
        return night
    start_s, end_s = counted.onset_s.min(), (counted.onset_s + counted.duration_s).max()
    lengths = f"the labels cover {start_s:g} s to {end_s:g} s ({end_s - start_s:g} s)"
    lengths = f"{lengths}, the signals last {night.duration_s:g} s"
    if start_s <= -TOLERANCE_S:
        raise BadRecording("label_time", f"stages are scored before the first sample: {lengths}; is offset_s right?")
    if start_s >= night.duration_s:
        raise BadRecording("label_time", f"no scored stage lies inside the recording: {lengths}")
    longest_rest_s = epoch_s or EPOCH_S  # the last label may stand for a last partial epoch
    too_long, too_short = end_s - night.duration_s >= longest_rest_s, epoch_s and night.duration_s - end_s >= epoch_s
    if (too_long or too_short) and epoch_s and (other_s := _other_epoch_s(len(stages), night.duration_s)):
        raise BadRecording("label_length", f"{lengths}; with epoch_s: {other_s} they would be as long as these")
    if length == "trim_end":
        if too_long or too_short:
            note(f"{lengths}; both end where the shorter one ends (trim_end)")
        return night.cut(0, end_s) if too_short else night
    if too_long or too_short:
        raise BadRecording("label_length", f"{lengths}; state the rule (length: trim_end or lights, or offset_s)")
    return night

"""What stages are called in the field, and from timed stages to one stage for every epoch of 30 s."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import numpy as np
import pandas as pd

from anysleep.recordings.reasons import BadRecording, note
from anysleep.recordings.recording import whole_epochs
from anysleep.stages import EPOCH_S, N1, N2, N3, REM, UNSCORED, WAKE

STANDARD_CODES = {
    "Sleep stage W": WAKE,
    "Sleep stage N1": N1,
    "Sleep stage N2": N2,
    "Sleep stage N3": N3,
    "Sleep stage R": REM,
    "Sleep stage 1": N1,
    "Sleep stage 2": N2,
    "Sleep stage 3": N3,
    "Sleep stage 4": N3,  # stages 3 and 4 of Rechtschaffen and Kales are N3 of the AASM
    "Sleep stage ?": UNSCORED,
    "Movement time": UNSCORED,
}
"""The standard texts of EDF+ and of Sleep-EDF."""

# Names in small letters, without accents and without the blanks, dots, hyphens and underscores between, as `key` gives
# them. Digits alone are none: in one list 4 is REM, in another it is N3.
PREFIX = re.compile(r"(sleep|schlaf|slaap|nrem)?(stage|stade|stadium|stadio|estadio|estagio)")
"""English; French; German and Dutch; Italian; Spanish; Portuguese."""
SUFFIX = re.compile(r"(sleep)?(\|\d)?$")
"""What may follow the stage, as in `Stage 1 sleep|1` of the National Sleep Research Resource."""

_WORDS = {
    WAKE: "w wake awake wakefulness eveil veille wach wachzustand vigilia despierto veglia wakker acordado",
    N1: "n1 nrem1 nonrem1 s1",
    N2: "n2 nrem2 nonrem2 s2",
    # R&K's stages 3 and 4, slow wave sleep and deep sleep
    N3: "n3 nrem3 nrem4 nonrem3 nonrem4 s3 s4 sws slowwave deep tief tiefschlaf profond sommeillentprofond slp "
    "suenoprofundo sonnoprofondo diepeslaap sonoprofundo",
    # paradoxical sleep, and the rapid eye movements of Spanish
    REM: "r rem ps paradoxical sp sommeilparadoxal remschlaf suenorem mor sonnorem remslaap sonorem",
    UNSCORED: "? unscored notscored uns unknown nostage mt mvt movementtime movement bewegung art artifact artefact "
    "artefakt",
}
_AFTER_SLEEP = {WAKE: "s0 w wake", N1: "s1 n1", N2: "s2 n2", N3: "s3 s4 n3", REM: "rem r", UNSCORED: "mt unscored"}
"""What follows the word sleep in RemLogic (`SLEEP-S0`) and Noxturnal (`sleep-n1`)."""
NAMES = {word: stage for stage, words in _WORDS.items() for word in words.split()}
NAMES |= {f"sleep{word}": stage for stage, words in _AFTER_SLEEP.items() for word in words.split()}
AFTER_PREFIX = NAMES | {"1": N1, "2": N2, "3": N3, "4": N3}
AMBIGUOUS = frozenset(
    "light leicht leichtschlaf leger sommeilleger sommeillentleger sll nrem nonrem sommeillent".split()
)
"""Names of several stages: light sleep is N1 or N2, and NREM sleep all but REM."""
ALSO_EVENTS = frozenset(
    "s1 s2 s3 s4 deep tief profond slp ps sp ? unknown mt mvt movement bewegung light leicht leger "
    "art artifact artefact artefakt".split()
)
"""Beside stages these may be stimuli, breaths, photic stimulation, spindles, movements or artefacts."""

TO_SAY = frozenset("deep tief profond slp ps sp".split())
"""Those of them that neither the AASM nor R&K uses in English: where one is taken for a stage, that is said."""

WHOLE_NUMBER = re.compile(r"^([+-]?\d+)\.0*(?:e\+?0+)?$")
"""How pandas (2.0) and numpy (2.000000000000000000e+00) write one that means a stage."""
LONGEST_QUOTED = 8

STAGE_CODES = (WAKE, N1, N2, N3, REM, UNSCORED)
ROUNDING_S = 1e-3
"""Times that differ by less are the same: the sums of a long list of labels are not exact."""


@lru_cache(maxsize=1024)
def key(label: str) -> str:
    """The label as the tables here spell it."""
    # NFKD parts an accent from its letter; then it is left out.
    letters = (c for c in unicodedata.normalize("NFKD", label.casefold()) if not unicodedata.combining(c))
    return SUFFIX.sub("", re.sub(r"[\s._-]+", "", "".join(letters)))


def standard_stage(label: str) -> int | None:
    """The stage 0-4, or 9, that a label means to everybody; None where there is no such stage.

    By the AASM, by Rechtschaffen and Kales (R&K), and in common exports.
    """
    word = key(label)
    prefix = PREFIX.match(word)
    return AFTER_PREFIX.get(word[prefix.end() :]) if prefix else NAMES.get(word)


def is_ambiguous(label: str) -> bool:
    """Whether a label is the name of several stages."""
    return PREFIX.sub("", key(label), count=1) in AMBIGUOUS


def hypnogram_from_stages(stages: pd.DataFrame, duration_s: float, codes: Mapping[str, int]) -> np.ndarray:
    """The stage that covers most of each whole epoch; 9 where none covers half of it, or two cover the same time.

    `stages` has columns onset_s, duration_s, description on the time base of a recording of `duration_s`; `codes` has
    label, in any case -> stage 0-4 or 9, and standard names (`standard_stage`) are known besides. Returns int8 (whole
    epochs,); epochs with more than one stage are said in a warning. BadRecording where two stages are at the same time.
    """
    stages = stages.sort_values("onset_s")
    code = codes_of(stages, codes).to_numpy()
    onsets_s, ends_s = stages.onset_s.to_numpy(), (stages.onset_s + stages.duration_s).to_numpy()
    borders_s = np.arange(whole_epochs(duration_s) + 1) * float(EPOCH_S)
    covered_s = np.column_stack(
        [np.diff(_covered_until(borders_s, onsets_s[code == c], ends_s[code == c])) for c in STAGE_CODES]
    )  # (E, codes)
    latest_before_s = np.maximum.accumulate(np.append(-np.inf, ends_s))[:-1]
    free_s = np.maximum(onsets_s, latest_before_s)  # from when on a stage has the time for itself
    once_s = np.diff(_covered_until(borders_s, free_s, np.maximum(ends_s, free_s)))
    # Stages overlap where their times add up to more than the time that any of them covers, rounding (0.1 s) apart.
    crowded = np.flatnonzero(covered_s.sum(axis=1) > once_s + 0.1)
    if crowded.size:
        raise BadRecording(
            "label_time",
            f"{crowded.size} epochs carry two stages at the same time, the first at {crowded[0] * EPOCH_S} s",
        )
    hypnogram = np.array(STAGE_CODES, dtype=np.int8)[covered_s.argmax(axis=1)]
    second, first = np.sort(covered_s, axis=1)[:, -2:].T
    hypnogram[(first < EPOCH_S / 2 - ROUNDING_S) | (first - second < ROUNDING_S)] = UNSCORED
    mixed = int(((covered_s > 0.1).sum(axis=1) > 1).sum())
    if mixed:
        note(
            f"{mixed} of {len(hypnogram)} epochs of {EPOCH_S} s hold more than one stage, because the labels "
            "are shorter or do not lie on the recording's grid; each takes the stage that covers most of it, or none "
            "at a tie"
        )
    return hypnogram


def codes_of(stages: pd.DataFrame, codes: Mapping[str, int]) -> pd.Series:
    """The stage of every row. BadRecording names the labels that are neither in `codes` nor standard names."""
    code = known_or_standard(stages, codes)
    unknown = stages[code.isna()]
    if len(unknown):
        raise BadRecording(
            "label_code",
            f"unknown stage labels: {quoted(unknown.description)} ({len(unknown)} in all, the first at "
            f"{unknown.onset_s.iloc[0]:g} s); known are {', '.join(codes)} and the standard names",
        )
    return code.astype(int)


def known_codes(stages: pd.DataFrame, codes: Mapping[str, int]) -> pd.Series:
    """The stage of every row by `codes`, in any case; NaN where the label is not there."""
    stage_of = {_without_point(label): stage for label, stage in codes.items()}
    return _each_once(stages, lambda label: stage_of.get(_without_point(label)))


def standard_codes(stages: pd.DataFrame) -> pd.Series:
    """The stage of every row by standard names; NaN where the label is none."""
    return _each_once(stages, standard_stage)


def _each_once(stages: pd.DataFrame, stage_of: Callable[[str], int | None]) -> pd.Series:
    """What every label means, asked once for the many rows of each."""
    meant = {label: stage_of(label) for label in stages.description.unique()}
    return stages.description.map(meant).astype(float)


def _without_point(label: str) -> str:
    return WHOLE_NUMBER.sub(r"\1", label.strip().lower())


def known_or_standard(stages: pd.DataFrame, codes: Mapping[str, int]) -> pd.Series:
    """The stage of every row by `codes`, else by standard names; NaN where the label is in neither."""
    return known_codes(stages, codes).fillna(standard_codes(stages))


def quoted(labels: Iterable[str]) -> str:
    """The five most frequent labels, with counts, for a message. Long ones may hold a name or a date: not repeated."""
    short = Counter(label if _may_be_quoted(label) else None for label in labels)
    times = {label: f" ({n} times)" if n > 1 else "" for label, n in short.items()}
    texts = [f"{label!r}{times[label]}" for label, _ in short.most_common() if label is not None]
    return ", ".join([*texts[:5], *([f"a longer text{times[None]}"] if None in short else [])])


def _may_be_quoted(label: str) -> bool:
    return len(label.removeprefix("Sleep stage ")) <= LONGEST_QUOTED and sum(map(str.isdigit, label)) < 6


def plain_labels(stages: pd.DataFrame) -> pd.Series:
    """The labels in small letters, without blanks around."""
    return stages.description.str.strip().str.lower()


def _covered_until(times_s: np.ndarray, onsets_s: np.ndarray, ends_s: np.ndarray) -> np.ndarray:
    """How many seconds of all intervals lie before each time; intervals that overlap count twice."""
    return _ramps(times_s, onsets_s) - _ramps(times_s, ends_s)


def _ramps(times_s: np.ndarray, starts_s: np.ndarray) -> np.ndarray:
    """The sum over all starts of how long each lies back."""
    # The sum of (t - start) over all starts before t is n * t less their sum, which needs no loop.
    starts_s = np.sort(starts_s)
    n_past = np.searchsorted(starts_s, times_s)
    return n_past * times_s - np.concatenate([[0.0], np.cumsum(starts_s)])[n_past]

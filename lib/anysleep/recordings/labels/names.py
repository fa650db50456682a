"""What stages are called in the field: by the AASM, by Rechtschaffen and Kales (R&K), and in common exports.

All names are in small letters, without accents, and without the blanks, dots, hyphens and underscores between, as `key`
gives them. Digits alone are no names: in one list 4 is REM, in another it is N3.
"""

import re
import unicodedata
from functools import lru_cache

from anysleep.stages import N1, N2, N3, REM, UNSCORED, WAKE

PREFIX = re.compile(r"(sleep|schlaf|slaap|nrem)?(stage|stade|stadium|stadio|estadio|estagio)")
"""English; French; German and Dutch; Italian; Spanish; Portuguese."""
SUFFIX = re.compile(r"(sleep)?(\|\d)?$")
"""As in `Stage 1 sleep|1` of the National Sleep Research Resource."""

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
"""Of RemLogic (`SLEEP-S0`) and Noxturnal (`sleep-n1`)."""
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
"""Those of them that are no names of the AASM or of R&K in English: who takes one for a stage says so."""


@lru_cache(maxsize=1024)
def key(label: str) -> str:
    """The label as the tables here spell it."""
    letters = (c for c in unicodedata.normalize("NFKD", label.casefold()) if not unicodedata.combining(c))
    return SUFFIX.sub("", re.sub(r"[\s._-]+", "", "".join(letters)))


def standard_stage(label: str) -> int | None:
    """The stage 0-4, or 9, that a label means to everybody; None where there is no such stage."""
    word = key(label)
    prefix = PREFIX.match(word)
    return AFTER_PREFIX.get(word[prefix.end() :]) if prefix else NAMES.get(word)


def is_ambiguous(label: str) -> bool:
    """Whether a label is the name of several stages."""
    return PREFIX.sub("", key(label), count=1) in AMBIGUOUS

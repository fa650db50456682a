"""Channel names: what a label says about the kind of signal, the electrode and its reference."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

STANDARD_TYPES = ("EEG", "EOG")
"""What the networks read."""

ChannelType = Literal["EEG", "EOG", "EMG", "ECG", "other", "unknown"]

_PLACES = {
    "Fp": "1 z 2",
    "AF": "9 7 5 3 1 z 2 4 6 8 10",
    "F": "9 7 5 3 1 z 2 4 6 8 10",
    "FT": "9 7 8 10",
    "FC": "5 3 1 z 2 4 6",
    "T": "9 7 3 5 6 4 8 10",  # T3 T4 T5 T6: names of the 10-20 system before 1991, today T7 T8 P7 P8
    "C": "5 3 1 z 2 4 6",
    "TP": "9 7 8 10",
    "CP": "5 3 1 z 2 4 6",
    "P": "9 7 5 3 1 z 2 4 6 8 10",
    "PO": "9 7 5 3 1 z 2 4 6 8 10",
    "O": "9 1 z 2 10",
    "I": "1 z 2",
}
_SCALP = {f"{area}{place}".lower(): f"{area}{place}" for area, places in _PLACES.items() for place in places.split()}
_EYES = {name.lower(): name for name in ("E1", "E2", "LOC", "ROC")}
_REFERENCES = {name.lower(): name for name in "A1 A2 M1 M2 PG1 PG2 CLE LER LE Avg Ref".split()}
"""Earlobes, mastoids, linked ears (CLE computed, LER with resistors) and the like; alone they name no channel."""
_CODES = _SCALP | _EYES | _REFERENCES
_ELECTRODES = _SCALP | _EYES
_AGAINST = frozenset("m a x av ave avr average car lm linked mastoid mastoids ear ears mean common com nose".split())
"""References in words or letters, such as 'C4-M' or 'C3-x'; they count after an electrode only."""
_BESIDE_EEG = frozenset("l r left right sec second secondary pri prim primary ch channel".split())
"""What may stand beside the word EEG or the name of a region."""

_TYPE_OF_WORD: dict[ChannelType, re.Pattern] = {
    "EOG": re.compile(r"eog|ocul|canthus|^[hv]eo[lru]?$|^(l|r|left|right)?eyes?$|^aug(e|en)$|^auhor"),
    "EMG": re.compile(
        r"emg|chin|legs?|arms?$|^arm|hand|foot|feet|tib|^[lr]at$|plm|bein|gamba|pierna|jambe|kinn|^mento|masse|massa|^mass$|subm|mentalis|"
        r"temporalis|frontalis|^ext|extens|flexor|scalen|^scm$|should|delto|biceps|gastroc|intercost|diaphr|musc"
    ),
    "ECG": re.compile(r"ecg|ekg"),
    "other": re.compile(
        r"flow|fluss|flujo|^air|air$|nas[ao]|^p?nas$|atmung|schnarch|ronfl|ronqu|russa|^oral|^mouth|breath|resp|effor|thor|torac|chest|^rib|rips?$|abd|addom|belt|sum$|"
        r"therm|termis|cannul|cpap|^[bei]pap$|ptaf|^nc?pt$|mask|leak|tidal|volum|^vol$|pres|pleth|^plet|plesm|ppg|puls|"
        r"rate$|pulser|^d?hr$|^rr$|^pr$|heart|spo$|sao$|^sa$|sat$|^sato?$|satur|^ox|oxi|oxy|masimo|nonin|sentec|tosca|"
        r"(?<![lr])co$|^etc$|capno|snor|sound|^mic$|microph|audio|phono|^b?pos$|posit|posiz|^body|^temp$|temper|rectal|light|lux|"
        r"mark|event|status|^stat$|trig|^off$|imped|^imp$|quality|batter|^acc|accel|gyro|activ|actig|movem|spare|unused|"
        r"apn|hypop|arous|stage|hypno|gaze|pupil|track|artif|calib|^gnd$|ground|vibrat|prong|^thx$|^chst$|beat|^bpm$|esoph|^pes$|gastr|video|clock|gsr|^eda$|dummy|empty"
    ),
    "EEG": re.compile(r"^eeg(sec|pri)?$|^[lr]?(occ(ip|ipital)?|cent(ral)?|front(al)?|pariet(al)?)$|^vertex$"),
}
"""Parts of words, in small letters and without digits, that say what was recorded: 'RLEGEMG', 'ChinL', 'Snoring'."""

_EYE_SIDES = {
    **dict.fromkeys("l left lefteye leog eogl".split(), "left"),
    **dict.fromkeys("r right righteye reog eogr".split(), "right"),
    **dict.fromkeys("h horiz horizontal heog eogh".split(), "horizontal"),
    **dict.fromkeys("v vert vertic vertical veog eogv".split(), "vertical"),
}
LEFT_EYE = frozenset(["E1", "LOC", "left", "left horizontal"])
"""What `parse_channel` calls the site of a left EOG."""

_ANY = "|".join(sorted(_CODES, key=len, reverse=True))
_JOINED = re.compile(_ANY)
_JOINED_WHOLE = re.compile(f"({'|'.join(sorted(_ELECTRODES, key=len, reverse=True))})({_ANY})+")
"""Names of electrodes without anything between them: 'fza2'."""
_NUMBERED_CODES = [found.groups() for code in _CODES if (found := re.fullmatch(r"([a-z])(\d+)", code))]
_NUMBERED = re.compile(r"^(?:(?:eeg|pol)[ _])?([abcefopt])(\d+)'?(?:[-:/_ ]\w+)?$")
"""A letter of the 10-20 system and a number, such as 'EEG C17' or 'POL A12'; then perhaps a reference."""
_LAST_PLACE = {area: max(int(n) for a, n in _NUMBERED_CODES if a == area) for area, _ in _NUMBERED_CODES}
"""Area in small letters -> the highest number that an electrode has there."""


@dataclass(frozen=True)
class ChannelName:
    """What a label says, and nothing that it does not say."""

    type: ChannelType
    """'other' is certainly no EEG or EOG; 'unknown' may be anything."""
    site: str | None = None
    """Electrode in its usual spelling ('Fpz', 'E1'), or for EOG what words say ('left horizontal')."""
    reference: str | None = None
    """'M2', 'Cz', 'CLE', or several with a plus ('A1+A2')."""


def parse_channel(label: str) -> ChannelName:
    """Type, site and reference as the label states them: `parse_channel("EEG C3-M2")`, `"Lefteye"`, `"C3A2"`.

    A word such as chin, eye or flow says the type whatever stands beside it; the word EEG in front, which many
    recorders put before everything, only where nothing else does ('EEG Chest', 'EEG E1'), and not before what is
    unknown ('EEG X7', 'EEG 28'). Names of electrodes alone say it only where every part of the label is one ('C3-M2',
    but not 'C3 foo'); those of references (A1, M1) do not. Where nothing says it, the type is 'unknown'. The first
    electrode is the site: 'E1-Fpz' is EOG.
    """
    tokens = _tokens(label)
    types = {kind for token in tokens if token not in _CODES for kind in _types_of(token)}
    others = types - set(STANDARD_TYPES)
    if others:  # nothing is staged from what may be a muscle, whatever electrode stands beside it
        return ChannelName(others.pop() if len(others) == 1 else "other")
    electrode = next((token for token in tokens if token in _ELECTRODES), None)
    if "EOG" in types:
        contradictory = "EEG" in types and _types_of(tokens[0]) != {"EEG"}
        return ChannelName("unknown") if contradictory else _described("EOG", tokens)
    named = [token for token in tokens if token in _CODES or "EEG" not in _types_of(token)]
    if ("EEG" in types and all(map(_is_known, named))) or (electrode and _are_electrodes(named)):
        if electrode in _EYES:
            return _described("EOG", tokens)
        if electrode or not set(tokens) & set(_REFERENCES):  # 'EEG M1' is a reference
            return _described("EEG", tokens)
    return ChannelName("unknown")


def parse_channels(labels: Sequence[str], stated: Sequence[str] = ()) -> list[ChannelName]:
    """`parse_channel` of every label of a recording: its file's own types, and the company of the others, count first.

    `stated` is what the file says each is, '' where it does not: the type is that. Where it says EEG of every channel,
    as converters do that know no better, a name that says something counts more. Electrodes of a net are numbered on,
    beyond the 10-20 system: beside E3 or C17, E1 is no eye and C3 not central.
    """
    names = [parse_channel(label) for label in labels]
    if any(re.fullmatch(r"eeg ?\d{2,}", label.strip().lower()) for label in labels):
        # Beside 'EEG 28', 'EEG 1' is a number as well, and its EEG says nothing.
        names = [ChannelName("unknown") if name == ChannelName("EEG") else name for name in names]
    numbered = [_NUMBERED.match(label.strip().lower()) for label in labels]
    nets = {found[1] for found in numbered if found and int(found[2]) > _LAST_PLACE.get(found[1], 0)}
    names = [ChannelName("unknown") if n and n[1] in nets else name for name, n in zip(names, numbered, strict=True)]
    if not stated:
        return names
    by_default = set(stated) == {"EEG"}
    return [_stated(name, kind, by_default) for name, kind in zip(names, stated, strict=True)]


def channel_type(word: str) -> ChannelType:
    """What BIDS, MNE and EEGLAB call a channel, as a type: 'VEOG' is EOG, 'resp' other.

    Miscellaneous and empty words say nothing, but no recorder calls its EEG so: 'unknown'.
    """
    kind = word.strip().upper()
    if kind in ("", "N/A", "MISC", "UNKNOWN", "OTHER", "AUX"):
        return "unknown"
    return next((known for known in ("EEG", "EOG", "EMG", "ECG") if kind in (known, f"H{known}", f"V{known}")), "other")


def site_of(label: str) -> str | None:
    """The electrode whose signal a channel is; None where it lies between two: F4-O2 is neither F4 nor O2."""
    name = parse_channel(label)
    if name.type == "EEG" and name.reference and parse_channel(name.reference).type in STANDARD_TYPES:
        return None
    return name.site


def is_left_eye(label: str) -> bool:
    """Whether a channel is the left EOG: E1-M2, LOC-A2, EOG(L), EOG_left_horizontal; of two that are numbered EOG1."""
    name = parse_channel(label)
    return name.type == "EOG" and (name.site in LEFT_EYE or label.upper() == "EOG1")


def stored_name(label: str) -> str:
    """The name in the archive: an EDF+ label without the signal type it starts with ('EEG C3-M2' -> 'C3-M2').

    A slash, which cannot be in a name there, becomes a hyphen ('C3/M2' -> 'C3-M2').
    """
    name = label.replace("/", "-")
    first, _, rest = name.partition(" ")
    return rest.strip() if first in STANDARD_TYPES and rest.strip() else name


def check_eeg_before_eog(channels: Sequence[str]) -> None:
    """U-Sleep takes one EEG and one EOG, in this order. ValueError where two labels say otherwise."""
    if len(channels) != 2 or channels[0].startswith("EOG") or channels[1].startswith("EEG"):
        raise ValueError(f"U-Sleep takes one EEG channel, then one EOG channel; given are {', '.join(channels)}")


def _tokens(label: str) -> list[str]:
    """The parts of a label in small letters without accents: 'FZA2' is fz and a2, 'H.R.' is hr, 'E-1' is e1.

    Words of any script count, lest a muscle in Chinese be EEG for the C3 beside it.
    """
    text = "".join(c for c in unicodedata.normalize("NFKD", label.lower()) if not unicodedata.combining(c))
    text = re.sub(r"\b([a-z])\.(?=[a-z]\b)", r"\1", re.sub(r"^psg[_ ]", "", text))
    text = re.sub(r"\be[-_ ]([12])\b(?!\d)", r"e\1", text)
    # Letters with their number, or a number alone; a single digit tells copies apart and is left out.
    tokens = re.findall(r"[^\W\d]+\d*|\d{2,}", text.replace("_", " "))
    return [
        part for token in tokens for part in (_JOINED.findall(token) if _JOINED_WHOLE.fullmatch(token) else [token])
    ]


def _types_of(token: str) -> set[ChannelType]:
    word = token.rstrip("0123456789")
    return {kind for kind, pattern in _TYPE_OF_WORD.items() if pattern.search(word)}


def _is_known(token: str) -> bool:
    """Whether a part may stand beside the word EEG."""
    word = token.rstrip("0123456789")
    return token in _CODES or token[:-1] in _REFERENCES or word in _BESIDE_EEG or bool(_types_of(token))


def _is_reference(token: str) -> bool:
    """'a2', 'avg', 'm', and 'a22', as a second channel against A2 is called."""
    return token in _REFERENCES or token in _AGAINST or token[:-1] in _REFERENCES


def _are_electrodes(tokens: Sequence[str]) -> bool:
    """References in letters count after an electrode only; a number after one tells copies apart ('ROC-01').

    Of an eye its side may stand beside it ('E1 (L)-M2').
    """
    first = next(i for i, token in enumerate(tokens) if token in _ELECTRODES)
    sides = _EYE_SIDES if tokens[first] in _EYES else ()
    return all(token in _CODES for token in tokens[:first]) and all(
        token in _CODES or token in sides or _is_reference(token) or token.isdigit() for token in tokens[first:]
    )


def _stated(name: ChannelName, kind: str, by_default: bool) -> ChannelName:
    """The name, where the file says what kind it is; 'unknown' there means that it is neither EEG nor EOG for sure."""
    if not kind or kind == name.type or (by_default and name.type != "unknown"):
        return name
    if kind == "unknown" and name.type not in STANDARD_TYPES:
        return name
    return ChannelName(kind)


def _described(channel_type: ChannelType, tokens: Sequence[str]) -> ChannelName:
    """Site and reference, now that the type is known."""
    if channel_type not in STANDARD_TYPES:
        return ChannelName(channel_type)
    electrodes = _SCALP if channel_type == "EEG" else _EYES
    at = next((i for i, token in enumerate(tokens) if token in electrodes), None)
    if at is not None:
        return ChannelName(channel_type, electrodes[tokens[at]], _reference(tokens[at + 1 :]))
    if channel_type == "EEG":
        return ChannelName("EEG")
    words = [token.rstrip("0123456789") for token in tokens]
    sides = [_EYE_SIDES[word] for word in words if word in _EYE_SIDES]
    return ChannelName("EOG", " ".join(sides) or None, _reference(tokens))


def _reference(tokens: Sequence[str]) -> str | None:
    return "+".join(_CODES[token] for token in tokens if token in _CODES) or None

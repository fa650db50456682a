"""Channel names: what a label says about the kind of signal, the electrode and its reference."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

STANDARD_TYPES = ("EEG", "EOG")
"""What the networks read."""

ChannelType = Literal["EEG", "EOG", "EMG", "ECG", "other", "unknown"]

_PLACES = {
    "Fp": "1 z 2",
    "AF": "7 3 z 4 8",
    "F": "9 7 5 3 1 z 2 4 6 8 10",
    "FT": "9 7 8 10",
    "FC": "5 3 1 z 2 4 6",
    "T": "9 7 3 5 6 4 8 10",  # T3 T4 T5 T6: names of the 10-20 system before 1991, today T7 T8 P7 P8
    "C": "5 3 1 z 2 4 6",
    "TP": "9 7 8 10",
    "CP": "5 3 1 z 2 4 6",
    "P": "9 7 5 3 1 z 2 4 6 8 10",
    "PO": "7 3 z 4 8",
    "O": "1 z 2",
    "I": "z",
}
_SCALP = {f"{area}{place}".lower(): f"{area}{place}" for area, places in _PLACES.items() for place in places.split()}
_EYES = {name.lower(): name for name in ("E1", "E2", "LOC", "ROC")}
_REFERENCES = {name.lower(): name for name in "A1 A2 M1 M2 PG1 PG2 CLE LER LE Avg Ref".split()}
"""Earlobes, mastoids, linked ears (CLE computed, LER with resistors) and the like; alone they name no channel."""
_CODES = _SCALP | _EYES | _REFERENCES

_TYPE_OF_WORD: dict[str, ChannelType] = {
    "eeg": "EEG",
    **dict.fromkeys("eog leog reog eogl eogr heog veog eogh eogv eye lefteye righteye".split(), "EOG"),
    **dict.fromkeys("emg chin submental mentalis masseter leg legs tib tibialis lat rat plm plml plmr".split(), "EMG"),
    **dict.fromkeys("ecg ekg".split(), "ECG"),
    **dict.fromkeys(
        "flow airflow air nasal resp respiration effort thor thorax thoracic tho chest ribcage rip abd abdo abdomen "
        "abdominal belt sum therm thermistor cannula cpap ptaf mask leak pres press pressure pleth ppg pulse pr hr "
        "hrate heart rr spo sao ox oxstat oxstatus oximetry sat co etco tcco snore sound mic microphone audio pos "
        "position bodypos body temp temperature light lux marker event status trigger trig off impedance imp quality "
        "battery acc accelerometer activity movement actigraphy".split(),
        "other",
    ),
}
"""Words that say what was recorded; digits after them ('Chin1', 'SpO2') do not matter."""

_EYE_SIDES = {
    **dict.fromkeys("l left lefteye leog eogl".split(), "left"),
    **dict.fromkeys("r right righteye reog eogr".split(), "right"),
    **dict.fromkeys("h horiz horizontal heog eogh".split(), "horizontal"),
    **dict.fromkeys("v vert vertic vertical veog eogv".split(), "vertical"),
}


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

    A word such as EEG, eye or flow says the type whatever stands beside it. Names of electrodes alone say it only where
    every part of the label is one ('C3-M2', but not 'C3 foo'); those of references (A1, M1) do not. Where the parts
    contradict each other ('EEG LOC', 'EEG1_Off'), or none says anything, the type is 'unknown'. The first electrode is
    the site: 'E1-Fpz' is EOG.
    """
    tokens = re.findall(r"[a-z]+\d*", label.lower().replace(".", ""))
    words = {token.rstrip("0123456789") for token in tokens}
    types = {_TYPE_OF_WORD[word] for word in words & set(_TYPE_OF_WORD)}
    if not types and not all(token in _CODES for token in tokens):
        return ChannelName("unknown")
    electrode = next((token for token in tokens if token in _SCALP or token in _EYES), None)
    if electrode in _EYES:
        types.add("EOG")
    elif electrode and "EOG" not in types:  # beside the word EOG it is what the eye is measured against
        types.add("EEG")
    if len(types) == 1:
        return _described(types.pop(), tokens)
    return ChannelName("unknown" if not types or types & set(STANDARD_TYPES) else "other")


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
    sides = [_EYE_SIDES[token] for token in tokens if token in _EYE_SIDES]
    return ChannelName("EOG", " ".join(sides) or None, _reference(tokens))


def _reference(tokens: Sequence[str]) -> str | None:
    return "+".join(_CODES[token] for token in tokens if token in _CODES) or None

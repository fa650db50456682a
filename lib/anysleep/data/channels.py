"""Channel names."""

from collections.abc import Sequence

STANDARD_TYPES = ("EEG", "EOG")


def stored_name(label: str) -> str:
    """The name in the archive: an EDF+ label without the signal type it starts with ('EEG C3-M2' -> 'C3-M2')."""
    first, _, rest = label.partition(" ")
    return rest.strip() if first in STANDARD_TYPES and rest.strip() else label


def check_eeg_before_eog(channels: Sequence[str]) -> None:
    """U-Sleep takes one EEG and one EOG, in this order. ValueError where two labels say otherwise."""
    if len(channels) != 2 or channels[0].startswith("EOG") or channels[1].startswith("EEG"):
        raise ValueError(f"U-Sleep takes one EEG channel, then one EOG channel; given are {', '.join(channels)}")

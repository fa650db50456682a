"""Channel names."""

STANDARD_TYPES = ("EEG", "EOG")


def stored_name(label: str) -> str:
    """The name in the archive: an EDF+ label without the signal type it starts with ('EEG C3-M2' -> 'C3-M2')."""
    first, _, rest = label.partition(" ")
    return rest.strip() if first in STANDARD_TYPES and rest.strip() else label

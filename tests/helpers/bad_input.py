"""Reading whatever may be damaged."""

from anysleep.data import read_recording
from anysleep.recordings.readers import READERS
from helpers.archives import recipe

CHANNELS = {
    "eeg": {"C3-M2": ["EEG C3-M2", "C3-M2", "C3"]},
    "eog": {"E1-M2": ["EOG E1-M2", "EOG"]},
}


def laboratory(**changes):
    files = [f"p*{suffix}" for suffix in READERS]
    usual = {"files": files, "name": r"^(?P<person>p\d+)-", "channels": CHANNELS, "participants": None}
    return recipe(**(usual | changes))


def read_whole(path):
    """The recording, with every channel as long as it should be. Only ValueError and OSError, which name the file."""
    try:
        night = read_recording(path)
        for rate_hz, one in zip(night.rates_hz, night.signals, strict=True):
            assert one.ndim == 1 and abs(len(one) - rate_hz * night.duration_s) <= 1
    except (ValueError, OSError) as error:
        assert path.name in str(error)
        return error
    return night


class Evil:
    def __reduce__(self):
        return (print, ("code of a stranger ran",))

"""A recipe for small EDF files, and what an archive holds."""

from anysleep.datasets.archive import Archive
from anysleep.datasets.recipes import Recipe
from helpers.edf_files import signal, stage, write_edf


def recipe(**changes):
    """A laboratory's EDF files `p01-night1.edf` with one EEG, one EOG and a table of persons."""
    settings = {
        "dataset": "lab",
        "source": "made by the test",
        "files": ["*.edf"],
        "name": r"^(?P<person>p\d+)-night\d+$",
        "recording": "{stem}",
        "subject": "{person}",
        "channels": {"eeg": {"C3-M2": "EEG C3-M2"}, "eog": {"E1-M2": "EOG E1-M2"}},
        "labels": {"reader": "own"},
        "participants": {"file": "participants.tsv", "columns": {"key": "subject", "age": "age", "sex": "sex"}},
    }
    return Recipe(**(settings | changes))


def read_all(path):
    with Archive(path) as archive:
        archive.fingerprint(), archive.test_only()
        for row in archive.recordings().itertuples():
            key = row.dataset, row.recording
            for method in (archive.hypnogram, archive.arousals, archive.gaps, archive.quality, archive.prepared):
                method(*key)
            archive.iqr_uv(*key, row.channels)
            if row.channels:
                archive.signals(*key, row.channels, n_epochs=1)


LAB = recipe(participants=None)


def write_night(path, text="N2", seconds=95):
    channels = [signal("EEG C3-M2", 100, seconds=seconds), signal("EOG E1-M2", 64, seconds=seconds)]
    return write_edf(path, channels, [stage(0, 60, "W"), stage(60, 30, text)])

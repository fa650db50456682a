"""What is noted of a recording is what its reading said of it, and nothing that happened beside."""

import warnings

import pytest
from helpers.archives import recipe, write_night

from anysleep.datasets import night as preparation
from anysleep.datasets.preparation import prepare_archive
from anysleep.recordings import quality
from anysleep.recordings.reasons import RecordingWarning, noted

FOREIGN = [
    (ResourceWarning, "unclosed <socket.socket fd=7>"),
    (UserWarning, "Doe_Jane.edf: channel C3 occurs twice"),
    (RuntimeWarning, "invalid value encountered in divide"),
]


@pytest.mark.parametrize(("category", "text"), FOREIGN)
def test_a_warning_of_anything_else_is_no_note_and_is_shown(category, text):
    with pytest.warns(category) as shown, noted() as notes:
        warnings.warn(text, category, stacklevel=1)
        for _ in range(2):
            warnings.warn("3 arousals have no duration", RecordingWarning, stacklevel=1)
    assert notes == ["3 arousals have no duration"]
    assert [str(warning.message) for warning in shown] == [text]


@pytest.fixture
def disturbed(monkeypatch):
    """Reading a night, beside which everything of `FOREIGN` happens."""
    really = preparation.read_signals

    def read_and_warn(file):
        for category, text in FOREIGN:
            warnings.warn(text, category, stacklevel=1)
        warnings.warn("the recorder was moved", RecordingWarning, stacklevel=1)
        return really(file)

    monkeypatch.setattr(preparation, "read_signals", read_and_warn)
    monkeypatch.setattr(quality, "read_recording", lambda file, labels: read_and_warn(file))


@pytest.mark.filterwarnings("ignore")
def test_notes_of_a_night_in_the_table_and_the_archive_are_its_own(tmp_path, disturbed):
    (tmp_path / "in").mkdir()
    write_night(tmp_path / "in" / "p01-night1.edf")
    table, _ = prepare_archive([(recipe(participants=None), tmp_path / "in")], tmp_path / "a.h5", sampling_rate_hz=64)
    assert table.notes.tolist() == ["the recorder was moved"]
    archive = (tmp_path / "a.h5").read_bytes()
    assert not any(text.encode() in archive for _, text in FOREIGN)


@pytest.mark.filterwarnings("ignore")
def test_notes_of_the_doctor_are_those_of_the_recording(tmp_path, disturbed, capsys):
    path = write_night(tmp_path / "a.edf")
    quality.main([str(path)])
    assert [line for line in capsys.readouterr().out.splitlines() if "note:" in line] == [
        "note: the recorder was moved"
    ]


def test_whatever_reads_a_night_warns_in_the_category_that_is_noted(root):
    lib = root / "lib" / "anysleep"
    recordings = lib / "recordings"
    passing_on = recordings / "readers" / "guarded.py"  # repeats what another process warned of, in its category
    files = [path for room in ("readers", "labels") for path in (recordings / room).glob("*.py") if path != passing_on]
    for path in (*files, recordings / "recording.py", lib / "datasets" / "night.py"):
        assert "warnings.warn(" not in path.read_text(), f"{path.name}: say it by `reasons.note`"

"""A scoring in a file of its own lies where both clocks say, or is refused; never silently at the first sample."""

from datetime import datetime

import pytest
from helpers.archives import recipe
from helpers.edf_files import SPACE, signal, stage, write_discontinuous, write_edf
from helpers.label_files import write_edf as write_scoring
from helpers.toy_labels import CODES, recording

from anysleep.data import BadRecording, read_recording
from anysleep.datasets.preparation import prepare_archive
from anysleep.recordings.labels import STANDARD_CODES, Scoring, with_scoring
from anysleep.recordings.labels.edf import read_edf_scoring, read_mass
from anysleep.recordings.labels.scoring import seconds_between
from anysleep.recordings.recording import annotation_table

EVENING, ZEROS = b"01.02.2422.30.00", b"00.00.0000.00.00"
NO_DATES = [b"00.00.00", b"        ", b"xx.xx.xx", b"31.02.24", b"01.02.yy"]
NO_TIMES = [b"22.44.60", b"24.00.00", b"        ", b"xx.xx.xx", b"22.45.  ", b"-1.30.00"]


def with_clock(path, clock):
    """The file with other bytes in the header for date and time, and without the date of EDF+."""
    content = bytearray(path.read_bytes())
    content[88:168], content[168:184] = b" " * 80, clock
    path.write_bytes(content)
    return path


@pytest.fixture
def first_n2(tmp_path):
    """The epoch at which N2 begins, which is 4 epochs after the start of the scoring."""

    def read(psg_clock, scoring_clock, **options):
        psg = write_edf(tmp_path / "psg.edf", [signal("EEG Cz", 10, seconds=2400)])
        scoring = write_edf(tmp_path / "scoring.edf", [], [stage(0, 120, "W"), stage(120, 300, "N2")])
        with_clock(psg, psg_clock), with_clock(scoring, scoring_clock)
        return read_recording(psg, hypnogram_path=scoring, **options).hypnogram.tolist().index(2)

    return read


@pytest.mark.parametrize(
    ("psg", "scoring", "minutes"),
    [
        (EVENING, b"01.02.2422.45.00", 15),
        (b"01.02.2423.50.00", b"02.02.2400.05.00", 15),
        (b"01.01.8523.50.00", b"01.01.8500.05.00", 15),
        (b"01.01.8523.50.00", b"02.01.8500.05.00", 15),
        (EVENING, b"01.01.8522.45.00", 15),
    ],
)
def test_the_clocks_of_both_files_place_the_labels(first_n2, psg, scoring, minutes):
    assert first_n2(psg, scoring) == 2 * minutes + 4


@pytest.mark.filterwarnings("ignore:the header holds no date")
@pytest.mark.parametrize("day", NO_DATES)
def test_without_a_date_the_time_of_day_still_holds(first_n2, day):
    for psg, scoring in ((EVENING, day + b"22.45.00"), (day + b"23.50.00", day + b"00.05.00")):
        assert first_n2(psg, scoring) == 34
    with pytest.raises(BadRecording, match="before the first sample"):
        first_n2(EVENING, day + b"22.15.00")


@pytest.mark.filterwarnings("ignore:the header holds no")
@pytest.mark.parametrize("clock", [ZEROS, *(b"01.02.24" + time for time in NO_TIMES)])
def test_labels_without_a_clock_are_refused_unless_they_begin_with_the_signals(first_n2, clock):
    for psg, scoring, whose in ((EVENING, clock, "label file"), (clock, EVENING, "recording")):
        with pytest.raises(BadRecording, match=f"the {whose} holds no clock .* say `start: with_signal`") as error:
            first_n2(psg, scoring)
        assert error.value.code == "label_time"
        assert first_n2(psg, scoring, start="with_signal") == 4


def test_a_clock_that_was_never_set_places_nothing(first_n2):
    for psg, scoring in ((EVENING, b"01.01.8500.00.00"), (b"01.01.8500.00.00", EVENING)):
        with pytest.raises(BadRecording, match="one stands at zero"):
            first_n2(psg, scoring)
    assert first_n2(b"01.01.8500.00.00", b"01.01.8500.00.00") == 4


@pytest.mark.parametrize(
    ("earlier", "later", "hours"),
    [
        ("1985-01-01T23:00", "1985-01-01T01:00", 2),
        ("1985-01-01T01:00", "1985-01-01T23:00", -2),
        ("1985-01-01T10:00", "1985-01-01T23:30", 13.5),
        ("1985-01-01T10:00", "1985-01-02T09:00", 23),
        ("2024-02-01T23:00", "2024-02-03T01:00", 26),
        ("2024-02-01T23:00", "1985-01-02T01:00", 2),
    ],
)
def test_dates_of_anonymous_files_count_only_where_they_fit_the_recording(earlier, later, hours):
    moments = datetime.fromisoformat(earlier), datetime.fromisoformat(later)
    assert seconds_between(*moments, duration_s=24 * 3600 if hours > 12 else 8 * 3600) == hours * 3600


@pytest.mark.filterwarnings("ignore:the header holds no")
def test_a_recipe_says_that_labels_without_a_clock_begin_with_the_signals(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_edf(folder / "p01-night1.edf", [signal(c, 100, seconds=95) for c in ("EEG C3-M2", "EOG E1-M2")])
    with_clock(write_edf(folder / "p01-scoring.edf", [], [stage(0, 90, "N2")]), ZEROS)
    labels = {"reader": "edf", "file": "p01-scoring.edf"}
    for start, code, n_scored in (("by_clock", "label_time", None), ("with_signal", "ok", 3)):
        used = recipe(participants=None, files=["*-night1.edf"], labels={**labels, "start": start})
        try:
            table, _ = prepare_archive([(used, folder)], tmp_path / f"{start}.h5", sampling_rate_hz=64)
        except ValueError as error:
            table = error.table
        assert table.code.tolist() == [code] and table.n_scored.tolist() == [n_scored]


@pytest.mark.filterwarnings("ignore:the header holds no")
def test_the_two_files_of_mass_are_set_side_by_side_by_their_clocks_or_begin_together(tmp_path):
    base = write_scoring(tmp_path / "01-03-0001 Base.edf", (0, 90, "Sleep stage W"))
    more = write_scoring(tmp_path / "01-03-0001 Annotations.edf", (10, 2, "Spindle"))
    with_clock(more, b"00.00.0022.01.00")
    assert read_mass(base).events.onset_s.tolist() == [70]
    with_clock(more, ZEROS)
    with pytest.raises(BadRecording, match="need clock times") as error:
        read_mass(base)
    assert more.name not in str(error.value)
    with_clock(base, ZEROS)
    scoring = read_mass(base)
    assert scoring.events.onset_s.tolist() == [10]
    with pytest.raises(BadRecording, match="holds no clock"):
        with_scoring(recording(90), scoring)


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.531, 0.999])
def test_a_whole_second_clock_does_not_move_labels_by_the_fraction_of_the_signals_start(tmp_path, fraction, recwarn):
    onsets = [f"{i + fraction:.3f}" for i in range(120)]
    psg = write_discontinuous(tmp_path / "psg.edf", onsets, annotations=[SPACE], kind=b"EDF+C")
    scoring = write_edf(tmp_path / "scoring.edf", [], [stage(0, 60, "W"), stage(60, 60, "N2")])
    for path in (psg, scoring):
        with_clock(path, EVENING)
    assert read_recording(psg, hypnogram_path=scoring).hypnogram.tolist() == [0, 0, 2, 2]
    assert not recwarn.list
    with_clock(scoring, b"01.02.2422.30.30")
    assert read_recording(psg, hypnogram_path=scoring, length="trim_end").hypnogram.tolist() == [9, 0, 0, 2]


def test_a_clock_with_a_fraction_is_exact():
    night = recording(60, start_time=datetime(2024, 2, 1, 22, 30, 0, 500_000))
    scoring = Scoring(annotation_table([(0, 30, "W")]), start_time=datetime(2024, 2, 1, 22, 30, 10, 250_000))
    assert with_scoring(night, scoring, codes=CODES).annotations.onset_s.tolist() == [9.75]


@pytest.mark.filterwarnings("ignore:.*hold more than one stage")
def test_own_labels_on_whole_seconds_may_begin_a_fraction_before_the_signals(tmp_path):
    notes = [stage(0, 60, "W"), stage(60, 60, "N2")]
    onsets = [f"{i + 0.9:.1f}" for i in range(120)]
    psg = write_discontinuous(tmp_path / "psg.edf", onsets, annotations=notes, kind=b"EDF+C")
    assert read_recording(psg).hypnogram.tolist() == [0, 0, 2, 2]


def test_every_scoring_of_sleep_edf_has_a_clock(shared):
    paths = sorted((shared / "real" / "sleep_edf").glob("*-Hypnogram.edf"))
    assert len(paths) == 20
    for path in paths:
        scoring = read_edf_scoring(path, STANDARD_CODES)
        assert scoring.start_time is not None and len(scoring.stages) > 50

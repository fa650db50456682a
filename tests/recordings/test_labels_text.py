"""Labels in plain text: one a line, IDS lines and BIDS events; a damaged file is named."""

import time as clock
import warnings

import pytest
from helpers.toy_labels import CODES, DIGITS, FAST, hypnogram_of, read, recording, text_scoring, write
from hypothesis import given
from hypothesis import strategies as st

from anysleep.data import BadRecording
from anysleep.recordings.labels import with_scoring
from anysleep.recordings.labels.table import read_bids
from anysleep.recordings.reasons import RecordingWarning


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("W\nN1\nN3\nR\n?\n", CODES),
        ("w\r\nn1\r\nN3\r\nr\r\n?\r\n\r\n \r\n", CODES),
        ("\ufeffW\rN1\rN3\rR\r?", CODES),
        ("W,1\nN1,1\nN3,2\nR,2\n?,2", CODES),
        ("Stage\nW\nN1\nN3\nR\n?", CODES),
        ('"epoch";"Sleep stage"\n1;"W"\n2;"N1"\n3;"N3"\n4;"R"\n5;"?"', CODES),
        ("0\n1\n3\n4\n9\n", DIGITS),
    ],
)
def test_a_text_file_holds_one_label_a_line(tmp_path, text, codes):
    scoring = read("text", write(tmp_path / "night.csv", text), codes)
    assert hypnogram_of(scoring, 150, codes=codes) == [0, 1, 3, 4, 9]


@pytest.mark.parametrize(("text", "column"), [("W\t60\nN2\t600\n", 1), ("start,stage\n0,W\n60,N2\n", 2)])
def test_columns_that_could_tell_times_and_are_not_read_are_said(tmp_path, text, column):
    with pytest.warns(RecordingWarning, match=f"of 2 columns only column {column} is read, an epoch a line"):
        assert hypnogram_of(read("text", write(tmp_path / "night.txt", text)), 60) == [0, 2]


@pytest.mark.parametrize(("name", "stage", "said"), [("SP", 4, "'SP' as REM"), ("deep", 3, "'deep' as N3")])
def test_a_name_of_some_languages_only_is_said_with_the_stage_that_it_is_taken_for(tmp_path, name, stage, said):
    scoring = read("text", write(tmp_path / "night.txt", f"W\nN1\n{name}\n{name}"))
    with pytest.warns(RecordingWarning, match=f"taken by name: {said}; if not so"):
        assert hypnogram_of(scoring, 120) == [0, 1, stage, stage]


def test_names_of_the_field_and_of_the_codes_are_taken_without_a_word(tmp_path):
    scoring = read("text", write(tmp_path / "night.txt", "Stage 4\nS1\nmovement\nN3\nSP"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hypnogram_of(scoring, 150, codes={**CODES, "SP": 9}) == [3, 1, 9, 3, 9]


def test_the_first_line_is_a_label_unless_it_is_plainly_a_header(tmp_path):
    path = write(tmp_path / "night.txt", "stage\nW\nN1")
    assert hypnogram_of(read("text", path), 60) == [0, 1]
    assert read("text", path, {**CODES, "stage": 9}).stages.description.tolist() == ["stage", "W", "N1"]
    with pytest.raises(BadRecording, match="unknown stage labels: 'S5'") as error:
        hypnogram_of(read("text", write(path, "S5\nW\nN1")), 90)
    assert error.value.code == "label_code"
    with pytest.raises(BadRecording, match="unknown stage labels: 'stage'"):
        hypnogram_of(read("text", write(path, "W\nstage\nN1")), 90)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("W\n\nN1", "line 2 has no label"),
        ("epoch,stage\n1,W\n2", "line 3 has no label"),
        ("stage,label\nW,W", "2 columns could hold the stages"),
        ("stage", "no label below the header"),
        ("W\0N1", "not a text file in UTF-8"),
    ],
)
def test_a_damaged_text_file_is_named(tmp_path, text, message):
    with pytest.raises(BadRecording, match=rf"night\.txt: .*{message}") as error:
        read("text", write(tmp_path / "night.txt", text))
    assert error.value.code == "label_file"


def test_old_text_files_are_read_as_latin_1_and_it_is_said(tmp_path):
    path = tmp_path / "night.txt"
    path.write_bytes("W\nDämmern\n".encode("latin-1"))
    with pytest.warns(UserWarning, match=r"night\.txt is not in UTF-8; it is read as Latin-1"):
        assert hypnogram_of(read("text", path, {"W": 0, "dämmern": 1}), 60, codes={"W": 0, "dämmern": 1}) == [0, 1]


@pytest.mark.parametrize(
    ("reader", "header", "line"),
    [("text", "", "N2"), ("ids", "", "{0},1,N2"), ("bids", "onset\tduration\tstage\n", "{0}\t1\tN2")],
)
def test_two_hundred_thousand_labels_take_seconds_not_minutes(tmp_path, reader, header, line):
    path = write(tmp_path / "night.txt", header + "\n".join(map(line.format, range(200_000))))
    start_s = clock.process_time()
    assert len(read(reader, path, epoch_s=1.0).stages) == 200_000
    assert clock.process_time() - start_s < 10  # 0.5 s; in the square of their number it would be minutes


def test_bids_events_are_stages_where_the_codes_say_so(tmp_path):
    rows = "onset\tduration\ttrial_type\n0\t60\tW\n60\tn/a\tN2\n70.5\t4\tarousal\nn/a\tn/a\tnote\n90\t30\tn/a\n"
    scoring = read("bids", write(tmp_path / "sub-1_events.tsv", f"{rows}120\t30\tR\n"))
    assert hypnogram_of(scoring, 150) == [0, 0, 2, 2, 4]
    assert with_scoring(recording(150), scoring, codes=CODES).arousals.tolist() == [[70.5, 74.5]]


def test_the_stage_column_of_bids_holds_nothing_but_stages(tmp_path):
    rows = "onset\tduration\ttrial_type\tstage\n0\t30\tepoch\tW\n3\t9\tarousal\tn/a\n30\t30\tepoch\tN5\n"
    scoring = read("bids", write(tmp_path / "sub-1_events.tsv", rows))
    assert scoring.events.description.tolist() == ["arousal"]
    with pytest.raises(BadRecording, match="unknown stage labels: 'N5'"):
        hypnogram_of(scoring, 60)


BY_COLUMN = "onset\tduration\ttrial_type\tSchlafstadium\n0\t30\tepoch\tW\n3\t9\tarousal\tn/a\n30\t30\tepoch\t{0}\n"


def test_the_stages_of_bids_may_stand_in_a_column_of_any_name(tmp_path):
    path = write(tmp_path / "sub-1_events.tsv", BY_COLUMN.format("REM"))
    scoring = read_bids(path, CODES, column="Schlafstadium")
    assert hypnogram_of(scoring, 60) == [0, 4]
    assert scoring.events.description.tolist() == ["arousal"]
    unknown = read_bids(write(path, BY_COLUMN.format("N5")), CODES, column="Schlafstadium")
    with pytest.raises(BadRecording, match="unknown stage labels: 'N5'"):
        hypnogram_of(unknown, 60)
    with pytest.raises(BadRecording, match="needed are onset, duration and sleep_stage"):
        read_bids(path, CODES, column="sleep_stage")


def test_naming_the_usual_column_of_bids_changes_nothing(tmp_path):
    rows = "onset\tduration\ttrial_type\n0\t60\tW\n60\tn/a\tN2\n70.5\t4\tarousal\n"
    path = write(tmp_path / "sub-1_events.tsv", rows)
    scoring = read_bids(path, CODES, column="trial_type")
    assert hypnogram_of(scoring, 90) == [0, 0, 2] and scoring.events.description.tolist() == ["arousal"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n", b"\r"])
def test_lines_end_as_any_program_ends_them(tmp_path, end):
    rows = [b"onset\tduration\tstage", b"0\t30\tW", b"30\t30\tR"]
    for reader, lines in (("bids", rows), ("text", [b"W", b"R"]), ("ids", [b"0,30,W", b"30,30,R"])):
        path = tmp_path / f"{reader}.tsv"
        path.write_bytes(b"".join(line + end for line in lines))
        assert hypnogram_of(read(reader, path), 60) == [0, 4]


@pytest.mark.parametrize(
    ("rows", "code", "message"),
    [
        (
            "start\tduration\tstage\n0\t30\tW",
            "label_file",
            "the columns are 'start', 'duration', 'stage'; needed are onset",
        ),
        ("onset\tduration\tvalue\n0\t30\tW", "label_file", "needed are onset, duration and stage or trial_type"),
        ("onset,duration,stage\n0,30,W", "label_file", "the columns are a longer text; needed"),
        ("onset\tduration\tstage\n0\tW", "label_file", "line 2 has 2 columns, the header 3"),
        ("onset\tduration\tstage\nsoon\t30\tW", "label_file", "'soon' is no onset; expected"),
        ("onset\tduration\tstage\n0\tinf\tW", "label_file", "'inf' is no duration; expected"),
        ("onset\tduration\ttrial_type\n0\t30\twake", "label_code", "no row is a stage; rows are 'wake', codes W, N1"),
        ("onset\tduration\tstage\n0\t30\tn/a", "label_code", "no row is a stage; rows are empty"),
        ("onset\tduration\ttrial_type", "label_file", "no row below the header"),
    ],
)
def test_a_damaged_bids_file_is_named(tmp_path, rows, code, message):
    with pytest.raises(BadRecording, match=message) as error:
        read("bids", write(tmp_path / "events.tsv", rows))
    assert error.value.code == code


@pytest.mark.parametrize("text", ["0,60,W\n60,30,N1\n90,60,N2\n", "0 60 W\n60\t30\tN1\n 90 , 60 , N2"])
def test_ids_lines_are_start_duration_and_stage(tmp_path, text):
    assert hypnogram_of(read("ids", write(tmp_path / "hypnogram.ids", text)), 150) == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        ("ids", "Meier, Anna 1.1.1970"),
        ("bids", "Meier, Anna\tborn 1970"),
        ("bids", "onset\tduration\tstage\nMeier, Anna\t30\tW"),
        ("text", "stage,label,Meier Anna\nW,W,W"),
    ],
)
def test_the_text_of_a_file_that_may_name_the_patient_is_not_repeated(tmp_path, reader, text):
    with pytest.raises(BadRecording) as error:
        read(reader, write(tmp_path / "labels.txt", text))
    assert "Meier" not in str(error.value)


@pytest.mark.parametrize("line", ["30,30", "thirty,30,W", "30,nan,W", "", "30,0,W"])
def test_a_damaged_ids_line_is_named(tmp_path, line):
    with pytest.raises(BadRecording, match=r"hypnogram\.ids: .*line 2") as error:
        read("ids", write(tmp_path / "hypnogram.ids", f"0,30,W\n{line}\n60,30,W"))
    assert error.value.code == "label_file"


HYPNOGRAMS = st.lists(st.sampled_from(list(CODES.values())), min_size=1, max_size=60)


@FAST
@given(stages=HYPNOGRAMS)
def test_any_hypnogram_comes_back_from_text(tmp_path, stages):
    assert hypnogram_of(text_scoring(tmp_path, stages), 30.0 * len(stages)) == stages

"""Tables as label files: exports of other programs, told by the columns of their row in docs/own_recordings.md."""

import re
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml
from helpers.archives import recipe
from helpers.edf_files import signal, write_edf
from helpers.toy_labels import read, recording, write

from anysleep.data import BadRecording
from anysleep.datasets.labels import read_labelled
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import Labels
from anysleep.recordings.labels import LABEL_READERS, with_scoring
from anysleep.recordings.reasons import RecordingWarning
from anysleep.settings import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::anysleep.recordings.reasons.RecordingWarning")

PAGE = Path(__file__).parents[2] / "docs" / "own_recordings.md"
STAGES = [0, 1, 2, 3, 4, 9]
"""Of every sample: from a minute before midnight on, on a recording that begins 90 s earlier."""
BEGUN = datetime(2024, 2, 1, 23, 57, 30)

REMLOGIC = """RemLogic Event Export
Patient:\tn1
Recording Date:\t01/02/2024

Sleep Stage\tPosition\tTime [hh:mm:ss]\tEvent\tDuration[s]\tLocation
W\tSupine\t23:59:00\tSLEEP-S0\t30\tROC-LOC
S1\tSupine\t23:59:30\tSLEEP-S1\t30\tROC-LOC
S1\tSupine\t23:59:41\tArousal\t5\tEEG-C3-A2
S2\tSupine\t00:00:00\tSLEEP-S2\t30\tROC-LOC
S3\tSupine\t00:00:30\tSLEEP-S4\t30\tROC-LOC
R\tSupine\t00:01:00\tSLEEP-REM\t30\tROC-LOC
MT\tSupine\t00:01:30\tSLEEP-MT\t30\tROC-LOC
"""
DOMINO = """Signal ID: SchlafProfil\\profil
Start Time: 01.02.2024 23:59:00
Unit:
Signal Type: Discret
Events list: N3,N2,N1,Rem,Wach,Bewegung
Rate: 30 s

23:59:00,000; Wach
23:59:30,000; N1
00:00:00,000; N2
00:00:30,000; N3
00:01:00,000; Rem
00:01:30,000; ?
"""
PROFUSION = "Epoch,Stage\n1,0\n2,1\n3,2\n4,4\n5,5\n6,?\n"
NOXTURNAL = """Start Time,End Time,Event,Duration (Sec),Location
2/1/2024 11:59:00 PM,2/1/2024 11:59:30 PM,Wake,30.0,
2/1/2024 11:59:30 PM,2/2/2024 12:00:00 AM,N1,30.0,
2/1/2024 11:59:41 PM,2/1/2024 11:59:46 PM,Arousal,5.0,"C3-M2, C4-M1"
2/2/2024 12:00:00 AM,2/2/2024 12:00:30 AM,N2,30.0,
2/2/2024 12:00:30 AM,2/2/2024 12:01:00 AM,N3,30.0,
2/2/2024 12:01:00 AM,2/2/2024 12:01:30 AM,REM,30.0,
2/2/2024 12:01:30 AM,2/2/2024 12:02:00 AM,Movement,30.0,
"""
POLYMAN = """Date, Time, Recording onset, Duration, Annotation, Linked channel
01.01.01, 23.57.40, 10, 0, Lights off,
01.01.01, 23.59.00, 90, 30, Sleep stage W,
01.01.01, 23.59.30, 120, 30, Sleep stage N1,
01.01.01, 23.59.41, 131, 5, EEG arousal, EEG C3-M2
02.01.01, 00.00.00, 150, 30, Sleep stage N2,
02.01.01, 00.00.30, 180, 30, Sleep stage N3,
02.01.01, 00.01.00, 210, 30, Sleep stage R,
02.01.01, 00.01.30, 240, 30, Sleep stage ?,
"""
ALICE = """  1  23:59:00  WK
  2  23:59:30  N1
  3  00:00:00  N2
  4  00:00:30  N3
  5  00:01:00  R
  6  00:01:30  ?
"""
YASA = """Time,Stage
2024-02-01 23:59:00,WAKE
2024-02-01 23:59:30,N1
2024-02-02 00:00:00,N2
2024-02-02 00:00:30,N3
2024-02-02 00:01:00,REM
2024-02-02 00:01:30,UNS
"""
SAMPLES = {
    "RemLogic": REMLOGIC,
    "Domino": DOMINO,
    "Profusion": PROFUSION,
    "Noxturnal": NOXTURNAL,
    "Polyman": POLYMAN,
    "Alice": ALICE,
    "yasa": YASA,
}
HAVE_AROUSALS = ("RemLogic", "Noxturnal", "Polyman")


def labels_of(program):
    """As the page says it; of two ways, the first."""
    text = PAGE.read_text(encoding="utf-8")
    ((columns, more),) = re.findall(rf"^\| {program} \| `(.+?)`[^|]*\|(.*)\|$", text, re.MULTILINE)
    return Labels(reader="table", file="x", columns=yaml.safe_load(columns), **(yaml.safe_load(more.strip(" `")) or {}))


def scored(path, labels, begun=BEGUN, n_epochs=9, **rule):
    scoring = LABEL_READERS[labels.reader](path, **labels.options)
    return with_scoring(recording(n_epochs * 30.0, start_time=begun), scoring, codes=labels.stage_of, **rule)


def columns(**names):
    return Labels(reader="table", file="x", columns=names)


@pytest.mark.parametrize("program", SAMPLES)
def test_the_export_of_every_program_comes_in(tmp_path, program):
    path, labels = write(tmp_path / "night.txt", SAMPLES[program]), labels_of(program)
    numbered = "epoch" in labels.columns
    night = scored(path, labels, n_epochs=6 if numbered else 9)
    assert night.hypnogram.tolist() == ([] if numbered else [9] * 3) + STAGES
    assert night.arousals.tolist() == ([[131, 136]] if program in HAVE_AROUSALS else [])


@pytest.mark.parametrize("program", SAMPLES)
def test_beside_one_night_it_is_read_in_the_words_of_the_page(tmp_path, program):
    """As `labels_as` of stage_one_night."""
    scoring, labels = write(tmp_path / "night.txt", SAMPLES[program]), labels_of(program)
    words = labels.model_dump(exclude_defaults=True, exclude={"file"})
    numbered = "epoch" in labels.columns
    channel = signal("EEG C3-M2", 10, seconds=180 if numbered else 270)
    psg = write_edf(tmp_path / "psg.edf", [channel], starttime=BEGUN.time(), start=BEGUN.date())
    if labels.columns and program != "Polyman":  # of which its header tells the columns
        with pytest.raises(BadRecording, match="labels_as says how to read another program's export"):
            read_labelled([psg], scoring, {})
    assert read_labelled([psg], scoring, words).hypnogram.tolist() == ([] if numbered else [9] * 3) + STAGES
    with pytest.raises(ParameterError, match="unknown parameter 'column_names'"):
        read_labelled([psg], scoring, {"reader": "table", "column_names": 1})


def test_the_page_has_a_row_for_every_sample():
    rows = re.findall(r"^\| (\w+) \| `\{", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(SAMPLES)


@pytest.mark.parametrize("program", ["RemLogic", "Noxturnal"])
def test_excel_is_a_table_as_well(tmp_path, program):
    lines = [line.split("\t" if program == "RemLogic" else ",") for line in SAMPLES[program].splitlines()]
    lines = [[*(cell.strip(' "') for cell in cells[:5]), *[""] * (5 - len(cells))] for cells in lines]
    pd.DataFrame(lines).to_excel(tmp_path / "night.xlsx", header=False, index=False)
    assert scored(tmp_path / "night.xlsx", labels_of(program)).hypnogram.tolist() == [9] * 3 + STAGES


@pytest.mark.parametrize("delimiter", ["\t", ";", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_delimiter_and_encoding_are_found_out_and_said(tmp_path, delimiter, encoding):
    rows = [("Größe", ""), ("Uhrzeit", "Stadium"), ("23:59:00", "Wach"), ("23:59:30", "N1"), ("00:00:00", "Rem")]
    (tmp_path / "night.txt").write_bytes("\n".join(map(delimiter.join, rows)).encode(encoding))
    words = {"\t": "tabs", ";": "semicolons", ",": "commas"}
    with pytest.warns(RecordingWarning) as said:
        night = scored(tmp_path / "night.txt", columns(clock="Uhrzeit", stage="Stadium"), n_epochs=6)
    assert night.hypnogram.tolist() == [9] * 3 + [0, 1, 4]
    texts = " ".join(str(one.message) for one in said)
    assert f"rows from line 3 on, {words[delimiter]} between" in texts
    assert ("it is read as" in texts) == (encoding in ("utf-16", "latin-1"))


def test_a_clock_of_twelve_hours_needs_am_and_pm(tmp_path):
    rows = "Clock,Stage\n12:59:00,W\n12:59:30,W\n1:00:00,N1\n"
    with pytest.raises(BadRecording, match="between line 3 and 4 the clock goes back by hours; is it of 12 hours"):
        scored(write(tmp_path / "night.csv", rows), columns(clock="Clock", stage="Stage"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("11:59:00 p. m.", "12:00:00 a. m."),
        ("11:59:00PM", "12:00:00AM"),
        ("PM 11:59:00", "AM 12:00:00"),
        ("2024/2/1 下午 11:59:00", "2024/2/2 上午 12:00:00"),
        ("午後11:59:00", "午前12:00:00"),
        ("오후 11:59:00", "오전 12:00:00"),
    ],
)
def test_the_half_of_the_day_stands_where_any_system_puts_it(tmp_path, before, after):
    rows = f"Clock\tStage\n{before}\tN1\n{before.replace('9:00', '9:30')}\tN2\n{after}\tREM\n"
    night = scored(write(tmp_path / "night.txt", rows), columns(clock="Clock", stage="Stage"), n_epochs=6)
    assert night.hypnogram.tolist() == [9, 9, 9, 1, 2, 4]


def test_a_scoring_that_begins_at_midnight_has_a_clock(tmp_path):
    path = write(tmp_path / "night.csv", "Clock,Stage\n00:00:00,N2\n00:00:30,N2\n")
    night = scored(path, columns(clock="Clock", stage="Stage"), n_epochs=7)
    assert night.hypnogram.tolist() == [9] * 5 + [2, 2]


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("Clock,Stage\nsoon,W\n", {"clock": "Clock"}, "line 2: 'soon' is no time of day such as 23:05:00"),
        ("Clock,Stage\n25:00:00,W\n", {"clock": "Clock"}, "line 2: .* is no time of day"),
        ("Clock,Stage\n+00:00:30.0,W\n", {"clock": "Clock"}, "line 2: .* is no time of day"),
        ("Clock,Stage\n13:00:00 PM,W\n", {"clock": "Clock"}, "line 2: .* is no time of day"),
        ("Clock,Stage\n,W\n", {"clock": "Clock"}, "line 2 has no clock, which is column 1"),
        ("N,Stage\n1.5,W\n", {"epoch": "N"}, "line 2: '1.5' is no number of an epoch"),
        ("On,Stage\ninf,W\n", {"onset_s": "On"}, "line 2: 'inf' is no onset in s"),
        ("Clock,Stage\n23:00:00,W\n23:00:30,\n", {"clock": "Clock"}, "line 3 has no label; mark unscored epochs"),
        ("Clock,Stage\n23:00:00,W\n23:00:20,W\n", {"clock": "Clock"}, "lie 20 s apart, and epoch_s is 30: say epoch_s"),
        ("Clock,Stage\n", {"clock": "Clock"}, "no label below the header"),
        ("Zeit,Stage\n1,W\n", {"clock": "Clock"}, "the columns 'Stage', 'Clock' do not stand, each once, in any line"),
        ("Clock,Stage,Stage\n1,W,W\n", {"clock": "Clock"}, "do not stand, each once"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, text, names, message):
    with pytest.raises(BadRecording, match=message) as error:
        scored(write(tmp_path / "night.csv", text), columns(stage="Stage", **names))
    assert error.value.code == "label_file" and "night.csv" in str(error.value)


def test_a_line_to_skip_to_that_is_not_there_is_said(tmp_path):
    labels = Labels(reader="table", file="x", columns={"stage": 1}, skip_to="Rate:")
    with pytest.raises(BadRecording, match="no line begins with 'Rate:'"):
        scored(write(tmp_path / "night.txt", "W\nN1\n"), labels)


def test_a_damaged_excel_file_is_named(tmp_path):
    path = write(tmp_path / "night.xlsx", "no zip")
    with pytest.raises(BadRecording, match=r"night\.xlsx cannot be read as a table of Excel"):
        scored(path, columns(stage="Stage"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columns": {"clock": "Time"}}, "needs one of stage, event"),
        ({"columns": {"stage": "S", "event": "E"}}, "needs one of stage, event"),
        ({"columns": {"stage": "S", "clock": "C", "epoch": "E"}}, "at most one of clock, onset_s, epoch"),
        ({"columns": {"stage": "S", "onset_s": "O", "end_s": "E", "duration_s": "D"}}, "both duration_s and end_s"),
        ({"columns": {"stage": 0}}, "columns.stage"),
        ({"columns": {"stages": "S"}}, "columns.stages"),
        ({"reader": "text", "columns": {"stage": "S"}}, "belong to the reader 'table'"),
        ({"reader": "text", "skip_to": "x"}, "belong to the reader 'table'"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Labels(**{"reader": "table", "file": "x"} | given)


def test_a_scoring_whose_clock_cannot_be_placed_is_refused_in_a_recipe(tmp_path):
    """A recording without a clock has no place for it: a reason, not the first sample."""
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_edf(folder / "p01-night1.edf", [signal(c, 100, seconds=95) for c in ("EEG C3-M2", "EOG E1-M2")])
    content = bytearray(path.read_bytes())
    content[88:168], content[168:184] = b" " * 80, b"xx.xx.xxxx.xx.xx"
    path.write_bytes(content)
    write(folder / "p01.txt", "Clock,Stage\n23:00:00,W\n23:00:30,N1\n23:01:00,N2\n")
    labels = {"reader": "table", "file": "p01.txt", "columns": {"clock": "Clock", "stage": "Stage"}}
    for start, code in (("by_clock", "label_time"), ("with_signal", "ok")):
        used = recipe(participants=None, files=["*-night1.edf"], labels={**labels, "start": start})
        try:
            table, _ = prepare_archive([(used, folder)], tmp_path / f"{start}.h5", sampling_rate_hz=64)
        except ValueError as error:
            table = error.table
        assert table.code.tolist() == [code]
        assert start == "with_signal" or "holds no clock to place the labels by" in table.reason[0]


@pytest.mark.parametrize("annotations", ["N2,N1", ",N1"])
def test_a_column_of_stages_is_read_whatever_stands_in_a_column_of_annotations(tmp_path, annotations):
    first, stage = annotations.split(",")
    rows = f"0,30,{first},{stage}\n30,30,{first and 'N3'},N2\n60,30,{first and 'N2'},N3\n"
    file = write(tmp_path / "a.csv", f"Onset,Duration,Annotation,Stage\n{rows}")
    assert read("text", file).stages.description.tolist() == ["N1", "N2", "N3"]

"""Labels of every format come onto the recording's time base, and what cannot be read or aligned is said."""

import json
import time as clock
from datetime import datetime, time

import edfio
import numpy as np
import pandas as pd
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anysleep.data import BadRecording
from anysleep.data.labels import (
    LABEL_READERS,
    STANDARD_CODES,
    Scoring,
    hypnogram_from_stages,
    label_files,
    scoring_of_list,
    with_scoring,
)
from anysleep.data.labels.mass import mass_trim_s
from anysleep.data.recording import Recording, annotation_table
from anysleep.published import read_table

CODES = {"W": 0, "N1": 1, "N2": 2, "N3": 3, "R": 4, "?": 9}
NAMES = {code: label for label, code in CODES.items()}
DIGITS = {str(code): code for code in (0, 1, 2, 3, 4, 9)}
START = datetime(2000, 1, 1, 22, 0, 0)
FAST = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(reader, path, codes=CODES, epoch_s=30.0):
    return LABEL_READERS[reader](path, codes=codes, epoch_s=epoch_s)


def recording(duration_s, *notes, **more):
    return Recording(("EEG",), [np.zeros(1)], (100.0,), ("uV",), duration_s, annotation_table(notes), **more)


def hypnogram_of(scoring, duration_s, *notes, codes=CODES, gaps_s=(), **rule):
    night = recording(duration_s, *notes, gaps_s=np.reshape(gaps_s, (-1, 2)), start_time=START)
    return with_scoring(night, scoring, codes=codes, **rule).hypnogram.tolist()


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def text_scoring(tmp_path, stages, epoch_s=30.0):
    return read("text", write(tmp_path / "night.txt", "\n".join(NAMES[s] for s in stages)), epoch_s=epoch_s)


def write_edf(path, *annotations, start=time(22, 0, 0)):
    notes = [edfio.EdfAnnotation(*annotation) for annotation in annotations]
    day = edfio.Recording(startdate=START.date())
    edfio.Edf([], recording=day, starttime=start, annotations=notes).write(path)
    return path


def nsrr(*events, root="PSGAnnotation"):
    fields = ("EventType", "EventConcept", "Start", "Duration")
    parts = ["".join(f"<{f}>{v}</{f}>" for f, v in zip(fields, event, strict=True)) for event in events]
    scored = "".join(f"<ScoredEvent>{part}</ScoredEvent>" for part in parts)
    return f'<?xml version="1.0" encoding="UTF-8"?><{root}><ScoredEvents>{scored}</ScoredEvents></{root}>'


NSRR_CODES = {"Wake|0": 0, "Stage 1 sleep|1": 1, "Stage 2 sleep|2": 2, "REM sleep|5": 4, "Unscored|9": 9}


# Plain lists


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


def test_the_first_line_is_a_label_unless_it_is_plainly_a_header(tmp_path):
    path = write(tmp_path / "night.txt", "stage\nW\nN1")
    assert hypnogram_of(read("text", path), 60) == [0, 1]
    assert read("text", path, {**CODES, "stage": 9}).stages.description.tolist() == ["stage", "W", "N1"]
    with pytest.raises(BadRecording, match="unknown stage labels: 'S1'") as error:
        hypnogram_of(read("text", write(path, "S1\nW\nN1")), 90)
    assert error.value.code == "label_code"
    with pytest.raises(BadRecording, match="unknown stage labels: 'stage'"):
        hypnogram_of(read("text", write(path, "W\nstage\nN1")), 90)


@pytest.mark.parametrize(("epoch_s", "n"), [(10, 3), (5, 6), (1, 30)])
def test_shorter_labels_fill_their_epochs(tmp_path, epoch_s, n):
    scoring = text_scoring(tmp_path, [0] * n + [2] * n + [4] * n, epoch_s)
    assert hypnogram_of(scoring, 90) == [0, 2, 4]


def test_labels_of_20_s_give_each_epoch_the_stage_that_covers_most(tmp_path):
    with pytest.warns(UserWarning, match="1 of 4 epochs of 30 s hold more than one stage"):
        assert hypnogram_of(text_scoring(tmp_path, [0, 2, 2, 3, 3, 3], 20), 120) == [0, 2, 3, 3]


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
def test_two_hundred_thousand_labels_take_a_second(tmp_path, reader, header, line):
    path = write(tmp_path / "night.txt", header + "\n".join(map(line.format, range(200_000))))
    start_s = clock.process_time()
    assert len(read(reader, path, epoch_s=1.0).stages) == 200_000
    assert clock.process_time() - start_s < 1.5


# Timed labels


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


@pytest.mark.parametrize(
    ("rows", "code", "message"),
    [
        ("start\tduration\tstage\n0\t30\tW", "label_file", "the columns are start, duration, stage; needed are onset"),
        ("onset\tduration\tvalue\n0\t30\tW", "label_file", "needed are onset, duration and stage or trial_type"),
        ("onset,duration,stage\n0,30,W", "label_file", "the columns are onset,duration,stage; needed"),
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


@pytest.mark.parametrize("line", ["30,30", "thirty,30,W", "30,nan,W", "", "30,0,W"])
def test_a_damaged_ids_line_is_named(tmp_path, line):
    with pytest.raises(BadRecording, match=r"hypnogram\.ids: .*line 2") as error:
        read("ids", write(tmp_path / "hypnogram.ids", f"0,30,W\n{line}\n60,30,W"))
    assert error.value.code == "label_file"


def test_nsrr_stages_and_arousals_count_from_the_first_sample(tmp_path):
    events = [
        ("", "Recording Start Time", 0, 150),
        ("Stages|Stages", "Wake|0", 0, 60.0),
        ("Stages|Stages", "Stage 2 sleep|2", 60, 60),
        ("Arousals|Arousals", "Arousal|Arousal ()", 61.5, 7.5),
        ("Arousals|Arousals", "External|EXT", 90, 4),
        ("Respiratory|Respiratory", "Respiratory effort related arousal|RERA", 70, 20),
        ("Stages|Stages", "Unscored|9", 120, 30),
    ]
    text = nsrr(*events).replace("<EventType></EventType>", "<EventType/><ClockTime>00.00.00 21.30.00</ClockTime>")
    scoring = read("nsrr", write(tmp_path / "shhs1-nsrr.xml", text), NSRR_CODES)
    assert hypnogram_of(scoring, 150, codes=NSRR_CODES) == [0, 0, 2, 2, 9]
    assert scoring.start_time is None
    assert scoring.events.description.tolist() == ["Recording Start Time", "Arousal ()", "RERA", "arousal: EXT"]
    assert with_scoring(recording(150), scoring, codes=NSRR_CODES).arousals.tolist() == [[61.5, 69], [90, 94]]


ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><PSGAnnotation>&b;</PSGAnnotation>'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nsrr(("Stages|Stages", "Wake|0", 0, 30))[:-9], "no whole XML file"),
        (nsrr(), "no PSGAnnotation/ScoredEvents"),
        (nsrr(("Stages|Stages", "Wake|0", 0, 30), root="CMPStudyConfig"), "in <CMPStudyConfig>"),
        (nsrr(("Stages|Stages", "Wake|0", "", 30)), "Start of an event 'Wake|0' is ''"),
        (nsrr(("Stages|Stages", "Wake|0", 0, "long")), "Duration of an event 'Wake|0' is 'long'"),
        (ENTITIES, "no whole XML file.*Entit"),
    ],
)
def test_a_damaged_nsrr_file_is_named_and_entities_are_not_expanded(tmp_path, text, message):
    with pytest.raises(BadRecording, match=message.replace("|", r"\|")) as error:
        read("nsrr", write(tmp_path / "a-nsrr.xml", text))
    assert error.value.code == "label_file"


def write_arousal(folder, notes, rate_hz=200, header=None):
    samples = np.array([round(onset_s * 200) for onset_s, _ in notes])
    texts = [text for _, text in notes]
    wfdb.wrann("tr03-0005", "arousal", samples, ['"'] * len(notes), aux_note=texts, fs=rate_hz, write_dir=str(folder))
    if header:
        write(folder / "tr03-0005.hea", header)
    return folder / "tr03-0005.arousal"


def test_physionet_stages_hold_until_the_next_and_brackets_are_events(tmp_path):
    notes = [(30, "W"), (60, "N1"), (62, "(arousal_rera"), (65, "(resp_hypopnea"), (71.5, "arousal_rera)")]
    notes += [(80, "resp_hypopnea)"), (120, "R")]
    path = write_arousal(tmp_path, notes, rate_hz=None, header="tr03-0005 1 200 42000\n")
    scoring = read("physionet", path)
    assert hypnogram_of(scoring, 210) == [9, 0, 1, 1, 4, 4, 4]
    assert scoring.events.to_numpy().tolist() == [[62, 9.5, "arousal_rera"], [65, 15, "resp_hypopnea"]]


def test_without_a_header_the_last_physionet_stage_is_one_epoch(tmp_path):
    assert hypnogram_of(read("physionet", write_arousal(tmp_path, [(0, "N2"), (30, "R")])), 90) == [2, 4, 9]


def test_physionet_notes_are_those_that_wfdb_reads(tmp_path):
    rng = np.random.default_rng(0)
    times_s = np.sort(rng.integers(1, 40_000, 300))
    path = write_arousal(tmp_path, [(t, str(rng.choice(["W", "N1", "N2", "N3", "R"]))) for t in times_s])
    expected = wfdb.rdann(str(path.with_suffix("")), "arousal")
    stages = read("physionet", path).stages
    assert stages.onset_s.tolist() == (expected.sample / expected.fs).tolist()
    assert stages.description.tolist() == expected.aux_note


def test_a_physionet_event_without_its_other_bracket_is_said(tmp_path):
    path = write_arousal(tmp_path, [(0, "N2"), (5, "(arousal_rera"), (9, "arousal_plm)")])
    with pytest.warns(UserWarning, match="1 events have no end and 1 ends no event"):
        events = read("physionet", path).events
    assert events.description.tolist() == ["arousal_rera"] and np.isnan(events.duration_s[0])


def test_a_damaged_physionet_file_is_named(tmp_path):
    path = write_arousal(tmp_path, [(30, "N2")], rate_hz=None)
    whole = path.read_bytes()
    with pytest.raises(
        BadRecording, match=r"sampling rate is not known; put the record's header tr03-0005\.hea beside"
    ):
        read("physionet", path)
    write(path.with_suffix(".hea"), "tr03-0005\n")
    with pytest.raises(BadRecording, match=r"tr03-0005\.hea: this is no whole WFDB header"):
        read("physionet", path)
    write(path.with_suffix(".hea"), "tr03-0005 1 200 42000\n")
    for damaged, message in ((b"", "its end is missing"), (whole[:-2], "its end is missing"), (bytes(8), "no stage")):
        path.write_bytes(damaged)
        with pytest.raises(BadRecording, match=message):
            read("physionet", path)


def write_scorers(folder, *scorers):
    for i, stages in enumerate(scorers, start=1):
        write(folder / f"scorer_{i}" / "night.json", json.dumps(stages))
    return folder / "scorer_1" / "night.json"


def test_the_five_scorers_of_dod_vote(tmp_path):
    path = write_scorers(tmp_path, *[[0, 2, 3, -1]] * 3, [0, 1, 3, -1], [4, 4, 4, 4])
    assert hypnogram_of(read("dod_scorers", path), 120, codes=DIGITS) == [0, 2, 3, 9]


@pytest.mark.parametrize(
    ("scorers", "message"),
    [
        ([[0, 1]] * 4, r"night\.json: there is no such file"),
        ([[0, 1]] * 4 + [[0]], "the scorers give 2, 2, 2, 2, 1 epochs"),
        ([[0, 7]] * 5, "scorer_1 is no list of stages -1, 0, 1"),
        ([{"stages": [0]}] * 5, "scorer_1 is no list of stages"),
        ([[]] * 5, "scorer_1 is no list of stages"),
    ],
)
def test_a_damaged_set_of_scorers_is_named(tmp_path, scorers, message):
    with pytest.raises(BadRecording, match=message) as error:
        read("dod_scorers", write_scorers(tmp_path, *scorers))
    assert error.value.code == "label_file"


def test_a_scorer_file_elsewhere_or_cut_short_is_named(tmp_path):
    with pytest.raises(BadRecording, match="expected scorer_1 to scorer_5"):
        read("dod_scorers", write(tmp_path / "night.json", "[0]"))
    with pytest.raises(BadRecording, match="scorer_1 is no whole JSON file"):
        read("dod_scorers", write(tmp_path / "scorer_1" / "night.json", "[0, 1"))


def test_an_edf_file_of_its_own_has_its_own_clock(tmp_path):
    path = write_edf(tmp_path / "scoring.edf", (0, 60, "Sleep stage N2"), (3, 4, "EEG arousal"), start=time(22, 0, 30))
    scoring = read("edf", path, STANDARD_CODES)
    assert hypnogram_of(scoring, 120, codes=STANDARD_CODES) == [9, 2, 2, 9]
    assert scoring.events.description.tolist() == ["EEG arousal"]


def mass_event(channel, group="MicroArousal"):
    return f'<Event channel="{channel}" groupName="{group}" name="CARSM expert" scoringType="expert"/>'


def test_mass_has_stages_in_one_file_and_arousals_in_another(tmp_path):
    base = write_edf(
        tmp_path / "01-03-0001 Base.edf", *((30 * i, 30, f"Sleep stage {s}") for i, s in enumerate("W34?R"))
    )
    assert hypnogram_of(read("mass", base, STANDARD_CODES), 150, codes=STANDARD_CODES) == [0, 3, 3, 9, 4]
    events = [(40, 5, mass_event("EEG C4-LER")), (40, 5, mass_event("EEG O1-LER")), (80, 5, mass_event("EMG Chin"))]
    events += [(50, 2, mass_event("EMG Ant Tibial L", "PLMS"))]
    write_edf(tmp_path / "01-03-0001 Annotations.edf", *events, start=time(22, 0, 1))
    with pytest.warns(UserWarning, match="1 micro-arousals are not of an EEG channel"):
        scoring = read("mass", base, STANDARD_CODES)
    night = with_scoring(recording(150, start_time=START), scoring)
    assert night.arousals.tolist() == [[41, 46], [41, 46]]
    assert "arousal EEG O1-LER" in night.annotations.description.tolist()
    assert scoring.events.description.str.contains("PLMS").sum() == 1


def test_the_trim_of_a_mass_recording_is_published():
    assert mass_trim_s("mass-c1", "01-01-0001") == 9
    assert len(read_table("mass_trims")) == 115
    with pytest.raises(BadRecording, match="no trim is published for '01-02-0001' of 'mass-c2'") as error:
        mass_trim_s("mass-c2", "01-02-0001")
    assert error.value.code == "label_time"


# Labels and signals


def test_a_list_of_another_length_than_the_signals_is_refused(tmp_path):
    for duration_s in (120, 59):
        with pytest.raises(
            BadRecording, match=rf"the labels cover 0 s to 90 s \(90 s\), the signals last {duration_s} s"
        ):
            hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), duration_s)
    for duration_s, expected in ((119, [0, 2, 4]), (61, [0, 2])):  # a last epoch that is not whole
        assert hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), duration_s) == expected


def test_trim_end_stops_where_the_shorter_one_does(tmp_path):
    for duration_s, expected in ((300, [0, 2, 4]), (60, [0, 2])):
        with pytest.warns(UserWarning, match="both end where the shorter one ends"):
            assert hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), duration_s, length="trim_end") == expected


def test_labels_may_begin_at_an_offset(tmp_path):
    assert hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), 150, offset_s=60) == [9, 9, 0, 2, 4]
    with pytest.raises(BadRecording, match="before the first sample"):
        hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), 60, offset_s=-30)


def test_labels_may_last_from_lights_off_to_lights_on(tmp_path):
    off, on = (60, np.nan, "Lights Off"), (150, np.nan, "lights-on")
    scoring = text_scoring(tmp_path, [0, 2, 4])
    assert hypnogram_of(scoring, 210, off, on, length="lights") == [0, 2, 4]
    for notes, message in (
        ((), "no annotation says"),
        ((off,), "no annotation says"),
        ((off, (300, np.nan, "Lights on")), r"cover 0 s to 90 s \(90 s\), the signals last 240 s"),
    ):
        with pytest.raises(BadRecording, match=message):
            hypnogram_of(scoring, 330, *notes, length="lights")


def test_epochs_in_a_pause_of_the_recorder_are_unscored(tmp_path):
    assert hypnogram_of(text_scoring(tmp_path, [0, 2, 2, 4]), 120, gaps_s=[(30, 30.5), (60 - 1e-9, 90)]) == [0, 9, 9, 4]


def test_two_stages_at_once_are_refused_even_where_they_leave_room():
    scoring = Scoring(annotation_table([(0, 14, "W"), (10, 5, "R")]))
    with pytest.raises(BadRecording, match="1 epochs carry two stages at the same time, the first at 0 s"):
        hypnogram_of(scoring, 30)


@pytest.mark.parametrize("reader", LABEL_READERS)
def test_a_missing_label_file_is_said(tmp_path, reader):
    (tmp_path / "scorer_1").mkdir()
    with pytest.raises(BadRecording, match=r"nothing here\.tsv: ") as error:
        read(reader, tmp_path / "scorer_1" / "nothing here.tsv")
    assert error.value.code == "label_file"


# What holds for any labels

HYPNOGRAMS = st.lists(st.sampled_from(list(CODES.values())), min_size=1, max_size=60)


@FAST
@given(stages=HYPNOGRAMS)
def test_any_hypnogram_comes_back_from_text(tmp_path, stages):
    assert hypnogram_of(text_scoring(tmp_path, stages), 30.0 * len(stages)) == stages


@st.composite
def timed_stages(draw):
    """Stages on a grid of 0.1 s that do not overlap, in a recording of any length."""
    rows, at = [], draw(st.integers(0, 400))
    for _ in range(draw(st.integers(1, 30))):
        length = draw(st.integers(1, 900))
        rows.append((at / 10, length / 10, draw(st.sampled_from(list(CODES)))))
        at += length + draw(st.sampled_from([0, 0, 0, 7, 300]))
    return annotation_table(rows), draw(st.integers(300, 12_000)) / 10


@pytest.mark.filterwarnings("ignore:.*hold more than one stage")
@FAST
@given(timed_stages())
def test_the_stage_of_an_epoch_is_the_one_of_most_of_its_samples(stages_and_duration):
    stages, duration_s = stages_and_duration
    samples = np.full(100_000, -1)  # at 10 Hz
    for row in stages.itertuples():
        samples[round(row.onset_s * 10) : round((row.onset_s + row.duration_s) * 10)] = CODES[row.description]
    expected = []
    for epoch in samples[: round(duration_s * 10) // 300 * 300].reshape(-1, 300):
        counts = {code: int((epoch == code).sum()) for code in CODES.values()}
        most = max(counts.values())
        winners = [code for code, count in counts.items() if count == most]
        expected.append(winners[0] if len(winners) == 1 and most >= 150 else 9)
    assert hypnogram_from_stages(stages, duration_s, CODES).tolist() == expected


@pytest.mark.filterwarnings("ignore:.*hold more than one stage")
@FAST
@given(timed_stages(), st.integers(-5_000, 5_000))
def test_labels_shifted_and_set_back_by_offset_are_the_same(stages_and_duration, shift):
    stages, _ = stages_and_duration
    shifted = stages.assign(onset_s=stages.onset_s + shift / 10)
    there, back = Scoring(stages), Scoring(shifted)
    assert hypnogram_of(there, 5000) == hypnogram_of(back, 5000, offset_s=-shift / 10)


@pytest.mark.filterwarnings("ignore:.*hold more than one stage")
@FAST
@given(timed_stages(), st.integers(0, 5), st.integers(6, 20))
def test_a_recording_cut_on_its_grid_has_the_same_labels(stages_and_duration, first, last):
    stages, _ = stages_and_duration
    whole = with_scoring(recording(5000), Scoring(stages), codes=CODES).cut(30.0 * first, 30.0 * last)
    moved = stages.assign(onset_s=stages.onset_s - 30.0 * first)
    assert whole.hypnogram.tolist() == hypnogram_from_stages(moved, whole.duration_s, CODES).tolist()


SCRAPS = st.sampled_from(
    [b"0", b"30", b",", b"\t", b"\n", b"onset", b"duration", b"stage", b"W", b"[", b"]", b"n/a", b"nan"]
)
XML = st.sampled_from([b"<PSGAnnotation>", b"<ScoredEvents>", b"<ScoredEvent>", b"</ScoredEvent>", b"<Start>", b"&a;"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", LABEL_READERS)
@FAST
@given(st.one_of(st.binary(max_size=600), st.lists(st.one_of(SCRAPS, XML), max_size=40).map(b"".join)))
def test_anything_at_all_is_read_or_refused(tmp_path, reader, content):
    for i in range(1, 6):
        (tmp_path / f"scorer_{i}").mkdir(exist_ok=True)
        (tmp_path / f"scorer_{i}" / "night.ann").write_bytes(content)
    try:
        scoring = read(reader, tmp_path / "scorer_1" / "night.ann")
    except BadRecording as error:
        assert str(error)
    else:
        assert isinstance(scoring.stages, pd.DataFrame)


def test_unknown_labels_count_as_unscored_only_where_that_is_the_rule():
    scoring = scoring_of_list(["W", "N2", "??"], 30)
    night = Recording(("EEG",), [np.zeros(1)], (100.0,), ("uV",), 90.0)
    codes = {"W": 0, "N2": 2}
    with pytest.raises(ValueError, match=r"unknown stage labels: '\?\?'"):
        with_scoring(night, scoring, codes=codes)
    with pytest.warns(UserWarning, match=r"1 labels count as unscored: '\?\?'"):
        assert with_scoring(night, scoring, codes=codes, unknown="unscored").hypnogram.tolist() == [0, 2, 9]


def own(*rows, duration_s=90.0, **changes):
    return Recording(("EEG",), [np.zeros(1)], (100.0,), ("uV",), duration_s, annotation_table(rows), **changes)


def test_own_labels_are_shifted_once_and_kept_once():
    night = own((0, 30, "Sleep stage W"), (30, 30, "Sleep stage R"), (10, 5, "arousal"))
    shifted = with_scoring(night, None, offset_s=30)
    assert shifted.hypnogram.tolist() == [9, 0, 4] and shifted.arousals.tolist() == [[40, 45]]
    with pytest.raises(BadRecording, match="the rule `lights` is for labels of another file"):
        with_scoring(night, None, length="lights")


def test_an_own_plain_list_must_be_as_long_as_the_signals():
    rows = [(0, 30, "Sleep stage W"), (30, 30, "Sleep stage ?")]
    assert with_scoring(own(*rows), None).hypnogram.tolist() == [0, 9, 9], "times of their own: the rest is unscored"
    with pytest.raises(BadRecording, match=r"cover 0 s to 60 s \(60 s\), the signals last 90 s"):
        with_scoring(own(*rows, labels_epoch_s=30.0), None)
    with pytest.raises(BadRecording, match=r"cover 0 s to 60 s \(60 s\), the signals last 30 s"):
        with_scoring(own(*rows, duration_s=30.0, labels_epoch_s=30.0), None)


@pytest.mark.parametrize(("labels", "message"), [(["Night 1", "W"], "if it is a header"), (["a", "b"], "none of 2")])
def test_counting_unknown_labels_as_unscored_hides_no_mistake(labels, message):
    with pytest.raises(BadRecording, match=message):
        with_scoring(own(duration_s=60.0), scoring_of_list(labels, 30), codes={"W": 0}, unknown="unscored")


def test_long_unknown_labels_are_not_repeated():
    with pytest.raises(BadRecording, match="unknown stage labels: 'Q', a longer text") as refusal:
        hypnogram_from_stages(annotation_table([(0, 30, "Q"), (30, 30, "scored by Erika")]), 60, STANDARD_CODES)
    assert "Erika" not in str(refusal.value)


def test_every_file_of_a_scoring_is_known(tmp_path):
    base, more = tmp_path / "01-03-0001 Base.edf", tmp_path / "01-03-0001 Annotations.edf"
    assert label_files("mass", base) == [base]
    more.touch()
    assert label_files("mass", base) == [base, more]
    scorer = tmp_path / "scorer_2" / "a.json"
    assert label_files("dod_scorers", scorer) == [tmp_path / f"scorer_{i}" / "a.json" for i in range(1, 6)]
    assert label_files("text", base) == [base]

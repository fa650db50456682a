"""Labels of NSRR, PhysioNet, Dreem, MASS and EDF are read; whatever a file of any format holds is read or refused."""

from datetime import time

import numpy as np
import pandas as pd
import pytest
import wfdb
from helpers.edf_files import signal
from helpers.edf_files import write_edf as write_signals
from helpers.label_files import annotations, mass_event, nsrr, write_arousal, write_edf, write_scorers
from helpers.toy_labels import CODES, DIGITS, FAST, START, hypnogram_of, read, recording, write
from hypothesis import given
from hypothesis import strategies as st

from anysleep.data import BadRecording, read_recording
from anysleep.published import read_published
from anysleep.recordings.labels import LABEL_READERS, STANDARD_CODES, arousals_scored, label_files, with_scoring
from anysleep.recordings.labels.edf import mass_trim_s

NSRR_CODES = {"Wake|0": 0, "Stage 1 sleep|1": 1, "Stage 2 sleep|2": 2, "REM sleep|5": 4, "Unscored|9": 9}


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


NAMED = {
    "a-nsrr.xml": nsrr(("Stages|Stages", "Wake|0", 0, 30), ("Stages|Stages", "Stage 2 sleep|2", 30, 30)),
    "a.xml": "<CMPStudyConfig><EpochLength>30</EpochLength><SleepStages><SleepStage>0</SleepStage>"
    "<SleepStage>2</SleepStage></SleepStages></CMPStudyConfig>",
    "sub-1_events.tsv": "onset\tduration\tstage\n0\t30\tW\n30\t30\tN2\n",
    "a.txt": "W\nN2\n",
    "a.csv": "onset_s,stage\n0,Wake\n30,N2\n",
    "a.ids": "0,30,W\n30,30,N2\n",
    "a.json": '{"values": ["WAKE", "N2"], "freq": "30s"}',
}


@pytest.mark.parametrize("name", NAMED)
def test_a_scoring_of_a_night_is_read_by_its_name_or_root(tmp_path, name):
    psg = write_signals(tmp_path / "psg.edf", [signal("EEG Cz", 64, seconds=60)])
    scoring = write(tmp_path / name, NAMED[name])
    assert read_recording(psg, hypnogram_path=scoring).hypnogram.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.mat", "W", r"no label reader for '\.mat'; a recipe can name one of edf, nsrr"),
        ("a.xml", "<report/>", "no label reader for <report>"),
        ("a.ids", "0,30,Doe\n", "'Doe'"),
        ("sub-1_events.tsv", "onset\tduration\tdescription\n0\t30\tspindle\n", "no row is a stage"),
        ("a.txt", "W\nN2\nN2\nN2\n", "the labels cover 0 s to 120 s .*, the signals last 60 s"),
        (
            "a.json",
            '{"values": ["WAKE"], "freq": "30s", "start": "2024-02-29 03:00"}',
            "scored before the first sample",
        ),
    ],
)
def test_a_scoring_that_is_named_and_does_not_fit_is_refused(tmp_path, name, text, message):
    psg = write_signals(tmp_path / "psg.edf", [signal("EEG Cz", 64, seconds=60)])
    with pytest.raises(BadRecording, match=message):
        read_recording(psg, hypnogram_path=write(tmp_path / name, text))


ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><PSGAnnotation>&b;</PSGAnnotation>'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nsrr(("Stages|Stages", "Wake|0", 0, 30))[:-9], "no whole XML file"),
        (nsrr(), "no PSGAnnotation/ScoredEvents"),
        (nsrr(("Stages|Stages", "Wake|0", 0, 30), root="CMPStudyConfig"), "in <CMPStudyConfig>.*'profusion'"),
        (nsrr(("Stages|Stages", "Wake|0", "", 30)), "its Start is ''"),
        (nsrr(("Stages|Stages", "Wake|0", 0, "long")), "its Duration is 'long'"),
        (ENTITIES, "no whole XML file.*Entit"),
    ],
)
def test_a_damaged_nsrr_file_is_named_and_entities_are_not_expanded(tmp_path, text, message):
    with pytest.raises(BadRecording, match=message.replace("|", r"\|")) as error:
        read("nsrr", write(tmp_path / "a-nsrr.xml", text))
    assert error.value.code == "label_file"


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


def is_scored(scoring, codes=STANDARD_CODES):
    return arousals_scored(with_scoring(recording(150, start_time=START), scoring, codes=codes), scoring)


def test_a_night_of_mass_is_scored_for_arousals_where_its_annotations_hold_one(tmp_path):
    base = write_edf(tmp_path / "01-03-0001 Base.edf", (0, 30, "Sleep stage W"), (30, 30, "Sleep stage 2"))
    assert not is_scored(read("mass", base, STANDARD_CODES))
    beside, spindle = tmp_path / "01-03-0001 Annotations.edf", (50, 2, mass_event("EEG C3-CLE", "Spindle"))
    write_edf(beside, spindle)
    assert not is_scored(read("mass", base, STANDARD_CODES))
    write_edf(beside, spindle, (55, 4, mass_event("EEG C3-CLE")))
    assert is_scored(read("mass", base, STANDARD_CODES))


def test_a_night_of_the_nsrr_is_scored_for_arousals_where_its_file_lists_one(tmp_path):
    events = [("Stages|Stages", "Wake|0", 0, 60), ("Respiratory|Respiratory", "Hypopnea|Hypopnea", 70, 20)]
    assert not is_scored(read("nsrr", write(tmp_path / "a-nsrr.xml", nsrr(*events))), NSRR_CODES)
    events.append(("Arousals|Arousals", "Arousal|Arousal ()", 40, 5))
    assert is_scored(read("nsrr", write(tmp_path / "a-nsrr.xml", nsrr(*events))), NSRR_CODES)


def test_an_arousal_file_of_physionet_says_that_there_is_none(tmp_path):
    path = write_arousal(tmp_path, [(0, "N2"), (5, "(resp_hypopnea"), (20, "resp_hypopnea)"), (60, "W")])
    assert is_scored(read("physionet", path), {"N2": 2, "W": 0})
    other = path.rename(path.with_suffix(".st"))
    assert not is_scored(read("physionet", other), {"N2": 2, "W": 0})


def test_the_trim_of_a_mass_recording_is_published():
    assert mass_trim_s("mass-c1", "01-01-0001") == 9
    assert len(read_published("mass_trims")) == 115
    with pytest.raises(BadRecording, match="no trim is published for '01-02-0001' of 'mass-c2'") as error:
        mass_trim_s("mass-c2", "01-02-0001")
    assert error.value.code == "label_time"


@pytest.mark.parametrize("reader", LABEL_READERS)
def test_a_missing_label_file_is_said(tmp_path, reader):
    (tmp_path / "scorer_1").mkdir()
    with pytest.raises(BadRecording, match=r"nothing here\.tsv: ") as error:
        read(reader, tmp_path / "scorer_1" / "nothing here.tsv")
    assert error.value.code == "label_file"


SCRAPS = st.sampled_from(
    [b"0", b"30", b",", b"\t", b"\n", b"onset", b"duration", b"stage", b"W", b"[", b"]", b"n/a", b"nan"]
)
XML = st.sampled_from([b"<PSGAnnotation>", b"<ScoredEvents>", b"<ScoredEvent>", b"</ScoredEvent>", b"<Start>", b"&a;"])
XML |= st.sampled_from([b"<CMPStudyConfig>", b"<SleepStages>", b"<SleepStage>", b"</SleepStage>", b"</SleepStages>"])


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


def test_every_file_of_a_scoring_is_known(tmp_path):
    base, more = tmp_path / "01-03-0001 Base.edf", tmp_path / "01-03-0001 Annotations.edf"
    assert label_files("mass", base) == [base]
    more.touch()
    assert label_files("mass", base) == [base, more]
    scorer = tmp_path / "scorer_2" / "a.json"
    assert label_files("dod_scorers", scorer) == [tmp_path / f"scorer_{i}" / "a.json" for i in range(1, 6)]
    assert label_files("text", base) == [base]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is no JSON file of a yasa Hypnogram"),
        ("[]", "this is no JSON file of a yasa Hypnogram"),
        ('{"freq": "30s"}', "this is no JSON file of a yasa Hypnogram: 'values'"),
        ('{"values": ["WAKE"], "freq": "soon"}', "this is no JSON file of a yasa Hypnogram"),
        ('{"values": ["WAKE"], "freq": "0s"}', "there are no stages that last"),
        ('{"values": [], "freq": "30s"}', "there are no stages that last"),
        ('{"values": [1], "freq": "30s"}', "this is no JSON file of a yasa Hypnogram: 1 is no label"),
    ],
)
def test_a_damaged_file_of_yasa_is_named(tmp_path, text, message):
    with pytest.raises(BadRecording, match=rf"hyp\.json: {message}") as error:
        read("yasa", write(tmp_path / "hyp.json", text))
    assert error.value.code == "label_file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (annotations()[:-9], "no whole XML file"),
        (annotations(root="list"), "no annotationlist/annotation in <list>"),
        ("<annotationlist/>", "no annotationlist/annotation"),
        (annotations(onset="soon"), "'soon' is no onset; expected as 2024-02-01T22:30:00"),
        (annotations(start=""), "'' is no recording_start_time"),
        (annotations(onset="2024-02-01T22:00:00Z"), "is no onset"),
        (annotations(duration="long"), "'long' is no duration"),
        (ENTITIES, "no whole XML file.*Entit"),
    ],
)
def test_a_damaged_file_of_edfbrowser_is_named(tmp_path, text, message):
    with pytest.raises(BadRecording, match=message) as error:
        read("edfbrowser", write(tmp_path / "a.xml", text))
    assert error.value.code == "label_file"


def test_edfbrowser_places_by_the_moments(tmp_path):
    later = "2000-01-01T22:00:30"
    scoring = read("edfbrowser", write(tmp_path / "a.xml", annotations(onset=later, start=later)))
    night = with_scoring(recording(60, start_time=START), scoring, codes=CODES)
    assert night.hypnogram.tolist() == [9, 0]

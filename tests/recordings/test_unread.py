"""An annotation that breaks the rules of EDF+ costs the labels at most, never the signals; and it is named."""

import numpy as np
import pytest
from helpers.archives import recipe, write_night
from helpers.bad_recordings import edf_bytes
from helpers.edf_files import signal, write_edf
from helpers.label_files import nsrr
from helpers.toy_labels import write

from anysleep.data import BadRecording, read_recording
from anysleep.datasets.preparation import prepare_archive
from anysleep.recordings import quality

EVENTS = {
    "a negative duration": b"+40\x15-3\x14Apnea\x14",
    "a comma in the onset": b"+40,5\x155\x14Apnea\x14",
    "no sign": b"40.5\x155\x14Apnea\x14",
    "an empty duration": b"+40\x15\x14Apnea\x14",
    "no onset": b"\x155\x14Apnea\x14",
    "blanks as padding": b"      ",
}
STAGES = {
    "a stage": b"+60\x15-3\x14Sleep stage N2\x14",
    "a stage by its name": b"60\x14REM\x14",
    "wake": b"60\x14W\x14",
    "a stage behind an event": b"60\x14Apnea\x14Sleep stage W\x14",
    "what tells nothing": b"+60\x15garbage",
}
WIDTH = 120


def write_damaged(path, damage, record=3):
    """90 s, scored as Wake, N1 and N1, with the damage behind the time of one data record."""
    records = [b"+%d\x14\x14\0" % i for i in range(90)]
    for onset_s, text in ((0, b"W"), (30, b"N1"), (60, b"N1")):
        records[onset_s] += b"+%d\x1530\x14Sleep stage %s\x14\0" % (onset_s, text)
    records[record] += damage
    plain = edf_bytes(["EEG C3-M2", "EOG E1-M2", "EDF Annotations"], [64, 64, WIDTH // 2], 90, 1)
    body, size = bytearray(plain), 2 * 64 * 2 + WIDTH
    for i, notes in enumerate(records):
        end = len(plain) - (89 - i) * size
        body[end - WIDTH : end] = notes.ljust(WIDTH, b"\0")
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_that_cannot_be_read_costs_neither_signals_nor_stages(tmp_path, kind):
    path = write_damaged(tmp_path / "night.edf", EVENTS[kind])
    with pytest.raises(BadRecording, match="1 annotation cannot be read, the first in data record 3, byte 5 of its"):
        read_recording(path)
    with pytest.warns(UserWarning, match="1 annotation cannot be read, the first in data record 3.*: left out"):
        night = read_recording(path, labels="lenient")
    assert night.hypnogram.tolist() == [0, 1, 1] and night.channels == ("EEG C3-M2", "EOG E1-M2")
    assert len(night.signals[0]) == 90 * 64 and len(night.annotations) == 3


@pytest.mark.filterwarnings("ignore:1 annotation")
@pytest.mark.parametrize("kind", STAGES)
def test_a_stage_that_cannot_be_read_costs_the_labels(tmp_path, kind):
    path = write_damaged(tmp_path / "night.edf", STAGES[kind])
    with pytest.warns(UserWarning, match="counts as unscored: 1 annotation .* a stage may be among them"):
        night = read_recording(path, labels="lenient")
    assert night.hypnogram is None and np.isfinite(night.signals[1]).all()


def test_blanks_behind_an_annotation_are_no_annotation(tmp_path):
    path = write_damaged(tmp_path / "night.edf", b"+40\x155\x14Apnea\x14      ")
    assert read_recording(path).annotations.description.tolist()[-2:] == ["Apnea", "Sleep stage N1"]


def test_the_doctor_reads_the_signals_and_says_what_is_left_out(tmp_path, capsys):
    path = write_damaged(tmp_path / "night.edf", EVENTS["no sign"])
    assert quality.main([str(path)]) == 0
    assert "note: 1 annotation cannot be read, the first in data record 3" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*annotations? cannot be read")
def test_in_a_scoring_of_its_own_too_the_stages_count_and_events_do_not(tmp_path):
    psg = write_edf(tmp_path / "psg.edf", [signal("EEG Cz", 64, seconds=90)])
    for damage, expected in ((EVENTS["no sign"], [0, 1, 1]), (STAGES["a stage"], None)):
        scoring = write_damaged(tmp_path / "scoring.edf", damage)
        options = {"hypnogram_path": scoring, "start": "with_signal"}
        with pytest.raises(BadRecording, match="data record 3"):
            read_recording(psg, **options)
        hypnogram = read_recording(psg, labels="lenient", **options).hypnogram
        assert (None if hypnogram is None else hypnogram.tolist()) == expected


@pytest.mark.parametrize("damage", [EVENTS["no sign"], STAGES["what tells nothing"]])
def test_what_the_recording_cannot_say_is_no_fault_of_a_scoring_of_its_own(tmp_path, damage):
    path = write_damaged(tmp_path / "night.edf", damage)
    scoring = write(tmp_path / "scoring.txt", "N2\nN3\nREM\n")
    with pytest.warns(UserWarning, match="1 annotation cannot be read, the first in data record 3.*: left out"):
        assert read_recording(path, hypnogram_path=scoring).hypnogram.tolist() == [2, 3, 4]


@pytest.mark.parametrize("labels", [{"reader": "own"}, None])
def test_a_night_with_an_annotation_that_cannot_be_read_is_not_prepared(tmp_path, labels):
    (tmp_path / "in").mkdir()
    write_night(tmp_path / "in" / "p01-night1.edf")
    write_damaged(tmp_path / "in" / "p02-night1.edf", b"+40\x15-3\x14arousal\x14")
    used = recipe(participants=None, labels=labels)
    table, _ = prepare_archive([(used, tmp_path / "in")], tmp_path / "a.h5", sampling_rate_hz=64)
    assert table.code.tolist() == ["ok", "damaged"]
    assert table.reason[1] == "1 annotation cannot be read, the first in data record 3, byte 5 of its annotations"


@pytest.mark.parametrize("kind", ["Respiratory|Respiratory", "Stages|Stages"])
def test_an_event_of_the_nsrr_without_a_start_costs_no_stage_but_a_stage_the_labels(tmp_path, kind):
    psg = write_edf(tmp_path / "psg.edf", [signal("EEG Cz", 64, seconds=90)])
    events = [("Stages|Stages", "Wake|0", 0, 90), (kind, "Stage 1 sleep|1" if kind[0] == "S" else "Hypopnea", "", 20)]
    labels = write(tmp_path / "a-nsrr.xml", nsrr(*events))
    with pytest.raises(BadRecording, match="ScoredEvent 2: its Start is ''; expected seconds"):
        read_recording(psg, hypnogram_path=labels)
    with pytest.warns(UserWarning, match="ScoredEvent 2: its Start is ''"):
        hypnogram = read_recording(psg, hypnogram_path=labels, labels="lenient").hypnogram
    assert (None if hypnogram is None else hypnogram.tolist()) == (None if kind[0] == "S" else [0, 0, 0])

"""When the lights went off and on: who says it first, over midnight, and what cannot be."""

from dataclasses import replace

import edfio
import numpy as np
import pytest
from helpers.archives import recipe
from helpers.edf_files import signal, stage, write_edf
from helpers.toy_labels import recording

from anysleep.datasets.archive import Archive
from anysleep.datasets.preparation import prepare_archive
from anysleep.recordings.lights import Lights, epochs_in_bed, find_lights
from anysleep.recordings.reasons import BadRecording, RecordingWarning, noted
from anysleep.recordings.recording import annotation_table

HOURS_8 = 8 * 3600.0


def test_annotations_go_before_participants_and_these_before_a_parameter():
    told = {"participants": ("23:00", "06:00"), "parameter": ("120", "25000")}
    assert find_lights(HOURS_8, "22:50:00", annotations=(30.0, None), **told) == (
        30.0, 7 * 3600 + 600, "annotations", "participants",
    )  # fmt: skip
    assert find_lights(HOURS_8, "22:50:00", **told)[:2] == (600, 7 * 3600 + 600)
    assert find_lights(HOURS_8, parameter=("120", "25000")) == (120, 25000, "parameter", "parameter")
    assert find_lights(HOURS_8, parameter=("", "")) == (0, HOURS_8, "recording", "recording")


def test_one_line_says_when_and_from_whom():
    lights = find_lights(HOURS_8, "22:50:00", annotations=(900.0, None))
    assert lights.line("22:50:00") == (
        "lights off at 23:05:00 (900 s) (from annotations), "
        "on at 06:50:00 (28800 s) (not known, where the recording ends stands in)"
    )
    told = find_lights(HOURS_8, parameter=("", "25000"))
    assert (
        told.line()
        == "lights off at 0 s (not known, where the recording begins stands in), on at 25000 s (from parameter)"
    )
    assert find_lights(HOURS_8, "22:50:00").line("22:50:00") == (
        "lights not known: the whole recording counts as time in bed"
    )
    assert lights.lights_from == "annotations, recording" and lights.noted_s == (900, None)
    assert Lights(0, 1, "parameter", "parameter").lights_from == "parameter"


def test_annotations_that_contradict_each_other_are_said_and_others_count():
    annotations = (1000.0, 900.0)
    for others, found in {
        ("", ""): (0, HOURS_8, "recording"),
        ("950", "25000"): (950, 25000, "parameter"),
    }.items():
        with pytest.warns(RecordingWarning, match=r"lights on \(900 s, annotations\) are not .* count as unknown"):
            lights = find_lights(HOURS_8, annotations=annotations, parameter=others)
        assert (lights.off_s, lights.on_s, lights.lights_from) == found and lights.unused(others) == ""


@pytest.mark.parametrize(
    ("notes", "lights_s", "said"),
    [
        ([(60, "Lights off"), (300, "Lights on"), (400, "lights out")], (60, 300), ["off are annotated at 2 times"]),
        ([(0, "Lights On"), (60, "lights_off"), (900, "LIGHTS ON")], (60, 900), ["on are annotated at 2 times"]),
        ([(60, "Lights off"), (60, "Lights off"), (900, "Lights on")], (60, 900), []),
    ],
)  # fmt: skip
def test_of_several_annotations_the_first_off_and_the_last_on_count_and_that_is_said(notes, lights_s, said):
    annotated = replace(recording(1000.0), annotations=annotation_table([(at_s, 0, text) for at_s, text in notes]))
    with noted() as notes:
        assert annotated.lights_s == lights_s
    assert [text in note for text, note in zip(said, notes, strict=True)] == [True] * len(said)


def test_lights_that_were_typed_and_do_not_count_are_said():
    typed = ("22:50", "")
    lights = find_lights(HOURS_8, "22:40:00", annotations=(900.0, None), parameter=typed)
    assert lights.unused(typed) == "lights_off=22:50 is not used: the annotations say when"
    assert find_lights(HOURS_8, "22:40:00", parameter=typed).unused(typed) == ""


@pytest.mark.parametrize(
    ("clock", "at_s"), [("23:59", 60), ("23:59:30.5", 90.5), ("00:03", 300), ("0:03", 300), ("07:57:59", 28799)]
)
def test_a_clock_time_is_the_next_one_over_midnight_too(clock, at_s):
    assert find_lights(HOURS_8, "23:58:00", parameter=("", clock)).on_s == at_s
    assert find_lights(HOURS_8, "23:58:00", parameter=(clock, "")).off_s == at_s


@pytest.mark.parametrize(
    ("parameter", "clock_time", "message"),
    [
        (("07:00", "23:30"), "22:00:00", r"lights off \(parameter\): 07:00 lies outside the recording, which"),
        (("01:00", "00:30"), "22:00:00", r"lights on \(9000 s, parameter\) are not after lights off \(10800 s"),
        (("21:59", ""), "22:00:00", "lies outside the recording, which lasts 28800 s and begins at 22:00:00"),
        (("", "28830"), None, r"lights on \(parameter\): 28830 s lies outside"),
        (("-1", ""), None, "-1 s lies outside"),
        (("nan", ""), None, "nan s lies outside"),
        (("23:10", ""), None, "23:10 has no place, since the recording tells no clock; say seconds"),
        (("00:10", ""), "00:00:00", "tells no clock"),
        (("late", ""), "22:00:00", "'late' is neither a clock time such as 23:10 nor seconds"),
        (("0.958333", ""), "22:00:00", "'0.958333' is neither a clock time"),
        (("24:10", ""), "22:00:00", "'24:10' is neither a clock time"),
    ],
)  # fmt: skip
def test_lights_that_cannot_be_are_refused(parameter, clock_time, message):
    with pytest.raises(BadRecording, match=message):
        find_lights(HOURS_8, clock_time, parameter=parameter)


def test_a_clock_time_that_comes_twice_is_refused():
    with pytest.raises(BadRecording, match="comes more than once in 30 h; say seconds"):
        find_lights(30 * 3600.0, "20:00:00", parameter=("23:00", ""))


def test_lights_off_noted_to_the_minute_may_come_just_before_the_first_sample():
    assert find_lights(3600, "22:50:20", parameter=("22:50", "")).off_s == 0
    with pytest.raises(BadRecording, match="lies outside the recording"):
        find_lights(3600, "22:50:40", parameter=("22:50", ""))
    with pytest.raises(BadRecording, match="not after lights off"):
        find_lights(3600, "22:50:20", parameter=("3605", "3620"))


def test_lights_on_in_the_last_part_of_an_epoch_are_the_end():
    assert find_lights(HOURS_8, annotations=(None, HOURS_8 + 29)).on_s == HOURS_8


@pytest.mark.parametrize(
    ("lights_s", "expected"),
    [
        ((None, None), (0, 10)), ((0, 300), (0, 10)), ((14.9, 285.1), (0, 10)), ((15, 285), (0, 9)),
        ((15.1, 284.9), (1, 9)), ((30, 270), (1, 9)), ((44, 256), (1, 9)),
    ],
)  # fmt: skip
def test_an_epoch_is_in_bed_where_its_middle_is(lights_s, expected):
    in_bed = epochs_in_bed(10, lights_s)
    assert (in_bed.start, in_bed.stop) == expected
    middles = np.arange(10) * 30 + 15
    inside = (middles >= (lights_s[0] or 0)) & (middles < (lights_s[1] or 300))
    assert np.flatnonzero(inside).tolist() == list(range(*expected))


def test_a_bed_without_an_epoch_is_refused():
    with pytest.raises(ValueError, match="none of 10 epochs lies between lights off"):
        epochs_in_bed(10, (100, 104))


SECONDS = 400


def prepared(folder, table, notes=(), **changes):
    """What becomes of a night that begins at 22:58:03 and has these annotations, and this row of a table of persons."""
    (folder / "in").mkdir()
    both = [signal("EEG C3-M2", 100, seconds=SECONDS), signal("EOG E1-M2", 64, seconds=SECONDS)]
    stages = [stage(0, 120, "W"), stage(120, 240, "N2"), stage(360, 40, "W")]
    write_edf(folder / "in" / "p01-night1.edf", both, [*stages, *notes])
    (folder / "in" / "people.tsv").write_text("id\toff\ton\n" + table)
    columns = {"key": "id", "lights_off": "off", "lights_on": "on"}
    used = recipe(participants={"file": "people.tsv", "columns": columns}, **changes)
    return prepare_archive([(used, folder / "in")], folder / "archive.h5", sampling_rate_hz=128)[0].iloc[0]


def lights_in(folder):
    with Archive(folder / "archive.h5") as archive:
        return archive.lights("lab", "p01-night1")


def test_an_archive_knows_the_lights_and_who_noted_them(tmp_path):
    note = edfio.EdfAnnotation(45, None, "Lights off")
    row = prepared(tmp_path, "p01\t22:59:00\t23:03:03\n", [note])
    assert row.notes == "" and lights_in(tmp_path) == {"annotations": (45, None), "participants": (None, 300)}


def test_lights_move_along_when_a_night_is_cut(tmp_path):
    row = prepared(tmp_path, "p01\t90\t23:04:13\n", minutes_around_sleep=1.0)
    assert row.n_epochs == 11 and lights_in(tmp_path) == {"participants": (30, 310)}


def test_lights_outside_what_is_stored_are_said(tmp_path):
    row = prepared(tmp_path, "p01\t30\t330\n", minutes_around_sleep=1.0)
    assert "lights off lie before what is stored" in row.notes and lights_in(tmp_path) == {"participants": (None, 270)}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [("300\t200", r"lights on \(200 s, participants\) are not after"), ("21:00\t", "21:00 lies outside")],
)  # fmt: skip
def test_participants_that_do_not_fit_fail_their_night(tmp_path, cells, reason):
    with pytest.raises(ValueError, match=reason) as error:
        prepared(tmp_path, f"p01\t{cells}\n")
    assert error.value.table.code.tolist() == ["lights"]


def test_annotations_that_contradict_each_other_lose_no_night(tmp_path):
    notes = [edfio.EdfAnnotation(200, None, "Lights off"), edfio.EdfAnnotation(10, None, "Lights on")]
    row = prepared(tmp_path, "p01\t\t\n", notes)
    assert row.status == "ok" and lights_in(tmp_path) == {}
    assert (
        "lights on (10 s, annotations) are not after lights off (200 s, annotations): they count as unknown"
        in row.notes
    )


def test_an_archive_from_before_knows_no_lights(tmp_path):
    prepared(tmp_path, "p01\t\t\n")
    assert lights_in(tmp_path) == {}
    assert find_lights(390.0, **lights_in(tmp_path)).lights_from == "recording"

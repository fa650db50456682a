"""A night in several files is one night: joined on one time base, with gaps as time, and nothing foreign in it."""

import re
from datetime import date, datetime, timedelta
from itertools import pairwise

import edfio
import numpy as np
import pytest

from anysleep.data import preprocess, read_recording
from anysleep.datasets.archive import Archive
from anysleep.datasets.night import source_sha256
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import Recipe
from anysleep.recordings import quality
from anysleep.recordings.reasons import BadRecording, RecordingWarning
from anysleep.settings import ParameterError
from anysleep.system.files import sha256_of
from anysleep.workbook.run import Run

START = datetime(2024, 2, 29, 23, 50)
SECONDS = 1200
EEG, EOG = (
    (40 * np.random.default_rng(i).standard_normal(SECONDS * hz)).clip(-190, 190) for i, hz in enumerate((100, 50))
)
CHANNELS = {"EEG C3-M2": (EEG, 100), "EOG E1-M2": (EOG, 50)}


def write_part(path, start_s, end_s, channels=CHANNELS, start=START, notes=(), record_s=1, **patient):
    """The seconds from start to end of the night, as a file with its own start, in whole seconds."""
    signals = [
        edfio.EdfSignal(x[int(start_s * hz) : int(end_s * hz)], hz, label=name, physical_dimension="uV",
                        physical_range=(-200, 200))
        for name, (x, hz) in channels.items()
    ]  # fmt: skip
    begins = (start + timedelta(seconds=start_s)).replace(microsecond=0)
    edfio.Edf(
        signals,
        patient=edfio.Patient(**patient),
        recording=edfio.Recording(startdate=begins.date()),
        starttime=begins.time(),
        data_record_duration=record_s,
        annotations=[edfio.EdfAnnotation(*note) for note in notes] or None,
    ).write(path)
    return path


def write_paused(path, first_end_s, second_start_s):
    """The same night as one EDF+D file: seconds 0 to `first_end_s` and from `second_start_s` on."""
    n = first_end_s + SECONDS - second_start_s
    kept = {
        name: (np.concatenate([x[: first_end_s * hz], x[second_start_s * hz :]]), hz)
        for name, (x, hz) in CHANNELS.items()
    }
    write_part(path, 0, n, kept, notes=[(0, None, "wide enough for longer onsets")])
    content = bytearray(path.read_bytes())
    head = int(content[184:192])
    size = (len(content) - head) // n
    for record in range(n):
        onset_s = record if record < first_end_s else record - first_end_s + second_start_s
        at = head + record * size
        text = re.sub(rb"\+\d+\x14\x14", b"+%d\x14\x14" % onset_s, bytes(content[at : at + size]), count=1)
        content[at : at + size] = text[:size].ljust(size, b"\0")
    content[192:197] = b"EDF+D"
    path.write_bytes(content)
    return path


def ready(night):
    return preprocess(night.signals, night.rates_hz, 128, gaps_s=night.gaps_s)


def test_two_parts_with_a_gap_are_as_one_file_that_paused(tmp_path):
    parts = [write_part(tmp_path / "a.edf", 0, 500), write_part(tmp_path / "b.edf", 620, SECONDS)]
    joined, paused = read_recording(parts), read_recording(write_paused(tmp_path / "d.edf", 500, 620))
    assert joined.gaps_s.tolist() == paused.gaps_s.tolist() == [[500, 620]]
    assert (joined.duration_s, joined.start_time) == (paused.duration_s, paused.start_time) == (SECONDS, START)
    for ours, theirs in zip(joined.signals, paused.signals, strict=True):
        assert np.array_equal(ours, theirs, equal_nan=True) and np.isnan(ours).sum() == len(ours) // 10
    assert np.array_equal(ready(joined), ready(paused))


@pytest.mark.parametrize("at_s", [600, 600.5])
def test_parts_without_a_gap_are_the_whole(tmp_path, at_s):
    """Also where a header of whole seconds cannot tell the fraction with which the second part begins."""
    whole = read_recording(write_part(tmp_path / "whole.edf", 0, SECONDS))
    step = {"record_s": 0.5 if at_s % 1 else 1}
    parts = [write_part(tmp_path / "a.edf", 0, at_s, **step), write_part(tmp_path / "b.edf", at_s, SECONDS, **step)]
    if at_s % 1:
        with pytest.warns(RecordingWarning, match=r"begins 0\.5 s before another ends, by a clock of whole seconds"):
            joined = read_recording(parts)
    else:
        joined = read_recording(parts)
    assert joined.duration_s == SECONDS and len(joined.gaps_s) == 0
    assert all(np.array_equal(*both) for both in zip(joined.signals, whole.signals, strict=True))
    assert np.array_equal(ready(joined), ready(whole))


def test_the_order_of_the_list_does_not_matter_and_midnight_is_no_border(tmp_path):
    """The night goes over midnight, and over the end of February of a leap year."""
    borders = [0, 300, 640, 700, SECONDS]
    parts = [write_part(tmp_path / f"{i}.edf", a, b) for i, (a, b) in enumerate(pairwise(borders))]
    joined, shuffled = read_recording(parts), read_recording([parts[i] for i in (2, 0, 3, 1)])
    assert shuffled.start_time == joined.start_time == START and shuffled.files == joined.files == tuple(parts)
    assert np.array_equal(shuffled.signals[0], joined.signals[0])
    assert np.abs(joined.signals[0] - EEG).max() < 400 / 65535
    assert source_sha256(*parts) == source_sha256(*reversed(parts)) != source_sha256(*parts[:3])
    assert source_sha256(parts[0]) == sha256_of(parts[0])


def test_anonymous_dates_leave_the_time_of_day(tmp_path):
    parts = [write_part(tmp_path / f"{i}.edf", 400 * i, 400 * i + 400) for i in (2, 0, 1)]
    for part in parts:
        content = part.read_bytes()
        part.write_bytes(content[:88] + b"Startdate X X X X".ljust(80) + b"01.01.85" + content[176:])
    with pytest.warns(RecordingWarning, match="by the time of day, the night goes over midnight"):
        joined = read_recording(parts)
    assert joined.clock_time == "23:50:00" and len(joined.gaps_s) == 0
    assert np.abs(joined.signals[0] - EEG).max() < 400 / 65535


def test_a_start_may_have_a_fraction(tmp_path):
    """As EDF+ tells it: the first data record begins so long after the second of the header."""
    parts = [
        write_part(tmp_path / "a.edf", 0, 500),
        write_part(tmp_path / "b.edf", 620, 900, notes=[(0, None, "x" * 9)]),
    ]
    content = parts[1].read_bytes()
    head = int(content[184:192])
    size = (len(content) - head) // 280
    records = [content[head + i * size : head + (i + 1) * size] for i in range(280)]
    moved = [
        re.sub(rb"\+\d+\x14\x14", b"+%d.507\x14\x14" % i, record, count=1)[:size].ljust(size, b"\0")
        for i, record in enumerate(records)
    ]
    parts[1].write_bytes(content[:head] + b"".join(moved))
    joined = read_recording(parts)
    assert joined.gaps_s[0].tolist() == pytest.approx([500, 620.51], abs=1e-5)  # the next sample, as in EDF+D
    assert np.isnan(joined.signals[0]).sum() == 12051
    assert np.abs(joined.signals[0][62051:] - EEG[62000:90000]).max() < 400 / 65535


def test_gaps_within_a_part_move_with_it_and_so_do_annotations(tmp_path):
    first = write_part(tmp_path / "a.edf", 0, 300, start=START - timedelta(seconds=900))
    second = write_paused(tmp_path / "b.edf", 500, 620)
    joined = read_recording([first, second])
    assert joined.gaps_s.tolist() == [[300, 900], [1400, 1520]]
    assert joined.annotations.onset_s.tolist() == [900]


def test_stages_of_the_parts_and_of_a_file_beside_are_on_the_joined_time(tmp_path):
    stages = [(30.0 * i, 30, f"Sleep stage {'W' if i < 4 else 'N2'}") for i in range(40)]
    parts = [
        write_part(tmp_path / "a.edf", 0, 480, notes=stages[:16]),
        write_part(tmp_path / "b.edf", 630, SECONDS, notes=[(t - 630, d, text) for t, d, text in stages[21:]]),
    ]
    expected = [0] * 4 + [2] * 12 + [9] * 5 + [2] * 19
    assert read_recording(parts).hypnogram.tolist() == expected
    bare = [write_part(tmp_path / "c.edf", 0, 480), write_part(tmp_path / "d.edf", 630, SECONDS)]
    scoring = write_part(tmp_path / "s.edf", 0, 0, {}, notes=stages, record_s=None)
    assert read_recording(bare, hypnogram_path=scoring).hypnogram.tolist() == expected


def other(name, hz=100):
    return {name: (np.resize(EEG, SECONDS * hz), hz), "EOG E1-M2": (EOG, 50)}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"start_s": 498}, r"b\.edf begins at 23:58:18, 2 s before a\.edf ends; leave one out"),
        ({"start": START + timedelta(days=1)}, r"between a\.edf and b\.edf lie 24\.0 h: two nights"),
        ({"channels": other("EEG C4-M1")}, r"a\.edf and b\.edf differ in channels, EEG C3-M2, EEG C4-M1"),
        ({"channels": other("EEG C3-M2", 200)}, r"differ in channel EEG C3-M2: 100 Hz uV and 200 Hz uV"),
        ({"code": "P2", "sex": "F"}, r"headers of a\.edf and b\.edf tell of different patients"),
        ({"code": "P1", "sex": "M"}, "tell of different patients"),
    ],
)
def test_what_is_no_part_of_this_night_is_refused_with_its_name(tmp_path, second, message):
    first = write_part(tmp_path / "a.edf", 0, 500, code="P1", sex="F")
    part = write_part(tmp_path / "b.edf", end_s=SECONDS, **{"start_s": 600, "code": "P1"} | second)
    with pytest.raises(ValueError, match=message):
        read_recording([first, part])


def test_labels_of_a_later_part_are_not_passed_over(tmp_path):
    parts = [
        write_part(tmp_path / f"{name}-PSG.edf", *at_s) for name, at_s in {"a": (0, 600), "b": (600, 1200)}.items()
    ]
    for name in "ab":
        write_part(tmp_path / f"{name}-Hypnogram.edf", 0, 600, notes=[(0, 600, "Sleep stage W")])
    with pytest.raises(ValueError, match=r"b-PSG\.edf has labels of its own; give one file of labels"):
        read_recording(parts)
    assert read_recording(parts, hypnogram_path=tmp_path / "a-Hypnogram.edf").hypnogram is not None


def test_a_hidden_patient_is_no_other_patient(tmp_path):
    patients = ({"code": "P1", "sex": "F", "birthdate": date(1970, 1, 1)}, {"code": "P1"}, {})
    parts = [write_part(tmp_path / f"{i}.edf", 400 * i, 400 * i + 400, **p) for i, p in enumerate(patients)]
    joined = read_recording(parts)
    assert joined.n_epochs == 40 and "P1" not in repr(joined)


def test_a_part_without_a_start_is_refused(tmp_path):
    parts = [write_part(tmp_path / "a.edf", 0, 500), write_part(tmp_path / "b.edf", 600, SECONDS)]
    content = parts[1].read_bytes()
    parts[1].write_bytes(content[:88] + b" " * 80 + b"00.00.00" * 2 + content[184:])
    with (
        pytest.warns(RecordingWarning, match="no start time"),
        pytest.raises(ValueError, match=r"b\.edf does not say when it begins, .*write that into the header"),
    ):
        read_recording(parts)


RECIPE = {
    "dataset": "lab",
    "source": "a laboratory",
    "files": ["*.edf"],
    "name": r"(?P<person>\d+)_(?P<part>\w+)$",
    "recording": "{person}",
    "subject": "{person}",
    "channels": {"eeg": {"C3-M2": "EEG C3-M2"}, "eog": {"E1-M2": "EOG E1-M2"}},
    "labels": {"reader": "text", "file": "{person}.txt"},
}


def prepare(folder, **more):
    return prepare_archive([(Recipe(**RECIPE | more), folder)], folder / "archive.h5", sampling_rate_hz=128)


def test_a_recipe_joins_the_parts_of_each_night(tmp_path):
    for name, part in {
        "1_a": (0, 480),
        "1_b": (630, SECONDS),
        "2_whole": (0, SECONDS),
        "3_a": (0, 500),
        "3_b": (400, 900),
    }.items():
        write_part(tmp_path / f"{name}.edf", *part)
    for person in (1, 2):
        (tmp_path / f"{person}.txt").write_text("\n".join(["W"] * 4 + ["N2"] * 36))
    table, key = prepare(tmp_path, parts=True)
    assert table.recording.tolist() == ["1", "2", "3"] and table.status.tolist() == ["ok", "ok", "failed"]
    assert table.gaps_s.tolist()[:2] == [150, 0] and table.n_scored.tolist()[:2] == [35, 40]
    assert table.code[2] == "time_base" and "_a" not in table.reason[2] and "s before ... ends" in table.reason[2]
    assert key.number.tolist() == [1, 1, 2, 3, 3]
    assert [re.search(r"\d_\w+", file)[0] for file in key.file] == ["1_a", "1_b", "2_whole", "3_a", "3_b"]
    with Archive(tmp_path / "archive.h5") as archive:
        assert archive.gaps("lab", "1").tolist() == [[480, 630]]
        assert archive.hypnogram("lab", "1").tolist() == [0] * 4 + [2] * 12 + [9] * 5 + [2] * 19
        stored = archive.signals("lab", "1", ["C3-M2", "E1-M2"])
    joined = read_recording([tmp_path / "1_a.edf", tmp_path / "1_b.edf"])
    assert np.array_equal(stored, ready(joined))


def test_a_list_or_a_pattern_names_the_parts_of_one_night(tmp_path):
    parts = [write_part(tmp_path / f"night_{i}.edf", 400 * i, 400 * i + 400) for i in range(3)]
    for named in (parts, [tmp_path / "night_*.edf"]):
        run = Run(params=None, folder=tmp_path, run_id="")
        assert run.night(named) == parts
        assert list(run.inputs) == ["recording_1", "recording_2", "recording_3"]
        assert run.inputs["recording_2"] == sha256_of(parts[1])
    with pytest.raises(FileNotFoundError, match=r"recording: no file .*nobody_\*\.edf"):
        run.night([tmp_path / "nobody_*.edf"])


def test_the_doctor_takes_the_parts_of_a_night(tmp_path, capsys):
    parts = [write_part(tmp_path / f"night_{i}.edf", 400 * i, 400 * i + 400) for i in range(3)]
    write_part(tmp_path / "whole.edf", 0, SECONDS)
    told = []
    for named in (parts, [tmp_path / "night_*.edf"], [tmp_path / "whole.edf"]):
        assert quality.main(list(map(str, named))) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] == told[2] and "use   EEG C3-M2" in told[0]
    with pytest.raises(BadRecording, match=r"whole\.edf begins at 23:50:00, 400 s before"):
        quality.main([str(parts[0]), str(tmp_path / "whole.edf")])


def test_a_changed_part_makes_the_night_anew(tmp_path):
    write_part(tmp_path / "1_a.edf", 0, 480)
    write_part(tmp_path / "1_b.edf", 630, SECONDS)
    prepare(tmp_path, parts=True, labels=None)
    write_part(tmp_path / "1_b.edf", 660, SECONDS)
    assert prepare(tmp_path, parts=True, labels=None)[0].gaps_s.tolist() == [180]


def test_without_parts_files_of_one_night_are_refused_and_the_mend_is_said(tmp_path):
    write_part(tmp_path / "1_a.edf", 0, 480)
    write_part(tmp_path / "1_b.edf", 630, SECONDS)
    write_part(tmp_path / "2_a.edf", 0, 480)
    table, _ = prepare(tmp_path, labels=None)
    assert table.code.tolist() == ["duplicate", "duplicate", "ok"] and "`parts: true`" in table.reason[0]
    with pytest.raises(ParameterError, match="needs a recording id from the groups"):
        Recipe(**RECIPE | {"parts": True, "recording": "{hash}"})

"""Every export comes back: from the library of the tool it is for, and from our own label readers."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, get_args
from xml.etree import ElementTree

import edfio
import mne
import numpy as np
import pandas as pd
import pyarrow.parquet
import pyedflib
import pytest
from helpers.toy_labels import recording
from helpers.toy_night import AROUSALS_S, N_EPOCHS, START, night

from anysleep.datasets.recipes import Labels
from anysleep.exports import FORMATS, ScoredNight, export_night, to_mne_annotations, without_date
from anysleep.exports.scored_night import TEXT_OF
from anysleep.recordings.labels import LABEL_READERS, STANDARD_CODES, read_scoring, with_scoring
from anysleep.recordings.labels.hypnogram import known_or_standard
from anysleep.recordings.tables import without_formulas
from anysleep.settings import ExportFormat

pytestmark = pytest.mark.filterwarnings("ignore::anysleep.recordings.reasons.RecordingWarning", "ignore:Creating EDF")


CASES = {"30 s": night(), "8 in 30 s": night(8), "no clock": night(start=None)}


class Back(NamedTuple):
    """What a library has read."""

    stages: list[int]
    seconds: float
    """How long each lasts; each begins where the one before ends."""
    start: datetime | None = None
    """None where the file, or the library, does not say it."""
    arousals: list[list[float]] | None = None


def back_from(onsets_s, durations_s, texts, code_of, start=None, arousal="EEG arousal"):
    """Of timed annotations, of which those in `code_of` are stages."""
    rows = sorted(zip(onsets_s, durations_s, texts, strict=True))
    stages = [row for row in rows if row[2] in code_of]
    (seconds,) = {float(duration) for _, duration, _ in stages}
    assert [onset for onset, _, _ in stages] == [i * seconds for i in range(len(stages))]
    arousals = [[onset, onset + duration] for onset, duration, text in rows if text == arousal]
    return Back([code_of[text] for _, _, text in stages], seconds, start, arousals)


EDF_CODES = {text: code for code, text in TEXT_OF.items()}
SHORT_CODES = {"W": 0, "N1": 1, "N2": 2, "N3": 3, "R": 4, "?": 9, "U": 9}
WORD_CODES = {"Wake": 0, "N1": 1, "N2": 2, "N3": 3, "REM": 4, "unscored": 9}


def by_edfio(path, _):
    edf = edfio.read_edf(path)
    return back_from(*zip(*edf.annotations, strict=True), EDF_CODES, datetime.combine(edf.startdate, edf.starttime))


def by_mne(path, _):
    notes = mne.read_annotations(path)
    return back_from(notes.onset, notes.duration, notes.description, EDF_CODES)


def by_pyedflib(path, _):
    with pyedflib.EdfReader(str(path)) as edf:
        start = edf.getStartdatetime().replace(microsecond=edf.starttime_subsecond // 10)  # of 100 ns
        return back_from(*edf.readAnnotations(), EDF_CODES, start)


def by_pandas(path, case):
    table = pd.read_csv(path)
    clock = datetime.strptime(f"1985-01-01 {table.clock_time[0]}", "%Y-%m-%d %H:%M:%S.%f") if case.start_time else None
    assert np.allclose(table.filter(like="p_"), case.hypnodensity, atol=1e-4)
    return back_from(table.onset_s, table.duration_s, table.stage, WORD_CODES, clock)._replace(arousals=None)


def by_bids_validator(path, case):
    """In a data set around it; the stages as BIDS readers take them."""
    folder = path.parent / "bids"
    eeg = folder / "sub-01" / "eeg"
    eeg.mkdir(parents=True)
    described = {"Name": "toy", "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": "CC0", "Authors": ["A", "B"]}
    (folder / "dataset_description.json").write_text(json.dumps(described))
    (folder / "README").write_text("A night that is no night, to see whether its events are valid. " * 5)
    psg(eeg / "sub-01_task-sleep_eeg.edf", case)
    facts = {"TaskName": "sleep", "EEGReference": "M1", "SamplingFrequency": 10, "PowerLineFrequency": 50}
    facts |= {"SoftwareFilters": "n/a", "RecordingDuration": 360, "RecordingType": "continuous", "EEGChannelCount": 1}
    (eeg / "sub-01_task-sleep_eeg.json").write_text(json.dumps(facts))
    for suffix in FORMATS["bids"].writers:
        (eeg / f"sub-01_task-sleep{suffix}").write_bytes(path.with_name(f"x{suffix}").read_bytes())
    command = [Path(sys.executable).with_name("bids-validator-deno"), folder, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    issues = json.loads(done.stdout)["issues"]["issues"]
    of_events = [
        issue for issue in issues if "events" in issue["location"] and issue.get("subCode") != "StimulusPresentation"
    ]
    assert [issue for issue in issues if issue["severity"] == "error"] == of_events == []
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    scored = table.stage.notna()
    assert (table.trial_type[scored] == table.stage[scored].map(WORD_CODES).map(TEXT_OF)).all()
    confidence = table.confidence[table.trial_type.isin(EDF_CODES)]
    assert np.allclose(confidence, case.confidence, atol=1e-4, equal_nan=True)
    return back_from(table.onset, table.duration, table.trial_type, EDF_CODES)


def by_yasa(path, case):
    import yasa

    hypnogram = yasa.Hypnogram.from_json(path)
    stages = hypnogram.hypno.map({"WAKE": 0, "N1": 1, "N2": 2, "N3": 3, "REM": 4, "UNS": 9}).tolist()
    assert np.allclose(hypnogram.proba, case.hypnodensity, atol=1e-5)
    start = hypnogram.start
    return Back(stages, 1 / hypnogram.sampling_frequency, start and start.to_pydatetime())


def by_lunapi(path, case):
    lunapi = pytest.importorskip("lunapi")
    instance = lunapi.proj().inst("night")
    instance.attach_edf(str(psg(path.with_suffix(".psg.edf"), case)))
    instance.attach_annot(str(path))
    classes = [name for name in instance.annots().iloc[:, 0] if name in SHORT_CODES or "rousal" in name]
    table = instance.fetch_annots(classes)
    texts = ["arousal" if "rousal" in name else name for name in table.Class]
    back = back_from(table.Start, table.Stop - table.Start, texts, SHORT_CODES, arousal="arousal")
    return back if path.suffix != ".eannot" else back._replace(arousals=None)


def by_pyarrow(path, case):
    table = pyarrow.parquet.read_table(path).to_pandas()
    assert np.array_equal(table.filter(like="p_"), case.hypnodensity.astype(np.float32))
    start = table.attrs["start_time"] and datetime.fromisoformat(table.attrs["start_time"])
    return back_from(table.onset_s, table.duration_s, table.stage, WORD_CODES, start)._replace(arousals=None)


def psg(path, case):
    """A recording of the night with one channel of noise."""
    start = case.start_time or datetime(1985, 1, 1)
    samples = np.random.default_rng(0).standard_normal(N_EPOCHS * 30 * 10)
    signal = edfio.EdfSignal(samples, 10, label="EEG C3-M2")
    day = edfio.Recording(startdate=start.date())
    edfio.Edf([signal], recording=day, starttime=start.time()).write(path)
    return path


READ_BACK = {
    "csv": {"pandas": by_pandas},
    "edf": {"edfio": by_edfio, "mne": by_mne, "pyedflib": by_pyedflib},
    "bids": {"bids-validator": by_bids_validator},
    "yasa": {"yasa": by_yasa},
    "luna_annot": {"lunapi": by_lunapi},
    "luna_eannot": {"lunapi": by_lunapi},
    "nsrr": {"lunapi": by_lunapi},
    "parquet": {"pyarrow": by_pyarrow},
}
"""Format -> library -> how it reads. EDFbrowser and Polyman have none on PyPI."""


def write(folder, case, name):
    """The file of one format that has the stages; None where the format is for 30 s only."""
    files = export_night(folder, case, "x", [name])
    return files[0] if files else None


def pairs():
    return [(name, library) for name, libraries in READ_BACK.items() for library in libraries]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize(("name", "library"), pairs())
def test_the_tools_own_library_reads_the_same_night(tmp_path, name, library, case):
    path = write(tmp_path, case, name)
    if path is None:
        assert FORMATS[name].at_30_s_only and case.predictions_per_epoch > 1
        return
    back = READ_BACK[name][library](path, case)
    assert back.stages == case.stages.tolist()
    assert back.seconds == case.seconds_per_prediction
    assert back.start in (None, case.start_time or datetime(1985, 1, 1))
    assert back.arousals == (AROUSALS_S if FORMATS[name].has_events else None)


def read_by_us(path, labels, start_time=None):
    """What our reader takes in, and the night that it is put on."""
    labels = Labels(file=path.name, **labels)
    scoring = LABEL_READERS[labels.reader](path, **labels.options)
    return labels, scoring, recording(N_EPOCHS * 30.0, start_time=start_time)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("name", FORMATS)
def test_our_own_reader_takes_in_the_same_night(tmp_path, name, case):
    path = write(tmp_path, case, name)
    if path is None:
        return
    labels, scoring, recorded = read_by_us(path, FORMATS[name].labels, case.start_time)
    assert known_or_standard(scoring.stages, labels.stage_of).tolist() == case.stages.tolist()
    assert scoring.stages.onset_s.tolist() == case.onsets_s.tolist()
    assert set(scoring.stages.duration_s) == {case.seconds_per_prediction}
    scored = with_scoring(
        recorded, scoring, codes=labels.stage_of, start="by_clock" if case.start_time else "with_signal"
    )
    if case.predictions_per_epoch == 1:
        assert scored.hypnogram.tolist() == case.stages.tolist()
    assert scored.arousals.tolist() == (AROUSALS_S if FORMATS[name].has_events else [])
    assert scored.lights_s == ((10.0, 350.0) if FORMATS[name].has_events else (None, None))


@pytest.mark.parametrize("name", FORMATS)
def test_beside_one_night_its_name_says_how_it_is_read(tmp_path, name):
    """As `labels` of stage_one_night, without a recipe."""
    scoring = read_scoring(write(tmp_path, night(), name))
    assert known_or_standard(scoring.stages, STANDARD_CODES).tolist() == night().stages.tolist()


BY_CLOCK = {name: FORMATS[name].labels for name in ("edf", "yasa", "edfbrowser_xml")} | {
    "polyman": {"reader": "table", "columns": {"event": "Annotation", "clock": "Time", "duration_s": "Duration"}},
    "csv": {"reader": "table", "columns": {"stage": "stage", "clock": "clock_time", "duration_s": "duration_s"}},
}


@pytest.mark.parametrize("minutes_before", [0, 1.5])
@pytest.mark.parametrize("name", BY_CLOCK)
def test_a_scoring_lies_where_its_clock_says(tmp_path, name, minutes_before):
    """The recording may have begun before the scoring, on the other side of midnight or not."""
    begun = START - timedelta(minutes=minutes_before)
    labels, scoring, recorded = read_by_us(write(tmp_path, night(), name), BY_CLOCK[name], begun)
    scored = with_scoring(recorded, scoring, codes=labels.stage_of, length="trim_end")
    n_before = int(2 * minutes_before)
    assert scored.hypnogram.tolist() == ([9] * n_before + night().stages.tolist())[:N_EPOCHS]


@pytest.mark.parametrize("first_sample", [0, 600])
@pytest.mark.parametrize("measured", [None, START.replace(tzinfo=UTC)])
def test_annotations_for_a_raw_lie_where_they_should(measured, first_sample):
    """Some formats count samples from before the first one that was kept."""
    info = mne.create_info(["C3"], 10, "eeg")
    raw = mne.io.RawArray(np.zeros((1, N_EPOCHS * 300)), info, first_samp=first_sample, verbose="error")
    raw.set_meas_date(measured)
    raw.set_annotations(to_mne_annotations(night(), raw))
    events, _ = mne.events_from_annotations(raw, EDF_CODES, verbose="error")
    assert events[:, 2].tolist() == night().stages.tolist()
    assert (events[:, 0] - first_sample).tolist() == [300 * i for i in range(N_EPOCHS)]


def test_the_choices_are_those_of_the_registry():
    assert get_args(ExportFormat) == tuple(FORMATS)
    with pytest.raises(ValueError, match="no export format 'docx'; there are csv, edf"):
        export_night(Path(), night(), "x", ["docx"])


def test_the_page_has_the_table_of_the_registry(root):
    """Format x written, read back, read by us: as tested here."""
    lines = (root / "docs" / "exports.md").read_text().splitlines()
    for name, one in FORMATS.items():
        files = ", ".join(f"`{suffix}`" for suffix in one.writers)
        when = "30 s" if one.at_30_s_only else "any"
        libraries = ", ".join(READ_BACK.get(name, {})) or "none on PyPI"
        events = "yes" if one.has_events else "no"
        row = f"| `{name}` | {one.title} | {files} | {when} | {events} | {libraries} | `{one.labels['reader']}` |"
        assert row in lines
    assert sum(line.startswith("| `") for line in lines) == len(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_what_fails_leaves_nothing_half_written(tmp_path, name, monkeypatch):
    one = FORMATS[name]

    def fail(path, _):
        path.write_text("half")
        raise OSError("the disk is full")

    monkeypatch.setitem(FORMATS, name, one._replace(writers=dict.fromkeys(one.writers, fail)))
    with pytest.raises(OSError, match="disk is full"):
        export_night(tmp_path, night(), "x", [name])
    assert list(tmp_path.iterdir()) == []


def test_no_text_becomes_a_formula_or_a_tag(tmp_path):
    scorer = '=HYPERLINK("a") <&>'
    export_night(tmp_path, night(scorer=scorer), "x", list(FORMATS))
    assert set(pd.read_csv(tmp_path / "x_events.tsv", sep="\t").scorer) == {f"'{scorer}"}
    for file in tmp_path.glob("*.xml"):
        ElementTree.parse(file)
    table = pd.DataFrame({"channel": ["=A1", "+C3", "-M2", "@x", "C3-M2", "-0.5"], "n": [-1] * 6})
    assert without_formulas(table).channel.tolist() == ["'=A1", "'+C3", "'-M2", "'@x", "C3-M2", "-0.5"]
    assert without_formulas(table).n.tolist() == [-1] * 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": np.array([0, 7])}, r"hold \{7\}"),
        ({"stages": np.array([])}, "shape"),
        ({"predictions_per_epoch": 0}, "predictions_per_epoch is 0"),
        ({"hypnodensity": np.ones((3, 5))}, r"shape \(3, 5\); expected \(2, 5\)"),
        ({"scorer": "two\nlines"}, "cannot be printed"),
        ({"stages": np.array([0.0, 1.0])}, "stages are float64; expected whole numbers"),
        ({"hypnodensity": np.full((2, 5), np.nan)}, "holds what is no number"),
        ({"arousals_s": np.array([[40.0, 30.0]])}, "arousals need an onset and, not before it, an end"),
        ({"arousals_s": np.array([[40.0, np.nan]])}, "arousals need an onset and, not before it, an end"),
        ({"arousals_s": np.array([40.0, 45.0])}, "arousals need an onset and, not before it, an end"),
        ({"lights_off_s": np.nan}, "lights are off at nan and on at None"),
    ],
)
def test_what_is_no_night_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ScoredNight(**({"stages": np.array([0, 1])} | change))


def test_a_date_stays_unknown_and_midnight_is_a_clock():
    assert without_date(datetime(2024, 2, 1, 22, 30, 0, 5)) == datetime(1985, 1, 1, 22, 30, 0, 5)
    assert without_date(datetime(2024, 2, 1)) == datetime(1985, 1, 2)
    assert without_date(None) is None

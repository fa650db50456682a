"""Whatever the bytes, a recording is as long as it says or refused by name; whatever the rates, time is kept."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.bad_input import read_whole
from helpers.bad_recordings import edf_bytes
from helpers.edf_files import stage, write_discontinuous
from helpers.toy_formats import write_dod, write_utime, write_wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anysleep.data import preprocess, read_recording
from anysleep.recordings.labels import LABEL_READERS
from anysleep.recordings.reasons import BadRecording

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FEW = settings(MANY, max_examples=40)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of small sound files, by name."""
    folder = tmp_path_factory.mktemp("whole")
    write_discontinuous(folder / "pauses.edf", [*range(35), *range(50, 80)], 20, [stage(0, 30, "W")])
    (folder / "plain.edf").write_bytes(edf_bytes(["EEG C3-M2", "EOG E1-M2"], [20, 10], 40, 1))
    (folder / "plain.bdf").write_bytes(edf_bytes(["EEG C3-M2", "EOG E1-M2"], [20, 10], 40, 1, sample_bytes=3))
    write_utime(folder / "utime.h5")
    write_dod(folder / "dod.h5")
    write_wfdb(folder / "wfdb.hea")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_bytes(folder, name, content, companions=()):
    path = folder / name
    for companion, its_content in companions:
        (folder / companion).write_bytes(its_content)
    path.write_bytes(content)
    read_whole(path)


flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=5)
digits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(b"0123456789+-.eE nif")), min_size=1, max_size=8
)


def with_flips(content, at_shares, start=0, end=None):
    changed = bytearray(content)
    for share, byte in at_shares:
        changed[start + int(share * ((end or len(content)) - start))] = byte
    return bytes(changed)


@pytest.mark.parametrize("name", ["pauses.edf", "plain.edf", "plain.bdf"])
@MANY
@given(changes=flips | digits, part=st.sampled_from([(0, 256), (168, 256), (256, None), (352, 368), (376, 440)]))
def test_any_bytes_in_an_edf_header(whole, tmp_path, name, changes, part):
    content = whole[name]
    start, end = part
    n_header = int(content[184:192])
    read_bytes(tmp_path, name, with_flips(content, changes, start, min(end or n_header, n_header)))


@FEW
@given(changes=flips)
def test_any_bytes_among_annotations_and_samples(whole, tmp_path, changes):
    content = whole["pauses.edf"]
    read_bytes(tmp_path, "pauses.edf", with_flips(content, changes, int(content[184:192])))


@pytest.mark.parametrize("name", ["pauses.edf", "plain.bdf", "utime.h5", "wfdb.hea"])
@FEW
@given(share=st.floats(0, 1), tail=st.binary(max_size=300))
def test_any_end(whole, tmp_path, name, share, tail):
    content = whole[name]
    read_bytes(tmp_path, name, content[: int(share * len(content))] + tail, [("wfdb.mat", whole["wfdb.mat"])])


@pytest.mark.parametrize("name", ["utime.h5", "dod.h5", "wfdb.hea"])
@FEW
@given(changes=flips | digits)
def test_any_bytes_at_the_start_of_other_formats(whole, tmp_path, name, changes):
    content = whole[name]
    end = min(len(content), 3000)
    read_bytes(tmp_path, name, with_flips(content, changes, 0, end), [("wfdb.mat", whole["wfdb.mat"])])


words = st.sampled_from(
    ["onset", "duration", "stage", "\t", ",", ";", "\n", "0", "30", "-1e9", "nan", "inf", "W", "N2", "[", "]"]
)


@pytest.mark.parametrize("reader", LABEL_READERS)
@FEW
@given(content=st.binary(max_size=300) | st.lists(words, max_size=60).map(lambda parts: "".join(parts).encode()))
def test_any_label_file_is_read_or_refused(tmp_path, reader, content):
    path = tmp_path / "scorer_1" / "labels.tsv"
    for number in range(1, 6):  # the five scorers of DOD
        beside = tmp_path / f"scorer_{number}" / path.name
        beside.parent.mkdir(exist_ok=True)
        beside.write_bytes(content)
    try:
        stages = LABEL_READERS[reader](path).stages
    except ValueError as error:
        assert type(error) is BadRecording and error.code.startswith("label")
    else:
        assert np.isfinite(stages.onset_s).all() and stages.onset_s.is_monotonic_increasing


@FEW
@given(
    samples=st.lists(st.integers(1, 600), min_size=1, max_size=3),
    n_records=st.integers(1, 40),
    record_s=st.sampled_from([0.1, 0.3, 1, 2.5, 7, 30, 60.125]),
    sample_bytes=st.sampled_from([2, 3]),
)
def test_every_channel_of_an_edf_file_lasts_as_long_as_the_recording(
    tmp_path, samples, n_records, record_s, sample_bytes
):
    path = tmp_path / "night.edf"
    labels = [f"EEG {i}" for i in range(len(samples))]
    path.write_bytes(edf_bytes(labels, samples, n_records, record_s, sample_bytes=sample_bytes))
    night = read_recording(path)
    assert night.duration_s == pytest.approx(n_records * record_s, rel=1e-12)
    for signal, rate_hz, per_record in zip(night.signals, night.rates_hz, samples, strict=True):
        assert len(signal) == n_records * per_record
        assert len(signal) / rate_hz == pytest.approx(night.duration_s, rel=1e-12)


@FEW
@given(
    rate=st.fractions(64, 512, max_denominator=60), target_hz=st.sampled_from([64, 100, 128]), time_s=st.floats(5, 55)
)
def test_a_pulse_stays_where_it_was(rate, target_hz, time_s):
    times_s = np.arange(int(60 * rate)) / float(rate)
    signal = np.sin(2 * np.pi * 0.2 * times_s) + 15 * np.exp(-(((times_s - time_s) / 0.1) ** 2))
    ready = preprocess([signal], float(rate), target_hz)[0]
    assert abs(ready.argmax() / target_hz - time_s) <= 1 / min(float(rate), target_hz)
    assert len(ready) == int(Fraction(len(signal)) / rate * target_hz)

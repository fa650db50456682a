"""WFDB records of PhysioNet: own rates, invalid samples, and headers that contradict or lead elsewhere."""

import numpy as np
import pytest
from helpers.toy_formats import write_wfdb

from anysleep.data import read_recording


def test_wfdb_signals_keep_their_own_rates_and_invalid_samples_are_nan(tmp_path):
    frames = np.random.default_rng(2).integers(-500, 500, (300, 5)).astype("<i2")
    frames[7, 0] = -(2**15)
    frames.tofile(tmp_path / "slp01.dat")
    lines = ["slp01 2 50 300", "slp01.dat 16x4 2/mV 16 0 0 0 0 EEG (C4-A1)", "slp01.dat 16 1(3)/% 16 0 0 0 0"]
    (tmp_path / "slp01.hea").write_text("\n".join(lines))
    night = read_recording(tmp_path / "slp01.hea")
    assert night.channels == ("EEG (C4-A1)", "signal 1")
    assert night.rates_hz == (200, 50) and night.units == ("uV", "%") and night.duration_s == 6
    expected = frames[:, :4].reshape(-1) * 500.0
    assert np.flatnonzero(np.isnan(night.signals[0])).tolist() == [28]
    assert np.array_equal(np.delete(night.signals[0], 28), np.delete(expected, 28))
    assert night.signals[1].tolist() == (frames[:, 4] - 3).tolist()


def test_wfdb_records_are_read_in_blocks_without_seams(tmp_path, monkeypatch):
    path = write_wfdb(tmp_path / "n.hea")
    whole = read_recording(path).signals[0]
    monkeypatch.setattr("anysleep.recordings.readers.physionet.BLOCK", 777)
    assert np.array_equal(read_recording(path).signals[0], whole)


@pytest.mark.parametrize("name", ["../n.mat", "/etc/passwd", "sub/n.mat", r"..\n.mat", "n..mat"])
def test_a_wfdb_header_does_not_lead_out_of_its_folder(tmp_path, name):
    path = write_wfdb(tmp_path / "n.hea")
    path.write_text(path.read_text().replace("n.mat", name))
    with pytest.raises(ValueError, match="every file must lie beside the header"):
        read_recording(path)


@pytest.mark.parametrize(
    ("first_line", "message"),
    [
        ("../n {} 100 9000", "every file must lie beside the header"),
        ("n/3 {} 100 9000", "3 segments; join them"),
        ("n 3 100 9000", "says 3 signals and describes 2"),
        ("n {} 100", "both must be above 0"),
        ("n {} 100 9001", "holds less than the 9001 samples"),
    ],
)
def test_contradicting_wfdb_headers_are_refused(tmp_path, first_line, message):
    with pytest.raises(ValueError, match=message):
        read_recording(write_wfdb(tmp_path / "n.hea", first_line))


def test_a_wfdb_signal_file_may_not_be_missing(tmp_path):
    path = write_wfdb(tmp_path / "n.hea")
    path.with_suffix(".mat").unlink()
    with pytest.raises(ValueError, match="1 of 1 signal files are not beside the header"):
        read_recording(path)

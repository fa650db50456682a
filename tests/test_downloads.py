"""Nothing is downloaded unasked; what is asked for comes through mne, which checks the hashes."""

from pathlib import Path

from mne.datasets.sleep_physionet import age

from anysleep.datasets.preparation import plan_nights
from anysleep.datasets.recipes import read_recipe
from anysleep.recordings.downloads import fetch_sleep_edf


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

"""One run of 01 over a folder of ten formats, and one over a file full of what identifies a patient."""

import datetime
import json
import re

import edfio
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.edf_files import stage, write_discontinuous
from helpers.toy_formats import (
    EEG_UV,
    EOG_UV,
    RATE_HZ,
    write_brainvision,
    write_dod,
    write_eeglab,
    write_fif,
    write_utime,
    write_wfdb,
)

from anysleep.data import preprocess
from anysleep.datasets.archive import Archive
from anysleep.workbook.runner import execute

pytestmark = pytest.mark.slow


def edf_signals():
    settings = {"physical_dimension": "uV", "physical_range": (-250, 250)}
    return [
        edfio.EdfSignal(samples, RATE_HZ, label=label, **settings)
        for label, samples in (("EEG C3", EEG_UV), ("EOG", EOG_UV))
    ]


def write_edf(path, annotations=()):
    edfio.Edf(edf_signals(), annotations=annotations).write(path)


def write_bdf(path):
    settings = {"physical_dimension": "uV", "physical_range": (-250, 250)}
    names = {"C3": EEG_UV, "EOG": EOG_UV}
    edfio.Bdf([edfio.BdfSignal(x, RATE_HZ, label=name, **settings) for name, x in names.items()]).write(path)


FORMATS = {
    "plain.edf": write_edf,
    "plus.edf": lambda path: write_edf(path, [stage(0, 60, "N2"), stage(60, 30, "R")]),
    "other.rec": lambda path: write_edf(path, [stage(0, 90, "W")]),
    "night.bdf": write_bdf,
    "vision.vhdr": write_brainvision,
    "neuromag.fif": write_fif,
    "lab.set": write_eeglab,
    "physio.hea": write_wfdb,
    "dreem.h5": write_dod,
    "utime.hdf5": write_utime,
}


@pytest.fixture(scope="module")
def tiny_checkpoint(tmp_path_factory):
    """An untrained network of 64 Hz."""
    from anysleep.models import build_model, save_checkpoint

    path = tmp_path_factory.mktemp("checkpoint") / "untrained.pth"
    save_checkpoint(path, build_model("anysleep", sampling_rate_hz=64), {"data": ["none"]})
    return str(path)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, root):
    """Run folder of 01 over ten formats, a file with a pause, and a broken one; and the key of ids and files."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "data").mkdir()
    for name, write in FORMATS.items():
        path = folder / "data" / name
        write(path)
        if name.endswith(".edf") or name.endswith(".rec"):  # else equal files would be one recording
            content = bytearray(path.read_bytes())
            content[88:168] = f"{name:<80}".encode()
            path.write_bytes(content)
    write_discontinuous(folder / "data" / "pause.edf", [*range(40), *range(70, 100)])
    (folder / "data" / "broken.edf").write_bytes(b"not EDF")
    (folder / "data" / "notes.txt").write_text("no recording")
    given = {
        "datasets": {"params/datasets/edf_folder.yaml": str(folder / "data")},
        "synthetic_dir": "",
        "sampling_rate_hz": 64,
        "key_file": str(folder / "key.csv"),
        "run_dir": str(folder / "run"),
    }
    execute("01_prepare", [root / "params" / "demo" / "01_prepare.yaml"], given)
    return folder / "run", pd.read_csv(folder / "key.csv").assign(file=lambda key: key.file.str.split("/").str[-1])


def test_ten_formats_become_one_archive(mixed):
    run, key = mixed
    table = pd.read_csv(run / "recordings.csv").set_index("number")
    assert key.file[table.status.to_numpy() != "ok"].tolist() == ["broken.edf"]
    expected = preprocess([EEG_UV, EOG_UV], RATE_HZ, 64)
    with Archive(run / "archive.h5") as archive:
        for file in FORMATS:
            recording = key.set_index("file").recording[file]
            eeg, eog = archive.channels_of("folder", recording)
            signals = archive.signals("folder", recording, [*eeg, *eog])
            assert np.abs(signals - expected).max() < 0.04, file  # the coarsest, BrainVision here, counts in 1 uV


def test_labels_and_pauses_of_the_ten_formats_are_kept(mixed):
    run, key = mixed
    ids = key.set_index("file").recording
    with Archive(run / "archive.h5") as archive:
        assert archive.hypnogram("folder", ids["plus.edf"]).tolist() == [2, 2, 4]
        assert archive.hypnogram("folder", ids["dreem.h5"]).tolist() == [0, 9, 4]
        assert archive.hypnogram("folder", ids["plain.edf"]) is None
        assert archive.gaps("folder", ids["pause.edf"]).tolist() == [[40, 70]]
        assert archive.arousals("folder", ids["neuromag.fif"]).tolist() == [[10, 17]]


def test_there_is_a_verdict_on_every_channel_and_every_night(mixed):
    run, _ = mixed
    table, quality = pd.read_csv(run / "recordings.csv"), pd.read_csv(run / "quality.csv")
    kept = table[table.status == "ok"]
    assert kept.verdict.isin(["use", "look", "drop"]).all() and kept.advice.str.len().gt(0).all()
    assert quality.groupby("recording").size().to_dict() == dict.fromkeys(kept.recording, 2)
    assert quality.verdict.isin(["use", "look", "drop"]).all()
    assert quality.reason[quality.verdict != "use"].str.len().gt(0).all()


SECRETS = [
    "Mustermann",
    "Erika",
    "12345-6789",
    "1964",
    "08-1964",
    "2024",
    "29-FEB",
    "29.02",
    "Charite",
    "Dr_Who",
    "geheim",
]


@pytest.fixture(scope="module")
def secret(tmp_path_factory, root):
    """Runs of 01, 02 and one night on a file whose name, folder and header tell who the patient is."""
    folder = tmp_path_factory.mktemp("secret")
    source = folder / "Mustermann" / "Mustermann_Erika_1964-08-12.edf"
    source.parent.mkdir()
    names = {"code": "12345-6789", "name": "Mustermann_Erika", "additional": ["geheim"]}
    places = {"hospital_administration_code": "Charite", "investigator_technician_code": "Dr_Who"}
    edf = edfio.Edf(
        edf_signals(),
        patient=edfio.Patient(sex="F", birthdate=datetime.date(1964, 8, 12), **names),
        recording=edfio.Recording(startdate=datetime.date(2024, 2, 29), **places),
        starttime=datetime.time(22, 58, 3),
        annotations=[stage(0, 90, "N2"), edfio.EdfAnnotation(5, 2, "Mustermann coughs (geheim)")],
    )
    edf.write(source)
    (source.parent / "Mustermann_Erika_2.edf").write_bytes(source.read_bytes()[:-500])
    given = {
        "datasets": {"params/datasets/edf_folder.yaml": str(source.parent)},
        "synthetic_dir": "",
        "run_dir": str(folder / "01"),
    }
    execute("01_prepare", [root / "params" / "demo" / "01_prepare.yaml"], given)
    given = {"archive": str(folder / "01" / "archive.h5"), "run_dir": str(folder / "02"), "start_s": 30.0}
    execute("02_inspect", [root / "params" / "demo" / "02_inspect.yaml"], given)
    return folder, source


def tells(content, secret):
    """Whether the bytes hold the secret; numbers count as a whole, not as digits of a hash or of a probability."""
    has_letters = re.search(rb"[A-Za-z]", secret)
    return secret in content if has_letters else re.search(rb"(?<![0-9A-Za-z.])%b(?![0-9A-Za-z])" % secret, content)


def check_harmless(files):
    for file in files:
        content = file.read_bytes()
        found = [secret for secret in SECRETS if tells(content, secret.encode())]
        assert not found, f"{file.name} tells {found}"


def test_nothing_that_identifies_a_patient_is_in_archive_tables_or_provenance(secret):
    folder, _ = secret
    written = [p for p in (folder / "01", folder / "02") for p in p.rglob("*") if p.is_file()]
    repeats_what_was_typed = ("params.yaml", "notebook.ipynb")
    check_harmless(p for p in written if p.name not in repeats_what_was_typed and p.suffix not in (".png", ".svg"))
    assert sum(p.suffix == ".csv" for p in written) >= 4


def test_the_executed_notebook_tells_no_more_than_the_folder_that_was_typed(secret):
    folder, source = secret
    for run in ("01", "02"):
        text = (folder / run / "notebook.ipynb").read_text().replace(str(source.parent), "")
        assert not [s for s in SECRETS if s in text and not s.isdigit()], run


def test_a_staged_night_is_called_after_a_hash_unless_its_name_is_allowed(secret, tiny_checkpoint, root):
    folder, source = secret
    base = [root / "params" / "demo" / "stage_one_night.yaml"]
    given = {"recording": str(source), "channels": [], "checkpoint": tiny_checkpoint}
    for allowed in (False, True):
        run = folder / f"one-{allowed}"
        execute("stage_one_night", base, given | {"name_by_file": allowed, "run_dir": str(run)})
        [logits] = run.glob("prediction_*.npy")
        assert (logits.name == f"prediction_{source.stem}.npy") == allowed
        result = json.loads((run / "result.json").read_text())
        assert any("Mustermann" in name for name in result["outputs"]) == allowed
    check_harmless(p for p in (folder / "one-False").rglob("*") if p.suffix in (".csv", ".json", ".npy"))
    assert yaml.safe_load((folder / "one-False" / "params.yaml").read_text())["recording"] == [str(source)]


def test_recordings_without_labels_are_welcome(tmp_path, tiny_checkpoint, root):
    data = tmp_path / "data"
    data.mkdir()
    write_edf(data / "plain.edf")
    demo = root / "params" / "demo"
    given = {"datasets": {"params/datasets/edf_folder.yaml": str(data)}, "synthetic_dir": "", "sampling_rate_hz": 64}
    execute("01_prepare", [demo / "01_prepare.yaml"], given | {"run_dir": str(tmp_path / "01")})
    archive = {"archive": str(tmp_path / "01" / "archive.h5")}
    execute("02_inspect", [demo / "02_inspect.yaml"], archive | {"run_dir": str(tmp_path / "02"), "start_s": 0.0})
    staged = archive | {"checkpoint": tiny_checkpoint, "channels": [], "run_dir": str(tmp_path / "05")}
    execute("05_predict", [demo / "05_predict.yaml"], staged)
    nights = pd.read_csv(tmp_path / "05" / "nights.csv")
    assert nights.status.tolist() == ["ok"] and nights.TIB.tolist() == [1.5]


def test_the_reasons_are_kept_where_no_recording_can_be_used(tmp_path, root):
    data = tmp_path / "data"
    data.mkdir()
    (data / "one.edf").write_bytes(b"not EDF")
    write_edf(data / "two.edf")
    (data / "two.edf").write_bytes((data / "two.edf").read_bytes()[:-99])
    given = {"datasets": {"params/datasets/edf_folder.yaml": str(data)}, "synthetic_dir": "", "run_dir": str(tmp_path)}
    with pytest.raises(RuntimeError, match=r"none of 2 recordings can be used: damaged \(.*; truncated \("):
        execute("01_prepare", [root / "params" / "demo" / "01_prepare.yaml"], given)
    assert pd.read_csv(tmp_path / "recordings.csv").code.tolist() == ["damaged", "truncated"]
    assert not (tmp_path / "result.json").exists()

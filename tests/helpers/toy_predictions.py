"""A toy archive and toy checkpoints, as fixtures that a test file takes over by name, and a run that predicts."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anysleep.datasets.archive import DatasetFiles, NightWriter, assemble_archive
from anysleep.models import load_checkpoint, save_checkpoint
from anysleep.staging.nights import Night
from anysleep.staging.sources import ArchivedNight, RecordedFile, jobs_of_archive
from anysleep.system.files import clear_left_over
from anysleep.workbook.predictions import write_predictions
from anysleep.workbook.run import Run
from helpers.toy_training import RATE_HZ, toy_network

N_NIGHTS, RESOLUTIONS = 5, [1, 4]


CHANNELS = ["F3", "C3", "E1"]


def write_archive(path: Path, n_nights: int = N_NIGHTS, dataset: str = "toy", names=None, channels=CHANNELS) -> Path:
    """Nights of 6 to 8 epochs, the second without labels, the third with a pause; each says how it was prepared."""
    files = []
    for i in range(n_nights):
        rng, name, n_epochs = np.random.default_rng(i), names[i] if names else f"n{i}", 6 + i % 3
        file = path.with_name(f"{path.stem}-{i}.h5")
        with NightWriter(file, name, n_epochs, RATE_HZ) as night:
            for channel in channels:
                night.add_channel(channel, rng.standard_normal(n_epochs * 30 * RATE_HZ).astype(np.float32))
            if i != 1:
                night.add_hypnogram(rng.integers(0, 5, n_epochs).astype(np.int8))
            night.add_spans("gaps", np.array([[60.0, 80.0]] if i == 2 else []))
            clock = {} if i == 1 else {"start_time": f"23:59:{i:02d}"}
            night.describe(pd.DataFrame(), clock | {"prepared": json.dumps({"key": f"{name} as it is", "facts": {}})})
        files.append((file, name))
    return assemble_archive(path, [DatasetFiles(dataset, channels[:2], channels[2:], files)], RATE_HZ)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("toy") / "toy.h5")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: save_checkpoint(folder / f"{name}.pth", toy_network(name), {}) for name in ("anysleep", "usleep")}


@pytest.fixture
def checkpoint(checkpoints):
    return checkpoints["anysleep"]


def predict(folder, checkpoint, archive, channels=(), resolutions=RESOLUTIONS, n_devices=1):
    """As the notebook does."""
    jobs = jobs_of_archive(load_checkpoint(checkpoint), archive, channels)
    clear_left_over(folder)
    run = Run(None, folder, "id")
    settings = {"write_logits": True, "device": "cpu", "n_devices": n_devices}
    tables = write_predictions(run, checkpoint, jobs, resolutions, **settings)
    nights, attention = tables["nights"], tables["attention"]
    run.table("nights", nights)
    run.table("attention", attention)
    return nights, attention


def written(folder: Path) -> dict[str, bytes]:
    """Every file of a run, the hidden ones too, but for the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def counted(monkeypatch):
    """How often each night was read and staged in this process."""
    counts = {"read": Counter(), "stage": Counter()}
    for cls, name in ((ArchivedNight, "read"), (RecordedFile, "read"), (Night, "stage")):
        original = getattr(cls, name)

        def count(self, *arguments, original=original, counter=counts[name], **options):
            counter[self.recording] += 1
            return original(self, *arguments, **options)

        monkeypatch.setattr(cls, name, count)
    return counts


def done(folder: Path) -> list[Path]:
    return list((folder / "store").glob("[!.]*.npz"))


def load(folder, output):
    with np.load(folder / f"{output}.npz") as content:
        return dict(content)

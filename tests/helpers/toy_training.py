"""A toy cohort and a toy training, for tests in this process and in others."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from anysleep.datasets.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.datasets.sampling import WindowBatches
from anysleep.models import build_model, unet_filters
from anysleep.training.loop import Training
from anysleep.training.settings import Loss, Schedule
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import notebook_defaults

RATE_HZ = 4
"""A toy rate: epochs of 120 samples make tests fast."""
STAGE_CYCLE = np.repeat([0, 2, 3, 4, 1, 2], 5)


def write_archive(folder: Path, datasets: tuple[str, ...] = ("toy",)) -> Path:
    """Six nights of four persons in which the amplitude of every channel tells the stage, dealt to the data sets."""
    rng = np.random.default_rng(0)
    files = []
    for i, subject in enumerate(["a", "a", "b", "c", "d", "d"]):
        hypnogram = np.roll(STAGE_CYCLE, 3 * i).astype(np.int8)
        loudness = np.repeat(1.0 + 2 * hypnogram, 30 * RATE_HZ)
        signals = (loudness * rng.standard_normal((3, len(loudness)))).astype(np.float32)
        with NightWriter(folder / f"{i}.h5", f"{subject}{i}", len(hypnogram), RATE_HZ) as night:
            for name, signal in zip(("F3", "C3", "E1"), signals, strict=True):
                night.add_channel(name, signal)
            night.add_hypnogram(hypnogram)
            night.describe(pd.DataFrame(), {"subject": subject})
        files.append((folder / f"{i}.h5", f"{subject}{i}"))
    lists = [DatasetFiles(name, ["F3", "C3"], ["E1"], files[i :: len(datasets)]) for i, name in enumerate(datasets)]
    return assemble_archive(folder / "toy.h5", lists, RATE_HZ)


def toy_network(architecture: str = "anysleep"):
    torch.manual_seed(0)
    hidden = {} if architecture == "usleep" else {"attention_hidden": 8}
    return build_model(architecture, sampling_rate_hz=RATE_HZ, filters=unet_filters(depth=5), **hidden)


def toy_training(archive: Path, network=None, **changes) -> Training:
    """A training of the first four nights, validated on the last two."""
    with Archive(archive) as opened:
        nights = opened.recordings().sort_values("recording")
    settings = {
        "learning_rate": 1e-2,
        "schedule": Schedule(shape="warmup_cosine", n_cycles=1),
        "loss": Loss(stage_weights="inverse_sqrt", gradient_clip=0.0),
        "n_steps": 60,
        "steps_per_training_epoch": 20,
    } | changes
    network = network or toy_network()
    pairs = network.name == "usleep"
    batches = WindowBatches(archive, nights.head(4), window_epochs=4, batch_size=16, eeg_eog_pairs=pairs, seed=1)
    return Training(network, batches, nights.tail(2), **settings)


def assert_same(state, other):
    assert state.history == other.history
    assert state.best_weights.keys() == other.best_weights.keys()
    for name, tensor in state.best_weights.items():
        assert torch.equal(tensor, other.best_weights[name]), name


def params_of_03(root, **changes):
    return NOTEBOOKS["03_train"](**(notebook_defaults(root / "notebooks" / "03_train.ipynb") | changes))

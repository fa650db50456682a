"""Toy nights, as fixtures that a test file takes over by name, and toy networks to stage them."""

import copy
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from anysleep.datasets.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.models import build_model, unet_filters
from anysleep.staging.montages import with_channel_types
from anysleep.staging.nights import named_montages, read_night
from helpers.toy_training import RATE_HZ

EEG, EOG = ["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1"], ["E1-M2", "E2-M2"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three nights of two persons with eight channels, and one of another `a` with two; a tenth is unscored."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    files = {"toy": [], "few": []}
    for dataset, recording, channels in [
        ("toy", "a1", EEG + EOG),
        ("toy", "a2", EEG + EOG),
        ("toy", "b1", EEG + EOG),
        ("few", "a1", ["C3-A2", "EOG(L)"]),
    ]:
        hypnogram = rng.choice([0, 1, 2, 3, 4, 9], 40, p=[0.2, 0.1, 0.3, 0.1, 0.2, 0.1]).astype(np.int8)
        path = folder / f"{dataset}-{recording}.h5"
        with NightWriter(path, recording, len(hypnogram), RATE_HZ) as night:
            for name in channels:
                night.add_channel(name, rng.standard_normal(len(hypnogram) * 30 * RATE_HZ).astype(np.float32))
            night.add_hypnogram(hypnogram)
            night.describe(pd.DataFrame(), {"subject": recording[0]})
        files[dataset].append((path, recording))
    datasets = [DatasetFiles("few", ["C3-A2"], ["EOG(L)"], files["few"]), DatasetFiles("toy", EEG, EOG, files["toy"])]
    with Archive(assemble_archive(folder / "toy.h5", datasets, RATE_HZ)) as opened:
        yield opened


@pytest.fixture(scope="module")
def nights(archive):
    return with_channel_types(archive, archive.recordings())


def network(name="anysleep", seed=0):
    """A copy of one's own, see `_network`."""
    return copy.deepcopy(_network(name, seed))


@cache
def _network(name, seed):
    """Random weights, with BatchNorm used to the signals and logits centred, so that every stage is predicted."""
    torch.manual_seed(seed)
    hidden = {} if name == "usleep" else {"attention_hidden": 8}
    model = build_model(name, sampling_rate_hz=RATE_HZ, filters=unet_filters(depth=3), **hidden)
    x, last = torch.randn(4, 10 * 120, 2), model.segment_classifier.segment_classifier[-1]
    with torch.no_grad():
        for _ in range(20):
            model.train()(x)
        logits = model.eval()(x)
        spread = logits.std(dim=(0, 1))
        last.weight.div_(spread[:, None, None])
        last.bias.sub_(logits.mean(dim=(0, 1))).div_(spread)
    return model


def scored_by_sklearn(truth, stages):
    scored = truth != 9
    return f1_score(truth[scored], stages[scored], labels=range(5), average="macro", zero_division=1.0)


def stage_night(model, archive, dataset, recording, montages=(), **options):
    """An archived night alone, with these montages, by default those of the network."""
    montages = montages or named_montages(model, *archive.channels_of(dataset, recording))
    return read_night(archive, dataset, recording, model.sampling_rate_hz, montages).stage(model, **options)

"""Draws by the published rule, training that learns and repeats."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chisquare

from anysleep.data.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.data.sampling import WindowBatches
from anysleep.evaluation import score_table, stage_night, voted_hypnogram
from anysleep.models import build_model, unet_filters
from anysleep.training import inverse_sqrt_weights, train

RATE_HZ = 4
"""A toy rate: epochs of 120 samples make tests fast."""
STAGE_CYCLE = np.repeat([0, 2, 3, 4, 1, 2], 5)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Six nights of four persons in which the amplitude of every channel tells the stage."""
    folder = tmp_path_factory.mktemp("toy")
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
    return assemble_archive(folder / "toy.h5", [DatasetFiles("toy", ["F3", "C3"], ["E1"], files)], RATE_HZ)


@pytest.fixture(scope="module")
def nights(archive):
    with Archive(archive) as opened:
        return opened.recordings()


def make_batches(archive, nights, **changes):
    settings = {"window_epochs": 4, "batch_size": 6, "eeg_eog_pairs": False, "seed": 1} | changes
    return WindowBatches(archive, nights, **settings)


def test_stages_are_drawn_uniformly_and_windows_uniformly_around_them(archive, nights):
    batches, rng = make_batches(archive, nights), np.random.default_rng(3)
    draws = pd.DataFrame([batches.draw_window(rng, 1)[:2] for _ in range(6000)], columns=["night", "start"])
    # A night has ten epochs of N2 and five of every other stage; a window holds the drawn epoch at any place.
    expected = np.zeros((6, 27))
    for i, hypnogram in enumerate(batches.hypnograms):
        for epoch, stage in enumerate(hypnogram):
            first, last = max(0, epoch - 3), min(epoch, 26)
            share = 1 / (5 * 6 * (hypnogram == stage).sum() * (last - first + 1))
            expected[i, first : last + 1] += share
    observed = np.zeros((6, 27))
    np.add.at(observed, (draws.night, draws.start), 1)
    assert expected.sum() == pytest.approx(1)
    assert chisquare(observed.ravel(), 6000 * expected.ravel()).pvalue > 0.001


def test_few_channels_are_drawn_more_often(archive, nights):
    batches, rng = make_batches(archive, nights), np.random.default_rng(3)
    n = np.bincount([batches.draw_n_channels(rng) for _ in range(6000)])[1:]
    assert chisquare(n, 6000 * np.array([6, 3, 2]) / 11).pvalue > 0.001


def test_usleep_draws_one_eeg_and_one_eog(archive, nights):
    batches, rng = make_batches(archive, nights, eeg_eog_pairs=True), np.random.default_rng(3)
    assert {tuple(batches.draw_window(rng, 2)[2]) for _ in range(50)} == {("F3", "E1"), ("C3", "E1")}


def test_a_batch_follows_from_its_key(archive, nights):
    (x, y), (again, _) = make_batches(archive, nights)[2, 5], make_batches(archive, nights)[2, 5]
    assert x.shape[:2] == (6, 4 * 120) and y.shape == (6, 4)
    assert torch.equal(x, again)
    assert not torch.equal(y, make_batches(archive, nights)[2, 6][1])
    loudness = x[..., 0].reshape(6, 4, 120).std(dim=-1)
    assert (loudness / (1 + 2 * y) - 1).abs().max() < 0.3  # signals and labels belong together


def test_nights_that_cannot_be_drawn_from_are_named(archive, nights):
    with pytest.raises(ValueError, match="shorter than a window of 31 epochs: a0, a1"):
        make_batches(archive, nights, window_epochs=31)
    with pytest.raises(ValueError, match="no night with a hypnogram"):
        make_batches(archive, nights.assign(has_hypnogram=False))


def train_toy(archive, nights, n_steps=60):
    torch.manual_seed(0)
    network = build_model("anysleep", sampling_rate_hz=RATE_HZ, filters=unet_filters(depth=5), attention_hidden=8)
    batches = make_batches(archive, nights.head(4), batch_size=16)
    history = train(
        network,
        batches,
        nights.tail(2),
        n_steps=n_steps,
        steps_per_training_epoch=20,
        learning_rate=1e-2,
        schedule="warmup_cosine",
        stage_weights=inverse_sqrt_weights(batches.hypnograms),
    )
    return network, history


def test_training_learns_and_keeps_the_best_weights(archive, nights):
    network, history = train_toy(archive, nights)
    assert history.step.tolist() == [20, 40, 60]
    assert history.valid_mf1.max() > 0.7 > history.valid_mf1.iloc[0]
    with Archive(archive) as opened:
        stagings = stage_night(network, opened, "toy", "d5")
        assert voted_hypnogram(stagings, 1).shape == (30,)
    assert not network.training


def test_training_repeats_from_its_seed(archive, nights):
    (first, _), (second, _) = (train_toy(archive, nights, n_steps=5) for _ in range(2))
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_rare_stages_weigh_more():
    weights = inverse_sqrt_weights([np.repeat([0, 2, 9], [100, 400, 50])])
    assert weights.tolist() == pytest.approx([10 / 3, 0, 5 / 3, 0, 0])


def test_scores_have_three_levels(nights):
    confusion = np.diag([5, 5, 10, 5, 5])
    table = score_table(nights, [confusion] * len(nights))
    assert table.level.value_counts().to_dict() == {"recording": 6, "all": 1, "dataset": 1}
    assert table.n_epochs.tolist() == [180, 180] + [30] * 6
    assert (table.mf1 == 1).all()

"""Staging equals the plain forward, at every resolution, and says what it left out."""

import numpy as np
import pytest
import torch
from parity import seeded_signal, seeded_weights

from anysleep.inference import choose_device, default_montages, majority_vote, stage_montages, stage_recording
from anysleep.models import ARCHITECTURES, build_model

RESOLUTIONS = (1, 4, 128, 3840)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_pass_equals_one_forward_a_resolution(name):
    x = seeded_signal(1, 3 * 3840, 2)
    staging = stage_recording(seeded_weights(build_model(name)), x[0].T.numpy(), resolutions=RESOLUTIONS)
    for r in RESOLUTIONS:
        with torch.inference_mode():
            expected = seeded_weights(build_model(name, predictions_per_epoch=r))(x)[0].numpy()
        assert np.abs(staging.logits[r] - expected).max() < 1e-5
        assert staging.hypnodensity(r).sum(axis=1) == pytest.approx(1)
        assert (staging.hypnogram(r) == expected.argmax(axis=1)).all() and staging.hypnogram(r).dtype == np.int8
    assert (staging.attention is None) == (name == "usleep")


def test_a_partial_epoch_is_said():
    model = seeded_weights(build_model("anysleep"))
    signals = seeded_signal(1, 2 * 3840 + 64, 1)[0].T.numpy()
    with pytest.warns(UserWarning, match="last 0.50 s"):
        staging = stage_recording(model, signals)
    assert (staging.dropped_s, staging.logits[1].shape) == (0.5, (2, 5))
    assert np.array_equal(staging.logits[1], stage_recording(model, signals[:, : 2 * 3840]).logits[1])


def test_a_model_in_training_mode_is_put_in_evaluation_mode():
    model, signals = seeded_weights(build_model("anysleep")), seeded_signal(1, 3840, 2)[0].T.numpy()
    expected = stage_recording(model, signals).logits[1]
    assert np.array_equal(stage_recording(model.train(), signals).logits[1], expected)


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        (np.zeros((2, 100)), "less than one epoch"),
        (np.zeros(3840), "expected \\(channels, samples\\)"),
        (np.full((2, 3840), np.nan), "NaN or infinite"),
        (np.zeros((3, 3840)), "exactly 2 channels"),
    ],
)
def test_what_cannot_be_staged_is_refused(signals, message):
    with pytest.raises(ValueError, match=message):
        stage_recording(build_model("usleep"), signals)


def test_a_montage_is_those_channels_alone():
    model, signals = seeded_weights(build_model("anysleep")), seeded_signal(1, 3840, 4)[0].T.numpy()
    stagings = stage_montages(model, signals, montages=[(0,), (3, 1)])
    assert np.array_equal(stagings[3, 1].logits[1], stage_recording(model, signals[[3, 1]]).logits[1])


def test_default_montages():
    assert default_montages(build_model("anysleep"), 2, 1) == [(0, 1, 2)]
    assert default_montages(build_model("usleep"), 2, 2) == [(0, 2), (0, 3), (1, 2), (1, 3)]
    with pytest.raises(ValueError, match="2 EEG and 0 EOG"):
        default_montages(build_model("usleep"), 2, 0)


def test_majority_vote_and_its_ties():
    assert majority_vote([[0, 2], [0, 3], [4, 3]]).tolist() == [0, 3]
    tied = majority_vote([np.zeros(1000, int), np.full(1000, 3)])
    assert set(tied) == {0, 3} and 0.4 < (tied == 3).mean() < 0.6
    assert (tied == majority_vote([np.zeros(1000, int), np.full(1000, 3)])).all()


def test_an_absent_device_is_refused():
    assert choose_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device 'cuda' is not available here"):
            choose_device("cuda")

"""How far a channel is from what a network was trained on: Mahalanobis' distance of what its encoder makes of it."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from anysleep.models import build_model, load_checkpoint, save_checkpoint, unet_filters
from anysleep.staging.familiarity import can_describe, describe_channels, distances_from_seen, what_was_seen


def network(name="anysleep"):
    torch.manual_seed(0)
    return build_model(name, filters=unet_filters(depth=6, complexity=1.0)).eval()


def pink(rng, n_epochs=12, low_hz=0.5):
    """(T,) with the 1/f spectrum of an EEG."""
    n = n_epochs * 3840
    f = np.fft.rfftfreq(n, 1 / 128)
    spectrum = rng.standard_normal(len(f)) + 1j * rng.standard_normal(len(f))
    signal = np.fft.irfft(spectrum / np.maximum(f, low_hz), n)
    return (signal / np.subtract(*np.percentile(signal, [75, 25]))).astype(np.float32)


@pytest.mark.parametrize("name", ["anysleep", "anysleep_late_fusion"])
def test_a_description_is_the_mean_of_the_deepest_features(name):
    model, rng = network(name), np.random.default_rng(0)
    assert can_describe(model) and not can_describe(network("usleep"))
    signals = np.array([pink(rng, n_epochs=5), pink(rng, n_epochs=5)])
    with torch.inference_mode():
        *_, deepest = model.encode(torch.from_numpy(signals)[:, None])
    described = describe_channels(model, signals)
    assert np.allclose(described, deepest.mean(dim=2), atol=1e-5)
    assert described.shape == (2, model.filters[-1])
    assert describe_channels(model, signals[:, :3840]).shape == described.shape  # a single epoch is enough
    assert np.allclose(describe_channels(model, signals[::-1]), described[::-1], atol=1e-6)


def test_distances_are_mahalanobis_and_one_in_a_hundred_is_beyond_the_usual():
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((4, 4))
    nights = [(rng.standard_normal((2, 4)) @ mix, ["EEG", "EEG"]) for _ in range(1000)]
    seen = what_was_seen(nights)
    new = rng.standard_normal((4000, 4)) @ mix
    distances = distances_from_seen(seen, new, ["EEG"] * len(new))
    expected = [mahalanobis(d, seen["EEG"]["mean"], seen["EEG"]["precision"]) / seen["EEG"]["usual"] for d in new[:20]]
    assert np.allclose(distances[:20], expected)
    assert 0.005 < np.mean(distances > 1) < 0.02
    assert distances_from_seen(seen, new[:1], ["EOG"])[0] == np.inf


@pytest.mark.parametrize("n_with_eog", [1, 2, 4, 9])
def test_of_a_type_in_few_nights_every_channel_counts_as_usual(n_with_eog):
    rng = np.random.default_rng(0)
    nights = [(rng.standard_normal((2, 4)), ["EEG", "EOG" if n < n_with_eog else "EEG"]) for n in range(40)]
    far = np.full((1, 4), 1e6)
    seen = what_was_seen(nights)
    assert distances_from_seen(seen, far, ["EOG"]) == 0 and distances_from_seen(seen, far, ["EEG"]) > 10
    assert distances_from_seen(what_was_seen(nights[:9]), far, ["EEG"]) == 0


def test_a_type_that_only_every_fifth_night_has_is_described_as_well():
    rng = np.random.default_rng(0)
    nights = [(rng.standard_normal((2, 4)), ["EEG", "EEG" if n % 5 else "EOG"]) for n in range(60)]
    seen = what_was_seen(nights)
    assert distances_from_seen(seen, np.full((1, 4), 1e6), ["EOG"]) > 10


def test_noise_and_another_spectrum_are_far_from_what_was_seen(tmp_path):
    model, rng = network(), np.random.default_rng(2)
    model.seen = what_was_seen(
        (describe_channels(model, np.array([pink(rng), pink(rng)])), "EEG EEG".split()) for _ in range(40)
    )
    save_checkpoint(tmp_path / "a.pth", model, {})
    seen = load_checkpoint(tmp_path / "a.pth").seen
    assert all(np.array_equal(seen["EEG"][name], np.float32(array)) for name, array in model.seen["EEG"].items())
    strange = np.array(
        [pink(rng), rng.standard_normal(12 * 3840), np.zeros(12 * 3840), pink(rng, low_hz=20)], np.float32
    )
    familiar, *far = distances_from_seen(seen, describe_channels(model, strange), ["EEG"] * 4)
    assert familiar < 1.2 and min(far) > 2

"""The four networks are the published ones, to the fourth decimal."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.networks import TOLERANCE, build_variant
from helpers.parity import seeded_signal, seeded_weights

from anysleep.models import ARCHITECTURES, build_model, unet_filters
from anysleep.models.layers import HalvingMax, SegmentClassifier

PARAMETERS = {
    "usleep": 3_114_337,
    "anysleep": 3_157_856,
    "anysleep_early_fusion": 3_131_601,
    "anysleep_late_fusion": 3_137_356,
}


def parity_error(key: str, expected: np.ndarray) -> float:
    """Largest difference from the logits of a key `<model>/f<resolution>/b<batch>_e<epochs>_c<channels>`."""
    variant, resolution, size = key.split("/")
    batch, epochs, channels = (int(part[1:]) for part in size.split("_"))
    model = seeded_weights(build_variant(variant, int(resolution[1:])))
    with torch.inference_mode():
        logits = model(seeded_signal(batch, epochs * 3840, channels)).numpy()
    assert logits.shape == expected.shape
    return float(np.abs(logits - expected).max())


def test_logits_equal_the_extract(extract):
    errors = {
        key: parity_error(key.removeprefix("logits/"), extract[key]) for key in extract if key.startswith("logits/")
    }
    assert {key.split("/")[1] for key in errors} >= set(ARCHITECTURES)
    worst = max(errors, key=errors.get)
    print(f"\n{len(errors)} sets of logits, largest difference {errors[worst]:.1e} ({worst})")
    assert errors[worst] < TOLERANCE


def test_logits_equal_all_parity_numbers(shared):
    with np.load(shared / "parity" / "models.npz") as numbers:
        errors = {key: parity_error(key, numbers[key]) for key in numbers if "/attention/" not in key}
    worst = max(errors, key=errors.get)
    print(f"\n{len(errors)} sets of logits, largest difference {errors[worst]:.1e} ({worst})")
    assert errors[worst] < TOLERANCE


def test_attention_equals_parity(extract):
    expected = extract["attention/anysleep/b2_e4_c5"]
    with torch.inference_mode():
        _, attention = seeded_weights(build_model("anysleep")).features(seeded_signal(2, 4 * 3840, 5))
    assert attention.shape == (13, 2, 5) == expected.shape
    assert np.abs(attention.numpy() - expected).max() < 1e-6


def test_state_dict_keys_and_shapes_are_the_published_ones(extract):
    published = json.loads(extract["state_dict_keys"].tobytes())
    for variant, shapes in published.items():
        ours = {key: list(tensor.shape) for key, tensor in build_variant(variant).state_dict().items()}
        assert ours == shapes, variant


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_those_of_the_paper(name):
    assert sum(p.numel() for p in build_model(name).parameters()) == PARAMETERS[name]


def test_filters_follow_from_depth_and_complexity():
    assert unet_filters() == (6, 9, 11, 15, 20, 28, 40, 55, 77, 108, 152, 214, 302)
    assert unet_filters(complexity=1.0) == (5, 7, 9, 12, 16, 22, 31, 43, 60, 84, 118, 166, 234)


@pytest.mark.parametrize("name", ["anysleep", "anysleep_early_fusion", "anysleep_late_fusion"])
def test_order_of_channels_does_not_matter(name):
    model, x = seeded_weights(build_model(name)), seeded_signal(1, 2 * 3840, 4)
    with torch.inference_mode():
        assert torch.allclose(model(x), model(x[..., [2, 0, 3, 1]]), atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("rate_hz", "resolution"), [(64, 1920), (100, 30), (256, 7680)])
def test_other_rates_and_resolutions(name, rate_hz, resolution):
    model = seeded_weights(build_model(name, sampling_rate_hz=rate_hz, predictions_per_epoch=resolution))
    with torch.inference_mode():
        logits = model(seeded_signal(1, 2 * 30 * rate_hz, 2))
    assert logits.shape == (1, 2 * resolution, 5)
    assert torch.isfinite(logits).all()


def test_average_of_finer_features_explains_the_coarser_prediction():
    """The resolution is only the pooling: pooling the tanh features by hand gives the coarse logits."""
    model = seeded_weights(build_model("anysleep"))
    with torch.inference_mode():
        features, _ = model.features(seeded_signal(1, 2 * 3840, 2))
        layers = model.segment_classifier.segment_classifier
        pooled = torch.tanh(layers[0](features)).reshape(1, -1, 2, 3840).mean(dim=-1)
        by_hand = layers[5](torch.nn.functional.elu(layers[3](pooled))).transpose(1, 2)
        assert torch.allclose(by_hand, model.classify(features, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build_model("anysleepy"), ValueError, "choose one of usleep"),
        (lambda: build_model("anysleep", attention_hiden=32), TypeError, "did you mean 'attention_hidden'"),
        (lambda: build_model("usleep", attention_hidden=32), TypeError, "usleep has no hyperparameter"),
        (lambda: build_model("anysleep", predictions_per_epoch=7), ValueError, "must divide the 3840 samples"),
        (lambda: build_model("anysleep", predictions_per_epoch=0), ValueError, "must divide"),
        (lambda: build_model("usleep", sampling_rate_hz=100.01), ValueError, "even, whole number"),
        (lambda: build_model("anysleep_early_fusion", sampling_rate_hz=50), ValueError, "multiple of 4 Hz"),
    ],
)
def test_wrong_settings_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3839, 2), "less than one epoch"),
        ((1, 3841, 2), "cut it to 3840"),
        ((1, 3840, 0), "no channel"),
        ((3840, 2), "expected \\(batch, samples, channels\\)"),
        ((1, 3840, 3), "exactly 2 channels"),
        ((1, 3840, 1), "exactly 2 channels"),
    ],
)
def test_wrong_input_is_named(shape, message):
    with pytest.raises(ValueError, match=message):
        build_model("usleep")(torch.zeros(shape))


def test_models_need_torch_and_numpy_only():
    """Everything else is hidden from the import, as on a machine that has only these two."""
    code = """
import sys
allowed = {"anysleep", "torch", "numpy"}
import torch, numpy
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in {"scipy", "pandas", "h5py", "mne", "matplotlib", "yaml", "pydantic", "edfio", "pooch", "sklearn"}:
            raise ImportError(f"anysleep.models imports {name}")
sys.meta_path.insert(0, Guard())
import anysleep.models
anysleep.models.build_model("anysleep")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_seed_gives_the_layers_their_first_weights_in_their_order():
    """Another order would give the demo's training, and all that comes after it, other numbers."""
    torch.manual_seed(0)
    ours = SegmentClassifier(6, 5).state_dict()
    torch.manual_seed(0)
    plain = [torch.nn.Conv1d(6, 6, 1), torch.nn.Conv1d(6, 5, 1), torch.nn.Conv1d(5, 5, 1)]
    expected = [tensor for layer in plain for tensor in layer.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(ours.values(), expected, strict=True))


def test_halving_takes_the_larger_neighbour_and_leads_the_gradient_there():
    """As torch's max pooling, ties included."""
    x = torch.randn(2, 3, 40)
    x[0, 0, :8] = torch.tensor([1.0, 1.0, -0.0, 0.0, 2.0, 1.0, 1.0, 2.0])
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = torch.randn(2, 3, 20)
    (HalvingMax.apply(ours) * weights).sum().backward()
    (torch.nn.functional.max_pool1d(theirs, 2) * weights).sum().backward()
    assert torch.equal(HalvingMax.apply(x), torch.nn.functional.max_pool1d(x, 2))
    assert torch.equal(ours.grad, theirs.grad)

"""Weights of other implementations of U-Sleep: where it is plain which is which, they give the same stages."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from anysleep.inference import stage_recording
from anysleep.models import build_model, load_checkpoint, unet_filters

WIDTHS = unet_filters(depth=5, complexity=1.0)


class Step(nn.Module):
    """Convolution, ELU, normalisation; in braindecode's order of registration, names of nobody."""

    def __init__(self, n_in, n_out, kernel):
        super().__init__()
        self.convolve, self.normalise = nn.Conv1d(n_in, n_out, kernel, padding="same"), nn.BatchNorm1d(n_out)

    def forward(self, x):
        return self.normalise(functional.elu(self.convolve(x)))


class Other(nn.Module):
    """U-Sleep as somebody else would write it, (B, 2, T) -> (B, 5, P), shallow decoder blocks first."""

    def __init__(self, dense, linear_head, skip_name="merge"):
        super().__init__()
        levels = list(pairwise(WIDTHS))
        self.skip_name = skip_name
        self.down = nn.ModuleList(Step(n_in, n, 9) for n_in, n in zip((2, *WIDTHS), WIDTHS[:-1], strict=False))
        self.bottom = Step(*levels[-1], 9)
        self.up = nn.ModuleList(
            nn.ModuleDict({"grow": Step(deep, n, 2), skip_name: Step(2 * n, n, 9)}) for n, deep in levels
        )
        self.dense, self.to_stages = nn.Conv1d(WIDTHS[0], dense, 1), nn.Linear(dense, 5)
        self.last = nn.Identity() if linear_head else nn.Sequential(nn.ELU(), nn.Linear(5, 5))

    def forward(self, x):
        skips = []
        for step in self.down:
            skips.append(step(x))
            x = functional.max_pool1d(skips[-1], 2)
        x = self.bottom(x)
        for step, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = step["grow"](functional.interpolate(x, scale_factor=2))
            both = [x, skip] if self.skip_name == "block_postskip" else [skip, x]
            x = step[self.skip_name](torch.cat(both, 1))
        pooled = functional.avg_pool1d(torch.tanh(self.dense(x)), 3840)
        return self.last(self.to_stages(pooled.transpose(1, 2)))


def used(model):
    """The same after some training, so that no normalisation is the identity."""
    torch.manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("wrap", ["{}", "module.{}", "_orig_mod.model.{}"])
@pytest.mark.parametrize("dense", [5, WIDTHS[0], 12])
@pytest.mark.parametrize("linear_head", [False, True])
@pytest.mark.parametrize("skip_name", ["merge", "block_postskip"])  # the second is braindecode's, and joins otherwise
def test_the_same_network_by_another_hand_gives_the_same_logits(tmp_path, wrap, dense, linear_head, skip_name):
    other = used(Other(dense, linear_head, skip_name))
    torch.save({wrap.format(key): tensor for key, tensor in other.state_dict().items()}, tmp_path / "other.pt")
    model = load_checkpoint(tmp_path / "other.pt")
    assert model.name == "usleep" and model.provenance["source"].startswith("another implementation of U-Sleep")
    assert (model.filters, model.dense_filters, model.linear_head) == (WIDTHS, dense, linear_head)
    x = torch.randn(1, 3 * 3840, 2, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = other(x.transpose(1, 2))
        assert torch.allclose(model(x), expected, atol=1e-5)
    staged = stage_recording(model, x[0].T.numpy(), resolutions=(1,)).logits[1]
    assert torch.allclose(torch.from_numpy(staged), expected[0], atol=1e-5)


def changed(**tensors):
    state = Other(5, False).state_dict()
    return {key: tensors.get(key.replace(".", "_"), tensor) for key, tensor in state.items()}


REFUSED = {
    "two layers have the shape": changed() | {"extra." + k: v for k, v in Step(2, WIDTHS[0], 9).state_dict().items()},
    "convolutions that U-Sleep has not: extra.convolve": changed()
    | {"extra." + k: v for k, v in Step(77, 3, 9).state_dict().items()},
    "no encoder that begins with two channels": changed(down_0_convolve_weight=torch.zeros(WIDTHS[0], 3, 9)),
    r"no convolution of shape \(5, 2, 9\), which would be encoders.0": changed(
        down_0_convolve_weight=torch.zeros(WIDTHS[0], 2, 7)
    ),
    r"classifier has layers of shape \[\(5, 5, 1\), \(4, 5\), \(5, 5\)\]": changed(to_stages_weight=torch.zeros(4, 5)),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_not_plainly_u_sleep_is_refused_with_what_differs(tmp_path, said):
    torch.save(REFUSED[said], tmp_path / "other.pt")
    with pytest.raises(ValueError, match=said) as caught:
        load_checkpoint(tmp_path / "other.pt")
    assert str(tmp_path / "other.pt") in str(caught.value)


def test_our_own_keys_need_no_matching(tmp_path):
    torch.save(build_model("usleep", filters=WIDTHS).state_dict(), tmp_path / "raw.pth")
    assert load_checkpoint(tmp_path / "raw.pth").provenance == {}

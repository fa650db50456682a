"""What a network costs: counted as by hand, measured as another counter does, and as far-sighted as it behaves."""

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from anysleep.models import build_model, unet_filters
from anysleep.staging import estimate as cost
from anysleep.staging.stage import stage_recording

RATE_HZ = 4


def small(name="anysleep", depth=3, hidden=8):
    torch.manual_seed(0)
    width = {} if name == "usleep" else {"attention_hidden": hidden}
    return build_model(name, sampling_rate_hz=RATE_HZ, filters=unet_filters(depth), **width).eval()


def test_the_default_network_sees_as_far_as_published():
    network = build_model("anysleep")
    assert cost.receptive_field_samples(network) / 128 / 60 == pytest.approx(14.36, abs=0.005)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_receptive_field_is_the_number_of_inputs_that_change_an_output(depth):
    """Every input is moved far up and down in turn; the mean is over a whole step of the deepest level."""
    network = small("usleep", depth).double()
    n = 6 * network.samples_per_epoch
    first = n // 2 // 2**depth * 2**depth
    outputs = slice(first, first + 2**depth)
    changed = np.zeros((n, 2**depth), dtype=bool)
    inputs = torch.arange(n // 2 - 120, n // 2 + 120)
    with torch.inference_mode():
        for seed in range(3):
            x = torch.randn(1, n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
            before = network.features(x)[0][..., outputs]
            for moved in (-30, 30):
                there = x.repeat(len(inputs), 1, 1)  # (240, T, 2), each with another sample moved
                there[torch.arange(len(inputs)), inputs] += moved
                changed[inputs] |= (network.features(there)[0][..., outputs] != before).any(dim=1).numpy()
    finest = network.samples_per_epoch
    assert changed.sum(axis=0).mean() == cost.receptive_field_samples(network, finest)
    assert cost.receptive_field_samples(network, 1) == changed.sum(axis=0).mean() + finest - 1


def test_multiplications_by_hand():
    """U-Sleep with one level: filters a, b; a tenth as long an epoch changes nothing in the formula."""
    network = small("usleep", depth=1)
    (a, b), n = network.filters, network.samples_per_epoch
    encoder, connector = n * 2 * a * 9, n // 2 * a * b * 9
    decoder = n * b * a * 2 + n * 2 * a * a * 9
    classifier = n * a * a + a * 5 + 5 * 5
    assert cost.multiply_adds_per_epoch(network, 2) == encoder + connector + decoder + classifier


def test_multiplications_of_attention_by_hand():
    """AnySleep encodes each channel and weighs every level; the attention of a recording is shared by its epochs."""
    network, n_channels = small("anysleep", depth=1), 3
    (a, b), n = network.filters, network.samples_per_epoch
    encoder = n_channels * (n * a * 9 + n // 2 * a * b * 9)
    sums = n_channels * (n * a + n // 2 * b)
    decoder, classifier = n * b * a * 2 + n * 2 * a * a * 9, n * a * a + a * 5 + 5 * 5
    mlps = n_channels * (a * 8 + 8 + b * 8 + 8) / 2  # once in the two epochs that are counted
    assert cost.multiply_adds_per_epoch(network, n_channels) == round(encoder + sums + decoder + classifier + mlps)


def test_channels_cost_what_each_architecture_does_with_them():
    """Late fusion repeats all, AnySleep the encoder, early fusion next to nothing."""
    grows = {}
    for name in ("anysleep_late_fusion", "anysleep", "anysleep_early_fusion"):
        network = build_model(name)
        two, three, five = (cost.multiply_adds_per_epoch(network, n) for n in (2, 3, 5))
        assert five - three == pytest.approx(2 * (three - two), abs=4)
        grows[name] = (three - two) / two
    assert grows["anysleep_late_fusion"] == pytest.approx(0.5, abs=0.01)
    assert 0.15 < grows["anysleep"] < 0.25 and grows["anysleep_early_fusion"] < 0.05


@pytest.mark.parametrize("name", ["anysleep", "usleep"])
def test_the_peak_of_memory_is_what_torchs_own_profiler_sees(name):
    """Which sees the workspace of convolutions, too: small in the U-Net, not in late fusion's attention."""
    network, signals = small(name, depth=6), np.random.default_rng(0).standard_normal((2, 480 * 120), dtype=np.float32)
    ours = cost.staging_memory_mb(network, signals)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        stage_recording(network, signals)
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    theirs = np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())])
    assert ours == pytest.approx(theirs.max() / 1e6, rel=0.02)
    assert theirs[-1] == 0


def test_memory_counts_what_lives_at_the_same_time():
    with cost.TensorMemory() as memory:
        a = torch.zeros(1000)
        b = a.view(10, 100)  # no memory of its own
        a.add_(1)
        del a
        del b
        c = torch.ones(500) + torch.ones(500)
    assert memory.peak_bytes == 3 * 500 * 4 and c.sum() == 1000
    assert memory.bytes == 500 * 4


def test_the_table_has_a_row_an_architecture_and_number_of_channels():
    network = small("anysleep", depth=2, hidden=6)
    table = cost.cost_table(network, [1, 3], torch.device("cpu"))
    assert table.groupby("network").n_channels.agg(list).to_dict() == {
        "usleep": [2],
        "anysleep": [1, 3],
        "anysleep_early_fusion": [1, 3],
        "anysleep_late_fusion": [1, 3],
    }
    assert (table.hours == 16 / 120).all() and (table.seconds > 0).all() and (table.memory_mb > 0).all()
    ours = sum(parameter.numel() for parameter in network.parameters())
    assert (table.n_parameters[table.network == "anysleep"] == ours).all()
    assert cost.cost_table(network, [], torch.device("cpu")).empty


def test_parameters_are_as_published():
    published = {"usleep": 3_114_337, "anysleep": 3_157_856, "anysleep_early_fusion": 3_131_601}
    published |= {"anysleep_late_fusion": 3_137_356}
    assert {name: cost.count_parameters(build_model(name)) for name in published} == published

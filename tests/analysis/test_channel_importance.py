"""The table equals counting by hand; the flag finds the channel that carries a night, and no other."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.toy_training import RATE_HZ, toy_network, toy_training, write_archive
from scipy.stats import entropy
from sklearn.metrics import cohen_kappa_score

from anysleep.analysis.channel_importance import channel_importance, leave_one_out, verdict_of_importance
from anysleep.datasets.archive import Archive
from anysleep.figures.channels import plot_channel_importance
from anysleep.staging.stage import Staging, stage_montages

CHANNELS = ("F3", "C3", "E1", "E2")
N_EPOCHS = 200
STAGES = np.random.default_rng(0).integers(0, 5, N_EPOCHS)


def staging_of(stages, n_channels, *, confidence=0.8, attention=None):
    """A staging in which the network is equally sure of every epoch."""
    probabilities = np.full((len(stages), 5), (1 - confidence) / 4)
    probabilities[np.arange(len(stages)), stages] = confidence
    attention = np.full((3, n_channels), 1 / n_channels) if attention is None else np.asarray(attention)
    return Staging({1: np.log(probabilities).astype(np.float32)}, attention.astype(np.float32), 0.0)


def night(changed, *, confidence=None, attention=None):
    """Stagings of a night in which leaving out channel i changes the stages of `changed[i]` epochs."""
    n = len(changed)
    confidence = dict(enumerate([0.8] * n if confidence is None else confidence))
    everything, *smaller = leave_one_out(n)
    stagings = {everything: staging_of(STAGES, n, attention=attention)}
    for i, montage in enumerate(smaller):
        other = np.where(np.arange(N_EPOCHS) < changed[i], (STAGES + 1) % 5, STAGES)
        stagings[montage] = staging_of(other, n - 1, confidence=confidence[i])
    return stagings


def doctor(*verdicts):
    return pd.DataFrame({"channel": [*CHANNELS, "chin"], "verdict": [*verdicts, "drop"]})


def flagged(table):
    return table.channel[table.flag].tolist()


def test_every_montage_lacks_one_channel():
    assert leave_one_out(3) == [(0, 1, 2), (1, 2), (0, 2), (0, 1)]
    assert leave_one_out(1) == [(0,)]


def test_numbers_equal_counting_in_a_network():
    torch.manual_seed(1)
    model = toy_network()
    for parameter in model.parameters():  # so that untrained channels differ in weight, and epochs in stage
        torch.nn.init.normal_(parameter, std=0.5)
    signals = np.random.default_rng(1).standard_normal((4, 40 * 30 * RATE_HZ)).astype(np.float32)
    signals *= np.repeat(np.random.default_rng(2).uniform(0, 4, (4, 40)), 30 * RATE_HZ, axis=1).astype(np.float32)
    stagings = stage_montages(model, signals, montages=leave_one_out(4))
    table = channel_importance(stagings, CHANNELS)
    full = stagings[0, 1, 2, 3]
    for i, row in enumerate(table.itertuples()):
        without = stagings[tuple(j for j in range(4) if j != i)]
        pairs = list(zip(full.logits[1].argmax(axis=1), without.logits[1].argmax(axis=1), strict=True))
        bits = [np.mean([entropy(p, base=2) for p in one.hypnodensity(1)]) for one in (full, without)]
        weights = [float(module[i]) for module in full.attention]
        assert row.channel == CHANNELS[i]
        assert row.changed_share == sum(a != b for a, b in pairs) / 40
        assert row.kappa == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
        assert row.surer_bits == pytest.approx(bits[0] - bits[1], abs=1e-5)
        assert row.mean_attention == pytest.approx(sum(weights) / 6)
        assert row.attention_ratio == pytest.approx(sum(weights) / 6 / 0.25)
        assert row.largest_attention == max(weights)
    assert table.changed_share.nunique() > 1 and table.mean_attention.sum() == pytest.approx(1)
    assert (table.doctor == "").all()


def test_a_night_on_which_all_channels_agree_has_no_flag():
    table = channel_importance(night([2, 4, 10, 6]), CHANNELS, doctor("use", "use", "use", "use"))
    assert not table.flag.any() and (table.reason == "").all()
    assert verdict_of_importance(table) == (
        "nothing found",
        "No suspicious channel carries the night: without E1, the one that matters most, 5% of the epochs change. "
        "(Two bad channels can hide each other.)",
    )


def test_the_only_channel_without_which_much_changes_is_flagged():
    table = channel_importance(night([10, 120, 20, 6]), CHANNELS)
    assert flagged(table) == ["C3"]
    assert table.reason[1].startswith("60% of the epochs change without it, at most 10% without any other: look")
    verdict, why = verdict_of_importance(table)
    assert verdict == "look" and why == f"The night hangs on C3: {table.reason[1]}."


def test_a_good_channel_may_matter_much():
    table = channel_importance(night([20, 30, 60, 10], confidence=[0.8, 0.8, 0.7, 0.8]), CHANNELS)
    assert not table.flag.any()
    assert table.reason[2] == "30% of the epochs change without it, but nothing speaks against it"


def test_a_channel_without_which_the_network_is_surer_is_flagged():
    table = channel_importance(night([20, 30, 60, 10], confidence=[0.8, 0.8, 0.9, 0.8]), CHANNELS)
    assert flagged(table) == ["E1"]
    assert "the network is surer without it" in table.reason[2]


def test_a_channel_that_the_doctor_distrusts_is_flagged_where_it_matters():
    table = channel_importance(night([20, 30, 60, 10]), CHANNELS, doctor("use", "look", "look", "use"))
    assert flagged(table) == ["E1"]
    assert table.reason[1] == "the doctor says look, but only 15% of the epochs change without it"
    assert table.doctor.tolist() == ["use", "look", "look", "use"]


@pytest.mark.parametrize(("n_channels", "most"), [(3, 53), (4, 39)])
def test_a_channel_without_which_few_epochs_change_carries_no_night(n_channels, most):
    """Up to 0.8 of an equal share: of 200 epochs less than 53.3 with three channels, less than 40 with four."""
    for n_changed, expected in ((most, []), (most + 1, ["F3"])):
        stagings = night([n_changed, *[0] * (n_channels - 1)], confidence=[0.95] * n_channels)
        table = channel_importance(stagings, CHANNELS[:n_channels], doctor(*["drop"] * 4))
        assert flagged(table) == expected


def test_of_several_suspects_it_is_the_one_the_network_listens_to():
    attention = [[0.1, 0.6, 0.2, 0.1], [0.3, 0.4, 0.2, 0.1]]
    stagings = night([90, 80, 0, 0], confidence=[0.95, 0.95, 0.8, 0.8], attention=attention)
    table = channel_importance(stagings, CHANNELS)
    assert flagged(table) == ["C3"]
    assert table.reason[0] == "45% of the epochs change without it, but another channel is more in doubt"
    distrusted = channel_importance(stagings, CHANNELS, doctor("look", "use", "use", "use"))
    assert flagged(distrusted) == ["F3"]


@pytest.mark.parametrize("n_channels", [1, 2])
def test_one_or_two_channels_decide_nothing(n_channels):
    stagings = night([150] * n_channels, confidence=[0.95] * n_channels)
    table = channel_importance(stagings, CHANNELS[:n_channels], doctor("drop", "use", "use", "use"))
    assert not table.flag.any()
    assert set(table.reason) == {"takes 3 channels: where two disagree, nobody can tell which is right"}
    assert verdict_of_importance(table) == (
        "unknown",
        "Whether one channel carries the night cannot be told: that takes 3 channels: where two disagree, nobody can "
        "tell which is right.",
    )
    assert table.changed_share.isna().tolist() == ([True] if n_channels == 1 else [False, False])


def test_what_cannot_be_compared_is_refused():
    stagings = night([1, 1, 1, 1])
    pair = {(0, 1): Staging(stagings[0, 1, 2].logits, None, 0.0)}
    with pytest.raises(ValueError, match="U-Sleep has no attention"):
        channel_importance(pair, CHANNELS[:2])
    fine = stagings | {(0, 1, 2): Staging({8: np.zeros((8 * N_EPOCHS, 5))}, np.ones((3, 3)) / 3, 0.0)}
    with pytest.raises(ValueError, match=r"no staging of the channels \(0, 1, 2\) at 30 s"):
        channel_importance(fine, CHANNELS)
    with pytest.raises(ValueError, match=r"no staging of the channels \(0, 1, 2, 3, 4\).*leave_one_out\(5\)"):
        channel_importance(stagings, (*CHANNELS, "O1"))
    with pytest.raises(KeyError, match="E2"):
        channel_importance(stagings, CHANNELS, doctor("use", "use", "use", "use").drop(index=3))


def test_noise_that_carries_a_night_of_a_trained_network_is_found(tmp_path):
    training = toy_training(write_archive(tmp_path))
    training.network.load_state_dict(training.run().best_weights)
    with Archive(tmp_path / "toy.h5") as archive:
        signals = archive.signals("toy", "d5", CHANNELS[:3])
    for spoilt, expected in ((False, []), (True, ["C3"])):
        if spoilt:
            signals[1] = 20 * np.random.default_rng(0).standard_normal(signals.shape[1])
        stagings = stage_montages(training.network, signals, montages=leave_one_out(3))
        assert flagged(channel_importance(stagings, CHANNELS[:3])) == expected


def test_the_figure_shows_changes_and_attention():
    table = channel_importance(night([10, 120, 20, 6]), CHANNELS)
    ax = plot_channel_importance(table, plt.figure().subplots())
    assert [bar.get_width() for bar in ax.patches] == [0.05, 0.6, 0.1, 0.03]
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2
    assert ax.lines[0].get_xdata() == pytest.approx([0.25] * 4)

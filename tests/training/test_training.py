"""Training learns, repeats, goes on after a stop as if there had been none, and does what its options say."""

import math
import random
import shutil

import numpy as np
import pytest
import torch
from helpers.toy_evaluation import stage_night
from helpers.toy_training import RATE_HZ, assert_same, params_of_03, toy_network, toy_training, write_archive
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment

from anysleep.analysis import stage_metrics
from anysleep.datasets.archive import Archive
from anysleep.evaluation.evaluate import confusion_of_night
from anysleep.evaluation.metrics import confusion_matrix, metrics_of_confusion
from anysleep.models import ARCHITECTURES, build_model, save_checkpoint, unet_filters
from anysleep.staging.nights import voted_hypnogram
from anysleep.training.estimate import estimate_memory, estimate_training_epoch, saved_bytes
from anysleep.training.loop import TrainingStopped
from anysleep.training.process import Reporter
from anysleep.training.settings import Loss, Schedule
from anysleep.training.setup import (
    confusion_of_batch,
    first_network,
    freeze,
    inverse_sqrt_weights,
    make_optimizer,
    stage_loss,
    training_mode,
)

PLAIN = Loss(stage_weights="none", gradient_clip=0.0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def undisturbed(archive):
    """What a training that was never stopped came to."""
    return toy_training(archive).run()


def test_training_learns_and_keeps_the_best_weights(archive, undisturbed):
    history = undisturbed.table()
    assert history.step.tolist() == [20, 40, 60] and undisturbed.finished
    assert history.valid_mf1.max() > 0.7 > history.valid_mf1.iloc[0]
    network = toy_network()
    network.load_state_dict(undisturbed.best_weights)
    with Archive(archive) as opened:
        stagings = [stage_night(network, opened, "toy", name) for name in ("d4", "d5")]
        truth = [opened.hypnogram("toy", name) for name in ("d4", "d5")]
    stages = [voted_hypnogram(staging, 1) for staging in stagings]
    scores = stage_metrics(np.concatenate(truth), np.concatenate(stages))
    assert scores.mf1 == pytest.approx(history.valid_mf1.max(), abs=1e-12)


def test_the_history_scores_the_training_windows_and_every_data_set_of_the_validation(archive):
    """Three steps of a network whose weights cannot change, and two nights that are called two data sets."""
    network = toy_network().requires_grad_(False)
    network.segment_classifier.requires_grad_(True)
    training = toy_training(archive, network, n_steps=3, steps_per_training_epoch=3, learning_rate=1e-12)
    truth, said = [], []
    for batch in range(3):
        x, y = training.batches[0, batch]
        training_mode(network)
        truth.append(y.flatten().numpy())
        said.append(network(x).argmax(-1).flatten().numpy())
    row = training.run().history[0]
    assert row["train_mf1"] == pytest.approx(stage_metrics(np.concatenate(truth), np.concatenate(said)).mf1)
    assert row["valid_mf1_toy"] == row["valid_mf1"]


def test_each_data_set_is_validated_by_itself(tmp_path):
    archive = write_archive(tmp_path, datasets=("toy", "also"))
    training = toy_training(archive, n_steps=2, steps_per_training_epoch=2)
    row = training.run().history[0]
    with Archive(archive) as opened:
        of = {name: confusion_of_night(training.network, opened, *name) for name in (("also", "d5"), ("toy", "d4"))}
    assert set(training.valid_nights.dataset) == {"also", "toy"}
    scores = {dataset: metrics_of_confusion(confusion).mf1 for (dataset, _), confusion in of.items()}
    assert scores["also"] != scores["toy"]
    assert {name: row[f"valid_mf1_{name}"] for name in scores} == pytest.approx(scores)
    assert row["valid_mf1"] == pytest.approx(metrics_of_confusion(sum(of.values())).mf1)


@pytest.mark.quick
def test_stages_of_a_batch_are_counted_without_unscored_epochs():
    logits, stages = torch.randn(3, 7, 5), torch.randint(0, 5, (3, 7))
    stages[0, :3] = 9
    expected = confusion_matrix(stages.flatten().numpy(), logits.argmax(-1).flatten().numpy())
    assert confusion_of_batch(logits, stages).tolist() == expected.tolist() and expected.sum() == 18


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_stopped_training_goes_on_as_if_it_never_had(archive, tmp_path, architecture):
    """Stopped at random steps: the same history and weights, bit for bit."""

    def train(**changes):
        settings = {
            "n_steps": 14,
            "steps_per_training_epoch": 5,
            "schedule": Schedule(shape="warmup_cosine", n_cycles=2),
        }
        return toy_training(archive, toy_network(architecture), **settings, **changes)

    rng, n_stops = random.Random(1), 0
    while True:
        try:
            state = train(state_file=tmp_path / "state.pt").run(should_stop=lambda: rng.random() < 0.3)
            break
        except TrainingStopped:
            n_stops += 1
    assert n_stops >= 3
    assert_same(state, train().run())


def test_early_stopping_counts_on_after_a_stop(archive, tmp_path):
    """With a rate that changes nothing, and nothing to normalise, every validation after the first is without gain."""

    def train(**changes):
        network = toy_network()
        freeze(network, [name for name, _ in network.named_children() if name != "segment_classifier"])
        return toy_training(archive, network, **changes)

    settings = {
        "learning_rate": 1e-12,
        "steps_per_training_epoch": 2,
        "patience": 3,
        "state_file": tmp_path / "state.pt",
    }
    training = train(**settings)
    with pytest.raises(TrainingStopped, match="step 5"):
        training.run(should_stop=lambda: training.state.step == 5)
    training = train(**settings)
    assert (training.state.step, training.state.validations_without_gain) == (5, 1)
    state = training.run()
    assert state.table().step.tolist() == [2, 4, 6, 8] and state.finished
    assert train(**settings).run().history == state.history  # nothing left to do


def test_a_state_of_another_training_is_not_used(archive, tmp_path):
    settings = {"n_steps": 2, "state_file": tmp_path / "state.pt"}
    toy_training(archive, **settings, key="one").run()
    assert toy_training(archive, **settings, key="one").state.finished
    with pytest.warns(UserWarning, match="training starts anew"):
        assert toy_training(archive, **settings, key="other").state.step == 0


@pytest.mark.parametrize("n_bytes", [0, 1000])
def test_half_a_state_is_moved_aside_and_the_training_starts_anew(n_bytes, archive, tmp_path):
    settings = {"n_steps": 2, "state_file": tmp_path / "state.pt", "key": "one"}
    whole = toy_training(archive, **settings).run()
    settings["state_file"].write_bytes(settings["state_file"].read_bytes()[:n_bytes])
    with pytest.warns(UserWarning, match="or the state is half a file: training starts anew"):
        training = toy_training(archive, **settings)
    assert training.run().history == whole.history and len(list(tmp_path.glob("other-*.pt"))) == 1


def test_a_loss_that_is_no_number_ends_the_training(archive):
    network = toy_network()
    torch.nn.init.constant_(network.encoders[0].enc[0].weight, math.nan)
    with pytest.raises(FloatingPointError, match=r"loss is nan in the 3 steps before step 3; .*gradient_clip"):
        toy_training(archive, network, steps_per_training_epoch=3).run()


def learning_rates(schedule, n_steps):
    optimizer, scheduler = make_optimizer(toy_network(), 0.5, schedule, n_steps)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.quick
def test_the_learning_rate_follows_its_schedule():
    cosine = [0.25 * (1 + math.cos(math.pi * i / 36)) for i in range(36)]
    rise = [0.125, 0.25, 0.375, 0.5]
    assert learning_rates(Schedule(shape="constant", n_cycles=1), 40) == [0.5] * 40
    assert learning_rates(Schedule(shape="warmup", n_cycles=1), 40) == pytest.approx(rise + [0.5] * 36)
    assert learning_rates(Schedule(shape="warmup_cosine", n_cycles=1), 40) == pytest.approx(rise + cosine)
    restarts = [0.25 * (1 + math.cos(math.pi * (i % 12) / 12)) for i in range(36)]
    assert learning_rates(Schedule(shape="warmup_cosine", n_cycles=3), 40) == pytest.approx(rise + restarts)


@pytest.mark.quick
def test_decays_end_at_the_least_rate_and_may_grow_longer():
    rise = [0.125, 0.25, 0.375, 0.5]

    def decay(n):
        return [0.1 + 0.2 * (1 + math.cos(math.pi * i / n)) for i in range(n)]

    one = Schedule(shape="warmup_cosine", n_cycles=1, min_rate=0.1)
    assert learning_rates(one, 40) == pytest.approx(rise + decay(36))
    growing = Schedule(shape="warmup_cosine", n_cycles=2, cycle_growth=2, min_rate=0.1)
    assert learning_rates(growing, 40) == pytest.approx(rise + decay(12) + decay(24))


@pytest.mark.quick
def test_the_loss_is_the_mean_over_scored_epochs():
    logits, stages = torch.randn(2, 3, 5), torch.tensor([[0, 9, 4], [9, 9, 1]])
    log_p = logits.log_softmax(-1)
    parts = torch.stack([-log_p[0, 0, 0], -log_p[0, 2, 4], -log_p[1, 2, 1]])
    weights = torch.tensor([1.0, 2.0, 1.0, 1.0, 5.0])
    assert stage_loss(logits, stages) == pytest.approx(float(parts.mean()), abs=1e-6)
    weighted = float((parts * torch.tensor([1.0, 5.0, 2.0])).sum() / 8)
    assert stage_loss(logits, stages, weights) == pytest.approx(weighted, abs=1e-6)


@pytest.mark.quick
def test_rare_stages_weigh_more():
    weights = inverse_sqrt_weights([np.repeat([0, 2, 9], [100, 400, 50])])
    assert weights.tolist() == pytest.approx([10 / 3, 0, 5 / 3, 0, 0])


def test_gradients_are_clipped(archive):
    """The largest norm that reaches the optimiser, without and with a limit."""

    def largest_norm(limit):
        norms = []
        training = toy_training(archive, n_steps=3, loss=Loss(stage_weights="none", gradient_clip=limit))

        def note(*_):
            norms.append(torch.cat([p.grad.flatten() for p in training.network.parameters()]).norm().item())

        training.optimizer.optimizer.register_step_pre_hook(note)
        training.run()
        return max(norms)

    assert largest_norm(0.0) > 0.5
    assert largest_norm(0.01) == pytest.approx(0.01, rel=1e-3)


def test_frozen_parts_keep_weights_and_statistics(archive):
    network = toy_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    freeze(network, ["encoders", "skip_connections"])
    toy_training(archive, network, n_steps=2, loss=PLAIN).run()
    changed = {
        name.split(".")[0] for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed == {"connector", "decoders", "segment_classifier"}
    with pytest.raises(ValueError, match="no part encoder; it has encoders, connector"):
        freeze(network, ["encoder"])
    with pytest.raises(ValueError, match="nothing to train"):
        freeze(network, [name for name, _ in network.named_children()])


def test_a_stop_in_the_middle_of_a_validation_keeps_the_steps_before_it(archive, undisturbed, tmp_path, capsys):
    """Asked to stop before the second of two validation nights: the validation is done again when it goes on."""
    asked = iter([False] * 19 + [False, True]).__next__  # after 19 steps, before the first and second night
    with pytest.raises(TrainingStopped, match="after step 20"):
        toy_training(archive, state_file=tmp_path / "state.pt").run(should_stop=asked)
    training = toy_training(archive, state_file=tmp_path / "state.pt")
    assert (training.state.step, len(training.state.losses), training.state.history) == (20, 20, [])
    assert_same(training.run(Reporter(tmp_path, 60, start=20)), undisturbed)
    assert "step 20 of 60 · mean loss" in capsys.readouterr().out


@pytest.mark.slow
def test_bf16_learns_as_float32_does(archive, undisturbed):
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed", plugins=[LightningEnvironment()])
    history = toy_training(archive, fabric=fabric).run().table()
    assert np.allclose(history.train_loss, undisturbed.table().train_loss, atol=0.1)
    assert not np.array_equal(history.train_loss, undisturbed.table().train_loss)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_learns_the_same(archive):

    def train(compiled):
        torch.manual_seed(0)
        network = build_model("usleep", sampling_rate_hz=RATE_HZ, filters=(5, 7))
        if compiled:
            network.compile(dynamic=True)
        return toy_training(archive, network, n_steps=3, steps_per_training_epoch=3).run()

    compiled, plain = train(compiled=True), train(compiled=False)
    assert compiled.best_weights.keys() == plain.best_weights.keys()
    assert compiled.history[0]["train_loss"] == pytest.approx(plain.history[0]["train_loss"], rel=1e-3)


def test_fine_tuning_starts_from_a_checkpoint(root, tmp_path):
    trained = build_model("anysleep", sampling_rate_hz=RATE_HZ, filters=unet_filters(3, 1.0), attention_hidden=7)
    path = save_checkpoint(tmp_path / "trained.pth", trained, {})
    fine_tune = {"initial_checkpoint": str(path), "frozen": ["decoders"]}
    params = params_of_03(root, unet={"depth": 3, "complexity": 1.0}, fine_tune=fine_tune)
    network = first_network(params, RATE_HZ)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), trained.parameters(), strict=True))
    assert {p.requires_grad for p in network.decoders.parameters()} == {False}
    with pytest.raises(ValueError, match=r"trained.pth: filters is \(5, 7, 9, 12\), but .* ask for \(5, 7, 9\)"):
        first_network(params_of_03(root, unet={"depth": 2, "complexity": 1.0}, fine_tune=fine_tune), RATE_HZ)
    with pytest.raises(ValueError, match="name is anysleep, but architecture"):
        first_network(params.model_copy(update={"architecture": "usleep"}), RATE_HZ)


@pytest.mark.quick
def test_first_weights_follow_from_the_seed(root):
    one, same, other = (first_network(params_of_03(root, seed=seed), 64) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.encoders[0].enc[0].weight, other.encoders[0].enc[0].weight)


def test_the_memory_of_a_step_is_foretold(root):
    """By hand: U-Sleep of one level at 4 Hz, T samples a window. What each layer needs for its gradient."""
    network = build_model("usleep", sampling_rate_hz=RATE_HZ, filters=(5, 7))
    one, two = (saved_bytes(network, 2, n, 2) for n in (4, 8))
    n_floats = (two - one) / 4 / 2 / (4 * 120)  # a sample of a window
    inputs = 2 + 5 * 3 + 5 * 2  # input, before ELU, before and after normalisation, and the pooling's places (int64)
    assert inputs < n_floats < 4 * inputs
    assert saved_bytes(network, 4, 4, 2) == pytest.approx(2 * one, rel=0.01)
    with pytest.raises(MemoryError, match=r"needs at least [\d.]+ GiB, and [\d.]+ GiB are free; lower batch.n_windows"):
        huge = {"n_windows": 65_536, "window_epochs": 20_160, "max_channels": 0}
        estimate_memory(params_of_03(root, batch=huge, device="cpu"), network, 10)
    fits = estimate_memory(params_of_03(root, device="cpu"), first_network(params_of_03(root), 64), 2)
    assert 0 < fits.needed_gib < fits.free_gib


def test_the_time_of_a_training_epoch_is_foretold(root, monkeypatch):
    """A step that takes 1 s and 2 s a channel; channels are drawn by 1 / n; four windows are tried of ten."""
    monkeypatch.setattr("anysleep.training.estimate._step_s", lambda network, n_windows, params, n: 1.0 + 2.0 * n)
    params = params_of_03(root, device="cpu", steps_per_training_epoch=100)
    mean_step_s = (6 * 3 + 3 * 5 + 2 * 7) / 11
    seconds = estimate_training_epoch(params, first_network(params, 64), max_channels=3)
    assert seconds == pytest.approx(mean_step_s * 10 / 4 * 100)

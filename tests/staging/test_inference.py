"""However a night is staged, the result is that of the plain forward pass."""

import itertools
import subprocess
import sys
import time
import warnings
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.parity import seeded_signal, seeded_weights

from anysleep.models import ARCHITECTURES, build_model, unet_filters
from anysleep.staging import devices, engines, unet
from anysleep.staging import stage as staging_module
from anysleep.staging.devices import choose_device
from anysleep.staging.estimate import estimate_staging
from anysleep.staging.stage import default_montages, n_to_align, stage_montages, stage_recording
from anysleep.staging.votes import majority_vote

FOURTEEN = (1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 640, 960, 1920, 3840)
WITH_ATTENTION = [name for name in ARCHITECTURES if name != "usleep"]
ROUNDING = 5e-5
"""Largest difference of logits; the seeded ones reach from -5 to 5."""


def narrow(name, rate_hz=128):
    """All twelve levels, which decide where odd lengths are padded, with few filters."""
    return seeded_weights(build_model(name, sampling_rate_hz=rate_hz, filters=unet_filters(12, 0.4)))


def night(n_epochs, channels, rate_hz=128):
    """Signals (C, T)."""
    return seeded_signal(1, n_epochs * 30 * rate_hz, channels)[0].T.numpy()


def plain(model, signals, predictions_per_epoch=1):
    """Logits and attention of the network itself."""
    with torch.inference_mode():
        features, attention = model.eval().features(torch.tensor(signals.T[None]))
        logits = model.classify(features, predictions_per_epoch)[0].numpy()
    return logits, None if attention is None else attention[:, 0].numpy()


def assert_plain(model, signals, staging, resolutions=(1,)):
    """A staging that equals the network itself."""
    for r in resolutions:
        logits, attention = plain(model, signals, r)
        assert staging.logits[r].shape == logits.shape and staging.logits[r].dtype == np.float32
        assert np.abs(staging.logits[r] - logits).max() < ROUNDING
        assert (attention is None) == (staging.attention is None)
        if attention is not None:
            assert staging.attention.shape == attention.shape and np.abs(staging.attention - attention).max() < 1e-5


@pytest.fixture(params=[devices.TILE_VALUES, 500], ids=["one tile", "many tiles"])
def tiles(request, monkeypatch):
    """Short nights as they are, and in tiles that end anywhere."""
    monkeypatch.setattr(devices, "TILE_VALUES", request.param)


@pytest.mark.parametrize("n_epochs", [*range(1, 18), 31, 32, 33])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_number_of_epochs(name, n_epochs, monkeypatch):
    monkeypatch.setattr(devices, "TILE_VALUES", 500)
    model, signals = narrow(name), night(n_epochs, 2)
    assert_plain(model, signals, stage_recording(model, signals, resolutions=(1, 128)), (1, 128))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_aligned_the_start_of_a_night_does_not_depend_on_its_length(name):
    """With one channel, so that attention cannot; 15 epochs from the end the U-Net sees nothing of it."""
    model, whole = narrow(name), night(48, 2 if name == "usleep" else 1)
    samples = model.samples_per_epoch

    def starts(aligned):
        cut = [whole[:, : n * samples] for n in (33, 36, 40, 47, 48)]
        stagings = [stage_recording(model, signals, resolutions=(1, 8), aligned=aligned) for signals in cut]
        assert [len(staging.logits[8]) for staging in stagings] == [8 * n for n in (33, 36, 40, 47, 48)]
        return [staging.logits[8][: 8 * 16] for staging in stagings]

    *shorter, longest = starts(aligned=True)
    assert max(np.abs(start - longest).max() for start in shorter) < ROUNDING
    assert np.array_equal(longest, starts(aligned=False)[-1])  # 48 epochs are three times 16: nothing to add
    assert min(np.abs(start - longest).max() for start in starts(aligned=False)[:-1]) > 20 * ROUNDING


@pytest.mark.parametrize(("rate_hz", "period"), [(64, 32), (128, 16), (256, 8), (100, 512)])
def test_nights_are_aligned_to_the_epochs_that_every_level_halves(rate_hz, period):
    model = build_model("usleep", sampling_rate_hz=rate_hz)
    assert [n_to_align(model, n) for n in (1, period, period + 1)] == [period - 1, 0, period - 1]


def test_a_night_is_aligned_by_its_mirror_image():
    model, signals = narrow("anysleep"), night(10, 3)
    mirrored = np.concatenate([signals, signals[:, ::-1]], axis=1)[:, : 16 * model.samples_per_epoch]
    logits, attention = plain(model, mirrored)
    montages = [(0, 1, 2), (2, 0)]
    of_montages = stage_montages(model, signals, montages=montages, aligned=True)
    assert np.abs(of_montages[0, 1, 2].logits[1] - logits[:10]).max() < ROUNDING
    assert np.abs(of_montages[0, 1, 2].attention - attention).max() < 1e-5
    assert of_montages[2, 0].logits[1].shape == (10, 5)


@pytest.mark.parametrize("rate_hz", [4, 64, 100, 200, 256])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_sampling_rates(name, rate_hz, tiles):
    model, signals = narrow(name, rate_hz), night(7, 2, rate_hz)
    resolutions = (1, 2, 30)
    assert_plain(model, signals, stage_recording(model, signals, resolutions=resolutions), resolutions)


@pytest.mark.parametrize("n_channels", [1, 2, 3, 8, 20])
@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_any_number_of_channels(name, n_channels):
    model, signals = narrow(name), night(3, n_channels)
    assert_plain(model, signals, stage_recording(model, signals))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_resolution_from_one_pass_of_the_published_widths(name):
    model, signals = seeded_weights(build_model(name)), night(3, 2)
    staging = stage_recording(model, signals, resolutions=FOURTEEN)
    assert_plain(model, signals, staging, FOURTEEN)
    assert staging.hypnodensity(8).sum(axis=1) == pytest.approx(1)
    assert (staging.hypnogram(8) == plain(model, signals, 8)[0].argmax(axis=1)).all()
    assert staging.hypnogram(8).dtype == np.int8


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_every_montage_from_one_encoding(name, tiles):
    model, signals = narrow(name), night(5, 5)
    montages = [(0,), (3, 1), (1, 3), (4, 2, 0), (0, 1, 2, 3, 4)]
    stagings = stage_montages(model, signals, montages=montages, resolutions=(1, 8))
    assert list(stagings) == montages
    for montage, staging in stagings.items():
        assert_plain(model, signals[list(montage)], staging, (1, 8))


def test_every_pair_of_usleep():
    model, signals = narrow("usleep"), night(5, 4)
    montages = list(itertools.permutations(range(4), 2))
    for montage, staging in stage_montages(model, signals, montages=montages).items():
        assert_plain(model, signals[list(montage)], staging)


@pytest.mark.parametrize("name", ["anysleep", "anysleep_late_fusion"])
def test_a_shared_channel_is_encoded_once(name, monkeypatch):
    encoded, channels = [], unet.UNet.levels

    def counted(self, x):
        encoded.append(x.n)
        return channels(self, x)

    monkeypatch.setattr(unet.UNet, "levels", counted)
    stage_montages(narrow(name), night(1, 4), montages=list(itertools.combinations(range(4), 2)))
    assert len(encoded) == 4


def test_short_memory_is_said_and_changes_nothing(monkeypatch):
    model, signals = narrow("anysleep"), night(3, 3)
    montages = [(0, 1), (1, 2)]
    expected = stage_montages(model, signals, montages=montages)
    needed = engines.build_engine(model, "32").needed_bytes(signals.shape[1], 0)
    monkeypatch.setattr(staging_module, "free_bytes", lambda device: needed)
    with pytest.warns(UserWarning, match="each of 2 montages is staged by itself"):
        alone = stage_montages(model, signals, montages=montages)
    for montage in montages:
        assert np.abs(alone[montage].logits[1] - expected[montage].logits[1]).max() < ROUNDING
    monkeypatch.setattr(staging_module, "free_bytes", lambda device: needed - 1)
    with pytest.raises(MemoryError, match="staging this night takes"):
        stage_recording(model, signals)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bfloat16_is_close(name):
    model, signals = seeded_weights(build_model(name)), night(16, 2)
    exact, rounded = (
        stage_recording(model, signals, resolutions=(8,), precision=precision) for precision in ("32", "bf16")
    )
    assert rounded.logits[8].dtype == np.float32
    assert 1e-4 < np.abs(exact.hypnodensity(8) - rounded.hypnodensity(8)).max() < 0.05


def backwards(signals):
    """The same numbers, which lie in memory the other way round."""
    return np.ascontiguousarray(signals[:, ::-1])[:, ::-1]


@pytest.mark.parametrize("change", [np.float64, np.asfortranarray, backwards, lambda signals: signals.astype(">f4")])
def test_signals_however_they_lie_in_memory(change):
    model, signals = narrow("anysleep"), night(2, 2)
    given = change(signals)
    given.flags.writeable = False
    assert np.array_equal(stage_recording(model, given).logits[1], stage_recording(model, signals).logits[1])


@pytest.mark.parametrize("chosen", ["ieee", "tf32"])
def test_float32_is_not_rounded_to_fewer_bits_on_graphics_cards(chosen, monkeypatch):
    settings, seen, conv2d = [torch.backends.cudnn.conv, torch.backends.cuda.matmul], set(), torch.nn.functional.conv2d

    def watched(*arguments):
        seen.update(setting.fp32_precision for setting in settings)
        return conv2d(*arguments)

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = chosen
        stage_recording(narrow("anysleep"), night(1, 1))
        assert seen == {"ieee"} and {setting.fp32_precision for setting in settings} == {chosen}
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision


def test_a_warning_points_to_who_called():
    model, signals = narrow("anysleep"), night(2, 1)[:, :5000]
    with pytest.warns(UserWarning, match="no whole epoch") as warned:
        stage_recording(model, signals)
        stage_montages(model, signals, montages=[(0,)])
    assert [warning.filename for warning in warned] == [__file__, __file__]


def test_what_is_no_use_is_refused():
    model, signals = narrow("anysleep"), night(1, 2)
    for call, message in [
        (lambda: stage_recording(model, signals, precision="bf-16"), "choose one of '32', 'bf16'"),
        (lambda: stage_recording(narrow("anysleep").double(), signals), r"model\.float\(\)"),
        (lambda: stage_recording(model, signals.T), "transposed"),
        (lambda: stage_recording(model, signals * 1e37), "no finite numbers"),
        (lambda: estimate_staging(model, 10, []), "no montage"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_the_network_itself_is_left_as_it_was():
    model, signals = narrow("anysleep"), night(1, 2)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    kept = signals.copy()
    stage_recording(model, signals, precision="bf16")
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert np.array_equal(signals, kept)


def test_a_partial_epoch_is_said():
    model, signals = narrow("anysleep"), night(3, 1)[:, : 2 * 3840 + 64]
    with pytest.warns(UserWarning, match=r"last 0\.50 s"):
        staging = stage_recording(model, signals)
    assert (staging.dropped_s, staging.logits[1].shape) == (0.5, (2, 5))
    assert np.array_equal(staging.logits[1], stage_recording(model, signals[:, : 2 * 3840]).logits[1])


def test_a_model_in_training_mode_is_put_in_evaluation_mode():
    model, signals = narrow("anysleep"), night(1, 2)
    expected = stage_recording(model, signals).logits[1]
    assert np.array_equal(stage_recording(model.train(), signals).logits[1], expected)


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        (np.zeros((2, 100)), "less than one epoch"),
        (np.zeros(3840), r"expected \(channels, samples\)"),
        (np.full((2, 3840), np.nan), "NaN or infinite"),
        (np.zeros((3, 3840)), "exactly 2 channels"),
        (np.zeros((0, 3840)), "no channel|exactly 2"),
    ],
)
def test_what_cannot_be_staged_is_refused(signals, message):
    with pytest.raises(ValueError, match=message):
        stage_recording(build_model("usleep"), signals)


def test_a_montage_of_absent_channels_is_refused():
    model, signals = narrow("anysleep"), night(1, 2)
    for montage in [(2,), (0, -1)]:
        with pytest.raises(IndexError, match="counted from 0"):
            stage_montages(model, signals, montages=[montage])
    with pytest.raises(ValueError, match="no montage"):
        stage_montages(model, signals, montages=[])
    with pytest.raises(ValueError, match="must divide"):
        stage_recording(model, signals, resolutions=(7,))


@pytest.fixture
def peak_of_sequences(monkeypatch):
    """A function that says how many bytes of sequences were alive at most since it was last called."""
    alive, peak = 0, 0

    def count(n_bytes):
        nonlocal alive, peak
        alive += n_bytes
        peak = max(peak, alive)

    class Counted(unet.PaddedSequence):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            count(self.padded.nbytes)
            weakref.finalize(self, count, -self.padded.nbytes)

    def read():
        nonlocal peak
        peak, read = alive, peak
        return read

    for module in (unet, engines):
        monkeypatch.setattr(module, "PaddedSequence", Counted)
    return read


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_memory_is_estimated_and_does_not_grow_with_channels(name, peak_of_sequences):
    model, signals = narrow(name), night(20, 6)
    stage_recording(model, signals[:2])
    few = peak_of_sequences()
    stage_recording(model, signals)
    assert peak_of_sequences() == few
    estimated = engines.build_engine(model, "32").needed_bytes(signals.shape[1], 0)
    estimated -= devices.COPIES_OF_TILE * devices.TILE_VALUES * 4
    assert 0.4 * estimated < few < estimated


def test_memory_of_many_montages_is_estimated(peak_of_sequences):
    model, signals = narrow("anysleep"), night(20, 4)
    stage_montages(model, signals, montages=list(itertools.combinations(range(4), 2)))
    estimated = engines.build_engine(model, "32").needed_bytes(signals.shape[1], 4)
    estimated -= devices.COPIES_OF_TILE * devices.TILE_VALUES * 4
    assert 0.6 * estimated < peak_of_sequences() < estimated


STAGE_WITHIN = """
import resource, sys
import numpy as np, torch
from pathlib import Path
from anysleep.staging.stage import stage_recording
from anysleep.models import build_model
torch.set_num_threads(1)
model = build_model("anysleep")
stage_recording(model, np.zeros((2, 3840), np.float32))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(stage_recording(model, np.ones((6, 8 * 3600 * 128), np.float32)).logits[1].shape)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory that hold")
@pytest.mark.parametrize(("allowed", "expected"), [(2**30, "(960, 5)"), (2**28, "")])
def test_eight_hours_of_six_channels_take_less_than_a_gibibyte(allowed, expected):
    command = [sys.executable, "-c", STAGE_WITHIN, str(allowed)]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == expected


def test_tiles_follow_what_is_free_on_a_gpu(monkeypatch):
    on_gpu = SimpleNamespace(device=torch.device("cuda"), itemsize=2)
    for free in (2**20, 2**30, 2**36):
        monkeypatch.setattr(devices, "free_bytes", lambda device, free=free: free)
        values = devices.tile_values(on_gpu)
        assert values * on_gpu.itemsize * devices.COPIES_OF_TILE == max(free, 2**20 * devices.COPIES_OF_TILE)


def test_a_night_is_estimated():
    model, n_epochs = narrow("anysleep"), 400
    signals, montages = night(n_epochs, 3), [(0,), (0, 1), (0, 1, 2)]
    estimate = estimate_staging(model, n_epochs, montages, resolutions=(1, 8))
    began = time.perf_counter()
    stage_montages(model, signals, montages=montages, resolutions=(1, 8))
    assert 0.3 < estimate.seconds / (time.perf_counter() - began) < 3
    engine = engines.build_engine(model, "32")
    assert estimate.needed_bytes == engine.needed_bytes(n_epochs * 3840, 3) + n_epochs * (1 + 8) * 5 * 4 * 3
    assert "GiB that are free" in str(estimate)


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


def test_a_gpu_that_torch_cannot_use_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "NVIDIA", tmp_path)
    with pytest.warns(UserWarning, match=r"a GPU of NVIDIA is here, but torch .* cannot use it"):
        assert choose_device("auto").type == "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(devices, "NVIDIA", tmp_path / "none")
        assert choose_device("auto").type == "cpu"
        monkeypatch.setattr(devices, "NVIDIA", tmp_path)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # asked for
        assert choose_device("auto").type == "cpu"

"""An exported network gives the network's logits in other programs, for any number of channels and epochs."""

import hashlib
import itertools
import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.networks import TOLERANCE, build_variant
from helpers.parity import seeded_signal, seeded_weights

from anysleep.__main__ import main
from anysleep.models import ARCHITECTURES, build_model, save_checkpoint, unet_filters
from anysleep.models.onnx_export import export_onnx

NARROW = unet_filters(12, 0.3)
"""Filters of a small network with all twelve levels, each of which may have an odd length."""

EPOCHS = (1, 2, 3, 7, 15, 16, 17, 31, 33)
"""At 128 Hz an epoch has 2^8 x 15 samples: which lengths are odd depends on the number of epochs modulo 16."""


def narrow(name: str, rate_hz: int = 128, **settings) -> torch.nn.Module:
    return seeded_weights(build_model(name, sampling_rate_hz=rate_hz, filters=NARROW, **settings))


def session_of(path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; they need not be printed as well
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def openvino_of(path):
    openvino = pytest.importorskip("openvino")
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return openvino.Core().compile_model(str(path), "CPU", exact)


def run(program, x: torch.Tensor) -> np.ndarray:
    if isinstance(program, onnxruntime.InferenceSession):
        return program.run(["logits"], {"signals": x.numpy()})[0]
    return program({"signals": x.numpy()})["logits"]


def largest_difference(session, model, sizes) -> float:
    """From torch, over inputs of these sizes (batch, epochs, channels)."""
    differences = []
    for batch, epochs, channels in sizes:
        x = seeded_signal(batch, epochs * model.samples_per_epoch, channels)
        with torch.inference_mode():
            expected = model(x).numpy()
        logits = run(session, x)
        assert logits.shape == expected.shape and logits.dtype == np.float32
        differences.append(np.abs(logits - expected).max())
    return max(differences)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_file_serves_every_number_of_channels_and_epochs(name, tmp_path):
    model = narrow(name)
    session = session_of(export_onnx(model, tmp_path / "network.onnx"))
    channels = (2,) if name == "usleep" else (1, 2, 5, 20)
    sizes = [(1, e, c) for e in EPOCHS for c in channels if e * c <= 180]  # larger ones say nothing new
    assert largest_difference(session, model, [*sizes, (3, 2, 2)]) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_short_and_whole_nights_in_two_programs(name, tmp_path):
    """A night of 8 h was refused by OpenVINO, whose Resize gives a sample too many."""
    model = narrow(name)
    path = export_onnx(model, tmp_path / "network.onnx")
    programs = [session_of(path), openvino_of(path)]
    night = seeded_signal(1, 960 * 3840, 6)
    for epochs, channels in itertools.product((1, 7, 16, 240, 960), (2,) if name == "usleep" else (1, 2, 6)):
        x = night[:, : epochs * 3840, :channels].contiguous()
        with torch.inference_mode():
            expected = model(x).numpy()
        for program in programs:
            np.testing.assert_allclose(run(program, x), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("rate_hz", [64, 100])
def test_other_rates(name, rate_hz, tmp_path):
    model = narrow(name, rate_hz)
    session = session_of(export_onnx(model, tmp_path / "network.onnx"))
    assert largest_difference(session, model, [(1, e, 2) for e in EPOCHS]) < TOLERANCE


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("resolution", [1, 8, 128, 3840])
def test_other_resolutions(name, resolution, tmp_path):
    """Asked of the export, of the network, or of both: the export decides."""
    as_built, as_asked = narrow(name, predictions_per_epoch=resolution), narrow(name, predictions_per_epoch=2)
    for model, asked in ((as_built, None), (as_asked, resolution)):
        session = session_of(export_onnx(model, tmp_path / "network.onnx", predictions_per_epoch=asked))
        assert largest_difference(session, as_built, [(1, 3, 2)]) < TOLERANCE
    assert as_asked.predictions_per_epoch == 2


@pytest.mark.slow
def test_published_logits_at_full_size(extract, tmp_path):
    """The parity numbers themselves, without torch in between."""
    sessions, differences = {}, {}
    for key in (key for key in extract if key.startswith("logits/")):
        _, variant, resolution, size = key.split("/")
        if (variant, resolution) not in sessions:
            model = seeded_weights(build_variant(variant, int(resolution[1:])))
            sessions[variant, resolution] = session_of(export_onnx(model, tmp_path / "network.onnx"))
        batch, epochs, channels = (int(part[1:]) for part in size.split("_"))
        logits = run(sessions[variant, resolution], seeded_signal(batch, epochs * 3840, channels))
        differences[key] = np.abs(logits - extract[key]).max()
    assert {variant for variant, _ in sessions} >= set(ARCHITECTURES)
    worst = max(differences, key=differences.get)
    print(f"\n{len(differences)} sets of logits, largest difference {differences[worst]:.1e} ({worst})")
    assert differences[worst] < TOLERANCE


def test_a_network_in_training_is_exported_as_it_evaluates_and_stays_in_training(tmp_path):
    model = narrow("anysleep").train()
    session = session_of(export_onnx(model, tmp_path / "network.onnx"))
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert largest_difference(session, model.eval(), [(2, 1, 3)]) < TOLERANCE


@pytest.mark.parametrize("name", ["usleep", "anysleep", "anysleep_late_fusion"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3839, 2), "whole_epochs_of_3840"),
        ((1, 3841, 2), "whole_epochs_of_3840"),
        ((1, 5760, 2), "whole_epochs_of_3840"),
        ((1, 0, 2), "cannot be reshaped|Invalid input shape"),
        ((0, 3840, 2), "whole_epochs_of_3840"),
        ((1, 3840, 0), "whole_epochs_of_3840|invalid dimensions"),
        ((3840, 2), "Invalid rank"),
    ],
)
def test_a_wrong_shape_is_an_error(name, shape, message, tmp_path):
    session = session_of(export_onnx(narrow(name), tmp_path / "network.onnx"))
    with pytest.raises(Exception, match=message):
        run(session, torch.zeros(shape))


@pytest.mark.parametrize("channels", [1, 3])
def test_usleep_takes_two_channels_only(channels, tmp_path):
    session = session_of(export_onnx(narrow("usleep"), tmp_path / "network.onnx"))
    with pytest.raises(Exception, match=rf"Got: {channels} Expected: 2"):
        run(session, torch.zeros(1, 3840, channels))


def test_the_file_says_what_it_is(tmp_path):
    model = narrow("anysleep_late_fusion", 64)
    model.provenance = {"seed": 3, "data": ["synthetic"]}
    path = export_onnx(model, tmp_path / "network.onnx", predictions_per_epoch=8)
    said = session_of(path).get_modelmeta().custom_metadata_map
    assert json.loads(said.pop("provenance")) == {"seed": 3, "data": ["synthetic"]}
    assert "only ever seen synthetic nights" in onnx.load(path).graph.doc_string
    weights = {tensor.name: tensor.raw_data for tensor in onnx.load(path).graph.initializer}
    ours = b"".join(weights[key] for key in sorted(model.state_dict()) if not key.endswith("num_batches_tracked"))
    assert said == {
        "architecture": "anysleep_late_fusion",
        "sampling_rate_hz": "64",
        "samples_per_epoch": "1920",
        "predictions_per_epoch": "8",
        "stages": "Wake,N1,N2,N3,REM",
        "weights_sha256": hashlib.sha256(ours).hexdigest(),
    }


def test_the_file_needs_no_other(tmp_path):
    path = export_onnx(build_model("anysleep"), tmp_path / "new" / "network.onnx")
    assert [file.name for file in path.parent.iterdir()] == ["network.onnx"]
    assert path.stat().st_size > 4 * 3_157_856  # bytes of the weights
    alone = path.rename(tmp_path / "elsewhere.onnx")
    assert run(session_of(alone), torch.zeros(1, 3840, 1)).shape == (1, 1, 5)


def test_a_failed_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(b"old")
    for resolution in (7, 0):
        with pytest.raises(ValueError, match="must divide the 3840 samples"):
            export_onnx(narrow("anysleep"), path, predictions_per_epoch=resolution)
    changed = narrow("anysleep")
    changed.connector[1] = torch.nn.GELU()
    with pytest.raises(TypeError, match="no ONNX nodes for GELU"):
        export_onnx(changed, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]
    assert path.read_bytes() == b"old"


def test_the_command_line_prints_the_file_and_nothing_else(tmp_path):
    checkpoint = save_checkpoint(tmp_path / "checkpoint.pth", narrow("usleep", predictions_per_epoch=2), {})
    arguments = [checkpoint, tmp_path / "network.onnx", "--predictions-per-epoch", "4"]
    command = [sys.executable, "-m", "anysleep", "onnx", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path / 'network.onnx'}\n", "")
    assert run(session_of(tmp_path / "network.onnx"), torch.zeros(1, 3840, 2)).shape == (1, 4, 5)


def test_the_command_line_names_a_mistake_in_one_line(tmp_path, capfd):
    assert main(["onnx", str(tmp_path / "missing.pth"), str(tmp_path / "network.onnx")]) == 2
    printed = capfd.readouterr()
    assert "missing.pth" in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert not (tmp_path / "network.onnx").exists()

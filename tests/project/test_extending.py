"""The reader and the network that docs/extending.md builds do what the page says of them."""

import importlib

import numpy as np
import pytest
import torch

from anysleep.models import build_model, load_checkpoint, save_checkpoint
from anysleep.models.networks import ARCHITECTURES
from anysleep.recordings.readers import READERS, read_recording
from anysleep.recordings.readers.guarded import GUARD
from anysleep.recordings.reasons import BadRecording
from anysleep.staging.engines import ENGINES
from anysleep.staging.stage import stage_recording


@pytest.fixture(scope="module")
def code(root):
    """Reader, network and engine, as the page has them."""
    page = (root / "docs" / "extending.md").read_text(encoding="utf-8")
    return [block.partition("```")[0] for block in page.split("```python\n")[1:]]


@pytest.fixture
def reader(code, tmp_path, monkeypatch):
    (tmp_path / "samples.py").write_text(code[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    GUARD.close()  # the process beside knows the module from its start on
    monkeypatch.setitem(READERS, ".samples.csv", importlib.import_module("samples").read_samples)
    yield
    GUARD.close()


@pytest.mark.usefixtures("reader")
def test_the_reader_reads_what_is_whole_and_refuses_the_rest(tmp_path):
    signals, file = np.random.default_rng(0).normal(0, 50, (3000, 2)).astype(np.float32), tmp_path / "n.samples.csv"
    rows = "\n".join(f"{a},{b}" for a, b in signals)
    file.write_text(f"# rate_hz: 100\nC3-M2,E1-M2\n{rows}\n")
    night = read_recording(file)
    assert night.channels == ("C3-M2", "E1-M2") and night.rates_hz == (100.0, 100.0) and night.duration_s == 30
    assert (np.stack(list(night.signals), axis=1) == signals).all()
    for broken in ("", f"C3-M2,E1-M2\n{rows}", "# rate_hz: 0\nC3-M2\n1\n", "# rate_hz: 100\nC3-M2\n1\nx\n"):
        file.write_text(broken)
        with pytest.raises(BadRecording, match=r"n\.samples\.csv: "):
            read_recording(file)


def test_the_network_stages_as_it_is_written_and_comes_back_from_its_file(code, tmp_path, monkeypatch):
    for known in (ARCHITECTURES, ENGINES):
        monkeypatch.setitem(known, "mean_of_channels", None)  # so that it is gone after this test
    for block in code[1:]:
        exec(block, {})
    torch.manual_seed(0)
    model = build_model("mean_of_channels", filters=(6, 8, 12)).eval()
    signals = np.random.default_rng(0).normal(size=(3, 10 * model.samples_per_epoch)).astype(np.float32)
    loaded = load_checkpoint(save_checkpoint(tmp_path / "mean.pth", model, {}))
    with torch.no_grad():
        forward = model(torch.from_numpy(signals.T[None]))[0].numpy()
    staged = stage_recording(loaded, signals, resolutions=[1]).logits[1]
    assert staged.shape == (10, 5) and np.allclose(staged, forward, atol=1e-5)
    alone = [stage_recording(loaded, signals[i : i + 1], resolutions=[1]).logits[1] for i in range(3)]
    assert not np.allclose(staged, alone[0], atol=1e-3)

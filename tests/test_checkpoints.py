"""Checkpoints load by themselves, safely, and say what is wrong where they do not."""

import functools
import http.server
import pickle
import threading

import pytest
import torch
from parity import seeded_signal, seeded_weights
from test_networks import build_variant

from anysleep.models import build_model, fetch_checkpoint, load_checkpoint, save_checkpoint, unet_filters
from anysleep.published import read_table

VARIANTS = [
    "usleep",
    "anysleep",
    "anysleep_early_fusion",
    "anysleep_late_fusion",
    "anysleep_early_fusion_hidden32",
    "anysleep_late_fusion_hidden32",
]


@pytest.fixture
def released(tmp_path):
    """A file in the form of the released ones: a state dict and nothing else."""

    def make(variant="anysleep"):
        path = tmp_path / f"{variant}.pth"
        torch.save({"state_dict": seeded_weights(build_variant(variant)).state_dict()}, path)
        return path

    return make


@pytest.mark.parametrize("variant", VARIANTS)
def test_released_form_loads_by_itself(released, variant):
    expected, model = seeded_weights(build_variant(variant)), load_checkpoint(released(variant))
    assert (model.name, model.hyperparameters) == (expected.name, expected.hyperparameters)
    assert (model.sampling_rate_hz, model.training) == (128, False)
    x = seeded_signal(1, 3840, 2)
    with torch.inference_mode():
        assert torch.equal(model(x), expected(x))


def test_widths_come_from_the_shapes(tmp_path):
    model = build_model("anysleep", filters=unet_filters(depth=8, complexity=0.7), attention_hidden=7)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "narrow.pth")
    loaded = load_checkpoint(tmp_path / "narrow.pth", predictions_per_epoch=8)
    assert loaded.hyperparameters == {"filters": unet_filters(8, 0.7), "attention_hidden": 7}
    assert loaded.predictions_per_epoch == 8


def test_ours_carry_where_they_come_from(tmp_path):
    model = build_model("anysleep_late_fusion", sampling_rate_hz=64, predictions_per_epoch=4)
    path = save_checkpoint(tmp_path / "ours.pth", model, {"seed": 3, "data": ["synthetic"]})
    loaded = load_checkpoint(path)
    assert (loaded.sampling_rate_hz, loaded.predictions_per_epoch) == (64, 4)
    assert loaded.provenance == {"seed": 3, "data": ["synthetic"]}
    assert [p.name for p in tmp_path.iterdir()] == ["ours.pth"]


def test_rate_of_fusion_networks_shows_in_their_shapes(tmp_path):
    torch.save(
        {"state_dict": build_model("anysleep_early_fusion", sampling_rate_hz=100).state_dict()}, tmp_path / "a.pth"
    )
    assert load_checkpoint(tmp_path / "a.pth").sampling_rate_hz == 100
    with pytest.raises(ValueError, match="trained at 100 Hz"):
        load_checkpoint(tmp_path / "a.pth", sampling_rate_hz=128)


class Evil:
    def __reduce__(self):
        return (print, ("code of a stranger ran",))


def test_code_in_a_checkpoint_never_runs(tmp_path, capsys):
    torch.save({"state_dict": {}, "config": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="more than weights"):
        load_checkpoint(tmp_path / "evil.pth")
    assert "stranger" not in capsys.readouterr().out


def test_every_kind_of_wrong_file_has_its_own_message(tmp_path, released):
    whole = released().read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12763675\n"
    state = build_model("anysleep").state_dict()
    bare = {key: value for key, value in state.items() if not key.startswith("decoders.3")}
    contents = {
        "Git-LFS pointer": pointer,
        "truncated": whole[: len(whole) // 2],
        "does not start as one": b"not a checkpoint at all",
        "does not start": pickle.dumps({"state_dict": {}}),
        "no 'state_dict'": state,
        "not a checkpoint of U-Sleep": {"state_dict": {"fc.weight": torch.zeros(2)}},
        "keys are missing": {"state_dict": bare},
        "are foreign \\(extra": {"state_dict": state | {"extra": torch.zeros(1)}},
        "has shape": {"state_dict": state | {"decoders.0.dec2.0.weight": torch.zeros(214, 428, 3)}},
        "NaN": {"state_dict": state | {"connector.0.bias": torch.full((302,), torch.nan)}},
    }
    for message, content in contents.items():
        path = tmp_path / "wrong.pth"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(ValueError, match=message) as caught:
            load_checkpoint(path)
        assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "missing.pth")


def test_fetching_knows_the_released_files():
    rows = read_table("checkpoints")
    assert len(rows) == 12 and all(len(row["sha256"]) == 64 for row in rows)
    with pytest.raises(
        ValueError, match="no released checkpoint 'anysleep-run9'; there are anysleep-early-fusion-run1"
    ):
        fetch_checkpoint("anysleep-run9")


@pytest.fixture
def server(tmp_path):
    """A web server on this machine whose only file has the name, but not the content, of a released one."""
    (tmp_path / "usleep-run1.pth").write_bytes(b"something else")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()


def test_a_fetched_file_must_have_the_published_hash(server, tmp_path, monkeypatch):
    monkeypatch.setattr("anysleep.models.checkpoints.RELEASED_URL", server)
    with pytest.raises(ValueError, match=r"hash of downloaded file .* does not match"):
        fetch_checkpoint("usleep-run1", tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.pth"))

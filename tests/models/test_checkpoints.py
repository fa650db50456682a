"""Checkpoints load by themselves, safely, and say what is wrong where they do not."""

import hashlib
import http.server
import pickle
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers.bad_input import Evil
from helpers.networks import build_variant
from helpers.parity import seeded_signal, seeded_weights

from anysleep.models import build_model, fetch_checkpoint, load_checkpoint, save_checkpoint, unet_filters
from anysleep.published import read_published

VARIANTS = [
    "usleep",
    "anysleep",
    "anysleep_early_fusion",
    "anysleep_late_fusion",
    "anysleep_early_fusion_hidden32",
    "anysleep_late_fusion_hidden32",
]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12763675\n"
"""What a clone holds in the place of weights that Git LFS has not fetched."""


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
    loaded = load_checkpoint(tmp_path / "narrow.pth")
    assert loaded.hyperparameters == {"filters": unet_filters(8, 0.7), "attention_hidden": 7}
    assert loaded.predictions_per_epoch == 1


def test_ours_carry_where_they_come_from(tmp_path):
    model = build_model("anysleep_late_fusion", sampling_rate_hz=64, predictions_per_epoch=4)
    path = save_checkpoint(tmp_path / "ours.pth", model, {"seed": 3, "data": ["synthetic"]})
    with pytest.warns(UserWarning, match="only ever seen synthetic nights"):
        loaded = load_checkpoint(path)
    assert (loaded.sampling_rate_hz, loaded.predictions_per_epoch) == (64, 4)
    assert loaded.provenance == {"seed": 3, "data": ["synthetic"]}
    assert [p.name for p in tmp_path.iterdir()] == ["ours.pth"]


def test_a_network_of_real_nights_is_loaded_without_a_word(tmp_path, recwarn):
    for provenance in ({}, {"data": ["synthetic", "mine"]}, {"data": ["synthetic"], "synthetic": False}):
        load_checkpoint(save_checkpoint(tmp_path / "real.pth", build_model("usleep"), provenance))
    assert not recwarn.list


def test_rate_of_fusion_networks_shows_in_their_shapes(tmp_path):
    torch.save(
        {"state_dict": build_model("anysleep_early_fusion", sampling_rate_hz=100).state_dict()}, tmp_path / "a.pth"
    )
    assert load_checkpoint(tmp_path / "a.pth").sampling_rate_hz == 100


def test_code_in_a_checkpoint_never_runs(tmp_path, capsys):
    torch.save({"state_dict": {}, "config": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="more than weights"):
        load_checkpoint(tmp_path / "evil.pth")
    assert "stranger" not in capsys.readouterr().out


def test_every_kind_of_wrong_file_has_its_own_message(tmp_path, released):
    whole = released().read_bytes()
    state = build_model("anysleep").state_dict()
    bare = {key: value for key, value in state.items() if not key.startswith("decoders.3")}
    contents = {
        "Git-LFS pointer": POINTER,
        "truncated": whole[: len(whole) // 2],
        "does not start as one": b"not a checkpoint at all",
        "does not start": pickle.dumps({"state_dict": {}}),
        "no 'state_dict'": {"epoch": 3},
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
    rows = read_published("checkpoints")
    assert len(rows) == 12 and all(len(row["sha256"]) == 64 and int(row["bytes"]) > 12e6 for row in rows)
    with pytest.raises(ValueError, match=r"no released checkpoint 'anysleep_run1'; did you mean 'anysleep-run1'\?"):
        fetch_checkpoint("anysleep_run1")
    with pytest.raises(ValueError, match=r"there are anysleep-early-fusion-run1, .*, usleep-run3"):
        fetch_checkpoint("yasa")


WEIGHTS = bytes(range(256)) * 400
"""What the released file holds in these tests."""


class Answers(http.server.BaseHTTPRequestHandler):
    """Sends `server.body` with status 200, but says that `server.unsent` more bytes follow; or an error."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.together:
            self.server.together.wait(timeout=20)
        if self.server.status != 200:
            return self.send_error(self.server.status)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body) + self.server.unsent))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine that has `WEIGHTS` as the released file anysleep-run1, and no other."""
    row = {"file": "anysleep-run1.pth", "bytes": str(len(WEIGHTS)), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    monkeypatch.setattr("anysleep.models.checkpoints.read_published", lambda _: [row])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        running.asked, running.body, running.unsent, running.status, running.together = [], WEIGHTS, 0, 200, None
        running.url = f"http://127.0.0.1:{running.server_address[1]}/"
        monkeypatch.setattr("anysleep.models.checkpoints.RELEASED_URL", running.url)
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield running
        running.shutdown()


@pytest.mark.parametrize("name", ["anysleep-run1", "anysleep-run1.pth"])
def test_a_file_is_fetched_once(server, tmp_path, name):
    path = fetch_checkpoint(name, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "anysleep-run1.pth"
    assert path.read_bytes() == WEIGHTS
    assert path.stat().st_mode & 0o044, "others cannot read it"
    server.status = 500
    assert fetch_checkpoint(name, path.parent) == path
    assert server.asked == ["/anysleep-run1.pth"]
    assert [file.name for file in path.parent.iterdir()] == ["anysleep-run1.pth"]


def test_a_damaged_file_is_fetched_again(server, tmp_path):
    path = tmp_path / "anysleep-run1.pth"
    path.write_bytes(WEIGHTS[:-1] + b"?")
    assert fetch_checkpoint("anysleep-run1", tmp_path).read_bytes() == WEIGHTS
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "body, message",
    [
        (WEIGHTS[::-1], r"hash of downloaded file \(anysleep-run1\.pth\) does not match"),
        (WEIGHTS[:-1], r"anysleep-run1\.pth sent 102,399 bytes instead of the 102,400 bytes of the weights"),
        (WEIGHTS + b"?", r"sent 102,401 bytes"),
        (b"", r"sent 0 bytes"),
        (POINTER, r"sent a Git-LFS pointer"),
    ],
    ids=["hash", "short", "long", "empty", "pointer"],
)
def test_what_is_not_the_released_file_is_refused(server, tmp_path, body, message):
    server.body = body
    with pytest.raises(ValueError, match=message):
        fetch_checkpoint("anysleep-run1", tmp_path)
    assert list(tmp_path.iterdir()) == []


def check_says_how_to_do_without(url, folder):
    with pytest.raises(OSError, match=r"could not be downloaded: try again, or put the file from https://") as caught:
        fetch_checkpoint("anysleep-run1", folder)
    assert f"{url}anysleep-run1.pth" in str(caught.value) and f"into {folder}" in str(caught.value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("status, unsent", [(404, 0), (500, 0), (200, 10)], ids=["404", "500", "cut off"])
def test_a_failing_server_is_said(server, tmp_path, status, unsent):
    server.status, server.unsent = status, unsent
    check_says_how_to_do_without(server.url, tmp_path)


def test_no_network_is_said(server, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"  # nobody listens there once it is closed
    monkeypatch.setattr("anysleep.models.checkpoints.RELEASED_URL", url)
    check_says_how_to_do_without(url, tmp_path)


def test_several_may_fetch_at_once(server, tmp_path):
    server.together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(fetch_checkpoint, ["anysleep-run1"] * 4, [tmp_path] * 4))
    assert len(server.asked) == 4
    assert list(tmp_path.iterdir()) == list(paths)
    assert paths.pop().read_bytes() == WEIGHTS


def test_the_same_network_has_the_same_hash(tmp_path):
    model = build_model("usleep", filters=unet_filters(2, 0.1))
    files = [save_checkpoint(tmp_path / f"{name}.pth", model, {"seed": 1}) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small checkpoint of ours."""
    path = tmp_path_factory.mktemp("small") / "small.pth"
    return save_checkpoint(path, build_model("anysleep", filters=unet_filters(depth=3)), {"seed": 1})


def test_any_changed_bytes_are_read_or_refused_by_name(small, tmp_path):
    content, path, rng = small.read_bytes(), tmp_path / "changed.pth", np.random.default_rng(0)
    structure = content.index(b"data.pkl"), content.index(b"data/0")  # the pickle, which says what the rest is
    for i in range(300):
        changed = bytearray(content)
        first, last = structure if i % 2 else (0, len(content))
        for at in rng.integers(first, last, size=1 + i % 3):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        try:
            load_checkpoint(path)
        except ValueError as error:
            assert "changed.pth" in str(error)


HOSTILE = {
    "expanded": lambda content: content["state_dict"].update(
        {"connector.0.weight": torch.zeros(1).expand(10**6, 9, 10**3)}
    ),
    "empty": lambda content: content["state_dict"].update({"connector.0.weight": torch.empty(10**9, 0)}),
    "too wide": lambda content: content["state_dict"].update({"connector.0.weight": torch.zeros(10**6, 1, 1)}),
    "no tensor": lambda content: content["state_dict"].update({"connector.0.weight": 3}),
    "no axis": lambda content: content["state_dict"].update({"connector.0.weight": torch.tensor(1.0)}),
    "number as key": lambda content: content["state_dict"].update({7: torch.zeros(1)}),
    "rate": lambda content: content.update(sampling_rate_hz=10**12),
    "rate as text": lambda content: content.update(sampling_rate_hz="128"),
    "resolution as text": lambda content: content.update(predictions_per_epoch="1"),
    "provenance": lambda content: content.update(provenance=3),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_what_a_hostile_file_says_is_not_taken_for_granted(small, tmp_path, change):
    content = torch.load(small, weights_only=True)
    HOSTILE[change](content)
    torch.save(content, tmp_path / "hostile.pth")
    with pytest.raises(ValueError, match=r"hostile\.pth"):
        load_checkpoint(tmp_path / "hostile.pth")

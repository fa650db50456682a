"""Checkpoints: the released files, and our own that also say where they come from.

A released file holds `{"state_dict": ...}` and nothing else: the architecture is recognised from the keys, its widths
from the shapes. Ours add `name`, `hyperparameters`, `sampling_rate_hz`, `predictions_per_epoch`, `provenance`, and
`seen`: statistics of the training, see `staging.familiarity`.

The network that comes with the workbook has seen synthetic nights alone, and was tried on real ones: `CARD` says how it
was trained, how good it is on real EEG, and what it must not be used for.
"""

import argparse
import pickle
import sys
import warnings
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anysleep.models.foreign import as_ours
from anysleep.models.networks import ARCHITECTURES, SleepNetwork, build_model
from anysleep.published import read_published
from anysleep.stages import FASTEST_RATE_HZ, PUBLISHED_RATE_HZ
from anysleep.system.files import atomic_write, explaining_damage
from anysleep.system.words import did_you_mean

RELEASED_URL = "https://media.githubusercontent.com/media/dslaborg/AnySleep/main/models/"
RELEASED_PAGE = "https://github.com/dslaborg/AnySleep/tree/main/models"
"""The same files for a browser."""
ONLY_SYNTHETIC = "this network has only ever seen synthetic nights; what it says of a real one means nothing"
TRIED_ON_REAL = "this network was trained on synthetic nights alone; how far it is right on real ones says"
"""The path of the network's card follows."""
CARD = "docs/bundled_network.md"
FOLDER = Path(__file__).parent
LFS_POINTER = b"version https://git-lfs"
"""First bytes of the short text that Git LFS leaves in the place of a file that it has not fetched."""


def load_checkpoint(path: str | Path) -> SleepNetwork:
    """A trained network in evaluation mode, on the CPU, from a released `.pth` file or one of `save_checkpoint`.

    A file that does not say its rate and resolution, as the released ones, is of 128 Hz and one prediction an epoch.
    A warning where the network was trained on synthetic nights alone, as the demo's is.

    FileNotFoundError where there is no such file; ValueError for a Git-LFS pointer, a truncated file, something else
    than weights, or foreign keys. The message names the file and the likely fix.
    """
    path = Path(path)

    def explained(error: Exception) -> Exception:
        if isinstance(error, ValueError) and str(path) in str(error):
            return error
        return ValueError(f"{path}: damaged, or no checkpoint: {error or type(error).__name__}")

    with explaining_damage(explained):
        model = _load(path)
    if saw_only_synthetic(model):
        warnings.warn(synthetic_notice(model), stacklevel=1)  # by this line: said once, however often it is loaded
    return model


def saw_only_synthetic(model: SleepNetwork) -> bool:
    """Whether a network says of its training that no night was a real one."""
    return bool(model.provenance.get("synthetic", model.provenance.get("data") == ["synthetic"]))


def synthetic_notice(model: SleepNetwork) -> str:
    """What to bear in mind of a network that has only seen synthetic nights."""
    card = model.provenance.get("card")
    return f"{TRIED_ON_REAL} {card}" if card else ONLY_SYNTHETIC


def _load(path: Path) -> SleepNetwork:
    content = _read(path)
    state, source = as_ours(content["state_dict"], path)
    name, hyperparameters = recognise_architecture(state, path)
    if content.get("name") in ARCHITECTURES:  # an architecture that was added may have the shapes of a published one
        name = content["name"]
        stated = content["hyperparameters"] | hyperparameters
        hyperparameters = {key: stated[key] for key in ARCHITECTURES[name].hyperparameter_names}
    rate_hz = content.get("sampling_rate_hz") or _rate_from_shapes(state) or PUBLISHED_RATE_HZ
    if isinstance(rate_hz, int) and rate_hz > FASTEST_RATE_HZ:
        raise ValueError(f"{path}: trained at {rate_hz} Hz, it says; {FASTEST_RATE_HZ} Hz is the most")
    build = partial(
        build_model,
        name,
        predictions_per_epoch=content.get("predictions_per_epoch", 1),
        sampling_rate_hz=rate_hz,
        **hyperparameters,
    )
    with torch.device("meta"):  # shapes without memory: those of a damaged file may be of any size
        _check_same_tensors(build().state_dict(), state, path)
    model = build()
    model.load_state_dict(state)
    model.provenance = dict(content.get("provenance", {})) | source
    model.seen = {kind: _unpacked(statistics) for kind, statistics in content.get("seen", {}).items()}
    return model.eval()


def save_checkpoint(
    path: str | Path, model: SleepNetwork, provenance: Mapping[str, object], *, halve: bool = False
) -> Path:
    """Write `model` so that `load_checkpoint` needs nothing but the file; whole or not at all.

    `provenance` says how the weights came to be (data, seed, scores, versions): plain numbers, strings, lists and
    dictionaries, because nothing else can be loaded safely. `halve` rounds the weights of convolutions and linear
    layers to float16, in which they take half the space; they are loaded as float32 again.
    """
    path = Path(path)

    def kept(tensor: Tensor) -> Tensor:
        return tensor.detach().cpu().to(torch.float16 if halve and tensor.ndim > 1 else tensor.dtype)

    content = {
        "state_dict": {key: kept(tensor) for key, tensor in model.state_dict().items()},
        "name": model.name,
        "hyperparameters": model.hyperparameters,
        "sampling_rate_hz": model.sampling_rate_hz,
        "predictions_per_epoch": model.predictions_per_epoch,
        "provenance": dict(provenance),
        "seen": {kind: _packed(statistics) for kind, statistics in model.seen.items()},
    }
    with atomic_write(path) as temporary, temporary.open("wb") as temporary_file:
        torch.save(content, temporary_file)  # to a path it would write the name into the file, and so change its hash
    return path


def _packed(statistics: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Statistics as tensors; of the symmetric `precision` (F, F) one half, as (F * (F + 1) / 2,)."""
    tensors = {name: torch.as_tensor(array, dtype=torch.float32) for name, array in statistics.items()}
    return tensors | {"precision": tensors["precision"][*torch.triu_indices(*tensors["precision"].shape)]}


def _unpacked(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    n = len(tensors["mean"])
    half = torch.zeros(n, n)
    half[*torch.triu_indices(n, n)] = tensors["precision"]
    symmetric = half + half.triu(1).T  # the diagonal is in `half` already
    return {name: tensor.numpy() for name, tensor in {**tensors, "precision": symmetric}.items()}


def fetch_checkpoint(name: str, folder: str | Path | None = None) -> Path:
    """Download a released file by name (`anysleep-run1` ...), verify size and SHA-256; returns where it lies.

    A file that is there already and right is not downloaded again, one that is damaged is. `folder` defaults to the
    user's cache folder. Nothing appears in it before it is verified. ValueError for an unknown name, or a wrong size or
    hash; OSError without a network, for a cut connection, or an error of the server, which says how to do without.
    """
    import pooch  # only here: the networks themselves need torch and numpy alone
    import requests

    row = _released_row(name)
    url = RELEASED_URL + row["file"]
    folder = Path(folder) if folder is not None else Path(pooch.os_cache("anysleep"))

    def download(url: str, temporary: str, _: object) -> None:
        pooch.HTTPDownloader(progressbar=sys.stderr.isatty())(url, temporary, None)
        _check_size(Path(temporary), int(row["bytes"]), url)
        Path(temporary).chmod(0o644)  # a temporary file is for its owner alone, a folder may be for all

    try:
        return Path(pooch.retrieve(url, f"sha256:{row['sha256']}", row["file"], folder, downloader=download))
    except requests.RequestException:
        raise OSError(
            f"{url} could not be downloaded: try again, or put the file from {RELEASED_PAGE} into {folder}"
        ) from None  # its own story fills two screens


def recognise_architecture(state: Mapping[str, Tensor], path: str | Path) -> tuple[str, dict]:
    """Architecture name and hyperparameters, from the keys and shapes of a state dict. ValueError if foreign."""
    depth = sum(key.startswith("encoders.") and key.endswith(".enc.0.weight") for key in state)
    width_keys = [*(f"encoders.{i}.enc.0.weight" for i in range(depth)), "connector.0.weight"]
    if depth == 0 or not all(key in state for key in width_keys):
        raise ValueError(
            f"{path}: not a checkpoint of U-Sleep or AnySleep; its first keys are {', '.join(list(state)[:3])}"
        )
    hyperparameters: dict[str, object] = {"filters": tuple(len(state[key]) for key in width_keys)}
    if "skip_connections.0.mlp.0.weight" in state:
        name, hidden = "anysleep", state["skip_connections.0.mlp.0.weight"]
    elif "channel_attention.mlps.0.0.weight" in state:
        early = state["encoders.0.enc.0.weight"].shape[1] > 1  # its U-Net sees several virtual channels
        name = "anysleep_early_fusion" if early else "anysleep_late_fusion"
        hidden = state["channel_attention.mlps.0.0.weight"]
    else:
        return "usleep", hyperparameters | {
            "dense_filters": len(state["segment_classifier.segment_classifier.0.weight"]),
            "linear_head": "segment_classifier.segment_classifier.5.weight" not in state,
        }
    return name, hyperparameters | {"attention_hidden": len(hidden)}


def _released_row(name: str) -> dict[str, str]:
    """File, bytes and sha256 of a released checkpoint. ValueError for an unknown name."""
    released = {row["file"].removesuffix(".pth"): row for row in read_published("checkpoints")}
    name = name.removesuffix(".pth")
    if name not in released:
        raise ValueError(f"no released checkpoint {name!r}; {did_you_mean(name, sorted(released))}")
    return released[name]


def _check_size(path: Path, n_bytes: int, url: str) -> None:
    """ValueError where a download is not as long as the released file."""
    size = path.stat().st_size
    if size != n_bytes:
        sent = "a Git-LFS pointer" if _starts_with(path, LFS_POINTER) else f"{size:,} bytes"
        raise ValueError(f"{url} sent {sent} instead of the {n_bytes:,} bytes of the weights; see {RELEASED_PAGE}")


def _starts_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _read(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; 03_train makes a checkpoint, fetch_checkpoint takes a released one"
        )
    if _starts_with(path, LFS_POINTER):
        raise ValueError(f"{path}: a Git-LFS pointer, not the weights; fetch them with `git lfs pull`")
    if not _starts_with(path, b"PK"):
        raise ValueError(f"{path}: not a PyTorch checkpoint (it does not start as one)")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: truncated, {path.stat().st_size} bytes and no end; download or copy it again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: holds more than weights, so it is not loaded: {error}") from error
    except RuntimeError as error:
        raise ValueError(f"{path}: damaged, PyTorch cannot read it: {error}") from error
    if isinstance(content, dict) and content and all(isinstance(value, Tensor) for value in content.values()):
        content = {"state_dict": content}  # as other implementations save it
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), Mapping):
        raise ValueError(f"{path}: has no 'state_dict'; a checkpoint is {{'state_dict': ...}}")
    tensors = list(content["state_dict"].values())
    if not all(isinstance(tensor, Tensor) and tensor.numel() for tensor in tensors):
        raise ValueError(f"{path}: its 'state_dict' holds something else than numbers")
    # A tensor may repeat one stored number along an axis, and so claim any size.
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if n_bytes > path.stat().st_size:
        raise ValueError(f"{path}: damaged, it says that it holds {n_bytes:,} bytes of weights, more than the file has")
    return content


def _rate_from_shapes(state: Mapping[str, Tensor]) -> int | None:
    """The fusion networks' first attention kernel is half a second long; the others show no rate."""
    kernel = state.get("channel_attention.encoder.0.weight")
    return None if kernel is None else 2 * kernel.shape[-1]


def _check_same_tensors(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    missing = [key for key in expected if key not in state]
    foreign = [key for key in state if key not in expected]
    if missing or foreign:
        raise ValueError(
            f"{path}: {len(missing)} keys are missing ({', '.join(missing[:3])}) and {len(foreign)} are foreign "
            f"({', '.join(foreign[:3])})"
        )
    for key, tensor in expected.items():
        if state[key].shape != tensor.shape:
            raise ValueError(f"{path}: {key} has shape {tuple(state[key].shape)}, expected {tuple(tensor.shape)}")
        if not torch.isfinite(state[key]).all():
            raise ValueError(f"{path}: {key} holds NaN or infinite weights")


def bundled(name: str = "anysleep-synthetic") -> SleepNetwork:
    """The network of that name, in evaluation mode: an AnySleep for any channels at 128 Hz.

    ValueError for a name that there is not.
    """
    return load_checkpoint(bundled_file(name))


def bundled_file(name: str = "anysleep-synthetic") -> Path:
    """Where its checkpoint lies. ValueError for a name that there is not."""
    file = FOLDER / f"{name}.pth"
    if not file.is_file():
        there = ", ".join(path.stem for path in sorted(FOLDER.glob("*.pth")))
        raise ValueError(f"no bundled network {name!r}; there is {there or 'none'}")
    return file


def bundle(checkpoint: str | Path, file: str | Path) -> Path:
    """Write a checkpoint of 03_train as a file of half the size that says where its card is; returns the file."""
    model = load_checkpoint(checkpoint)
    return save_checkpoint(file, model, model.provenance | {"card": CARD}, halve=True)


def main(arguments: list[str]) -> int:
    """`anysleep bundle`: from the training of params/bundled to the file that is shipped."""
    parser = argparse.ArgumentParser(
        prog="anysleep bundle",
        description="Make a checkpoint the network that the workbook ships. Its card is docs/bundled_network.md.",
    )
    parser.add_argument("checkpoint", nargs="?", default="outputs/bundled/03_train/checkpoint.pth")
    parser.add_argument("file", nargs="?", default=FOLDER / "anysleep-synthetic.pth", type=Path)
    given = parser.parse_args(arguments)
    file = bundle(given.checkpoint, given.file)
    print(f"{file}: {file.stat().st_size:,} bytes")
    return 0

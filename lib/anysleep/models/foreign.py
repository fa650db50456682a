"""Weights of U-Sleep from other PyTorch implementations: the same U-Net under other names.

Which tensor is which is told by the shapes of the convolutions, all of which differ in a U-Net of growing width; a
batch normalisation belongs to the convolution that it follows. What the shapes leave open stops.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from anysleep.stages import N_STAGES

Weights = Mapping[str, Tensor]
Layer = dict[str, Tensor]
"""Tensors of a layer by the last word of their key: weight, bias, and of a normalisation running_mean ..."""
WRAPPERS = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""Put before all keys by data parallelism, torch.compile, or a training class."""
X_BEFORE_SKIP = "block_postskip"
"""In keys of braindecode's U-Sleep, whose decoder joins what comes from below and the skip the other way round."""
Blocks = dict[tuple[int, ...], tuple[str, Layer, Layer]]
"""Shape of a convolution -> its name, its tensors, and those of the normalisation behind it."""


def as_ours(state: Weights, path: str | Path) -> tuple[Weights, dict[str, str]]:
    """A state dict under our keys, and for the provenance `source`, empty where the keys are ours.

    ValueError, which says what differs, where it is not plainly U-Sleep.
    """
    state = _unwrapped(state)
    # Without a convolution it is no network; `recognise_architecture` then says what its keys are.
    is_ours = any(key.startswith(("encoders.0.enc.", "connector.")) for key in state)
    if is_ours or not any(tensor.ndim >= 3 for tensor in state.values()):
        return state, {}
    return _by_shape(state, path), {
        "source": "another implementation of U-Sleep, matched by the shapes of its layers; first key "
        f"{next(iter(state))}"
    }


def _unwrapped(state: Weights) -> Weights:
    for wrapper in WRAPPERS:
        if all(key.startswith(wrapper) for key in state):
            return _unwrapped({key.removeprefix(wrapper): tensor for key, tensor in state.items()})
    return state


def _by_shape(state: Weights, path: str | Path) -> Weights:
    try:
        blocks, head = _blocks_and_head(_layers(state))
        return _unet_as_ours(blocks) | _head_as_ours(head)
    except ValueError as differs:
        raise ValueError(f"{path}: not a checkpoint of U-Sleep or AnySleep: {differs}") from None


def _blocks_and_head(layers: Mapping[str, Layer]) -> tuple[Blocks, list[Layer]]:
    """Convolutions with the normalisation that follows each, by shape; and the layers that none follows."""
    blocks: Blocks = {}
    head = []
    names = list(layers)
    for name, following in zip(names, [*names[1:], ""], strict=True):  # no layer follows the last
        layer, norm = layers[name], layers.get(following, {})
        if "running_mean" in layer:
            continue
        if "running_mean" not in norm:
            head.append(layer)
            continue
        shape = tuple(layer["weight"].shape)
        if shape in blocks:
            raise ValueError(f"two layers have the shape {shape}, so it is not clear which is which ({name})")
        blocks[shape] = name, layer, norm
    return blocks, head


def _unet_as_ours(blocks: Blocks) -> dict[str, Tensor]:
    widths = list(_widths(blocks))
    if len(widths) < 2:
        raise ValueError(f"no encoder that begins with two channels and grows; its convolutions are {list(blocks)[:3]}")
    ours = {}
    left = dict(blocks)
    for prefix, shape, *positions in _blocks_of_ours(widths):
        if shape not in left:
            raise ValueError(f"no convolution of shape {shape}, which would be {prefix}; its widths are {widths}")
        name, convolution, norm = left.pop(shape)
        if X_BEFORE_SKIP in name:
            # The filters that read the skip and those that read what comes from below change places.
            convolution = convolution | {"weight": convolution["weight"].roll(shape[1] // 2, dims=1)}
        for position, layer in zip(positions, (convolution, norm), strict=True):
            ours |= {f"{prefix}.{position}.{part}": tensor for part, tensor in layer.items()}
    if left:
        raise ValueError(f"convolutions that U-Sleep has not: {', '.join(name for name, *_ in left.values())}")
    return ours


def _head_as_ours(head: list[Layer]) -> dict[str, Tensor]:
    after_pooling = [len(layer["weight"]) for layer in head[1:]]
    if after_pooling not in ([N_STAGES], [N_STAGES] * 2):
        found = [tuple(layer["weight"].shape) for layer in head]
        raise ValueError(f"its classifier has layers of shape {found}, not a dense one and one or two of {N_STAGES}")
    ours = {}
    # 0 dense, 3 and 5 behind the pooling; a linear head has no 5.
    for position, layer in zip((0, 3, 5), head, strict=False):
        as_convolution = {"weight": layer["weight"].flatten(1).unsqueeze(-1)}
        prefix = f"segment_classifier.segment_classifier.{position}"
        ours |= {f"{prefix}.{part}": tensor for part, tensor in (layer | as_convolution).items()}
    return ours


def _layers(state: Weights) -> dict[str, Layer]:
    """Name of a layer -> its tensors, in the order of the file; convolutions over (1, T) as convolutions over T."""
    layers: dict[str, Layer] = {}
    for key, tensor in state.items():
        name, _, part = key.rpartition(".")
        flat = tensor.flatten(2) if tensor.ndim == 4 and 1 in tensor.shape[2:] else tensor
        layers.setdefault(name, {})[part] = flat
    return layers


def _widths(blocks: Mapping[tuple[int, ...], object]) -> Iterator[int]:
    """Filters of the encoder from two channels on: each reads what the one before it wrote, and is not narrower."""
    width = 2
    while grown := [out for out, n_in, *_ in blocks if n_in == width and out >= n_in and out != width]:
        width = min(grown)
        yield width


def _blocks_of_ours(widths: list[int]) -> Iterator[tuple[str, tuple[int, ...], int, int]]:
    """Our prefix, the convolution's shape, and the positions of convolution and normalisation."""
    *levels, deepest = widths
    for i, (n_in, n_out) in enumerate(zip([2, *levels], levels, strict=False)):
        yield f"encoders.{i}.enc", (n_out, n_in, 9), 0, 2
    yield "connector", (deepest, levels[-1], 9), 0, 2
    # From the deepest level up, each with the one above it.
    for i, (deep, shallow) in enumerate(zip(widths[::-1], levels[::-1], strict=False)):
        yield f"decoders.{i}.dec1", (shallow, deep, 2), 1, 3
        yield f"decoders.{i}.dec2", (shallow, 2 * shallow, 9), 0, 2

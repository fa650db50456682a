"""A trained network as one ONNX file, for programs that have neither Python nor torch.

    anysleep onnx checkpoint.pth network.onnx

The nodes are written one by one, as `layers` and `networks` compute, because one file must hold for any number of
channels and epochs: whether a length is odd is found out by nodes of its own. torch's exporter (2.13, with dynamo)
takes the parities of its example for granted, without a word, and fails at other lengths; with padding by `n % 2` its
algebra does not end, and with the parity as data the crop of the decoder stops it.

Shapes as in `layers`: B batch, C channels, F filters, T samples, V virtual channels; E epochs, P predictions.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from anysleep.models.checkpoints import load_checkpoint, saw_only_synthetic, synthetic_notice
from anysleep.models.layers import FusionAttention, SkipAttention
from anysleep.models.networks import AnySleep, AnySleepEarlyFusion, AnySleepLateFusion, SleepNetwork, USleep
from anysleep.stages import EPOCH_S, N_STAGES, STAGES
from anysleep.system.files import atomic_write

OPSET, IR_VERSION = 17, 8
"""Versions of the operators and of the file's form, both of 2022, so that older runtimes read it as well."""


def export_onnx(model: SleepNetwork, path: str | Path, *, predictions_per_epoch: int | None = None) -> Path:
    """Write `model`, on any device, as it is in evaluation mode, as one ONNX file; whole or not at all.

    Input `signals`: float32 (B, T, C), preprocessed, T a whole number of epochs; any B, T and C, but two channels for
    U-Sleep. Output `logits`: float32 (B, P, 5). Any other T is an error at the node `whole_epochs_of_<samples>`. NaN
    is not looked for. Metadata, all text: `architecture`, `sampling_rate_hz`, `samples_per_epoch`,
    `predictions_per_epoch`, `stages`, `weights_sha256` and, as JSON, `provenance`. The graph's own text says it where
    the network saw synthetic nights alone.

    The resolution of the file, by default the model's, cannot be changed later. ValueError where it does not divide the
    samples of an epoch, TypeError for layers that this module does not know.
    """
    path = Path(path)
    resolution = model.predictions_per_epoch if predictions_per_epoch is None else predictions_per_epoch
    graph = Graph(model)
    classify(graph, features(graph), model.samples_per_prediction(resolution))
    opset = helper.make_opsetid("", OPSET)
    content = helper.make_model(
        graph.finished(), opset_imports=[opset], ir_version=IR_VERSION, producer_name="anysleep"
    )
    helper.set_model_props(content, metadata(model, resolution))
    onnx.checker.check_model(content, full_check=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.SerializeToString())
    return path


def metadata(model: SleepNetwork, predictions_per_epoch: int) -> dict[str, str]:
    """What whoever runs the file must know."""
    return {
        "architecture": model.name,
        "sampling_rate_hz": str(model.sampling_rate_hz),
        "samples_per_epoch": str(model.samples_per_epoch),
        "predictions_per_epoch": str(predictions_per_epoch),
        "stages": ",".join(STAGES),
        "weights_sha256": weights_sha256(model),
        "provenance": json.dumps(model.provenance),
    }


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of the float32 weights and running statistics, one after the other in the order of their keys."""
    digest = hashlib.sha256()
    for _, tensor in sorted(model.state_dict().items()):
        if tensor.is_floating_point():
            digest.update(_as_numpy(tensor).tobytes())
    return digest.hexdigest()


class Graph:
    """The nodes of an ONNX graph, in the order of their work. What a node gives is known by its name."""

    def __init__(self, model: SleepNetwork):
        self.model = model
        # With keep_vars these are the layers' own tensors; without, new ones whose ids nobody knows.
        self._keys = {id(tensor): key for key, tensor in model.state_dict(keep_vars=True).items()}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: object) -> str:
        """A node with one output; returns the name of both."""
        name = name or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def weight(self, tensor: Tensor) -> str:
        """A tensor of the model, under its state-dict key."""
        key = self._keys[id(tensor)]
        self._constants[key] = numpy_helper.from_array(_as_numpy(tensor), key)
        return key

    def constant(self, *values: int | float) -> str:
        """A vector; returns its name."""
        name = "_".join(["constant", *map(str, values)])
        kind = TensorProto.FLOAT if isinstance(values[0], float) else TensorProto.INT64
        self._constants[name] = helper.make_tensor(name, kind, [len(values)], values)
        return name

    def size(self, x: str, axis: int) -> str:
        """The length of an axis, as a vector of one integer."""
        return self.add("Shape", x, start=axis, end=axis + 1)

    def reshape(self, x: str, *sizes: str | int, name: str | None = None) -> str:
        """`x` with new axes. A size is a name or a number: 0 keeps the axis at this place, -1 is what remains."""
        parts = (self.constant(size) if isinstance(size, int) else size for size in sizes)
        return self.add("Reshape", x, self.add("Concat", *parts, axis=0), name=name)

    def finished(self) -> onnx.GraphProto:
        """The whole graph, from `signals` (B, T, C) to `logits` (B, P, 5)."""
        n_channels = self.model.unet_channels if isinstance(self.model, USleep) else "channels"
        signals = helper.make_tensor_value_info("signals", TensorProto.FLOAT, ["batch", "samples", n_channels])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "predictions", N_STAGES])
        words = f"Preprocessed signals at {self.model.sampling_rate_hz} Hz, whole epochs of {EPOCH_S} s; no softmax."
        if saw_only_synthetic(self.model):
            words += f" Beware: {synthetic_notice(self.model)}."
        constants = list(self._constants.values())
        return helper.make_graph(self._nodes, self.model.name, [signals], [logits], constants, words)


def run_layer(graph: Graph, layer: nn.Module, x: str) -> str:
    """What a layer makes of `x`. TypeError where this module does not know the layer."""
    match layer:
        case nn.Sequential():
            for part in layer:
                x = run_layer(graph, part, x)
            return x
        case nn.Identity():
            return x
        case nn.Tanh():
            return graph.add("Tanh", x)
        case nn.ReLU():
            return graph.add("Relu", x)
        case nn.ELU():
            return graph.add("Elu", x, alpha=layer.alpha)
        case nn.Linear():
            return graph.add("Gemm", x, graph.weight(layer.weight), graph.weight(layer.bias), transB=1)
        case nn.Conv1d(kernel_size=(length,), dilation=(1,), groups=1):
            # Where the length is even, torch's "same" puts the odd zero behind.
            pads = [(length - 1) // 2, length // 2] if layer.padding == "same" else 2 * list(layer.padding)
            tensors = map(graph.weight, (layer.weight, layer.bias))
            return graph.add("Conv", x, *tensors, pads=pads, strides=list(layer.stride))
        case nn.BatchNorm1d():
            tensors = map(graph.weight, (layer.weight, layer.bias, layer.running_mean, layer.running_var))
            return graph.add("BatchNormalization", x, *tensors, epsilon=layer.eps)
        case nn.Upsample(mode="nearest", scale_factor=2.0):
            # No Resize: OpenVINO 2026.4 makes a sample too many of a million or more (2.2 h at 128 Hz).
            column = graph.add("Unsqueeze", x, graph.constant(3))
            return graph.reshape(graph.add("Concat", column, column, axis=3), 0, 0, -1)
        case nn.ConstantPad1d(padding=(before, after), value=0.0):
            return graph.add("Pad", x, graph.constant(0, 0, before, 0, 0, after))
    raise TypeError(f"there are no ONNX nodes for {layer}; add them to anysleep.models.onnx_export")


def features(graph: Graph) -> str:
    """The input `signals` -> decoded features (B, F, T), each architecture in its way."""
    model = graph.model
    match model:
        case USleep():
            return unet(graph, graph.reshape(signals_in_epochs(graph), 0, 0, -1))  # from (B, C, T)
        case AnySleep():
            levels, odd = encode(graph, channels_into_batch(graph))
            merged = map(partial(merge_channels, graph), model.skip_connections, levels, model.filters)
            return decode(graph, [*merged], odd)
        case AnySleepEarlyFusion():
            virtual = merge_channels(graph, model.channel_attention, channels_into_batch(graph), n_filters=1)
            return unet(graph, virtual)  # from (B, V, T)
        case AnySleepLateFusion():
            decoded = unet(graph, channels_into_batch(graph))  # (B * C, F, T)
            return merge_channels(graph, model.channel_attention, decoded, n_filters=model.filters[0])
    raise TypeError(f"there are no ONNX nodes for the architecture {type(model).__name__}")


def signals_in_epochs(graph: Graph) -> str:
    """The input `signals` (B, T, C) -> (B, C, E, samples of an epoch); fails where T is no whole number of epochs."""
    n_samples = graph.model.samples_per_epoch
    n_channels = graph.size("signals", 2)
    epochs = graph.reshape("signals", 0, -1, n_samples, n_channels, name=f"whole_epochs_of_{n_samples}")
    return graph.add("Transpose", epochs, perm=[0, 3, 1, 2])


def channels_into_batch(graph: Graph) -> str:
    """The input `signals` (B, T, C) -> (B * C, 1, T): every channel by itself."""
    return graph.reshape(signals_in_epochs(graph), -1, 1, graph.size("signals", 1))


def merge_channels(graph: Graph, attention: SkipAttention | FusionAttention, x: str, n_filters: int) -> str:
    """(B * C, F, T) -> (B, V * F, T), the channels' sums with V sets of weights; for `SkipAttention` V is 1."""
    if isinstance(attention, FusionAttention):
        code, mlps = run_layer(graph, attention.encoder, x), attention.mlps
    else:
        code, mlps = x, [attention.mlp]
    code = graph.add("ReduceMean", code, axes=[2], keepdims=0)
    scores = graph.add("Concat", *(run_layer(graph, mlp, code) for mlp in mlps), axis=1)  # (B * C, V)
    n_batch, n_channels = graph.size("signals", 0), graph.size("signals", 2)
    scores = graph.add("Transpose", graph.reshape(scores, n_batch, n_channels, len(mlps)), perm=[0, 2, 1])
    weights = graph.add("Softmax", scores, axis=2)  # (B, V, C)
    merged = graph.add("MatMul", weights, graph.reshape(x, n_batch, n_channels, -1))  # (B, V, F * T)
    return graph.reshape(merged, 0, len(mlps) * n_filters, -1)


def unet(graph: Graph, x: str) -> str:
    """(B, channels, T) -> decoded features (B, F, T)."""
    return decode(graph, *encode(graph, x))


def encode(graph: Graph, x: str) -> tuple[list[str], list[str | None]]:
    """(B, channels, T) -> the skips and, last, the connector's output; for each, whether its length was odd (1 or 0).

    None says that it never is, because an epoch has an even number of samples there.
    """
    levels, odd = [], []
    divisor = graph.model.samples_per_epoch  # divides the length at this level, whatever the number of epochs
    for encoder in graph.model.encoders:
        skip = run_layer(graph, encoder.enc, x)
        odd.append(graph.add("Mod", graph.size(skip, 2), graph.constant(2)) if divisor % 2 else None)
        if odd[-1]:
            pads = graph.add("Concat", graph.constant(0, 0), odd[-1], graph.constant(0, 0, 0), axis=0)
            skip = graph.add("Pad", skip, pads)  # one zero in front where the length is odd
        divisor = 1 if divisor % 2 else divisor // 2
        levels.append(skip)
        x = graph.add("MaxPool", skip, kernel_shape=[2], strides=[2])
    return [*levels, run_layer(graph, graph.model.connector, x)], [*odd, None]


def decode(graph: Graph, levels: Sequence[str], odd: Sequence[str | None]) -> str:
    """What `encode` gives, or what attention made of its levels -> features (B, F, T)."""
    *skips, x = levels
    # odd[1:]: whether the level below each was lengthened.
    for decoder, skip, padded in zip(graph.model.decoders, reversed(skips), reversed(odd[1:]), strict=True):
        x = run_layer(graph, decoder.dec1, x)
        if padded:  # the zero below has become two samples here: one goes at each end
            end = graph.add("Sub", graph.size(x, 2), padded)
            x = graph.add("Slice", x, padded, end, graph.constant(2))
        x = run_layer(graph, decoder.dec2, graph.add("Concat", skip, x, axis=1))
    return x


def classify(graph: Graph, x: str, samples_per_prediction: int) -> str:
    """Features (B, F, T) -> the output `logits` (B, P, 5)."""
    layers = graph.model.segment_classifier.segment_classifier
    # Between both, at position 2, the network pools.
    x = run_layer(graph, layers[:2], x)
    x = graph.add("AveragePool", x, kernel_shape=[samples_per_prediction], strides=[samples_per_prediction])
    return graph.add("Transpose", run_layer(graph, layers[3:], x), perm=[0, 2, 1], name="logits")


def _as_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def main(arguments: list[str]) -> int:
    """Write a checkpoint as an ONNX file and print where; returns the exit status. Errors as of `export_onnx`."""
    parser = argparse.ArgumentParser(
        prog="anysleep onnx",
        usage="%(prog)s [-h] [--predictions-per-epoch N] checkpoint file (paths with blanks in quotes)",
        description="A checkpoint as an ONNX file.",
    )
    parser.add_argument("checkpoint", help="checkpoint of 03_train or released .pth file")
    parser.add_argument("file", help="ONNX file to write")
    parser.add_argument("--predictions-per-epoch", type=int, help="resolution; by default the checkpoint's")
    given = parser.parse_args(arguments)
    model = load_checkpoint(given.checkpoint)
    print(export_onnx(model, given.file, predictions_per_epoch=given.predictions_per_epoch))
    return 0

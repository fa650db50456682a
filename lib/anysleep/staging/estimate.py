"""What staging takes: a night told before it starts, and each network measured (AnySleep, results)."""

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from anysleep.models import SleepNetwork, build_model
from anysleep.models.networks import ARCHITECTURES
from anysleep.settings import Precision
from anysleep.stages import EPOCH_S, N_STAGES
from anysleep.staging.devices import GIB, free_bytes
from anysleep.staging.engines import build_engine
from anysleep.staging.stage import Places, channels_to_keep, stage_montages, stage_recording

TRIED_EPOCHS = 32


@dataclass(frozen=True)
class Estimate:
    """What staging one night takes."""

    seconds: float
    needed_bytes: int
    """Without the signals and what else the process holds."""
    free_bytes: int

    def __str__(self) -> str:
        needed, free = self.needed_bytes / GIB, self.free_bytes / GIB
        return f"about {self.seconds:.1f} s, at most {needed:.1f} GiB of the {free:.1f} GiB that are free"


def estimate_staging(
    model: SleepNetwork,
    n_epochs: int,
    montages: Sequence[Places],
    *,
    resolutions: Sequence[int] = (1,),
    precision: Precision = "32",
) -> Estimate:
    """Memory by counting, time by staging a quarter of an hour of noise; a night that is shorter is staged itself.

    Arguments are those of `stage_montages`, and so are the errors.
    """
    if not any(montages):
        raise ValueError("there is no montage to stage")
    tried = min(n_epochs, TRIED_EPOCHS)
    n_channels = 1 + max(channel for montage in montages for channel in montage)
    noise = np.random.default_rng(0).standard_normal((n_channels, tried * model.samples_per_epoch), dtype=np.float32)
    seconds = []
    # The fastest counts: the first pass also warms up, others may share the processor.
    for _ in range(3):
        began = time.perf_counter()
        stage_montages(model, noise, montages=montages, resolutions=resolutions, precision=precision)
        seconds.append(time.perf_counter() - began)
    engine = build_engine(model, precision)
    needed = engine.needed_bytes(n_epochs * model.samples_per_epoch, len(channels_to_keep(montages)))
    logits = n_epochs * sum(resolutions) * N_STAGES * 4 * len(montages)  # float32
    return Estimate(min(seconds) * n_epochs / tried, needed + logits, free_bytes(engine.device))


N_EPOCHS = {"cuda": 960}
"""Epochs that are staged to measure: a night of 8 h on a GPU, 8 minutes elsewhere."""
FEW_EPOCHS = 16
N_TIMES = 5
PAIR = 2
"""Channels that U-Sleep reads, however many there are."""


def cost_table(
    like: SleepNetwork, n_channels: Sequence[int], device: torch.device, precision: Precision = "32"
) -> pd.DataFrame:
    """What each architecture costs with so many channels, at the size and rate of the network `like`.

    The weights are drawn anew, as the cost depends on none. U-Sleep has one row: it reads a pair of channels a pass,
    and a montage of several EEG and EOG channels takes as many passes as there are pairs. A row an architecture and
    number of channels:

    network, sampling_rate_hz, n_channels
        What is measured.
    hours, seconds, memory_mb
        Of noise that is staged in one pass; what that takes, as `measure_pass` tells.
    multiply_adds, n_parameters, receptive_field_min
        `multiply_adds_per_epoch`; trained numbers; minutes of signal behind one prediction of 30 s.
    """
    rows = []
    for name in ARCHITECTURES if n_channels else ():
        network = _network_like(like, name).to(device).eval()
        for n in [PAIR] if name == "usleep" else n_channels:
            seen_s = receptive_field_samples(network) / network.sampling_rate_hz
            of_size = {"multiply_adds": multiply_adds_per_epoch(network, n), "n_parameters": count_parameters(network)}
            measured = measure_pass(network, n, N_EPOCHS.get(device.type, FEW_EPOCHS), precision)
            named = {"network": name, "sampling_rate_hz": network.sampling_rate_hz, "n_channels": n}
            rows.append(named | measured | of_size | {"receptive_field_min": seen_s / 60})
    return pd.DataFrame(rows)


def measure_pass(
    network: SleepNetwork, n_channels: int, n_epochs: int, precision: Precision = "32"
) -> dict[str, float]:
    """Hours of noise that are staged, seconds of the fastest of five passes, and `staging_memory_mb`."""
    shape = n_channels, n_epochs * network.samples_per_epoch
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    memory_mb = staging_memory_mb(network, noise, precision)  # and warms up
    seconds = []
    for _ in range(N_TIMES):
        began = time.perf_counter()
        stage_recording(network, noise, precision=precision)  # ends with numbers on the CPU, so a GPU is done, too
        seconds.append(time.perf_counter() - began)
    return {"hours": n_epochs * EPOCH_S / 3600, "seconds": min(seconds), "memory_mb": memory_mb}


def staging_memory_mb(network: SleepNetwork, signals: np.ndarray, precision: Precision = "32") -> float:
    """The most memory that torch holds at once while it stages, in MB (1e6 bytes), without weights and signals.

    On CUDA as its allocator counts, with the workspace of each convolution; elsewhere that of all tensors, without it.
    """
    device = next(network.parameters()).device
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        stage_recording(network, signals, precision=precision)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    with TensorMemory() as memory:
        stage_recording(network, signals, precision=precision)
    return memory.peak_bytes / 1e6


class TensorMemory(TorchDispatchMode):
    """Counts the bytes of all tensors that are made while it is entered, and that live at the same time."""

    def __init__(self):
        super().__init__()
        self.bytes = self.peak_bytes = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, function: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Do what was asked for, and look at what comes out."""
        # What works in place, or gives a view, returns the storage it was given.
        given = {self._key(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and self._key(tensor) not in self._known | given:
                self._count(tensor.untyped_storage())
        return result

    @staticmethod
    def _key(tensor: Tensor) -> int:
        # The address in C++: two views of one storage have the same.
        return tensor.untyped_storage()._cdata

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, n_bytes = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.bytes += n_bytes
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        # torch keeps the Python object of a storage as long as the storage itself, so this is when the memory is freed.
        weakref.finalize(storage, self._forget, key, n_bytes)

    def _forget(self, key: int, n_bytes: int) -> None:
        self._known.discard(key)
        self.bytes -= n_bytes


def multiply_adds_per_epoch(network: SleepNetwork, n_channels: int) -> int:
    """Multiplications, each with its addition, of convolutions, linear layers and weighted sums for 30 s of signal.

    The mean over so many epochs that every level of the U-Net is of even length.
    """
    n_epochs = 2 ** len(network.encoders)  # halves without rest at every level
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():  # counts without computing
        _network_like(network, network.name).eval()(torch.empty(1, n_epochs * network.samples_per_epoch, n_channels))
    return round(counter.get_total_flops() / 2 / n_epochs)  # torch counts two for a multiply-add


def count_parameters(network: SleepNetwork) -> int:
    """How many numbers training sets."""
    return sum(parameter.numel() for parameter in network.parameters())


def receptive_field_samples(network: SleepNetwork, predictions_per_epoch: int = 1) -> int:
    """Samples of the signal that one prediction depends on through the U-Net; attention looks at all of the recording.

    A prediction is the mean over its samples. Behind each lies what the kernels reach, level by level, one step of a
    level being as long as all halvings above it. With halved lengths the reach depends on the sample's place: this is
    the mean over places.
    """
    reach, step = network.samples_per_prediction(predictions_per_epoch), 1
    for encoder, decoder in zip(network.encoders, reversed(network.decoders), strict=True):
        reach += step * (1 + _reach_of_kernels(encoder) + _reach_of_kernels(decoder))  # 1: the pooling of two
        step *= 2
    return reach + step * _reach_of_kernels(network.connector)


def _reach_of_kernels(block: nn.Module) -> int:
    """Samples besides the first that a chain of convolutions reads."""
    return sum(conv.kernel_size[0] - 1 for conv in block.modules() if isinstance(conv, nn.Conv1d))


def _network_like(like: SleepNetwork, name: str) -> SleepNetwork:
    """Another architecture of the same size; its attention is as wide as usual where `like` has none."""
    hidden = {} if name == "usleep" else {"attention_hidden": getattr(like, "attention_hidden", 40)}
    return build_model(name, sampling_rate_hz=like.sampling_rate_hz, filters=like.filters, **hidden)

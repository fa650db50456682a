"""What a training will need, before it starts: memory by counting, time by trying."""

import copy
import math
import time

import numpy as np
import pandas as pd
import psutil
import torch
from torch import Tensor

from anysleep.datasets.archive import Archive
from anysleep.datasets.splits import select_part
from anysleep.evaluation.evaluate import confusion_of_night
from anysleep.models import SleepNetwork
from anysleep.staging.devices import choose_device
from anysleep.system.jobs import keep_freed_memory
from anysleep.system.words import many
from anysleep.training.settings import TrainingSettings
from anysleep.training.setup import choose_split, first_network, labelled_nights, stage_loss, window_batches

GIB = 2**30
LOWEST_PEAK, HIGHEST_PEAK = 1.2, 1.6
"""Peak of a step's memory over what it keeps for its way back, as measured for several networks and batches."""


def saved_bytes(network: SleepNetwork, n_windows: int, window_epochs: int, n_channels: int) -> int:
    """Bytes that a step keeps for its way back through the network, in float32. Nothing is computed."""
    network = copy.deepcopy(network).to("meta").train()  # shapes without numbers
    # By address; held, so that no later storage can have the address of one that is gone.
    kept: dict[int, torch.UntypedStorage] = {
        p.untyped_storage()._cdata: p.untyped_storage() for p in network.parameters()
    }
    weights = set(kept)

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    x = torch.empty(n_windows, window_epochs * network.samples_per_epoch, n_channels, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        stage_loss(network(x), torch.zeros(n_windows, window_epochs, dtype=torch.int64, device="meta"))
    return sum(storage.nbytes() for key, storage in kept.items() if key not in weights)


def estimate_memory(settings: TrainingSettings, network: SleepNetwork, max_channels: int) -> pd.Series:
    """GiB that the largest batch needs on a device at most, and what is free there.

    MemoryError where it cannot fit, with what to change.
    """
    n_windows = settings.batch.n_windows // settings.compute.n_devices
    n_channels = 2 if network.name == "usleep" else max_channels
    kept = saved_bytes(network, n_windows, settings.batch.window_epochs, n_channels)
    on_gpu = choose_device(settings.device).type == "cuda"
    free = torch.cuda.mem_get_info()[0] if on_gpu else psutil.virtual_memory().available / settings.compute.n_devices
    if LOWEST_PEAK * kept > free:
        raise MemoryError(
            f"a batch of {n_windows} windows and {n_channels} channels needs at least {LOWEST_PEAK * kept / GIB:.1f} "
            f"GiB, and {free / GIB:.1f} GiB are free; lower batch.n_windows, batch.window_epochs or "
            "batch.max_channels, or use more devices"
        )
    needed = HIGHEST_PEAK * kept
    return pd.Series({"needed_gib": needed / GIB, "free_gib": free / GIB}, name="largest batch").round(2)


def estimate_training_epoch(settings: TrainingSettings, network: SleepNetwork, max_channels: int) -> float:
    """Seconds of computing that a training epoch will take on this device, from a few steps; validation not counted.

    On a CPU the steps are of four windows and scaled up. With several devices, each has its share of the windows.
    """
    device = choose_device(settings.device)
    n_windows = settings.batch.n_windows // settings.compute.n_devices
    tried = n_windows if device.type == "cuda" else min(n_windows, 4)
    channels = np.array([2]) if network.name == "usleep" else np.arange(1, max_channels + 1)
    share = (1 / channels) / (1 / channels).sum()  # of batches with so many channels
    counts = sorted({int(channels[0]), int(min(channels[-1], 3))})
    network = copy.deepcopy(network).to(device).train()
    seconds = [_step_s(network, tried, settings, n_channels) for n_channels in counts]
    # Time is taken to grow evenly with the channels, so two of their numbers tell the others.
    by_channels = np.polyval(np.polyfit(counts, seconds, len(counts) - 1), channels)
    return float(by_channels @ share) * n_windows / tried * settings.steps_per_training_epoch


def dry_run(settings: TrainingSettings) -> dict[str, str]:
    """Check archive, split and memory, and try a few steps and a night: what would be trained, and how long it takes.

    Nothing is written. On the CPU this process keeps freed memory from now on, as a training does. ValueError, OSError
    or MemoryError as the training itself would raise them.
    """
    if choose_device(settings.device).type == "cpu":
        keep_freed_memory()
    with Archive(settings.archive) as archive:
        nights, rate_hz = labelled_nights(settings, archive), archive.sampling_rate_hz
        split = choose_split(settings, archive, nights)
        parts = {part: select_part(nights, split, part, settings.group_by) for part in ("train", "valid")}
        network = first_network(settings, rate_hz).to(choose_device(settings.device))
        batches = window_batches(settings, parts["train"])
        began = time.perf_counter()
        x, _ = batches[0, 0]
        read_s = time.perf_counter() - began
        memory = estimate_memory(settings, network, batches.max_channels)
        epoch_s = estimate_training_epoch(settings, network, batches.max_channels)
        began = time.perf_counter()
        night = parts["valid"].iloc[0]
        confusion_of_night(network, archive, night.dataset, night.recording, pair_seed=0)
        valid_s = (time.perf_counter() - began) * len(parts["valid"]) / settings.compute.n_devices
    n_epochs = math.ceil(settings.n_steps / settings.steps_per_training_epoch)
    hours = (epoch_s + valid_s) * n_epochs / 3600
    n_datasets = nights.dataset.nunique()
    return {
        "archive": f"{many(len(nights), 'labelled recording')} of {many(n_datasets, 'data set')} at {rate_hz} Hz",
        "split": ", ".join(f"{len(split_part)} recordings {name}" for name, split_part in parts.items()),
        "batch": f"{tuple(x.shape)} = (windows, samples, channels), up to {batches.max_channels} channels",
        "reading": f"{read_s:.3f} s for that batch",
        "memory": f"{memory.needed_gib} GiB a device at most for the largest batch, {memory.free_gib} GiB free"
        + (": it may not fit" if memory.needed_gib > memory.free_gib else ""),
        "training epoch": f"about {epoch_s + valid_s:.0f} s here, {valid_s:.0f} s of them validation",
        "at most": f"{n_epochs} training epochs, about {hours:.1f} h",
    }


def _step_s(network: SleepNetwork, n_windows: int, settings: TrainingSettings, n_channels: int) -> float:
    """Seconds of a step with the precision that `params` asks for: the fastest of three, after one to warm up."""
    device = next(network.parameters()).device
    if settings.compute.compile:
        network.compile(dynamic=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0, amsgrad=True)  # all of its work, no effect
    x = torch.randn(n_windows, settings.batch.window_epochs * network.samples_per_epoch, n_channels, device=device)
    y = torch.zeros(n_windows, settings.batch.window_epochs, dtype=torch.int64, device=device)
    seconds = []
    for _ in range(4):  # compiling belongs to the first
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.compute.precision == "bf16"):
            logits = network(x)
        stage_loss(logits.float(), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type != "cpu":
            getattr(torch, device.type).synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])

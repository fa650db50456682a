"""A training step of AnySleep: plain float32 against our settings, on this machine. Part of `make bench`.

    python tests/bench/training.py            # CPU: 16 windows of 35 epochs, 3 channels
    python tests/bench/training.py cuda       # GPU: 64 windows of 35 epochs, 1 to 10 channels as drawn

Every way runs in a process of its own, on the same data from the same first weights; seconds are the median of the
steps after the first two, which compile and warm up.
"""

import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from lightning_fabric import Fabric

from anysleep.models import build_model, layers
from anysleep.system.jobs import keep_freed_memory
from anysleep.training.setup import stage_loss

N_STEPS = 8
WAYS = {
    "cpu": {
        "plain float32": {"plain": True},
        "as 03_train does it": {"keep": True},
        "the same, compiled": {"keep": True, "compile": True},
    },
    "cuda": {
        "plain float32": {},
        "compiled": {"compile": True},
        "bf16": {"precision": "bf16-mixed"},
        "bf16, compiled": {"precision": "bf16-mixed", "compile": True},
    },
}


def channels_of_steps(device: str) -> list[int]:
    if device == "cpu":
        return [3] * N_STEPS
    counts = np.arange(1, 11)
    return np.random.default_rng(0).choice(counts, N_STEPS, p=(1 / counts) / (1 / counts).sum()).tolist()


def measure(
    device: str, plain: bool = False, keep: bool = False, compile: bool = False, precision: str = "32-true"
) -> dict[str, object]:
    if keep:
        keep_freed_memory()
    fabric = Fabric(accelerator={"cuda": "gpu"}.get(device, device), devices=1, precision=precision)
    torch.manual_seed(0)
    network = build_model("anysleep")
    if plain:
        make_plain(network)
    if compile:
        network.compile(dynamic=True)
    model, optimizer = fabric.setup(network, torch.optim.Adam(network.parameters(), lr=1e-3, amsgrad=True))
    n_windows = 16 if device == "cpu" else 64
    seconds, losses = [], []
    for n_channels in channels_of_steps(device):
        x = torch.randn(n_windows, n_channels, 35 * 3840).transpose(1, 2).to(fabric.device)
        y = torch.randint(0, 5, (n_windows, 35)).to(fabric.device)
        began = time.perf_counter()
        loss = stage_loss(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())  # waits for a GPU
        seconds.append(time.perf_counter() - began)
    return {"seconds": statistics.median(seconds[2:]), "first": seconds[0], "losses": losses, "peak": peak_gib(device)}


def make_plain(network: torch.nn.Module) -> None:
    """Torch's own max pooling, and an ELU that keeps its input."""
    layers.HalvingMax = SimpleNamespace(apply=lambda x: torch.nn.functional.max_pool1d(x, 2))
    for module in network.modules():
        if isinstance(module, torch.nn.ELU):
            module.inplace = False


def peak_gib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def main(device: str) -> None:
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    print(f"{name}, {torch.get_num_threads()} threads, Python {platform.python_version()}, torch {torch.__version__}\n")
    print("| way | seconds a step | times faster | first step, s | peak GiB | largest difference of the loss |")
    print("|:----|---------------:|-------------:|--------------:|---------:|-------------------------------:|")
    plain = None
    for way, settings in WAYS[device].items():
        command = [sys.executable, __file__, device, json.dumps(settings)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(said.splitlines()[-1])
        plain = plain or found
        differs = max(abs(a - b) for a, b in zip(found["losses"], plain["losses"], strict=True))
        seconds, faster = found["seconds"], plain["seconds"] / found["seconds"]
        print(f"| {way} | {seconds:.2f} | {faster:.2f} | {found['first']:.1f} ", end="")
        print(f"| {found['peak']:.1f} | {differs:.1e} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], **json.loads(sys.argv[2]))))
    else:
        main(sys.argv[1] if len(sys.argv) == 2 else "cpu")

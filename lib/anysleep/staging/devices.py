"""Where networks compute, and how much memory is left there."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

GIB = 2**30
NVIDIA = Path("/proc/driver/nvidia/version")
"""There on Linux where a GPU's driver is loaded."""
TILE_VALUES = 2**19
"""Values of a tile for each thread: 2 MB in float32."""
COPIES_OF_TILE = 8
"""Memory for the work on a tile, in tiles: itself, all that is made of it, and the copies within the convolution."""


def choose_device(device: str) -> torch.device:
    """`auto` means CUDA, else MPS, else CPU. ValueError where the asked-for device is not there.

    Warns where `auto` means the CPU although there is a GPU of NVIDIA.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        chosen = next(name for name, there in available.items() if there)
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        if chosen == "cpu" and NVIDIA.exists() and not hidden:
            warnings.warn(
                f"a GPU of NVIDIA is here, but torch {torch.__version__} cannot use it, so the processor computes; "
                "docs/clusters.md (Without make) says where torch comes from",
                stacklevel=2,
            )
        return torch.device(chosen)
    if not available.get(device):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ValueError(f"device {device!r} is not available here; choose auto or one of {there}")
    return torch.device(device)


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had: of the graphics card, or of the machine."""
    if device.type != "cuda":
        return psutil.virtual_memory().available  # Apple's GPUs use it, too
    # torch keeps freed memory for itself; the driver counts that as used.
    unused_here = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused_here


def check_device(device: torch.device) -> None:
    """torch.AcceleratorError where a GPU is lost; after that no night can be staged, however good it is."""
    if device.type == "cuda":
        # A GPU computes behind Python's back: only waiting for it brings its errors up.
        torch.cuda.synchronize(device)


@contextmanager
def full_float32() -> Iterator[None]:
    """Let graphics cards compute float32 with all its bits, which is not their default for convolutions."""
    settings = [torch.backends.cudnn.conv, torch.backends.cuda.matmul]
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision


def smallest_tile(device: torch.device) -> int:
    """Values of a tile: on a CPU, what stays in the cache of its cores."""
    return TILE_VALUES * (torch.get_num_threads() if device.type == "cpu" else 1)


def tile_values(x: torch.Tensor) -> int:
    """Values of a tile of a sequence like `x`: on a GPU as many as fit in beside it, as small ones take longer."""
    if x.device.type != "cuda":
        return smallest_tile(x.device)
    return max(smallest_tile(x.device), free_bytes(x.device) // (COPIES_OF_TILE * x.itemsize))

"""How a run came about: code, packages, machine, time and memory. Nothing here names a person, a computer or a path."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil

TRACED_PACKAGES = (
    "anysleep",
    "torch",
    "pytorch-lightning",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "mne",
    "edfio",
    "h5py",
)


def code() -> dict[str, object]:
    """`commit`, None outside a git checkout, and whether files differ from it: `changed`."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+changes", "--abbrev=40"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "changed": None}
    return {"commit": said.removesuffix("+changes"), "changed": said.endswith("+changes")}


def packages() -> dict[str, str]:
    """Versions of Python and of the packages that decide numbers."""
    versions = {name: importlib.metadata.version(name) for name in TRACED_PACKAGES}
    return {"python": platform.python_version()} | versions


def machine() -> dict[str, object]:
    """System, processor, cores, threads of torch where it was used, memory in GB, and the GPU where it was used."""
    torch = sys.modules.get("torch")
    on_gpu = torch is not None and torch.cuda.is_initialized()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "n_cores": os.cpu_count(),
        "n_threads": torch.get_num_threads() if torch else None,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if on_gpu else None,
    }


def peak_memory_mb() -> dict[str, float | None]:
    """The most memory in MB that this process held, and the largest of those it started and that have ended."""
    if sys.platform == "win32":
        return {"process": psutil.Process().memory_info().peak_wset / 1e6, "largest_child": None}
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes here
    who = {"process": resource.RUSAGE_SELF, "largest_child": resource.RUSAGE_CHILDREN}
    return {name: round(resource.getrusage(one).ru_maxrss * unit / 1e6, 1) for name, one in who.items()}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()

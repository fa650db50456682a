"""`make bench`: what the streaming engine gains over the plain way, a night of 8 h at 128 Hz. Prints one table.

*Plain* is the readable network alone: one pass for all channels, then one pooling a resolution. *Passes* is a whole
pass for every resolution, as the published code does it: plain at one resolution, measured, times their number.
*Streaming* is `stage_recording`. All in one process, in turn. Seconds are those of the processor, medians of three, so
that other work on the machine disturbs little; memory is the most that the process adds to itself (Linux).
`python tests/bench/plain.py anysleep` measures one network.
"""

import ctypes
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from anysleep.models import ARCHITECTURES, SleepNetwork, build_model
from anysleep.staging.stage import stage_recording

N_SAMPLES = 8 * 3600 * 128
CHANNELS = (1, 2, 6)
RESOLUTIONS = ((1,), (1, 2, 4, 8, 16, 32, 64, 128))
TOLERANCE = 1e-3
"""Untrained weights: float32 itself is off by up to 2e-4 at 128 predictions an epoch, in either way."""
N_TIMES = 3
Logits = dict[int, np.ndarray]


@torch.inference_mode()
def plain(model: SleepNetwork, signals: np.ndarray, resolutions: Sequence[int]) -> Logits:
    """The readable network, its features once for all resolutions."""
    features, _ = model.features(torch.from_numpy(signals.T[None]))
    return {r: model.classify(features, r)[0].numpy() for r in resolutions}


def streaming(model: SleepNetwork, signals: np.ndarray, resolutions: Sequence[int]) -> Logits:
    return stage_recording(model, signals, resolutions=resolutions).logits


def measure(way: Callable[..., Logits], *arguments: object) -> tuple[float, float, Logits]:
    """Seconds of the processor, MiB added at the peak, and what came out."""
    ctypes.CDLL(None).malloc_trim(0)  # what is freed already is not to hide what is asked for
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = status_mib("VmRSS"), time.process_time()
    logits = way(*arguments)
    return time.process_time() - began, status_mib("VmHWM") - before, logits


def status_mib(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def main(networks: Sequence[str]) -> None:
    print(f"{torch.get_num_threads()} threads, Python {platform.python_version()}, torch {torch.__version__}\n")
    print("| network | channels | resolutions | passes, s | plain, s | streaming, s | passes / streaming ", end="")
    print("| plain / streaming | plain, MiB | streaming, MiB | plain / streaming | largest difference |")
    print("|:--" + "|--:" * 11 + "|", flush=True)
    for name in networks:
        torch.manual_seed(0)
        model = build_model(name).eval()
        for n_channels in (2,) if name == "usleep" else CHANNELS:
            signals = np.random.default_rng(0).standard_normal((n_channels, N_SAMPLES), dtype=np.float32)
            streaming(model, signals[:, : 32 * 3840], (1,))  # oneDNN prepares itself
            pass_s = None  # becomes that of the first, which is one resolution
            for resolutions in RESOLUTIONS:
                seconds, mib, difference = compare(model, signals, resolutions)
                pass_s = pass_s or seconds[plain]
                passes_s = pass_s * len(resolutions)
                cells = [f"{passes_s:.1f}", f"{seconds[plain]:.1f}", f"{seconds[streaming]:.1f}"]
                cells += [f"{each / seconds[streaming]:.1f}" for each in (passes_s, seconds[plain])]
                cells += [f"{mib[plain]:.0f}", f"{mib[streaming]:.0f}", f"{mib[plain] / mib[streaming]:.1f}"]
                print("|", " | ".join([name, f"{n_channels}", f"{len(resolutions)}", *cells, f"{difference:.0e}"]), "|")
                sys.stdout.flush()


def compare(model: SleepNetwork, signals: np.ndarray, resolutions: Sequence[int]) -> tuple[dict, dict, float]:
    """Seconds and MiB of both ways, and the largest difference of their logits. ValueError where they do not agree."""
    seconds, mib, logits = {plain: [], streaming: []}, {plain: [], streaming: []}, {}
    for way in N_TIMES * (plain, streaming):
        took_s, peak_mib, logits[way] = measure(way, model, signals, resolutions)
        seconds[way].append(took_s)
        mib[way].append(peak_mib)
    difference = max(np.abs(logits[plain][r] - logits[streaming][r]).max() for r in resolutions)
    if not difference < TOLERANCE:
        raise ValueError(f"{model.name}: logits differ by {difference}")
    return (
        {way: statistics.median(s) for way, s in seconds.items()},
        {way: max(m) for way, m in mib.items()},
        difference,
    )


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(ARCHITECTURES))

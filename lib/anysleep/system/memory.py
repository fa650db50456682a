"""The machine: its cores, and how memory is handed out."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Names of settings in malloc.h of the GNU C library."""
LARGEST_INT = 2**31 - 1


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent(end: Callable[[], object] = lambda: os._exit(1)) -> None:
    """Let this process end when the one that started it was killed and cannot end it any more."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        end()

    threading.Thread(target=watch, daemon=True).start()


def keep_freed_memory() -> bool:
    """Let this process use freed memory again instead of giving it back; returns whether that is possible here.

    By default the GNU C library returns every large block to the system when it is freed, and the system hands it out
    again page by page, filled with zeros. Networks on the CPU free and ask for gigabytes in every step, so that costs
    more than the arithmetic (docs/benchmarks.md). The results are the same; the process keeps its peak of memory.
    Other C libraries (macOS, Windows, Alpine) are left alone.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # not the GNU C library
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, LARGEST_INT))

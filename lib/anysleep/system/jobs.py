"""Many jobs at once in processes; one that dies or hangs costs its own job only, and none outlives its parent.

Also what goes on beside the work in this process: prefetch, and how it keeps its memory.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

# joblib and concurrent.futures give up all jobs when one process dies, and have no time limit that ends a process.
from pebble import ProcessExpired, ProcessPool

Job = TypeVar("Job")
Content = TypeVar("Content")
Result = TypeVar("Result")
DAY_S = 86400.0
"""No job of the workbook takes longer."""
M_TRIM_THRESHOLD, M_MMAP_MAX, LARGEST_INT = -1, -4, 2**31 - 1
"""Settings in malloc.h of the GNU C library."""
PARENT = "ANYSLEEP_PARENT"
"""Environment variable with the number of the process that a started one shall end with. To ask for the parent's number
may be too late: it may have died by then."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class JobLost(RuntimeError):
    """The process of a job died or took too long."""


class JobTooLong(JobLost):
    """It took too long."""


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    n_workers: int,
    *,
    limit_s: float | None = None,
    start: str | None = None,
    n_threads: int | None = None,
) -> Iterator[tuple[Job, "Future[Result]"]]:
    """Each job with the finished future of `function(job)`, in the order in which they end.

    `future.result()` returns what the function returned, or raises what it raised; `JobLost` where its process died or
    took longer than `limit_s` seconds (None: a day). One worker without a limit is this process.

    `start` is how processes start, by default as the system does; CUDA needs "spawn". `n_threads` is for libraries
    of each process.
    """
    if n_workers == 1 and limit_s is None:
        yield from ((job, _done_here(function, job)) for job in jobs)
    else:
        shares = [iter(jobs)] * n_workers  # one iterator: whoever is free takes the next
        yield from run_shares(function, shares, limit_s=limit_s, start=start, n_threads=n_threads)


def run_shares(
    function: Callable[[Job], Result],
    shares: Sequence[Iterable[Job]],
    *,
    limit_s: float | None = None,
    start: str | None = None,
    n_threads: int | None = None,
) -> Iterator[tuple[Job, "Future[Result]"]]:
    """As `run_jobs`, with a process for each share, which does its jobs in their order."""
    context = multiprocessing.get_context(start)
    left = [iter(share) for share in shares]
    pools: dict[int, ProcessPool] = {}  # of one process each, so that it is known whose job is lost
    running: dict[Future[Result], tuple[int, Job]] = {}
    free, ended = list(range(len(left))), []
    try:
        while free or running:
            for i in free:
                # The next job, or none where this share is done.
                for job in islice(left[i], 1):
                    if i in pools and not pools[i].active:  # its process died before it began a job
                        pools.pop(i).join()
                    with _no_interrupt():
                        if i not in pools:
                            pools[i] = ProcessPool(
                                1, initializer=_begin, initargs=(os.getpid(), n_threads), context=context
                            )
                        running[pools[i].schedule(function, (job,), timeout=limit_s or DAY_S)] = i, job
            yield from ended  # only now that every process has work again: their use may take long
            done: set[Future[Result]] = set()
            while running and not done:  # a Ctrl-C that comes just before a wait is seen only after it
                done = wait(running, timeout=1, return_when=FIRST_COMPLETED).done
            free = [running[future][0] for future in done]
            ended = [(running.pop(future)[1], _explained(future, limit_s or DAY_S)) for future in done]
    finally:
        for pool in pools.values():
            pool.stop()  # all, before waiting for any
        for pool in pools.values():
            pool.join()


def share_of(jobs: Sequence[Job], shard: str) -> Sequence[Job]:
    """The jobs of a shard such as `3/16`: the third, the nineteenth ...; all of them where it is empty."""
    part, _, whole = shard.partition("/")
    return jobs[int(part) - 1 :: int(whole)] if shard else jobs


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C comes after this. In the middle of a fork it would be lost here, and end the process that was started."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda signum, frame: came.append(signum))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _begin(parent: int, n_threads: int | None) -> None:
    """What a process does first. It ignores Ctrl-C already: its parent ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble's handler would wait for what a library computes
    end_with_parent(parent=parent)
    if n_threads:
        os.environ.update(dict.fromkeys(THREADS, str(n_threads)))
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(n_threads)


def _done_here(function: Callable[[Job], Result], job: Job) -> "Future[Result]":
    future: Future[Result] = Future()
    try:
        future.set_result(function(job))
    except Exception as error:
        future.set_exception(error)
    return future


def _explained(future: "Future[Result]", limit_s: float) -> "Future[Result]":
    """The same, where its process was lost with an error that says so."""
    error = future.exception()
    if error is None or error.__cause__:  # the function raised it
        return future
    if isinstance(error, TimeoutError):
        error = JobTooLong(f"it had not ended after {limit_s:g} s")
    elif isinstance(error, ProcessExpired | BrokenProcessPool):
        code = getattr(error, "exitcode", 0)
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}" if code else str(error)
        error = JobLost(f"its process died ({how}): out of memory, or a fault in a library")
    else:
        return future
    lost: Future[Result] = Future()
    lost.set_exception(error)
    return lost


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent(end: Callable[[], object] = lambda: os._exit(1), parent: int = 0) -> None:
    """Let this process end when the one that started it was killed and cannot end it any more.

    `parent` is its number, else that in `PARENT`, else whoever is the parent now.
    """
    known = parent or int(os.environ.pop(PARENT, 0))
    if not known or os.name == "nt":  # where the python of a .venv is a process between
        known = os.getppid()

    # A killed parent leaves its child to another process: the parent's number changes.
    def watch() -> None:
        while os.getppid() == known:
            time.sleep(1)
        end()

    if os.getppid() != known:
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
    # Large blocks come from the heap, not each from the system, and the heap never shrinks.
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, LARGEST_INT))


def prefetch(
    jobs: Iterable[Job], read: Callable[[Job], Content], work: Callable[[Job, Future[Content]], Result]
) -> Iterator[Result]:
    """The results of `work(job, reading)`, one by one, while a thread reads the next one.

    `reading.result()` is `read(job)`, or raises what that raised, so an error belongs to its own job. What was read
    is forgotten when its work is done: two are in memory at most.
    """
    thread = ThreadPoolExecutor(max_workers=1)
    waiting: deque[tuple[Job, Future[Content]]] = deque()
    try:
        for job in jobs:
            waiting.append((job, thread.submit(read, job)))
            if len(waiting) == 2:
                yield work(*waiting.popleft())  # held by nobody else, so it goes when work returns
        if waiting:
            yield work(*waiting.popleft())
    finally:
        thread.shutdown(cancel_futures=True)

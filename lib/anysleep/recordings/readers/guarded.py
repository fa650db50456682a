"""Readers of other libraries in a process beside this one: a file that crashes or hangs its reader ends that alone.

One process serves all files, because importing the libraries takes seconds; it is started anew where a file has ended
it, and ends with the process that started it. What is read comes back through a pipe: no file, no shared memory.
"""

import atexit
import os
import pickle
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from glob import escape
from pathlib import Path
from threading import RLock, Timer
from types import SimpleNamespace
from typing import Any, BinaryIO

from anysleep.recordings.reasons import BadRecording, reason_of
from anysleep.system.jobs import PARENT, end_with_parent

PATIENCE_S, BYTES_PER_S = 120.0, 1e6
"""Seconds that any file may take, and how many bytes one more second is for: ten times what a busy disk needs."""
MEMORY_BYTES, MEMORY_PER_BYTE = 2**30, 16
"""Bytes that any reader may use, and how many more for each of the file: compressed, then twice as double numbers."""


class Guard:
    """The process beside this one, started when it is first needed. Threads wait for each other."""

    _child: Any  # subprocess.Popen, None where it does not run

    def __init__(self):
        self._forget()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):  # a forked process has not its parent's, nor its parent's threads
            os.register_at_fork(after_in_child=self._forget)

    def call(self, function: Callable, *args: object, file: Path, n_bytes: int | None = None) -> Any:
        """`function(*args)`, which reads `file`; both must be known by name in any process, and so what they return.

        `n_bytes` is how much of it is read, by default all, and its companions. BadRecording where that crashes the
        process or takes longer or more memory than so much can need; else what the function raises. Its warnings are
        given here.
        """
        if n_bytes is None:
            n_bytes = sum(part.stat().st_size for part in file.parent.glob(f"{escape(file.stem)}.*"))
        patience_s = PATIENCE_S + n_bytes / BYTES_PER_S
        there = [arg.absolute() if isinstance(arg, Path) else arg for arg in args]  # the process beside is elsewhere
        with self._lock:
            limits = patience_s, MEMORY_BYTES + MEMORY_PER_BYTE * n_bytes
            said, answer = self._ask((*limits, function, there), patience_s)
        for category, text in said:
            warnings.warn(text, category, stacklevel=3)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """End the process; the next call starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _forget(self) -> None:
        self._child, self._lock = None, RLock()

    def _ask(self, request: tuple, patience_s: float) -> tuple[list, object]:
        if self._child is None or self._child.poll() is not None:
            self._start()
        child, late = self._child, []

        def stop() -> None:
            late.append(True)
            child.kill()

        timer = Timer(patience_s, stop)
        timer.start()
        try:
            pickle.dump(request, child.stdin)
            child.stdin.flush()
            answer = pickle.load(child.stdout), pickle.load(child.stdout)  # warnings, then the answer
        except (EOFError, pickle.UnpicklingError, BrokenPipeError) as error:
            self.close()
            if late:
                raise BadRecording("timeout", f"its reader had not ended after {patience_s:.0f} s: damaged?") from error
            raise BadRecording("crashed", f"its reader crashed ({_how(child.returncode)}): damaged?") from error
        except BaseException:  # what comes next through the pipe would answer the wrong question
            self.close()
            raise
        finally:
            timer.cancel()
            timer.join()  # from here on it ends nothing any more
        if late:  # just after the answer
            self.close()
        return answer

    def _start(self) -> None:
        self.close()
        # What libraries print must not come between the answers, not even while they are imported.
        code = "import os; answers = os.dup(1); os.dup2(2, 1)\n"
        code += "from anysleep.recordings.readers.guarded import serve; serve(answers)"
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each reserves memory
        environment = os.environ | one_thread | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= {PARENT: str(os.getpid())}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        # A group of its own: Ctrl-C is not for it, and ipykernel, which ends what is in the kernel's group, would wait
        # seconds for a process that is dead but that nobody has asked for.
        self._child = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True, **pipes)
        try:
            pickle.load(self._child.stdout)  # it has imported everything: from here on, time counts
        except (EOFError, pickle.UnpicklingError) as error:
            self.close()
            raise OSError("no process could be started that reads the file; does `import anysleep` work?") from error


def serve(descriptor: int) -> None:
    """Answer requests from stdin until it ends, through this open file."""
    import anysleep.recordings.readers  # noqa: F401 - all libraries, before time counts

    end_with_parent()
    answers = os.fdopen(descriptor, "wb")
    _send(answers, _pickled("ready"))
    while True:
        try:
            patience_s, n_bytes, function, args = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        _limit(patience_s, n_bytes)
        outcome = _outcome(function, args, n_bytes)
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        _send(answers, outcome)
        del outcome  # else the next would need twice the memory


def _outcome(function: Callable, args: list, n_bytes: int) -> list[bytes]:
    """The warnings of `function(*args)`, then what it returns or raises; pickled here, as that takes memory, too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = _pickled(function(*args))
        except MemoryError:
            needs = f"its reader needs more than the {n_bytes / 2**30:.1f} GiB that a file of its size can need"
            answer = _pickled(BadRecording("memory", f"{needs}, or than the machine has: damaged?"))
        except (OSError, BadRecording) as error:
            answer = _pickled(error)
        except Exception as error:  # libraries let all kinds of errors through when a file is damaged
            answer = _pickled(BadRecording(reason_of(error), str(error) or type(error).__name__))
    return _pickled([(one.category, str(one.message)) for one in caught]) + answer


def _pickled(answer: object) -> list[bytes]:
    """The answer pickled, in pieces: one whole would be copied as it grows."""
    pieces: list[bytes] = []
    pickle.dump(answer, SimpleNamespace(write=pieces.append), protocol=pickle.HIGHEST_PROTOCOL)
    return pieces


def _send(answers: BinaryIO, pieces: list[bytes]) -> None:
    answers.writelines(pieces)
    answers.flush()


def _limit(patience_s: float, n_bytes: int) -> None:
    """Let the system end this process where it takes far too long, and refuse it more memory, where it can do that."""
    if hasattr(signal, "alarm"):
        signal.alarm(int(patience_s) + 60)  # should the process that watches it be gone
    if sys.platform == "linux":
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]  # the site's own, where it has one
        soft = now + n_bytes if hard == resource.RLIM_INFINITY else min(now + n_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _how(returncode: int) -> str:
    """'SIGSEGV', or the exit status."""
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"exit status {returncode}"


GUARD = Guard()
"""The one of this process."""

"""`python -m <module>` as a fork of this process, which has the seconds of imports behind it."""

import os
import runpy
import signal
import sys
import warnings
from multiprocessing import get_context
from typing import TextIO

import psutil


class Forked:
    """A process that runs a module as a program; like `subprocess.Popen` with its two streams in one pipe."""

    def __init__(self, module: str, *words: str):
        read, write = os.pipe()
        self._forked = get_context("fork").Process(target=_run, args=(module, words, write))
        self._forked.start()
        self.process = psutil.Process(self._forked.pid)
        os.close(write)
        self.stdout: TextIO = os.fdopen(read)

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """The exit status; of a signal, less than zero."""
        self._forked.join(timeout)
        assert self._forked.exitcode is not None, f"still running after {timeout} s"
        return self._forked.exitcode


def run_forked(module: str, *words: str) -> tuple[int, str]:
    """Exit status of a program that ends by itself, and what it has said."""
    process = Forked(module, *words)
    said = process.stdout.read()
    return process.wait(timeout=60), said


def _run(module: str, words: tuple[str, ...], write: int) -> None:
    os.dup2(write, 1)
    os.dup2(write, 2)
    os.close(write)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    warnings.showwarning = _print_warning  # pytest keeps them to itself
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules.pop(f"{module}.__main__", None)  # imported by a test; runpy would wonder
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__")


def _print_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(warnings.formatwarning(message, category, filename, lineno, line), end="")

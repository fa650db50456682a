"""A training seen from the notebook: started in processes of its own, followed to its end, forgotten."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from anysleep.system.jobs import PARENT
from anysleep.training.state import State, load_state

STOPPED = 128 + signal.SIGTERM
"""Exit status of a training that was asked to stop, as shells give it."""
SAID_STOPPED = "stopped:"
"""How the last line begins then; torchrun has an exit status of its own."""
STATE, HISTORY = "training/state.pt", "training/history.csv"
MEETING = "training/processes-"
"""Where the processes of a training meet."""


def follow(folder: Path, on_validation: Callable[[pd.DataFrame], None] = lambda history: None) -> State:
    """Train what the run folder asks for in processes of their own, and relay what they say, until the end.

    `on_validation` gets the history after every validation. Interrupting the notebook saves the state first.
    RuntimeError where the training ends early; started again, it goes on.
    """
    with _started(folder) as process, tqdm(unit="step", disable="JPY_SESSION_NAME" not in os.environ) as bar:
        last_lines: deque[str] = deque(maxlen=40)
        try:
            for line in process.stdout:
                last_lines.append(line)
                if _relay(line, bar) and "validation" in line:
                    on_validation(pd.read_csv(folder / HISTORY))
        except KeyboardInterrupt:
            process.terminate()
            for line in process.stdout:  # until it has saved
                print(line, end="", flush=True)
            raise
    if process.returncode and any(line.startswith(SAID_STOPPED) for line in last_lines):
        raise RuntimeError("the training was asked to stop and has saved its state; run it again to go on")
    if process.returncode:
        said = [line.strip() for line in last_lines if line.strip()]
        raise RuntimeError(f"the training failed (exit status {process.returncode}): {' '.join(said[-1:])}")
    if (state := load_state(folder / STATE)) is None:
        raise RuntimeError("the training has left half a state; run it again")
    return state


def _started(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "anysleep.training", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8", PARENT: str(os.getpid())},
        start_new_session=True,  # an interrupted notebook interrupts its group; this is asked to stop by `follow`
    )


def _relay(line: str, bar: tqdm) -> bool:
    """Print what a training says; of a step, in JupyterLab, the bar tells instead. Whether it is of a step."""
    # As `Reporter` prints it; what comes after the last point is time, and the bar has its own.
    step = re.match(r"step (\d+) of (\d+) · (.*) · ", line)
    if step and not bar.disable:
        bar.n, bar.total = int(step[1]), int(step[2])
        bar.set_postfix_str(step[3])
    else:
        print(line, end="", flush=True)
    return step is not None


def forget(folder: Path) -> None:
    """Delete the state of a finished training, so that the next starts anew; one that was stopped still goes on."""
    if (state := load_state(folder / STATE)) and state.finished:
        (folder / STATE).unlink()
    for left in folder.glob(f"{MEETING}*"):
        shutil.rmtree(left, ignore_errors=True)

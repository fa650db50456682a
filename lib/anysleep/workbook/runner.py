"""The runner: checks the parameters of a run, makes its folder, and lets papermill execute the notebook.

`anysleep run <notebook> <yaml> ... [name=value ...]`; `--dry-run` only checks.
"""

import builtins
import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from anysleep.recordings.reasons import NothingToMeasure
from anysleep.settings import comment_of
from anysleep.system.files import atomic_write, project_path, short_path
from anysleep.system.jobs import end_with_parent
from anysleep.system.words import did_you_mean
from anysleep.workbook.arguments import (
    checked_parameters,
    read_words,
    refuse_impossible_resolutions,
    refuse_missing_inputs,
)
from anysleep.workbook.notebooks import NOTEBOOKS, Train
from anysleep.workbook.parameters import Parameters, notebook_defaults
from anysleep.workbook.run import WAIT_S, ShardDone, lock_folder, result_aside, start_run

LAST_WORDS_S = 60
"""Seconds that a run has to save its state after SIGTERM."""
STOPPED = "stopped; the same command goes on: a training from its saved state, 01, 05 and 07 after what is done"
EXPLAINED = (ValueError, OSError, MemoryError, RuntimeError)
"""Python's errors whose message, raised in the workbook, is written for the reader."""
LONGEST_MESSAGE = 1000
"""Characters of it that are shown."""
POOLS = r"concurrent/futures|multiprocessing/"
"""Where an error of another process is raised again."""
END_WITH_PARENT = "--end-with-parent"
"""Flag for a caller, such as snakemake, after whose death the run shall end as well."""
MAY_LACK_INPUTS = "--may-lack-inputs"
"""Flag for a study of many runs: one whose inputs are not there says so in its result, and the others go on."""


def execute(
    notebook: str, files: list[Path], overrides: dict[str, object], *, may_lack_inputs: bool = False, wait_s: float = 0
) -> Path:
    """Validate, then run a notebook through papermill into its run folder; returns the folder.

    With `may_lack_inputs`, a run whose inputs are missing or hold nothing to measure has the reason as its result.
    `wait_s` is how long to wait for another runner of that folder.

    ParameterError, FileNotFoundError or ValueError before any work where a parameter is wrong, an input is missing, or
    another run is at work in the folder; RuntimeError, of two lines, where the notebook ended without a result.
    """
    params, given = checked_parameters(notebook, files, overrides)
    missing = ""
    try:
        refuse_missing_inputs(params)
    except FileNotFoundError as error:
        if not may_lack_inputs:
            raise
        missing = str(error)
    if not missing:
        refuse_impossible_resolutions(params)
    params.folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(params.folder, ".runner.lock", wait_s)
    try:
        # No other kernel may hold it; then it is left to this run's own, which takes it in `start_run`.
        lock_folder(params.folder).release()
        with result_aside(params.folder):  # papermill may end early and say nothing
            return _not_measured(params, missing) if missing else _execute(params, given, may_lack_inputs)
    finally:
        lock.release()


def _execute(params: Parameters, given: dict[str, object], may_lack_inputs: bool) -> Path:
    """Let papermill run the notebook; returns the folder. RuntimeError, of two lines, where there is no result."""
    # jsonschema would build a parser of international web addresses, for 2 s; no notebook's format needs it. None
    # makes its import fail, which jsonschema expects.
    sys.modules.setdefault("rfc3987_syntax", None)
    import papermill  # heavy, and not needed inside notebooks

    # For all of this process, which runs one notebook: papermill takes no writer as an argument.
    papermill.iorw.LocalHandler.write = _write_notebook
    notebook, folder = params.notebook, params.folder
    executed = f"The cell and what called what: {short_path(folder)}/notebook.ipynb"
    try:
        with _no_kernel_left(folder):
            papermill.execute_notebook(
                _as_typed(project_path("notebooks") / f"{notebook}.ipynb"),
                _as_typed(folder / "notebook.ipynb"),
                parameters=given,
                cwd=project_path("."),
                progress_bar=False,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
            )
    except papermill.PapermillExecutionError as error:
        if error.ename == "KeyboardInterrupt":
            raise KeyboardInterrupt from None
        if error.ename == ShardDone.__name__:
            return folder
        if may_lack_inputs and error.ename == NothingToMeasure.__name__:
            return _not_measured(params, error.evalue)
        raise RuntimeError(f"{_story(error.ename, error.evalue, error.traceback)}\n{executed}") from None
    except RuntimeError as error:  # of nbclient: the kernel died, perhaps before it could answer
        raise RuntimeError(f"the kernel died ({error}); was there enough memory?\n{executed}") from None
    if not (folder / "result.json").is_file():
        raise RuntimeError(f"{notebook} ended without {short_path(folder)}/result.json\n{executed}")
    return folder


@contextmanager
def _no_kernel_left(run_folder: Path) -> Iterator[None]:
    """End a kernel, and delete its file of ports and key, that Ctrl-C met before papermill took it into its care.

    The file lies in the run's folder, so that the next run there deletes what one that was killed has left.
    """
    for left_over in run_folder.glob(".kernel*"):
        shutil.rmtree(left_over)
    before, others = tempfile.tempdir, psutil.Process().children()
    with tempfile.TemporaryDirectory(prefix=".kernel", dir=run_folder) as folder:
        tempfile.tempdir = folder  # where the file is made
        try:
            yield
        finally:
            tempfile.tempdir = before
            for process in set(psutil.Process().children()) - set(others):
                with suppress(psutil.NoSuchProcess):
                    if "ipykernel_launcher" in process.cmdline():
                        process.kill()
                        process.wait()


def _write_notebook(_handler: object, notebook: str, path: str) -> None:
    """Papermill's own leaves half a notebook when it is killed, or the disk is full."""
    with atomic_write(path) as temporary:
        temporary.write_text(notebook, encoding="utf-8")


def _not_measured(params: Parameters, reason: str) -> Path:
    """Make the reason why there is nothing to measure the result of a run; returns its folder."""
    print(f"{params.notebook}: not measured, because {reason}")
    start_run(params).finish(not_measured=reason)
    return params.folder


def main(arguments: list[str]) -> int:
    """The command line: notebook, YAML files, name=value pairs. Returns the exit status. Errors as of `execute`."""
    if not arguments or arguments[0] not in NOTEBOOKS:
        print("usage: anysleep run <notebook> [<yaml> ...] [name=value ...] [--dry-run]")
        print(f"notebooks: {', '.join(NOTEBOOKS)}")
        if arguments and arguments[0] not in ("-h", "--help"):
            print(f"there is no notebook {arguments[0]!r}; {did_you_mean(arguments[0], NOTEBOOKS)}")
        return 2
    notebook, *words = arguments
    if {"-h", "--help"} & set(words):
        _help(notebook)
        return 0
    flags = {word for word in words if word in ("--dry-run", END_WITH_PARENT, MAY_LACK_INPUTS)}
    signal.signal(signal.SIGTERM, forward_sigterm)
    if END_WITH_PARENT in flags:
        end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    files, overrides = read_words([word for word in words if word not in flags], NOTEBOOKS[notebook])
    if "--dry-run" in flags:
        _dry_run(checked_parameters(notebook, files, overrides)[0])
        return 0
    wait_s = WAIT_S if END_WITH_PARENT in flags else 0  # one whose parent was killed takes a moment to end
    try:
        folder = execute(notebook, files, overrides, may_lack_inputs=MAY_LACK_INPUTS in flags, wait_s=wait_s)
    except KeyboardInterrupt:
        logging.getLogger("asyncio").disabled = True  # would tell at the very end what became of the stopped cell
        raise KeyboardInterrupt(f"{notebook}: {STOPPED}") from None
    print(f"{notebook}: done, see {short_path(folder)}")
    return 0


def _help(notebook: str) -> None:
    """Print every parameter with the notebook's own value and what it means."""
    print(f"usage: anysleep run {notebook} [<yaml> ...] [name=value ...] [--dry-run]")
    for name, value in notebook_defaults(project_path("notebooks") / f"{notebook}.ipynb").items():
        text = value if isinstance(value, str) else json.dumps(value)
        print(f"  {name}={text}\n      {comment_of(NOTEBOOKS[notebook].model_fields[name])}")


def _dry_run(params: Parameters) -> None:
    """Say what a run would do. FileNotFoundError where an input is missing, and what a training refuses."""
    refuse_missing_inputs(params)
    refuse_impossible_resolutions(params)
    print(f"{params.notebook}: the parameters are valid; the run would write to {short_path(params.folder)}")
    if isinstance(params, Train):
        from anysleep.training.estimate import dry_run  # slow to import

        for name, finding in dry_run(params).items():
            print(f"  {name + ':':<16}{finding}")


def forward_sigterm(signum: int, frame: object) -> None:
    """Pass SIGTERM on to what was started, and end after it: first to trainings, whose last words the kernel reads."""
    started = psutil.Process().children(recursive=True)
    _end([process for process in started if _is_training(process)])
    _end(started)
    print(STOPPED, file=sys.stderr, flush=True)
    sys.exit(128 + signum)


def _is_training(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "anysleep.training" in process.cmdline()
    return False


def _end(processes: list[psutil.Process]) -> None:
    """Ask them to end, and wait until they have saved what they have."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.name() != "srun":  # would kill its tasks at once; the training that started it asks them to stop
                process.terminate()
    psutil.wait_procs(processes, timeout=LAST_WORDS_S)


def _story(name: str, message: str, traceback: list[str]) -> str:
    """An error of the notebook in a line or two. What another library says does not stand alone: who called it is said.

    Errors raised by the workbook are written for the reader, all but those of Python itself that only a slip raises.
    """
    plain = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(traceback))
    # As IPython writes them, without its colours; a frame of a cell names no file.
    frames = re.findall(r"^(?:File (.+?):(\d+), in ([\w.<>]+)|Cell In)", plain, re.MULTILINE)
    if frames and re.search(POOLS, frames[-1][0]):  # raised by a process of a pool, whose own traceback comes along
        frames = re.findall(r'^ *File "(.+?)", line (\d+), in ([\w.<>]+)', plain, re.MULTILINE) or frames
    here = Path(__file__).parents[1]
    own = [Path(file).expanduser().is_relative_to(here) if file else True for file, _, _ in frames]
    said = textwrap.shorten(message, LONGEST_MESSAGE, placeholder=" ...")
    python_s = getattr(builtins, name, None)
    if (not own or own[-1]) and (python_s is None or issubclass(python_s, EXPLAINED)):
        return said or name
    # The innermost of the workbook's own frames, or cells.
    places = [
        (Path(file).name, line, function) for (file, line, function), ours in zip(frames, own, strict=True) if ours
    ]
    file, line, function = places[-1] if places else ("", "", "")
    where = f"{function} ({file}, line {line})" if file.strip() else "a cell"
    return f"unexpected {name} in {where}: {said}"


def _as_typed(path: Path) -> str:
    """The path for papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")

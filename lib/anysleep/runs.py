"""A run: one notebook, one set of parameters, one folder that holds everything it found out.

`python -m anysleep.runs <notebook> <yaml> ... [name=value ...]` checks the parameters before anything starts, makes the
run folder, and lets papermill execute the notebook; `--dry-run` only checks. Inside the notebook, `start_run` opens the
same folder; plain papermill and JupyterLab need nothing else. A run has succeeded when its folder holds `result.json`.
"""

import builtins
import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.figure
import matplotlib.pyplot as plt
import pandas as pd
import psutil
import yaml
from filelock import FileLock, Timeout
from IPython.display import Image

from anysleep.params import (
    NOTEBOOKS,
    Parameters,
    Train,
    checked_parameters,
    missing_file,
    read_words,
    refuse_missing_inputs,
)
from anysleep.recordings.reasons import NothingToMeasure
from anysleep.system.files import atomic_write, project_path, read_if_whole, sha256_of, short_path
from anysleep.system.memory import end_with_parent

LAST_WORDS_S = 60
"""Seconds that a run has to save its state after SIGTERM."""
STOPPED = "stopped; the same command goes on: a training from its saved state, 01, 05 and 07 after what is done"
EXPLAINED = (ValueError, OSError, MemoryError, RuntimeError)
"""Python's errors whose message, raised in the workbook, is written for the reader."""
LONGEST_MESSAGE = 1000
"""Characters of it that are shown."""
POOLS = r"concurrent/futures|multiprocessing/|joblib/"
"""Where an error of another process is raised again."""
WAIT_S = 10
"""How long a run waits for its folder: one that was killed takes a moment to end."""
END_WITH_PARENT = "--end-with-parent"
"""Flag for a caller, such as snakemake, after whose death the run shall end as well."""
MAY_LACK_INPUTS = "--may-lack-inputs"
"""Flag for a study of many runs: one whose inputs are not there says so in its result, and the others go on."""
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


@dataclass
class Run:
    """An open run folder. Every file is written whole; tables carry the run's id."""

    params: Parameters
    folder: Path
    run_id: str
    outputs: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    learned_from: dict[str, list[str]] = field(default_factory=dict)
    """Role of a checkpoint -> data sets that its network was trained on, where it says so."""
    lock: FileLock | None = None
    """Keeps other runs out of the folder until `finish`."""

    def input(self, role: str, path: Path, digest: Callable[[Path], str] = sha256_of) -> Path:
        """Note an input by its role and SHA-256 (its name could tell who the patient is); returns the path.

        `digest` is `fingerprint_of` for archives, which are too large to be read for this. FileNotFoundError where the
        file is missing.
        """
        if not path.is_file():
            raise FileNotFoundError(missing_file(role, path))
        self.inputs[role] = digest(path)
        return path

    def path(self, name: str) -> Path:
        """Where an output of this name belongs; noted as an output."""
        self.outputs.append(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def table(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Write `<name>.csv` with a column `run_id` that leads back to params.yaml; returns the table as given."""
        with atomic_write(self.path(f"{name}.csv")) as temporary:
            table.assign(run_id=self.run_id).to_csv(temporary, index=False)
        return table

    def figure(self, name: str, figure: matplotlib.figure.Figure) -> Image:
        """Write `figures/<name>.png` and `.svg`, without dates; returns the PNG, so that a notebook shows that."""
        for suffix, metadata in {"png": {}, "svg": {"Date": None}}.items():
            with atomic_write(self.path(f"figures/{name}.{suffix}")) as temporary:
                with plt.rc_context({"svg.hashsalt": name}):
                    figure.savefig(temporary, dpi=200, metadata=metadata)
        plt.close(figure)  # the notebook shows what is returned; an open figure would show twice
        return Image(self.folder / f"figures/{name}.png", retina=True, alt=name)

    def finish(self, **scores: float | int | str) -> pd.DataFrame:
        """Write provenance.json and, last, result.json; returns the list of files for the notebook to show."""
        provenance = {
            "run_id": self.run_id,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs_sha256": self.inputs,
            "learned_from": self.learned_from,
            "python": platform.python_version(),
            "packages": {name: importlib.metadata.version(name) for name in TRACED_PACKAGES},
            "commit": _git_commit(),
        }
        result = {"notebook": self.params.notebook, "run_id": self.run_id, "scores": scores, "outputs": self.outputs}
        for name, content in (("provenance.json", provenance), ("result.json", result)):
            with atomic_write(self.folder / name) as temporary:
                temporary.write_text(json.dumps(content, indent=2) + "\n")
        if self.lock:
            self.lock.release(force=True)
        sizes_kb = [(self.folder / name).stat().st_size / 1e3 for name in self.outputs]
        return pd.DataFrame({"file": self.outputs, "kB": sizes_kb}).round(1)


def start_run(params: Parameters) -> Run:
    """Open the run folder `params.run_dir`, write params.yaml, and take away the result of an earlier run.

    The folder is this process's alone until the run is finished. ValueError where another run is at work in it.
    """
    folder = params.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(folder)
    content = {"run_id": params.run_id} | params.plain()
    if changed := _differences(folder / "params.yaml", content):
        print(f"replaces the results of another run in {short_path(folder)}; different: {changed}")
    (folder / "result.json").unlink(missing_ok=True)
    with atomic_write(folder / "params.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return Run(params, folder, params.run_id, lock=lock)


def lock_folder(folder: Path, name: str = ".lock", wait_s: float | None = None) -> FileLock:
    """Keep other processes out of a run folder; the system ends this with the process, however that ends.

    The same process may lock again. ValueError where another one holds the folder for longer than `wait_s`, by default
    `WAIT_S`. A kernel holds `.lock`, a runner `.runner.lock`, before its kernel has started, too.
    """
    lock = FileLock(folder / name, is_singleton=True)
    try:
        lock.acquire(timeout=WAIT_S if wait_s is None else wait_s)
    except Timeout:
        raise ValueError(
            f"another run is at work in {short_path(folder)}; wait for it, shut down the kernel of a notebook that has "
            "stopped half-way, or choose another run_dir"
        ) from None
    return lock


def execute(
    notebook: str,
    files: list[Path],
    overrides: dict[str, object],
    *,
    may_lack_inputs: bool = False,
    wait_s: float = 0,
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
    params.run_dir.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(params.run_dir, ".runner.lock", wait_s)
    try:
        lock_folder(params.run_dir).release()  # for the kernel, which holds it from `start_run` on
        return _not_measured(params, missing) if missing else _execute(params, given, may_lack_inputs)
    finally:
        lock.release()


def _execute(params: Parameters, given: dict[str, object], may_lack_inputs: bool) -> Path:
    """Let papermill run the notebook; returns the folder. RuntimeError, of two lines, where there is no result."""
    import papermill  # heavy, and not needed inside notebooks
    from nbclient.exceptions import DeadKernelError

    notebook, folder = params.notebook, params.run_dir
    executed = f"The cell and what called what: {short_path(folder)}/notebook.ipynb"
    try:
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
        if may_lack_inputs and error.ename == NothingToMeasure.__name__:
            return _not_measured(params, error.evalue)
        raise RuntimeError(f"{_story(error.ename, error.evalue, error.traceback)}\n{executed}") from None
    except DeadKernelError:
        raise RuntimeError(f"the kernel died; was there enough memory?\n{executed}") from None
    if not (folder / "result.json").is_file():
        raise RuntimeError(f"{notebook} ended without {short_path(folder)}/result.json\n{executed}")
    return folder


def _not_measured(params: Parameters, reason: str) -> Path:
    """Make the reason why there is nothing to measure the result of a run; returns its folder."""
    print(f"{params.notebook}: not measured, because {reason}")
    start_run(params).finish(not_measured=reason)
    return params.run_dir


def main(arguments: list[str]) -> int:
    """The command line: notebook name, YAML files, name=value pairs. Returns the exit status."""
    if not arguments or arguments[0] not in NOTEBOOKS:
        print("usage: python -m anysleep.runs <notebook> [<yaml> ...] [name=value ...] [--dry-run]")
        print(f"notebooks: {', '.join(NOTEBOOKS)}")
        return 2
    notebook, *words = arguments
    flags = {word for word in words if word in ("--dry-run", END_WITH_PARENT, MAY_LACK_INPUTS)}
    signal.signal(signal.SIGTERM, forward_sigterm)
    if END_WITH_PARENT in flags:
        end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        files, overrides = read_words([word for word in words if word not in flags], NOTEBOOKS[notebook])
        if "--dry-run" in flags:
            return _dry_run(checked_parameters(notebook, files, overrides)[0])
        wait_s = WAIT_S if END_WITH_PARENT in flags else 0  # one whose parent was killed takes a moment to end
        folder = execute(notebook, files, overrides, may_lack_inputs=MAY_LACK_INPUTS in flags, wait_s=wait_s)
    except KeyboardInterrupt:
        print(f"{notebook}: {STOPPED}", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"{notebook}: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"{notebook} stopped.\n{error}", file=sys.stderr)
        return 1
    print(f"{notebook}: done, see {short_path(folder)}")
    return 0


def _dry_run(params: Parameters) -> int:
    """Say what a run would do; returns the exit status."""
    print(f"{params.notebook}: the parameters are valid; the run would write to {short_path(params.run_dir)}")
    try:
        refuse_missing_inputs(params)
        if isinstance(params, Train):
            from anysleep.training.forecast import dry_run  # slow to import

            for name, finding in dry_run(params).items():
                print(f"  {name + ':':<16}{finding}")
    except (ValueError, OSError, MemoryError) as error:
        print(f"{params.notebook} cannot start: {error}", file=sys.stderr)
        return 1
    return 0


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
    frames = re.findall(r"^(?:File (.+?):(\d+), in ([\w.<>]+)|Cell In)", plain, re.MULTILINE)
    if frames and re.search(POOLS, frames[-1][0]):  # raised by a process of a pool, whose own traceback comes along
        frames = re.findall(r'^ *File "(.+?)", line (\d+), in ([\w.<>]+)', plain, re.MULTILINE) or frames
    here = Path(__file__).parent
    own = [Path(file).expanduser().is_relative_to(here) if file else True for file, _, _ in frames]
    said = textwrap.shorten(message, LONGEST_MESSAGE, placeholder=" ...")
    python_s = getattr(builtins, name, None)
    if (not own or own[-1]) and (python_s is None or issubclass(python_s, EXPLAINED)):
        return f"{name}: {said}"
    places = [
        (Path(file).name, line, function) for (file, line, function), ours in zip(frames, own, strict=True) if ours
    ]
    file, line, function = places[-1] if places else ("", "", "")
    where = f"{function} ({file}, line {line})" if file.strip() else "a cell"
    return f"unexpected {name} in {where}: {said}"


def _as_typed(path: Path) -> str:
    """The path for papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _differences(file: Path, content: dict[str, object]) -> str:
    """Names of the parameters in which the run that params.yaml tells of differs from this one, in what decides."""
    before = read_if_whole(file, lambda file: dict(yaml.safe_load(file.read_text(encoding="utf-8"))))
    if before is None or before.get("run_id") == content["run_id"]:
        return ""
    names = [name for name in content if name != "run_id" and before.get(name) != content[name]]
    return ", ".join(names) or "the notebook"


def _git_commit() -> str | None:
    """The commit the code comes from, with '+changes' where files differ from it; None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+changes", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

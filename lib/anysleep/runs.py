"""A run: one notebook, one set of parameters, one folder that holds everything it found out.

`python -m anysleep.runs <notebook> <yaml> ... [name=value ...]` checks the parameters before anything starts, makes the
run folder, and lets papermill execute the notebook; `--dry-run` only checks. Inside the notebook, `start_run` opens the
same folder; plain papermill and JupyterLab need nothing else. A run has succeeded when its folder holds `result.json`.
"""

import importlib.metadata
import json
import platform
import signal
import subprocess
import sys
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
from IPython.display import Image

from anysleep.files import project_path, sha256_of, short_path, written_whole
from anysleep.params import NOTEBOOKS, ParameterError, Parameters, Train, merge_parameters, notebook_defaults

LAST_WORDS_S = 60
"""Seconds that a run has to save its state after SIGTERM."""
STOPPED = "stopped; the same command goes on: a training from its saved state, 01, 05 and 07 after what is done"
EXPLAINED = (
    *("FileNotFoundError", "MemoryError", "OSError", "ParameterError", "PermissionError", "ValueError"),
    *("ArchiveReplaced", "NightsLost", "NothingUsable"),
)
"""Errors whose message is written for the reader; of all others the whole traceback is shown."""
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

    def reads(self, role: str, path: Path, digest: Callable[[Path], str] = sha256_of) -> Path:
        """Note an input by its role and SHA-256 (its name could tell who the patient is); returns the path.

        `digest` is `fingerprint_of` for archives, which are too large to be read for this. FileNotFoundError where the
        file is missing.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{role}: no file {path}; has the notebook before this one been run?")
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
        with written_whole(self.path(f"{name}.csv")) as temporary:
            table.assign(run_id=self.run_id).to_csv(temporary, index=False)
        return table

    def figure(self, name: str, figure: matplotlib.figure.Figure) -> Image:
        """Write `figures/<name>.png` and `.svg`, without dates; returns the PNG, so that a notebook shows that."""
        for suffix, metadata in {"png": {}, "svg": {"Date": None}}.items():
            with written_whole(self.path(f"figures/{name}.{suffix}")) as temporary:
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
            with written_whole(self.folder / name) as temporary:
                temporary.write_text(json.dumps(content, indent=2) + "\n")
        sizes_kb = [(self.folder / name).stat().st_size / 1e3 for name in self.outputs]
        return pd.DataFrame({"file": self.outputs, "kB": sizes_kb}).round(1)


def start_run(params: Parameters) -> Run:
    """Open the run folder `params.run_dir`, write params.yaml, and take away the result of an earlier run."""
    folder = params.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    with written_whole(folder / "params.yaml") as temporary:
        temporary.write_text(yaml.safe_dump({"run_id": params.run_id} | params.plain(), sort_keys=False))
    return Run(params, folder, params.run_id)


def checked_parameters(
    notebook: str, files: list[Path], overrides: dict[str, object]
) -> tuple[Parameters, dict[str, object]]:
    """The parameters of a run, and those of them that differ from the notebook's own cell. ParameterError where wrong.

    Where neither files nor overrides name a `run_dir`, it follows from the files: params/<profile>/<notebook>.yaml and
    <notebook>.<variant>.yaml lead to outputs/<profile>/<notebook>.<variant>.
    """
    for path in map(project_path, files):
        base = path.with_name(f"{notebook}.yaml")
        if path.stem.startswith(f"{notebook}.") and base.is_file() and base not in map(project_path, files):
            raise ParameterError(
                f"{path.name} holds only what differs from {base.name}; name {short_path(base)} before it"
            )
    defaults = notebook_defaults(project_path("notebooks") / f"{notebook}.ipynb")
    given = merge_parameters(files, overrides, defaults)
    variants = [path.stem.removeprefix(notebook) for path in files if path.stem.split(".")[0] == notebook]
    if "run_dir" not in given and variants:
        given["run_dir"] = f"outputs/{project_path(files[0]).parent.name}/{notebook}{''.join(variants)}"
    return NOTEBOOKS[notebook](**(defaults | given)), given


def execute(notebook: str, files: list[Path], overrides: dict[str, object]) -> Path:
    """Validate, then run a notebook through papermill into its run folder; returns the folder.

    ParameterError before any work where a parameter is wrong; RuntimeError where the notebook ended without a result.
    """
    import papermill  # heavy, and not needed inside notebooks

    source = project_path("notebooks") / f"{notebook}.ipynb"
    params, given = checked_parameters(notebook, files, overrides)
    folder = params.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    try:
        papermill.execute_notebook(
            source,
            folder / "notebook.ipynb",
            parameters=given,
            cwd=project_path("."),
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
        )
    except papermill.PapermillExecutionError as error:
        story = f"{error.ename}: {error.evalue}" if error.ename in EXPLAINED else str(error)
        raise RuntimeError(f"{story}\nThe cell and what called what: {short_path(folder)}/notebook.ipynb") from None
    if not (folder / "result.json").is_file():
        raise RuntimeError(f"{notebook} ended without {folder / 'result.json'}; read {folder / 'notebook.ipynb'}")
    return folder


def main(arguments: list[str]) -> int:
    """The command line: notebook name, YAML files, name=value pairs. Returns the exit status."""
    if not arguments or arguments[0] not in NOTEBOOKS:
        print("usage: python -m anysleep.runs <notebook> [<yaml> ...] [name=value ...] [--dry-run]")
        print(f"notebooks: {', '.join(NOTEBOOKS)}")
        return 2
    notebook, *rest = arguments
    only_check = "--dry-run" in rest
    words = [word for word in rest if word != "--dry-run"]
    files = [Path(word) for word in words if "=" not in word]
    overrides = {
        name: yaml.safe_load(value) for name, _, value in (word.partition("=") for word in words if "=" in word)
    }
    signal.signal(signal.SIGTERM, pass_on)
    try:
        if only_check:
            return _dry_run(checked_parameters(notebook, files, overrides)[0])
        folder = execute(notebook, files, overrides)
    except KeyboardInterrupt:
        print(f"{notebook}: {STOPPED}", file=sys.stderr)
        return 130
    except (ParameterError, OSError) as error:  # OSError: a YAML file that is not there
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
    if isinstance(params, Train):
        from anysleep.training import dry_run  # slow to import

        try:
            findings = dry_run(params)
        except (ValueError, OSError, MemoryError) as error:
            print(f"{params.notebook} cannot start: {error}", file=sys.stderr)
            return 1
        for name, finding in findings.items():
            print(f"  {name + ':':<16}{finding}")
    return 0


def pass_on(signum: int, frame: object) -> None:
    """Pass SIGTERM on to the kernel and what it started, which may have a state to save, and end after them."""
    started = psutil.Process().children(recursive=True)
    for process in started:
        with suppress(psutil.NoSuchProcess):
            if process.name() != "srun":  # would kill its tasks at once; the training that started it asks them to stop
                process.terminate()
    psutil.wait_procs(started, timeout=LAST_WORDS_S)
    print(STOPPED, file=sys.stderr, flush=True)
    sys.exit(128 + signum)


def _git_commit() -> str | None:
    """The commit the code comes from, with '+changes' where files differ from it; None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+changes", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

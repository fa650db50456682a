"""A run: one notebook, one set of parameters, one folder that holds everything it found out.

A notebook calls `start_run` after its parameters; plain papermill and JupyterLab need nothing else. A run has succeeded
when its folder holds `result.json`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock, Timeout

from anysleep.settings import ExportFormat
from anysleep.system.files import atomic_write, clear_left_over, files_of_night, read_if_whole, sha256_of, short_path
from anysleep.system.jobs import end_with_parent
from anysleep.system.limits import read_yaml
from anysleep.workbook import provenance
from anysleep.workbook.arguments import missing_file
from anysleep.workbook.parameters import Parameters

if TYPE_CHECKING:  # they take a second, and the process that starts a notebook makes no table and no figure
    import pandas as pd
    from IPython.display import Image
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anysleep.datasets.archive import Archive
    from anysleep.exports import ScoredNight
    from anysleep.figures.report import NightReport
    from anysleep.recordings.recording import Recording
    from anysleep.staging.predictions import Predictions
    from anysleep.widgets.explorer import Chooser, Explorer
    from anysleep.widgets.night_browser import NightBrowser, Practice
    from anysleep.workbook.exercises import AnswerBoxes

WAIT_S = 10
"""How long a run waits for its folder: one that was killed takes a moment to end."""


ASIDE = ".result.json"
"""The result of the run before, until the next one begins."""
SHOW_WARNING = warnings.showwarning
"""Python's own, before `_say_once` puts another in its place."""


class ShardDone(Exception):
    """A shard has done its part, and the rest of the notebook is the whole run's."""


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
    opened: ExitStack = field(default_factory=ExitStack)
    """What is read; `finish` closes it."""
    began_s: float = field(default_factory=time.monotonic)

    def input(self, role: str, path: Path, digest: Callable[[Path], str] = sha256_of) -> Path:
        """Note an input by its role and SHA-256 (its name could tell who the patient is); returns the path.

        `digest` is `fingerprint_of` for archives, which are too large to be read for this. FileNotFoundError where the
        file is missing.
        """
        if not path.is_file():
            raise FileNotFoundError(missing_file(role, path))
        self.inputs[role] = digest(path)
        return path

    def night(self, paths: Sequence[Path]) -> list[Path]:
        """The file of a night, or its parts, also by a pattern, noted as inputs; errors as of `input`."""
        files = files_of_night(paths)
        roles = ["recording"] if len(files) == 1 else [f"recording_{i}" for i in range(1, len(files) + 1)]
        return [self.input(role, file) for role, file in zip(roles, files, strict=True)]

    def open_archive(self, path: Path) -> Archive:
        """The archive that is read, noted as an input; open until `finish`. Errors as of `input` and `Archive`."""
        from anysleep.datasets.archive import Archive, fingerprint_of

        return self.opened.enter_context(Archive(self.input("archive", path, fingerprint_of)))

    def open_predictions(self, folder: Path) -> Predictions:
        """A run of 05, noted with its network and what that was trained on; open until `finish`."""
        from anysleep.staging.predictions import Predictions

        predictions = self.opened.enter_context(Predictions(folder, self.input))
        self.inputs |= predictions.made_from
        self.learned_from |= predictions.learned_from
        return predictions

    def path(self, name: str) -> Path:
        """Where an output of this name belongs; noted as an output."""
        self.outputs.append(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def store(self) -> Path:
        """Folder of what is done and kept for the next time; shards have one with the whole run."""
        return (self.params.run_dir if self.params else self.folder) / "store"

    @property
    def shard(self) -> str:
        """Which part of the work this run does, see `share_of`; empty for all of it."""
        return getattr(self.params, "shard", "")

    def end_shard(self) -> None:
        """Where this run is a shard, its work ends here: it publishes nothing. ShardDone, which is no failure."""
        if self.shard:
            self.finish(shard=self.shard)
            raise ShardDone(f"shard {self.shard} is done; the run without `shard` publishes all of them")

    def table(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Write `<name>.csv` with a column `run_id` that leads back to params.yaml; returns the table as given."""
        from anysleep.recordings.tables import without_formulas

        with atomic_write(self.path(f"{name}.csv")) as temporary:
            without_formulas(table.assign(run_id=self.run_id)).to_csv(temporary, index=False)
        return table

    def hypnogram(self, name: str, night: ScoredNight, exports: Sequence[ExportFormat] = ()) -> pd.DataFrame:
        """Write a scored night as `<name>.csv`, at 30 s as EDF+ too, and as `exports` say; returns the table."""
        from anysleep.exports import export_night, hypnogram_table

        always = ("edf",) if night.predictions_per_epoch == 1 else ()
        files = export_night(self.folder, night, name, [one for one in (*always, *exports) if one != "csv"])
        self.outputs += [file.relative_to(self.folder).as_posix() for file in files]
        return self.table(name, hypnogram_table(night))

    def figure(self, name: str, drawn: Figure | Axes) -> Image:
        """Write `figures/<name>.png` and `.svg`, without dates; returns the PNG, so that a notebook shows that.

        Both tell in words what they show, from titles and labels.
        """
        import matplotlib.pyplot as plt
        from IPython.display import Image

        from anysleep.figures import in_words

        figure = drawn.figure
        words = in_words(name, figure)
        for suffix, metadata in {"png": {}, "svg": {"Date": None, "Title": words}}.items():
            with atomic_write(self.path(f"figures/{name}.{suffix}")) as temporary:
                # Else ids within the SVG are drawn anew, and the same figure is another file each time.
                with plt.rc_context({"svg.hashsalt": name}):
                    figure.savefig(temporary, dpi=200, metadata=metadata)
        plt.close(figure)  # the notebook shows what is returned; an open figure would show twice
        return Image(self.folder / f"figures/{name}.png", retina=True, alt=words)

    def interact(self, name: str, draw: partial, **choices: Sequence) -> Image | Chooser:
        """`figure` of what `draw` draws; in JupyterLab with a control for each of its keywords in `choices`."""
        image = self.figure(name, draw())
        if "JPY_SESSION_NAME" not in os.environ:
            return image
        from anysleep.widgets.explorer import Chooser

        return Chooser(draw, **choices)

    def explore(self, archive: Archive, n_epochs: int) -> Explorer | None:
        """Controls to look at any night of an archive, in JupyterLab; None where nobody looks."""
        if "JPY_SESSION_NAME" not in os.environ:
            return None
        from anysleep.widgets.explorer import explore

        return explore(archive, n_epochs)

    def browse(
        self, name: str, night: Recording, scored: Sequence[ScoredNight], quality: pd.DataFrame
    ) -> NightBrowser | None:
        """The night browser in JupyterLab, with changes in `corrections_<name>.csv`; None where nobody looks."""
        if "JPY_SESSION_NAME" not in os.environ:
            return None
        from anysleep.widgets.night_browser import NightBrowser

        return NightBrowser(night, scored, quality, self.folder / f"corrections_{name}.csv")

    def practise(self, name: str, night: Recording) -> Practice | None:
        """A night to score oneself, kept in `practice_<name>.csv`; None without an expert, or a browser."""
        if "JPY_SESSION_NAME" not in os.environ or night.hypnogram is None:
            return None
        from anysleep.widgets.night_browser import Practice

        return Practice(night, self.folder / f"practice_{name}.csv")

    def exercises(self) -> AnswerBoxes | None:
        """Boxes for the answers to the exercises that can be checked, in JupyterLab; None where nobody looks."""
        if "JPY_SESSION_NAME" not in os.environ:
            return None
        from anysleep.workbook.exercises import answer_boxes

        return answer_boxes(self)

    def report(self, name: str, report: NightReport, paper: str) -> None:
        """Write the page of a night as `<name>.pdf`, on A4 or Letter, and `<name>.html`."""
        from anysleep.figures.report import write_report

        with atomic_write(self.path(f"{name}.pdf")) as pdf, atomic_write(self.path(f"{name}.html")) as web_page:
            write_report(report, pdf, web_page, paper)

    def finish(self, **scores: float | int | str) -> pd.DataFrame:
        """Write provenance.json and, last, result.json; returns the list of files for the notebook to show."""
        import pandas as pd

        self.opened.close()
        made = {
            "run_id": self.run_id,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs_sha256": self.inputs,
            "learned_from": self.learned_from,
            "parameters": "params.yaml",  # as typed: a path in it could tell who the patient is
            "seed": getattr(self.params, "seed", None),
            "code": provenance.code(),
            "packages": provenance.packages(),
            "machine": provenance.machine(),
            "seconds": round(time.monotonic() - self.began_s, 1),
            "peak_memory_mb": provenance.peak_memory_mb(),
        }
        result = {"notebook": self.params.notebook, "run_id": self.run_id, "scores": scores, "outputs": self.outputs}
        result["inputs_sha256"] = self.inputs  # by which snakemake sees that a run before this one gave something else
        for name, content in (("provenance.json", made), ("result.json", result)):
            with atomic_write(self.folder / name) as temporary:
                temporary.write_text(json.dumps(content, indent=2) + "\n")
        if self.lock:
            self.lock.release(force=True)  # however often this process took it
        sizes_kb = [(self.folder / name).stat().st_size / 1e3 for name in self.outputs]
        return pd.DataFrame({"file": self.outputs, "kB": sizes_kb}).round(1)


def start_run(params: Parameters) -> Run:
    """Open the run folder `params.folder`, write params.yaml, and take away the result of an earlier run.

    The folder is this process's alone until the run is finished; shards of one `run_dir` work beside each other, not
    beside the whole run. ValueError where another run is at work.
    """
    if "JPY_PARENT_PID" in os.environ:  # a kernel sees by itself only that init took it over, not a user's systemd
        end_with_parent(parent=os.getppid())
        _say_once()
        atexit.register(gc.freeze)  # or Python looks for garbage in all its libraries before it ends, for a second
    folder = params.folder
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(folder)
    others = [params.run_dir] if folder != params.run_dir else (folder / "shards").glob("*")
    for other in others:
        lock_folder(other).release()
    if folder == params.run_dir:  # shards, perhaps on other machines, write into one store
        clear_left_over(folder)
    content = {"run_id": params.run_id} | params.plain()
    if changed := _differences(folder / "params.yaml", content):
        print(f"replaces the results of another run in {short_path(folder)}; different: {changed}")
        print("files of another name stay, also those of another night; a new folder, run_dir=..., keeps the two apart")
    for name in ("result.json", ASIDE):
        (folder / name).unlink(missing_ok=True)
    with atomic_write(folder / "params.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return Run(params, folder, params.run_id, lock=lock)


@contextmanager
def result_aside(folder: Path) -> Iterator[None]:
    """While a kernel starts, an earlier result is out of the way; it is back where no run has begun."""
    result = folder / "result.json"
    if result.is_file():
        result.replace(folder / ASIDE)
    try:
        yield
    finally:
        if (folder / ASIDE).is_file():
            (folder / ASIDE).replace(result)


def _say_once() -> None:
    """In this kernel, warnings for its user are a line each, and not repeated."""
    said = {"To exit: use 'exit', 'quit', or Ctrl-D."}  # IPython's, where a notebook ends early on purpose

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, UserWarning):
            SHOW_WARNING(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            print(f"note: {message}", file=sys.stderr)

    warnings.showwarning = show


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


def _differences(file: Path, content: dict[str, object]) -> str:
    """Names of the parameters in which the run that params.yaml tells of differs from this one, in what decides."""
    before = read_if_whole(file, lambda file: dict(read_yaml(file)))  # `dict` refuses what is no mapping
    if before is None or before.get("run_id") == content["run_id"]:
        return ""
    names = [name for name in content if name != "run_id" and before.get(name) != content[name]]
    return ", ".join(names) or "the notebook"

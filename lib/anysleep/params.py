"""The parameters of every notebook: one frozen class each, checked before any work starts.

Defaults live in one place, the notebook's parameters cell; the classes say what is allowed and what it means.
A parameters cell is a code cell whose first line starts with `# Parameters`, which is also how papermill marks the cell
it injects.
"""

import ast
import hashlib
import json
import textwrap
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from anysleep.files import project_path, short_path

MARK = "# Parameters"


def _to_path(value: object) -> object:
    if value == "":
        return None
    return project_path(value) if isinstance(value, str) else value


ProjectPath = Annotated[Path, BeforeValidator(_to_path), PlainSerializer(short_path)]
"""A path; a relative one counts from the workbook's root."""

OptionalPath = Annotated[Path | None, BeforeValidator(_to_path), PlainSerializer(lambda p: p and short_path(p))]
"""As `ProjectPath`; an empty text means none."""

Device = Literal["auto", "cpu", "cuda", "mps"]
Share = Annotated[float, Field(gt=0, lt=1)]
GroupBy = Literal["subject", "recording"]
Architecture = Literal["usleep", "anysleep", "anysleep_early_fusion", "anysleep_late_fusion"]


class ParameterError(ValueError):
    """A parameter is unknown, missing or has a value that is not allowed."""


class Strict(BaseModel):
    """Settings in which unknown names, missing names and near types (`"5"` for 5) are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __init__(self, **values: object):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ParameterError(_explain(error, type(self))) from None


class Parameters(Strict):
    """What all notebooks share."""

    notebook: ClassVar[str]
    execution_only: ClassVar[frozenset[str]] = frozenset({"run_dir", "device", "n_jobs"})
    """Parameters that change where and how fast a run happens, not what it finds."""

    run_dir: ProjectPath = Field(description="Folder for everything this run writes.")

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, object]) -> Self:
        """The parameters of the running notebook: call as `from_notebook(globals())` after the parameters cell.

        Every name assigned in a parameters cell must be a parameter, so that a misspelt one stops the run. Of a cell
        that was corrected and run again, the last version counts.
        """
        cells = {cell.splitlines()[0]: cell for cell in namespace.get("In", []) if cell.startswith(MARK)}
        names = {name for cell in cells.values() for name in _assigned_names(cell)} | set(cls.model_fields)
        return cls(**{name: namespace[name] for name in names if name in namespace})

    def plain(self) -> dict[str, object]:
        """As JSON and YAML can hold it."""
        return self.model_dump(mode="json")

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits of what decides the result: notebook and parameters, not folder or device."""
        deciding = {name: value for name, value in self.plain().items() if name not in self.execution_only}
        text = json.dumps([self.notebook, deciding], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Prepare(Parameters):
    """01_prepare: recordings -> archive.h5."""

    notebook = "01_prepare"

    datasets: dict[ProjectPath, ProjectPath] = Field(description="Recipe -> folder with its recordings.", min_length=1)
    synthetic_dir: OptionalPath = Field(description="Folder to write a synthetic cohort to first; empty for none.")
    n_synthetic_persons: int = Field(description="Persons of that cohort.", ge=1)
    synthetic_hours: float = Field(description="Length of a synthetic night in hours.", gt=0, le=24)
    sampling_rate_hz: int = Field(description="Rate of the archive in Hz.", gt=0)
    n_jobs: int = Field(description="Processes that prepare nights at the same time; 0 for one per core.", ge=0)
    key_file: OptionalPath = Field(description="Table to write of recording id and file name; empty for none.")
    seed: int = Field(description="Seed of the synthetic cohort.", ge=0)


class Inspect(Parameters):
    """02_inspect: what is in the archive?"""

    notebook = "02_inspect"

    archive: ProjectPath = Field(description="The archive of 01_prepare.")
    dataset: str = Field(description="Data set of the recording to show; empty for the first.")
    recording: str = Field(description="Recording to show; empty for the first.")
    channels: list[str] = Field(description="Channels to show; empty for all.")
    start_s: float = Field(description="Second whose epoch begins the close-up.", ge=0)
    n_epochs: int = Field(description="Epochs of 30 s in the close-up.", ge=1, le=10)


class Train(Parameters):
    """03_train: archive -> checkpoint."""

    notebook = "03_train"

    archive: ProjectPath = Field(description="The archive of 01_prepare.")
    recipes: list[ProjectPath] = Field(description="Recipes that tell the persons of an archive that does not.")
    group_by: GroupBy = Field(description="recording: where persons are unknown, every night counts as another one.")
    split: OptionalPath = Field(description="A split file to use as it is; empty to draw one by person.")
    shares: list[Share] = Field(
        description="Shares of a data set's persons for validation and testing; U-Sleep 0.1, 0.15.",
        min_length=2,
        max_length=2,
    )
    architecture: Architecture = Field(description="Which of the four networks.")
    depth: int = Field(description="Levels of the U-Net; 12 in the paper.", ge=1)
    complexity: float = Field(description="Scale of the network's width; 1.2923 in the paper.", gt=0)
    window_epochs: int = Field(description="Epochs of 30 s in a training window; 35 in the paper.", ge=1)
    batch_size: int = Field(description="Windows in a batch; 64 in the paper.", ge=2)
    max_channels: int = Field(description="Most channels drawn for a window; 0 for the longest list.", ge=0)
    n_steps: int = Field(description="Batches of training.", ge=1)
    steps_per_training_epoch: int = Field(description="Batches between two validations.", ge=1)
    learning_rate: float = Field(description="Highest learning rate of Adam.", gt=0)
    schedule: Literal["constant", "warmup_cosine"] = Field(description="Course of the learning rate.")
    stage_weights: Literal["none", "inverse_sqrt"] = Field(description="How the loss weighs stages by frequency.")
    device: Device = Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")
    seed: int = Field(description="Seed of split, first weights and draws.", ge=0)


class Evaluate(Parameters):
    """04_evaluate: checkpoint + archive -> scores."""

    notebook = "04_evaluate"

    archive: ProjectPath = Field(description="The archive of 01_prepare.")
    checkpoint: ProjectPath = Field(description="The checkpoint of 03_train, or a released one.")
    recipes: list[ProjectPath] = Field(description="Recipes that tell the persons of an archive that does not.")
    group_by: GroupBy = Field(description="recording: where persons are unknown, every night counts as another one.")
    split: ProjectPath = Field(description="The split file of 03_train.")
    split_part: Literal["train", "valid", "test"] = Field(description="Which recordings to score.")
    device: Device = Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")


class Predict(Parameters):
    """05_predict: checkpoint + archive or files -> predictions."""

    notebook = "05_predict"

    checkpoint: ProjectPath = Field(description="The checkpoint of 03_train, or a released one.")
    archive: OptionalPath = Field(description="Archive with the nights to stage; empty to read files.")
    recordings: list[ProjectPath] = Field(description="Files to stage where archive is empty.")
    channels: list[str] = Field(description="Channels to use; empty for all, of files all that the doctor would use.")
    name_by_file: bool = Field(description="Call results after the file, whose name may tell who the patient is.")
    predictions_per_epoch: list[int] = Field(description="Resolutions to write, in predictions in 30 s.", min_length=1)
    write_logits: bool = Field(description="Also write the logits (74 MB a night at 3840).")
    device: Device = Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")


class StageOneNight(Parameters):
    """stage_one_night: one recording -> hypnogram and hypnodensity."""

    notebook = "stage_one_night"

    recording: ProjectPath = Field(description="A recording of any format.")
    channels: list[str] = Field(description="Channels to use, named as in the file; empty: all the doctor would use.")
    name_by_file: bool = Field(description="Call results after the file, whose name may tell who the patient is.")
    checkpoint: ProjectPath = Field(description="The checkpoint of 03_train, or a released one.")
    predictions_per_epoch: int = Field(description="Resolution, in predictions in 30 s.", ge=1)
    device: Device = Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")


NOTEBOOKS: dict[str, type[Parameters]] = {
    cls.notebook: cls for cls in (Prepare, Inspect, Train, Evaluate, Predict, StageOneNight)
}


def notebook_defaults(path: str | Path) -> dict[str, object]:
    """Names and values of a notebook's parameters cell. ParameterError where one is not a literal."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    source = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    defaults = {}
    for node in ast.parse(source).body:
        try:
            defaults[node.target.id] = ast.literal_eval(node.value)
        except (AttributeError, ValueError) as error:
            raise ParameterError(
                f"{path}, parameters cell: line {node.lineno} is not `name: type = literal`"
            ) from error
    return defaults


def merge_parameters(files: Sequence[str | Path], overrides: Mapping[str, object]) -> dict[str, object]:
    """The YAML files merged, a later one over an earlier one, then the overrides. Not yet checked."""
    merged: dict[str, object] = {}
    for path in files:
        content = yaml.safe_load(project_path(path).read_text(encoding="utf-8")) or {}
        if not isinstance(content, dict):
            raise ParameterError(f"{path}: expected lines of `name: value`")
        merged |= content
    return merged | dict(overrides)


def _assigned_names(cell: str) -> set[str]:
    targets = []
    for node in ast.parse(cell).body:
        targets += node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _explain(error: ValidationError, cls: type[Strict]) -> str:
    """One line a problem: the value, what is allowed, and the likely fix."""
    lines = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            near = get_close_matches(name, cls.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(cls.model_fields)}"
            lines.append(f"unknown parameter {name!r}; {hint}")
        elif problem["type"] == "missing":
            lines.append(f"parameter {name!r} is missing: {cls.model_fields[name].description}")
        elif problem["type"] == "value_error":  # from a part of a recipe, which names itself
            lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": "))
        else:
            hint = "; put it in quotes" if problem["type"] == "string_type" else ""
            lines.append(
                f"{name} is {textwrap.shorten(repr(problem['input']), 80, placeholder='...')}: {problem['msg']}{hint}"
            )
    return "; ".join(lines)

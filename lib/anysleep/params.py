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
Precision = Literal["32", "bf16"]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
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


class Unet(Strict):
    """Size of the network; it has to fit `initial_checkpoint`."""

    depth: int = Field(description="Levels of the U-Net; 12 in the paper.", ge=1)
    complexity: float = Field(description="Scale of the network's width; 1.2923 in the paper.", gt=0)


class FineTune(Strict):
    """Where the first weights come from."""

    initial_checkpoint: OptionalPath = Field(description="Checkpoint to start from; empty for random weights.")
    frozen: list[str] = Field(description="Parts that keep those weights, such as encoders.")


class Batch(Strict):
    """What a training step sees."""

    n_windows: int = Field(description="Windows in a batch, over all devices; 64 in the paper.", ge=2)
    window_epochs: int = Field(description="Epochs of 30 s in a window; 35 in the paper.", ge=1)
    max_channels: int = Field(description="Most channels drawn for a batch; 0 for the longest list.", ge=0)


class Schedule(Strict):
    """Course of the learning rate."""

    shape: Literal["constant", "warmup", "warmup_cosine"] = Field(description="Its parts, one after the other.")
    n_cycles: int = Field(description="Cosine decays, each restarting at the highest rate.", ge=1)


class Loss(Strict):
    """What a step lowers, and how far it may go."""

    stage_weights: Literal["none", "inverse_sqrt"] = Field(description="How the loss weighs stages by frequency.")
    gradient_clip: float = Field(description="Largest norm of the gradient; 0 for no limit.", ge=0)


class Compute(Strict):
    """How a step is computed. All of it can change the last digits of the weights, so it belongs to a run's id."""

    precision: Precision = Field(description="float32, or bfloat16 where that is safe.")
    compile: bool = Field(description="Let torch.compile fuse the network; needs a C++ compiler.")
    n_devices: int = Field(description="Processes that share every batch, on all machines together.", ge=1)


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
    unet: Unet = Field(description="Size of the network: depth, complexity.")
    fine_tune: FineTune = Field(description="Where the first weights come from: initial_checkpoint, frozen.")
    batch: Batch = Field(description="What a step sees: n_windows, window_epochs, max_channels.")
    n_steps: int = Field(description="Batches of training, at most.", ge=1)
    steps_per_training_epoch: int = Field(description="Batches between two validations.", ge=1)
    patience: int = Field(description="Stop after so many validations without a better MF1; 0 for never.", ge=0)
    learning_rate: float = Field(description="Highest learning rate of Adam.", gt=0)
    schedule: Schedule = Field(description="Course of the learning rate: shape, n_cycles.")
    loss: Loss = Field(description="What a step lowers: stage_weights, gradient_clip.")
    compute: Compute = Field(description="How a step is computed: precision, compile, n_devices.")
    device: Device = Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")
    seed: int = Field(description="Seed of split, first weights and draws.", ge=0)

    def model_post_init(self, _context: object) -> None:
        """ParameterError where a batch cannot be shared."""
        if self.batch.n_windows % self.compute.n_devices:
            raise ParameterError(
                f"batch.n_windows is {self.batch.n_windows}, which {self.compute.n_devices} devices "
                "(compute.n_devices) cannot share equally; choose a multiple"
            )


class Evaluate(Parameters):
    """04_evaluate: checkpoint + archive -> scores."""

    notebook = "04_evaluate"

    archive: ProjectPath = Field(description="The archive of 01_prepare.")
    checkpoint: ProjectPath = Field(description="The checkpoint of 03_train, or a released one.")
    more_checkpoints: list[ProjectPath] = Field(description="Others to compare or average with it.")
    several: Literal["compare", "average"] = Field(description="What to do with several checkpoints.")
    recipes: list[ProjectPath] = Field(description="Recipes that tell the persons of an archive that does not.")
    group_by: GroupBy = Field(description="recording: where persons are unknown, every night counts as another one.")
    split: ProjectPath = Field(description="The split file of 03_train.")
    split_part: Literal["train", "valid", "test"] = Field(description="Which recordings to score.")
    montages: Literal["all", "named", "drawn", "pairs"] = Field(description="Which channels a night is scored with.")
    channels: list[str] = Field(description="Channels or sites for named; those to pair for pairs, empty for all.")
    n_eeg: list[Count] = Field(description="Numbers of EEG channels for drawn.")
    n_eog: list[Count] = Field(description="Numbers of EOG channels for drawn.")
    n_draws: int = Field(description="Draws for each pair of these numbers; 0 for every combination.", ge=0)
    vote: Literal["majority", "mean"] = Field(description="How pairs of U-Sleep decide: votes, or mean probability.")
    n_bootstrap: int = Field(description="How often persons are drawn for an interval.", ge=1)
    precision: Precision = Field(description="32, or bf16: faster on GPUs, and on CPUs with units for it.")
    device: Device = Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")
    seed: int = Field(description="Seed of drawn channels, tied votes and intervals.", ge=0)

    def model_post_init(self, _: object) -> None:
        """ValueError where the channels do not belong to the choice of montages."""
        if self.montages == "named" and not self.channels:
            raise ValueError("montages is 'named', but channels is empty; name some")
        if self.montages in ("all", "drawn") and self.channels:
            raise ValueError(f"montages is {self.montages!r}, which takes no channels; choose 'named' or 'pairs'")
        if self.montages == "drawn" and not (self.n_eeg and self.n_eog):
            raise ValueError("montages is 'drawn', but n_eeg or n_eog is empty; say how many, 0 for none")


class Predict(Parameters):
    """05_predict: checkpoint + archive or files -> predictions."""

    notebook = "05_predict"
    execution_only = Parameters.execution_only | {"n_devices"}

    checkpoint: ProjectPath = Field(description="The checkpoint of 03_train, or a released one.")
    archive: OptionalPath = Field(description="Archive with the nights to stage; empty to read files.")
    recordings: list[ProjectPath] = Field(description="Files to stage where archive is empty.")
    channels: list[str] = Field(description="Channels to use; empty for all, of files all that the doctor would use.")
    name_by_file: bool = Field(description="Call results after the file, whose name may tell who the patient is.")
    predictions_per_epoch: list[int] = Field(description="Resolutions to write, in predictions in 30 s.", min_length=1)
    write_logits: bool = Field(description="Also write the logits (74 MB a night at 3840).")
    leave_one_out: bool = Field(description="Also stage without each channel in turn: does one carry the night?")
    precision: Precision = Field(description="32, or bf16: faster on GPUs, and on CPUs with units for it.")
    device: Device = Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")
    n_devices: int = Field(description="GPUs that share the nights, each with a process of its own.", ge=1)

    def model_post_init(self, _: object) -> None:
        """ValueError where it is not clear what to stage."""
        if self.archive and self.recordings:
            raise ValueError("recordings and archive are both named; write archive= with nothing after the sign")


class StageOneNight(Parameters):
    """stage_one_night: one recording -> hypnogram and hypnodensity."""

    notebook = "stage_one_night"

    recording: ProjectPath = Field(description="A recording of any format.")
    channels: list[str] = Field(description="Channels to use, named as in the file; empty: all the doctor would use.")
    name_by_file: bool = Field(description="Call results after the file, whose name may tell who the patient is.")
    checkpoint: ProjectPath = Field(description="The checkpoint of 03_train, or a released one.")
    predictions_per_epoch: int = Field(description="Resolution, in predictions in 30 s.", ge=1)
    precision: Precision = Field(description="32, or bf16: faster on GPUs, and on CPUs with units for it.")
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


def merge_parameters(
    files: Sequence[str | Path], overrides: Mapping[str, object], defaults: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The YAML files merged, a later one over an earlier one, then the overrides. Not yet checked.

    A later file replaces a group such as `loss` as a whole, as papermill does; an override may name a member:
    `loss.gradient_clip`. What the files do not say of that group is taken from `defaults`.
    """
    merged: dict[str, object] = {}
    for path in files:
        content = yaml.safe_load(project_path(path).read_text(encoding="utf-8")) or {}
        if not isinstance(content, dict):
            raise ParameterError(f"{path}: expected lines of `name: value`")
        merged |= content
    for name, value in overrides.items():
        group, _, member = name.partition(".")
        members = merged.get(group, (defaults or {}).get(group))
        merged |= {group: members | {member: value}} if isinstance(members, dict) and member else {name: value}
    return merged


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
            hints = {"string_type": "; put it in quotes"}
            if isinstance(problem["input"], str):
                hints["float_type"] = "; YAML takes 1e-3 for text, write 1.0e-3"
            hint = hints.get(problem["type"], "")
            lines.append(
                f"{name} is {textwrap.shorten(repr(problem['input']), 80, placeholder='...')}: {problem['msg']}{hint}"
            )
    return "; ".join(lines)

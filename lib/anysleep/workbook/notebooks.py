"""The parameters of every notebook, one class each: what is allowed, and what it means."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from anysleep.recordings.lights import checked_when
from anysleep.settings import (
    ArchivePath,
    Count,
    Device,
    Exports,
    GroupBy,
    OptionalPath,
    Positive,
    Precision,
    Processes,
    ProjectPath,
    Recipes,
    Resolution,
    Seconds,
    Seed,
    Shard,
    Strict,
    Times,
)
from anysleep.stages import FASTEST_RATE_HZ
from anysleep.training.settings import TrainingSettings
from anysleep.workbook.parameters import Parameters

BUNDLED = Path(__file__).parents[1] / "models/anysleep-synthetic.pth"
"""As `anysleep.models.checkpoints.bundled_file()`, without a second of imports."""

Checkpoint = Annotated[
    ProjectPath,
    BeforeValidator(lambda given: BUNDLED if given == "bundled" else given),
    Field(description="Of 03_train, a released one, or bundled: the one shipped."),
]
AllowSynthetic = Annotated[
    bool, Field(description="Let a network that was trained on synthetic nights alone judge others.")
]
NameByFile = Annotated[bool, Field(description="Call results after the file, whose name may tell who the patient is.")]
LightsOff = Annotated[
    str,
    AfterValidator(checked_when),
    Field(description="Where the recording does not say it: clock time (23:10) or seconds; empty for unknown."),
]
LightsOn = Annotated[
    str, AfterValidator(checked_when), Field(description="Likewise; without, the recording's ends stand in.")
]
SplitPart = Annotated[Literal["train", "valid", "test"], Field(description="Which recordings of the split.")]
NBootstrap = Annotated[Times, Field(description="How often persons are drawn for an interval.", ge=1)]


class Prepare(Parameters):
    """01_prepare: recordings -> archive.h5."""

    notebook = "01_prepare"
    execution_only = Parameters.execution_only | {"drop_missing"}

    datasets: dict[ProjectPath, ProjectPath] = Field(
        description="Recipe, and the folder with its recordings.", min_length=1
    )
    synthetic_dir: OptionalPath = Field(
        description="Write a synthetic cohort there first; empty for your own recordings."
    )
    n_synthetic_persons: int = Field(description="Persons of that cohort.", ge=1, le=10_000)
    synthetic_hours: float = Field(description="Length of a synthetic night in hours.", gt=0, le=24)
    synthetic_faults: bool = Field(
        description="Whether three nights are faulty and one more is unscored: what does 01 say of them?"
    )
    synthetic_variety: float = Field(
        description="How much persons and recorders differ; 1 as in real laboratories.", ge=0, le=1
    )
    sampling_rate_hz: int = Field(
        description="Rate of the archive in Hz; 128 for the published weights, 64 is faster.", gt=0, le=FASTEST_RATE_HZ
    )
    n_jobs: Processes = Field(description="Processes; 0 for one per core.", ge=0)
    drop_missing: bool = Field(description="Let the archive lose nights that it held before; else that stops the run.")
    key_file: OptionalPath = Field(
        description="Table of recording ids and file names to write, which may tell who it is; empty for none."
    )
    shard: Shard
    seed: Seed = Field(description="Seed of the synthetic cohort.")

    @model_validator(mode="after")
    def _shards_find_their_nights(self) -> Self:
        if self.shard and self.synthetic_dir:
            raise ValueError(
                f"shard is {self.shard!r}, and every shard would write the synthetic cohort anew; prepare it without "
                "shard, or, once it is written, leave synthetic_dir empty"
            )
        return self


class Inspect(Parameters):
    """02_inspect: what is in the archive?"""

    notebook = "02_inspect"

    archive: ArchivePath
    dataset: str = Field(description="Data set of the recording to show; empty for the first.")
    recording: str = Field(description="Recording to show; empty for the first.")
    channels: list[str] = Field(description="Channels to show, named as in the archive; empty for all.")
    start_s: Seconds = Field(description="Second whose epoch of 30 s begins the close-up.")
    n_epochs: int = Field(description="Epochs in the close-up.", ge=1, le=10)


class Train(TrainingSettings, Parameters):
    """03_train: archive -> checkpoint."""

    notebook = "03_train"
    execution_only = Parameters.execution_only | {"retrain"}

    retrain: bool = Field(
        description="Train anew where the same training has finished here already, instead of showing it."
    )


class Draws(Strict):
    """Channels that are drawn at random."""

    n_eeg: list[Count] = Field(description="Numbers of EEG channels.")
    n_eog: list[Count] = Field(description="Numbers of EOG channels.")
    n_draws: Times = Field(
        description="Draws for each pair of these; 5000 in the paper, 0 for every combination.", ge=0
    )


class Evaluate(Parameters):
    """04_evaluate: checkpoint + archive -> scores."""

    notebook = "04_evaluate"
    execution_only = Parameters.execution_only | {"allow_synthetic"}

    archive: ArchivePath
    checkpoint: Checkpoint
    more_checkpoints: list[ProjectPath] = Field(description="Others to compare with it, or for its ensemble.")
    allow_synthetic: AllowSynthetic
    ensemble: bool = Field(description="Whether checkpoints are one network by their mean probability; else compared.")
    recipes: Recipes
    group_by: GroupBy
    split: OptionalPath = Field(description="Split of the network's training; empty to score every labelled night.")
    split_part: SplitPart
    datasets: list[str] = Field(description="Data sets to score; empty for all.")
    montages: Literal["all", "named", "drawn", "pairs"] = Field(
        description="Channels of a night; drawn is n EEG and m EOG, pairs has single ones."
    )
    channels: list[str] = Field(
        description="Channels or sites (C3; EOG means every one) for named; those to pair for pairs, empty for all."
    )
    draws: Draws = Field(description="What is drawn for drawn.")
    vote: Literal["majority", "mean"] = Field(description="How U-Sleep's pairs decide: by votes, or mean probability.")
    n_bootstrap: NBootstrap
    cost_channels: list[Positive] = Field(
        description="Numbers of channels to measure time and memory for; empty for none."
    )
    precision: Precision
    device: Device
    shard: Shard
    seed: Seed = Field(description="Seed of drawn channels, tied votes and intervals.")

    def model_post_init(self, _: object) -> None:
        """ValueError where the channels do not belong to the choice of montages."""
        if self.montages == "named" and not self.channels:
            raise ValueError("montages is 'named', but channels is empty; name some")
        if self.montages in ("all", "drawn") and self.channels:
            raise ValueError(f"montages is {self.montages!r}, which takes no channels; choose 'named' or 'pairs'")
        if self.montages == "drawn" and not (self.draws.n_eeg and self.draws.n_eog):
            raise ValueError("montages is 'drawn', but draws.n_eeg or n_eog is empty; say how many, 0 for none")


def _as_list(value: object) -> object:
    return [text for text in [value] if text] if isinstance(value, str) else value


Parts = Annotated[list[ProjectPath], BeforeValidator(_as_list), Field(min_length=1)]
"""A recording, or the parts of one, as files or patterns; a text alone is a list of one, an empty one of none."""
FileOrParts = Annotated[
    Annotated[ProjectPath, Tag("file")] | Annotated[Parts, Tag("parts")],
    Discriminator(lambda given: "parts" if isinstance(given, list) else "file"),
]


class Predict(Parameters):
    """05_predict: checkpoint + archive or files -> predictions."""

    notebook = "05_predict"
    execution_only = Parameters.execution_only | {"n_devices", "key_file", "exports"}

    checkpoint: Checkpoint
    allow_synthetic: AllowSynthetic
    archive: OptionalPath = Field(description="Archive with the nights to stage; empty to read files instead.")
    datasets: list[str] = Field(description="Data sets of the archive to stage; empty for all.")
    recordings: Annotated[list[FileOrParts], BeforeValidator(_as_list)] = Field(
        description="Where archive is empty: files, folders or patterns, or a list of parts of a night."
    )
    split: OptionalPath = Field(description="Split file: of the archive only nights of split_part; empty for all.")
    split_part: SplitPart
    channels: list[str] = Field(description="As in the archive (or sites) or files; empty: good ones.")
    name_by_file: NameByFile
    key_file: OptionalPath = Field(
        description="Table of numbers, ids and file names to write, which may tell who it is; empty for none."
    )
    predictions_per_epoch: list[Resolution] = Field(
        description="Resolutions to write, in predictions in 30 s.", min_length=1
    )
    lights_off: LightsOff
    lights_on: LightsOn
    write_logits: bool = Field(description="Also write the logits (74 MB a night at 3840).")
    exports: Exports = Field(
        description="More formats of the hypnograms, such as bids; CSV and EDF+ always are. See docs/exports.md."
    )
    leave_one_out: bool = Field(
        description="Also stage without each channel in turn: does one carry the night? Not for U-Sleep."
    )
    aligned: bool = Field(description="Make the result independent of the number of epochs; false as published.")
    precision: Precision
    device: Device
    shard: Shard
    n_devices: Processes = Field(description="GPUs that share the nights, each with a process of its own.", ge=1)

    def model_post_init(self, _: object) -> None:
        """ValueError where it is not clear what to stage."""
        if self.archive and self.recordings:
            raise ValueError("recordings and archive are both named; write archive= with nothing after the sign")
        if self.key_file and self.archive:
            raise ValueError("key_file is for recordings; the key of an archive is written by 01_prepare")
        if (self.datasets or self.split) and not self.archive:
            raise ValueError("datasets or a split are named, but no archive that could hold them")


class Arousals(Parameters):
    """06_arousals: predictions + expert arousals -> events and scores."""

    notebook = "06_arousals"

    predictions: ProjectPath = Field(description="Run folder of 05_predict.")
    archive: ProjectPath = Field(description="Archive with the experts' arousals.")
    annotations: OptionalPath = Field(
        description="Folder of arousals for an archive without, <recording>.csv or those of MASS; empty for none."
    )
    datasets: list[str] = Field(description="Data sets to score; empty for all that have expert arousals.")
    recipes: Recipes
    group_by: GroupBy
    split: OptionalPath = Field(description="Split of the network's training; empty to score every night.")
    split_part: SplitPart
    recording: str = Field(description="Recording of the close-up; empty for the first.")
    channel: str = Field(description="Channel of the close-up; empty for an EEG channel, a central one if there is.")
    start_s: Seconds = Field(description="Second at which the close-up begins.")
    close_up_s: int = Field(description="Seconds of the close-up; 180 in the paper.", ge=10, le=3600)
    n_bootstrap: NBootstrap
    seed: Seed = Field(description="Seed of the intervals.")


class Permutation(Strict):
    """The same with the trait shuffled among persons."""

    resolutions: list[Resolution] = Field(description="Chosen beforehand; the first is the headline's.")
    n_shuffles: Times = Field(description="Shuffles for a p-value at each of these; 0 for none.", ge=0)


class Traits(Parameters):
    """07_traits: predictions + participants -> age, sex, OSA scores."""

    notebook = "07_traits"
    execution_only = Parameters.execution_only | {"n_jobs"}

    predictions: OptionalPath = Field(description="Run folder of 05_predict; empty for the hypnograms of scorers.")
    scorers: OptionalPath = Field(
        description="Public scorer files of the Dreem Open Datasets, a folder or an .npz, instead of predictions."
    )
    archive: OptionalPath = Field(description="Tells persons and traits; empty where participants do.")
    participants: OptionalPath = Field(
        description="Table (.csv, .tsv, .xlsx) of recording or subject, and the trait; others are left out."
    )
    datasets: list[str] = Field(description="Data sets to read; empty for all.")
    recipes: Recipes
    group_by: GroupBy = Field(description="Whose nights stand on one side of a fold; recording as published.")
    split: OptionalPath = Field(
        description="Split of the network's training, to use persons it has never seen; empty for every night."
    )
    split_part: SplitPart
    trait: Literal["age", "sex", "group", "dataset"] = Field(
        description="What to tell; dataset is which data set a night is from."
    )
    classes: list[str] = Field(description="The two values of the trait, the one to find last; empty for age.")
    predictions_per_epoch: list[Resolution] = Field(description="Resolutions to use; empty for all that are there.")
    n_folds: int = Field(
        description="Folds; 0 leaves out one person (or recording) at a time, as in the paper.", ge=0, le=1000
    )
    n_repetitions: Times = Field(description="Repetitions with other forests; 50 in the paper.", ge=1)
    forests: OptionalPath = Field(
        description="Table of their max_depth, min_samples_leaf, min_samples_split, max_features; empty to draw."
    )
    permutation: Permutation = Field(description="The same with the trait shuffled among persons.")
    n_bootstrap: NBootstrap
    n_jobs: Processes = Field(description="Processes; 0 for one per core.", ge=0)
    shard: Shard
    seed: Seed = Field(description="Seed of folds, forests, shuffles and intervals.")

    def model_post_init(self, _: object) -> None:
        """ValueError where it is not clear what to learn from what."""
        if bool(self.predictions) == bool(self.scorers):
            raise ValueError("name either predictions or scorers, the other one empty")
        if self.scorers and (self.archive or self.predictions_per_epoch):
            raise ValueError("scorer files tell whose they are, at 30 s; leave archive and predictions_per_epoch empty")
        if self.predictions and not (self.archive or self.participants):
            raise ValueError("neither archive nor participants is named; who slept, and what are the traits?")
        if (self.trait == "age") == bool(self.classes) or len(set(self.classes)) not in (0, 2):
            raise ValueError(f"trait is {self.trait!r} and classes is {self.classes}; age takes none, the others two")
        if self.n_folds == 1:
            raise ValueError("n_folds is 1; nothing would be left to learn from, take at least 2")


class Figures(Parameters):
    """08_figures: tables of finished runs -> figures and ledger."""

    notebook = "08_figures"

    runs: list[str] = Field(description="Run folders whose tables to draw; * stands for any name.", min_length=1)


class StageOneNight(Parameters):
    """stage_one_night: one recording -> hypnogram and hypnodensity."""

    notebook = "stage_one_night"
    execution_only = Parameters.execution_only | {"allow_synthetic", "exports", "person", "paper"}

    recording: Parts = Field(description="A recording; a list or pattern for parts of one night.")
    labels: OptionalPath = Field(description="An expert's scoring in a file of its own; empty for the recording's.")
    labels_as: dict[str, Any] = Field(
        description="How to read it, in the words of a recipe's labels; empty where its name tells."
    )
    channels: list[str] = Field(description="As in the file; U-Sleep: EEG, EOG; empty: good ones.")
    name_by_file: NameByFile
    checkpoint: Checkpoint
    allow_synthetic: AllowSynthetic
    predictions_per_epoch: Resolution = Field(
        description="Predictions in 30 s; divides the samples in it (3840 at 128 Hz)."
    )
    lights_off: LightsOff
    lights_on: LightsOn
    exports: Exports = Field(
        description="More formats of the hypnogram, such as bids; CSV and EDF+ always are. See docs/exports.md."
    )
    person: str = Field(description="Whom the report names; empty for nobody.")
    age: int = Field(description="Years, to print published values of that age beside it; 0 for unknown.", ge=0, le=120)
    paper: Literal["A4", "Letter"] = Field(description="Of the report.")
    precision: Precision
    device: Device

    def model_post_init(self, _: object) -> None:
        """ValueError where there is nothing to read so, or no recipe would have these words."""
        if self.labels_as and not self.labels:
            raise ValueError("labels_as says how to read labels, but labels names no file")
        if "file" in self.labels_as:
            raise ValueError("labels names the file; leave it out of labels_as")
        if self.labels_as:
            from anysleep.datasets.labels import Labels  # half a second that no other notebook needs

            Labels(file=str(self.labels), **self.labels_as)


NOTEBOOKS: dict[str, type[Parameters]] = {
    cls.notebook: cls for cls in (Prepare, Inspect, Train, Evaluate, Predict, Arousals, Traits, Figures, StageOneNight)
}

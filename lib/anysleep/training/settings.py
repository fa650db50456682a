"""What decides a training: its data, network, batches, learning rate and loss."""

from typing import Literal

from pydantic import Field

from anysleep.settings import (
    Architecture,
    ArchivePath,
    Count,
    Device,
    GroupBy,
    OptionalPath,
    ParameterError,
    Precision,
    Processes,
    Recipes,
    Seed,
    Share,
    Strict,
)

MOST_STEPS = 100_000_000
"""Some ten times those of the paper's longest training; years at ten a second."""


class Unet(Strict):
    """Size of the network; it has to fit `initial_checkpoint`."""

    depth: int = Field(description="Levels of the U-Net; 12 in the paper.", ge=1, le=24)
    complexity: float = Field(description="Scale of the network's width; 1.2923 in the paper.", gt=0, le=100)


class FineTune(Strict):
    """Where the first weights come from."""

    initial_checkpoint: OptionalPath = Field(description="Checkpoint to start from; empty for random weights.")
    frozen: list[str] = Field(description="Parts that keep those weights, such as encoders.")


class Batch(Strict):
    """What a training step sees."""

    n_windows: int = Field(description="Windows in a batch, over all devices; 64 in the paper.", ge=2, le=65_536)
    window_epochs: int = Field(description="Epochs of 30 s in a window; 35 in the paper.", ge=1, le=20_160)
    max_channels: Count = Field(description="Most channels drawn for a batch; 0 for the longest list.")
    redraw: Literal["recording", "dataset"] = Field(
        "recording", description="Drawn again where a night lacks the stage; dataset as published."
    )


class Schedule(Strict):
    """Course of the learning rate."""

    shape: Literal["constant", "warmup", "warmup_cosine"] = Field(description="Its parts, one after the other.")
    n_cycles: int = Field(description="Cosine decays, each restarting at the highest rate.", ge=1, le=10_000)
    cycle_growth: int = Field(1, description="How many times as long as the one before a decay is.", ge=1, le=100)
    min_rate: float = Field(0.0, description="Learning rate at the end of a decay.", ge=0, le=10)


class Loss(Strict):
    """What a step lowers, and how far it may go."""

    stage_weights: Literal["none", "inverse_sqrt"] = Field(description="How the loss weighs stages by frequency.")
    gradient_clip: float = Field(description="Largest norm of the gradient; 0 for no limit.", ge=0, le=1_000_000)


class Compute(Strict):
    """How a step is computed. All of it can change the last digits of the weights, so it belongs to a run's id."""

    precision: Precision
    compile: bool = Field(description="Let torch.compile fuse the network; needs a C++ compiler.")
    n_devices: Processes = Field(description="Processes that share every batch, on all machines together.", ge=1)


class TrainingSettings(Strict):
    """A training of one network on the nights of an archive."""

    archive: ArchivePath
    recipes: Recipes
    group_by: GroupBy
    split: OptionalPath = Field(description="A split file to use as it is; empty to draw one by person.")
    shares: list[Share] = Field(
        description="Of a data set's persons for validation (at most 50) and testing (at most 100).",
        min_length=2,
        max_length=2,
    )
    architecture: Architecture = Field(description="Which network.")
    unet: Unet = Field(description="Size of the network; it has to fit initial_checkpoint.")
    fine_tune: FineTune = Field(description="Where the first weights come from.")
    batch: Batch = Field(description="What a training step sees.")
    n_steps: int = Field(description="Batches of training, at most.", ge=1, le=MOST_STEPS)
    steps_per_training_epoch: int = Field(description="Batches between two validations.", ge=1, le=MOST_STEPS)
    patience: int = Field(
        description="Stop after so many validations without a better MF1; 0 for never.", ge=0, le=1_000_000
    )
    learning_rate: float = Field(description="Highest learning rate of Adam; 1.0e-5 in the paper.", gt=0, le=10)
    schedule: Schedule = Field(description="Course of the learning rate.")
    loss: Loss = Field(description="What a step lowers, and how far it may go.")
    compute: Compute = Field(description="How a step is computed; this may change the last digits of the weights.")
    device: Device
    seed: Seed = Field(description="Seed of split, first weights and draws.")

    def model_post_init(self, _context: object) -> None:
        """ParameterError where a batch cannot be shared, or the least learning rate is above the highest."""
        if self.batch.n_windows % self.compute.n_devices:
            raise ParameterError(
                f"batch.n_windows is {self.batch.n_windows}, which {self.compute.n_devices} devices "
                "(compute.n_devices) cannot share equally; choose a multiple"
            )
        decays = self.schedule.n_cycles if self.schedule.shape == "warmup_cosine" else 0
        if (not decays and self.schedule.min_rate) or (decays < 2 and self.schedule.cycle_growth > 1):
            raise ParameterError(
                "schedule: min_rate is where the decays of warmup_cosine end, and cycle_growth needs n_cycles above 1; "
                "there is nothing they would change here"
            )
        if self.schedule.min_rate > self.learning_rate:
            raise ParameterError(
                f"schedule.min_rate is {self.schedule.min_rate:g}, above learning_rate, which is {self.learning_rate:g}"
            )

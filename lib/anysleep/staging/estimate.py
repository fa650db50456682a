"""What staging a night will take, told before it starts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anysleep.models import SleepNetwork
from anysleep.settings import Precision
from anysleep.staging.devices import GIB, free_bytes
from anysleep.staging.engines import build_engine
from anysleep.staging.stage import Montage, channels_to_keep, stage_montages

TRIED_EPOCHS = 32


@dataclass(frozen=True)
class Estimate:
    """Of one night."""

    seconds: float
    needed_bytes: int
    """Without the signals and what else the process holds."""
    free_bytes: int

    def __str__(self) -> str:
        needed, free = self.needed_bytes / GIB, self.free_bytes / GIB
        return f"about {self.seconds:.1f} s, at most {needed:.1f} GiB of the {free:.1f} GiB that are free"


def estimate_staging(
    model: SleepNetwork,
    n_epochs: int,
    montages: Sequence[Montage],
    *,
    resolutions: Sequence[int] = (1,),
    precision: Precision = "32",
) -> Estimate:
    """Memory by counting, time by staging a quarter of an hour of noise; a night that is shorter is staged itself.

    Arguments are those of `stage_montages`, and so are the errors.
    """
    if not any(montages):
        raise ValueError("there is no montage to stage")
    tried = min(n_epochs, TRIED_EPOCHS)
    n_channels = 1 + max(channel for montage in montages for channel in montage)
    noise = np.random.default_rng(0).standard_normal((n_channels, tried * model.samples_per_epoch), dtype=np.float32)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        stage_montages(model, noise, montages=montages, resolutions=resolutions, precision=precision)
        seconds.append(time.perf_counter() - began)
    engine = build_engine(model, precision)
    needed = engine.needed_bytes(n_epochs * model.samples_per_epoch, len(channels_to_keep(montages)))
    logits = n_epochs * sum(resolutions) * 5 * 4 * len(montages)
    return Estimate(min(seconds) * n_epochs / tried, needed + logits, free_bytes(engine.device))

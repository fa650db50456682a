"""What the workbook computes, from a simulated night to a training, for a test and for other processors.

`python tests/helpers/numbers_of_a_night.py <npz>` keeps the numbers of this one.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from anysleep.data import preprocess
from anysleep.models import bundled
from anysleep.staging.stage import stage_recording
from anysleep.synthetic import draw_persons, simulate_night

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.toy_training import toy_training, write_archive

OLDER = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
}
"""Environment in which torch, NumPy and SciPy compute as on a processor of 2008."""


def numbers() -> dict[str, np.ndarray]:
    """Simulated (uV) and preprocessed signals, hypnodensities at 1 and 128 an epoch, and the losses of a training."""
    night = simulate_night(draw_persons(1, seed=0)[0], hours=0.25, rate_hz=200)
    simulated = night.signals_uv[:3]
    signals = np.stack(preprocess(list(simulated), 200, 128))
    staged = stage_recording(bundled("anysleep-synthetic"), signals, resolutions=(1, 128))
    with TemporaryDirectory() as folder:
        training = toy_training(write_archive(Path(folder)), n_steps=4, steps_per_training_epoch=2)
        losses = np.array([row["train_loss"] for row in training.run().history])
    densities = {f"hypnodensity_{r}": staged.hypnodensity(r) for r in (1, 128)}
    return {"simulated": simulated, "signals": signals, **densities, "losses": losses}


if __name__ == "__main__":
    np.savez(sys.argv[1], **numbers())

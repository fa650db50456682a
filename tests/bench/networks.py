"""Does a network trained on thousands of real nights read synthetic ones? Part of `make effects`; a minute a night.

    python tests/bench/networks.py [variety]


The judge is GSSC (Hanna and Floeel 2023, Greifswald Sleep Stage Classifier), whose wheel holds its weights. The wheel
is downloaded once, checked, and put on the path of this process alone: it is no dependency of the project, and it has
had no part in making the simulator. Writes outputs/effects/networks.csv and exits with 1 if a target is missed.
"""

import contextlib
import hashlib
import importlib.resources
import io
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import torch
from effects import OUTPUT
from sklearn.metrics import cohen_kappa_score, f1_score

from anysleep.stages import N_STAGES, STAGES
from anysleep.synthetic import SyntheticNight, draw_persons, simulate_night

WHEEL = "gssc-0.0.9-py3-none-any.whl"
SHA256 = "e2ae56bf1ee581c5c0fe5b1481f7a424ff35a0029864749e1ffec79c0aca9976"
SITES = ("C4", "C3", "Cz", "Fz", "F4", "F3", "P4", "Pz")
"""Where the EEG is taken from: the first that is there."""
N_NIGHTS, HOURS, SEED = 4, 8.0, 0
N_VARIED = 10
LOWEST_KAPPA, LOWEST_F1_REM = 0.80, 0.80
"""Medians over the nights."""


def main() -> int:
    """Judge the nights; 0 if every target is met, or where the wheel cannot be had."""
    warnings.filterwarnings("ignore")
    mne.set_log_level("ERROR")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    wheel = fetch_wheel(OUTPUT)
    if wheel is None:
        print("GSSC is not judged: its wheel cannot be downloaded here.")
        return 0
    gssc = load_gssc(wheel)
    variety = float(sys.argv[1]) if sys.argv[1:] else 0.0
    persons = draw_persons(N_VARIED if variety else N_NIGHTS, SEED)
    nights = (simulate_night(person, hours=HOURS, seed=SEED, variety=variety) for person in persons)
    table = pd.DataFrame([judge(gssc, night) for night in nights])
    table.round(4).to_csv(OUTPUT / (f"networks_{variety:g}.csv" if variety else "networks.csv"), index=False)
    print("GSSC against the synthetic hypnograms\n" + table.round(3).to_string(index=False))
    print("\nmedians\n" + table.median(numeric_only=True).round(3).to_string())
    medians = {} if variety else {"kappa": LOWEST_KAPPA, "f1_rem": LOWEST_F1_REM}
    missed = [
        f"{name} {table[name].median():.3f} < {low}" for name, low in medians.items() if table[name].median() < low
    ]
    print("\nEvery target is met." if not missed else "\nMissed:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


def fetch_wheel(folder: Path) -> Path | None:
    """Path of the wheel; None where no index can be reached. ValueError if it is not the file that it should be."""
    wheel = folder / WHEEL
    if not wheel.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(folder),
            "gssc==0.0.9",
        ]
        if subprocess.run(command, capture_output=True).returncode:
            return None
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{wheel} has the SHA-256 {found}, not {SHA256}; delete it, and ask why before you trust it")
    return wheel


def load_gssc(wheel: Path):
    """GSSC's own inference, with the two networks of the wheel."""
    sys.path.insert(0, str(wheel))
    sys.modules.setdefault("importlib_resources", importlib.resources)  # GSSC asks for the backport
    from gssc.infer import EEGInfer

    with zipfile.ZipFile(wheel) as files:
        networks = [
            torch.load(
                io.BytesIO(files.read(f"gssc/nets/{name}_net_v1.pt")), "cpu", weights_only=False
            )  # checked above
            for name in ("sig", "gru")
        ]
    return EEGInfer(*networks, use_cuda=False)


def judge(gssc, night: SyntheticNight) -> dict[str, str | float]:
    """Kappa, and F1 of each stage."""
    eeg = next(name for site in SITES for name in night.channels if name.startswith(site))
    eog = next(name for name in night.channels if name.startswith(("E1", "E2")))
    signals_uv = np.nan_to_num(night.signals_uv[[night.channels.index(name) for name in (eeg, eog)]])
    raw = mne.io.RawArray(signals_uv * 1e-6, mne.create_info([eeg, eog], night.rate_hz, ["eeg", "eog"]))
    with contextlib.redirect_stdout(io.StringIO()):
        staged, _ = gssc.mne_infer(raw, eeg_drop=False, eog_drop=False)
    staged = np.asarray(staged)
    truth = night.hypnogram[: len(staged)]  # GSSC leaves out the last epoch
    f1 = f1_score(truth, staged, average=None, labels=range(N_STAGES), zero_division=0)
    scores = {f"f1_{name.lower()}": value for name, value in zip(STAGES, f1, strict=True)}
    about = {"recording": night.recording, "eeg": eeg, "eog": eog, "sleep": night.circumstances.sleep}
    return {**about, "kappa": cohen_kappa_score(truth, staged), **scores}


if __name__ == "__main__":
    sys.exit(main())

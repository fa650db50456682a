"""Public recordings, fetched only when somebody asks for them."""

from collections.abc import Sequence
from pathlib import Path


def fetch_sleep_edf(folder: str | Path, persons: Sequence[int], nights: Sequence[int] = (1, 2)) -> list[Path]:
    """Download nights of Sleep-EDF Expanded (PhysioNet, doi 10.13026/C2X676) with mne, which checks every file's hash.

    What is in the folder already is not fetched again. Prepare it with `params/datasets/sedf-sc.yaml`.

    Parameters
    ----------
    folder
        Made if missing; about 50 MB a night.
    persons
        Numbers of mne's list, 0 to 82; some persons are missing.
    nights
        1, 2 or both; a missing night is said in a warning.

    Returns
    -------
    The recordings. mne's errors pass: ValueError for a person that does not exist, an OSError without a network.
    """
    from mne.datasets.sleep_physionet import age  # slow to import, and seldom needed

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = age.fetch_data(subjects=list(persons), recording=list(nights), path=str(folder), on_missing="warn")
    return [Path(recording) for recording, _ in pairs]

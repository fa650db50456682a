"""An archive to draw windows from, and their loader."""

import numpy as np
import pandas as pd

from anysleep.datasets.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.datasets.sampling import WindowBatches

SAMPLES = 30
"""A toy rate of 1 Hz: 30 samples an epoch."""
LISTS = {"alone": (["C4"], ["E1"]), "big": (["F3", "C3", "O1"], ["E1", "E2"]), "mid": (["Fz", "Cz"], ["E1"])}
NIGHTS = [  # data set, hypnogram (an epoch a digit), channels
    ("alone", "0000112222444400", ("C4", "E1")),
    ("big", "00112233449900112233", ("F3", "C3", "O1", "E1", "E2")),
    ("big", "0122222222222234", ("F3", "C3", "O1", "E1", "E2")),
    ("big", "40000000031122224433", ("F3", "E2")),
    ("big", "012340123401234", ("F3", "C3", "O1", "E1", "E2")),
    ("big", "0000000011112222", ("F3", "C3", "O1", "E1")),
    ("big", "3333222211110000444", ("F3", "C3", "O1", "E1", "E2")),
    ("mid", "0112233334", ("Fz", "Cz", "E1")),
    ("mid", "00001111222233334444", ("Fz", "Cz", "E1")),
    ("mid", "000222299912", ("Fz", "Cz", "E1")),
]


def write_archive(folder, nights, lists):
    """Sample t of channel c (of its data set's list) of night i has the value 10,000 i + 1,000 c + t."""
    files = {dataset: [] for dataset in lists}
    for i, (dataset, digits, channels) in enumerate(nights):
        hypnogram = np.array(list(digits), dtype=np.int8)
        path = folder / f"{i}.h5"
        with NightWriter(path, f"n{i}", len(hypnogram), 1) as night:
            for name in channels:
                number = [*lists[dataset][0], *lists[dataset][1]].index(name)
                night.add_channel(name, np.arange(len(hypnogram) * SAMPLES) + 10_000.0 * i + 1_000 * number)
            night.add_hypnogram(hypnogram)
            night.describe(pd.DataFrame(), {})
        files[dataset].append((path, f"n{i}"))
    datasets = [DatasetFiles(name, *lists[name], found) for name, found in files.items()]
    return assemble_archive(folder / "toy.h5", datasets, 1)


def make_batches(archive, nights=None, **changes):
    if nights is None:
        with Archive(archive) as opened:
            nights = opened.recordings()
    settings = {"window_epochs": 4, "batch_size": 6, "eeg_eog_pairs": False, "seed": 1}
    return WindowBatches(archive, nights, **(settings | changes))


KEYS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]

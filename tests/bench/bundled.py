"""How far is the bundled network right? On synthetic nights it has not seen, on a real nap, and on real labelled EEG.

    python tests/bench/bundled.py [checkpoint] [--labelled]

--labelled scores 1.4 h of a real EEG channel with stages, which lie beside the project (../shared/real/dynamo, BSD-3).
Nothing may be tuned on these: docs/bundled_network.md says each time that somebody looked.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.analysis import stage_metrics
from anysleep.datasets.archive import Archive
from anysleep.datasets.splits import read_split
from anysleep.inference import stage_recording
from anysleep.models import SleepNetwork, bundled, load_checkpoint
from anysleep.recordings.downloads import fetch_real_nap
from anysleep.recordings.preprocessing import preprocess
from anysleep.recordings.readers import read_recording
from anysleep.stages import EPOCH_S, N1, N2, N3, REM, STAGES, UNSCORED, WAKE

ROOT = Path(__file__).parents[2]
DYNAMO = ROOT.parent / "shared/real/dynamo"
DYNAMO_STAGES = {5: WAKE, 4: REM, 3: N1, 2: N2, 1: N3}


def score_labelled(model: SleepNetwork) -> pd.Series:
    """One real EEG channel at 100 Hz."""
    samples = np.loadtxt(DYNAMO / "segment_data.csv", dtype=np.float32)
    changes = pd.read_csv(DYNAMO / "segment_stages.csv")
    signals = preprocess(samples[None], [100.0], model.sampling_rate_hz)
    hypnogram = stage_recording(model, signals).hypnogram(1)
    middles_s = (np.arange(len(hypnogram)) + 0.5) * EPOCH_S
    codes = changes.Stage.map(DYNAMO_STAGES).fillna(UNSCORED).astype(int).to_numpy()
    truth = codes[np.searchsorted(changes.Time, middles_s, side="right") - 1]
    return stage_metrics(truth, hypnogram)


def stage_nap(model: SleepNetwork) -> str:
    """The stages of the real nap as they follow each other, with their epochs."""
    nap = read_recording(fetch_real_nap(ROOT / "outputs/bundled"))
    eeg_eog = [name for name in nap.channels if not name.startswith("EMG")]
    nap = nap.pick(eeg_eog)
    hypnogram = stage_recording(model, preprocess(nap.signals, nap.rates_hz, model.sampling_rate_hz)).hypnogram(1)
    ends = np.flatnonzero(np.append(np.diff(hypnogram) != 0, True))
    lengths = np.diff(np.append(-1, ends))
    return " ".join(f"{STAGES[hypnogram[end]]}:{length}" for end, length in zip(ends, lengths, strict=True))


def score_synthetic(model: SleepNetwork) -> pd.Series:
    """The persons of params/bundled that were kept for testing, all channels at once."""
    split = read_split(ROOT / "outputs/bundled/03_train/split.yaml")
    truth, predicted = [], []
    with Archive(ROOT / "outputs/bundled/01_prepare/archive.h5") as archive:
        for dataset, recordings in split["test"].items():
            for recording in recordings:
                names = [name for kind in archive.channels_of(dataset, recording) for name in kind]
                truth.append(archive.hypnogram(dataset, recording))
                predicted.append(stage_recording(model, archive.signals(dataset, recording, names)).hypnogram(1))
    return stage_metrics(np.concatenate(truth), np.concatenate(predicted))


def main() -> None:
    """Print what `sys.argv` asks for."""
    files = [word for word in sys.argv[1:] if not word.startswith("--")]
    model = load_checkpoint(files[0]) if files else bundled()
    print("real nap:", stage_nap(model))
    print("synthetic persons kept for testing:", score_synthetic(model).round(3).to_dict())
    if "--labelled" in sys.argv:
        print("real labelled EEG:", score_labelled(model).round(3).to_dict())


if __name__ == "__main__":
    main()

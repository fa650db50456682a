"""The JSON file of a `yasa.Hypnogram`."""

from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.exports.scored_night import ScoredNight, decimal
from anysleep.stages import UNSCORED

LABELS = {**dict(enumerate(("WAKE", "N1", "N2", "N3", "REM"))), UNSCORED: "UNS"}


def write_yasa_json(temporary: Path, night: ScoredNight) -> None:
    """Write stages, seconds, start, scorer and probabilities, for `yasa.Hypnogram.from_json`."""
    import yasa  # slow to import

    proba = None
    if night.hypnodensity is not None:
        rows = night.hypnodensity / np.sum(night.hypnodensity, axis=1, keepdims=True)  # yasa wants sums of one
        proba = pd.DataFrame(rows, columns=list(LABELS.values())[:-1])
    hypnogram = yasa.Hypnogram(
        [LABELS[code] for code in night.stages],
        freq=f"{decimal(night.seconds_per_prediction)}s",
        start=night.start_time,
        scorer=night.scorer or None,
        proba=proba,
    )
    hypnogram.to_json(temporary)

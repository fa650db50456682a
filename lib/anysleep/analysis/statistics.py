"""Sleep statistics of a night, from yasa, and how sure the network was."""

import numpy as np
import pandas as pd
import yasa

from anysleep.stages import EPOCH_S, STAGES, UNSCORED

YASA_NAMES = {code: name.upper() for code, name in enumerate(STAGES)} | {UNSCORED: "UNS"}


def sleep_statistics(hypnogram: np.ndarray) -> pd.Series:
    """Time in bed, sleep onset, efficiency, minutes and percent of each stage ..., named and defined as in yasa.

    `hypnogram` is int (E,) with one stage in 30 s. Times are in minutes, shares in percent.
    """
    names = [YASA_NAMES[code] for code in np.asarray(hypnogram).tolist()]
    return pd.Series(yasa.Hypnogram(names, n_stages=5, freq=f"{EPOCH_S}s").sleep_statistics())


def uncertainty(hypnodensity: np.ndarray) -> pd.Series:
    """Mean probability of the chosen stage, and mean entropy in bits, of probabilities (P, 5)."""
    entropy_bits = -(hypnodensity * np.log2(np.clip(hypnodensity, 1e-12, None))).sum(axis=1)
    return pd.Series({"mean_confidence": hypnodensity.max(axis=1).mean(), "mean_entropy_bits": entropy_bits.mean()})

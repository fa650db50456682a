"""The published results as a table."""

import pandas as pd

from anysleep.published import read_table


def read_results() -> pd.DataFrame:
    """The published results, a row a number; `sd` is the one published with it (NaN where none is).

    Columns result, dataset (several joined by +), network, predictions_per_epoch, n_eeg, n_eog (missing where they do
    not matter), stage, measure, value, sd, runs (of each training run, by blanks) and held_out (yes or no, of data
    sets). Texts that do not matter are empty. Over training runs alone in `mf1_per_dataset`, `sd` is over runs and
    repetitions with other forests for age, sex and OSA.
    """
    table = pd.DataFrame(read_table("results"))
    counts, numbers = ["predictions_per_epoch", "n_eeg", "n_eog"], ["value", "sd"]
    table[[*counts, *numbers]] = table[[*counts, *numbers]].apply(pd.to_numeric)
    return table.astype(dict.fromkeys(counts, "Int64"))

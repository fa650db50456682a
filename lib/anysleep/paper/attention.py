"""Attention by site: the same places of the head, whatever the data sets call their channels."""

import pandas as pd

from anysleep.recordings.channels import is_left_eye, site_of

FIXED_SITES = ("EOG", "F3", "C3", "O1")
"""The sites of the published figure: the left EOG, here EOG, and EEG channels of the left side."""


def with_sites(attention: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column site ('C3' of C3-M2, EOG of the left eye, or the label itself) and is_fixed.

    `is_fixed` says whether the row's montage is of the four published sites. Weights are shares within a montage, so
    those of other montages cannot be averaged with them.
    """
    labels = {label for montage in attention.montage.unique() for label in montage.split("&")}
    sites = {label: "EOG" if is_left_eye(label) else site_of(label) or label for label in labels}
    fixed = {
        montage: sorted(sites[label] for label in montage.split("&")) == sorted(FIXED_SITES)
        for montage in attention.montage.unique()
    }
    return attention.assign(site=attention.channel.map(sites), is_fixed=attention.montage.map(fixed).astype(bool))

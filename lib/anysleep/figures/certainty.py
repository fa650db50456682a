"""How far the probabilities of a network can be trusted, and what it is worth to know."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from anysleep.figures.calibration import plot_reliability, plot_review


def plot_certainty(reliability: pd.DataFrame, review: pd.DataFrame) -> Figure:
    """Accuracy against confidence, and scores against the share of epochs reviewed, as from `calibrate`."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
    plot_reliability(dict(list(reliability.groupby("probabilities"))), left)
    plot_review(review, right)
    return figure

"""Figures: each takes arrays or tables, and mostly axes, computes nothing, and returns the axes or the figure.

Importing this turns matplotlib's reading of formulas off: names of channels and nights come from files, and a dollar in
them is a dollar.
"""

import matplotlib.pyplot as plt

from anysleep.figures.archives import (
    plot_ages,
    plot_durations,
    plot_each_dataset,
    plot_missing_channels,
    plot_stage_shares,
)
from anysleep.figures.channels import (
    plot_attention,
    plot_channel_draws,
    plot_channel_importance,
    plot_channel_study,
    plot_pair_matrix,
)
from anysleep.figures.explain import plot_arousal_idea, plot_hypnodensity_idea, plot_triplet_idea
from anysleep.figures.looks import in_words, new_axes
from anysleep.figures.night import (
    around_first_n2,
    night_spectrogram,
    plot_night,
    plot_overview,
    plot_resolutions,
    plot_scorer_lanes,
    plot_signals,
    plot_staging,
)
from anysleep.figures.scores import plot_certainty, plot_confusions, plot_history, plot_reliability, plot_review
from anysleep.figures.traits import plot_statistic_changes

plt.rcParams["text.parse_math"] = False

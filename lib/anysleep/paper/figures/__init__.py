"""The figures of the paper: each takes tables of finished runs, and draws published values beside ours.

Call `use_style` first. A missing table gives a figure that says which run would write it.
"""

from anysleep.paper.figures.arousal_excerpt import plot_arousal_excerpt
from anysleep.paper.figures.arousal_scores import plot_arousal_scores
from anysleep.paper.figures.attention_depth import plot_attention_depth
from anysleep.paper.figures.channel_numbers import plot_channel_numbers
from anysleep.paper.figures.channel_pairs import plot_channel_pairs
from anysleep.paper.figures.cost import plot_cost
from anysleep.paper.figures.mf1_by_dataset import format_mf1_table, plot_mf1_by_dataset
from anysleep.paper.figures.statistics import plot_statistics
from anysleep.paper.figures.style import use_style
from anysleep.paper.figures.traits import plot_traits

__all__ = [
    "format_mf1_table",
    "plot_arousal_excerpt",
    "plot_arousal_scores",
    "plot_attention_depth",
    "plot_channel_numbers",
    "plot_channel_pairs",
    "plot_cost",
    "plot_mf1_by_dataset",
    "plot_statistics",
    "plot_traits",
    "use_style",
]

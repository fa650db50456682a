"""The figures of the paper: each takes tables of finished runs, and draws published values beside ours.

Call `use_style` first. A missing table gives a figure that says which run would write it.
"""

from anysleep.paper.figures.arousals import plot_arousal_excerpt, plot_arousal_scores
from anysleep.paper.figures.channels import plot_attention_depth, plot_channel_numbers, plot_channel_pairs
from anysleep.paper.figures.ledger import kinds_of_numbers, plot_ledger_idea, plot_numbers
from anysleep.paper.figures.networks import format_mf1_table, plot_cost, plot_mf1_by_dataset
from anysleep.paper.figures.style import use_style
from anysleep.paper.figures.traits import plot_statistics, plot_traits

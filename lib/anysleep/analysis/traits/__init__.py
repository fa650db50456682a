"""Traits from transitions: triplets are counted (`transitions`), who slept is known (`participants`), forests tell a
trait from the counts (`forests`), again and again, and that becomes scores (`study`).
"""

from anysleep.analysis.traits.transitions import TRIPLETS, count_triplets

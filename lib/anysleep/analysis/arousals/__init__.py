"""Arousals: found in predictions (`events`), scored over a cohort (`tables`), one stretch close up (`excerpt`)."""

from anysleep.analysis.arousals.events import detect_arousals, match_arousals, score_arousals

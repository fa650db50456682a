"""From staged nights to scores, their intervals, and how far probabilities can be trusted."""

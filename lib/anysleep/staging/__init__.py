"""Staging nights with a trained network: every resolution and every montage from one pass."""

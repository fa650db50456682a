"""Hypnograms from the label formats of the field, one small file a format."""

from anysleep.data.labels.annotations import hypnogram_from_annotations

__all__ = ["hypnogram_from_annotations"]

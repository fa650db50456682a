"""Annotations for a recording that MNE-Python has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anysleep.exports.scored_night import ScoredNight

if TYPE_CHECKING:  # slow to import
    import mne


def to_mne_annotations(night: ScoredNight, raw: mne.io.BaseRaw) -> mne.Annotations:
    """Stages, arousals and lights for `raw.set_annotations`, on the time base of that recording."""
    import mne

    events = night.events()
    onsets_s = events.onset_s + (raw.first_time if raw.info["meas_date"] else 0.0)
    return mne.Annotations(onsets_s, events.duration_s, events.text, orig_time=raw.info["meas_date"])

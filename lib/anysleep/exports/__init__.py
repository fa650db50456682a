"""Scored nights as files that other programs read; `FORMATS` has them all."""

from anysleep.exports.annotations import to_mne_annotations
from anysleep.exports.corrections import Review, corrected_night, read_corrections
from anysleep.exports.formats import FORMATS, Format, export_night
from anysleep.exports.scored_night import ScoredNight, without_date
from anysleep.exports.tables import hypnogram_table

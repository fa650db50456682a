"""Scored nights as files that other programs read; `FORMATS` has them all."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from anysleep.exports.corrections import Review, corrected_night, read_corrections
from anysleep.exports.scored_night import ScoredNight, without_date
from anysleep.exports.writers import (
    hypnogram_table,
    to_mne_annotations,
    write_annot,
    write_bids_events,
    write_bids_sidecar,
    write_csv,
    write_eannot,
    write_edf_annotations,
    write_edfbrowser_text,
    write_edfbrowser_xml,
    write_nsrr,
    write_parquet,
    write_polyman,
    write_yasa_json,
)
from anysleep.settings import ExportFormat
from anysleep.system.files import atomic_write
from anysleep.system.words import did_you_mean


class Format(NamedTuple):
    """How a format is written, and read again."""

    title: str
    writers: dict[str, Callable[[Path, ScoredNight], None]]
    """What the file's name ends with -> what writes it; the first has the stages."""
    labels: dict[str, object]
    """What a recipe says to read it as labels, beside the name of the file."""
    has_events: bool = True
    """Whether arousals and lights go along."""
    at_30_s_only: bool = False


_LUNA_CODES = {"W": "Wake", "N1": "N1", "N2": "N2", "N3": "N3", "R": "REM", "?": "unscored"}

FORMATS: dict[ExportFormat, Format] = {
    "csv": Format("CSV with clock times", {".csv": write_csv}, {"reader": "table"}, has_events=False),
    "edf": Format("EDF+ annotations", {".edf": write_edf_annotations}, {"reader": "edf"}),
    "bids": Format(
        "BIDS events", {"_events.tsv": write_bids_events, "_events.json": write_bids_sidecar}, {"reader": "bids"}
    ),
    "yasa": Format("yasa `Hypnogram`", {"_yasa.json": write_yasa_json}, {"reader": "yasa"}, has_events=False),
    "edfbrowser_xml": Format("EDFbrowser, XML", {"_edfbrowser.xml": write_edfbrowser_xml}, {"reader": "edfbrowser"}),
    "edfbrowser_text": Format("EDFbrowser, text", {"_edfbrowser.txt": write_edfbrowser_text}, {"reader": "table"}),
    "luna_annot": Format("Luna, intervals", {".annot": write_annot}, {"reader": "table", "codes": _LUNA_CODES}),
    "luna_eannot": Format(
        "Luna, epochs", {".eannot": write_eannot}, {"reader": "table"}, has_events=False, at_30_s_only=True
    ),
    "polyman": Format("Polyman, text", {"_polyman.txt": write_polyman}, {"reader": "table"}),
    "nsrr": Format("NSRR XML", {"-nsrr.xml": write_nsrr}, {"reader": "nsrr"}),
    "parquet": Format("Parquet, all digits", {".parquet": write_parquet}, {"reader": "table"}, has_events=False),
}


def export_night(folder: Path, night: ScoredNight, name: str, formats: Sequence[ExportFormat]) -> list[Path]:
    """Write the night in these formats as `<folder>/<name><suffix>`, each file whole or not at all; returns the files.

    A format that is `at_30_s_only` is left out of a night with more predictions. ValueError names what is no format.
    """
    unknown = [one for one in formats if one not in FORMATS]
    if unknown:
        raise ValueError(f"no export format {unknown[0]!r}; {did_you_mean(unknown[0], FORMATS)}")
    wanted = [FORMATS[one] for one in dict.fromkeys(formats)]
    writers = {
        folder / f"{name}{suffix}": write
        for one in wanted
        if night.predictions_per_epoch == 1 or not one.at_30_s_only
        for suffix, write in one.writers.items()
    }
    for path, write in writers.items():
        with atomic_write(path) as temporary:
            write(temporary, night)
    return list(writers)

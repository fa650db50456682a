"""Recordings from the file formats of the field, one small file a format.

A reader takes a path and returns a `Recording` without a hypnogram; labels inside the file are its annotations. A new
format is one such function and a line in `READERS`. All but our own for EDF run in a process beside, see `guarded`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from operator import getitem
from pathlib import Path
from typing import Literal

import numpy as np

from anysleep.recordings.channels import channel_type
from anysleep.recordings.labels import LengthRule, StartRule, read_scoring, with_scoring
from anysleep.recordings.labels.edf import read_edf_scoring, sleep_edf_scoring_beside
from anysleep.recordings.labels.scoring import without_unread
from anysleep.recordings.readers.edf import read_edf
from anysleep.recordings.readers.guarded import GUARD
from anysleep.recordings.readers.hdf5 import read_hdf5
from anysleep.recordings.readers.mne_formats import read_brainvision, read_eeglab, read_fif
from anysleep.recordings.readers.parts import join_parts
from anysleep.recordings.readers.physionet import read_wfdb
from anysleep.recordings.reasons import BadRecording, note, reason_of, without_names
from anysleep.recordings.recording import FASTEST_HZ, LONGEST_S, Recording, Signals
from anysleep.recordings.tables import read_table
from anysleep.system.files import explaining_damage

READERS: dict[str, Callable[[Path], Recording]] = {
    ".edf": read_edf,
    ".rec": read_edf,
    ".bdf": read_edf,
    ".vhdr": read_brainvision,
    ".fif": read_fif,
    ".fif.gz": read_fif,
    ".set": read_eeglab,
    ".hea": read_wfdb,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}
"""Reader of each file suffix; `.rec` is EDF under another name (ISRUC, UCDDB)."""


Files = str | Path | Sequence[str | Path]
"""The file of a night, or several that are its parts."""


def read_signals(path: Files) -> Recording:
    """The recording as its file has it, without a hypnogram. OSError or BadRecording names the file.

    Several files are parts of one night, see `join_parts`.
    """
    if not isinstance(path, str | Path):
        return _plausible(join_parts({Path(one): read_signals(one) for one in path}))
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: {'a folder; name one file of it' if path.is_dir() else 'no such file'}")
    suffix = next((suffix for suffix in READERS if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise BadRecording(
            "format", f"{path}: no reader for {path.suffix!r}; there are readers for {', '.join(READERS)}"
        )
    with _naming(path):
        night = _with_bids_types(_plausible(_call(suffix, READERS[suffix], path, file=path)), path)
    # One channel each: what is sent to the process beside is then this one alone.
    loaders = [partial(_samples, path, suffix, night.signals[i : i + 1]) for i in range(len(night.channels))]
    return replace(night, signals=Signals(loaders), files=night.files or (path,))


def read_recording(
    path: Files,
    *,
    channels: Sequence[str] | None = None,
    hypnogram_path: str | Path | None = None,
    labels: Literal["strict", "lenient"] = "strict",
    length: LengthRule = "equal",
    start: StartRule = "by_clock",
) -> Recording:
    """Read one night: every channel at its own rate, voltages in uV, annotations and hypnogram on one time base.

    `path` is a file of any format in `READERS`, or the parts of a night, see `join_parts`. Samples are read when
    `signals` is asked for them.

    Parameters
    ----------
    channels
        Only these, in this order; by default all.
    hypnogram_path
        The file with the stages, where it is not `path` itself, of a format that its name or content tells, see
        `read_scoring`; others need a recipe. That of `a-PSG.edf` is found where it is called `a-Hypnogram.edf`, or as
        in Sleep-EDF (`SC4001E0-PSG.edf`, `SC4001EC-Hypnogram.edf`).
    labels
        `strict`: stages that cannot be read or aligned stop the reading, and so does an event of their file that cannot
        be read. `lenient`: both are left out with a warning, for staging, which needs neither.
    length, start
        What happens where labels and signals differ in length, and where the labels of a file of their own begin.

    Raises
    ------
    OSError, ValueError
        The file cannot be opened; it is not of a known format, damaged, or contradicts itself. The message names it.
    """
    night = read_signals(path)
    path = night.files[0]
    try:
        night = night if channels is None else night.pick(channels)
        scoring_path = None if hypnogram_path is None else Path(hypnogram_path)
        try:
            scoring = read_scoring(scoring_path) if scoring_path else None
            if scoring is None and (scoring_path := _scoring_beside(night)):
                scoring = read_edf_scoring(scoring_path)
            if labels == "lenient":
                night, scoring = without_unread(night, scoring)
            elif scoring and hypnogram_path:  # an event of the recording that cannot be read is none of its stages
                night, _ = without_unread(night, replace(scoring, unread=()))
            return with_scoring(night, scoring, length=length, start=start)
        except ValueError as error:
            if labels == "strict":
                raise
            why = without_names(error, path, scoring_path)
            note(f"the labels cannot be used, so the recording counts as unscored: {why}")
            return replace(night, hypnogram=None)
    except ValueError as error:
        raise BadRecording(reason_of(error), f"{path}: {error}") from error


def _scoring_beside(night: Recording) -> Path | None:
    """That of the recording. ValueError where a later part of the night has one of its own."""
    first, *others = night.files
    if scored := [file.name for file in others if sleep_edf_scoring_beside(file)]:
        raise ValueError(f"{', '.join(scored)} has labels of its own; give one file of labels for the whole night")
    return sleep_edf_scoring_beside(first)


def _plausible(night: Recording) -> Recording:
    """The night as it is. BadRecording where it is longer, or sampled faster, than any: it would not fit in memory."""
    if not 0 < max(night.rates_hz, default=1) <= FASTEST_HZ:
        raise BadRecording("time_base", f"{max(night.rates_hz):g} Hz; expected above 0, at most {FASTEST_HZ:g} Hz")
    # Not `>`, so that NaN is refused as well.
    if not night.duration_s <= LONGEST_S:
        raise BadRecording("too_long", f"it lasts {night.duration_s / 3600:.0f} h; at most {LONGEST_S / 3600:.0f} h")
    return night


def _samples(path: Path, suffix: str, one: Signals) -> np.ndarray:
    with _naming(path):
        return _call(suffix, getitem, one, 0, file=path)


def _call(suffix: str, function: Callable, *args: object, file: Path) -> object:
    """`function(*args)`, here for our own reader, in a process of its own for those of other libraries."""
    return function(*args) if READERS[suffix] is read_edf else GUARD.call(function, *args, file=file)


def _naming(path: Path) -> AbstractContextManager:
    """Every error but the system's own becomes a BadRecording that names the file."""
    return explaining_damage(lambda error: BadRecording(reason_of(error), f"{path}: {error}"))


def channels_table(path: Path) -> Path | None:
    """What BIDS says of its channels: `sub-01_channels.tsv` beside `sub-01_eeg.edf`; None where there is none."""
    table = path.with_name(path.stem.removesuffix("_eeg") + "_channels.tsv")
    return table if path.stem.endswith("_eeg") and table.is_file() else None


def _with_bids_types(night: Recording, path: Path) -> Recording:
    """The night with the types of the table beside it; as it is where there is none.

    Only the table of the recording itself is read, none of the folders above. BadRecording where it is not as BIDS
    says, or names no channel of the recording.
    """
    table_path = channels_table(path)
    if table_path is None:
        return night
    try:
        table = read_table(table_path)
    except ValueError as error:
        raise BadRecording("channels", f"channels.tsv: {str(error).removeprefix(table_path.name)}") from error
    if not {"name", "type"} <= set(table):
        raise BadRecording("channels", f"channels.tsv needs columns name and type; it has {', '.join(table)}")
    said = dict(zip(table.name, table.type.fillna(""), strict=True))
    if not set(said) & set(night.channels):
        raise BadRecording("channels", "channels.tsv names no channel of the recording; does it belong to another one?")
    types = tuple(channel_type(said[name]) if name in said else "" for name in night.channels)
    return replace(night, types=types, files=(*(night.files or (path,)), table_path))

"""From a folder of recordings to an archive: nights in parallel, one row a night that says what happened."""

import re
import shutil
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.data.archive import PERSON_ATTRIBUTES, ArchivedNight, assemble_archive, write_night
from anysleep.data.channels import stored_name
from anysleep.data.preprocessing import preprocess
from anysleep.data.readers import read_recording
from anysleep.data.recording import Recording
from anysleep.files import sha256_of
from anysleep.stages import EPOCH_S, UNSCORED


@dataclass(frozen=True)
class Preparation:
    """How the nights of one data set are read; names as in the files."""

    dataset: str
    eeg_channels: Sequence[str]
    eog_channels: Sequence[str]
    subject_pattern: str
    """Regular expression on a file's stem; its first group is the person."""
    sampling_rate_hz: int
    participants: pd.DataFrame | None = None
    """Columns subject and any of age, sex, group."""


def prepare_archive(files: Sequence[Path], preparation: Preparation, path: Path, *, n_jobs: int = 1) -> pd.DataFrame:
    """Preprocess every file and assemble the archive at `path`.

    Returns
    -------
    One row a file: recording, subject, status ('ok' or 'failed'), reason, left_out (channels, with the reason),
    duration_s, n_epochs, dropped_s (the last partial epoch), n_scored, n_arousals, notes (what was not plain in the
    file). A file that cannot be used is a row with a reason; the others go on.

    Raises
    ------
    ValueError
        Two files with one name, or none that can be used.
    """
    stems = pd.Series([file.stem for file in files])
    if stems.duplicated().any():
        raise ValueError(f"several files would become the same recording: {', '.join(stems[stems.duplicated()])}")
    nights_dir = path.with_name(path.stem + "_nights")
    shutil.rmtree(nights_dir, ignore_errors=True)  # of a run that was killed
    work = partial(_prepare_file, preparation=preparation, nights_dir=nights_dir)
    if n_jobs == 1:
        rows = list(map(work, files))
    else:
        with ProcessPoolExecutor(max_workers=n_jobs) as pool:
            rows = list(pool.map(work, files))
    table = pd.DataFrame(rows)
    night_files = [nights_dir / f"{recording}.h5" for recording in table.recording[table.status == "ok"]]
    if not night_files:
        raise ValueError(f"none of {len(files)} recordings can be used; the first: {table.reason[0]}")
    assemble_archive(
        path,
        preparation.dataset,
        night_files,
        eeg_channels=[stored_name(name) for name in preparation.eeg_channels],
        eog_channels=[stored_name(name) for name in preparation.eog_channels],
        sampling_rate_hz=preparation.sampling_rate_hz,
    )
    shutil.rmtree(nights_dir)
    return table


def find_recordings(folder: Path, pattern: str) -> list[Path]:
    """The files that match, sorted, without hidden ones. ValueError where there is none."""
    files = sorted(file for file in folder.glob(pattern) if not file.name.startswith("."))
    if not files:
        raise ValueError(f"no file in {folder} matches {pattern!r}; check recordings_dir and file_pattern")
    return files


def first_readable(files: Sequence[Path]) -> Recording:
    """The first recording that can be read, to be looked at. ValueError where none can."""
    for file in files:
        try:
            return read_recording(file, labels="lenient")
        except (OSError, ValueError) as error:
            last_error = error
    raise ValueError(f"none of {len(files)} files can be read; the last: {last_error}")


def read_participants(path: Path) -> pd.DataFrame:
    """A tab- or comma-separated table of persons; ids stay text. ValueError without a column subject."""
    table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype={"subject": str})
    if "subject" not in table:
        raise ValueError(f"{path} has no column 'subject', only {', '.join(table)}")
    return table


def _prepare_file(file: Path, preparation: Preparation, nights_dir: Path) -> dict[str, object]:
    row: dict[str, object] = {"recording": file.stem, "subject": None, "status": "failed", "reason": ""}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row["subject"] = _subject_of(file, preparation.subject_pattern)
            night, facts = prepare_night(file, preparation)
            write_night(nights_dir / f"{file.stem}.h5", night, preparation.sampling_rate_hz)
        except (OSError, ValueError, KeyError) as error:
            return row | {"reason": without_path(error, file)}
    return row | facts | {"status": "ok", "notes": "; ".join(str(warning.message) for warning in caught)}


def without_path(error: Exception, file: Path) -> str:
    """The message without the folder of the file, which could tell who the patient is."""
    return str(error).replace(f"{file}: ", "").replace(str(file.parent), "...")


def prepare_night(file: Path, preparation: Preparation) -> tuple[ArchivedNight, dict[str, object]]:
    """Read and preprocess one file; also facts for its row in the table. ValueError where no channel can be used."""
    wanted = [*preparation.eeg_channels, *preparation.eog_channels]
    recording = read_recording(file)
    signals, left_out = {}, []
    for name in wanted:
        try:
            channel = recording.pick([name])
            signals[name] = preprocess(channel.signals, channel.rates_hz, preparation.sampling_rate_hz, names=[name])[0]
        except ValueError as error:
            left_out.append(str(error))
    if not signals:
        raise ValueError(f"no channel can be used: {'; '.join(left_out)}")

    samples_per_epoch = preparation.sampling_rate_hz * EPOCH_S
    n_epochs = min(recording.n_epochs, *(len(signal) // samples_per_epoch for signal in signals.values()))
    if n_epochs == 0:
        raise ValueError(f"the recording lasts {recording.duration_s:g} s, less than one epoch of {EPOCH_S} s")
    hypnogram = None if recording.hypnogram is None else recording.hypnogram[:n_epochs]
    night = ArchivedNight(
        recording=file.stem,
        channels=tuple(map(stored_name, signals)),
        signals=np.stack([signal[: n_epochs * samples_per_epoch] for signal in signals.values()]),
        hypnogram=hypnogram,
        arousals=recording.arousals,
        attributes=_attributes(file, recording, preparation),
    )
    return night, {
        "left_out": "; ".join(left_out),
        "duration_s": recording.duration_s,
        "n_epochs": n_epochs,
        "dropped_s": recording.duration_s - n_epochs * EPOCH_S,
        "n_scored": 0 if hypnogram is None else int((hypnogram != UNSCORED).sum()),
        "n_arousals": len(recording.arousals),
    }


def _subject_of(file: Path, pattern: str) -> str:
    match = re.search(pattern, file.stem)
    if not match or not match.groups() or not match.group(1):
        raise ValueError(f"subject_pattern {pattern!r} finds no person in the file name {file.stem!r}")
    return match.group(1)


def _attributes(file: Path, recording: Recording, preparation: Preparation) -> dict[str, str | float]:
    """What the archive says of a night: the person, the clock time without its date, the source's hash."""
    attributes: dict[str, str | float] = {
        "subject": _subject_of(file, preparation.subject_pattern),
        "source_sha256": sha256_of(file),
        "synthetic": recording.synthetic,
    }
    if recording.clock_time is not None:
        attributes["start_time"] = recording.clock_time
    if preparation.participants is not None:
        people = preparation.participants
        rows = people[people.subject.astype(str) == attributes["subject"]]
        if len(rows) != 1:
            raise ValueError(
                f"the participants table has {len(rows)} rows for person {attributes['subject']!r}, not one"
            )
        known = rows.iloc[0].dropna()
        attributes |= {name: known[name] for name in PERSON_ATTRIBUTES[1:] if name in known}
    return attributes

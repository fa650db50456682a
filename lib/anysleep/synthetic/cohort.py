"""A cohort on disk: one EDF+ file a night, and participants.tsv. The files say that they are synthetic.

In single nights is planted what goes wrong in a laboratory, so that the montage doctor has something to find.
"""

import datetime
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import edfio
import numpy as np
import pandas as pd

from anysleep.stages import AROUSAL_TEXT, EPOCH_S, STAGE_TEXTS
from anysleep.synthetic.night import SyntheticNight, check_recording, simulate_night
from anysleep.synthetic.persons import Person, check_variety, draw_circumstances, draw_persons, person_rng
from anysleep.system.files import atomic_write, is_written
from anysleep.system.jobs import run_jobs

PHYSICAL_RANGE_UV = (-500, 500)
_TYPES = {"chin": "EMG", "II": "ECG", "nasal": "Resp"}
_ECG_RANGE_UV = (-5000, 5000)
PARTICIPANT_COLUMNS = ["subject", "age", "sex", "group", "n_nights"]
NO_PAUSE = slice(0, 0)
_EARLIEST_START = datetime.datetime(2000, 1, 1, 22, 0)


def write_cohort(
    folder: str | os.PathLike,
    n_persons: int = 12,
    hours: float = 8.0,
    seed: int = 0,
    rate_hz: int = 128,
    n_jobs: int = 1,
    faults: bool = False,
    variety: float = 0.0,
) -> pd.DataFrame:
    """Simulate a cohort and write it: `<recording>.edf` for each night, and `participants.tsv`.

    Files are written under a temporary name and renamed when whole. Synthetic nights that are there already are removed
    first; a folder that holds anything else is refused, so that nothing of a real data set is ever touched.

    About a third of the persons have two nights. The same seed gives the same bytes, with any number of processes.
    `faults` gives the nights of `FAULTY_NIGHTS` their fault: an electrode that came off, a channel that is missing, no
    scoring (one night more), a pause of the recorder (EDF+D). `variety` is how much persons and laboratories differ, 0
    to 1; above 0 participants.tsv tells each person's `Circumstances`.

    One row per recording: recording, subject, age, sex, group, file (path of the EDF+ file). ValueError, and nothing is
    written, where an argument is out of range.
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs is {n_jobs}; use 1, or up to the number of cores ({os.cpu_count()}).")
    check_recording(hours, rate_hz)
    check_variety(variety)
    persons = draw_persons(n_persons, seed)
    if faults:
        # Person 12, if there, sleeps one night more, which nobody scores.
        persons = [replace(person, n_nights=2) if person.subject == "syn012" else person for person in persons]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    jobs = [
        (folder, person, night, hours, seed, rate_hz, faults, variety)
        for person in persons
        for night in range(1, person.n_nights + 1)
    ]
    done = {(job[1].subject, job[2]): future.result() for job, future in run_jobs(_write_job, jobs, n_jobs)}
    _write_participants(folder / "participants.tsv", persons, seed, variety)
    return pd.DataFrame(done[person.subject, night] for _, person, night, *_ in jobs)


def _clear(folder: Path) -> None:
    """Remove an earlier cohort. ValueError where the folder holds anything but synthetic nights."""
    of_ours = r"(\.\d+\.)?syn\d{3,}-night\d+\.edf|\.\d+\.participants\.tsv"  # also half ones, of a killed process
    nights = [file for file in folder.iterdir() if re.fullmatch(of_ours, file.name)]
    participants = folder / "participants.tsv"
    foreign = sorted({file.name for file in folder.iterdir()} - {file.name for file in [*nights, participants]})
    if is_written(participants):
        subjects = pd.read_csv(participants, sep="\t", dtype=str).get("subject", pd.Series(["no subject"]))
        foreign += [participants.name] if not subjects.str.fullmatch(r"syn\d{3,}").all() else []
    if foreign:
        raise ValueError(
            f"{folder} holds {', '.join(foreign[:3])}, which is not a synthetic cohort; choose an empty folder, or no "
            "synthetic persons to use the recordings that are there"
        )
    for file in nights:
        file.unlink()


def _write_job(job: tuple) -> dict:
    folder, person, night, hours, seed, rate_hz, faults, variety = job
    simulated = simulate_night(person, night, hours, seed, rate_hz, variety)
    file = folder / f"{simulated.recording}.edf"
    start = start_time(person, night, seed)
    if faults:
        write_edf(with_fault(simulated), file, start, pause_of(simulated))
    else:
        write_edf(simulated, file, start)
    return {
        "recording": simulated.recording,
        "subject": person.subject,
        "age": person.age,
        "sex": person.sex,
        "group": person.group,
        "file": str(file),
    }


def start_time(person: Person, night: int, seed: int) -> datetime.datetime:
    """A made-up evening: between 22:00 and 23:30, one day per night."""
    minutes = int(person_rng(person, seed, 1000 + night).integers(0, 91))
    return _EARLIEST_START + datetime.timedelta(days=night - 1, minutes=minutes)


def write_edf(night: SyntheticNight, file: Path, start: datetime.datetime, pause: slice = NO_PAUSE) -> None:
    """Write one night as EDF+ with stages and arousals as annotations; the file appears only when whole.

    `pause` are seconds that the recorder missed, and whoever scored it: the file is EDF+D then.
    """
    signals = [
        edfio.EdfSignal(
            samples,
            night.rate_hz,
            label=f"{signal_type(name)} {name}",
            transducer_type="simulated",
            physical_dimension="uV",
            physical_range=_ECG_RANGE_UV if signal_type(name) == "ECG" else PHYSICAL_RANGE_UV,
        )
        for name, samples in zip(night.channels, night.signals_uv, strict=True)
    ]
    edf = edfio.Edf(
        signals,
        patient=edfio.Patient(code=night.person.subject, sex=night.person.sex, name="synthetic"),
        recording=edfio.Recording(
            startdate=start.date(), hospital_administration_code=night.recording, equipment_code="anysleep-synthetic"
        ),
        starttime=start.time(),
        data_record_duration=1,
        annotations=list(_annotations(night)),
    )
    with atomic_write(file) as temporary:
        edf.write(temporary)
        if pause.start < pause.stop:
            temporary.write_bytes(cut_records(temporary.read_bytes(), pause))


def signal_type(channel: str) -> str:
    """EEG, EOG, EMG, ECG or Resp, as EDF+ calls it."""
    return _TYPES.get(channel) or ("EOG" if channel.startswith("E") else "EEG")


def _annotations(night: SyntheticNight) -> Iterator[edfio.EdfAnnotation]:
    for epoch, stage in enumerate(night.hypnogram):
        yield edfio.EdfAnnotation(epoch * EPOCH_S, EPOCH_S, STAGE_TEXTS[stage])
    for onset, end in night.arousals:
        yield edfio.EdfAnnotation(round(float(onset), 2), round(float(end - onset), 2), AROUSAL_TEXT)


def _write_participants(file: Path, persons: list[Person], seed: int, variety: float) -> None:
    table = pd.DataFrame([{column: getattr(p, column) for column in PARTICIPANT_COLUMNS} for p in persons])
    if variety:
        circumstances = [asdict(draw_circumstances(p, seed, variety)) for p in persons]
        table = table.join(pd.DataFrame(circumstances))
    with atomic_write(file) as temporary:
        table.to_csv(temporary, sep="\t", index=False)


FAULTY_NIGHTS = {
    "syn005-night1": "pause",
    "syn005-night2": "electrode off",
    "syn006-night1": "channel missing",
    "syn012-night2": "unscored",
}
"""Recording -> its fault. In the demo's split the first three choose among weights, and the last is one more: what the
network learns from and what it is tested on stays whole. Smaller cohorts have fewer of them."""
LOOSE_CHANNEL, MISSING_CHANNEL = "F4-M1", "O2-M1"
LOOSE_GAIN = 0.002
"""What is left of a signal whose electrode hangs in the air."""
PAUSE_SHARE = 1 / 30
"""Of the night, from its middle on: 12 minutes of 6 hours."""


def with_fault(night: SyntheticNight) -> SyntheticNight:
    """The night as the laboratory recorded it: an electrode off after a third of it, or a channel never plugged in."""
    fault = FAULTY_NIGHTS.get(night.recording)
    if fault == "electrode off":
        signals_uv = night.signals_uv.copy()
        signals_uv[night.channels.index(LOOSE_CHANNEL), signals_uv.shape[1] // 3 :] *= LOOSE_GAIN
        return replace(night, signals_uv=signals_uv)
    if fault == "channel missing":
        kept = [i for i, channel in enumerate(night.channels) if channel != MISSING_CHANNEL]
        return replace(night, channels=tuple(night.channels[i] for i in kept), signals_uv=night.signals_uv[kept])
    if fault == "unscored":
        return replace(night, hypnogram=np.empty(0, np.int8), arousals=np.empty((0, 2)))
    return night


def pause_of(night: SyntheticNight) -> slice:
    """The seconds in which the recorder paused; mostly none."""
    seconds = night.signals_uv.shape[1] // night.rate_hz
    length = round(seconds * PAUSE_SHARE) if FAULTY_NIGHTS.get(night.recording) == "pause" else 0
    return slice(seconds // 2, seconds // 2 + length)


def cut_records(edf: bytes, records: slice) -> bytes:
    """EDF+C without some of its data records, as EDF+D: every record says when it began, so the rest keeps its time."""
    header_bytes, n_records = int(edf[184:192]), int(edf[236:244])
    record_bytes = (len(edf) - header_bytes) // n_records
    start, stop = (header_bytes + record * record_bytes for record in (records.start, records.stop))
    n_left = f"{n_records - (records.stop - records.start):<8}".encode()
    return edf[:192] + b"EDF+D" + edf[197:236] + n_left + edf[244:start] + edf[stop:]

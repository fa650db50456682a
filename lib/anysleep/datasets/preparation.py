"""From folders of recordings to an archive: nights in parallel, what is done stays done, and no file stops the rest."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import pandas as pd

from anysleep.datasets.archive import Archive, DatasetFiles, assemble_archive, nights_held, read_prepared
from anysleep.datasets.night import NightFacts, NightJob, key_of, prepare_night, source_sha256
from anysleep.datasets.recipes import (
    Folder,
    Recipe,
    fill_in,
    find_beside,
    find_participants,
    find_recordings,
    names_of,
    nights_among,
)
from anysleep.recordings.labels.edf import sleep_edf_scoring_beside
from anysleep.recordings.readers import read_recording
from anysleep.recordings.reasons import BadRecording, reason_of, without_names
from anysleep.recordings.recording import Recording
from anysleep.recordings.tables import without_formulas
from anysleep.system.files import DiskFull, atomic_write, read_if_whole
from anysleep.system.jobs import DAY_S, JobLost, JobTooLong, n_cores, run_jobs, share_of
from anysleep.system.words import progress


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    file: Path
    dataset: str
    recording: str = ""
    subject: str | None = None
    code: str = "ok"
    reason: str = ""
    facts: NightFacts | None = None
    night: tuple[Path, str] | None = None
    """HDF5 file and path inside it."""
    reused: bool = False
    more_files: tuple[Path, ...] = ()
    """Other parts of the night."""

    def row(self, number: int) -> dict[str, object]:
        """A row of the table; a file is known by its number and id, because its name could tell who the patient is."""
        row = {"number": number, "dataset": self.dataset, "recording": self.recording, "subject": self.subject}
        row |= {"status": "ok" if self.code == "ok" else "failed", "code": self.code, "reason": self.reason}
        if self.facts is None:
            return row | {field.name: None for field in fields(NightFacts)}
        facts = {field.name: getattr(self.facts, field.name) for field in fields(NightFacts)}
        return row | {name: ", ".join(v) if isinstance(v, (tuple, list)) else v for name, v in facts.items()}


class NothingUsable(ValueError):
    """No recording can be used; `table` has a row for each, with its reason."""

    def __init__(self, table: pd.DataFrame):
        firsts = table.drop_duplicates("code").head(5)
        reasons = "; ".join(f"{row.code} ({row.reason})" for row in firsts.itertuples())
        super().__init__(f"none of {len(table)} recordings can be used: {reasons}")
        self.table = table


class NightsLost(ValueError):
    """An archive would lose nights; `table` has a row for each file, with its reason."""

    def __init__(self, lost: Sequence[str], n_held: int, table: pd.DataFrame):
        failed = table[table.status == "failed"]
        codes = dict(zip(failed.dataset + "/" + failed.recording, failed.code, strict=True))
        named = ", ".join(f"{night} ({codes.get(night, 'no file')})" for night in lost[:10])
        super().__init__(
            f"{len(lost)} of the {n_held} nights in the archive could not go into it again: {named}"
            f"{', ...' if len(lost) > 10 else ''}. It stays as it is: mend what is wrong, or set drop_missing to true"
        )
        self.table = table


def prepare_archive(
    datasets: Sequence[tuple[Recipe, Path]],
    path: Path,
    *,
    sampling_rate_hz: int,
    n_jobs: int = 1,
    drop_missing: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prepare every recording of the data sets, recipes with their folders, and assemble the archive at `path`.

    A night that an earlier call prepared from the same file, with the same recipe and rate, is taken as it is; so a
    call that was stopped goes on, and new recordings can be added. The archive appears whole or not at all; nights that
    are done lie beside it until then. `n_jobs` processes hold one channel of one night in memory each; 0 is one per
    core.

    Returns a row a file: number, dataset, recording, subject, status ('ok' or 'failed'), code and reason (see
    `anysleep.recordings.reasons`), and the `NightFacts`. And the key: number, dataset, recording, file.

    NothingUsable where no recording can be used. NightsLost where the archive held a night whose recording is gone, has
    failed or has another id now, and would lose it without `drop_missing`; it stays as it was. OSError where a folder
    cannot be read; ValueError where a folder, its recordings or its table of participants are missing, or another call
    is at work on the archive.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0):
            return _prepare(datasets, path, sampling_rate_hz, n_jobs or n_cores(), drop_missing=drop_missing)
    except filelock.Timeout:
        raise ValueError(
            f"{path.name} is being written by another run; wait for it, or choose another run_dir"
        ) from None


def prepare_shard(
    datasets: Sequence[tuple[Recipe, Path]], path: Path, shard: str, *, sampling_rate_hz: int, n_jobs: int = 1
) -> None:
    """Prepare the recordings of one shard, such as `3/16`, and keep them for `prepare_archive`, which says what failed.

    Other shards may be at work on the same archive.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    jobs = [plan for plan in _plan_all(datasets, sampling_rate_hz) if isinstance(plan, NightJob)]
    for _ in _prepare_nights(share_of(jobs, shard), path, n_jobs or n_cores()):
        pass


def first_readable(recipe: Recipe, path: Path) -> Recording | None:
    """The first night of a data set that can be read, to be looked at; None where none can."""
    for night in nights_among(recipe, find_recordings(recipe, Folder(path))):
        try:
            return read_recording([path / file for file in night], labels="lenient")
        except (OSError, ValueError):
            continue  # `prepare_archive` says why
    return None


def quality_table(archive: Archive, nights: pd.DataFrame | None = None) -> pd.DataFrame:
    """The montage doctor's rows for every channel of these nights, by default all, with data set and recording."""
    nights, tables = archive.recordings() if nights is None else nights, []
    for dataset, recording in nights[["dataset", "recording"]].itertuples(index=False):
        night = archive.quality(dataset, recording)
        if night is not None:
            night.insert(0, "dataset", dataset)
            night.insert(1, "recording", recording)
            tables.append(night)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["dataset", "recording", "channel"])


def write_key(path: Path, key: pd.DataFrame) -> Path:
    """Write which file became which recording, where the user asked for it; keep it apart from the archive."""
    with atomic_write(path) as temporary:
        without_formulas(key).to_csv(temporary, index=False, errors="backslashreplace")  # file names may be no UTF-8
    return path


def _prepare(
    datasets: Sequence[tuple[Recipe, Path]], path: Path, sampling_rate_hz: int, n_jobs: int, *, drop_missing: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    for left_over in path.parent.glob(f".[0-9]*.{path.name}*"):  # half an archive, of a run that was killed
        left_over.unlink()
    held = nights_held(path)
    plans = _plan_all(datasets, sampling_rate_hz)
    results = _prepare_nights([plan for plan in plans if isinstance(plan, NightJob)], path, n_jobs)
    done = {(outcome.dataset, outcome.file): outcome for outcome in results}
    outcomes = [done[p.recipe.dataset, p.file] if isinstance(p, NightJob) else p for p in plans]
    outcomes = _refuse_duplicates(outcomes)
    table = pd.DataFrame([outcome.row(number) for number, outcome in enumerate(outcomes, start=1)])
    files = [(row, str(file)) for row, one in enumerate(outcomes) for file in (one.file, *one.more_files)]
    rows, names = zip(*files, strict=True)
    names = pd.Series(names, dtype=object)  # one need not be UTF-8
    key = table[["number", "dataset", "recording"]].iloc[list(rows)].reset_index(drop=True).assign(file=names)
    if (table.status != "ok").all():
        raise NothingUsable(table)
    ready = table[table.status == "ok"]
    lost = [night for night in held if night not in set(ready.dataset + "/" + ready.recording)]
    if lost and not drop_missing:
        raise NightsLost(lost, len(held), table)
    parts = [_dataset_files(recipe, [o for o in outcomes if o.dataset == recipe.dataset]) for recipe, _ in datasets]
    assemble_archive(path, parts, sampling_rate_hz)
    shutil.rmtree(_nights_dir(path), ignore_errors=True)
    if lost:
        print(f"{len(lost)} nights that the archive held are dropped: {', '.join(lost[:10])}")
    for line in _what_to_know(table, datasets, reused=sum(outcome.reused for outcome in outcomes)):
        print(line)
    return table, key


def _plan_all(datasets: Sequence[tuple[Recipe, Path]], sampling_rate_hz: int) -> list[NightJob | Outcome]:
    """A plan for every recording of all data sets. ValueError where two data sets have one name."""
    names = pd.Series([recipe.dataset for recipe, _ in datasets])
    if names.duplicated().any():
        raise ValueError(
            f"several recipes are called {', '.join(names[names.duplicated()])}; give each its own `dataset`"
        )
    return [plan for recipe, folder in datasets for plan in plan_nights(recipe, folder, sampling_rate_hz)]


def _nights_dir(path: Path) -> Path:
    """Where nights lie until the archive at `path` is whole."""
    return path.with_name(f".{path.stem}_nights")


def _prepare_nights(jobs: Sequence[NightJob], path: Path, n_jobs: int) -> Iterator[Outcome]:
    work = partial(_prepare_or_reuse, nights_dir=_nights_dir(path), archive=path)
    return progress(_outcomes(work, jobs, n_jobs), "prepared", total=len(jobs))


def _what_to_know(table: pd.DataFrame, datasets: Sequence[tuple[Recipe, Path]], *, reused: int) -> Iterator[str]:
    """What should not be overlooked, because it concerns many nights."""
    kept = table[table.status == "ok"]
    yield f"{len(kept)} of {len(table)} nights are in the archive, {reused} of them from before"
    if len(kept) < len(table):
        yield "the reasons are in recordings.csv; which file a number belongs to is in the table that key_file asks for"
    for recipe, _ in datasets:
        nights = kept[kept.dataset == recipe.dataset]
        scored = int((nights.n_scored > 0).sum())
        where = f", by the pattern {recipe.labels.file!r}" if recipe.labels and recipe.labels.file else ""
        yield f"{recipe.dataset}: {scored} of {len(nights)} nights have labels{where}"
        wanted = [] if recipe.channels == "by_name" else [*recipe.channels.eeg, *recipe.channels.eog]
        present = {name for both in nights.eeg_channels + ", " + nights.eog_channels for name in both.split(", ")}
        absent = [name for name in wanted if name not in present]
        if absent and len(nights):
            yield f"{recipe.dataset}: no night has {', '.join(absent)}; see left_out in recordings.csv"


def plan_nights(recipe: Recipe, path: Path, sampling_rate_hz: int) -> list[NightJob | Outcome]:
    """One job for every night of a data set, or what is wrong with it. ValueError where there is none."""
    folder = Folder(path)
    people = find_participants(recipe.participants, folder) if recipe.participants else None
    plans: list[NightJob | Outcome] = []
    for below, *others in nights_among(recipe, find_recordings(recipe, folder)):
        file, more = path / below, tuple(path / other for other in others)
        try:
            names = names_of(recipe, below)
            subject = fill_in(recipe.subject, names, "subject") if recipe.subject else None
            label_file = _label_file(file, recipe, names, folder)
            beside = {n: find_beside(like.file, names, folder) for n, like in recipe.labels_of_scorers.items()}
            scorers = {name: found for name, found in beside.items() if found}
            person = {} if people is None else _person(people, recipe, names, subject)
            subject = person.pop("subject", subject)
            plans.append(NightJob(file, recipe, names, subject, label_file, sampling_rate_hz, person, more, scorers))
        except BadRecording as error:
            reason = without_names(error, file)
            plans.append(Outcome(file, recipe.dataset, code=error.code, reason=reason, more_files=more))
    return plans


def _label_file(file: Path, recipe: Recipe, names: dict[str, str], folder: Folder) -> Path | None:
    """What the recipe names; where it takes the recording's own labels, a scoring of Sleep-EDF's naming beside it."""
    if recipe.has_own_labels:
        return sleep_edf_scoring_beside(file)
    return find_beside(recipe.labels.file, names, folder) if recipe.labels else None


def _person(people: pd.DataFrame, recipe: Recipe, names: dict[str, str], subject: str | None) -> dict[str, Any]:
    key = subject if recipe.participants.key == "subject" else fill_in(recipe.recording, names, "recording")
    rows = people[people.key == key]
    if len(rows) != 1:
        raise BadRecording("participants", f"the participants table has no row for this {recipe.participants.key}")
    return rows.iloc[0].drop("key").dropna().to_dict()


def _prepare_or_reuse(job: NightJob, nights_dir: Path, archive: Path) -> Outcome:
    """The work on one file, in a process of its own; every error becomes a reason."""
    recording, more = "", {"more_files": job.more_files}
    try:
        recording = "" if job.is_named_by_content else job.recording("")  # so that a failed one is known, too
        source = source_sha256(*job.files)
        recording = job.recording(source)
        dataset, night_file = job.recipe.dataset, nights_dir / job.recipe.dataset / f"{recording}.h5"
        for night in ((night_file, recording), (archive, f"{dataset}/{recording}")):
            prepared = read_if_whole(night[0], partial(read_prepared, inside=night[1]))
            if prepared and prepared["key"] == key_of(job, source):
                facts = NightFacts(**prepared["facts"])
                return Outcome(job.file, dataset, recording, job.subject, facts=facts, night=night, reused=True, **more)
        facts = prepare_night(job, source, night_file)
    except DiskFull:  # so would every night that would come
        raise
    except Exception as error:  # one file must not stop the others, whatever a library lets through
        reason = without_names(error, *job.files, job.label_file)
        return Outcome(job.file, job.recipe.dataset, recording, job.subject, reason_of(error), reason, **more)
    return Outcome(job.file, dataset, recording, job.subject, facts=facts, night=(night_file, recording), **more)


def _outcomes(
    work: Callable[[NightJob], Outcome], jobs: Sequence[NightJob], n_jobs: int, *, again: bool = True
) -> Iterator[Outcome]:
    """The outcomes as they come. A file whose process dies is tried again, alone, since memory may have been short for
    many; where that dies, too, it costs its own row."""
    lost = []
    for job, future in run_jobs(work, jobs, n_jobs, limit_s=DAY_S):  # one job is in another process, too
        try:
            yield future.result()
        except JobLost as error:
            if again and not isinstance(error, JobTooLong):
                lost.append(job)
                continue
            yield Outcome(job.file, job.recipe.dataset, code="crashed", reason=str(error), more_files=job.more_files)
    if lost:
        yield from _outcomes(work, lost, 1, again=False)


def _refuse_duplicates(outcomes: list[Outcome]) -> list[Outcome]:
    """Files that would become the same recording are all refused: which one is meant is not clear."""
    # One that failed before its id was known is like no other: its place stands for it.
    ids = pd.Series([(o.dataset, o.recording) if o.recording else i for i, o in enumerate(outcomes)])
    twice = ids.duplicated(keep=False)
    reason = "several files would become the same recording; of parts of one night the recipe says `parts: true`"
    refused = {"code": "duplicate", "reason": reason, "facts": None, "night": None, "reused": False}
    return [replace(one, **refused) if again else one for one, again in zip(outcomes, twice, strict=True)]


def _dataset_files(recipe: Recipe, outcomes: Sequence[Outcome]) -> DatasetFiles:
    """The nights of a data set, with its channels in the recipe's order, or as they come where it names none."""
    nights = [outcome for outcome in outcomes if outcome.facts is not None]
    eeg = list(dict.fromkeys(name for night in nights for name in night.facts.eeg_channels))
    eog = list(dict.fromkeys(name for night in nights for name in night.facts.eog_channels))
    if recipe.channels != "by_name":
        eeg, eog = list(recipe.channels.eeg), list(recipe.channels.eog)
    paths = [night.night for night in nights]
    return DatasetFiles(recipe.dataset, eeg, eog, paths, recipe.split == "test_only")

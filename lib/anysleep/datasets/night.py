"""One night from its file to a file in the archive's form, one channel in memory at a time."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.datasets.archive import NightWriter
from anysleep.datasets.labels import other_hypnogram, read_labels
from anysleep.datasets.recipes import CONTENT_HASH, Recipe, can_be_had, fill_in
from anysleep.recordings.channels import parse_channel, parse_channels, stored_name
from anysleep.recordings.labels import Scoring, arousals_scored, label_files, with_scoring
from anysleep.recordings.labels.edf import mass_trim_s
from anysleep.recordings.labels.scoring import refuse_unread
from anysleep.recordings.lights import Pair, find_lights
from anysleep.recordings.preprocessing import preprocess
from anysleep.recordings.quality import COLUMNS, ChannelDoctor, verdict_of_night
from anysleep.recordings.readers import channels_table, read_signals
from anysleep.recordings.reasons import BadRecording, note, noted, without_names
from anysleep.recordings.recording import Recording, annotation_table, first_of
from anysleep.stages import EPOCH_S, UNSCORED, WAKE
from anysleep.system.files import sha256_of

PREPARATION_VERSION = 8
"""Counts up whenever the same files and recipe would give other numbers, so that old nights are made anew."""

ADDED = ("parts", "scorers")
"""Settings of a recipe that came later: where one is not used, nights from before are still what it would give."""

LIGHTS_MARKS = ("participants: off", "participants: on")
"""Annotations that hold the place of what the participants table says of the lights while a night is cut."""
WITH_COMPANIONS = (".vhdr", ".set", ".hea", ".fif", ".gz")
"""Formats whose samples may lie in files beside the named one; these are known only when it is read."""


@dataclass(frozen=True)
class NightJob:
    """All that is needed to prepare one night, in any process."""

    file: Path
    recipe: Recipe
    names: Mapping[str, str]
    """What the file's name says, see `names_of`."""
    subject: str | None
    label_file: Path | None
    sampling_rate_hz: int
    person: Mapping[str, str | float] = field(default_factory=dict)
    """Any of age, sex, group, lights_off, lights_on."""
    more_files: tuple[Path, ...] = ()
    """Other parts of the night."""
    scorer_files: Mapping[str, Path] = field(default_factory=dict)
    """Label files of the recipe's scorers, as far as there are."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All parts of the night, mostly one."""
        return self.file, *self.more_files

    @property
    def is_named_by_content(self) -> bool:
        """Whether the id is not known before the file is read."""
        return f"{{{CONTENT_HASH}}}" in self.recipe.recording

    def recording(self, source: str) -> str:
        """The id in the archive; `source` is the SHA-256 of the file."""
        return fill_in(self.recipe.recording, {**self.names, CONTENT_HASH: source[:8]}, "recording")


@dataclass(frozen=True)
class NightFacts:
    """What there is to say of a prepared night: its part of a row in the table."""

    verdict: str
    """The montage doctor's, of the whole night: use, look or drop."""
    advice: str
    """Its reason."""
    left_out: str
    """Channels that were wanted but are not in the archive, and why."""
    notes: str
    """What was not plain."""
    n_epochs: int
    n_scored: int
    n_arousals: int | None
    """None where nobody scored arousals, which is something else than none."""
    duration_s: float
    dropped_s: float
    """Signal that is not in the archive: the last partial epoch, and what the recipe cuts off."""
    gaps_s: float
    """Pauses of the recorder, in all."""
    eeg_channels: tuple[str, ...]
    eog_channels: tuple[str, ...]
    scorers: tuple[str, ...] = ()
    """Who scored the night beside its labels."""


def source_sha256(*parts: Path) -> str:
    """SHA-256 of a recording: of its file, or of the hashes of all its files where format or night have several.

    OSError or BadRecording where there is no such file, or it must be read to know its others and cannot be.
    """
    hashes = sorted(_sha256_of_part(file) for file in parts)  # in whatever order they are named
    return hashes[0] if len(hashes) == 1 else _sha256_of(hashes)


def _sha256_of_part(file: Path) -> str:
    if not file.is_file():  # reading a pipe or a device might never end
        raise BadRecording("not_found", "no such file, but a broken link, a pipe or a device")
    files = read_signals(file).files if file.suffix.lower() in WITH_COMPANIONS else (file,)
    return sha256_of(file) if len(files) == 1 else _sha256_of_all(files)


def key_of(job: NightJob, source: str) -> str:
    """SHA-256 of all that decides the prepared night: files, recipe, rate, person, the version of this code."""
    recipe = job.recipe.model_dump(mode="json")
    deciding = {
        "version": PREPARATION_VERSION,
        "source": source,
        "labels": _sha256_of_all(label_files(job.recipe.labels.reader, job.label_file)) if job.label_file else None,
        "types": _sha256_of_types(job.files),
        "recipe": {name: value for name, value in recipe.items() if value or name not in ADDED},
        "sampling_rate_hz": job.sampling_rate_hz,
        "subject": job.subject,
        "person": dict(job.person),
    } | ({"scorers": _sha256_of_scorers(job)} if job.scorer_files else {})
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _sha256_of_all(files: Sequence[Path]) -> str:
    """SHA-256 of the files' hashes, in this order; a missing file counts, too."""
    return _sha256_of([sha256_of(file) if file.is_file() else "missing" for file in files])


def _sha256_of(hashes: Sequence[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _sha256_of_scorers(job: NightJob) -> dict[str, str]:
    labels = job.recipe.labels_of_scorers
    return {name: _sha256_of_all(label_files(labels[name].reader, file)) for name, file in job.scorer_files.items()}


def _sha256_of_types(files: Sequence[Path]) -> str | None:
    """SHA-256 of the tables of channels beside the files; None where there are none."""
    hashes = [sha256_of(table) for table in map(channels_table, files) if table]
    return hashes[0] if len(hashes) == 1 else _sha256_of(hashes) if hashes else None


def prepare_night(job: NightJob, source: str, path: Path) -> NightFacts:
    """Read, label, cut, examine and preprocess one night, and write it to `path`, whole or not at all.

    `source` is the file's `source_sha256`. OSError or ValueError where the night cannot be used; nothing is left then.
    """
    recording = job.recording(source)
    with noted() as notes:
        recorded = read_signals(job.files)
        refuse_unread(recorded.unread)  # also where no labels are read: an arousal would be missing
        labelled, scoring = label(trim(mark_lights(recorded, job.person), job.recipe, recording), job)
        night = cut_to_sleep(with_scorers(labelled, job), job.recipe.minutes_around_sleep)
        if night.n_epochs == 0:
            raise BadRecording("too_short", f"{night.duration_s:g} s are less than one epoch of {EPOCH_S} s")
        eeg, eog = wanted_channels(night, job.recipe)
        with NightWriter(path, recording, night.n_epochs, job.sampling_rate_hz) as writer:
            quality, left_out = _write_channels(night, eeg, eog, job.sampling_rate_hz, writer)
            verdict, advice = verdict_of_night(quality)
            stored = night.cut(0, night.n_epochs * EPOCH_S)
            # Scored or not is asked of the whole night: what is stored may be the part without any arousal.
            n_arousals = _write_scored(night, stored, arousals_scored(labelled, scoring), writer)
            attributes = _attributes(night, job, source) | lights_attributes(stored, labelled)
            facts = NightFacts(
                duration_s=recorded.duration_s,
                n_epochs=night.n_epochs,
                dropped_s=recorded.duration_s - night.n_epochs * EPOCH_S,
                n_scored=0 if night.hypnogram is None else int((night.hypnogram != UNSCORED).sum()),
                n_arousals=n_arousals,
                gaps_s=float(np.diff(night.gaps_s).sum()),
                verdict=verdict,
                advice=advice,
                eeg_channels=tuple(name for name in eeg if name not in left_out),
                eog_channels=tuple(name for name in eog if name not in left_out),
                scorers=tuple(night.scorers),
                left_out=_cell(_say_once(left_out, {**eeg, **eog}), job),
                notes=_cell("; ".join(notes), job),
            )
            prepared = {"key": key_of(job, source), "facts": asdict(facts)}
            writer.describe(quality, attributes | {"prepared": json.dumps(prepared)})
    return facts


def _write_scored(night: Recording, stored: Recording, has_arousals: bool, writer: NightWriter) -> int | None:
    """Hypnogram, scorers, arousals, gaps; the number of arousals, None where nobody has looked for any."""
    if night.hypnogram is not None:
        writer.add_hypnogram(night.hypnogram)
    for name, stages in night.scorers.items():
        writer.add_scorer(name, stages)
    arousals = stored.arousals  # also where they do not count: what is wrong with them becomes a note
    if has_arousals:
        writer.add_spans("arousals", arousals)
    writer.add_spans("gaps", stored.gaps_s)
    return len(arousals) if has_arousals else None


def mark_lights(night: Recording, person: Mapping[str, str | float]) -> Recording:
    """The night with annotations that say when the lights went off and on by the participants table.

    So they move along when the night is cut. BadRecording where they do not fit the recording.
    """
    pair = person.get("lights_off"), person.get("lights_on")
    if not any(pair):
        return night
    off_s, on_s = find_lights(night.duration_s, night.clock_time, participants=pair).noted_s
    rows = [(at_s, np.nan, mark) for at_s, mark in zip((off_s, on_s), LIGHTS_MARKS, strict=True) if at_s is not None]
    annotations = [*night.annotations.itertuples(index=False, name=None), *rows]
    return replace(night, annotations=annotation_table(annotations))


def lights_attributes(stored: Recording, labelled: Recording) -> dict[str, str | float]:
    """What the archive says of the lights: where they lie in what is stored, and who noted it."""
    attributes: dict[str, str | float] = {}
    lights = find_lights(stored.duration_s, annotations=stored.lights_s, participants=_marked_lights(stored))
    sources, before = (lights.off_from, lights.on_from), zip(labelled.lights_s, _marked_lights(labelled), strict=True)
    for moment, at_s, source, before_s in zip(("off", "on"), lights.noted_s, sources, before, strict=True):
        if at_s is not None:
            attributes |= {f"lights_{moment}_s": at_s, f"lights_{moment}_from": source}
        elif before_s != (None, None) and stored.lights_s == (None, None):
            where = "before" if moment == "off" else "after"
            note(f"lights {moment} lie {where} what is stored")
    return attributes


def _marked_lights(night: Recording) -> Pair:
    """What the participants table says, in s; see `mark_lights`."""
    text, onset_s = night.annotations.description, night.annotations.onset_s
    off_s, on_s = (onset_s[text == mark].min() if (text == mark).any() else None for mark in LIGHTS_MARKS)
    return off_s, on_s


def trim(night: Recording, recipe: Recipe, recording: str) -> Recording:
    """Cut the start where the recipe says that a published table gives how much."""
    if recipe.trim_start == "none":
        return night
    return night.cut(mass_trim_s(recipe.dataset, recording), night.duration_s)


def label(night: Recording, job: NightJob) -> tuple[Recording, Scoring | None]:
    """The night with the labels that the recipe names, on its own time base; labels that are missing are said.

    And what the label file says; None where there is none.
    """
    labels = job.recipe.labels
    if labels is None:
        return night, None
    if job.recipe.has_own_labels and job.label_file is None:
        scored = with_scoring(night, None, **labels.rules)
        if scored.hypnogram is None:
            note("no annotation of the file is a stage in the recipe's codes: the night is unscored")
        return scored, None
    if job.label_file is None:
        note(f"no label file {labels.file!r}: the night is unscored")
        return night, None
    scoring = read_labels(job.label_file, labels)
    return with_scoring(night, scoring, **labels.rules), scoring


def with_scorers(night: Recording, job: NightJob) -> Recording:
    """The labelled night with the stages of the recipe's scorers; whose file is missing or does not fit is said."""
    found = {}
    for name, labels in job.recipe.labels_of_scorers.items():
        file = job.scorer_files.get(name)
        with noted() as notes:
            try:
                if file is None:
                    raise BadRecording("label_file", f"no file is called {labels.file!r}")
                found[name] = other_hypnogram(night, file, labels)
            except (OSError, ValueError) as error:
                notes.append(f"left out, because {without_names(error, file)}")
        for text in notes:
            note(f"scorer {name}: {text}")
    return replace(night, scorers=found)


def cut_to_sleep(night: Recording, minutes: float | None) -> Recording:
    """Cut to so many minutes before the first and after the last epoch of sleep, on the grid of the labels."""
    if minutes is None:
        return night
    asleep = [] if night.hypnogram is None else np.flatnonzero(~np.isin(night.hypnogram, (WAKE, UNSCORED))).tolist()
    if len(asleep) == 0:
        note("no epoch is scored as sleep, so nothing was cut around it")
        return night
    around = int(minutes * 60 // EPOCH_S)
    return night.cut(max(asleep[0] - around, 0) * EPOCH_S, (asleep[-1] + 1 + around) * EPOCH_S)


def wanted_channels(night: Recording, recipe: Recipe) -> tuple[dict[str, str], dict[str, str]]:
    """EEG and EOG to store: name in the archive -> name or difference in the file."""
    if recipe.channels != "by_name":
        sources = recipe.channels.sources(night.channels)
        alone = [f"{name} ({source})" for name, source in sources.items() if _lacks_reference(name, source, night)]
        if alone:
            note(f"as recorded, whatever their reference is: {', '.join(alone)}")
        return {name: sources[name] for name in recipe.channels.eeg}, {n: sources[n] for n in recipe.channels.eog}
    names = [stored_name(channel) for channel in night.channels]
    by_type: dict[str, dict[str, str]] = {"EEG": {}, "EOG": {}, "unknown": {}}
    kinds = parse_channels(night.channels, night.types)
    for channel, name, kind in zip(night.channels, names, kinds, strict=True):
        of_type = by_type.get(kind.type, {})  # of any other type: forgotten
        # Where two would be stored under one name, both keep the name of the file.
        of_type[name if names.count(name) == 1 else channel] = channel
    if by_type["unknown"]:
        unknown = first_of(list(by_type["unknown"]))
        note(f"names that do not tell EEG or EOG: {unknown}; say what they are in a recipe")
    return by_type["EEG"], by_type["EOG"]


def _lacks_reference(name: str, source: str, night: Recording) -> bool:
    """Whether a derivation is to be made of one electrode alone."""
    there, electrode = source in night.channels, parse_channel(source)
    return there and "-" in name and electrode.site is not None and electrode.reference is None and source != name


def _write_channels(
    night: Recording, eeg: Mapping[str, str], eog: Mapping[str, str], rate_hz: int, writer: NightWriter
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Examine, preprocess and write channel by channel. Returns the doctor's table, and what was left out with why.

    BadRecording where no channel is left.
    """
    wanted = {**eeg, **eog}
    absent = [name for name, source in wanted.items() if not can_be_had(source, night.channels)]
    left_out = dict.fromkeys(absent, f"not in the recording ({first_of(night.channels)})")
    doctor = ChannelDoctor(dict.fromkeys(eeg, "EEG") | dict.fromkeys(eog, "EOG"))
    rows = []
    n_samples = night.n_epochs * EPOCH_S * rate_hz
    for name in (name for name in wanted if name not in absent):
        try:
            one = night.derive({name: wanted[name]})
            signal = one.signals[0]
            rows.append(doctor.examine(name, signal, one.rates_hz[0], one.units[0], one.gaps_s))
            if rows[-1]["verdict"] == "drop":
                raise BadRecording("channels", rows[-1]["reason"])
            ready = preprocess([signal], one.rates_hz, rate_hz, names=[name], gaps_s=one.gaps_s)[0]
            writer.add_channel(name, _exactly(ready, n_samples))
        except ValueError as error:
            left_out[name] = str(error).removeprefix(f"{name} ")
    if len(left_out) == len(wanted):
        reasons = _say_once(left_out, wanted) or f"none is EEG or EOG ({first_of(night.channels)})"
        raise BadRecording("channels", f"no channel can be used: {reasons}")
    return pd.DataFrame(rows, columns=list(COLUMNS)), left_out


def _exactly(signal: np.ndarray, n_samples: int) -> np.ndarray:
    """The first `n_samples`; up to two that rounding of a fractional rate has lost at the end are repeated."""
    missing = n_samples - len(signal)
    return np.pad(signal, (0, missing), mode="edge") if 0 < missing <= 2 else signal[:n_samples]


def _say_once(left_out: Mapping[str, str], sources: Mapping[str, str]) -> str:
    """The channels of each reason, with what they should be made of where that is another name; then the reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        source = sources[name]
        plain = name in (source, stored_name(source))
        by_reason.setdefault(reason, []).append(name if plain else f"{name} ({source})")
    return "; ".join(f"{first_of(names)}: {reason}" for reason, names in by_reason.items())


def _cell(text: str, job: NightJob) -> str:
    """Text for the table, without names, and short enough for an attribute in HDF5."""
    return without_names(text, *job.files, job.label_file, *job.scorer_files.values(), longest=4000)


def _attributes(night: Recording, job: NightJob, source: str) -> dict[str, str | float]:
    """What the archive says of a night: the person, the clock time without its date, the hash of the source."""
    attributes: dict[str, str | float] = {"source_sha256": source, "synthetic": night.synthetic}
    attributes |= {name: value for name, value in job.person.items() if not name.startswith("lights_")}
    if job.subject is not None:
        attributes["subject"] = job.subject
    if night.clock_time is not None:
        attributes["start_time"] = night.clock_time
    return attributes

"""Nights that are to be staged: what is known of them before they are read, and how they are read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anysleep.datasets.archive import Archive
from anysleep.datasets.night import source_sha256
from anysleep.datasets.splits import recordings_of
from anysleep.models import SleepNetwork
from anysleep.recordings.channels import check_eeg_before_eog
from anysleep.recordings.labels.edf import scorings_among, sleep_edf_scoring_beside
from anysleep.recordings.preprocessing import preprocess
from anysleep.recordings.quality import examine, reasons_against, usable_channels, verdict_of_night
from anysleep.recordings.readers import READERS, read_recording, read_signals
from anysleep.recordings.recording import Recording
from anysleep.staging.montages import find_channels
from anysleep.staging.nights import Night, fingerprint_of_night, named_montages, read_night, stamp_of
from anysleep.staging.stage import default_montages
from anysleep.system.files import files_named, files_of_night, short_path

Named = Path | Sequence[Path]
"""A file, folder or pattern of nights; or a list of the parts of one."""


@dataclass(frozen=True)
class NightSource(ABC):
    """A night that is read only when `read` is called, in whatever process."""

    dataset: str
    recording: str
    files: tuple[Path, ...]
    """The archive; the recording, or its parts."""
    channels: tuple[str, ...]
    """The channels to use; none named means all, of a file all that the doctor says to use."""
    synthetic: bool
    n_epochs: int
    """As far as is known before the night is read."""
    montages: tuple[tuple[int, ...], ...]
    """Indices of channels, as far as is known before the night is read."""
    made_from: str
    """Tells the night from all others, and changes when it does."""

    def name(self) -> str:
        """What the results are called."""
        return self.recording

    @abstractmethod
    def read(self, model: SleepNetwork) -> Night:
        """The night as this network needs it. OSError, ValueError or KeyError where that cannot be had."""


@dataclass(frozen=True)
class ArchivedNight(NightSource):
    """A night of an archive."""

    identity: tuple[int, ...]
    """`Archive.identity` when the run began: all nights are to be of the same file."""

    def read(self, model: SleepNetwork) -> Night:
        """The night with all channels at once; for U-Sleep with every pair of EEG and EOG.

        ArchiveReplaced where the archive is another one than when the run began.
        """
        key = self.dataset, self.recording
        # Trusted: `jobs_of_archive` has looked at the file, and `identity` refuses another one.
        with Archive(self.files[0], trusted=True, identity=self.identity) as archive:
            eeg, eog = _chosen(archive, *key, self.channels)
            missing = [name for name in self.channels if not find_channels(name, eeg, eog)]
            if missing:
                archive.signals(*key, missing)  # KeyError says which
            return read_night(archive, *key, model.sampling_rate_hz, named_montages(model, eeg, eog))


@dataclass(frozen=True)
class RecordedFile(NightSource):
    """A recording of any format, or its parts. Its channels form one montage, in the order in which they are named."""

    name_by_content: bool
    """Whether the results are called after the content, which is not read before it must be."""

    def name(self) -> str:
        """The (first) file's name or number, or a name that follows from its content."""
        try:
            return result_name(*self.files, keep=False) if self.name_by_content else self.recording
        except (OSError, ValueError):  # it is gone
            return self.recording

    def read(self, model: SleepNetwork) -> Night:
        """The night with its channels at once."""
        if not self.montages:  # nothing tells whether results of it are still those of this file
            read_signals(self.files)
            raise OSError("it could not be read when the run began, now it can; run it again")
        recording = pick_channels(read_recording(self.files, labels="lenient"), self.channels)
        return preprocessed_night(recording, model.sampling_rate_hz, self.dataset, self.name())


def jobs_of_archive(
    model: SleepNetwork,
    path: Path,
    channels: Sequence[str] = (),
    datasets: Sequence[str] = (),
    among: Mapping[str, Sequence[str]] | None = None,
) -> list[NightSource]:
    """A job a night of these data sets of the archive, by default all, with these channels, by default all.

    `channels` are names or sites, see `find_channels`. `among` has the recordings of each data set to choose from, such
    as a part of a split; by default all. ValueError where archive and network differ in sampling rate, or there is no
    night; NothingToMeasure where a data set has none.
    """
    jobs: list[NightSource] = []
    with Archive(path) as archive:
        if archive.sampling_rate_hz != model.sampling_rate_hz:
            raise ValueError(
                f"the archive has {archive.sampling_rate_hz} Hz, the network needs {model.sampling_rate_hz} Hz; "
                "prepare the archive at that rate"
            )
        nights = archive.recordings()
        for night in recordings_of(nights, datasets).itertuples():
            key = night.dataset, night.recording
            if among is not None and night.recording not in among.get(night.dataset, ()):
                continue
            eeg, eog = _chosen(archive, *key, channels)
            can_be_staged = eeg and eog if model.name == "usleep" else eeg or eog
            montages = default_montages(model, len(eeg), len(eog)) if can_be_staged else ()
            known = night.synthetic, night.n_epochs, tuple(montages), fingerprint_of_night(archive, *key)
            jobs.append(ArchivedNight(*key, (path,), tuple(channels), *known, archive.identity))
    if not jobs:
        raise ValueError(f"there is no night in {path.name}")
    return jobs


def jobs_of_files(
    model: SleepNetwork, named: Sequence[Named], channels: Sequence[str], *, name_by_file: bool = False
) -> list[NightSource]:
    """A job a night of `recordings_among`, of which only headers are read. No channel means all the doctor would use.

    Results are called after the (first) file only where `name_by_file` says so, or the recording is synthetic; after
    their numbers where the header cannot be read. ValueError where there is no file, or U-Sleep is not told its two
    channels.
    """
    if not named:
        raise ValueError("there is nothing to stage: name an archive or recordings")
    nights = recordings_among(named)
    if model.name == "usleep":
        check_eeg_before_eog(channels)
    return [
        _job_of_files(files, number, tuple(channels), keep=name_by_file) for number, files in enumerate(nights, start=1)
    ]


def recordings_among(named: Sequence[Named]) -> list[tuple[Path, ...]]:
    """The files of each night: mostly one, or the parts in a list, see `files_of_night`.

    Of a folder and all below it the files that have a reader; what a pattern (*, ?, []) matches. Hidden files of a
    folder, and all in hidden folders below it, are no recordings, and neither are scorings that lie beside one, as in
    Sleep-EDF. A part of a night is no night of its own. ValueError where a folder or pattern has none, or none of the
    files is there.
    """
    found: list[tuple[Path, ...]] = []
    for path in named:
        if not isinstance(path, Path):
            found.append(tuple(files_of_night(path)))
            continue
        files = files_named(path)
        if path.is_dir():
            files = [file for file in path.rglob("*") if file.name.lower().endswith(tuple(READERS))]
            files = [file for file in files if not any(part[0] == "." for part in file.relative_to(path).parts)]
            files = sorted(set(files) - scorings_among(files, files))
        if not files:
            raise ValueError(f"recordings: no recording is found by {short_path(path)}")
        found += [(file,) for file in sorted(files)]
    if not any(file.exists() for files in found for file in files):
        raise ValueError(f"recordings: there is no file or folder {short_path(found[0][0])}")
    # A file that a list names as a part may have been found by a folder as well.
    parts = {(file,) for files in found if len(files) > 1 for file in files}
    return [files for files in dict.fromkeys(found) if files not in parts]


def result_name(*parts: Path, keep: bool) -> str:
    """What results of a recording are called: its (first) file's name where `keep` says that it identifies nobody.

    Else `night-` and the first eight digits of the recording's SHA-256, as `{hash}` in a recipe.
    """
    return parts[0].stem if keep else f"night-{source_sha256(*parts)[:8]}"


def pick_channels(night: Recording, channels: Sequence[str]) -> Recording:
    """The night with these channels; with none named, with all that the montage doctor says to use, EEG first.

    ValueError where one is missing, or none can be used without being named.
    """
    if channels:
        return night.pick(channels)
    quality = examine(night)
    usable = usable_channels(quality[quality.verdict == "use"])
    if not usable:
        why = reasons_against(quality) or verdict_of_night(quality)[1]
        raise ValueError(f"the montage doctor finds no channel to use: {why}. To use some all the same, name them")
    return night.pick(usable)


def preprocessed_night(recording: Recording, sampling_rate_hz: int, dataset: str, name: str) -> Night:
    """A recording as a network of this rate needs it; its channels, in their order, are one montage."""
    names, gaps_s = recording.channels, recording.gaps_s
    signals = preprocess(recording.signals, recording.rates_hz, sampling_rate_hz, names=names, gaps_s=gaps_s)
    quality = examine(recording)
    others = recording.hypnogram, gaps_s, recording.clock_time, tuple(quality.type), quality
    lights = {"annotations": recording.lights_s}
    return Night(dataset, name, names, signals, (names,), *others, lights)


def _job_of_files(files: tuple[Path, ...], number: int, channels: tuple[str, ...], *, keep: bool) -> RecordedFile:
    try:
        header = read_signals(files)
        keep = keep or header.synthetic
        by_content = not keep
        stamp = f"{keep} {stamp_of(*header.files, sleep_edf_scoring_beside(header.files[0]))}"
        montage = tuple(range(len(channels or header.channels)))
        known = {"synthetic": header.synthetic, "n_epochs": header.n_epochs, "montages": (montage,), "made_from": stamp}
    except (OSError, ValueError):  # what is wrong with it shows when it is staged
        by_content = False
        known = {"synthetic": False, "n_epochs": 0, "montages": (), "made_from": str(files)}
    name = result_name(*files, keep=True) if keep else f"file-{number}"
    return RecordedFile("files", name, files, channels, **known, name_by_content=by_content)


def _chosen(archive: Archive, dataset: str, recording: str, channels: Sequence[str]) -> tuple[list[str], list[str]]:
    """EEG and EOG channels of a night that `channels` name, see `find_channels`; all of them where that is empty."""
    eeg, eog = archive.channels_of(dataset, recording)
    wanted = [one for name in channels for one in find_channels(name, eeg, eog)] if channels else [*eeg, *eog]
    return [name for name in eeg if name in wanted], [name for name in eog if name in wanted]

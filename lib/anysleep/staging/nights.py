"""A night, read and preprocessed, and staged with montages: ordered tuples of its channels' names."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.datasets.archive import Archive
from anysleep.datasets.night import PREPARATION_VERSION
from anysleep.models import SleepNetwork
from anysleep.recordings.lights import Pair
from anysleep.recordings.recording import epochs_in, samples_in
from anysleep.settings import Precision
from anysleep.stages import EPOCH_S, UNSCORED
from anysleep.staging.montages import Montage
from anysleep.staging.stage import Staging, default_montages, stage_montages
from anysleep.staging.votes import vote_stages

Stagings = dict[Montage, Staging]

LEAST_IQR, MOST_IQR = 0.1, 10
"""Interquartile range of an archived signal, which `preprocess` makes 1; microvolts have some 20, millivolts 0.02."""
EVERY = 101
"""Every so many samples of a long night one is looked at, so that this takes milliseconds."""


@dataclass(frozen=True)
class Night:
    """A night that has been read and preprocessed."""

    dataset: str
    recording: str
    channels: tuple[str, ...]
    signals: np.ndarray
    """float32 (C, T) at the network's rate."""
    montages: tuple[Montage, ...]
    truth: np.ndarray | None
    """int8 (E,), the expert's stages; None where there are none."""
    gaps_s: np.ndarray
    """float64 (n, 2), pauses of the recorder in s."""
    clock_time: str | None
    """Clock time of the first sample, as `23:05:00`, or with a fraction as `23:05:00.250000`."""
    types: tuple[str, ...]
    """Type of each channel: EEG, EOG, or another one of `ChannelType`."""
    quality: pd.DataFrame | None
    """The montage doctor's table of these channels; None where nobody has examined them."""
    lights: Mapping[str, Pair] = field(default_factory=dict)
    """Who noted it -> lights off and on in s, as `find_lights` takes it."""

    def stage(
        self,
        model: SleepNetwork,
        montages: Iterable[Montage] = (),
        *,
        resolutions: Sequence[int] = (1,),
        precision: Precision = "32",
        aligned: bool = False,
    ) -> Stagings:
        """Stage the night with these montages, by default its own; each once, all in one call of `stage_montages`."""
        places = {tuple(map(self.channels.index, montage)): montage for montage in montages or self.montages}
        options = {"resolutions": resolutions, "precision": precision, "aligned": aligned}
        stagings = stage_montages(model, self.signals, montages=list(places), **options)
        return {montage: stagings[place] for place, montage in places.items()}


def read_night(
    archive: Archive, dataset: str, recording: str, sampling_rate_hz: int, montages: Iterable[Montage]
) -> Night:
    """An archived night with the channels that these montages name.

    ValueError where the archive has another sampling rate, or signals that are not scaled; KeyError where a channel is
    missing. Whether EEG and EOG are swapped cannot be seen from scaled signals.
    """
    if archive.sampling_rate_hz != sampling_rate_hz:
        raise ValueError(
            f"the archive has {archive.sampling_rate_hz} Hz, the network needs {sampling_rate_hz} Hz; "
            "prepare the archive at that rate"
        )
    montages, key = tuple(dict.fromkeys(montages)), (dataset, recording)
    names = tuple(dict.fromkeys(name for montage in montages for name in montage))
    signals, gaps_s = archive.signals(*key, names), archive.gaps(*key)
    _refuse_unscaled(signals, gaps_s, sampling_rate_hz, [f"{dataset}/{recording}, {name}" for name in names])
    others = archive.hypnogram(*key), gaps_s, archive.clock_time(*key)
    eeg, _ = archive.channels_of(*key)
    types = tuple("EEG" if name in eeg else "EOG" for name in names)
    quality = archive.quality(*key)
    if quality is not None and len(quality):
        quality = quality[quality.channel.isin(names)]
    return Night(*key, names, signals, montages, *others, types, quality, archive.lights(*key))


def _refuse_unscaled(signals: np.ndarray, gaps_s: np.ndarray, rate_hz: int, places: Sequence[str]) -> None:
    step = min(EVERY, 1 + signals.shape[1] // 10_000)  # of a shorter night at least 5,000, or all
    recorded = ~samples_in(gaps_s, rate_hz, signals.shape[1])[::step]
    for signal, place in zip(signals[:, ::step], places, strict=True):
        low, high = np.percentile(signal[recorded], [25, 75]) if recorded.any() else (0, 0)
        if high - low < LEAST_IQR or high - low > MOST_IQR:  # NaN is refused where it is staged
            raise ValueError(
                f"{place}: its interquartile range is {high - low:.3g}, but signals of an archive are scaled to 1; is "
                "it in volts or microvolts, or empty? 01_prepare makes an archive"
            )


def named_montages(model: SleepNetwork, eeg: Sequence[str], eog: Sequence[str]) -> list[Montage]:
    """All channels at once; for U-Sleep every pair of EEG and EOG. ValueError where U-Sleep lacks either."""
    names = [*eeg, *eog]
    return [tuple(names[i] for i in places) for places in default_montages(model, len(eeg), len(eog))]


def voted_hypnogram(stagings: Stagings, predictions_per_epoch: int) -> np.ndarray:
    """One hypnogram int8 (P,) from all montages of a night, by majority."""
    return vote_stages([staging.logits[predictions_per_epoch] for staging in stagings.values()])


def without_gaps(hypnogram: np.ndarray, gaps_s: np.ndarray, predictions_per_epoch: int) -> np.ndarray:
    """The stages (P,), 9 where the recorder paused: there is nothing to stage."""
    paused = epochs_in(gaps_s, len(hypnogram), EPOCH_S / predictions_per_epoch)
    return np.where(paused, UNSCORED, hypnogram).astype(np.int8)


def fingerprint_of_night(archive: Archive, dataset: str, recording: str) -> str:
    """Tells an archived night from others: name, channels, labels, and its preparation or else the file's stamp."""
    prepared = archive.prepared(dataset, recording)
    made = prepared["key"] if prepared else stamp_of(archive.path)
    hypnogram = archive.hypnogram(dataset, recording)
    labels = "" if hypnogram is None else hashlib.sha256(hypnogram.tobytes()).hexdigest()
    return f"{recording} {archive.channels_of(dataset, recording)} {labels} {made}"


def stamp_of(*files: Path | None) -> str:
    """Path, size and times of the last change of files, and the version of the code that reads them."""
    known = [(file, file.stat()) for file in files if file]
    # The ctime as well: copying and unpacking programs set the mtime back, but cannot do so with the ctime.
    stats = [(str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for file, stat in known]
    return f"{PREPARATION_VERSION} {stats}"

"""Staged nights kept on disk, a file a night: what was staged once is not staged again, however a run ended."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from anysleep.datasets.archive import Archive
from anysleep.models import SleepNetwork
from anysleep.settings import Precision
from anysleep.staging.montages import Montage
from anysleep.staging.nights import Night, Stagings, fingerprint_of_night, read_night
from anysleep.staging.stage import Staging
from anysleep.system.files import NpzWriter, read_if_whole

STAGING_VERSION = 9
"""Counts up whenever the same night and network would give other content, so that old results are made anew."""


def stored_file(folder: Path, *deciding: object) -> Path:
    """Where a night belongs in a store: `deciding`, as JSON can hold it, is all that decides the file's content."""
    text = json.dumps([STAGING_VERSION, *deciding])
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()}.npz"


def write_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file of the store, whole or not at all."""
    with NpzWriter(file) as npz:
        for name, array in arrays.items():
            npz.add(name, array)


class StagedNights:
    """Nights of an archive as one network stages them at 30 s, kept in the folder `store` where one is named."""

    def __init__(self, model: SleepNetwork, archive: Archive, precision: Precision = "32", store: Path | None = None):
        self.model, self.archive, self.precision, self.store = model, archive, precision, store
        self._model_key = key_of_model(model) if store else ""
        if store:
            store.mkdir(parents=True, exist_ok=True)

    def read(self, dataset: str, recording: str, montages: Iterable[Montage]) -> Stagings | Night:
        """The night with these montages: as it was staged before, or read and still to be staged.

        Errors as of `read_night`.
        """
        montages = list(dict.fromkeys(montages))
        file = self._file(dataset, recording, montages)
        stored = read_if_whole(file, lambda path: _logits_of(path, montages)) if file else None
        if stored is not None:
            return {montage: Staging({1: logits}, None, 0.0) for montage, logits in stored.items()}
        return read_night(self.archive, dataset, recording, self.model.sampling_rate_hz, montages)

    def stage(self, night: Stagings | Night) -> Stagings:
        """What `read` has read, staged and kept. Errors as of `stage_montages`."""
        if not isinstance(night, Night):
            return night
        stagings = night.stage(self.model, precision=self.precision)
        if file := self._file(night.dataset, night.recording, night.montages):
            write_arrays(file, {json.dumps(montage): one.logits[1] for montage, one in stagings.items()})
        return stagings

    def _file(self, dataset: str, recording: str, montages: Iterable[Montage]) -> Path | None:
        if not self.store:
            return None
        night = dataset, fingerprint_of_night(self.archive, dataset, recording)
        return stored_file(self.store, self._model_key, *night, list(montages), self.precision)


def key_of_model(model: SleepNetwork) -> str:
    """SHA-256 of a network: its kind, sampling rate and weights."""
    digest = hashlib.sha256(f"{model.name} {model.sampling_rate_hz}".encode())
    for name, weights in model.state_dict().items():
        digest.update(f"{name} {tuple(weights.shape)} {weights.dtype}".encode())
        digest.update(weights.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _logits_of(path: Path, montages: Iterable[Montage]) -> dict[Montage, np.ndarray]:
    with np.load(path) as stored:
        return {montage: stored[json.dumps(montage)] for montage in montages}

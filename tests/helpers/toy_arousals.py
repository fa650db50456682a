"""An archive that is a dictionary of events."""

import numpy as np

RATE_HZ = 4
EPOCHS = 20


class ToyArchive:
    """Nights of ten minutes with one EEG channel of noise."""

    sampling_rate_hz = RATE_HZ

    def __init__(self, arousals, hypnograms=None):
        self._arousals, self._hypnograms = arousals, hypnograms or {}

    def arousals(self, dataset, recording):
        return self._arousals.get((dataset, recording))

    def hypnogram(self, dataset, recording):
        return self._hypnograms.get((dataset, recording))

    def channels_of(self, dataset, recording):
        return ["F3-M2", "C3-M2"], []

    def iqr_uv(self, dataset, recording, channels):
        return np.full(len(channels), 25.0)

    def signals(self, dataset, recording, channels, start_epoch, n_epochs):
        noise = np.random.default_rng(0).standard_normal((1, EPOCHS * 30 * RATE_HZ)).astype(np.float32)
        return noise[:, start_epoch * 30 * RATE_HZ :][:, : n_epochs * 30 * RATE_HZ]

"""The other signals of a polysomnogram: chin EMG, ECG and airflow, as far as a reader of files needs them.

The tone of the chin falls from Wake to N3 and is lowest in REM, but for short twitches (AASM: "low chin EMG tone",
"transient muscle activity"). The heart is slowest in N3 and follows the breath (respiratory sinus arrhythmia). In OSA
an apnoea of at least 10 s ends with each arousal.
"""

import numpy as np
from scipy import signal

from anysleep.synthetic.events import cover
from anysleep.synthetic.persons import Traits

POLYGRAPHY = ("chin", "II", "nasal")
"""EMG, ECG, airflow."""

_CHIN_UV = np.array([14.0, 6.0, 4.5, 4.0, 1.0, 30.0])
_TWITCH_UV = 15.0
_HEART_TIMES = np.array([1.08, 1.02, 0.97, 0.94, 1.02, 1.15])
_BREATH_TIMES = np.array([1.05, 1.0, 0.98, 0.98, 1.05, 1.1])
"""By condition (five stages, arousal): SD of the chin EMG, and rates relative to the person's own."""

_ECG_UV = 900.0
_ECG_WAVES = ((-0.17, 0.022, 0.12), (-0.03, 0.010, -0.12), (0.0, 0.012, 1.0), (0.03, 0.011, -0.22), (0.26, 0.045, 0.28))
"""P Q R S T: centre in s from the R peak, width in s, height relative to R."""

_APNOEA_S = (10.0, 30.0)
_FLOW_UV = 100.0


def simulate_chin(
    weights: np.ndarray, twitches_s: np.ndarray, traits: Traits, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """(S * rate_hz,) float32 chin EMG in uV; `weights` (S, 6) shares of stages and arousal, `twitches_s` (n, 2)."""
    level_uv = np.repeat(np.maximum(weights @ _CHIN_UV, 0).astype(np.float32), rate_hz)
    for start, stop in np.round(twitches_s * rate_hz).astype(int):
        level_uv[start:stop] += np.float32(_TWITCH_UV)
    white = rng.standard_normal(level_uv.size + 1, dtype=np.float32)
    return level_uv * np.float32(traits.muscle_gain / np.sqrt(2)) * np.diff(white)  # little is left below 10 Hz


def simulate_breath(weights: np.ndarray, traits: Traits, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """(S * rate_hz,) float64 phase of the breath in cycles."""
    per_s = traits.breaths_per_min / 60 * (weights @ _BREATH_TIMES) * np.exp(0.1 * rng.standard_normal(len(weights)))
    return _phase(per_s, rate_hz)


def simulate_airflow(
    breath: np.ndarray, arousals_s: np.ndarray, osa: bool, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """(T,) float32 airflow at the nose in uV; with OSA none during the apnoeas that end with arousals."""
    flow_uv = np.float32(_FLOW_UV) * np.sin(2 * np.pi * (breath % 1.0)).astype(np.float32)
    if osa:
        onsets = np.maximum(arousals_s[:, 0] - rng.uniform(*_APNOEA_S, len(arousals_s)), 0)
        apnoeas = cover(breath.size // rate_hz, np.column_stack([onsets, arousals_s[:, 0]]))
        flow_uv *= np.repeat(1 - np.float32(0.95) * apnoeas, rate_hz)
    return flow_uv


def simulate_ecg(
    weights: np.ndarray, breath: np.ndarray, traits: Traits, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """(S * rate_hz,) float32 ECG in uV, R peak of about 0.9 mV."""
    per_s = traits.beats_per_min / 60 * (weights @ _HEART_TIMES) * np.exp(0.03 * rng.standard_normal(len(weights)))
    beat = _phase(per_s, rate_hz) + 0.03 * np.sin(2 * np.pi * breath)
    peaks = np.zeros(beat.size, dtype=np.float32)
    peaks[1:] = np.diff(np.floor(beat)) > 0
    t = np.arange(-0.3, 0.45, 1 / rate_hz)
    wave = sum(height * np.exp(-0.5 * ((t - centre) / width) ** 2) for centre, width, height in _ECG_WAVES)
    return np.float32(_ECG_UV) * signal.oaconvolve(peaks, wave.astype(np.float32), mode="same")


def _phase(per_s: np.ndarray, rate_hz: int) -> np.ndarray:
    """(S,) cycles per second -> (S * rate_hz,) cycles so far."""
    return np.cumsum(np.repeat(per_s / rate_hz, rate_hz))

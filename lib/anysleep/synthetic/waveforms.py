"""The shape of events: one function a graphoelement, unit amplitude, and how they are added to the channels."""

from collections.abc import Iterable

import numpy as np

SCALP = {  # amplitude at F3, F4, C3, C4, O1, O2, E1, E2
    "slow_wave": (1.0, 1.0, 0.85, 0.85, 0.5, 0.5, 0.65, 0.65),
    "k_complex": (1.0, 1.0, 0.85, 0.85, 0.4, 0.4, 0.65, 0.65),
    "spindle": (0.8, 0.8, 1.0, 1.0, 0.35, 0.35, 0.15, 0.15),
    "sawtooth": (0.7, 0.7, 1.0, 1.0, 0.5, 0.5, 0.1, 0.1),
    "vertex_wave": (0.7, 0.7, 1.0, 1.0, 0.4, 0.4, 0.3, 0.3),
    "rapid_eye_movement": (0.15, -0.15, 0.04, -0.04, 0.0, 0.0, 1.0, -0.9),
    "saccade": (0.15, -0.15, 0.04, -0.04, 0.0, 0.0, 1.0, -0.9),
    "slow_eye_movement": (0.1, -0.1, 0.03, -0.03, 0.0, 0.0, 1.0, -1.0),
    "blink": (0.55, 0.55, 0.15, 0.15, 0.03, 0.03, -0.5, 0.9),
}
"""Scalp distribution of each kind of event. E1 lies below its eye and E2 above, so eye movements are out of phase."""


def slow_wave(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Negative, then positive half-wave; 1 from trough to peak."""
    turn = rng.uniform(0.4, 0.55)
    phase = np.arange(n) / n
    down = np.sin(np.pi * np.clip(phase / turn, 0, 1))
    up = np.sin(np.pi * np.clip((phase - turn) / (1 - turn), 0, 1))
    return 0.45 * up - 0.55 * down


def k_complex(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Sharp negative wave followed by a slower positive one; 1 from trough to peak."""
    phase = np.arange(n) / n
    down = np.exp(-0.5 * ((phase - 0.25) / 0.10) ** 2)
    up = np.exp(-0.5 * ((phase - 0.62) / 0.15) ** 2)
    return 0.42 * up - 0.58 * down


def vertex_wave(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Sharp negative wave."""
    phase = np.arange(n) / n
    return -np.exp(-0.5 * ((phase - 0.4) / 0.13) ** 2) + 0.3 * np.exp(-0.5 * ((phase - 0.75) / 0.13) ** 2)


def spindle(n: int, rate_hz: int, rng: np.random.Generator, spindle_hz: float = 13.2) -> np.ndarray:
    """Waxing and waning oscillation that slows down a little (about 0.3 Hz)."""
    t = np.arange(n) / rate_hz
    duration = n / rate_hz
    hz = spindle_hz + rng.normal(0, 0.25)
    cycles = hz * t - 0.15 * t**2 / max(duration, 0.1)
    return np.sin(np.pi * t / duration) * np.sin(2 * np.pi * (cycles + rng.random()))


def sawtooth(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Train of triangular waves of 2-5 Hz, steep on one side."""
    t = np.arange(n) / rate_hz
    phase = (rng.uniform(2.2, 4.5) * t) % 1.0
    wave = np.where(phase < 0.3, phase / 0.3, (1 - phase) / 0.7) - 0.5
    return wave * np.minimum(1, 6 * np.sin(np.pi * np.arange(n) / n))


def rapid_eye_movement(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Eye movement of REM: a rounded deflection of 0.1-0.25 s, brief hold, slower return (AASM: below 0.5 s)."""
    return _gaze_shift(n, rate_hz, rng, rise_s=rng.uniform(0.025, 0.045), fall_s=0.06)


def saccade(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Eye movement of Wake: a fast deflection of 50-100 ms, brief hold and return."""
    return _gaze_shift(n, rate_hz, rng, rise_s=0.02, fall_s=0.035)


def _gaze_shift(n: int, rate_hz: int, rng: np.random.Generator, rise_s: float, fall_s: float) -> np.ndarray:
    """To either side and back; two logistic edges with these time constants."""
    t = np.arange(n) / rate_hz
    duration = n / rate_hz
    rise = 1 / (1 + np.exp(-(t - 0.28 * duration) / rise_s))
    fall = 1 / (1 + np.exp((t - 0.66 * duration) / fall_s))
    return rng.choice([-1.0, 1.0]) * rise * fall


def slow_eye_movement(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Rolling eyes: a few sinusoidal cycles of 0.25-0.5 Hz."""
    t = np.arange(n) / rate_hz
    return np.sin(np.pi * t / t[-1]) * np.sin(2 * np.pi * (rng.uniform(0.25, 0.5) * t + rng.random()))


def blink(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """One lid closure."""
    phase = np.arange(n) / n
    return np.exp(-0.5 * ((phase - 0.42) / 0.14) ** 2) - 0.15 * np.exp(-0.5 * ((phase - 0.85) / 0.12) ** 2)


SHAPES = {
    "slow_wave": slow_wave,
    "k_complex": k_complex,
    "vertex_wave": vertex_wave,
    "spindle": spindle,
    "sawtooth": sawtooth,
    "rapid_eye_movement": rapid_eye_movement,
    "saccade": saccade,
    "slow_eye_movement": slow_eye_movement,
    "blink": blink,
}


def add_events(
    signals_uv: np.ndarray,
    kind: str,
    intervals_s: np.ndarray,
    amplitudes_uv: Iterable[float],
    rate_hz: int,
    rng: np.random.Generator,
    **shape: float,
) -> None:
    """Add events of one kind to all channels, in place.

    Parameters
    ----------
    signals_uv
        (C, T) changed in place.
    kind
        A key of `SHAPES`.
    intervals_s
        (n, 2) onset and end.
    amplitudes_uv
        (n,) amplitude at the strongest site.
    rate_hz
        Sampling rate.
    rng
        Source of randomness (shapes vary).
    shape
        Further arguments of the shape function.
    """
    scalp = np.array(SCALP[kind], dtype=np.float32)[:, None]
    for (onset, end), amplitude in zip(intervals_s * rate_hz, amplitudes_uv, strict=True):
        start, stop = round(onset), round(end)
        wave = amplitude * SHAPES[kind](stop - start, rate_hz, rng, **shape)
        signals_uv[:, start:stop] += scalp * wave.astype(np.float32)

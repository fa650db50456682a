"""Events: when they happen (by stage), how long they last and what they look like (AASM manual)."""

from collections.abc import Callable, Iterable

import numpy as np

from anysleep.stages import N1, N2, N3, REM, WAKE
from anysleep.synthetic.persons import PersonTraits

AROUSAL_S = (3.0, 15.0)
"""Shortest and longest arousal (AASM: an abrupt shift of frequency of at least 3 s; longer than 15 s is waking up)."""

_AROUSAL_MEDIAN_S, _AROUSAL_LOG_SD = 5.5, 0.35
_AROUSAL_GAP_S = 12
"""Seconds of undisturbed sleep before an arousal (AASM asks for 10 s) and after it."""

_AROUSAL_PROPENSITY = np.array([0.0, 1.3, 1.1, 0.45, 1.0])
"""How readily each stage is interrupted by an arousal (N3 hardly)."""

_SAWTOOTH_LEAD_S = 5
"""Seconds before a burst of rapid eye movements in which saw-tooth waves begin."""

_LIGHT_S = (5.0, 10.0)
"""Length of the light sleep that may follow an arousal."""


def draw_arousals(path: np.ndarray, arousals_per_h: float, rng: np.random.Generator) -> np.ndarray:
    """Place arousals in sleep, from the stage in each second, path (S,); the 30 s stage stays what it was.

    (n, 2) float64 onset and end in s, 3-15 s long, sorted, never overlapping, and with at least 12 s of sleep without
    another arousal before and after each.
    """
    propensity = _AROUSAL_PROPENSITY[path]
    asleep = path != WAKE
    n_wanted = rng.poisson(arousals_per_h * asleep.sum() / 3600)
    if n_wanted == 0:
        return np.zeros((0, 2))
    onsets = rng.choice(len(path), size=4 * n_wanted, p=propensity / propensity.sum()) + rng.random(4 * n_wanted)
    durations = np.clip(rng.lognormal(np.log(_AROUSAL_MEDIAN_S), _AROUSAL_LOG_SD, len(onsets)), *AROUSAL_S)
    blocked = np.r_[~asleep, True]
    arousals: list[tuple[float, float]] = []
    for onset, duration in zip(onsets, durations, strict=True):
        first, last = int(onset) - _AROUSAL_GAP_S, int(onset + duration) + 1 + _AROUSAL_GAP_S
        if len(arousals) == n_wanted or first < 0 or blocked[first : last + 1].any():
            continue
        arousals.append((round(onset, 2), round(onset + duration, 2)))
        blocked[int(onset) : int(onset + duration) + 1] = True
    return np.array(sorted(arousals)).reshape(-1, 2)


def draw_light_sleep(arousals_s: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Seconds of light sleep (n, 2) that follow a share of the arousals: sleep is resumed by way of N1."""
    chosen = arousals_s[rng.random(len(arousals_s)) < share]
    lengths = rng.uniform(*_LIGHT_S, len(chosen))
    return np.column_stack([chosen[:, 1], chosen[:, 1] + lengths])


def cover(n_seconds: int, intervals_s: np.ndarray) -> np.ndarray:
    """(n_seconds,) float32: share of each second that the intervals cover."""
    cumulated = np.zeros(n_seconds + 1)
    for edges, sign in ((intervals_s[:, 0], 1.0), (intervals_s[:, 1], -1.0)):
        inside = np.clip(edges, 0, n_seconds)
        whole = inside.astype(int)
        np.add.at(cumulated, np.minimum(whole, n_seconds), sign * (1 - (inside - whole)))
        later = np.minimum(whole + 1, n_seconds)
        np.add.at(cumulated, later, sign * (inside - whole))
    return np.clip(np.cumsum(cumulated)[:n_seconds], 0, 1).astype(np.float32)


def place_events(
    rate_per_s: np.ndarray, draw_durations: Callable[[int], np.ndarray], gap_s: float, rng: np.random.Generator
) -> np.ndarray:
    """Events of one kind: (n, 2) onset and end in s, inside the recording, and at least `gap_s` apart.

    `rate_per_s` (S,) is the number expected in each second; `draw_durations` gives so many durations in s.
    """
    counts = rng.poisson(rate_per_s)
    onsets = np.repeat(np.arange(len(counts)), counts) + rng.random(counts.sum())
    onsets.sort()
    ends = onsets + draw_durations(len(onsets))
    kept, free_from = [], 0.05
    for onset, end in zip(onsets, ends, strict=True):
        if onset >= free_from and end < len(rate_per_s) - 0.05:
            kept.append((onset, end))
            free_from = end + gap_s
    return np.array(kept).reshape(-1, 2)


def draw_events(
    weights: np.ndarray, eyes_closed: np.ndarray, traits: PersonTraits, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """All scored graphoelements, eye movements and twitches of a night: kind -> (n, 2) onset and end in s.

    REM is phasic in bursts, with rapid eye movements and twitches of the chin, and tonic, without, for most of the
    time; trains of saw-tooth waves come before bursts (AASM: "often, but not always, preceding a burst of rapid eye
    movements"). Wake with open eyes has saccades and 18 blinks a minute; slow eye movements come with N1 and
    drowsiness. `weights` (S, 6) are shares of stages and arousal in each second, `eyes_closed` (S,) is 0 to 1.
    """
    wake, n1, n2, n3, rem = (weights[:, stage] for stage in (WAKE, N1, N2, N3, REM))
    phasic = draw_bursts(len(weights), mean_on_s=6.0, mean_off_s=28.0, rng=rng)
    before_phasic = np.maximum(np.roll(phasic, -_SAWTOOTH_LEAD_S) - phasic, 0)
    open_eyes = wake * (1 - eyes_closed)

    def uniform(low: float, high: float) -> Callable[[int], np.ndarray]:
        return lambda n: rng.uniform(low, high, n)

    spindles = traits.spindles_per_min / 60
    return {
        "slow_wave": place_events(1.6 * n3**1.5 + 0.035 * n2, uniform(0.8, 1.5), 0.05, rng),
        "k_complex": place_events(traits.k_complexes_per_min / 60 * n2**2, uniform(0.7, 1.1), 2.0, rng),
        "spindle": place_events(spindles * (1.25 * n2**2 + 0.25 * n3), uniform(0.6, 1.6), 1.0, rng),
        "vertex_wave": place_events(0.05 * n1**2, uniform(0.25, 0.4), 1.0, rng),
        "sawtooth": place_events(rem**2 * (0.002 + 0.2 * before_phasic), uniform(2.0, 5.0), 3.0, rng),
        "rapid_eye_movement": place_events(rem**2 * (0.008 + 0.7 * phasic), uniform(0.6, 1.2), 0.1, rng),
        "twitch": place_events(rem**2 * (0.005 + 0.15 * phasic), uniform(0.1, 0.4), 0.2, rng),
        "saccade": place_events(0.25 * open_eyes, uniform(0.4, 1.0), 0.1, rng),
        "slow_eye_movement": place_events(0.06 * n1 + 0.02 * wake * eyes_closed, uniform(3.0, 8.0), 1.0, rng),
        "blink": place_events(0.3 * open_eyes, uniform(0.25, 0.4), 0.2, rng),
    }


def draw_bursts(n_seconds: int, mean_on_s: float, mean_off_s: float, rng: np.random.Generator) -> np.ndarray:
    """(n_seconds,) float32, 1 inside bursts and 0 between them; exponential lengths."""
    n_pairs = int(3 * n_seconds / (mean_on_s + mean_off_s)) + 10
    lengths = np.column_stack([rng.exponential(mean_off_s, n_pairs), rng.exponential(mean_on_s, n_pairs)])
    edges = np.cumsum(lengths.ravel())
    inside = np.searchsorted(edges, np.arange(n_seconds) + rng.uniform(0, 1)) % 2
    return inside.astype(np.float32)


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


_WAVES = slow_wave, k_complex, vertex_wave, spindle, sawtooth
_EYES = rapid_eye_movement, saccade, slow_eye_movement, blink
SHAPES = {shape.__name__: shape for shape in (*_WAVES, *_EYES)}


def add_events(
    signals_uv: np.ndarray,
    kind: str,
    intervals_s: np.ndarray,
    amplitudes_uv: Iterable[float],
    rate_hz: int,
    rng: np.random.Generator,
    **shape: float,
) -> None:
    """Add events of one kind, intervals (n, 2) in s, to all channels (C, T), in place.

    `amplitudes_uv` (n,) are those at the strongest site; `shape` goes to the shape function.
    """
    scalp = np.array(SCALP[kind], dtype=np.float32)[:, None]
    for (onset, end), amplitude in zip(intervals_s * rate_hz, amplitudes_uv, strict=True):
        start, stop = round(onset), round(end)
        wave = amplitude * SHAPES[kind](stop - start, rate_hz, rng, **shape)
        signals_uv[:, start:stop] += scalp * wave.astype(np.float32)

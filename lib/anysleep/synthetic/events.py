"""When events happen: rates that depend on the stage, durations from the AASM manual, and arousals."""

from collections.abc import Callable

import numpy as np

from anysleep.stages import N1, N2, N3, REM, WAKE
from anysleep.synthetic.persons import Traits

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
    """Place arousals in sleep; the 30 s stage stays what it was.

    Parameters
    ----------
    path
        (S,) stage in each second.
    arousals_per_h
        Per hour of sleep.
    rng
        Source of randomness.

    Returns
    -------
    (n, 2) float64 onset and end in seconds, 3-15 s long, sorted, never overlapping, and with at least 12 s of sleep
    without another arousal before and after each.
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
    """Seconds of light sleep that follow a share of the arousals: sleep is resumed by way of N1.

    Returns
    -------
    (n, 2) onset and end in seconds.
    """
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
    rate_per_s: np.ndarray,
    draw_durations: Callable[[int], np.ndarray],
    gap_s: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw events of one kind.

    Parameters
    ----------
    rate_per_s
        (S,) expected number in each second.
    draw_durations
        Number -> that many durations in seconds.
    gap_s
        Least time between one event's end and the next one's onset.
    rng
        Source of randomness.

    Returns
    -------
    (n, 2) onset and end in seconds, inside the recording.
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
    weights: np.ndarray, eyes_closed: np.ndarray, traits: Traits, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """All scored graphoelements, eye movements and twitches of a night.

    REM is phasic in bursts, with rapid eye movements and twitches of the chin, and tonic, without, for most of the
    time; trains of saw-tooth waves come before bursts (AASM: "often, but not always, preceding a burst of rapid eye
    movements"). Wake with open eyes has saccades and 18 blinks a minute; slow eye movements come with N1 and
    drowsiness.

    Parameters
    ----------
    weights
        (S, 6) share of the stages and of arousal in each second.
    eyes_closed
        (S,) 0 to 1.
    traits
        Of the sleeper.
    rng
        Source of randomness.

    Returns
    -------
    kind -> (n, 2) onset and end in seconds.
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

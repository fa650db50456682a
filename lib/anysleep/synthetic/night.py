"""One synthetic night: hypnogram, arousals and events first, then the channels that show them."""

from dataclasses import dataclass

import numpy as np

from anysleep.stages import EPOCH_S, N1, N_STAGES, WAKE
from anysleep.synthetic.background import component_powers, lean_weights, simulate_background
from anysleep.synthetic.events import add_events, cover, draw_arousals, draw_bursts, draw_events, draw_light_sleep
from anysleep.synthetic.hypnogram import simulate_hypnogram, stage_path
from anysleep.synthetic.persons import (
    Circumstances,
    Person,
    PersonTraits,
    draw_circumstances,
    draw_traits,
    person_rng,
    under,
)
from anysleep.synthetic.recorder import (
    POLYGRAPHY,
    disturb,
    record,
    simulate_airflow,
    simulate_breath,
    simulate_chin,
    simulate_ecg,
)

LOWEST_RATE_HZ = 64
"""Spindles, beta and muscle activity need at least this."""


@dataclass(frozen=True, eq=False)
class SyntheticNight:
    """One simulated recording. Nothing in it was measured."""

    recording: str  # "syn001-night1"
    person: Person
    circumstances: Circumstances  # of the person, on all nights
    channels: tuple[str, ...]  # (C,) EEG, EOG, then chin EMG, ECG and airflow
    signals_uv: np.ndarray  # float32 (C, T)
    rate_hz: int
    hypnogram: np.ndarray  # int8 (E,)
    stage_path: np.ndarray  # int8 (E * 30,), the stage in each second; it changes inside epochs
    arousals: np.ndarray  # (n, 2) onset and end in s, during sleep
    events: dict[str, np.ndarray]  # kind -> (n, 2) onset and end in s


def simulate_night(
    person: Person,
    night: int = 1,
    hours: float = 8.0,
    seed: int = 0,
    rate_hz: int = 128,
    variety: float = 0.0,
    circumstances: Circumstances | None = None,
) -> SyntheticNight:
    """Simulate night number `night` (from 1) of one person. The same arguments give the same samples.

    `variety` is how much persons and laboratories differ, 0 to 1, or their `circumstances` are given; a nap is a
    quarter of `hours`.
    ValueError if `hours` is shorter than an epoch, `rate_hz` below 64 or not whole, `night` below 1, `seed` negative or
    `variety` outside [0, 1].
    """
    check_recording(hours, rate_hz)
    rate_hz = int(rate_hz)
    if night < 1:
        raise ValueError(f"night is {night}; nights are numbered from 1.")
    circumstances = circumstances or draw_circumstances(person, seed, variety)
    traits = under(draw_traits(person, seed, night), circumstances)
    rng = np.random.default_rng([person_rng(person, seed, night).integers(2**63), night])
    kind = circumstances.sleep
    n_epochs = max(int((hours / 4 if kind == "nap" else hours) * 3600 / EPOCH_S), 1)
    hypnogram = simulate_hypnogram(n_epochs, rng, "usual" if kind == "first night" and night > 1 else kind)
    path = stage_path(hypnogram, rng)
    arousals = draw_arousals(path, traits.arousals_per_h, rng)
    weights, eyes_closed = _conditions(path, arousals, traits, rng)
    events = draw_events(weights, eyes_closed, traits, rng)
    signals_uv = simulate_background(component_powers(weights, eyes_closed, traits, rng), traits, rate_hz, rng)
    _add_all_events(signals_uv, events, traits, rate_hz, rng)
    breath = simulate_breath(weights, traits, rate_hz, rng)
    chin_uv = simulate_chin(weights, events["twitch"], traits, rate_hz, rng)
    ecg_uv = simulate_ecg(weights, breath, traits, rate_hz, rng)
    flow_uv = simulate_airflow(breath, arousals, person.osa, rate_hz, rng)
    disturb(signals_uv, weights, breath, ecg_uv, circumstances, rng)
    channels, signals_uv = record(signals_uv, traits, circumstances, rate_hz, rng)
    return SyntheticNight(
        recording=f"{person.subject}-night{night}",
        person=person,
        circumstances=circumstances,
        channels=(*channels, *POLYGRAPHY),
        signals_uv=np.vstack([signals_uv, chin_uv, ecg_uv, flow_uv]),
        rate_hz=rate_hz,
        hypnogram=hypnogram,
        stage_path=path,
        arousals=arousals,
        events=events,
    )


def check_recording(hours: float, rate_hz: float) -> None:
    """Raise ValueError unless a night of this length and rate can be made."""
    if not hours * 3600 >= EPOCH_S:
        raise ValueError(f"hours is {hours}; a night needs at least one epoch (30 s), usually 6 to 9 hours.")
    if rate_hz != int(rate_hz) or rate_hz < LOWEST_RATE_HZ:
        raise ValueError(
            f"rate_hz is {rate_hz}; use a whole number of at least {LOWEST_RATE_HZ} (spindles and muscle activity "
            "need it), for example 128."
        )


def _conditions(
    path: np.ndarray, arousals: np.ndarray, traits: PersonTraits, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (S, 6) of the stages and arousal in each second, and eyes closed (S,).

    Moments of movement in Wake look like arousals: an arousal is a few seconds of Wake inside sleep.
    """
    n_seconds = len(path)
    stages = lean_weights(path, rng)
    light = draw_light_sleep(arousals, traits.light_after_arousal, rng)
    light_share = cover(n_seconds, light)[:, None]
    stages = (1 - light_share) * stages + light_share * np.eye(N_STAGES, dtype=np.float32)[N1]
    moving = draw_bursts(n_seconds, mean_on_s=8.0, mean_off_s=14.0, rng=rng) * (path == WAKE)
    aroused = np.maximum(cover(n_seconds, arousals), moving)[:, None]
    weights = np.concatenate([(1 - aroused) * stages, aroused], axis=1)
    eyes_closed = draw_bursts(n_seconds, mean_on_s=60.0, mean_off_s=traits.eyes_open_s, rng=rng)
    return weights, eyes_closed


def _add_all_events(
    signals_uv: np.ndarray, events: dict[str, np.ndarray], traits: PersonTraits, rate_hz: int, rng: np.random.Generator
) -> None:
    typical_uv = {  # median amplitude; SD of its logarithm
        "slow_wave": (traits.slow_wave_uv, 0.25),
        "k_complex": (1.35 * traits.slow_wave_uv, 0.25),
        "spindle": (traits.spindle_uv, 0.25),
        "vertex_wave": (60.0, 0.25),
        "sawtooth": (40.0, 0.25),
        "rapid_eye_movement": (34.0 * traits.eye_gain, 0.55),
        "saccade": (80.0 * traits.eye_gain, 0.45),
        "slow_eye_movement": (42.0 * traits.eye_gain, 0.25),
        "blink": (130.0 * traits.eye_gain, 0.25),
    }
    for kind, (median_uv, log_sd) in typical_uv.items():
        amplitudes = median_uv * rng.lognormal(0, log_sd, len(events[kind]))
        shape = {"spindle_hz": traits.spindle_hz} if kind == "spindle" else {}
        add_events(signals_uv, kind, events[kind], amplitudes, rate_hz, rng, **shape)

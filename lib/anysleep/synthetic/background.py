"""The ongoing EEG between events: coloured noise whose spectrum follows the stage, second by second.

Every second has weights over six conditions (five stages, and arousal as the sixth). Weights give the power of nine
components (aperiodic activity, alpha, emg ...), each with a spectrum and a scalp distribution; noise of that spectrum
is made in windows of 2 s that overlap by half. Stages differ as in the AASM manual (Berry et al.): occipital alpha in
Wake with eyes closed, theta in N1, slow activity in N3, low mixed frequencies in REM, whose alpha is 1-2 Hz slower than
that of Wake. The aperiodic slope steepens with depth (Lendner et al. 2020, eLife 9:e55092); beta is higher in REM than
in N2 and N3, while muscle activity is lowest in REM (atonia; AASM: low chin EMG tone), so that little is left of it
above 30 Hz. Powers of N2, N3 and REM at C3 fall over the bands about as in one real EEG (Prerau lab, DYNAM-O).
"""

import numpy as np
from scipy import fft, ndimage

from anysleep.stages import N1, N2, N3, N_STAGES, REM, WAKE
from anysleep.synthetic.persons import N_EEG, N_EOG, PersonTraits

CHANNELS = ("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "E2-M2")
"""EEG first, then EOG."""

_WINDOW_S = 2
_COMMON_SHARE = 0.55
"""Share of a channel's background power that it has in common with the others (volume conduction, reference)."""

#     steep  flat   delta  theta  alpha  slow   sigma  beta   emg; "slow" is alpha of drowsiness and of REM
_POWER_UV2 = np.array(  # (condition, component): power in uV^2 at the site where the component is strongest
    [
        [40.0, 30.0, 10.0, 6.0, 16.0, 8.0, 4.0, 9.0, 9.0],  # Wake, eyes open; closing them adds _CLOSED_ALPHA_UV2
        [42.0, 16.0, 16.0, 24.0, 2.0, 11.0, 3.6, 4.5, 2.0],  # N1
        [70.0, 14.0, 45.0, 19.0, 2.5, 15.0, 6.0, 1.9, 0.5],  # N2
        [120.0, 12.0, 200.0, 24.0, 2.5, 16.0, 5.0, 1.3, 0.35],  # N3
        [34.0, 15.0, 16.0, 16.0, 0.5, 9.0, 2.4, 3.6, 0.1],  # REM
        [40.0, 30.0, 12.0, 8.0, 80.0, 20.0, 5.0, 18.0, 45.0],  # arousal, and moments of movement in Wake
    ]
)
_ALPHA, _EMG = 4, 8
_CLOSED_ALPHA_UV2 = 230.0

_SCALP = np.array(  # (component, site): amplitude relative to the site where it is strongest; sites F C O EOG
    [
        [1.0, 0.9, 0.8, 0.65],
        [0.9, 1.0, 0.9, 0.5],
        [1.0, 0.85, 0.6, 0.68],
        [0.9, 1.0, 0.7, 0.4],
        [0.45, 0.6, 1.0, 0.25],
        [0.5, 0.7, 1.0, 0.3],
        [0.8, 1.0, 0.5, 0.3],
        [1.0, 0.9, 0.7, 0.4],
        [1.0, 0.7, 0.9, 1.0],
    ]
)
_SITE = np.repeat(np.arange(4), 2)
"""Row of `_SCALP` for each channel."""

_DRIFT_SD = np.array([0.2, 0.15, 0.25, 0.25, 0.3, 0.3, 0.25, 0.2, 0.4])
"""SD of each component's log power around its mean: slow drift within the night."""
_DRIFT_S = 240.0
_FLICKER_SD = 0.35
_FLICKER_S = 6.0

_LEAN = {  # stage: (towards this stage when the lean is positive, when negative, strength)
    WAKE: (N1, WAKE, 0.25),
    N1: (WAKE, N2, 0.4),
    N2: (N3, N1, 0.25),
    N3: (N3, N2, 0.45),
    REM: (N1, REM, 0.35),
}
_LEAN_S = 45.0
"""Seconds over which a stretch of sleep leans towards a neighbouring stage: epochs are not pure."""


def lean_weights(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S, 5) float32 shares of the stages in each second of a path (S,): mostly one, at times partly a neighbour."""
    lean = smooth_noise(len(path), _LEAN_S, rng)
    weights = np.eye(N_STAGES, dtype=np.float32)[path]
    for stage, (upward, downward, strength) in _LEAN.items():
        share = np.clip(strength * np.abs(lean), 0, 0.7) * (path == stage)
        for target, here in ((upward, lean > 0), (downward, lean <= 0)):
            moved = share * here
            weights[:, stage] -= moved
            weights[:, target] += moved
    return weights


def smooth_noise(n: int, width: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) Gaussian noise of unit variance, smoothed over `width` steps."""
    margin = int(4 * width)
    white = rng.standard_normal(n + 2 * margin)
    smooth = ndimage.gaussian_filter1d(white, width, mode="wrap")[margin : margin + n]
    return (smooth * np.sqrt(2 * np.sqrt(np.pi) * width)).astype(np.float32)


def component_powers(
    weights: np.ndarray, eyes_closed: np.ndarray, traits: PersonTraits, rng: np.random.Generator
) -> np.ndarray:
    """(S, 9) float32 power in uV^2 of each component in each second, with the person's gains and the night's drift.

    `weights` (S, 6) are shares of stages and arousal, `eyes_closed` (S,) is 0 to 1.
    """
    power = weights @ _POWER_UV2
    power[:, _ALPHA] += _CLOSED_ALPHA_UV2 * eyes_closed * weights[:, WAKE]
    gains = np.ones(power.shape[1]) * traits.background_gain
    gains[2] *= traits.delta_gain
    gains[3] *= traits.theta_gain
    gains[_ALPHA : _ALPHA + 2] *= traits.alpha_gain
    gains[_EMG] *= traits.muscle_gain**2 / traits.background_gain
    n_seconds, n_components = power.shape
    for component in range(n_components):
        drift = _DRIFT_SD[component] * smooth_noise(n_seconds, _DRIFT_S, rng)
        flicker = _FLICKER_SD * smooth_noise(n_seconds, _FLICKER_S, rng)
        power[:, component] *= gains[component] * np.exp(drift + flicker)
    return power.astype(np.float32)


def component_spectra(freqs_hz: np.ndarray, alpha_hz: float, slope: float = 0.0) -> np.ndarray:
    """(9, F) power spectra of the components, each with unit sum over the frequencies.

    `slope` is added to the exponent of 1/f, round 10 Hz, without changing a component's power there.
    """
    f = np.maximum(freqs_hz, 0.25)

    def peak(centre: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((f - centre) / width) ** 2)

    spectra = np.stack(
        [
            1 / (0.5 + f**2.8),
            1 / (30.0 + f**2.6),
            peak(1.2, 0.8),
            peak(5.5, 1.5),
            peak(alpha_hz, 0.6),
            peak(alpha_hz - 1.5, 1.3),
            peak(13.0, 1.5),
            peak(20.0, 5.0),
            1 / (1 + np.exp(-(f - 26.0) / 5.0)),
        ]
    )
    spectra[:, freqs_hz == 0] = 0
    return spectra / spectra.sum(axis=1, keepdims=True) * (f / 10.0) ** -slope


def simulate_background(powers: np.ndarray, traits: PersonTraits, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """(C, S * rate_hz) float32 background in uV, from the power (S, 9) of each component in each second, in uV^2."""
    n_seconds = len(powers)
    n_window = _WINDOW_S * rate_hz
    # Frame k covers seconds k - 1 and k; n_seconds + 1 frames cover every second twice.
    edged = np.concatenate([powers[:1], powers, powers[-1:]])
    frame_powers = (edged[:-1] + edged[1:]) / 2  # (S + 1, 9)
    freqs_hz = fft.rfftfreq(n_window, 1 / rate_hz)
    spectra = component_spectra(freqs_hz, traits.alpha_hz, traits.slope)
    window = np.sin(np.pi * (np.arange(n_window) + 0.5) / n_window).astype(np.float32)
    # A bin of complex variance v (real and imaginary v / 2) adds 2 v / n^2 to the power after irfft.
    scale = n_window**2 / 4
    common = _complex_noise(len(frame_powers), len(freqs_hz), rng)
    channels = np.empty((N_EEG + N_EOG, n_seconds * rate_hz), dtype=np.float32)
    for channel, site in enumerate(_SITE):
        shape = scale * _SCALP[:, site, None] ** 2 * spectra  # (9, F)
        noise = _complex_noise(len(frame_powers), len(freqs_hz), rng)
        noise *= np.float32(np.sqrt(1 - _COMMON_SHARE))
        noise += np.float32(np.sqrt(_COMMON_SHARE)) * common
        noise *= np.sqrt(frame_powers @ shape.astype(np.float32))
        frames = fft.irfft(noise, n=n_window, axis=1, overwrite_x=True)
        frames *= window
        seconds = frames[1:, :rate_hz] + frames[:-1, rate_hz:]
        channels[channel] = seconds.ravel()
    return channels


def _complex_noise(n_frames: int, n_freqs: int, rng: np.random.Generator) -> np.ndarray:
    """(n_frames, n_freqs) complex64; real and imaginary part of unit variance."""
    parts = rng.standard_normal((n_frames, n_freqs * 2), dtype=np.float32)
    return parts.view(np.complex64)

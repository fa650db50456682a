"""From the body to the file: chin EMG, ECG and airflow; montage, electrodes, amplifier, and what disturbs them.

The tone of the chin falls from Wake to N3 and is lowest in REM, but for short twitches (AASM: "low chin EMG tone",
"transient muscle activity"). The heart is slowest in N3 and follows the breath (respiratory sinus arrhythmia). In OSA
an apnoea of at least 10 s ends with each arousal.

The eight channels that `background` and `events` make are potentials against the mastoids; other derivations are sums
and differences of them (10-20 sites between two of them by their mean).
"""

import numpy as np
from scipy import ndimage, signal

from anysleep.synthetic.background import CHANNELS, smooth_noise
from anysleep.synthetic.events import cover, draw_bursts, place_events
from anysleep.synthetic.persons import Circumstances, PersonTraits

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
    weights: np.ndarray, twitches_s: np.ndarray, traits: PersonTraits, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """(S * rate_hz,) float32 chin EMG in uV; `weights` (S, 6) shares of stages and arousal, `twitches_s` (n, 2)."""
    level_uv = np.repeat(np.maximum(weights @ _CHIN_UV, 0).astype(np.float32), rate_hz)
    for start, stop in np.round(twitches_s * rate_hz).astype(int):
        level_uv[start:stop] += np.float32(_TWITCH_UV)
    white = rng.standard_normal(level_uv.size + 1, dtype=np.float32)
    return level_uv * np.float32(traits.muscle_gain / np.sqrt(2)) * np.diff(white)  # little is left below 10 Hz


def simulate_breath(weights: np.ndarray, traits: PersonTraits, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
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
    weights: np.ndarray, breath: np.ndarray, traits: PersonTraits, rate_hz: int, rng: np.random.Generator
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


AMPLIFIER_LIMIT_UV = 499.0
"""Larger deflections are cut, as an amplifier with a range of +-500 uV would."""

_EOG = ("E1-M2", "E2-M2")
MONTAGES = {
    "contralateral": CHANNELS,
    "same side": ("F3-M1", "F4-M2", "C3-M1", "C4-M2", "O1-M1", "O2-M2", "E1-M1", "E2-M1"),
    "linked": ("F3-A1A2", "F4-A1A2", "C3-A1A2", "C4-A1A2", "P3-A1A2", "P4-A1A2", "E1-A1A2", "E2-A1A2"),
    "vertex": ("F3-Cz", "F4-Cz", "O1-Cz", "O2-Cz", "Fz-Cz", "Oz-Cz", *_EOG),
    "average": ("F3-avg", "F4-avg", "C3-avg", "C4-avg", "O1-avg", "O2-avg", "E1-avg", "E2-avg"),
    "bipolar": ("F3-C3", "F4-C4", "C3-O1", "C4-O2", "Fz-Cz", "Pz-Oz", "E1-E2"),
    "midline": ("Fz-M2", "Cz-M2", "Pz-M2", "Oz-M2", "Fpz-Cz", "Pz-Oz", "E1-Fpz", "E2-Fpz"),
    "frontopolar": ("Fp1-M2", "Fp2-M1", "F3-M2", "C4-M1", "P3-M2", "Cz-M1", "E1-M2", "E2-M1"),
}

_MEAN_OF = {  # site -> the sites whose mean it is
    "Fz": ("F3", "F4"),
    "Cz": ("C3", "C4"),
    "Oz": ("O1", "O2"),
    "Pz": ("C3", "C4", "O1", "O2"),
    "P3": ("C3", "O1"),
    "P4": ("C4", "O2"),
    "avg": ("F3", "F4", "C3", "C4", "O1", "O2"),
    **{mastoid: () for mastoid in ("M1", "M2", "A1A2")},
}
_WITH_EYES = {"Fp1": ("F3",), "Fp2": ("F4",), "Fpz": ("F3", "F4")}
"""Sites above the eyes, which see blinks half as large again."""
_SITES = tuple(name.split("-")[0] for name in CHANNELS)


def derivation(name: str) -> np.ndarray:
    """(8,) weights of `background.CHANNELS` for a derivation such as 'Fz-Cz'."""
    site, reference = name.split("-")
    return _potential(site) - _potential(reference)


def _potential(site: str) -> np.ndarray:
    sources = _WITH_EYES.get(site) or _MEAN_OF.get(site, (site,))
    weights = np.array([(s in sources) / max(len(sources), 1) for s in _SITES])
    if site in _WITH_EYES:
        weights += np.isin(_SITES, ("E1", "E2")) * 0.5
    return weights.astype(np.float32)


def disturb(
    signals_uv: np.ndarray,
    weights: np.ndarray,
    breath: np.ndarray,
    ecg_uv: np.ndarray,
    circumstances: Circumstances,
    rng: np.random.Generator,
) -> None:
    """Add to the eight channels (8, T), in place, what comes from the body but not from brain, eyes or tonic muscle.

    `weights` are shares (S, 6) of stages and arousal in each second, `breath` is the phase (T,) in cycles.
    """
    n_seconds = len(weights)
    rate_hz = len(breath) // n_seconds
    if circumstances.ecg_share > 0:
        for channel in signals_uv:
            channel += np.float32(circumstances.ecg_share * rng.normal(1, 0.5)) * ecg_uv
    if circumstances.sweat_uv > 0:
        sweating = np.convolve(draw_bursts(n_seconds, 1500.0, 4000.0, rng), np.ones(60) / 60, mode="same")
        for channel in signals_uv:
            channel += _interpolate(circumstances.sweat_uv * sweating * smooth_noise(n_seconds, 1.0, rng), rate_hz)
    if circumstances.snoring_uv > 0:
        snoring = draw_bursts(n_seconds, 900.0, 1800.0, rng) * (1 - weights[:, 0] - weights[:, 5])
        loudness = _interpolate(circumstances.snoring_uv * snoring, rate_hz)
        loudness *= np.maximum(np.sin(2 * np.pi * breath), 0).astype(np.float32) ** 2
        signals_uv += loudness * rng.standard_normal(breath.size, dtype=np.float32)
    if circumstances.movements_per_h > 0:
        restless = weights[:, 0] + weights[:, 5] + 0.1
        rate_per_s = circumstances.movements_per_h / 3600 * restless / restless.mean()
        _move(signals_uv, place_events(rate_per_s, lambda n: rng.uniform(2, 15, n), 5.0, rng), rate_hz, rng)


def _move(signals_uv: np.ndarray, movements_s: np.ndarray, rate_hz: int, rng: np.random.Generator) -> None:
    """Body movements, in place: large and slow, different in each channel, with muscle activity."""
    for start, stop in np.round(movements_s * rate_hz).astype(int):
        noise = rng.standard_normal((len(signals_uv), stop - start))
        slow = ndimage.gaussian_filter1d(noise, rate_hz / rng.uniform(4, 15), axis=1)
        envelope = np.sin(np.pi * np.arange(stop - start) / (stop - start)) * rng.uniform(50, 250)
        signals_uv[:, start:stop] += envelope * (slow / slow.std() + 0.15 * noise)


def record(
    signals_uv: np.ndarray, traits: PersonTraits, circumstances: Circumstances, rate_hz: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], np.ndarray]:
    """What electrodes and amplifier make of the eight channels (8, T), which may be changed.

    Names and (C, T) float32 in uV, cut at the limit.
    """
    signals_uv *= traits.channel_gains.astype(np.float32)[:, None]
    names = MONTAGES[circumstances.montage]
    if names != CHANNELS:
        signals_uv = np.stack([derivation(name) for name in names]) @ signals_uv
    names, signals_uv = _unplug(names, signals_uv, circumstances, rng)
    _loosen(signals_uv, circumstances.loose_share, rate_hz, rng)
    signals_uv *= np.float32(_ratio(circumstances.gain_db))
    for channel in signals_uv:
        channel += np.float32(traits.sensor_noise_uv) * rng.standard_normal(channel.size, dtype=np.float32)
        channel += _hum(channel.size, circumstances, rate_hz, rng)
    signals_uv = _filter(signals_uv, circumstances, rate_hz)
    _drop_out(signals_uv, circumstances.dropouts_per_h, rate_hz, rng)
    return names, np.clip(signals_uv, -AMPLIFIER_LIMIT_UV, AMPLIFIER_LIMIT_UV, out=signals_uv)


def _ratio(db: float) -> float:
    """Of amplitudes."""
    return 10 ** (db / 20)


def _interpolate(per_s: np.ndarray, rate_hz: int) -> np.ndarray:
    """(S,) -> (S * rate_hz,) float32."""
    t = np.arange(len(per_s) * rate_hz) / rate_hz
    return np.interp(t, np.arange(len(per_s)) + 0.5, per_s).astype(np.float32)


def _unplug(names: tuple[str, ...], signals_uv: np.ndarray, circumstances: Circumstances, rng: np.random.Generator):
    """Half-wired nights: without some EEG channels, at most all but one; the EOG stays."""
    n_eeg = sum(not name.startswith("E") for name in names)
    n_lost = int(np.clip(circumstances.n_unplugged, 0, n_eeg - 1))
    if not n_lost:
        return names, signals_uv
    kept = np.sort(np.r_[rng.permutation(n_eeg)[n_lost:], np.arange(n_eeg, len(names))])
    return tuple(names[i] for i in kept), signals_uv[kept]


def _loosen(signals_uv: np.ndarray, share: float, rate_hz: int, rng: np.random.Generator) -> None:
    """One electrode hangs loose for this share of the night, in place: little signal, slow drifts."""
    if share <= 0:
        return
    channel, n = signals_uv[rng.integers(len(signals_uv))], signals_uv.shape[1]
    start = int(rng.uniform(0, 1 - share) * n)
    loose = channel[start : start + int(share * n)]
    loose *= np.float32(rng.uniform(0.02, 0.3))
    drift = _interpolate(rng.uniform(5, 60) * smooth_noise(loose.size // rate_hz + 1, 1.5, rng), rate_hz)
    loose += drift[: loose.size]


def _hum(n: int, circumstances: Circumstances, rate_hz: int, rng: np.random.Generator) -> np.ndarray | float:
    """(n,) mains hum, of another level in each channel; 0 where there is none, or the recorder cannot see it."""
    mains_hz = float(circumstances.mains_hz)
    if circumstances.hum_uv <= 0 or mains_hz >= rate_hz / 2:
        return 0.0
    level_uv = circumstances.hum_uv * rng.lognormal(0, 0.6)
    phase = np.arange(n, dtype=np.float64) * (mains_hz / rate_hz) + rng.random()
    return (level_uv * np.sin(2 * np.pi * (phase % 1.0))).astype(np.float32)


def _filter(signals_uv: np.ndarray, circumstances: Circumstances, rate_hz: int) -> np.ndarray:
    """The recorder's filters: Butterworth, high-pass of 1st order and low-pass of 4th."""
    if circumstances.highpass_hz > 0:
        sos = signal.butter(1, circumstances.highpass_hz, "highpass", fs=rate_hz, output="sos")
        signals_uv = signal.sosfilt(sos, signals_uv)
    if circumstances.lowpass_hz < rate_hz / 2:
        sos = signal.butter(4, circumstances.lowpass_hz, "lowpass", fs=rate_hz, output="sos")
        signals_uv = signal.sosfilt(sos, signals_uv)
    return signals_uv.astype(np.float32, copy=False)


def _drop_out(signals_uv: np.ndarray, per_h: float, rate_hz: int, rng: np.random.Generator) -> None:
    """Transmission fails for some seconds, in place: the last sample is held."""
    n_seconds = signals_uv.shape[1] // rate_hz
    rate_per_s = np.full(n_seconds, max(per_h, 0) / 3600)
    for start, stop in np.round(place_events(rate_per_s, lambda n: rng.uniform(1, 20, n), 1.0, rng) * rate_hz).astype(
        int
    ):
        signals_uv[:, start:stop] = signals_uv[:, start : start + 1]

"""Are synthetic nights like real ones, stage by stage? Part of `make effects`; a minute, and needs `../shared`.

Beside 1.4 h of a real EEG (Prerau lab, DYNAM-O, BSD-3), the 80 nights of the Dreem Open Datasets and 20 hypnograms of
Sleep-EDF; eye movements, of which no real ones are at hand, beside what is known of them (AASM: REM has conjugate eye
movements, out of phase in the two EOG; slow waves of sleep show in both in phase; a network takes REM whose EOG varies
as much as that of Wake for Wake). The EEG has shaped the simulator's spectra, so its table tells that they stay so.
Writes outputs/effects/*.csv and exits with 1 if a target is missed.
"""

import sys
import warnings

import mne
import numpy as np
import pandas as pd
import yasa
from effects import DOD, OUTPUT, consensus
from scipy import signal

from anysleep.stages import EPOCH_S, N1, N2, N3, N_STAGES, REM, STAGES, WAKE
from anysleep.synthetic import SyntheticNight, draw_persons, simulate_hypnogram, simulate_night

DYNAMO = DOD.parents[1] / "dynamo"
SLEEP_EDF = DOD.parents[1] / "sleep_edf"
N_NIGHTS, HOURS, SEED, N_HYPNOGRAMS = 4, 8.0, 0, 100

BANDS_HZ = ((0.5, 1), (1, 2), (2, 4), (4, 6), (6, 8), (8, 12), (12, 15), (15, 20), (20, 25), (25, 30), (30, 35))
LARGEST_DB, LEAST_EPOCHS = 3.5, 20
"""Mean distance over the bands of a stage's real and synthetic spectrum, judged where so many epochs are real."""
TIMES = 2.0
"""Densities may differ by this factor: one real person stands against several."""

EYES = {  # (statistic, stage): range
    ("deviation", WAKE): (0.75, 1.3),  # of E1 within epochs, in interquartile ranges of the night
    ("deviation", REM): (0.4, 0.7),
    ("with_e2", REM): (-1.0, 0.0),  # correlation of E1
    ("with_e2", N3): (0.5, 1.0),
    ("with_f3", N3): (0.5, 1.0),
    ("with_f3", REM): (0.2, 0.7),
    ("fast", REM): (0.0, 0.2),  # deviation above 16 Hz
}


def main() -> int:
    """Run all comparisons; 0 if every target is met."""
    warnings.filterwarnings("ignore")
    if not DOD.exists():
        print(f"No comparison with real nights: {DOD} is not there.")
        return 0
    OUTPUT.mkdir(parents=True, exist_ok=True)
    nights = [simulate_night(person, hours=HOURS, seed=SEED) for person in draw_persons(N_NIGHTS, SEED)]
    tables = {
        "spectra": compare_spectra(nights),
        "eyes": measure_eyes(nights),
        "densities": compare_densities(nights),
        "bouts": compare_bouts(),
    }
    missed = []
    for name, table in tables.items():
        table.round(3).to_csv(OUTPUT / f"{name}.csv", index=False)
        print(f"\n{name}\n" + table.round(2).to_string(index=False))
        missed += [f"{name}: {' '.join(map(str, row))}" for row in table[~table.ok].iloc[:, :2].to_numpy()]
    print("\nEvery target is met." if not missed else "\nMissed:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


def read_dynamo() -> tuple[np.ndarray, int, np.ndarray]:
    """(T,) EEG in uV, its rate in Hz, and (E,) stages: the one that most of an epoch has."""
    samples, rate_hz = np.loadtxt(DYNAMO / "segment_data.csv"), 100
    changes = pd.read_csv(DYNAMO / "segment_stages.csv")
    seconds = np.arange(samples.size // (rate_hz * EPOCH_S) * EPOCH_S)
    codes = np.array([-1, N3, N2, N1, REM, WAKE])[changes.Stage.astype(int)]
    per_second = codes[np.searchsorted(changes.Time, seconds, side="right") - 1].reshape(-1, EPOCH_S)
    hypnogram = np.array([np.bincount(row, minlength=N_STAGES).argmax() for row in per_second])
    return samples[: seconds.size * rate_hz], rate_hz, hypnogram


def epochs_of(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """(..., T) -> (..., E, 30 * rate_hz)."""
    return samples.reshape(*samples.shape[:-1], -1, EPOCH_S * rate_hz)


# --- spectra and densities ------------------------------------------------------------------------------------------


def band_powers_db(samples: np.ndarray, rate_hz: int, hypnogram: np.ndarray) -> np.ndarray:
    """(5, bands) median spectral density of each stage, in dB of N2's mean between 0.5 and 35 Hz."""
    freqs_hz, psd = signal.welch(epochs_of(samples, rate_hz), rate_hz, nperseg=4 * rate_hz)
    stages = np.array([np.median(psd[hypnogram == stage], axis=0) for stage in range(N_STAGES)])
    bands = [(freqs_hz >= low) & (freqs_hz < high) for low, high in BANDS_HZ]
    powers = np.array([stages[:, band].mean(axis=1) for band in bands]).T
    return 10 * np.log10(powers / stages[N2, np.logical_or.reduce(bands)].mean())


def compare_spectra(nights: list[SyntheticNight]) -> pd.DataFrame:
    """One row per stage and band: real, mean of the synthetic, and whether the stage's mean distance is small."""
    samples, rate_hz, hypnogram = read_dynamo()
    real = band_powers_db(samples, rate_hz, hypnogram)
    few = np.bincount(hypnogram, minlength=N_STAGES) < LEAST_EPOCHS
    synthetic = np.nanmean(
        [band_powers_db(night.signals_uv[2], night.rate_hz, night.hypnogram) for night in nights], axis=0
    )
    near = np.abs(synthetic - real).mean(axis=1) <= LARGEST_DB
    return pd.DataFrame(
        [
            {
                "stage": STAGES[stage],
                "band_hz": f"{low}-{high}",
                "real_db": real[stage, band],
                "db": synthetic[stage, band],
                "ok": near[stage] or few[stage],
            }
            for stage in range(N_STAGES)
            for band, (low, high) in enumerate(BANDS_HZ)
        ]
    )


def densities(samples: np.ndarray, rate_hz: int, hypnogram: np.ndarray) -> dict[str, float]:
    """Spindles per minute of N2 and slow waves per minute of N3, as YASA finds them."""
    found = {}
    for kind, detect, stage in (("spindle", yasa.spindles_detect, N2), ("slow_wave", yasa.sw_detect, N3)):
        events = detect(samples, rate_hz, hypno=np.repeat(hypnogram, EPOCH_S * rate_hz), include=(stage,))
        minutes = np.sum(hypnogram == stage) * EPOCH_S / 60
        found[kind] = (0 if events is None else len(events.summary())) / minutes
    return found


def compare_densities(nights: list[SyntheticNight]) -> pd.DataFrame:
    """One row per kind of event: per minute, in the real EEG and in C3 of the synthetic nights."""
    real = densities(*read_dynamo())
    each = pd.DataFrame([densities(n.signals_uv[2].astype(float), n.rate_hz, n.hypnogram) for n in nights])
    table = pd.DataFrame({"event": list(real), "unit": "per min", "real": list(real.values()), "median": each.median()})
    return table.assign(ok=(table["median"] / table.real).between(1 / TIMES, TIMES))


# --- eyes -----------------------------------------------------------------------------------------------------------


def measure_eyes(nights: list[SyntheticNight]) -> pd.DataFrame:
    """One row per statistic and stage of E1: mean of the nights, and the range it should be in."""
    measured = pd.concat([eyes_of(night) for night in nights]).groupby(level=[0, 1]).mean()
    return pd.DataFrame(
        [
            {
                "statistic": statistic,
                "stage": STAGES[stage],
                "value": measured[statistic, stage],
                "low": low,
                "high": high,
                "ok": low <= measured[statistic, stage] <= high,
            }
            for (statistic, stage), (low, high) in EYES.items()
        ]
    )


def eyes_of(night: SyntheticNight) -> pd.Series:
    """(statistic, stage) -> value, of one night."""
    f3, e1, e2 = (night.signals_uv[night.channels.index(name)] for name in ("F3-M2", "E1-M2", "E2-M2"))
    iqr_uv = np.subtract(*np.percentile(e1, [75, 25]))
    high_pass = signal.butter(4, 16, "highpass", fs=night.rate_hz, output="sos")
    fast = epochs_of(signal.sosfilt(high_pass, e1), night.rate_hz)
    f3, e1, e2 = (epochs_of(samples, night.rate_hz) for samples in (f3, e1, e2))
    values = {}
    for stage in np.unique(night.hypnogram):
        here = night.hypnogram == stage
        values["deviation", stage] = np.median(e1[here].std(axis=1)) / iqr_uv
        values["fast", stage] = np.median(fast[here].std(axis=1)) / iqr_uv
        values["with_e2", stage] = np.corrcoef(e1[here].ravel(), e2[here].ravel())[0, 1]
        values["with_f3", stage] = np.corrcoef(e1[here].ravel(), f3[here].ravel())[0, 1]
    return pd.Series(values)


# --- bouts ----------------------------------------------------------------------------------------------------------


def read_sleep_edf() -> list[np.ndarray]:
    """(E,) stages of each night, from half an hour before sleep to half an hour after it; S3 and S4 are N3."""
    codes = {"W": WAKE, "1": N1, "2": N2, "3": N3, "4": N3, "R": REM}
    nights = []
    for file in sorted(SLEEP_EDF.glob("*.edf")):
        scored = mne.read_annotations(file)
        stages = [codes.get(text.removeprefix("Sleep stage "), -1) for text in scored.description]
        hypnogram = np.repeat(stages, np.round(scored.duration / EPOCH_S).astype(int))
        asleep = np.flatnonzero(hypnogram > WAKE)
        night = hypnogram[max(asleep[0] - 60, 0) : asleep[-1] + 61]
        nights.append(night[night >= 0])
    return nights


def bout_lengths(hypnogram: np.ndarray) -> np.ndarray:
    """(5,) mean length of each stage's bouts in minutes."""
    starts = np.r_[0, np.flatnonzero(np.diff(hypnogram)) + 1]
    lengths, stages = np.diff(np.r_[starts, len(hypnogram)]), hypnogram[starts]
    return np.array([lengths[stages == s].mean() if s in stages else np.nan for s in range(N_STAGES)]) * EPOCH_S / 60


def compare_bouts() -> pd.DataFrame:
    """One row per stage, in minutes: 10th and 90th percentile of the real nights, and the median of the synthetic."""
    with np.load(DOD) as scored:
        nights = [consensus(scored[key]) for key in scored.files] + read_sleep_edf()
    rng = np.random.default_rng(SEED)
    low, high = np.nanpercentile([bout_lengths(night) for night in nights], [10, 90], axis=0)
    median = np.nanmedian([bout_lengths(simulate_hypnogram(960, rng)) for _ in range(N_HYPNOGRAMS)], axis=0)
    table = pd.DataFrame({"stage": STAGES, "unit": "min", "low": low, "high": high, "median": median})
    return table.assign(ok=table["median"].between(table.low, table.high))


if __name__ == "__main__":
    sys.exit(main())

"""What is no EEG of a night never passes as `use`, whatever its name, as the network that is shipped judges it."""

import numpy as np
import pytest
from scipy.signal import butter, resample_poly, sosfilt

from anysleep.analysis.verdict import judge_night
from anysleep.models import bundled
from anysleep.recordings.recording import Recording
from anysleep.staging.sources import preprocessed_night
from anysleep.synthetic import draw_persons, simulate_night

pytestmark = pytest.mark.filterwarnings("ignore:this network was trained on synthetic", "ignore:the last")
RATE_HZ = 128
NAMES = ("C3-M2", "O1-M2", "E1-M2", "E2-M2")
N_NOISE = 10 * 3600 * RATE_HZ


@pytest.fixture(scope="module")
def network():
    return bundled()


@pytest.fixture(scope="module")
def channels():
    """Name -> samples of a usual night of 6 h in uV: EEG, EOG, chin, ECG, airflow."""
    night = simulate_night(draw_persons(1, 991)[0], hours=6.0, seed=991)
    return dict(zip(night.channels, night.signals_uv, strict=True))


def verdict(network, signals, names=NAMES):
    """As stage_one_night says it of these samples under these names."""
    n = len(signals[0])
    rates = (float(RATE_HZ),) * len(signals)
    night = Recording(names, [np.float32(signal) for signal in signals], rates, ("uV",) * len(signals), n / RATE_HZ)
    prepared = preprocessed_night(night, network.sampling_rate_hz, "files", "night")
    staged = prepared.stage(network, resolutions=[1])[names]
    return judge_night(network, prepared, staged.hypnogram(1), staged.hypnodensity(1))


def test_the_night_itself_is_used(network, channels):
    assert verdict(network, [channels[name] for name in NAMES]) == ("use", "")


@pytest.mark.parametrize("instead", ["chin", "II", "nasal"])
@pytest.mark.parametrize("names", [NAMES[:1], NAMES])
def test_another_sensor_that_is_called_eeg(network, channels, instead, names):
    assert verdict(network, [channels[instead], *(channels[name] for name in names[1:])], names)[0] != "use"


@pytest.mark.parametrize("seed", range(3))
def test_names_in_another_order(network, channels, seed):
    """All eleven are shuffled, so that at least one of those that are called EEG or EOG is none."""
    names, signals = list(channels), list(channels.values())
    order = np.random.default_rng(seed).permutation(len(names))
    assert max(order[:8]) >= 8
    assert verdict(network, [signals[i] for i in order[:8]], tuple(names[:8]))[0] != "use"


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_other_units(network, channels, factor):
    assert verdict(network, [channels[name] * factor for name in NAMES])[0] != "use"


def noise(exponent):
    """Ten hours (1, T) whose power falls with this power of the frequency."""
    rng = np.random.default_rng(3)
    hz = np.fft.rfftfreq(N_NOISE, 1 / RATE_HZ)
    scale = np.where(hz > 0.3, np.maximum(hz, 0.3) ** (-exponent / 2), 0)
    white = rng.standard_normal((1, len(hz), 2)).astype(np.float32) @ [1, 1j]
    signal = np.fft.irfft(white * scale, N_NOISE)
    return 20 * signal / signal.std()


@pytest.mark.parametrize("exponent", [0, 1, 1.5, 2, 3])
def test_ten_hours_of_noise(network, exponent):
    assert verdict(network, noise(exponent), ("C3-M2",))[0] == "do not trust"


def test_a_flat_night(network):
    rng = np.random.default_rng(4)
    digits = rng.integers(-1, 2, (1, N_NOISE)) * 0.1  # the converter's last one
    assert verdict(network, digits, ("C3-M2",))[0] != "use"


def test_a_mouse(network):
    """Theta of 6 to 9 Hz in Wake and REM, one to five Hz in other sleep, bouts of half a minute."""
    rng = np.random.default_rng(5)

    def band(low_hz, high_hz):
        signal = sosfilt(butter(3, [low_hz, high_hz], "band", fs=RATE_HZ, output="sos"), rng.standard_normal(N_NOISE))
        return signal / signal.std()

    bouts = rng.choice(3, size=1200, p=[0.4, 0.5, 0.1])
    sizes = np.array([[0, 30, 15], [90, 0, 0], [0, 50, 0]])[np.repeat(bouts, 30 * RATE_HZ)]
    bands = np.column_stack([band(1, 5), band(6, 9), band(20, 50)])
    mouse = (sizes * bands).sum(axis=1) + 15 * band(0.5, 60)
    assert verdict(network, [mouse], ("EEG",))[0] != "use"


@pytest.mark.parametrize(("up", "down"), [(4, 1), (2, 1), (1, 2)])
def test_another_rate_than_the_header_says(network, channels, up, down):
    assert verdict(network, [resample_poly(channels[name], up, down) for name in NAMES])[0] != "use"


def test_a_night_whose_seconds_are_in_another_order(network, channels):
    order = np.random.default_rng(6).permutation(6 * 3600)
    shuffled = [channels[name].reshape(-1, RATE_HZ)[order].ravel() for name in NAMES]
    assert verdict(network, shuffled)[0] != "use"

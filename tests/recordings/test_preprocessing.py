"""Preprocessing equals the independent numbers, and never turns bad samples into good-looking ones."""

import numpy as np
import pytest

from anysleep.data import preprocess


def test_equals_the_extract(extract):
    expected = extract["preprocessing/100/scaled_then_clipped"]
    ours = preprocess(extract["preprocessing/100/volts"], 100)[:, :: 15360 // expected.shape[1]]
    print(f"\nlargest difference {np.abs(ours - expected).max():.1e}")
    assert np.abs(ours - expected).max() < 1e-4


@pytest.mark.parametrize("rate_hz", [100, 200, 256])
def test_equals_all_parity_numbers(shared, rate_hz):
    with np.load(shared / "parity" / "preprocessing.npz") as numbers:
        ours = preprocess(numbers[f"{rate_hz}/volts"], rate_hz)
        assert ours.dtype == np.float32
        assert np.abs(ours - numbers[f"{rate_hz}/scaled_then_clipped"]).max() < 1e-4


def test_a_large_offset_flattens_nothing():
    signal = 1000 + np.random.default_rng(0).standard_normal((1, 12800))
    assert np.unique(preprocess(signal, 128)).size > 10_000


def test_the_unit_does_not_matter():
    volts = np.random.default_rng(0).standard_normal((2, 12800)) * 1e-5
    assert np.allclose(preprocess(volts, 128), preprocess(volts * 1e6, 128), atol=1e-5)


@pytest.mark.parametrize("rate_hz", [199.998, 200.0, 256.41025641, 99.5, 512])
def test_resampling_keeps_a_sine_in_time(rate_hz):
    """Ten minutes of a 10 Hz sine at any rate is still that sine at 128 Hz: no drift, no shift."""
    seconds = np.arange(round(600 * rate_hz)) / rate_hz
    ours = preprocess(np.sin(2 * np.pi * 10 * seconds)[None], rate_hz)[0]
    inside = slice(128, -256)
    times = np.arange(len(ours)) / 128
    ideal = np.sin(2 * np.pi * 10 * times) / np.sqrt(2)  # the interquartile range of a sine is sqrt(2)
    assert abs(len(ours) - 600 * 128) <= 1
    assert np.abs(ours[inside] - ideal[inside]).max() < 0.01


@pytest.mark.parametrize("target_hz", [64, 128])
@pytest.mark.parametrize("rate_hz", [1e6 / 1953, 1e6 / 3906, 1e3 / 3, 1e6 / 8192, 100 * np.pi, 199.998])
def test_no_rate_loses_a_sample_of_the_last_epoch(rate_hz, target_hz):
    """However the rate is rounded to a fraction: so many seconds are so many samples."""
    for n_samples in (round(rate_hz * 19530), round(rate_hz * 30)):  # 651 epochs, and one
        signal = np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)
        expected = int(n_samples / rate_hz * target_hz + 1e-3)
        assert preprocess(signal[None], rate_hz, target_hz).shape == (1, expected)


def test_channels_may_have_rates_of_their_own():
    rng = np.random.default_rng(0)
    ours = preprocess([rng.standard_normal(30 * 100), rng.standard_normal(30 * 256)], [100, 256])
    assert ours.shape == (2, 30 * 128)
    with pytest.raises(ValueError, match=r"differ in duration: channel 0 30.000 s, channel 1 15.000 s"):
        preprocess([rng.standard_normal(30 * 100), rng.standard_normal(15 * 100)], 100)


def test_bad_samples_are_named():
    good = np.random.default_rng(0).standard_normal(1000)
    with_nan, with_inf = good.copy(), good.copy()
    with_nan[[7, 9]], with_inf[0] = np.nan, np.inf
    mostly_flat = np.where(np.arange(1000) < 800, 5.0, good)
    problems = {
        "C3 holds 2 NaN or infinite samples of 1000, the first at sample 7": with_nan,
        "C3 holds 1 NaN or infinite samples of 1000, the first at sample 0": with_inf,
        "C3 is constant at 4": np.full(1000, 4.0),
        "C3 is flat at 5 for at least half": mostly_flat,
        "C3 has shape": np.empty(0),
    }
    for message, signal in problems.items():
        with pytest.raises(ValueError, match=message):
            preprocess([good, signal], 128, names=["F3", "C3"])


@pytest.mark.parametrize("rate_hz", [0, -1, np.nan, np.inf])
def test_impossible_rates_are_named(rate_hz):
    with pytest.raises(ValueError, match="rates must be positive"):
        preprocess(np.random.default_rng(0).standard_normal((1, 100)), rate_hz)

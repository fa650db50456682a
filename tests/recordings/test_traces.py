"""What is looked at is what was recorded: the right extremes at every zoom, and the band that an eye wants."""

import numpy as np
import pytest

from anysleep.recordings.traces import BANDS_HZ, Trace, display_filter, min_max

RATE_HZ = 128


def noise(n, missing=()):
    signal = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    for start, end in missing:
        signal[start:end] = np.nan
    return signal


def extremes(signal, size):
    """Smallest and largest of every bin, one by one."""
    bins = [signal[i : i + size] for i in range(0, len(signal), size)]
    known = [one[np.isfinite(one)] for one in bins]
    return np.array([[one.min(), one.max()] if one.size else [np.nan, np.nan] for one in known], dtype=np.float32)


@pytest.mark.parametrize("n", [1, 16, 31, 3840, 10_007])
def test_the_pyramid_is_that_of_brute_force(n):
    signal = noise(n, missing=[(20, 50), (4000, 4001), (5000, 5600)])
    for level, bins in enumerate(Trace(signal, RATE_HZ, "EMG").raw_pyramid):
        assert np.array_equal(bins, extremes(signal, 16 << level), equal_nan=True)


@pytest.mark.parametrize("page_s", [10, 30, 60, 300, 3600, 28800])
def test_a_page_has_the_extremes_of_what_it_covers_and_no_more_bins_than_needed(page_s):
    signal = noise(8 * 3600 * RATE_HZ)
    size, first, bins = Trace(signal, RATE_HZ, "EMG").window(0, page_s, 1200, filtered=True)
    assert first == 0 and np.array_equal(bins, extremes(signal[: len(bins) * size], size), equal_nan=True)
    assert len(bins) * size >= page_s * RATE_HZ
    assert len(bins) <= 2400 or size == 1


def test_a_page_within_the_night_begins_where_it_says():
    signal = noise(8 * 3600 * RATE_HZ)
    size, first, bins = Trace(signal, RATE_HZ, "EMG").window(7207.0, 10807.0, 1200, filtered=False)
    assert size == 256 and first % size == 0 and 7205 * RATE_HZ <= first <= 7207 * RATE_HZ
    assert np.array_equal(bins, extremes(signal[first : first + len(bins) * size], size))


def test_the_end_of_the_night_is_shown_to_its_last_sample():
    size, first, bins = Trace(noise(1000), 100, "EMG").window(0, 30, 1200, filtered=False)
    assert (size, first, len(bins)) == (1, 0, 1000)


@pytest.mark.parametrize(
    ("kind", "kept_hz", "lost_hz"), [("EEG", [1, 10, 25], [0.05, 55]), ("EOG", [1, 5], [0.05, 30])]
)
def test_the_band_of_a_type_stays_and_the_rest_goes(kind, kept_hz, lost_hz):
    seconds = np.arange(60 * RATE_HZ) / RATE_HZ
    inside = slice(20 * RATE_HZ, 40 * RATE_HZ)
    for hz in (*kept_hz, *lost_hz):
        wave = np.sin(2 * np.pi * hz * seconds)
        filtered = display_filter(wave, RATE_HZ, BANDS_HZ[kind])
        left = np.abs(filtered[inside]).max()
        assert left > 0.85 if hz in kept_hz else left < 0.2, hz
        if hz in kept_hz:  # without delay
            assert np.corrcoef(filtered[inside], wave[inside])[0, 1] > 0.999


def test_a_page_is_filtered_as_the_whole_night_is():
    signal = noise(600 * RATE_HZ) + 40
    night = display_filter(signal, RATE_HZ, BANDS_HZ["EEG"])
    _, first, bins = Trace(signal, RATE_HZ, "EEG").window(300, 310, 2000, filtered=True)
    assert np.allclose(bins[:, 0], night[first : first + len(bins)], atol=1e-3)


def test_pauses_stay_empty_and_other_types_as_recorded():
    signal = noise(600 * RATE_HZ, missing=[(30 * RATE_HZ, 40 * RATE_HZ)])
    for kind in ("EEG", "EMG"):
        _, _, bins = Trace(signal, RATE_HZ, kind).window(20, 50, 4000, filtered=True)
        assert np.array_equal(np.isnan(bins[:, 0]), np.isnan(signal[20 * RATE_HZ : 50 * RATE_HZ]))
    assert np.array_equal(bins[:, 0], signal[20 * RATE_HZ : 50 * RATE_HZ], equal_nan=True)


def test_the_pyramid_is_made_once():
    trace = Trace(noise(3840), RATE_HZ, "EEG")
    assert trace.filtered_pyramid is trace.filtered_pyramid
    assert min_max(trace.signal, 16).dtype == np.float32

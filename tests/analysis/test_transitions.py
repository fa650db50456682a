"""Transition triplets against the parity numbers and a plain loop."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anysleep.analysis.traits.transitions import (
    BLOCK_EPOCHS,
    TRIPLETS,
    block_borders,
    count_triplets,
    find_triplets,
    sleep_epochs,
)


def count_by_loop(hypnogram, r, per_epoch):
    """The definition, one prediction after the other."""
    asleep = [i for i, stage in enumerate(per_epoch) if stage in (1, 2, 3, 4)]
    blocks = []
    if asleep:
        first, last = asleep[0] * r, asleep[-1] * r
        for begin in range(first, last, BLOCK_EPOCHS * r):
            block = hypnogram[begin : min(begin + BLOCK_EPOCHS * r, last)]
            counts = dict.fromkeys(TRIPLETS, 0)
            for a, b, c in zip(block, block[1:], block[2:], strict=False):
                if a != b and b != c and max(a, b, c) <= 4:
                    counts[f"{a}{b}{c}"] += 1
            blocks.append(list(counts.values()))
    return np.array(blocks, dtype=int).reshape(-1, 80)


def night(n_epochs, r, seed=0, share_changed=0.05):
    random = np.random.default_rng(seed)
    per_epoch = np.repeat(random.integers(0, 5, n_epochs // 6 + 1), 6)[:n_epochs].astype(np.int8)
    changed = random.random(n_epochs * r) < share_changed
    return np.where(changed, random.integers(0, 5, n_epochs * r), np.repeat(per_epoch, r)).astype(np.int8), per_epoch


def check_parity(numbers, prefix):
    cases = sorted(key.split("/")[-2] for key in numbers if key.endswith("triplet_counts"))
    assert len(cases) >= 6
    assert numbers[f"{prefix}triplets"].tolist() == list(TRIPLETS)
    for case in cases:
        given = {name: numbers[f"{prefix}{case}/{name}"] for name in ("hypnogram", "frequency", "hypnogram_per_epoch")}
        counts = count_triplets(given["hypnogram"], given["frequency"].item(), given["hypnogram_per_epoch"])
        assert counts.dtype == np.int64 and np.array_equal(counts, numbers[f"{prefix}{case}/triplet_counts"])


def test_triplets_equal_the_published_codes(extract):
    check_parity(extract, "high_frequency/")


def test_triplets_equal_all_parity_numbers(shared):
    with np.load(shared / "parity" / "high_frequency.npz") as numbers:
        check_parity(dict(numbers), "")


@given(st.integers(0, 2**31), st.sampled_from([1, 2, 3]), st.integers(1, 700), st.sampled_from([0.0, 0.1, 0.7]))
def test_triplets_equal_those_of_a_loop(seed, r, n_epochs, share_changed):
    hypnogram, per_epoch = night(n_epochs, r, seed, share_changed)
    random = np.random.default_rng(seed)
    hypnogram[random.random(hypnogram.size) < 0.02] = 9
    per_epoch[random.random(per_epoch.size) < 0.02] = 9
    assert np.array_equal(count_triplets(hypnogram, r, per_epoch), count_by_loop(hypnogram, r, per_epoch))


@pytest.mark.parametrize("per_epoch", [[0] * 300, [0, 9, 9, 0], [], [0, 0, 2, 0], [9, 4, 9]])
def test_a_night_without_sleep_or_with_one_epoch_of_it_has_no_block(per_epoch):
    assert count_triplets(np.repeat(np.array(per_epoch, dtype=np.int8), 4), 4, per_epoch).shape == (0, 80)


def test_no_triplet_crosses_into_the_next_block():
    per_epoch = np.full(2 * BLOCK_EPOCHS + 1, 2)
    per_epoch[BLOCK_EPOCHS - 1] = 1  # 2 1 | 2 over the border
    assert not count_triplets(per_epoch, 1, per_epoch).any()
    counts = count_triplets(np.roll(per_epoch, -1), 1, per_epoch)  # 2 1 2 | before it
    assert counts[0, TRIPLETS.index("212")] == 1 and counts.sum() == 1


def test_the_last_sleep_epoch_is_left_out_and_a_short_last_block_stays():
    per_epoch = np.full(BLOCK_EPOCHS + 2, 2)
    per_epoch[[0, -1]] = 1
    assert count_triplets(per_epoch, 1, per_epoch).shape == (2, 80)
    assert count_triplets(per_epoch[1:-1], 1, per_epoch[1:-1]).shape == (1, 80)
    assert sleep_epochs([0, 0, 2, 0, 4, 0]) == slice(2, 4)


def test_unscored_is_no_stage():
    stages = [2, 9, 2, 1, 2, 2]
    assert find_triplets(stages).tolist() == [2]
    assert find_triplets([2, -1, 2, 1, 2, 2]).tolist() == [2]
    assert sleep_epochs([9, 0, 2, 2, 9]) == slice(2, 3)


@pytest.mark.parametrize(
    ("hypnogram", "r", "per_epoch", "message"),
    [
        ([2] * 7, 2, [2] * 4, "7 predictions are not 2 in each of 4 epochs"),
        ([2] * 4, 0, [2] * 4, "not 0 in each"),
        ([2, 5, 2, 2], 1, [2] * 4, r"unknown stage codes \[5\]"),
        ([2] * 4, 1, [2, 7, 2, 2], r"hypnogram_per_epoch holds unknown stage codes \[7\]"),
        (np.ones((2, 2), int), 1, [2] * 4, "expected whole numbers"),
        ([0.5] * 4, 1, [2] * 4, "expected whole numbers"),
    ],
)
def test_what_is_no_night_is_refused(hypnogram, r, per_epoch, message):
    with pytest.raises(ValueError, match=message):
        count_triplets(hypnogram, r, per_epoch)


def test_counting_is_twenty_times_faster_than_a_loop():
    hypnogram, per_epoch = night(960, 128)

    def seconds(count):
        began = time.process_time()
        count(hypnogram, 128, per_epoch)
        return time.process_time() - began

    assert seconds(count_by_loop) > 20 * min(seconds(count_triplets) for _ in range(3))


@pytest.mark.parametrize("n_asleep", [0, 1, 2, 181, 182, 400])
def test_borders_tell_how_long_blocks_are(n_asleep):
    epochs = list(range(7, 7 + n_asleep))[:-1]
    blocks = [epochs[i : i + 180] for i in range(0, len(epochs), 180)]
    borders = block_borders([0] * 7 + [2] * n_asleep + [0] * 5)
    assert borders[:-1].tolist() == [block[0] for block in blocks]
    assert np.diff(borders).tolist() == [len(block) for block in blocks]

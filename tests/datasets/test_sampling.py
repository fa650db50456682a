"""Windows are drawn by the published rule, belong to their labels, and are the same in every process."""

import itertools
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.sampling import KEYS, LISTS, NIGHTS, SAMPLES, make_batches, write_archive
from scipy.stats import chisquare
from torch.utils.data import DataLoader

from anysleep.datasets.archive import Archive
from anysleep.datasets.sampling import loader


def p_value(observed, probabilities):
    """Of Pearson's chi-square test; 0 where something was observed that cannot be."""
    observed, probabilities = np.ravel(observed), np.ravel(probabilities)
    assert probabilities.sum() == pytest.approx(1)
    possible = probabilities > 0
    if observed[~possible].any():
        return 0.0
    return chisquare(observed[possible], observed.sum() * probabilities[possible]).pvalue


def assert_drawn_as(observed, probabilities, *wrong):
    """The counts agree with the probabilities, and the test would have noticed any of the wrong ones."""
    assert p_value(observed, np.array(probabilities)) > 0.001
    for other in wrong:
        assert p_value(observed, np.array(other)) < 1e-6


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three data sets, of one, six and three nights, whose samples say where they are from."""
    return write_archive(tmp_path_factory.mktemp("toy"), NIGHTS, LISTS)


@pytest.fixture(scope="module")
def nights(archive):
    with Archive(archive) as opened:
        return opened.recordings()


@pytest.fixture(scope="module")
def epochs(archive):
    """12,000 windows of one epoch, so that every draw shows: data set, night, epoch and stage."""
    batches, rng = make_batches(archive, window_epochs=1), np.random.default_rng(3)
    drawn = pd.DataFrame([batches.draw_window(rng, 1)[:2] for _ in range(12_000)], columns=["night", "epoch"])
    drawn["dataset"] = [NIGHTS[night][0] for night in drawn.night]
    drawn["stage"] = [int(NIGHTS[night][1][epoch]) for night, epoch in zip(drawn.night, drawn.epoch, strict=True)]
    return drawn


def test_every_stage_is_drawn_as_often(epochs):
    digits = "".join(night[1] for night in NIGHTS)
    by_frequency = [digits.count(stage) / (len(digits) - digits.count("9")) for stage in "01234"]
    assert_drawn_as(np.bincount(epochs.stage), [1 / 5] * 5, by_frequency)


def test_data_sets_are_drawn_half_uniformly_and_half_by_their_share_of_recordings(epochs):
    # alone has 1 of 10 nights, big 6, mid 3: 1/2 * 1/3 + 1/2 * 1/10 = 13/60, 28/60, 19/60.
    observed = pd.crosstab(epochs.stage, epochs.dataset)
    for stage in (0, 1, 2, 4):
        assert_drawn_as(observed.loc[stage], [13 / 60, 28 / 60, 19 / 60], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.6, 0.3])
    assert_drawn_as(observed.loc[3], [0, 28 / 47, 19 / 47], [0, 1 / 2, 1 / 2], [0, 6 / 9, 3 / 9])  # alone has no N3


N3_IS_RARE_IN_B = [
    (dataset, "01243" if dataset != "B" or i == 0 else "01242", ("C4",))
    for dataset, n_nights in (("A", 4), ("B", 10), ("C", 2))
    for i in range(n_nights)
]


def data_sets_of_stages(folder, redraw):
    """Counts of stage (row) and data set of 12,000 windows of one epoch; one of ten nights of B has N3."""
    lists = {dataset: (["C4"], []) for dataset in "ABC"}
    batches = make_batches(write_archive(folder, N3_IS_RARE_IN_B, lists), window_epochs=1, redraw=redraw)
    rng = np.random.default_rng(3)
    drawn = [batches.draw_window(rng, 1)[:2] for _ in range(12_000)]
    stages = [batches.hypnograms[night][epoch] for night, epoch in drawn]
    return pd.crosstab(stages, [batches.nights.dataset[night] for night, _ in drawn])


# P(data set) is half uniform, half by nights: 1/2 * 1/3 + 1/2 * (4, 10, 2) / 16 = (14, 23, 11) / 48.
ANY_STAGE = np.array([14, 23, 11]) / 48
RECORDING_AGAIN = ANY_STAGE  # .292, .479, .229: as if every night had N3
DATASET_AGAIN = np.array([14, 2.3, 11]) / 27.3  # .513, .084, .403: times the share of nights with N3, 1, 1/10, 1


def test_by_the_rule_of_u_time_the_recording_is_drawn_again(tmp_path):
    counts = data_sets_of_stages(tmp_path, "recording")
    assert_drawn_as(counts.loc[3], RECORDING_AGAIN, DATASET_AGAIN)
    assert_drawn_as(counts.loc[2], ANY_STAGE)


def test_as_anysleep_published_it_the_data_set_is_drawn_again(tmp_path):
    counts = data_sets_of_stages(tmp_path, "dataset")
    assert_drawn_as(
        counts.loc[3], DATASET_AGAIN, RECORDING_AGAIN, np.array([1, 1 / 10, 1]) / 2.1, [4 / 7, 1 / 7, 2 / 7]
    )
    assert_drawn_as(counts.loc[2], ANY_STAGE)  # a stage that every night has
    assert_drawn_as(counts.sum(axis=1), [1 / 5] * 5, [0.22, 0.22, 0.22, 0.12, 0.22])  # the stage is kept


def test_an_unknown_rule_is_refused(archive):
    with pytest.raises(ValueError, match="redraw is 'night'; choose one of recording, dataset"):
        make_batches(archive, redraw="night")


def test_recordings_with_the_stage_are_drawn_as_often(epochs):
    n3_in_big = epochs[(epochs.dataset == "big") & (epochs.stage == 3)]
    by_n3_epochs = np.array([0, 4, 1, 3, 3, 0, 4]) / 15
    assert_drawn_as(np.bincount(n3_in_big.night), [0, 1 / 5, 1 / 5, 1 / 5, 1 / 5, 0, 1 / 5], by_n3_epochs)
    rem_in_mid = epochs[(epochs.dataset == "mid") & (epochs.stage == 4)]
    assert_drawn_as(np.bincount(rem_in_mid.night)[7:], [1 / 2, 1 / 2], [1 / 5, 4 / 5])


def test_epochs_of_the_stage_are_drawn_as_often(epochs):
    n2 = epochs[(epochs.night == 0) & (epochs.stage == 2)]  # 0000112222444400
    assert_drawn_as(np.bincount(n2.epoch, minlength=16)[6:10], [1 / 4] * 4, [1 / 8, 3 / 8, 3 / 8, 1 / 8])
    wake = epochs[(epochs.night == 0) & (epochs.stage == 0)]
    assert_drawn_as(np.bincount(wake.epoch)[[0, 1, 2, 3, 14, 15]], [1 / 6] * 6, [1 / 8] * 4 + [1 / 4] * 2)


def test_the_epoch_may_be_anywhere_in_the_window(tmp_path):
    # Every window of 5 holds one scored epoch, so its start tells where in the window the epoch is.
    archive = write_archive(tmp_path, [("alone", "90999991999992999993999949", ("C4",))], {"alone": LISTS["alone"]})
    batches, rng = make_batches(archive, window_epochs=5), np.random.default_rng(3)
    starts = np.bincount([batches.draw_window(rng, 1)[1] for _ in range(5000)], minlength=22)
    inside = [0] + [1 / 5] * 5  # an unreachable start, then the five around an epoch in the middle of the night
    uniform = [1 / 2, 1 / 2, 0, *inside[1:], *inside, *inside, 1 / 2, 1 / 2]
    clipped = [4 / 5, 1 / 5, 0, *inside[1:], *inside, *inside, 1 / 5, 4 / 5]
    centred = [0, 0, 1, *inside[1:], *inside, *inside, 1, 0]
    assert_drawn_as(starts, np.array(uniform) / 5, np.array(clipped) / 5, np.array(centred) / 5)


def test_windows_are_drawn_by_all_rules_together(archive):
    batches, rng = make_batches(archive), np.random.default_rng(3)
    observed, expected, by_epoch = np.zeros((3, 10, 20))
    for _ in range(12_000):
        observed[batches.draw_window(rng, 1)[:2]] += 1
    shares = {"alone": [13 / 60, 13 / 60], "big": [28 / 60, 28 / 47], "mid": [19 / 60, 19 / 47]}  # not N3, N3
    for i, (dataset, digits, _) in enumerate(NIGHTS):
        for epoch, stage in enumerate(digits):
            starts = [start for start in range(len(digits) - 3) if start <= epoch < start + 4]
            nights_with_it = sum(stage in other for name, other, _ in NIGHTS if name == dataset)
            p = shares[dataset][stage == "3"] / (5 * nights_with_it * digits.count(stage))
            expected[i, starts] += (stage != "9") * p / len(starts)
            by_epoch[i, starts] += 1 / len(starts) / sum(len(night[1]) for night in NIGHTS)
    assert_drawn_as(observed, expected, by_epoch)


def test_few_channels_are_drawn_more_often(archive, nights):
    def counts(**changes):
        batches, rng = make_batches(archive, **changes), np.random.default_rng(3)
        return np.bincount([batches.draw_n_channels(rng) for _ in range(6000)])[1:]

    # 1 + 1/2 + 1/3 + 1/4 + 1/5 = 137/60; big, whose list is the longest, has five channels and mid three.
    assert_drawn_as(counts(), np.array([60, 30, 20, 15, 12]) / 137, [1 / 5] * 5, np.array([5, 4, 3, 2, 1]) / 15)
    assert_drawn_as(counts(nights=nights[nights.dataset != "big"]), np.array([6, 3, 2]) / 11, [1 / 3] * 3)
    assert_drawn_as(counts(max_channels=2), [2 / 3, 1 / 3], [1 / 2, 1 / 2])
    assert counts(eeg_eog_pairs=True).tolist() == [0, 6000]


def channel_counts(archive, night, n_channels, choices, **changes):
    """How often every one of the choices was drawn for one night of the toy archive."""
    with Archive(archive) as opened:
        nights = opened.recordings().iloc[[night]]
    batches, rng = make_batches(archive, nights, **changes), np.random.default_rng(3)
    drawn = pd.Series([tuple(batches.draw_window(rng, n_channels)[2]) for _ in range(3000)]).value_counts()
    assert set(drawn.index) <= set(choices)
    return [drawn.get(choice, 0) for choice in choices]


def test_channels_are_drawn_without_replacement_where_there_are_enough(archive):
    orders = list(itertools.permutations(NIGHTS[1][2], 3))
    sorted_more = np.array([1.5 if order == tuple(sorted(order)) else 0.9 for order in orders])
    counts = channel_counts(archive, 1, 3, orders)
    assert_drawn_as(counts, [1 / 60] * 60, sorted_more / sorted_more.sum())


@pytest.mark.filterwarnings("ignore:no training night has stage N3")
def test_channels_are_drawn_with_replacement_where_there_are_fewer(archive):
    counts = channel_counts(archive, 0, 3, list(itertools.product(("C4", "E1"), repeat=3)))
    assert_drawn_as(counts, [1 / 8] * 8, [0, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 0])


def test_usleep_draws_one_eeg_and_one_eog(archive):
    pairs = list(itertools.product(("F3", "C3", "O1"), ("E1", "E2")))
    assert_drawn_as(channel_counts(archive, 1, 2, pairs, eeg_eog_pairs=True), [1 / 6] * 6, [1 / 5] * 5 + [0])
    assert channel_counts(archive, 3, 2, [("F3", "E2")], eeg_eog_pairs=True) == [3000]


@pytest.mark.parametrize("eeg_eog_pairs", [False, True])
def test_signals_and_labels_are_those_of_the_window(archive, eeg_eog_pairs):
    batches = make_batches(archive, eeg_eog_pairs=eeg_eog_pairs)
    for key in ((0, 0), (0, 1), (3, 2)):
        x, y = batches[key]
        assert (x.dtype, y.dtype) == (torch.float32, torch.int64) and x.shape[:2] == (6, 4 * SAMPLES)
        for signals, stages in zip(x.numpy(), y.tolist(), strict=True):
            night, start = int(signals[0, 0] // 10_000), int(signals[0, 0] % 1_000)
            assert "".join(map(str, stages)) == NIGHTS[night][1][start // SAMPLES :][:4]
            assert np.array_equal(signals - signals[:1], np.tile(np.arange(4 * SAMPLES)[:, None], signals.shape[1]))


# First samples (10,000 night + 1,000 channel + time) and labels of a few batches; they must never change.
PINNED = {
    (False, 0, 0): (
        [[60090, 61090], [70060, 71060], [41330, 42330], [20000, 23000], [180, 1180], [20000, 24000]],
        ["3222", "1223", "1234", "0122", "2222", "0122"],
    ),
    (False, 2, 5): (
        [[50360, 51360], [72030, 70030], [23360, 22360], [30090, 34090], [90, 1090], [1270, 270]],
        ["2222", "1122", "2234", "0000", "0112", "2444"],
    ),
    (True, 0, 0): (
        [[81150, 82150], [62420, 63420], [12120, 14120], [30360, 34360], [61180, 64180], [10360, 13360]],
        ["1112", "0044", "2233", "2222", "2211", "0011"],
    ),
    (True, 2, 5): (
        [[81030, 82030], [22000, 23000], [70120, 72120], [61210, 64210], [81270, 82270], [40300, 44300]],
        ["0001", "0122", "2333", "2111", "2223", "0123"],
    ),
}


@pytest.mark.parametrize("eeg_eog_pairs, training_epoch, batch", PINNED)
def test_a_seed_gives_the_same_batches_for_ever(archive, eeg_eog_pairs, training_epoch, batch):
    x, y = make_batches(archive, eeg_eog_pairs=eeg_eog_pairs)[training_epoch, batch]
    first_samples, labels = PINNED[eeg_eog_pairs, training_epoch, batch]
    assert x[:, 0].tolist() == first_samples
    assert ["".join(map(str, stages)) for stages in y.tolist()] == labels


@pytest.mark.parametrize("eeg_eog_pairs", [False, True])
@pytest.mark.parametrize("n_ranks", [1, 2, 6])
def test_shares_of_a_batch_make_the_whole_batch(archive, eeg_eog_pairs, n_ranks):
    whole = make_batches(archive, eeg_eog_pairs=eeg_eog_pairs)
    shares = [whole.share(rank, n_ranks) for rank in range(n_ranks)]
    for key in ((0, 0), (0, 1), (4, 7)):
        x, y = zip(*(share[key] for share in shares), strict=True)
        assert {part.shape for part in x} == {(6 // n_ranks, *whole[key][0].shape[1:])}
        assert torch.equal(torch.cat(x), whole[key][0]) and torch.equal(torch.cat(y), whole[key][1])


def test_impossible_shares_are_refused(archive):
    with pytest.raises(ValueError, match="a batch of 6 windows cannot be shared by 4"):
        make_batches(archive).share(0, 4)
    with pytest.raises(ValueError, match="rank is 3; it must be 0 to 2"):
        make_batches(archive).share(3, 3)


def assert_same_batches(found, batches, keys):
    for (x, y), key in zip(found, keys, strict=True):
        assert torch.equal(x, batches[key][0]) and torch.equal(y, batches[key][1])


@pytest.mark.parametrize("n_workers", [0, 1])
def test_workers_give_the_same_batches_in_order(archive, n_workers, monkeypatch):
    monkeypatch.chdir(archive.parent)
    batches = make_batches(archive.name)
    _ = batches[0, 0]  # the file is open in this process too
    assert_same_batches(loader(batches, KEYS, n_workers, pin=False), batches, KEYS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU to pin memory for")
def test_pinned_batches_are_the_same(archive):
    batches = make_batches(archive)
    found = list(loader(batches, KEYS, 1, pin=True))
    assert all(x.is_pinned() for x, _ in found)
    assert_same_batches([(x.cuda(non_blocking=True).cpu(), y) for x, y in found], batches, KEYS)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_forked_workers_and_their_parent_read_the_same_file(archive):
    batches = make_batches(archive)
    _ = batches[0, 0]  # the file is open when the workers are forked
    forked = DataLoader(batches, sampler=KEYS, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert_same_batches(forked, batches, KEYS)


def test_an_archive_that_is_replaced_meanwhile_is_not_mixed_with_it(archive, tmp_path):
    moving = tmp_path / "moving.h5"
    shutil.copy(archive, moving)
    batches = make_batches(moving)
    shutil.copy(archive, tmp_path / "new.h5")
    os.replace(tmp_path / "new.h5", moving)
    with pytest.raises(RuntimeError, match=r"moving.h5 has been replaced or changed since the run began"):
        _ = batches[0, 0]


FAILING = """
from pathlib import Path
from anysleep.datasets.sampling import loader
from helpers.sampling import KEYS, make_batches
batches = iter(loader(make_batches(Path({!r})), KEYS, 1, pin=False))
next(batches)
raise ValueError("the end")
"""


@pytest.mark.slow
def test_a_training_that_fails_ends_though_its_workers_ignore_sigterm(archive, root):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "lib"), str(root / "tests")])}
    command = [sys.executable, "-c", FAILING.format(str(archive))]
    with tempfile.TemporaryDirectory(prefix="t") as folder:  # a killed worker leaves its socket there
        env["TMPDIR"] = folder
        ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1 and ended.stderr.splitlines()[-1] == "ValueError: the end"


def test_short_nights_are_left_out_with_one_warning(archive):
    with pytest.warns(UserWarning) as warned:
        batches = make_batches(archive, window_epochs=16)
    assert [str(w.message) for w in warned] == [
        "3 of 10 nights are left out, shorter than a window of 16 epochs: big/n4, mid/n7, mid/n9"
    ]
    assert warned[0].filename == make_batches.__code__.co_filename
    rng = np.random.default_rng(3)
    drawn = {batches.nights.recording[batches.draw_window(rng, 1)[0]] for _ in range(500)}
    assert drawn == {"n0", "n1", "n2", "n3", "n5", "n6", "n8"}
    with pytest.warns(UserWarning, match=r"^6 of 10 .*: alone/n0, big/n2, big/n4, big/n5, mid/n7 \.\.\.$"):
        assert make_batches(archive, window_epochs=17).max_channels == 5
    with pytest.raises(ValueError, match="no night is left: all are shorter than a window of 21 epochs: alone/n0"):
        make_batches(archive, window_epochs=21)


def test_nights_without_the_channels_needed_are_left_out_with_one_warning(archive, nights):
    one_eeg = nights.assign(channels=[("Fz",) if name == "n8" else names for name, names in named_channels(nights)])
    with pytest.warns(UserWarning, match="^1 of 10 nights are left out, without an EEG and an EOG .* needs: mid/n8$"):
        batches = make_batches(archive, one_eeg, eeg_eog_pairs=True)
    assert "n8" not in set(batches.nights.recording) and batches[0, 0][0].shape[2] == 2
    make_batches(archive, one_eeg)  # AnySleep takes any channel
    none = nights.assign(channels=[() if name == "n8" else names for name, names in named_channels(nights)])
    with pytest.warns(UserWarning, match="^1 of 10 nights are left out, without a channel: mid/n8$"):
        make_batches(archive, none)


def named_channels(nights):
    return zip(nights.recording, nights.channels, strict=True)


def test_a_stage_that_no_night_has_is_named_and_the_others_are_drawn(archive, nights):
    with pytest.warns(UserWarning, match="no training night has stage N3: it cannot be learned"):
        batches = make_batches(archive, nights[nights.dataset == "alone"], window_epochs=1)
    rng = np.random.default_rng(3)
    stages = [int(NIGHTS[0][1][batches.draw_window(rng, 1)[1]]) for _ in range(3000)]
    assert_drawn_as(np.bincount(stages), [1 / 4, 1 / 4, 1 / 4, 0, 1 / 4], [6 / 16, 2 / 16, 4 / 16, 0, 4 / 16])


def test_nothing_to_draw_is_an_error(archive, nights, tmp_path):
    with pytest.raises(ValueError, match="no night with a hypnogram"):
        make_batches(archive, nights.assign(has_hypnogram=False))
    unscored = write_archive(tmp_path, [("alone", "99999", ("C4",))], {"alone": LISTS["alone"]})
    with pytest.raises(ValueError, match="no night with a scored epoch"):
        make_batches(unscored)

"""Which montages a night is scored with: counted by hand and by brute force, drawn by the published rule."""

from itertools import combinations, permutations, product
from math import comb

import pandas as pd
import pytest
from scipy.stats import chisquare

from anysleep.settings import ParameterError
from anysleep.staging.montages import find_channels, plan_montages, published_key, staged_as
from anysleep.workbook.notebooks import Evaluate
from anysleep.workbook.parameters import notebook_defaults

EEG = ["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1"]
EOG = ["E1-M2", "E2-M2"]
PAPER = ["EOG", "F3", "F4", "C3", "C4", "O1", "O2"]


def table(nights):
    rows = [{"dataset": d, "recording": r, "subject": r[0], "eeg": eeg, "eog": eog} for d, r, eeg, eog in nights]
    return pd.DataFrame(rows)


FULL = table([("toy", "a1", EEG, EOG), ("toy", "a2", EEG, EOG), ("toy", "b1", EEG, EOG[:1])])
FEW = table([("few", "a1", ["C3-A2"], ["EOG(L)"]), ("few", "c1", ["C3-A2", "C4-A1"], [])])
BOTH = pd.concat([FULL, FEW], ignore_index=True)


def test_all_channels_at_once_eeg_first():
    plan = plan_montages(BOTH, "all").set_index(["dataset", "recording"])
    assert plan.channels["toy", "b1"] == (*EEG, "E1-M2") and plan.channels["few", "c1"] == ("C3-A2", "C4-A1")
    assert plan.sites["few", "a1"] == ("C3", "EOG")
    assert plan[["n_eeg", "n_eog", "n_draws"]].loc[("toy", "b1")].tolist() == [6, 1, 1]


def test_usleep_leaves_out_nights_without_eeg_or_eog():
    assert plan_montages(BOTH, "all", usleep=True).recording.tolist() == ["a1", "a1", "a2", "b1"]
    with pytest.raises(ValueError, match="no night has an EEG and an EOG channel, as U-Sleep needs"):
        plan_montages(FEW.tail(1), "all", usleep=True)


def test_a_name_is_a_channel_a_site_or_every_eog():
    eeg, eog = ["F3-F4", "F3-M2", "F3-O1", "Fpz-Cz", "ch1"], ["EOG1", "EOG2"]
    assert find_channels("F3-O1", eeg, eog) == ["F3-O1"]
    assert find_channels("F3", eeg, eog) == ["F3-M2"]  # against the mastoid, not against another site
    assert find_channels("Fpz", eeg, eog) == [] and find_channels("Fpz-Cz", eeg, eog) == ["Fpz-Cz"]
    assert find_channels("EOG", eeg, eog) == ["EOG1", "EOG2"]
    assert find_channels("ch1", eeg, eog) == ["ch1"]
    assert find_channels("F4", eeg, eog) == []


@pytest.mark.parametrize(
    "eog",
    [["E2-M1", "E1-M2"], ["EOG1", "EOG2"], ["EOG(R)", "EOG(L)"], ["EOG_left_horizontal", "EOG_right_horizontal"],
     ["LOC-A2", "ROC-A1"]],
)  # fmt: skip
def test_the_left_eye_is_found_whatever_a_data_set_calls_it(eog):
    left = {"E1-M2", "EOG1", "EOG(L)", "EOG_left_horizontal", "LOC-A2"}
    assert find_channels("left EOG", EEG, eog) == [name for name in eog if name in left]
    assert find_channels("left EOG", EEG, ["EOG"]) == find_channels("left EOG", EEG, ["EOG2", "E2"]) == []


REFERENCE_NIGHTS = [
    ("dodo", ["C3-M2", "C4-M1", "F3-F4", "F3-M2", "F3-O1", "F4-O2", "O1-M2", "O2-M1"], ["EOG1", "EOG2"], False),
    ("dodh", ["C3-M2", "F3-F4", "F3-M2", "F3-O1", "F4-M1", "F4-O2", "FP1-F3"], ["EOG1", "EOG2"], False),
    ("isruc-sg1", EEG, ["E1-M2", "E2-M1"], True),
    ("isruc-sg1", ["C3-A2", "O1-A2", "C4-A1", "O2-A1"], ["LOC-A2", "ROC-A1"], False),  # one was recorded so
    ("mass-c1", [f"{site}-CLE" for site in ("F3", "F4", "C3", "C4", "O1", "O2")], ["EOG_left_horizontal"], True),
    ("mass-c3", [f"{site}-LER" for site in ("F3", "F4", "C3", "C4", "O1", "O2")], ["EOG_left_horizontal"], True),
    ("phys", EEG, ["E1-M2"], True),
]
"""Data set, EEG and EOG of a night, and whether it has the reference montage of the paper's figure 1a."""


@pytest.mark.parametrize("usleep", [False, True])
def test_pairs_are_of_nights_with_the_reference_montage_alone(usleep):
    """No channel between two electrodes stands in for a site: DOD-O has F4-O2, but no F4."""
    nights = table([(name, f"n{i}", eeg, eog) for i, (name, eeg, eog, _) in enumerate(REFERENCE_NIGHTS)])
    plan = plan_montages(nights, "pairs", usleep=usleep, channels=PAPER)
    assert set(plan.recording) == {f"n{i}" for i, night in enumerate(REFERENCE_NIGHTS) if night[-1]}
    assert set(plan.sites.explode()) == set(PAPER)
    of_all = plan_montages(nights[nights.dataset == "dodo"], "pairs", usleep=usleep)
    assert "F4" not in set(of_all.sites.explode()) and {"F4-O2", "F3", "EOG"} <= set(of_all.sites.explode())


def test_named_channels_leave_out_nights_without_them():
    plan = plan_montages(BOTH, "named", channels=["EOG", "C4"])
    assert plan.recording.tolist() == ["a1", "a2", "b1"]
    assert plan.channels.tolist() == [("C4-M1", *EOG), ("C4-M1", *EOG), ("C4-M1", "E1-M2")]


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (["F3", "C3M2"], "no night has a channel 'C3M2'; did you mean 'C3-M2'"),
        (["xyz"], "no night has a channel 'xyz'; there are C3, C3-A2"),
        (["C3-A2", "F3-M2"], "no night has all of C3-A2, F3-M2"),
    ],
)
def test_names_that_no_night_has_are_explained(channels, message):
    with pytest.raises(ValueError, match=message):
        plan_montages(BOTH, "named", channels=channels)


def test_eight_channels_make_36_montages_for_anysleep_and_64_pairs_for_usleep():
    both_eogs = BOTH[BOTH.recording != "b1"]
    plan = plan_montages(both_eogs, "pairs", channels=PAPER)
    assert plan.groupby("recording").size().to_dict() == {"a1": 36, "a2": 36}
    one_night = {frozenset(channels) for channels in plan.channels[plan.recording == "a1"]}
    assert one_night == {frozenset(pair) for pair in product(EEG + EOG, repeat=2)}  # a set: {C3} is C3 twice
    usleep = plan_montages(both_eogs, "pairs", usleep=True, channels=PAPER)
    night = usleep[usleep.recording == "a1"]
    assert set(night.channels) == {*permutations(EEG + EOG, 2), *((name, name) for name in EEG + EOG)}
    assert len(night) == 64 and (night.n_eeg + night.n_eog == 2).all()
    assert sum(sites == ("EOG", "EOG") for sites in night.sites) == 4


def test_one_eog_makes_28_montages_and_no_names_mean_all_channels():
    assert plan_montages(BOTH, "pairs", channels=PAPER).groupby("recording").size()["b1"] == 28
    few = plan_montages(FEW, "pairs")
    assert sorted(few.channels) == sorted(
        [("C3-A2",), ("EOG(L)",), ("C3-A2", "EOG(L)"), ("C3-A2",), ("C4-A1",), ("C3-A2", "C4-A1")]
    )


def test_every_combination_is_listed_once():
    plan = plan_montages(BOTH, "drawn", n_eeg=[0, 1, 3], n_eog=[0, 1])
    assert set(plan.recording) == {"a1", "a2", "b1"} and set(plan.dataset) == {"toy"}
    sizes = plan.groupby(["recording", "n_eeg", "n_eog"]).size()
    for (recording, n, m), size in sizes.items():
        assert size == comb(6, n) * comb(1 if recording == "b1" else 2, m)
    assert set(sizes.index.droplevel(0)) == {(0, 1), (1, 0), (1, 1), (3, 0), (3, 1)}
    night = plan[(plan.recording == "a1") & (plan.n_eeg == 3) & (plan.n_eog == 1)]
    assert set(night.channels) == {(*three, one) for three in combinations(EEG, 3) for one in EOG}
    assert (plan.n_draws == 1).all()


def test_draws_are_uniform_over_nights_then_over_their_channels():
    plan = plan_montages(BOTH, "drawn", n_eeg=[2], n_eog=[1], n_draws=6000, seed=4)
    assert plan.n_draws.sum() == 6000 and plan.channels.map(len).eq(3).all()
    assert not plan.duplicated(["dataset", "recording", "channels"]).any()
    drawn = plan.groupby(["recording", "channels"]).n_draws.sum()
    expected = [6000 / 3 / (15 * (1 if recording == "b1" else 2)) for recording, _ in drawn.index]
    assert len(drawn) == 15 * 5
    assert chisquare(drawn, expected).pvalue > 0.001


def test_the_same_nights_are_drawn_at_every_point():
    plan = plan_montages(BOTH, "drawn", n_eeg=[0, 1, 3], n_eog=[0, 1], n_draws=7, seed=1)
    nights = plan.groupby(["n_eeg", "n_eog"]).apply(lambda rows: rows.groupby("recording").n_draws.sum().to_dict())
    assert len(nights) == 5 and all(of_point == nights.iloc[0] for of_point in nights)
    assert sum(nights.iloc[0].values()) == 7


def test_draws_follow_from_the_seed_and_not_from_order_or_other_points():
    settings = {"n_eeg": [0, 1, 2], "n_eog": [0, 1], "n_draws": 50, "seed": 3}
    plan = plan_montages(BOTH, "drawn", **settings)
    assert plan.groupby(["n_eeg", "n_eog"]).n_draws.sum().to_dict() == {
        (0, 1): 50, (1, 0): 50, (1, 1): 50, (2, 0): 50, (2, 1): 50,
    }  # fmt: skip
    pd.testing.assert_frame_equal(plan_montages(BOTH.sample(frac=1, random_state=0), "drawn", **settings), plan)
    alone = plan_montages(FULL, "drawn", n_eeg=[2], n_eog=[1], n_draws=50, seed=3)
    same = plan[(plan.n_eeg == 2) & (plan.n_eog == 1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, same)
    assert not plan_montages(BOTH, "drawn", **(settings | {"seed": 4})).equals(plan)


def test_usleep_has_the_same_draws_but_no_point_without_eeg_or_eog():
    settings = {"n_eeg": [0, 1, 2], "n_eog": [0, 1], "n_draws": 50}
    ours, theirs = (plan_montages(BOTH, "drawn", usleep=usleep, **settings) for usleep in (False, True))
    shared = ours[(ours.n_eeg > 0) & (ours.n_eog > 0)].reset_index(drop=True)
    pd.testing.assert_frame_equal(theirs, shared)
    with pytest.raises(ValueError, match=r"n_eeg \[2\] and n_eog \[0\] leave nothing to draw: U-Sleep needs"):
        plan_montages(BOTH, "drawn", usleep=True, n_eeg=[2], n_eog=[0])
    with pytest.raises(ValueError, match="at least one channel is needed"):
        plan_montages(BOTH, "drawn", n_eeg=[0], n_eog=[0])


def test_more_channels_than_any_night_has_are_refused():
    with pytest.raises(ValueError, match=r"no night has 7 EEG \+ 1 EOG channels; the nights have 1 \+ 1, 2 \+ 0, 6"):
        plan_montages(BOTH, "drawn", n_eeg=[1, 7], n_eog=[1])


def test_usleep_reads_two_channels_as_they_are_and_more_as_pairs_of_eeg_and_eog():
    assert staged_as(("C3", "C4", "E1", "E2"), 2, usleep=True) == [
        ("C3", "E1"),
        ("C3", "E2"),
        ("C4", "E1"),
        ("C4", "E2"),
    ]
    assert staged_as(("E1", "E1"), 0, usleep=True) == [("E1", "E1")]
    assert staged_as(("C3", "C4", "E1"), 2, usleep=False) == [("C3", "C4", "E1")]


def test_published_keys():
    assert published_key("toy", "a1", ("C3-M2", "E1-M2", "F3-M2"), usleep=False) == "toy#a1#C3-M2&E1-M2&F3-M2"
    assert published_key("toy", "a1", ("C3-M2", "E1-M2"), usleep=True) == "toy#a1#C3-M2#E1-M2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"montages": "named"}, "montages is 'named', but channels is empty"),
        ({"channels": ["C3"]}, "montages is 'all', which takes no channels; choose 'named' or 'pairs'"),
        ({"montages": "drawn", "draws": {"n_eeg": [], "n_eog": [1], "n_draws": 2}}, "n_eeg or n_eog is empty"),
        ({"draws": {"n_eeg": [1], "n_eog": [-1], "n_draws": 2}}, "n_eog.0 is -1"),
        ({"vote": "median"}, "vote is 'median'.*'majority' or 'mean'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(root, change, message):
    defaults = notebook_defaults(root / "notebooks" / "04_evaluate.ipynb")
    assert Evaluate(**defaults).montages == "all"
    with pytest.raises(ParameterError, match=message):
        Evaluate(**(defaults | change))

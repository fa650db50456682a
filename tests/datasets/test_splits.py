"""Splits: whole persons, by the published rule, the same at every draw, and no file misread."""

import re
import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anysleep.datasets.splits import (
    PARTS,
    check_persons,
    read_split,
    select_part,
    split_by_person,
    split_k_folds,
    split_table,
    unknown_names,
    write_split,
)

TEST_ONLY = ("dodh", "dodo", "isruc-sg1", "isruc-sg2", "isruc-sg3", "mass-c1", "mass-c3", "svuh")


def split_usleep(recordings, seed, test_only=(), group_by="subject"):
    """U-Sleep's rule: 15 % test, at most 100 persons; 10 % validate, at most 50."""
    return split_by_person(recordings, 0.10, 0.15, seed, test_only=test_only, group_by=group_by)


def table(**n_nights):
    """One row a night; `toy=(2, 1)` is a data set with two nights of the person p000 and one of p001."""
    rows = [
        (dataset, f"p{person:03d}n{night}", f"p{person:03d}")
        for dataset, nights in n_nights.items()
        for person, n in enumerate(nights)
        for night in range(n)
    ]
    return pd.DataFrame(rows, columns=["dataset", "recording", "subject"])


def persons(recordings, split, dataset):
    """Persons of each part."""
    who = recordings[recordings.dataset == dataset].set_index("recording").subject
    return {part: set(who[split[part].get(dataset, [])]) for part in PARTS}


def n_persons(recordings, split, dataset):
    return tuple(len(found) for found in persons(recordings, split, dataset).values())


@pytest.fixture
def nights():
    """Two data sets that use the same ids for different people."""
    return table(lab=(2, 1, 3, 1, 2, 1, 1, 2), home=(1, 2, 1, 1, 2))


@pytest.mark.parametrize(
    ("n", "train_valid_test"),
    [
        (3, (1, 1, 1)),
        (20, (15, 2, 3)),
        (78, (58, 8, 12)),
        (500, (375, 50, 75)),
        (501, (375, 50, 76)),
        (1000, (850, 50, 100)),
    ],
)
def test_the_rule_of_usleep_rounds_persons_up_and_has_caps(n, train_valid_test):
    recordings = table(toy=[1 + i % 2 for i in range(n)])
    assert n_persons(recordings, split_usleep(recordings, seed=0), "toy") == train_valid_test


def test_the_rule_of_usleep_gives_the_sizes_of_the_published_split(shared):
    published = read_split(shared / "upstream" / "usleep_split.yaml")
    rows = [(d, r) for datasets in published.values() for d, ids in datasets.items() for r in ids]
    recordings = pd.DataFrame(rows, columns=["dataset", "recording"])
    visit = {"sedf-sc": r".$", "sedf-st": r".$"} | dict.fromkeys(["abc", "chat", "mros", "shhs"], r"^[^-]+-")
    recordings["subject"] = [re.sub(visit.get(d, "^$"), "", r) for d, r in rows]
    recordings = recordings[recordings.dataset != "cfs"]  # its rule counts families, which its ids do not tell
    ours = split_table(recordings, split_usleep(recordings, 0, TEST_ONLY))
    assert ours.persons.to_dict() == split_table(recordings, published).persons.to_dict()
    assert ours.persons["sedf-sc"].to_dict() == {"train": 58, "valid": 8, "test": 12}


def test_shares_are_of_persons_within_every_data_set(nights):
    split = split_by_person(nights, 0.25, 0.25, 0)
    assert n_persons(nights, split, "lab") == (4, 2, 2)
    assert n_persons(nights, split, "home") == (1, 2, 2)


def test_a_rounding_error_draws_nobody():
    recordings = table(toy=[1] * 100)  # 0.07 * 100 is 7.000000000000001
    assert n_persons(recordings, split_by_person(recordings, 0.07, 0.07, 0), "toy") == (86, 7, 7)


def test_the_same_seed_draws_the_same_persons_and_another_seed_others(nights):
    assert split_by_person(nights, 0.25, 0.25, 3) == split_by_person(nights, 0.25, 0.25, 3)
    assert split_k_folds(nights, 3, 0.1, 3) == split_k_folds(nights, 3, 0.1, 3)
    assert len({str(split_by_person(nights, 0.25, 0.25, seed)) for seed in range(10)}) == 10


def test_every_person_tests_in_its_share_of_the_seeds():
    recordings = table(toy=[1] * 10)
    tested = [r for seed in range(400) for r in split_by_person(recordings, 0.2, 0.2, seed)["test"]["toy"]]
    assert pd.Series(tested).value_counts().between(48, 112).all()  # 80, and four standard deviations


def test_the_order_of_the_rows_does_not_matter(nights):
    shuffled = nights.sample(frac=1, random_state=1)
    assert split_by_person(shuffled, 0.25, 0.25, 0) == split_by_person(nights, 0.25, 0.25, 0)
    assert split_k_folds(shuffled, 3, 0.2, 0) == split_k_folds(nights, 3, 0.2, 0)


def test_another_data_set_does_not_change_the_split_of_the_first(nights):
    alone = nights[nights.dataset == "lab"]
    both, one = split_usleep(nights, 5), split_usleep(alone, 5)
    assert {part: both[part]["lab"] for part in PARTS} == {part: one[part]["lab"] for part in PARTS}


def test_data_sets_held_out_test_as_a_whole(nights):
    split = split_usleep(nights, 0, test_only=["home"])
    assert n_persons(nights, split, "home") == (0, 0, 5)
    assert n_persons(nights, split, "lab") == (5, 1, 2)


def test_a_misspelt_data_set_is_not_trained_on_by_mistake(nights):
    with pytest.raises(ValueError, match="test_only names hoem; the data sets are home, lab"):
        split_usleep(nights, 0, test_only=["hoem"])


@settings(max_examples=50, deadline=None)  # the machine may be busy
@given(
    n_nights=st.lists(st.integers(1, 4), min_size=5, max_size=40),
    shares=st.tuples(st.floats(0, 0.3), st.floats(0, 0.3)),
    seed=st.integers(0, 2**32),
)
def test_no_person_is_in_two_parts_and_every_recording_is_in_one(n_nights, shares, seed):
    recordings = table(one=n_nights, two=n_nights[::-1])
    split = split_by_person(recordings, *shares, seed)
    check_persons(recordings, split)
    assigned = [(d, r) for datasets in split.values() for d, ids in datasets.items() for r in ids]
    assert sorted(assigned) == sorted(zip(recordings.dataset, recordings.recording, strict=True))


@settings(max_examples=50, deadline=None)
@given(n_nights=st.lists(st.integers(1, 3), min_size=8, max_size=30), k=st.integers(2, 5), seed=st.integers(0, 99))
def test_in_k_folds_every_person_tests_once_and_folds_differ_by_one_person(n_nights, k, seed):
    recordings = table(toy=n_nights)
    folds = split_k_folds(recordings, k, 0.1, seed)
    tested = [persons(recordings, fold, "toy")["test"] for fold in folds]
    assert sorted(person for fold in tested for person in fold) == sorted(set(recordings.subject))
    assert len(folds) == k and max(map(len, tested)) - min(map(len, tested)) <= 1
    for fold in folds:
        check_persons(recordings, fold)
        assert sum(len(fold[part]["toy"]) for part in PARTS) == len(recordings)


def test_ten_persons_in_three_folds():
    recordings = table(toy=[2] * 10)
    sizes = [n_persons(recordings, fold, "toy") for fold in split_k_folds(recordings, 3, 0.15, 0)]
    assert sizes == [(5, 2, 3), (5, 2, 3), (4, 2, 4)]


@pytest.mark.parametrize(
    ("k", "valid_share", "message"),
    [
        (1, 0.1, "k is 1; cross-validation needs at least 2 folds"),
        (6, 0.1, "home: 5 persons cannot fill 6 folds; k may be at most 5"),
        (2, 0.4, "home: 5 persons leave none to train after 2 for validation and 3 for test"),
        (2, -0.1, "a share of persons is -0.1; it must be at least 0 and below 1"),
    ],
)
def test_folds_that_cannot_be_are_refused(nights, k, valid_share, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        split_k_folds(nights, k, valid_share, 0)


def test_too_few_persons_are_refused():
    with pytest.raises(ValueError, match="toy: 2 persons leave none to train after 1 for validation and 1 for test"):
        split_usleep(table(toy=(5, 5)), 0)


@pytest.mark.parametrize("unknown", [None, float("nan"), "", " "])
def test_unknown_persons_cannot_be_split(nights, unknown):
    nights.loc[2, "subject"] = unknown
    with pytest.raises(ValueError, match=r"who the person is is unknown for lab/p001n0, .*group_by='recording'"):
        split_by_person(nights, 0.25, 0.25, 0)


def test_a_name_is_known_where_something_is_written():
    names = pd.Series(["p1", "", None, " \t", float("nan"), "0", 0, "nan"], index=list("abcdefgh"))
    assert unknown_names(names)[lambda unknown: unknown].index.tolist() == ["b", "c", "d", "e"]


def test_recordings_stand_for_persons_where_that_is_said(nights):
    nights = nights.assign(subject=None)
    split = split_usleep(nights, 0, group_by="recording")
    assert [len(split[part]["lab"]) for part in PARTS] == [9, 2, 2]  # of 13 recordings
    assert len(select_part(nights, split, "train", group_by="recording")) == 9 + 4
    with pytest.raises(ValueError, match="who the person is is unknown"):
        select_part(nights, split, "train")


def test_a_grouping_that_does_not_exist_is_refused(nights):
    with pytest.raises(ValueError, match="group_by is 'person'; choose 'subject' or 'recording'"):
        split_usleep(nights, 0, group_by="person")


def test_a_table_without_persons_or_with_a_recording_twice_is_refused(nights):
    with pytest.raises(ValueError, match="no column subject, only dataset, recording"):
        split_usleep(nights.drop(columns="subject"), 0)
    with pytest.raises(ValueError, match=r"recordings occur twice in the table: lab/p000n0$"):
        split_usleep(pd.concat([nights, nights[:1]]), 0)


def test_a_person_in_two_parts_is_refused(nights):
    split = {"train": {"lab": ["p000n0", "p001n0"]}, "valid": {"lab": ["p003n0"]}, "test": {"lab": ["p000n1"]}}
    for refuse in (lambda: check_persons(nights, split), lambda: select_part(nights, split, "valid")):
        with pytest.raises(ValueError, match=r"more than one part: lab/p000 in test and train; split by person"):
            refuse()


def test_the_same_id_in_two_data_sets_is_two_persons(nights):
    split = {"train": {"lab": ["p000n0"]}, "valid": {}, "test": {"home": ["p000n0"]}}
    check_persons(nights, split)
    assert select_part(nights, split, "test").dataset.tolist() == ["home"]


def test_persons_that_the_split_does_not_name_may_be_unknown(nights):
    nights.loc[nights.recording != "p000n0", "subject"] = None
    check_persons(nights, {"train": {"lab": ["p000n0"]}, "valid": {}, "test": {"home": ["p000n0"]}})


def test_a_part_is_the_rows_it_names_with_all_their_columns(nights):
    nights = nights.assign(n_epochs=range(len(nights)))
    split = {"train": {"lab": ["p001n0", "p002n1"]}, "valid": {}, "test": {}}
    assert select_part(nights, split, "train").n_epochs.tolist() == [2, 4]


def test_what_a_part_names_but_the_archive_lacks_is_said(nights):
    split = {"train": {"lab": ["p001n0", "gone"]}, "valid": {"lab": ["gone too"]}, "test": {}}
    with pytest.warns(UserWarning, match="not in this archive: 1 recording of the split's part 'train'"):
        assert len(select_part(nights, split, "train")) == 1
    with pytest.raises(ValueError, match="the split's part 'valid' names no recording of this archive"):
        select_part(nights, split, "valid")
    with pytest.raises(ValueError, match="no part 'validation'; the split has train, valid, test"):
        select_part(nights, split, "validation")


def test_the_table_counts_recordings_and_persons(nights):
    split = {"train": {"lab": ["p000n0", "p000n1", "p001n0"]}, "valid": {"lab": ["p003n0"]}, "test": {"lab": ["gone"]}}
    counts = split_table(nights, split)
    assert counts.loc["lab"].to_dict("index") == {
        "train": {"recordings": 3, "persons": 2},
        "valid": {"recordings": 1, "persons": 1},
        "test": {"recordings": 0, "persons": 0},
    }
    assert counts.loc["home"].to_numpy().sum() == 0


def test_a_split_comes_back_from_its_file(tmp_path, nights):
    nights["recording"] += "_010"
    numbers = {"train": {"001": ["010", "1_1", "1e3", "2001-01-01", "1:30"]}, "valid": {"no": ["null"]}, "test": {}}
    for split in (split_usleep(nights, 0), split_usleep(nights, 0, ["home"]), numbers):
        assert read_split(write_split(tmp_path / "split.yaml", split)) == split


def test_ids_that_are_numbers_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"train/toy/8 \(int\)"):
        write_split(tmp_path / "split.yaml", {"train": {"toy": [8]}, "valid": {}, "test": {}})
    assert not list(tmp_path.iterdir())


def test_the_published_split_file_is_read_as_it_is_and_fast(shared):
    began = time.perf_counter()
    split = read_split(shared / "upstream" / "usleep_split.yaml")
    assert time.perf_counter() - began < 3
    counts = {part: sum(map(len, datasets.values())) for part, datasets in split.items()}
    assert counts == {"train": 18038, "valid": 559, "test": 1312}
    assert split["test"]["isruc-sg3"][:3] == ["1", "2", "3"] and split["train"]["sedf-sc"][0] == "011"


def test_empty_parts_and_data_sets_are_empty(tmp_path):
    (tmp_path / "split.yaml").write_text("train: {toy: [a]}\nvalid:\ntest: {toy: }\n")
    assert read_split(tmp_path / "split.yaml") == {"train": {"toy": ["a"]}, "valid": {}, "test": {"toy": []}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("train: {toy: [010]}", "names that are not text to YAML: train/toy/8 (int); put them in quotes"),
        ("train: {toy: [a, 1, 2.5, 2001-01-01, no, null, 7]}", "train/toy/1 (int), train/toy/2.5 (float), "),
        ("train: {toy: [a, 1, 2.5, 2001-01-01, no, null, 7]}", "(date), train/toy/False (bool), train/toy/None "),
        ("train: {toy: [a, 1, 2.5, 2001-01-01, no, null, 7]}", "(NoneType) ... (6 in all); put them in quotes"),
        ("train: {2: [a]}", "train/2 (int)"),
        ("train: {toy: [[a]]}", "train/toy/['a'] (list)"),
        ("train: {toy: [2001-13-45]}", "month must be in 1..12"),
        ("train: {toy: [a, a, b]}", "a recording must occur once: toy/a in train and train"),
        ("train: {toy: [a, b]}\nvalid: {toy: [b]}", "a recording must occur once: toy/b in train and valid"),
        ("train: {toy: [a], toy: [b]}", "toy given twice in the mapping at line 1"),
        ("train: [a]", "train should be data sets with their recordings, found list"),
        ("train: {toy: a}", "train/toy should be a list of recordings, found str"),
        ("train: {toy: {a: b}}", "train/toy should be a list of recordings, found dict"),
        ("validation: {}", "expected the parts train, valid, test, found validation, valid, test"),
        ("train: {toy: [a", "line "),
    ],
)
def test_a_split_file_that_could_be_misread_is_refused_by_its_path(tmp_path, content, message):
    parts = {line.split(":")[0] for line in content.splitlines()}
    rest = "".join(f"\n{part}: {{}}" for part in ("valid", "test") if part not in parts)
    path = tmp_path / "split.yaml"
    path.write_text(content + rest)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: (?s:.*){re.escape(message)}"):
        read_split(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "NoneType"),
        ("[train, valid, test]", "list"),
        ("train: {}\nvalid: {}", "train, valid"),
        ("train: {}\nvalid: {}\ntest: {}\nholdout: {}", "train, valid, test, holdout"),
    ],
)
def test_a_split_file_has_the_three_parts_and_no_other(tmp_path, content, found):
    (tmp_path / "split.yaml").write_text(content)
    with pytest.raises(ValueError, match=f"expected the parts train, valid, test, found {found}$"):
        read_split(tmp_path / "split.yaml")

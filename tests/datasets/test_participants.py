"""Whose nights they are and what is known of the persons: of the archive, a table of participants, or both."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from anysleep.analysis.traits.participants import (
    add_participants,
    choose_nights,
    count_nights,
    read_participants,
    trait_of,
)
from anysleep.datasets.splits import recordings_of
from anysleep.recordings.reasons import NothingToMeasure
from anysleep.staging.predictions import Predictions


def recordings():
    rows = [
        ("a", "n1", "p1", 30.0, "F"),
        ("a", "n2", "p1", 30.0, "F"),
        ("a", "n3", "p2", None, "M"),
        ("b", "n1", None, 50.0, "M"),
    ]
    return pd.DataFrame(rows, columns=["dataset", "recording", "subject", "age", "sex"])


def test_nights_that_cannot_be_used_are_counted():
    counts = {1: [np.ones((n, 80), int) for n in (2, 0, 1, 1)]}
    nights, kept, left_out = choose_nights(recordings(), counts, "age", [], "recording")
    assert nights.trait.tolist() == [30, 50] and nights.person.tolist() == ["a/p1", "b/n1"]
    assert kept.recording.tolist() == ["n1", "n1"] and nights.group.tolist() == ["a/n1", "b/n1"]
    assert left_out.to_dict() == {"no sleep": 1, "age unknown": 1}
    with pytest.raises(ValueError, match="who slept is unknown for 1 recordings, such as b/n1"):
        choose_nights(recordings(), counts, "age", [], "subject")


@pytest.mark.parametrize("group_by", ["subject", "recording"])
def test_a_person_has_one_sex_in_each_data_set_but_grows_older(group_by):
    counts, people = {1: [np.ones((1, 80), int)] * 4}, recordings().assign(subject=["p1", "p1", "p2", "p1"])
    for trait, classes in (("sex", ["F", "M"]), ("dataset", ["a", "b"])):
        assert len(choose_nights(people, counts, trait, classes, group_by)[1]) == 4
    assert choose_nights(people.assign(age=range(4)), counts, "age", [], group_by)[0].trait.tolist() == [0, 1, 2, 3]
    people["sex"] = ["M", "F", "M", "M"]
    with pytest.raises(ValueError, match=r"1 persons have several values of sex, such as a/p1 \(F and M\); correct"):
        choose_nights(people, counts, "sex", ["F", "M"], group_by)


@pytest.mark.parametrize("empty", ["", " "])
def test_nights_without_a_person_are_not_all_of_one(empty):
    counts, people = {1: [np.ones((1, 80), int)] * 4}, recordings().assign(age=50, subject=["p1", empty, empty, None])
    with pytest.raises(ValueError, match="who slept is unknown for 3 recordings, such as a/n2"):
        choose_nights(people, counts, "age", [], "subject")
    nights = choose_nights(people, counts, "age", [], "recording")[0]
    assert nights.person.tolist() == ["a/p1", "a/n2", "a/n3", "b/n1"]


def test_classes_are_told_apart_and_others_left_out():
    assert trait_of(recordings(), "sex", ["M", "F"]).tolist() == [1, 1, 0, 0]
    assert trait_of(recordings(), "dataset", ["a", "b"]).tolist() == [0, 0, 0, 1]
    with pytest.raises(ValueError, match="nobody's sex is X; there is F, M"):
        trait_of(recordings(), "sex", ["F", "X"])


def test_what_participants_tell_is_known_from_them_alone(tmp_path):
    path = tmp_path / "people.tsv"
    path.write_text("dataset\tsubject\tage\tsex\na\tp1\t44\t\na\tp2\told\tF\na\tp9\t1\tF\n")
    with pytest.warns(UserWarning, match="1 ages are no numbers"):
        table = read_participants(path)
    with pytest.warns(UserWarning, match="1 of 3 rows of participants name nobody here, such as"):
        people = add_participants(recordings(), table)
    assert people.recording.tolist() == ["n1", "n2", "n3"]  # the fourth is not in the table
    assert people.age.tolist()[:2] == [44, 44] and people.age[2:].isna().all()  # "old"
    assert people.sex.tolist()[2] == "F" and people.sex[[0, 1]].isna().all()
    assert people.subject.tolist() == ["p1", "p1", "p2"]


def test_who_is_not_in_the_table_is_left_out_with_a_count(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("dataset,recording,Group\na,n1,x\nb,n1,y\n")
    with pytest.warns(UserWarning, match="2 of 4 recordings are not in participants and are left out"):
        people = add_participants(recordings().assign(group="archive"), read_participants(path, "group"))
    assert people[["dataset", "recording", "group"]].to_numpy().tolist() == [["a", "n1", "x"], ["b", "n1", "y"]]


@pytest.mark.parametrize("column", ["Age", " age", "AGE ", "a g e"])
def test_names_of_columns_count_without_case_and_blanks(tmp_path, column):
    path = tmp_path / "people.csv"
    path.write_text(f"Subject,{column}\np1,44\n")
    assert read_participants(path, "age").to_dict("records") == [{"subject": "p1", "age": 44}]


@pytest.mark.parametrize("column", ["Ages", "aeg", "age_years", "Age (years)", "agee"])
def test_a_column_that_is_nearly_one_is_not_ignored(tmp_path, column):
    path = tmp_path / "people.csv"
    path.write_text(f"subject,{column}\np1,44\n")
    with pytest.raises(ValueError, match=r"no column age; did you mean .*Rename it to age"):
        read_participants(path)


def test_the_trait_must_stand_in_the_table(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("subject,diagnosis\np1,OSA\n")
    with pytest.raises(ValueError, match="no column group, only subject, diagnosis; what is to be told must stand"):
        read_participants(path, "group")
    assert len(read_participants(path, "dataset")) == 1


def test_a_table_that_leaves_open_whom_it_means_is_refused(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("recording,age\nn1,44\n")
    with pytest.raises(ValueError, match="several data sets; add a column dataset"):
        add_participants(recordings(), read_participants(path))
    path.write_text("recording,age\nn8,44\nn9,44\n")
    with pytest.raises(ValueError, match="participants names nobody here by recording, such as n8"):
        add_participants(recordings()[:3], read_participants(path))
    path.write_text("recording,age\nn1,440\n")
    with pytest.raises(ValueError, match="an age of 440; years are wanted"):
        read_participants(path)
    path.write_text("name,age\nn1,44\n")
    with pytest.raises(ValueError, match="neither a column recording nor subject, only name, age"):
        read_participants(path)
    path.write_text("recording,age\nn1,44\nn1,45\n")
    with pytest.raises(ValueError, match="several rows for n1"):
        read_participants(path)
    for empty in ("", " "):
        path.write_text(f"recording,age\nn1,44\n{empty},45\n")
        with pytest.raises(ValueError, match="rows without recording; whom are they about"):
            read_participants(path)


def test_a_data_set_that_is_not_there_is_an_error():
    assert recordings_of(recordings(), []).equals(recordings())
    with pytest.raises(NothingToMeasure, match="no recording of isruc_sg1, only of"):
        recordings_of(recordings(), ["isruc_sg1"])


def test_predictions_of_a_run_that_was_stopped_are_not_read(tmp_path):
    (tmp_path / "r1").mkdir()
    np.savez(tmp_path / "r1" / "predictions.npz", a_n1=np.zeros(4, dtype=np.int8))
    (tmp_path / "params.yaml").write_text("run_id: a")
    with pytest.raises(ValueError, match="of a run that was stopped; let 05_predict come to its end"):
        Predictions(tmp_path)
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "provenance.json").write_text('{"inputs_sha256": {"checkpoint": "abc", "archive": "d"}}')
    with Predictions(tmp_path) as staged:
        assert staged.made_from == {"checkpoint": "abc"}


def test_half_a_file_of_predictions_is_named(tmp_path):
    file = tmp_path / "r1" / "predictions.npz"
    file.parent.mkdir()
    np.savez_compressed(file, a_n1=np.arange(4000) % 5)
    content = file.read_bytes()
    for damaged in (b"", b"half", content[:300], content[:200] + bytes(100) + content[300:]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"r1 is damaged .*run 05_predict again"):
            Predictions(tmp_path).hypnogram("a", "n1", 1)


def test_a_copy_of_a_resolution_beside_it_is_none(tmp_path):
    for name in ("r1", "r8", "r8 copy"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "predictions.npz", a_n1=np.zeros(4, dtype=np.int8))
    with Predictions(tmp_path) as staged:
        assert staged.resolutions == (1, 8)


def test_predictions_of_a_network_that_was_replaced_are_not_read(tmp_path):
    (tmp_path / "r1").mkdir()
    np.savez(tmp_path / "r1" / "predictions.npz", a_n1=np.zeros(4, dtype=np.int8))
    (tmp_path / "result.json").write_text("{}")
    checkpoint = tmp_path / "checkpoint.pth"
    (tmp_path / "params.yaml").write_text(f"checkpoint: {checkpoint}")
    checkpoint.write_bytes(b"first")
    digest = hashlib.sha256(b"first").hexdigest()
    (tmp_path / "provenance.json").write_text(json.dumps({"inputs_sha256": {"checkpoint": digest}}))
    Predictions(tmp_path).__exit__()
    checkpoint.write_bytes(b"trained anew")
    with pytest.raises(ValueError, match=r"checkpoint\.pth is another network since .*run 05_predict again"):
        Predictions(tmp_path)
    checkpoint.unlink()  # moved away: nothing speaks against it
    Predictions(tmp_path).__exit__()


def test_triplets_need_predictions_at_one_an_epoch(tmp_path):
    for r in (1, 2):
        (tmp_path / f"r{r}").mkdir()
        np.savez(tmp_path / f"r{r}" / "predictions.npz", a_n1=np.repeat(np.int8([0, 1, 2, 1, 2, 0]), r))
    with Predictions(tmp_path) as staged:
        counts = count_nights(staged, staged.of(recordings()), [2, 1])
        assert list(counts) == [2, 1] and [blocks.sum() for blocks in (*counts[1], *counts[2])] == [1, 0]
        with pytest.raises(ValueError, match="no predictions at 8 an epoch, only at 1, 2"):
            count_nights(staged, staged.of(recordings()), [8])

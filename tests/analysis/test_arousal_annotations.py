"""A folder of annotations stands in for the arousals that an archive lacks."""

import numpy as np
import pandas as pd
import pytest
from helpers.label_files import mass_event, write_edf
from helpers.toy_arousals import ToyArchive

from anysleep.analysis.arousals.annotations import ExpertArousals
from anysleep.analysis.arousals.tables import expert_table

NIGHTS = pd.DataFrame(
    [("mass-c1", "01-01-0001"), ("own", "a"), ("other", "a"), ("own", "007")], columns=["dataset", "recording"]
)


def experts(folder, arousals=None):
    return ExpertArousals(ToyArchive(arousals or {}), folder, NIGHTS, lambda role, path: path)


def write(path, text="onset_s,end_s\n10,14\n"):
    path.write_text(text)


def test_a_file_of_mass_loses_what_the_study_cut(tmp_path):
    events = [(4, 3, mass_event("EEG C4-CLE")), (7, 5, mass_event("EEG C4-CLE")), (40, 5, mass_event("EEG C4-CLE"))]
    write_edf(tmp_path / "01-01-0001 Annotations.edf", *events)
    assert experts(tmp_path).arousals("mass-c1", "01-01-0001").tolist() == [[0, 3], [31, 36]]  # 9 s are cut


def test_a_table_is_read_as_06_writes_it_and_others_are_counted(tmp_path):
    write(tmp_path / "own_a.csv", "dataset,recording,onset_s,end_s,n_marks\nown,a,10,14,2\n")
    write(tmp_path / "other_a.csv", "onset_s,end_s\n")
    write(tmp_path / "007.csv", "recording,onset_s,end_s\n007,1,5\n")
    write(tmp_path / "nobody.csv")
    write(tmp_path / "01-01-0001 Base.edf")
    found = experts(tmp_path)
    assert expert_table(found, NIGHTS[1:3]).to_numpy().tolist() == [["own", "a", 10, 14, 2]]
    assert found.arousals("other", "a").shape == (0, 2) and found.arousals("mass-c1", "01-01-0001") is None
    assert found.n_others == 2 and found.arousals("own", "007").tolist() == [[1, 5]]


@pytest.mark.parametrize(
    ("files", "archive", "message"),
    [
        (["a.csv"], {}, "fits 2 nights"),
        (["01-01-0001.csv", "mass-c1_01-01-0001.csv"], {}, "several annotation files"),
        (["own_a.csv"], {("own", "a"): np.empty((0, 2))}, "both have arousals of own/a"),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path, files, archive, message):
    for name in files:
        write(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        experts(tmp_path, archive)


@pytest.mark.parametrize("text", ["onset,end\n1,2\n", "recording,onset_s,end_s\nb,1,2\n"])
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, text):
    write(tmp_path / "own_a.csv", text)
    with pytest.raises(ValueError, match="annotations of own/a"):
        experts(tmp_path)


@pytest.mark.parametrize(
    "row", ["4,3,1", "-1,3,1", "one,3,1", ",3,1", "1,inf,1", "1,2,0", "1,2,1.5", "1,2,x", "1,2,", "1,2,1e12"]
)
def test_a_row_that_is_no_arousal_is_named_with_its_file(tmp_path, row):
    write(tmp_path / "own_a.csv", f"onset_s,end_s,n_marks\n1,2,1\n{row}\n")
    with pytest.raises(ValueError, match=r"own_a\.csv: row 2 below the header needs 0 <= onset_s < end_s"):
        experts(tmp_path)


def test_a_file_that_is_no_table_is_named(tmp_path):
    (tmp_path / "own_a.csv").write_bytes(b"\xff\x00\x81")
    with pytest.raises(ValueError, match=r"own_a\.csv is not UTF-8"):
        experts(tmp_path)

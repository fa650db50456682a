"""Tables as people keep them: read as they are, or refused with the line and the mend."""

import pandas as pd
import pytest

from anysleep.recordings.tables import near_columns, read_table, rename_columns


def written(folder, content, name="people.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_cells_are_text_without_blanks_around_and_none_is_a_text(tmp_path):
    table = read_table(written(tmp_path, "\ufeffid, group\n01,None\n 2 ,NA\n\n,,\n3,n/a\n".replace(",,", ",")))
    assert table.fillna("missing").to_numpy().tolist() == [["01", "None"], ["2", "NA"], ["3", "missing"]]
    assert list(table) == ["id", "group"]


def test_csv_tsv_and_xlsx_give_the_same(tmp_path):
    table = pd.DataFrame({"id": ["1", "2"], "group": ["None", None]})
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "a.TSV", index=False, sep="\t")
    table.astype({"id": int}).to_excel(tmp_path / "a.xlsx", index=False)
    for name in ("a.csv", "a.TSV", "a.xlsx"):
        assert read_table(tmp_path / name).fillna("").to_numpy().tolist() == [["1", "None"], ["2", ""]]


def test_columns_without_name_and_values_are_no_columns(tmp_path):
    assert list(read_table(written(tmp_path, "id,age,\n1,5,\n"))) == ["id", "age"]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("id,age\n1,50\n2,50,\n", "a.csv", r"a\.csv: line 3 has 3 cells, the header 2; take away a separator"),
        ('id,age\n"1\n",50\n2\n', "a.csv", "line 4 has 1 cells"),
        ("id\tage\n1\t50\t\n", "a.tsv", "line 2 has 3 cells"),
        ("id,Größe\n1,5\n".encode("latin-1"), "a.csv", r"not UTF-8 \(line 1\): save it as CSV UTF-8"),
        ("id,place\n1,a\n2,Köln\n".encode("cp1252"), "a.csv", r"not UTF-8 \(line 3\)"),
        ("id,age\n1,5\n".encode("utf-16"), "a.csv", "is UTF-16: save it as CSV UTF-8"),
        (b"PK\x03\x04", "a.csv", "is an Excel file: call it .xlsx, or save it as CSV"),
        (b"PK\x03\x04", "a.tsv", "is an Excel file"),
        (b"\xd0\xcf\x11\xe0", "a.csv", "Excel file of before 2007: save it as .xlsx"),
        ("id,age\n1,5\n", "a.xlsx", "cannot be read as a table of Excel"),
        (b"PK\x03\x04", "a.xlsx", "cannot be read as a table of Excel"),
        ("id,age\n1,5\n", "a.xls", "no table is read from .xls; save it as .csv"),
        ("id;age\n1;5\n", "a.csv", "has semicolons between its columns, and .csv is read with commas"),
        ("id,age\n1,5\n", "a.tsv", "has commas between its columns, and .tsv is read with tabs"),
        ('id,age\n"1,5\n', "a.csv", "line 2 is broken .*is a quote left open"),
        ("", "a.csv", "no header in line 1"),
        ("\nid,age\n", "a.csv", "no header in line 1"),
    ],
)
def test_a_broken_table_is_refused_with_the_line_and_the_mend(tmp_path, content, name, message):
    with pytest.raises(ValueError, match=message):
        read_table(written(tmp_path, content, name))


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = read_table(written(tmp_path, "id,Age,age \n1,50,51\n"))
    with pytest.raises(ValueError, match=r"people has 2 columns age: Age, age; leave one"):
        rename_columns(table, {"age": "age"}, "people")


def test_columns_that_may_be_meant():
    assert near_columns("age", ["Ages", "age_years", "stage", "sex", "dosage", "eag"]) == ["Ages", "age_years", "eag"]
    assert near_columns("nsrr_age", ["nsrr_ages", "nsrrid", "age"]) == ["nsrr_ages"]

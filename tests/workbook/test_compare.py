"""What differs between two runs is said, and nothing else."""

import json

import pytest
from helpers.toy_runs import inspect

from anysleep.__main__ import main
from anysleep.workbook import provenance
from anysleep.workbook.commands import WIDEST, as_text, differences
from anysleep.workbook.run import start_run


def finished(folder, scores, content=b"x", **changes):
    run = start_run(inspect(folder, **changes))
    (folder / "a.h5").write_bytes(content)
    run.input("archive", folder / "a.h5")
    run.finish(**scores)
    return folder


def test_a_run_and_the_same_once_more_differ_in_nothing(tmp_path, capsys):
    a, b = (finished(tmp_path / name, {"mf1": 0.8}) for name in "ab")
    assert differences(a, b) == []
    assert main(["compare", str(a), str(b)]) == 0
    assert (
        capsys.readouterr().out.rstrip().endswith("b differ in no parameter, input, code, package, machine or score.")
    )


def test_show_takes_a_run_as_well_as_the_folder_of_several(tmp_path, capsys):
    run = finished(tmp_path / "a", {"mf1": 0.8})
    for folder in (run, tmp_path):
        assert main(["show", str(folder)]) == 0
        assert "mf1 0.8" in capsys.readouterr().out


def test_parameters_inputs_code_packages_and_scores_are_compared(tmp_path, monkeypatch, capsys):
    a = finished(tmp_path / "a", {"mf1": 0.8, "n_nights": 3})
    monkeypatch.setattr(provenance, "code", lambda: {"commit": "f" * 40, "changed": True})
    versions = provenance.packages()
    monkeypatch.setattr(provenance, "packages", lambda: versions | {"numpy": "1.0"})
    b = finished(tmp_path / "b", {"mf1": 0.75}, content=b"y", channels=["C3-M2"], n_epochs=2)
    rows = {row[:2]: row[2:] for row in differences(a, b)}
    assert rows["parameters", "channels"] == ("[]", "['C3-M2']") and rows["parameters", "n_epochs"] == ("1", "2")
    assert rows["scores", "mf1"] == ("0.8", "0.75") and rows["scores", "n_nights"] == ("3", "-")
    assert rows["packages", "numpy"] == (versions["numpy"], "1.0") and rows["code", "commit"][1] == "f" * 40
    assert {part for part, _ in rows} == {"parameters", "inputs", "code", "packages", "scores"}
    assert [part for part, *_ in differences(a, b)][:2] == ["parameters"] * 2  # what decides comes first
    assert main(["compare", str(a), str(b)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rows) + 1 and max(map(len, lines)) <= 2 * WIDEST + 40


def test_a_group_is_compared_member_by_member_and_long_values_are_cut(tmp_path):
    a, b = (finished(tmp_path / name, {}) for name in "ab")
    for folder, clip in ((a, 1.0), (b, 2.0)):
        (folder / "params.yaml").write_text(f"run_id: {clip}\nrun_dir: x\nloss: {{gradient_clip: {clip}, other: 1}}\n")
    assert differences(a, b) == [("parameters", "loss.gradient_clip", "1.0", "2.0")]
    text = as_text([("inputs", "archive", "0" * 64, "1" * 64)], a, b)
    assert "0" * (WIDEST - 3) + "...  1" in text


@pytest.mark.parametrize("lost", ["params.yaml", "provenance.json", "result.json"])
def test_what_is_no_finished_run_is_refused(tmp_path, capsys, lost):
    a, b = (finished(tmp_path / name, {}) for name in "ab")
    (b / lost).unlink()
    assert main(["compare", str(a), str(b)]) == 2
    assert f"{b} is no finished run" in capsys.readouterr().err


def test_a_damaged_file_is_named(tmp_path):
    a, b = (finished(tmp_path / name, {}) for name in "ab")
    (b / "result.json").write_text(json.dumps({"scores": {}})[:-1])
    with pytest.raises(ValueError, match=r"b/result\.json is damaged"):
        differences(a, b)

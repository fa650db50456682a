"""A YAML file or a pattern of others can neither crash a process nor keep it."""

import re
from pathlib import PurePosixPath

import pytest
import yaml

from anysleep.datasets.recipes import names_of, read_recipe
from anysleep.datasets.splits import read_split
from anysleep.settings import ParameterError, merge_parameters
from anysleep.system import limits
from anysleep.system.limits import check_pattern, parse_yaml, patience_with
from anysleep.workbook.arguments import read_words
from anysleep.workbook.notebooks import Inspect

LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1},' * 9}]\n" for i in range(1, 12))
BOMBS = {
    "a thousand million laughs": (LAUGHS, r"alias \*a0: inside of an anchor"),
    "what holds itself": ("a: &a [*a]", r"alias \*a: inside of an anchor"),
    "aliases without end": ("a: &a [1]\nb: [" + "*a," * 101 + "]", "above 100 in all"),
    "lists without end": ("a: " + "[" * 100_000, "more than 50 lists or mappings inside each other"),
    "mappings without end": ("{a: " * 100_000, "more than 50 lists or mappings"),
    "gigabytes": ("a: 1\n" + "#" * limits.MOST_BYTES, "10 MB of YAML; at most 10 MB"),
    "a number of hours": ("a: 1" + ":0" * 100_000, "a value of 200001 characters without quotes"),
    "a number beyond all": ("a: 1" + ":0" * 400 + ".0", "too large"),
    "code": ("a: !!python/object/apply:os.system [echo]", "could not determine a constructor"),
    "a name given twice": ("n_steps: 1\nn_steps: 2", "n_steps given twice in the mapping at line 1"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_yaml_beyond_the_limits_is_refused_wherever_it_is_read(tmp_path, bomb):
    text, said = BOMBS[bomb]
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(ParameterError, match=rf"a\.yaml.* cannot be read as YAML: .*{said}"):
        merge_parameters([file], {})
    with pytest.raises(ParameterError, match=r"a\.yaml"):
        read_recipe(file)
    with pytest.raises(ValueError, match=said):
        read_split(file)


def test_a_bomb_may_also_be_typed():
    with pytest.raises(ParameterError, match=r"start_s is \[{80}, which cannot be read as YAML"):
        read_words(["start_s=" + "[" * 100_000], Inspect)


def test_a_long_file_is_refused_and_not_read_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 21)
    file = tmp_path / "a.yaml"
    file.write_text("a: 1 # 夜夜夜夜夜\nb: 2\n", encoding="utf-8")  # 28 bytes, 18 characters
    with pytest.raises(yaml.YAMLError, match="at most"):
        limits.read_yaml(file)


def test_what_people_write_is_read():
    assert parse_yaml("base: &base {a: 1}\nmore: {<<: *base, b: 2}\nagain: *base") == {
        "base": {"a": 1}, "more": {"a": 1, "b": 2}, "again": {"a": 1},
    }  # fmt: skip
    assert parse_yaml(yaml.safe_dump([nights := ["a", "b"], nights])) == [["a", "b"]] * 2


def test_one_module_reads_yaml(root):
    files = [path for path in (root / "lib").rglob("*.py") if re.search(r"yaml\.\w*load|safe_load", path.read_text())]
    assert [path.name for path in files] == ["limits.py"]


ENDLESS = r"(?P<person>(a+)+)b"


def test_a_pattern_that_does_not_end_is_stopped_and_named(root, monkeypatch):
    monkeypatch.setattr(limits, "PATTERN_S", 0.2)
    recipe = read_recipe(root / "params" / "datasets" / "edf_folder.yaml").model_copy(update={"name": ENDLESS})
    with pytest.raises(ValueError, match=rf"the pattern '{re.escape(ENDLESS)}' does not end"):
        names_of(recipe, PurePosixPath("a" * 60 + ".edf"))
    assert names_of(recipe, PurePosixPath("aab.edf"))["person"] == "aa"  # and nothing is left ticking


def test_a_mistake_in_the_block_stays_what_it_is():
    with pytest.raises(KeyError, match="mine"), patience_with("a"):
        raise KeyError("mine")


@pytest.mark.parametrize("pattern", ["a" * 1001, "(" * 500, "a{99999999999999999999}", "["])
def test_what_is_no_pattern_to_work_with_is_refused(pattern):
    with pytest.raises(ValueError, match="regular expression"):
        check_pattern(pattern)

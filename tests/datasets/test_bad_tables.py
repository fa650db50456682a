"""Whatever bytes a recipe, a table or a split holds: it is read, or a ValueError or OSError names it."""

import random

import pandas as pd
import pytest
import yaml

from anysleep.analysis.traits.participants import read_participants
from anysleep.datasets.recipes import read_recipe
from anysleep.datasets.splits import read_split
from anysleep.recordings.tables import read_table

PIECES = [
    b": ",
    b"\n",
    b"- ",
    b"{",
    b"[",
    b"'",
    b'"',
    b"&a ",
    b"*a",
    b"!!python/name:os.system ",
    b"\0",
    b"1e999",
    b"nan",
]
PIECES += [b"9" * 400, b"? ", b"<<: ", b"\t", b"2024-13-45", b"1:99:99", b"\xff", b",", b";"]


def changed(content: bytes, seed: int) -> bytes:
    """The bytes with one to four of them changed, left out, or joined by a piece."""
    draw, content = random.Random(seed), bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4])):
        at = draw.randrange(len(content))
        match draw.randrange(3):
            case 0:
                content[at] = draw.randrange(256)
            case 1:
                del content[at : at + draw.randrange(1, 20)]
            case 2:
                content[at:at] = draw.choice(PIECES)
    return bytes(content)


def read_any(read, path, content):
    """Nothing but the errors that are the workbook's words, with the file's name."""
    path.write_bytes(content)
    try:
        read(path)
    except (ValueError, OSError) as error:
        assert path.name in str(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recipe", ["isruc-sg1", "mass-c1", "sedf-sc", "bids"])
def test_any_recipe(root, tmp_path, recipe):
    content = (root / f"params/datasets/{recipe}.yaml").read_bytes()
    for seed in range(100):
        read_any(read_recipe, tmp_path / "a.yaml", changed(content, seed))


@pytest.mark.filterwarnings("ignore")
def test_any_table_of_participants(tmp_path):
    content = b'subject,age,sex,group\ns1,50,M,None\ns2,51.5,F,OSA\ns3,,M,"a, b"\n'
    for seed in range(400):
        read_any(read_participants, tmp_path / "a.csv", changed(content, seed))


@pytest.mark.filterwarnings("ignore")
def test_any_excel_table(tmp_path):
    pd.DataFrame({"subject": ["s1", "s2"], "age": [1, 2]}).to_excel(tmp_path / "a.xlsx", index=False)
    content = (tmp_path / "a.xlsx").read_bytes()
    for seed in range(100):
        read_any(read_table, tmp_path / "a.xlsx", changed(content, seed))


def test_any_split(tmp_path):
    split = {"train": {"a": ["1", "2"]}, "valid": {"a": ["3"]}, "test": {"a": ["4"], "b": []}}
    for seed in range(300):
        read_any(read_split, tmp_path / "a.yaml", changed(yaml.safe_dump(split).encode(), seed))

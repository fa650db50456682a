"""The notebooks as they are committed: clean, after one skeleton, with parameters that papermill finds."""

import ast
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import nbformat
import numpy as np
import papermill
import pytest
from pydantic import Field

from anysleep.settings import Strict
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import MARK, notebook_defaults


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_are_committed_clean_and_follow_the_skeleton(root, notebook):
    book = nbformat.read(root / "notebooks" / f"{notebook}.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert book.metadata.kernelspec.name == "python3"
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert all(part in prose for part in ("**Reads**", "**Writes**", "**Runtime**"))
    sections = [title for title in re.findall(r"^## (.*)$", prose, re.MULTILINE) if title != "Exercises"]
    assert sections == ["Data", "Method", "Result", "Checks", "Outputs"]
    assert not re.findall(r"^\*\*.*", prose, re.MULTILINE), "bold text for a heading, which no table of contents has"
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]  # a line a parameter, see below
    lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code if cell not in tagged]
    assert max(lengths) <= 20 and np.median(lengths) <= 5, lengths
    assert len(tagged) == 1 and tagged[0].source.startswith(MARK)
    names = [node.target.id for node in ast.parse(tagged[0].source).body]
    assert set(names) == set(NOTEBOOKS[notebook].model_fields)
    assert not any(word in cell.source for cell in code for word in ("class ", "def ", "plt."))


@pytest.fixture(scope="module")
def comments():
    """docs/parameter_comments.py, which is no part of the package."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "docs" / "parameter_comments.py")))


class Close(Strict):
    first: int = Field(description="Where it begins.", ge=0)


class Shown(Strict):
    part: Literal["train", "test"] = Field(description="Which part.")
    rate: float = Field(description="How fast, in Hz.", gt=0, le=2.5)
    close: Close = Field(description="The close-up.")
    name: str = Field(description="What it is called; empty for none.")


def test_a_comment_has_description_choices_and_bounds(comments):
    cell = ["# Parameters: mine", 'part: str = "train"', "rate: float = 1.0e-1  # old", 'close: dict = {"first": 1}']
    assert comments.commented("\n".join([*cell, 'name: str = ""']), Shown).splitlines() == [
        "# Parameters: mine",
        'part: str = "train"  # Which part [train, test]',
        "rate: float = 1.0e-1  # How fast, in Hz [above 0 to 2.5]",
        "close: dict = {",
        '    "first": 1,  # Where it begins [from 0]',
        "}  # The close-up",
        'name: str = ""  # What it is called; empty for none',
    ]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_parameters_are_described_by_their_fields_alone(root, comments, notebook):
    text = (root / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8")
    assert text == comments.commented_notebook(notebook), "run python docs/parameter_comments.py"
    assert notebook_defaults(root / "notebooks" / f"{notebook}.ipynb")


def test_answers_are_shut_and_print_nothing(root):
    """JupyterLab shows hidden outputs again after Run All, so what a cell shows is shut itself."""
    books = [nbformat.read(path, as_version=4) for path in (root / "notebooks").glob("*.ipynb")]
    answers = [cell for book in books for cell in book.cells if "answer" in cell.metadata.get("tags", [])]
    assert len(answers) == 5
    for cell in answers:
        *_, last = ast.parse(cell.source).body
        assert last.value.func.id == "closed_answer" and "print(" not in cell.source
        assert cell.metadata.jupyter == {"source_hidden": True}


def test_papermill_shows_every_parameter_with_its_comment(root, comments):
    for notebook, params in NOTEBOOKS.items():
        shown = papermill.inspect_notebook(root / "notebooks" / f"{notebook}.ipynb")
        helps = {name: comments.comment_of(field) for name, field in params.model_fields.items()}
        assert {name: entry["help"] for name, entry in shown.items()} == helps, notebook

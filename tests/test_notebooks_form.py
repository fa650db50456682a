"""The notebooks as they are committed: clean, after one skeleton, with parameters that papermill finds."""

import ast

import nbformat
import numpy as np
import papermill
import pytest

from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import MARK


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_are_committed_clean_and_follow_the_skeleton(root, notebook):
    book = nbformat.read(root / "notebooks" / f"{notebook}.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert book.metadata.kernelspec.name == "python3"
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert all(part in prose for part in ("**Reads**", "**Writes**", "**Runtime**", "## Data", "## Method"))
    assert all(part in prose for part in ("## Result", "## Checks", "## Outputs"))
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]  # a line a parameter, see below
    lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code if cell not in tagged]
    assert max(lengths) <= 20 and np.median(lengths) <= 5, lengths
    assert len(tagged) == 1 and tagged[0].source.startswith(MARK)
    names = [node.target.id for node in ast.parse(tagged[0].source).body]
    assert set(names) == set(NOTEBOOKS[notebook].model_fields)
    assert all(line.count("  # ") == 1 for line in tagged[0].source.splitlines()[1:])
    assert not any(word in cell.source for cell in code for word in ("class ", "def ", "plt."))


def test_answers_are_shut_and_print_nothing(root):
    """JupyterLab shows hidden outputs again after Run All, so what a cell shows is shut itself."""
    books = [nbformat.read(path, as_version=4) for path in (root / "notebooks").glob("*.ipynb")]
    answers = [cell for book in books for cell in book.cells if "answer" in cell.metadata.get("tags", [])]
    assert len(answers) == 5
    for cell in answers:
        *_, last = ast.parse(cell.source).body
        assert last.value.func.id == "closed_answer" and "print(" not in cell.source
        assert cell.metadata.jupyter == {"source_hidden": True}


def test_papermill_shows_every_parameter(root):
    for notebook, params in NOTEBOOKS.items():
        shown = papermill.inspect_notebook(root / "notebooks" / f"{notebook}.ipynb")
        assert set(shown) == set(params.model_fields), notebook

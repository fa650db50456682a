"""The comments in the notebooks' parameters cells, made from the fields of their parameters.

`python docs/parameter_comments.py` writes them. A parameter is described once, by its `Field`: what it means, its
choices and bounds. A group of parameters, such as `loss`, takes a line a member. Names and values stay as they are.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from anysleep.settings import Strict, comment_of
from anysleep.workbook.notebooks import NOTEBOOKS

FOLDER = Path(__file__).parents[1] / "notebooks"


def commented(source: str, cls: type[Strict]) -> str:
    """A parameters cell with new comments. KeyError where a name is no parameter."""
    title = source.splitlines()[0]
    return "\n".join([title, *(line for node in ast.parse(source).body for line in _lines(node, source, cls))])


def _lines(node: ast.AnnAssign, source: str, cls: type[Strict]) -> Iterator[str]:
    field = cls.model_fields[node.target.id]
    begin, comment = f"{node.target.id}: {ast.unparse(node.annotation)} = ", comment_of(field)
    if not (isinstance(field.annotation, type) and issubclass(field.annotation, Strict)):
        yield f"{begin}{ast.get_source_segment(source, node.value)}  # {comment}"
        return
    yield begin + "{"
    for key, value in zip(node.value.keys, node.value.values, strict=True):
        member = comment_of(field.annotation.model_fields[key.value])
        yield f'    "{key.value}": {ast.get_source_segment(source, value)},  # {member}'
    yield "}" + f"  # {comment}"


def commented_notebook(notebook: str) -> str:
    """The text of a notebook's file with new comments in its parameters cell."""
    content = json.loads((FOLDER / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    (cell,) = [cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    cell["source"] = commented("".join(cell["source"]), NOTEBOOKS[notebook]).splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for notebook in NOTEBOOKS:
        (FOLDER / f"{notebook}.ipynb").write_text(commented_notebook(notebook), encoding="utf-8")

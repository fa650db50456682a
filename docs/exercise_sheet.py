"""The exercises of the notebooks on one sheet to print.

`python docs/exercise_sheet.py` writes docs/exercises.md. Their text stands once, in the notebooks.
"""

import json
from pathlib import Path

DOCS = Path(__file__).parent
LAST = "\n\nIn JupyterLab"
"""What begins the sentence of the notebook alone."""
HEAD = """# Exercises

Three to a notebook: read something off, change something, invent something. Run the notebook first (`make demo` runs
all of them); at its end are boxes that take the answers which can be checked, worked out from your own run. Answers
are in folded cells. To score a night yourself, open stage_one_night in JupyterLab, at *Score it yourself*.
"""


def exercises() -> dict[str, tuple[str, str]]:
    """Notebook -> its title and the text of its exercises; those without any are left out."""
    found = {}
    for path in sorted((DOCS.parent / "notebooks").glob("*.ipynb")):
        cells = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        for text in cells:
            if text.startswith("## Exercises"):
                found[path.stem] = (cells[0].splitlines()[0].removeprefix("# "), text.partition(LAST)[0])
    return found


def sheet() -> str:
    """The page."""
    parts = [
        f"\n## {title}\n\n[The notebook](../notebooks/{name}.ipynb)\n\n{text.removeprefix('## Exercises').strip()}\n"
        for name, (title, text) in exercises().items()
    ]
    return HEAD + "".join(parts)


if __name__ == "__main__":
    (DOCS / "exercises.md").write_text(sheet(), encoding="utf-8")

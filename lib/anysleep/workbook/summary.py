"""The last screen: `anysleep show outputs/demo` says what was made and where."""

import json
import sys
from pathlib import Path

from anysleep.system.files import is_written


def summarise(folder: Path) -> str:
    """One paragraph a finished run below `folder`: its scores and where its files lie."""
    lines = [f"Made in {folder}:", ""]
    for path in filter(is_written, sorted(folder.glob("*/result.json"))):
        result = json.loads(path.read_text())
        said = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in result["scores"].items()}
        scores = ", ".join(f"{name} {value}" for name, value in said.items())
        lines.append(f"  {path.parent.name:<16} {scores}")
        shown = [name for name in result["outputs"] if not name.endswith(".svg")]
        lines += [f"  {'':<16}   {path.parent / name}" for name in shown]
    if len(lines) == 2:
        return f"No finished run in {folder}."
    lines += ["", "Every folder also holds notebook.ipynb (executed), params.yaml and provenance.json."]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the summary of one folder of runs; returns the exit status."""
    if len(arguments) != 1:
        print("usage: anysleep show <folder of runs>; put a path with blanks into quotes", file=sys.stderr)
        return 2
    print(summarise(Path(arguments[0])))
    return 0

"""The small commands: `anysleep show`, what runs have found; `compare`, in what two differ; `fetch`, a download."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anysleep.system.files import is_written, short_path
from anysleep.system.limits import read_facts

Difference = tuple[str, str, str, str]
"""Part, name, and what either run says."""
RECORDS = ("params.yaml", "provenance.json", "result.json")
"""What every finished run has, beside its executed notebook."""
NOTHING = "-"
WIDEST = 36


def differences(a: Path, b: Path) -> list[Difference]:
    """A row a difference between two finished runs. ValueError where a folder holds none.

    Folder, time and memory differ always and are left out; what decides the numbers comes first.
    """
    ours, theirs = _facts_of(a), _facts_of(b)
    names = dict.fromkeys([*ours, *theirs])
    pairs = [(name, ours.get(name, NOTHING), theirs.get(name, NOTHING)) for name in names]
    order = {part: i for i, part in enumerate(dict.fromkeys(part for part, _ in names))}
    return sorted(((*name, x, y) for name, x, y in pairs if x != y), key=lambda row: order[row[0]])


def read_run(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Parameters, provenance and result of a finished run. ValueError where the folder holds none, or half of one."""
    if not all(is_written(folder / name) for name in RECORDS):
        raise ValueError(f"{folder} is no finished run: {', '.join(RECORDS[:2])} or {RECORDS[2]} is missing")
    params, made = (read_facts(folder / name) for name in RECORDS[:2])
    return params, made, read_facts(folder / RECORDS[2], "outputs", "scores")


def as_text(rows: list[Difference], a: Path, b: Path) -> str:
    """The rows as a table with a header, long values cut."""
    if not rows:
        return f"{short_path(a)} and {short_path(b)} differ in no parameter, input, code, package, machine or score."
    table = [["", "", short_path(a)[-WIDEST:], short_path(b)[-WIDEST:]], *map(list, rows)]
    table = [[cell if len(cell) <= WIDEST else f"{cell[: WIDEST - 3]}..." for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)


def compare(arguments: list[str]) -> int:
    """Print in what two runs differ; returns the exit status. Errors as of `differences`."""
    if len(arguments) != 2:
        print("usage: anysleep compare <run> <run>; put a path with blanks into quotes", file=sys.stderr)
        return 2
    a, b = map(Path, arguments)
    print(as_text(differences(a, b), a, b))
    return 0


def _facts_of(folder: Path) -> dict[tuple[str, str], str]:
    """Part and name -> value, as text."""
    params, made, result = read_run(folder)
    parts = {
        "run": {"notebook": result.get("notebook", NOTHING)},
        "parameters": {name: value for name, value in params.items() if name not in ("run_id", "run_dir")},
        "inputs": made.get("inputs_sha256", {}),
        "code": made.get("code", {"commit": made.get("commit")}),
        "packages": made.get("packages", {}),
        "machine": made.get("machine", {}),
        "scores": result.get("scores", {}),
    }
    return {(part, name): _said(value) for part, facts in parts.items() for name, value in _flat(facts).items()}


def _flat(facts: Mapping[str, object], above: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in facts.items():
        is_group = isinstance(value, dict) and value
        flat |= _flat(value, f"{above}{name}.") if is_group else {f"{above}{name}": value}
    return flat


def _said(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def summarise(folder: Path) -> str:
    """One paragraph a finished run, which is `folder` itself or lies in it: its scores and where its files lie."""
    lines = [f"Made in {folder}:", ""]
    for path in filter(is_written, [folder / "result.json", *sorted(folder.glob("*/result.json"))]):
        result = read_facts(path, "outputs", "scores")
        said = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in result["scores"].items()}
        scores = ", ".join(f"{name} {value}" for name, value in said.items())
        lines.append(f"  {path.parent.name:<16} {scores}")
        shown = [name for name in result["outputs"] if not name.endswith(".svg")]
        lines += [f"  {'':<16}   {path.parent / name}" for name in shown]
    if len(lines) == 2:
        return f"No finished run in {folder}."
    lines += ["", "Every folder also holds notebook.ipynb (executed), params.yaml and provenance.json."]
    return "\n".join(lines)


def show(arguments: list[str]) -> int:
    """Print the summary of one folder of runs; returns the exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: anysleep show <run or folder of runs>; put a path with blanks into quotes", file=sys.stderr)
        return 2
    print(summarise(Path(arguments[0])))
    return 0


def fetch(arguments: list[str]) -> int:
    """Download released weights or a real nap into a folder; returns the exit status. Errors as of the functions."""
    from anysleep.models import fetch_checkpoint  # slow to import
    from anysleep.recordings.downloads import fetch_real_nap

    if len(arguments) != 2:
        print("usage: anysleep fetch <what> <folder>\nwhat: nap, a real recording; or released weights, anysleep-run1")
        return 2
    what, folder = arguments
    print(what, "is in", fetch_real_nap(folder) if what == "nap" else fetch_checkpoint(what, folder))
    return 0

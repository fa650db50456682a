"""The drawing and the table of rooms in architecture.md, made from the imports of lib/anysleep.

`python docs/draw_architecture.py` writes them between the page's markers. A room is a package or module of
lib/anysleep; `ROOMS` has them from the bottom to the top, and a room imports rooms below it only.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

LIB = Path(__file__).parents[1] / "lib" / "anysleep"
PAGE = Path(__file__).with_name("architecture.md")
BEGIN, END = "<!-- drawn by draw_architecture.py -->\n", "<!-- end of the drawing -->\n"
ROOMS = """
    system stages settings published recordings synthetic datasets models staging evaluation training analysis
    exports figures paper widgets workbook data inference prediction __main__ runs jupyter_lab_config
""".split()
DOORS = ("data", "inference", "prediction", "__main__", "runs", "jupyter_lab_config")
"""What other programs use: in the table, not in the drawing."""

Arrow = tuple[str, str]


def arrows() -> dict[Arrow, list[str]]:
    """(room, room that it imports) -> the places, file:line. Imports in functions count, and modules named in texts."""
    found: dict[Arrow, list[str]] = {}
    for file in sorted(LIB.rglob("*.py")):
        room = file.relative_to(LIB).with_suffix("").parts[0]
        for line, name in _modules_named(ast.parse(file.read_text(encoding="utf-8"))):
            other = name.split(".")[1]
            if other != room and room != "__init__":
                found.setdefault((room, other), []).append(f"{file.relative_to(LIB)}:{line}")
    return found


def _modules_named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "anysleep" else [module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        yield from ((node.lineno, name) for name in names if re.fullmatch(r"anysleep(\.\w+)+", name))


def upwards(found: dict[Arrow, list[str]]) -> list[str]:
    """Imports of a room that stands above, or is not in `ROOMS`."""
    place = {room: number for number, room in enumerate(ROOMS)}
    return [
        f"{room} imports {other}: {', '.join(places)}"
        for (room, other), places in found.items()
        if place.get(other, len(ROOMS)) >= place.get(room, -1)
    ]


def draw(found: dict[Arrow, list[str]]) -> str:
    """The drawing, without arrows that a longer way says already, and the table, with all of them."""
    below = {room: {other for one, other in found if one == room} for room in ROOMS}
    reached: dict[str, set[str]] = {}
    for room in ROOMS:
        reached[room] = below[room].union(*(reached[other] for other in below[room]))
    lines = ["```mermaid", "flowchart TD"]
    for room in (room for room in reversed(ROOMS) if room not in DOORS):
        longer = set().union(*(reached[other] for other in below[room]))
        lines += [f"    {room} --> {other}" for other in ROOMS if other in below[room] - longer]
    lines += ["```", "", "| Room | What it is | Imports |", "|---|---|---|"]
    for room in reversed(ROOMS):
        imported = ", ".join(other for other in ROOMS if other in below[room])
        line = f"| [{room}](../lib/anysleep/{_path(room)}) | {_sentence(room)} | {imported} |"
        lines.append(re.sub(r"__main__(?!\.py)", r"\\_\\_main\\_\\_", line))  # else it is bold
    return "\n".join(lines) + "\n"


def _path(room: str) -> str:
    return room if (LIB / room).is_dir() else f"{room}.py"


def _sentence(room: str) -> str:
    file = LIB / room / "__init__.py" if (LIB / room).is_dir() else LIB / f"{room}.py"
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).splitlines()[0].replace("|", r"\|")


def drawn_page() -> str:
    """The page with a new drawing."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return before + BEGIN + draw(arrows()) + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(drawn_page(), encoding="utf-8")

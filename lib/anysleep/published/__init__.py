"""Small published tables, each with its source in its first line."""

from importlib.resources import files


def read_published(name: str) -> list[dict[str, str]]:
    """Rows of the tab-separated table `<name>.tsv`, as dictionaries of text; comment lines are left out."""
    text = files(__name__).joinpath(f"{name}.tsv").read_text(encoding="utf-8")
    header, *rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return [dict(zip(header, row, strict=True)) for row in rows]

"""README and docs name only commands, parameters, functions and files that exist."""

import ast
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
import yaml

from anysleep.__main__ import COMMANDS
from anysleep.datasets.recipes import Labels, Recipe
from anysleep.settings import merge_parameters
from anysleep.workbook.arguments import checked_parameters, read_words
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.search import Search

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = {"SLURM_ARRAY_TASK_ID": "3"}
"""What stands for the variables of a shell."""

NAME, MODULE = r"`(anysleep(?:\.\w+)+)", r"python -m (anysleep[\w.]*)"
COMMAND = rf"`anysleep run ((?:{'|'.join(NOTEBOOKS)}) [^`]*)`"
"""What stands in running text: a module or function, a module to run, a command."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page):
    """Every command of the page's shell blocks as a list of words, loops unrolled."""
    for text in blocks(page, "bash"):
        text = text.replace("\\\n", " ")
        for name, values, body in re.findall(r"^for (\w+) in (.*?); do\n(.*?)^done", text, re.MULTILINE | re.DOTALL):
            text += "\n".join(body.replace(f"${name}", value) for value in values.split())
        text = re.sub(r"^for .*?^done", "", text, flags=re.MULTILINE | re.DOTALL)
        for name, value in EXAMPLES.items():
            text = text.replace(f"${name}", value)
        for line in text.splitlines():
            if words := shlex.split(line.removeprefix("exec "), comments=True):
                yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def check_run(notebook, *words):
    files, overrides = read_words([word for word in words if word != "--dry-run"], NOTEBOOKS[notebook])
    checked_parameters(notebook, files, overrides)


def check_imports(code):
    """Every name that the code takes from a module is there."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_the_readme_is_one_page(root):
    assert len((root / "README.md").read_text().split()) <= 700


@each_page
def test_links_lead_somewhere(page):
    for path, place in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if place:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert place in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, place


@each_page
def test_commands_exist_and_take_what_is_named(page, root):
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)) <= targets
    assert set(re.findall(r"`anysleep (\w+)", page.read_text())) <= set(COMMANDS)
    for program, *words in commands(page):
        if program == "anysleep":
            assert words[0] in COMMANDS, words
            if words[0] == "run":
                check_run(*words[1:])
            if words[0] == "search":
                Search(**merge_parameters(words[1:], {}))
        elif program == "papermill":
            given = dict(zip(words[words.index("-p") + 1 :: 3], words[words.index("-p") + 2 :: 3], strict=True))
            check_run(Path(words[0]).stem, words[words.index("-f") + 1], *(f"{k}={v}" for k, v in given.items()))
        elif program == "snakemake":
            for profile in re.findall(r"profile=(\w+)", " ".join(words)):
                assert (root / "params" / profile).is_dir()
        elif program == "python" and words[0] == "-c":
            check_imports(words[1])
        for file in re.findall(r"(?:docs|lib|notebooks|params|tests)/[\w./]+\.\w+", " ".join(words)):
            assert (root / file).is_file(), file


@each_page
def test_python_is_python_and_what_it_imports_is_there(page):
    for code in blocks(page, "python"):
        check_imports(code)


def test_modules_and_commands_that_are_named_in_texts_exist(root):
    """In pages, notebooks, parameters and docstrings; the changelog has the names that were."""
    folders = {"lib": "py", "tests": "py", "notebooks": "ipynb", "params": "yaml"}
    files = [file for folder, suffix in folders.items() for file in (root / folder).rglob(f"*.{suffix}")]
    texts = [file.read_text() for file in [*files, *PAGES] if file.stem not in ("CHANGELOG", "test_docs")]
    named = {pattern: set(re.findall(pattern, "\n".join(texts))) for pattern in (NAME, MODULE, COMMAND)}
    for name in named[NAME]:
        pkgutil.resolve_name(name)  # an ImportError or AttributeError names it
    assert named[MODULE] <= {"anysleep", "anysleep.runs", "anysleep.training"}
    assert named[COMMAND]
    for command in named[COMMAND]:
        check_run(*shlex.split(command))


def test_the_changelog_says_where_what_was_renamed_is_now(root):
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \|$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert len(rows) > 10
    for name in {name for _, now in rows for name in re.findall(NAME, now)}:
        pkgutil.resolve_name(name)
    assert {command for _, now in rows for command in re.findall(r"`anysleep (\w+)`", now)} == set(COMMANDS)


def test_what_the_architecture_names_is_where_it_says(root):
    """A link with a name in code marks leads to the file that defines it; other files that are named are there."""
    page = root / "docs" / "architecture.md"
    text = page.read_text()
    places = re.findall(r"\[`(\w+)`\]\(([^)]+)\)", text)
    assert len(places) > 15
    for name, file in places:
        assert re.search(rf"^ *(def|class) {name}\b|^{name}\b.* = ", (page.parent / file).read_text(), re.MULTILINE), (
            name
        )
    for file in re.findall(r"`([\w/]+\.py)`", text):
        assert (root / "lib" / "anysleep" / file).is_file() or (root / file).is_file(), file


def test_the_recipe_in_the_pages_is_one():
    text, labels, scorers = blocks(ROOT / "docs" / "own_recordings.md", "yaml")
    recipe = yaml.safe_load(text)
    assert set(Recipe(**recipe | yaml.safe_load(scorers)).labels_of_scorers) == {"second", "network"}
    Labels(**yaml.safe_load(labels)["labels"])


def test_every_command_stands_somewhere(root):
    """What the workbook can do is found in its pages."""
    said = " ".join(" ".join(words) for page in PAGES for words in commands(page))
    assert {f"anysleep {name}" for name in COMMANDS if f"anysleep {name}" not in said} <= {"anysleep show"}
    readme = (root / "README.md").read_text()
    assert all(notebook in readme for notebook in NOTEBOOKS)
    assert all(f"docs/{page.name}" in readme for page in (root / "docs").glob("*.md"))
    assert {"make demo", "make lab", "make test"} <= set(re.findall("make [a-z]+", readme))
    assert "make test" in (root / ".ci" / "run").read_text()


def test_every_difference_from_the_paper_has_its_reason_and_effect(root):
    lines = (root / "docs" / "differences.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    assert rows[0] == ["what", "published", "ours", "why", "effect"]
    assert all(len(row) == 5 and all(row) for row in rows)
    assert len({row[0] for row in rows}) == len(rows) > 20

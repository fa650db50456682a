"""The repository keeps its own promises: one list of packages, no private paths, modules that stand alone."""

import ast
import importlib.metadata
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml


def pins(root):
    lines = (root / "requirements.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def test_every_package_is_pinned_exactly(root):
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin) for pin in pins(root))
    assert "torch==2.13.0" in pins(root)
    assert pins(root) == sorted(set(pins(root)), key=pins(root).index)


@pytest.mark.parametrize("aside", ["docs", "tests/browser", "profiles/slurm"])
def test_what_is_installed_beside_changes_no_pinned_package(root, aside):
    beside = pins(root / aside)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin) for pin in beside)
    names = [{re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() for pin in some} for some in (pins(root), beside)]
    assert names[1] and not names[0] & names[1]


def test_what_is_installed_is_what_is_pinned(root):
    for pin in pins(root):
        name, version = pin.split("==")
        assert importlib.metadata.version(name).split("+")[0] == version, pin


def test_the_lock_has_the_same_versions_and_a_hash_of_every_file_but_no_torch(root):
    lines = (root / "requirements.lock").read_text().splitlines()
    named = [line for line in lines if line[0] not in "# "]
    locked = dict(re.match(r"(\S+)==(\S+)(?: ;.*)? \\$", line).groups() for line in named)
    assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines if line[0] == " ")
    wanted = dict(pin.split("==") for pin in pins(root) if not pin.startswith("torch=="))
    wanted = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in wanted.items()}
    assert wanted.items() <= locked.items(), "run make lock"
    assert set(locked) - set(wanted) == {"appnope", "colorama", "pyreadline3", "pywinpty"}  # for macOS and Windows


def test_one_python_everywhere(root):
    said = [
        re.search(r"^FROM python:([\d.]+)", (root / "Dockerfile").read_text(), re.MULTILINE)[1],
        re.search(r"^From: python:([\d.]+)", (root / "apptainer.def").read_text(), re.MULTILINE)[1],
        re.search(r"python=([\d.]+)", (root / "environment.yml").read_text())[1],
        ".".join(re.search(r"!= \((\d+), (\d+)\)", (root / "Makefile").read_text()).groups()),
    ]
    assert set(said) == {"3.11"}


def test_both_images_are_made_by_the_same_steps_of_files_that_are_there(root):
    docker = (root / "Dockerfile").read_text()
    packages, set_up, _ = re.findall(r"^RUN (.*)", docker, re.MULTILINE)
    assert {packages, set_up} <= {line.strip() for line in (root / "apptainer.def").read_text().splitlines()}
    assert set_up.startswith("make .venv/ready ") and 'CMD ["make", "demo"]' in docker
    (needed,) = re.findall(r"^\$\(READY\): (.*)", (root / "Makefile").read_text(), re.MULTILINE)
    left_out = (root / ".dockerignore").read_text().splitlines()
    for name in [*needed.split(), "Makefile", "Snakefile", "lib", "notebooks", "params", "profiles"]:
        assert (root / name).exists() and name not in left_out


def test_conda_installs_the_same_list(root):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    assert environment["dependencies"] == ["python=3.11", "pip", {"pip": ["-r requirements.txt"]}]


@pytest.fixture(scope="module")
def architecture():
    """docs/draw_architecture.py, which is no part of the package."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "docs" / "draw_architecture.py")))


def test_no_room_imports_upwards(architecture):
    assert architecture.upwards(architecture.arrows()) == [], "see ROOMS in docs/draw_architecture.py"


def test_every_room_has_its_place(architecture):
    rooms = {
        path.stem for path in architecture.LIB.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert set(architecture.ROOMS) == rooms - {"__init__"}, "see ROOMS in docs/draw_architecture.py"


def test_the_drawing_is_that_of_the_imports(architecture):
    assert architecture.PAGE.read_text() == architecture.drawn_page(), "run python docs/draw_architecture.py"


def test_a_public_name_means_one_thing(root):
    """Of functions, classes and aliases of types; private ones, constants and `main` are their module's own."""
    modules: dict[str, list[str]] = {}
    for path in (root / "lib").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [node] if isinstance(node, ast.FunctionDef | ast.ClassDef) else getattr(node, "targets", [])
            for name in (getattr(one, "name", getattr(one, "id", "_")) for one in names):
                if not name.startswith("_") and not name.isupper() and name != "main":
                    modules.setdefault(name, []).append(path.name)
    assert {name: places for name, places in modules.items() if len(places) > 1} == {}


def test_commits_are_checked_with_the_pinned_ruff(root):
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"]
    (revision,) = [repo["rev"] for repo in hooks if "ruff" in repo["repo"]]
    assert f"ruff=={revision.removeprefix('v')}" in pins(root)


def test_nothing_of_one_machine_is_committed(root):
    files = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    texts = [root / name for name in files if name.endswith((".py", ".ipynb", ".md", ".yaml", ".yml", ".toml", ".txt"))]
    assert len(texts) > 40
    for path in texts:
        assert not re.search(r"(?<![\w.])/(root|home/\w+|tmp|work)/", path.read_text()), path


def test_every_module_can_be_the_first_that_is_imported():
    """In a process of its own, as what other tests have imported must stay."""
    code = (
        "import importlib, pkgutil, sys, anysleep\n"
        "names = [module.name for module in pkgutil.walk_packages(anysleep.__path__, 'anysleep.')]\n"
        "for name in (name for name in names if not name.endswith(('__main__', 'jupyter_lab_config'))):\n"
        "    for known in [known for known in sys.modules if known.startswith('anysleep')]:\n"
        "        del sys.modules[known]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]

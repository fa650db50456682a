"""The repository keeps its own promises: one list of packages, README commands that exist, no private paths."""

import importlib.metadata
import re
import subprocess
import sys

import yaml


def pins(root):
    lines = (root / "requirements.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def test_every_package_is_pinned_exactly(root):
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin) for pin in pins(root))
    assert "torch==2.13.0" in pins(root)
    assert pins(root) == sorted(set(pins(root)), key=pins(root).index)


def test_what_is_installed_is_what_is_pinned(root):
    for pin in pins(root):
        name, version = pin.split("==")
        assert importlib.metadata.version(name).split("+")[0] == version, pin


def test_conda_installs_the_same_list(root):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    assert environment["dependencies"] == ["python=3.11", "pip", {"pip": ["-r requirements.txt"]}]


def test_the_readme_names_only_commands_that_exist(root):
    readme = (root / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", readme, re.MULTILINE))
    assert {"demo", "test", "lab"} <= named <= targets
    assert "make test" in (root / ".ci" / "run").read_text()
    for notebook in (root / "notebooks").glob("*.ipynb"):
        assert notebook.stem in readme
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (root / path).exists(), path


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

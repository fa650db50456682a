"""JupyterLab leaves the notebooks in git as they are, however often they are run and saved."""

import shutil
from pathlib import Path

import nbformat
import pytest
from jupyter_server.services.contents.filemanager import FileContentsManager
from traitlets.config import PyFileConfigLoader

CONFIG = Path(__file__).parents[2] / "lib" / "anysleep" / "jupyter_lab_config.py"


@pytest.fixture
def manager(root, tmp_path):
    """What saves files in JupyterLab, as `make lab` sets it up, on a copy of the notebooks."""
    shutil.copytree(root / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*"))
    config = PyFileConfigLoader(CONFIG.name, str(CONFIG.parent)).load_config()
    assert Path(config.ServerApp.root_dir) == root and "README.md" in config.LabApp.default_url
    return FileContentsManager(config=config, root_dir=str(tmp_path))


def run_all(book):
    """What a kernel and JupyterLab add to a notebook."""
    for count, cell in enumerate(book["cells"]):
        cell["metadata"]["trusted"] = True
        if cell["cell_type"] == "code":
            cell["execution_count"] = count
            cell["outputs"] = [nbformat.v4.new_output("stream", text="a patient's night")]
    book["metadata"]["language_info"] = {"name": "python", "version": "3.11.7"}
    book["metadata"]["widgets"] = {"state": 1}


def test_a_notebook_that_was_run_and_saved_is_as_it_was(root, manager, tmp_path):
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        model = manager.get(f"notebooks/{file.name}")
        run_all(model["content"])
        manager.save(model, f"notebooks/{file.name}")
        assert (tmp_path / "notebooks" / file.name).read_bytes() == file.read_bytes()


def test_a_change_of_the_text_and_a_copy_elsewhere_are_kept(manager, tmp_path):
    model = manager.get("notebooks/05_predict.ipynb")
    run_all(model["content"])
    model["content"]["cells"][0]["source"] = "mine"
    manager.save(model, "notebooks/05_predict.ipynb")
    manager.save(model | {"content": manager.get("notebooks/05_predict.ipynb")["content"]}, "copy.ipynb")
    assert nbformat.read(tmp_path / "notebooks/05_predict.ipynb", 4).cells[0].source == "mine"
    run_all(model["content"])
    manager.save(model, "copy.ipynb")
    assert "a patient's night" in (tmp_path / "copy.ipynb").read_text()

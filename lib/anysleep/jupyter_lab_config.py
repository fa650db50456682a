"""JupyterLab on the workbook (`make lab`): README first, and its notebooks saved without outputs, as git has them."""

import json
from pathlib import Path

NOTEBOOKS = "notebooks/"


def save_without_outputs(*, model: dict, path: str, contents_manager: object, **_: object) -> None:
    """Before a notebook of the workbook is saved: no outputs, no counts, and the metadata that its file has.

    What a run found is in its run folder. A copy elsewhere, such as outputs/my.ipynb, keeps its outputs.
    """
    if model["type"] != "notebook" or not path.startswith(NOTEBOOKS):
        return
    book, file = model["content"], Path(contents_manager.root_dir, path)
    for cell in book["cells"]:
        for name in ("trusted", "execution"):
            cell["metadata"].pop(name, None)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    if file.is_file():
        book["metadata"] = json.loads(file.read_text(encoding="utf-8"))["metadata"]


if "get_config" in globals():  # Jupyter reads this file as its configuration
    c = get_config()  # noqa: F821
    c.FileContentsManager.pre_save_hook = save_without_outputs
    c.ServerApp.root_dir = str(Path(__file__).parents[2])
    c.LabApp.default_url = "/lab/tree/README.md"
    c.LabApp.app_settings_dir = str(Path(__file__).with_name("jupyter_lab_settings"))  # Markdown as it is to be read

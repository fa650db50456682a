"""JupyterLab as `make lab` sets it up, in a real browser."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, Route, sync_playwright

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "lib" / "anysleep" / "jupyter_lab_config.py"
WAIT_MS = 60_000
"""How long a state may take to come on a busy machine; nothing waits for time to pass."""
RUN_CELL = """async (index) => {
  const notebook = jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  notebook.deselectAll();
  await jupyterapp.commands.execute('notebook:run-cell');
  const outputs = notebook.model.cells.get(index).outputs.toJSON();
  return outputs.filter((one) => one.output_type === 'error').map((one) => one.evalue);
}"""
RUN_ALL = """async () => {
  await jupyterapp.commands.execute('notebook:run-all-cells');
  const cells = [...jupyterapp.shell.currentWidget.content.model.cells].filter((cell) => cell.type === 'code');
  const outputs = cells.flatMap((cell) => cell.outputs.toJSON());
  return outputs.filter((one) => one.output_type === 'error').map((one) => one.evalue);
}"""
GO_TO = """async (id) => {
  const book = jupyterapp.shell.currentWidget.content;
  const index = [...book.model.cells].findIndex((cell) => cell.id === id);
  await book.scrollToItem(index, 'start');
  book.widgets[index].node.dataset.id = id;
}"""
READY = """() => {
  const widget = window.jupyterapp?.shell.currentWidget;
  return widget?.context?.isReady && widget.sessionContext.isReady;
}"""


def write_notebook(file: Path, cells: list[str]) -> None:
    """A notebook of these cells of code."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, file)


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """The address of a notebook, `{}` for its name, in a JupyterLab that works in `folder` and ends with the block."""
    homes = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "HOME")}
    homes["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    settings = {"ServerApp.root_dir": str(folder), "ServerApp.open_browser": "False", "ServerApp.port": "0"}
    settings |= {"LabApp.expose_app_in_browser": "True", "LabApp.news_url": "None", "IdentityProvider.token": "t"}
    settings |= {"LabApp.workspaces_dir": str(folder / "workspaces"), "ServerApp.allow_root": "True"}
    settings |= {"LabApp.check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate"}
    command = [sys.executable, "-m", "jupyterlab", f"--config={CONFIG}", *(f"--{k}={v}" for k, v in settings.items())]
    environment = os.environ | homes | {"PYTHONPATH": str(ROOT / "lib"), "JUPYTER_PREFER_ENV_PATH": "1"}
    server = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        port = next(match[1] for line in server.stderr if (match := re.search(r"http://\S+?:(\d+)/", line)))
        yield f"http://127.0.0.1:{port}/lab/workspaces/test/tree/{{}}?reset&token=t"
    finally:
        server.terminate()
        server.communicate()


@contextmanager
def chromium() -> Iterator[Page]:
    """A page that reaches this machine alone; its `strangers` are the other addresses that it has asked for."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or None  # Playwright's own
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1250})
        page.set_default_timeout(WAIT_MS)
        page.strangers = []
        page.route(lambda url: "//127.0.0.1" not in url, lambda route: _refuse(page, route))
        yield page
        browser.close()


def _refuse(page: Page, route: Route) -> None:
    page.strangers.append(route.request.url)
    route.abort()


def open_notebook(page: Page, address: str) -> None:
    """Open the notebook, and wait for its kernel."""
    page.goto(address)
    page.wait_for_function(READY)


def run_cell(page: Page, index: int) -> None:
    """Run one cell to its end. AssertionError with what it has raised."""
    assert not (errors := page.evaluate(RUN_CELL, index)), errors


def run_all(page: Page) -> None:
    """Run the notebook to its end. AssertionError with what its cells have raised."""
    assert not (errors := page.evaluate(RUN_ALL)), errors


def go_to(page: Page, cell: str) -> Locator:
    """The cell with this id, where it can be seen."""
    page.evaluate(GO_TO, cell)
    return page.locator(f"[data-id='{cell}']")

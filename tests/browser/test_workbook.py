"""Every notebook in JupyterLab and Chromium, run to its end on the tiny cohort: its controls, and its shut answers."""

import nbformat
import pytest
from helpers.toy_runs import given_to
from lab import ROOT, chromium, go_to, lab, open_notebook, run_all
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from anysleep.workbook.notebooks import NOTEBOOKS

PICTURES = ROOT / "outputs" / "screenshots"
CONTROLS = {
    "05_predict": ("cell-15", "predictions per epoch"),
    "06_arousals": ("matches", "minute"),
    "07_traits": ("commonest", "recording"),
    "08_figures": ("against", "kind"),
}
"""Notebook -> its cell with controls, and the control that is moved."""
BROWSERS = {"02_inspect": "browse", "stage_one_night": "browse"}
"""Notebook -> its cell with the night browser."""
NEXT = "([cell, before]) => cell.querySelector('.widget-html img').src !== before"
BROKEN = ".jupyter-widgets-error-widget"
"""What stands where a widget cannot be shown."""

ALL_CELLS = """() => {
  const book = jupyterapp.shell.currentWidget.content;
  book.notebookConfig = { ...book.notebookConfig, windowingMode: 'none' };
}"""
"""JupyterLab holds only the cells that are seen; a picture of a whole notebook needs all of them."""
ATTACHED = "() => jupyterapp.shell.currentWidget.content.widgets.every(cell => cell.isAttached && cell.isVisible)"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A page, the address of a notebook, and the folder with all of them and of what they write."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "params").symlink_to(ROOT / "params")
    for notebook, given in given_to(folder).items():
        book = parameterize_notebook(load_notebook_node(str(ROOT / "notebooks" / f"{notebook}.ipynb")), given)
        nbformat.write(book, folder / f"{notebook}.ipynb")
    with lab(folder) as address, chromium() as page:
        yield page, address, folder


def move(cell, control):
    """The next value of a control."""
    line = cell.locator(".widget-inline-hbox", has_text=control)
    if line.locator("select").count():
        line.locator("select").select_option(index=1)
    else:
        line.locator(".noUi-handle").press("ArrowRight")


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_runs_to_its_end_and_what_is_moved_is_drawn(opened, notebook):
    page, address, folder = opened
    open_notebook(page, address.format(f"{notebook}.ipynb"))
    run_all(page)
    assert (folder / notebook / "result.json").is_file() and page.strangers == []
    keep_whole(page, notebook)
    assert not page.locator(BROKEN).count()
    if notebook in CONTROLS:
        cell = go_to(page, CONTROLS[notebook][0])
        picture = cell.locator(".widget-html img")
        assert picture.get_attribute("alt")
        first = picture.get_attribute("src")
        move(cell, CONTROLS[notebook][1])
        page.wait_for_function(NEXT, arg=[cell.element_handle(), first])
        keep(cell, f"{notebook}_control")
    if notebook in BROWSERS:
        cell = go_to(page, BROWSERS[notebook])
        cell.locator(".night-browser[data-page=whole]").wait_for()
        keep(cell, f"{notebook}_night")
    for answer in answers(notebook):
        shut = go_to(page, answer).locator("details")
        assert shut.evaluate("details => !details.open")
        shut.locator("summary").click()
        assert shut.evaluate("details => details.open")
        keep(shut, f"{notebook}_answer")
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")


def answers(notebook):
    """Ids of the cells with the answers to the exercises."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
    return [cell.id for cell in cells if "answer" in cell.metadata.get("tags", [])]


def keep(what, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    what.screenshot(path=PICTURES / f"{name}.png")


def keep_whole(page, notebook):
    """From top to bottom, as far as a picture may be tall."""
    size, book = page.viewport_size, page.locator(".jp-NotebookPanel .jp-WindowedPanel-outer")
    page.evaluate(ALL_CELLS)
    page.wait_for_function(ATTACHED)
    height = book.evaluate("book => { book.scrollTop = 0; return book.scrollHeight; }")
    page.set_viewport_size({"width": size["width"], "height": min(height + 200, 16_000)})
    keep(book, notebook)
    page.set_viewport_size(size)

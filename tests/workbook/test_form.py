"""The form of a notebook has all that its fields say, and writes what a run without a browser takes."""

import subprocess
import sys

import ipywidgets
import nbformat
import pytest

from anysleep.settings import ParameterError, comment_of
from anysleep.workbook.arguments import checked_parameters
from anysleep.workbook.form import show_form
from anysleep.workbook.notebooks import NOTEBOOKS, StageOneNight


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_notebook_has_a_form_that_begins_with_what_the_notebook_says(notebook):
    form = show_form(NOTEBOOKS[notebook])
    assert form.checked() == checked_parameters(notebook, [], {})[0]
    assert {name.partition(".")[0] for name in form.controls} == set(NOTEBOOKS[notebook].model_fields)


def test_choices_bounds_and_help_are_those_of_the_fields():
    controls = show_form(StageOneNight).controls
    assert controls["paper"].options == ("A4", "Letter") and "bids" in controls["exports"].options
    assert isinstance(controls["age"], ipywidgets.IntText) and "[from 0 to 120]" in controls["age"].tooltip
    for name, field in StageOneNight.model_fields.items():
        assert controls[name].tooltip == comment_of(field)


def test_what_is_filled_in_is_what_the_run_takes(tmp_path):
    form = show_form(StageOneNight)
    filled = {"recording": "nights/with = sign.edf", "exports": ("bids", "nsrr"), "age": 25, "lights_off": "23:10"}
    for name, value in (filled | {"channels": "[C3-M2, E1-M2]", "paper": "Letter"}).items():
        form.controls[name].value = value
    form.file.value = str(tmp_path / "params" / "stage_one_night.yaml")
    form.write.click()
    assert form.says.value.startswith("<code>.venv/bin/anysleep run stage_one_night ")
    params, given = checked_parameters("stage_one_night", [tmp_path / "params" / "stage_one_night.yaml"], {})
    assert params == form.checked() and set(given) == set(StageOneNight.model_fields)
    assert [path.name for path in params.recording] == ["with = sign.edf"] and params.channels == ["C3-M2", "E1-M2"]
    assert (params.age, params.lights_off, params.exports, params.paper) == (25, "23:10", ["bids", "nsrr"], "Letter")


def test_what_is_not_allowed_is_said_and_nothing_is_written(tmp_path):
    form = show_form(StageOneNight)
    form.controls["age"].value = 121
    form.file.value = str(tmp_path / "night.yaml")
    form.write.click()
    assert "age is 121" in form.says.value and not list(tmp_path.iterdir())
    with pytest.raises(ParameterError, match="age is 121"):
        form.checked()


def test_a_run_without_a_browser_needs_no_control(root):
    """As if ipywidgets were not installed: the runner and the first cells."""
    books = [nbformat.read(root / "notebooks" / f"{name}.ipynb", 4) for name in NOTEBOOKS]
    cells = [next(cell.source for cell in book.cells if cell.cell_type == "code") for book in books]
    absent = "import sys; sys.modules['ipywidgets'] = sys.modules['anywidget'] = None"
    code = "\n".join([absent, "import anysleep.workbook.runner", *cells])
    subprocess.run([sys.executable, "-c", code], check=True)

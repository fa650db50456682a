"""The page without a browser: what is told it of a night stands in the report."""

from datetime import datetime

import pytest

from anysleep.models.checkpoints import bundled_file
from anysleep.synthetic import draw_persons, simulate_night
from anysleep.synthetic.cohort import write_edf
from anysleep.widgets.page import StagingPage


@pytest.fixture
def page(tmp_path):
    night = simulate_night(draw_persons(1, seed=777)[0], hours=0.2, seed=777)
    write_edf(night, tmp_path / "night.edf", datetime(1985, 1, 1, 22, 30))
    page = StagingPage()
    page.checkpoint.value = bundled_file()
    page.choose([tmp_path / "night.edf"])
    yield page
    page.close()


def test_lights_and_age_are_told_where_they_are_known(page):
    page.lights[0].value, page.lights[1].value, page.age.value = "22:33", "600", 25
    page.run()
    said = page.staged.report.about["Lights"]
    assert said == "lights off at 22:33:00 (180 s) (from parameter), on at 22:40:00 (600 s) (from parameter)"
    assert page.staged.report.references and page.staged.scored[1].lights_off_s == 180


def test_lights_that_cannot_be_are_a_sentence(page):
    page.lights[0].value = "25:99"
    page.run()
    assert "25:99" in page.says.value and not page.result.children

"""The page of a night: one sheet, nothing over anything else, text that can be selected, and nobody named unasked."""

import html
import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from anysleep.analysis import night_statistics, statistics_report
from anysleep.analysis.definitions import reference_bands
from anysleep.figures.report import (
    NO_DEVICE,
    PAPER_IN,
    NightReport,
    draw_page,
    least_certain,
    report_as_html,
    write_report,
)
from anysleep.stages import N2, UNSCORED

CHANNELS = pd.DataFrame(
    {
        "channel": ["C3-M2", "<b>E1</b>", *(f"EEG {i}" for i in range(8))],
        "verdict": ["use", *["look"] * 9],
        "reason": ["", "strong 50 Hz hum (40 % of the power): high impedance or a missing ground", *["x " * 60] * 8],
    }
)


def report(title="One night of sleep", age=25):
    rng = np.random.default_rng(0)
    stages = np.repeat(rng.integers(0, 5, 96), 10)
    hypnodensity = 0.05 + 0.75 * np.eye(5)[stages]
    statistics = night_statistics(stages, (600.0, 28_000.0), np.array([[900.0, 906.0], [5000.0, 5010.0]]))
    about = {
        name: "words " * 40 for name in ("Recorded", "Lights", "Channels", "Network", "Verdict", "Made by", "Warning")
    }
    others = CHANNELS, "22:31:05", (600.0, 28_000.0), reference_bands(age, len(stages))
    return NightReport(title, about, stages, hypnodensity, statistics_report(statistics), *others)


@pytest.mark.parametrize("paper", PAPER_IN)
def test_all_stands_on_the_sheet_and_nothing_over_anything_else(paper):
    page = draw_page(report(), paper)
    page.draw_without_rendering()
    assert page.get_size_inches() == pytest.approx(PAPER_IN[paper])
    axes = [ax.get_tightbbox() for ax in page.axes]
    boxes = [text.get_window_extent() for text in page.texts if text.get_text()]
    assert len(boxes) > 80
    assert all(page.bbox.x0 < box.x0 and box.x1 < page.bbox.x1 and box.y0 > page.bbox.y0 for box in boxes + axes)
    for first, second in combinations(boxes + axes, 2):
        assert not first.overlaps(second), (first, second)
    plt.close(page)


def test_text_of_both_can_be_selected_and_they_are_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        write_report(report(), tmp_path / f"{name}.pdf", tmp_path / f"{name}.html", "A4")
    pdf, web_page = (tmp_path / "a.pdf").read_bytes(), (tmp_path / "a.html").read_text()
    assert (tmp_path / "b.pdf").read_bytes() == pdf and (tmp_path / "b.html").read_text() == web_page
    assert b"/Count 1 " in pdf and b"/FontFile2" in pdf and b"/ToUnicode" in pdf
    assert b"/MediaBox [ 0 0 595.44 841.68 ]" in pdf
    assert re.search(r"<text[^>]*>clock time</text>", web_page) and NO_DEVICE in web_page
    assert 'aria-label="Hypnogram of 960 epochs' in web_page


def test_names_out_of_files_are_no_html():
    assert "&lt;b&gt;E1&lt;/b&gt;" in report_as_html(report()) and "<b>E1" not in report_as_html(report())
    assert "<title>a &amp; b</title>" in report_as_html(report("a & b"))


def test_every_statistic_has_its_title_unit_meaning_and_source():
    rows = report().statistics
    text = report_as_html(report())
    assert len(rows) > 30
    for row in rows.itertuples():
        assert all(html.escape(part) in text for part in (row.title, row.unit, row.meaning, row.source)), row.statistic


def test_published_values_stand_beside_the_night_where_the_age_has_some():
    young, middle, unknown = (report_as_html(report(age=age)) for age in (25, 45, 0))
    assert "Total sleep time here" in young and "413.5 (345.6 to 451.9) min at this age in" in young
    assert "at this age" not in middle and "at this age" not in unknown


def test_the_least_certain_epochs_are_named_by_the_clock():
    given = report()
    given.hypnodensity[7] = [0.2, 0.2, 0.25, 0.15, 0.2]
    given.hypnogram[7] = N2
    given.hypnodensity[9] = 0.2
    given.hypnogram[9] = UNSCORED
    first = least_certain(given).iloc[0]
    assert (first.time, first.stage, first.probability, first.next_stage) == ("22:34:35", "N2", 0.25, "Wake")

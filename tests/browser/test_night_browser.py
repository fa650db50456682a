"""The night browser in JupyterLab and Chromium: what a person does with the keys is what is painted and on disk."""

import csv

import numpy as np
import pytest
from lab import ROOT, chromium, lab, open_notebook, run_cell, write_notebook

from anysleep.exports import Review, ScoredNight

PICTURES = ROOT / "outputs" / "screenshots"
LIMIT_MS, FIRST_MS = 100, 2000
START, PAGE, FILTERED, GAIN, VERSION, AT = range(6)
"""Parts of what the browser says it has painted."""
IMPORTS = """
from datetime import datetime
from pathlib import Path
import numpy as np
import pandas as pd
from anysleep.exports import ScoredNight
from anysleep.recordings.recording import Recording, annotation_table
from anysleep.synthetic import draw_persons, simulate_night
from anysleep.widgets import NightBrowser
"""
SIMULATE = """
made, rng = simulate_night(draw_persons(1, seed=0)[0], hours=8), np.random.default_rng(0)
names = tuple(made.channels[:8])
notes = [(on, end - on, "EEG arousal") for on, end in made.arousals] + [(600, 0, "Lights off"), (27600, 0, "Lights on")]
night = Recording(
    names, list(made.signals_uv[:8]), (128.0,) * 8, ("uV",) * 8, 28800.0, annotation_table(notes),
    datetime(1985, 1, 1, 22, 30), made.hypnogram, np.array([[5400.0, 5520.0]]),
)
def scored(r):
    sure = np.eye(5)[np.repeat(made.hypnogram, r)] * rng.uniform(0.3, 4, (960 * r, 1))
    p = np.exp(sure + rng.normal(0, 0.5, (960 * r, 5)))
    p /= p.sum(axis=1, keepdims=True)
    return ScoredNight(p.argmax(axis=1), r, None, p, made.arousals[::2], scorer="network")
verdicts, reasons = ["use"] * 6 + ["look", "drop"], [""] * 6 + ["mains hum", "flat for half of the night"]
quality = pd.DataFrame({"channel": names, "verdict": verdicts, "reason": reasons})
"""
SHOW = "NightBrowser(night, [scored(1), scored(8)], quality, Path('corrections.csv'), 'AB')"
SHORT = """
short = Recording(("EEG C3",), [made.signals_uv[0][:5760]], (128.0,), ("uV",), 45.0)
NightBrowser(short)
"""
FIRST = """() => {
  const begun = performance.now();
  const seen = new MutationObserver(() => {
    if (!document.querySelector('.night-browser[data-page=whole]')) return;
    seen.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => { window.first = performance.now() - begun; }));
  });
  seen.observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
STOPWATCH = """() => {
  const root = document.querySelector('.night-browser');
  addEventListener('keydown', (event) => { window.from = event.timeStamp; }, true);
  new MutationObserver(() => {
    if (window.from === null || root.dataset.painted.split('|')[window.part] === window.before) return;
    const start = window.from;
    window.from = null;
    requestAnimationFrame(() => requestAnimationFrame(() => { window.took = performance.now() - start; }));
  }).observe(root, { attributeFilter: ['data-painted'] });
}"""
"""From the key to two frames after the picture in which the awaited part is another one."""
BEGIN = """(part) => {
  window.took = window.from = null;
  window.part = part;
  window.before = document.querySelector('.night-browser').dataset.painted.split('|')[part];
}"""


class Night:
    """The browser on the page, as a person uses it."""

    def __init__(self, page, folder):
        self.page, self.root, self.folder = page, page.locator(".night-browser").first, folder

    def painted(self, part):
        return self.root.get_attribute("data-painted").split("|")[part]

    def press(self, key, part):
        """Press a key, and wait until this part of the picture is another one; milliseconds until it was painted."""
        self.page.evaluate(BEGIN, part)
        self.page.keyboard.press(key)
        return self.page.wait_for_function("window.took").json_value()

    def press_in_peace(self, key, part):
        """The same once what the last key has asked for is there, as a person is slower than that."""
        self.page.wait_for_function("document.querySelector('.night-browser').dataset.waiting === '0'")
        return self.press(key, part)

    def ask(self, act):
        """Do something that changes the night, and wait for Python's answer."""
        n = int(self.root.get_attribute("data-answers") or 0)
        act()
        self.page.wait_for_function("n => Number(document.querySelector('.night-browser').dataset.answers) > n", arg=n)

    def says(self):
        return self.root.locator("output").inner_text()

    def rows(self):
        with (self.folder / "corrections.csv").open() as file:
            return [(row["epoch"], row["from"], row["to"], row["scorer"]) for row in csv.DictReader(file)]

    def picture(self, name):
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.root.screenshot(path=PICTURES / f"night_browser_{name}.png")

    def drag(self, start, end, height):
        """From one part of the canvas to another, as shares of its width, at a share of its height."""
        box = self.root.locator("canvas").bounding_box()
        y = box["y"] + height * box["height"]
        self.page.mouse.move(box["x"] + start * box["width"], y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + end * box["width"], y, steps=4)
        self.page.mouse.up()


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "night.ipynb", [IMPORTS, SIMULATE, SHOW, SHORT])
    with lab(folder) as address, chromium() as page:
        open_notebook(page, address.format("night.ipynb"))
        for cell in (0, 1):
            run_cell(page, cell)
        page.evaluate(FIRST)
        run_cell(page, 2)
        night = Night(page, folder)
        night.first_ms = page.wait_for_function("window.first").json_value()
        page.evaluate(STOPWATCH)
        yield night


@pytest.fixture
def night(opened):
    """At its first page of 30 s, with the keys."""
    opened.root.focus()
    opened.page.keyboard.press("Escape")
    opened.page.keyboard.press("Home")
    opened.page.wait_for_function("document.querySelector('.night-browser').dataset.painted.startsWith('0|30|true')")
    return opened


def test_it_pages_zooms_and_jumps_where_it_says(night):
    assert "22:30:00" in night.says() and "epoch 1 of 960" in night.says()
    night.picture("page")
    night.press("ArrowRight", START)
    assert night.painted(START) == "30" and "epoch 2 of 960" in night.says()
    night.press("d", AT)
    words = night.says().split(" · ")
    assert len({word.split()[-1] for word in words if word.startswith(("expert", "network"))}) == 2
    night.press("-", PAGE)
    assert night.painted(PAGE) == "60"
    night.press("0", PAGE)
    assert night.painted(PAGE) == "28800" and night.painted(START) == "0"
    night.picture("whole_night")
    night.press("0", PAGE)
    night.press("f", FILTERED)
    night.press("f", FILTERED)
    night.press("End", AT)
    assert "epoch 960 of 960" in night.says()


def test_a_stage_is_on_disk_and_the_next_epoch_is_there(night):
    n = len(night.rows()) if (night.folder / "corrections.csv").exists() else 0
    night.ask(lambda: night.press("3", VERSION))
    assert night.rows()[n:] == [("1", "Wake", "N3", "AB")] and "epoch 2 of 960" in night.says()
    night.ask(lambda: night.page.keyboard.press("Control+z"))
    assert night.rows()[n + 1 :] == [("1", "N3", "Wake", "AB")]
    night.page.wait_for_function("document.querySelector('.night-browser output').innerText.includes('epoch 1 of')")
    night.ask(lambda: night.page.keyboard.press("Control+y"))
    night.ask(lambda: night.page.keyboard.press("Control+z"))
    assert len(night.rows()) == n + 4


def test_a_range_is_selected_and_scored_as_one(night):
    n = len(night.rows())
    for _ in range(2):
        night.press("Shift+ArrowRight", AT)
    assert "epochs 1 to 3" in night.says()
    night.ask(lambda: night.press("2", VERSION))
    assert [(row[0], row[2]) for row in night.rows()[n:]] == [("1", "N2"), ("2", "N2"), ("3", "N2")]
    night.ask(lambda: night.page.keyboard.press("Control+z"))


def test_an_arousal_is_marked_by_dragging_and_by_keys(night):
    n = len(night.rows())
    night.ask(lambda: night.drag(0.3, 0.4, 0.7))
    night.ask(lambda: [night.page.keyboard.press(key) for key in ("m", "ArrowRight", "Shift+ArrowRight", "Enter")])
    night.picture("arousals")
    assert [row[1:3] for row in night.rows()[n:]] == [("none", "arousal")] * 2
    for _ in range(2):
        night.ask(lambda: night.page.keyboard.press("Control+z"))


def test_what_another_adds_is_read_and_kept(night):
    predicted = ScoredNight(np.zeros(960, dtype=np.int8), scorer="network")
    other = Review(predicted, night.folder / "corrections.csv", "CD")
    other.set_stage([1], 4)
    night.press("ArrowRight", VERSION)
    assert other.undo()
    night.press("ArrowRight", VERSION)


def test_the_queue_goes_on_with_the_least_certain(night):
    night.press("l", AT)
    night.page.keyboard.press("q")
    first = night.painted(AT)
    night.press("u", VERSION)
    second = night.painted(AT)
    night.press("u", VERSION)
    assert len({first, second, night.painted(AT)}) == 3
    night.page.keyboard.press("q")


def test_it_is_dark_in_the_dark(night):
    theme = "async (theme) => { await jupyterapp.commands.execute('apputils:change-theme', { theme }); }"
    night.page.evaluate(theme, "JupyterLab Dark")
    night.page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    night.press("ArrowRight", START)
    night.picture("dark")
    night.page.evaluate(theme, "JupyterLab Light")


def test_from_the_key_to_the_picture(night):
    keys = {
        "next page": [("ArrowRight", START)] * 10,
        "zoom out, page by page": [("-", PAGE)] * 8,
        "whole night and back": [("0", PAGE)] * 3,
        "gain": [("ArrowUp", GAIN), ("ArrowDown", GAIN)] * 3,
        "filters off and on": [("f", FILTERED)] * 2,
        "next disagreement": [("d", AT)] * 6,
        "next arousal": [("a", AT)] * 6,
        "next stage change": [("s", AT)] * 6,
        "a stage": [("u", VERSION)] * 10,
    }
    n, answered = len(night.rows()), int(night.root.get_attribute("data-answers"))
    took = {what: [night.press_in_peace(*key) for key in pressed] for what, pressed in keys.items()}
    night.page.wait_for_function(f"document.querySelector('.night-browser').dataset.answers == {answered + 10}")
    assert [row[2] for row in night.rows()[n:]] == ["unscored"] * 10
    lines = [f"{what}: median {np.median(ms):.0f} ms, longest {max(ms):.0f} ms" for what, ms in took.items()]
    night.press("Home", AT)
    hurried = [night.press("ArrowRight", START) for _ in range(20)]
    lines.append(f"20 pages, each as soon as the last is painted: median {np.median(hurried):.0f} ms")
    print(f"first picture: {night.first_ms:.0f} ms", *lines, sep="\n")
    assert night.first_ms < FIRST_MS
    assert all(np.median(ms) < LIMIT_MS for ms in took.values()), lines


def test_a_recording_alone_is_shown_and_nothing_was_asked_of_the_network(night):
    run_cell(night.page, 3)
    night.page.wait_for_function("document.querySelectorAll('.night-browser[data-page=whole]').length === 2")
    assert night.page.strangers == []

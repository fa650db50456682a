"""The page of one night (`make app`) in Chromium: a recording goes up, and what comes down is its hypnogram."""

import csv
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime

import pytest
from lab import ROOT, WAIT_MS, chromium

from anysleep.synthetic import draw_persons, simulate_night
from anysleep.synthetic.cohort import write_edf

PICTURES = ROOT / "outputs" / "screenshots"
N_EPOCHS = 60


def wait_until(is_so):
    """As `WAIT_MS`; nothing tells of files that come or go."""
    ends = time.monotonic() + WAIT_MS / 1000
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.1)


@contextmanager
def served(folder, *more):
    """The address of the page, with its token; kernels work below `folder`. It ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = ["--Voila.config_file_paths=app/settings", "--no-browser", f"--port={port}", *more]
    command = [sys.executable, "-m", "voila", "app/page.ipynb", *settings]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib"), "TMPDIR": str(folder), "HOME": str(folder)}
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: "token=" in (folder / "log").read_text())
        yield re.search(r"http://\S+token=\w+", (folder / "log").read_text())[0]
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    night = simulate_night(draw_persons(1, seed=777)[0], hours=N_EPOCHS / 120, seed=777)
    write_edf(night, folder / "night.edf", datetime(1985, 1, 1, 22, 30))
    (folder / "broken.edf").write_bytes((folder / "night.edf").read_bytes()[:5000])
    (folder / "kernels").mkdir()
    return folder


@pytest.fixture(scope="module")
def page(folder):
    with served(folder / "kernels") as address, chromium() as page:
        page.goto(address)
        page.address = address
        page.wait_for_selector(".staging-page")
        yield page
        page.context.clear_cookies()
        assert page.goto(address.partition("?")[0]).url.endswith("/login?next=%2F")
    assert not list((folder / "kernels").glob("anysleep-page-*"))


def finds(page, text):
    page.locator(".staging-page .found", has_text=text).wait_for()


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": 1300, "height": 2300})
    page.screenshot(path=PICTURES / f"page_{name}.png")


def uploads(folder):
    return list(folder.glob("anysleep-page-*/uploads-*"))


def test_a_broken_file_gives_a_sentence(page, folder):
    page.locator(".upload input").set_input_files(folder / "broken.edf")
    finds(page, "broken.edf: ")
    assert "Traceback" not in page.content() and page.locator("button", has_text="Stage the night").is_disabled()


def saved(page, title):
    with page.expect_download() as coming:
        page.locator(".downloads button", has_text=title).first.click()
    with open(coming.value.path()) as file:
        return coming.value.suggested_filename, list(csv.DictReader(file))


def test_a_night_is_uploaded_staged_reviewed_and_downloaded(page, folder):
    """Ten epochs by keys and by buttons, as a person does who follows the page alone."""
    page.locator(".upload input").set_input_files(folder / "night.edf")
    finds(page, "night.edf: 30 min, 11 channels")
    assert page.get_by_label("EEG C3-M2").is_checked() and not page.get_by_label("ECG").is_checked()
    picture(page, "channels")
    page.locator("button", has_text="Stage the night").click()
    page.locator(".night-browser[data-page=whole]").wait_for()
    name, before = saved(page, "CSV with clock times")
    assert name == "hypnogram_night.csv" and len(before) == N_EPOCHS
    browser = page.locator(".night-browser")
    browser.locator("canvas").click(position={"x": 600, "y": 300})
    page.keyboard.press("Home")
    for n, (way, what) in enumerate(
        [("key", "r"), ("key", "Enter"), ("button", "Wake"), ("button", "✓ Confirm")] * 3, 1
    ):
        if way == "key":
            page.keyboard.press(what)
        else:
            browser.get_by_role("button", name=re.compile(f"^{what.split()[-1]}")).click()
        browser.locator("output", has_text=f"{n} reviewed").wait_for()
    assert "epoch 12 stays" in browser.locator("output").inner_text()
    picture(page, "night")
    _, after = saved(page, "CSV with clock times")
    stages = [row["stage"] for row in before]
    for epoch in range(0, 12, 4):
        stages[epoch], stages[epoch + 2] = "REM", "Wake"
    assert [row["stage"] for row in after] == stages
    assert [row["stage"] for row in saved(page, "The network's own stages")[1]] == [row["stage"] for row in before]
    assert len(saved(page, "Corrections")[1]) == 12
    assert page.strangers == []


def test_another_visitor_has_a_night_of_their_own_which_ends_with_the_visit(page, folder):
    other = page.context.browser.new_context().new_page()
    other.goto(page.address)
    other.locator(".upload input").wait_for()
    assert len(uploads(folder / "kernels")) == 2 and not other.locator(".night-browser").count()
    other.close(run_before_unload=True)
    wait_until(lambda: len(uploads(folder / "kernels")) == 1)


def test_a_kernel_that_is_idle_is_ended_with_what_was_uploaded(tmp_path):
    idle = ["--MappingKernelManager.cull_idle_timeout=10", "--MappingKernelManager.cull_interval=1"]
    with served(tmp_path, *idle) as address, urllib.request.urlopen(address, timeout=WAIT_MS / 1000) as answer:
        assert "staging-page" in answer.read().decode()
        wait_until(lambda: not uploads(tmp_path))

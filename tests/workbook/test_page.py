"""The page of one night without a browser: what is chosen is what the library does, and nothing of it is left."""

import io
import subprocess
import sys
import zipfile
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from anysleep.analysis import definitions, detect_arousals
from anysleep.data import preprocess
from anysleep.exports import FORMATS
from anysleep.inference import stage_recording
from anysleep.models import bundled
from anysleep.stages import STAGES
from anysleep.synthetic import draw_persons, simulate_night
from anysleep.synthetic.cohort import write_edf
from anysleep.widgets import NightBrowser
from anysleep.widgets.page import LIMIT_BYTES, StagingPage, Upload
from anysleep.widgets.results import Downloads, downloads_of, known_checkpoints

pytestmark = pytest.mark.filterwarnings("ignore:this network was trained on synthetic")
N_EPOCHS = 30


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    made = simulate_night(draw_persons(1, seed=777)[0], hours=N_EPOCHS / 120, seed=777)
    file = tmp_path_factory.mktemp("night") / "night.edf"
    write_edf(made, file, datetime(1985, 1, 1, 22, 30))
    return file


@pytest.fixture
def page():
    page = StagingPage()
    yield page
    page.close()


@pytest.fixture(scope="module")
def staged(file):
    """A page whose night was staged at 8 predictions an epoch with what the doctor proposes."""
    page = StagingPage()
    page.path.value = str(file)
    page.read.click()
    page.resolution.value = 8
    page.stage.click()
    yield page
    page.close()


@pytest.fixture
def upload(tmp_path):
    upload = Upload(tmp_path)
    upload.said = []
    upload.send = upload.said.append
    return upload


def tell(widget, *messages):
    for message, *buffers in messages:
        widget._handle_custom_msg(message, [memoryview(one) for one in buffers])


def sent(name, content, slice_bytes=2**20):
    """The messages of the browser."""
    yield ({"type": "begin", "n_bytes": len(content)},)
    for at in range(0, len(content) or 1, slice_bytes):
        yield {"type": "slice", "name": name}, content[at : at + slice_bytes]
    yield ({"type": "end"},)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("cut.edf", lambda edf: edf[:5000], "cut.edf: "),
        ("notes.txt", lambda edf: b"hello", "notes.txt: no reader for &#x27;.txt&#x27;"),
        ("empty.edf", lambda edf: b"", "empty.edf: "),
    ],
)
def test_a_broken_file_gives_a_sentence(page, file, name, content, sentence):
    tell(page.upload, *sent(name, content(file.read_bytes())))
    assert page.found.value.startswith(sentence) and "\n" not in page.found.value
    assert page.stage.disabled and page.recording is None
    tell(page.upload, *sent("night.edf", file.read_bytes()))
    assert page.found.value.startswith("night.edf: 15 min, 11 channels") and not page.stage.disabled


def test_the_doctor_proposes_channels_and_those_that_are_ticked_are_staged(staged):
    assert [name.split()[0] for name in staged.ticked] == ["EEG"] * 6 + ["EOG"] * 2
    assert staged.staged.night.channels == tuple(staged.ticked)
    assert staged.staged.report.about["Warning"].endswith("docs/bundled_network.md")


def test_its_stages_are_those_of_the_library(staged):
    night = staged.staged.night
    signals = preprocess(night.signals, night.rates_hz, 128)
    expected = stage_recording(bundled(), signals, resolutions=(1, 8))
    for r in (1, 8):
        assert (staged.staged.scored[r].stages == expected.hypnogram(r)).all()


def test_every_format_can_be_saved_with_all_epochs(staged):
    downloads = downloads_of([1, 8], lambda: staged.staged)
    fine, coarse = downloads["Hypnogram, a stage every 3.75 s"], downloads["Hypnogram, a stage every 30 s"]
    assert len(coarse) == len(FORMATS) == len(fine) + 1  # Luna's epochs are of 30 s
    for makes, n in ((coarse, N_EPOCHS), (fine, 8 * N_EPOCHS)):
        (content,) = makes["CSV with clock times"]().values()
        assert len(pd.read_csv(io.BytesIO(content))) == n
        assert all(all(files.values()) and files for files in (make() for make in makes.values()))
    name, packed = Downloads(coarse).made("BIDS events")
    assert name == "hypnogram_night_events.zip" and len(zipfile.ZipFile(io.BytesIO(packed)).namelist()) == 2
    report = {name: content[:5] for make in downloads["Report"].values() for name, content in make().items()}
    assert report["report_night.pdf"] == b"%PDF-" and report["report_night.html"] == b"<!doc"


def browser_of(page):
    (browser,) = (widget for widget in page.result.children if isinstance(widget, NightBrowser))
    return browser


def test_what_is_corrected_is_in_every_file_and_in_the_statistics(page, file):
    page.path.value, page.resolution.value = str(file), 8
    page.read.click()
    page.stage.click()
    browser, before = browser_of(page), page.staged
    saved = {
        title: widget for widget in page.result.children if isinstance(widget, Downloads) for title in widget.titles
    }
    assert "nothing is corrected" in answer_of(saved["Corrections, CSV"], "Corrections, CSV")
    new = (before.scored[1].stages[4] + 1) % 5
    browser.review.set_stage([5], int(new))
    browser.review.set_stage([6], int(before.scored[1].stages[5]))
    browser._show_scores()
    assert browser.n_reviewed == 2
    now = before.corrected(browser.review.changes)
    for r in (1, 8):
        expected = before.scored[r].stages.copy()
        expected[4 * r : 5 * r] = new  # and the finer stages of the epoch that was confirmed stay
        assert (now.scored[r].stages == expected).all() and "corrected by reviewer" in now.scored[r].scorer
    _, content = saved["CSV with clock times"].made("CSV with clock times")
    finer = pd.read_csv(io.BytesIO(content))
    assert len(finer) == 8 * N_EPOCHS and finer.stage[32:40].eq(STAGES[new]).all()  # the last of that title
    minutes = now.statistics.set_index("statistic").value
    assert (minutes != before.statistics.set_index("statistic").value).any()
    shown = page.result.children[-1].value
    assert all(f"<td>{title}</td>" in shown for title in now.statistics.title)
    assert b"corrected by reviewer" in now.printed(".html")["report_night.html"]
    own_name, own = saved["The network's own stages, CSV"].made("The network's own stages, CSV")
    assert own_name == "hypnogram_night_network.csv"
    assert pd.read_csv(io.BytesIO(own)).stage[4] == STAGES[before.scored[1].stages[4]]
    _, rows = saved["Corrections, CSV"].made("Corrections, CSV")
    assert len(rows.decode().splitlines()) == 3
    page.stage.click()
    assert page.says.value == "that deletes the review of 2 epochs; save it below, or press again"
    assert browser_of(page) is browser
    page.stage.click()
    assert browser_of(page) is not browser and page.says.value.startswith("night.edf is staged")


def answer_of(downloads, title):
    """What a person is told who presses that button."""
    downloads.said = []
    downloads.send = downloads.said.append
    tell(downloads, ({"title": title},))
    return downloads.said[0].get("refused", "")


def test_a_mistyped_path_takes_no_staged_night_away(staged, file):
    result = staged.result.children
    staged.path.value = f"{file}x"
    staged.path._handle_custom_msg({"event": "submit"}, [])  # Enter
    assert "no such file" in staged.found.value and staged.result.children == result
    staged.path.value = f"'{file}'"
    staged.read.click()
    assert staged.found.value.startswith("night.edf") and not staged.stage.disabled
    staged.path.value = " "
    staged.read.click()
    assert staged.found.value == "type the path of a recording, or choose a file to upload"


def test_a_choice_that_does_not_fit_gives_a_sentence(page, file):
    page.path.value = str(file)
    page.read.click()
    for row in page.channels.children[1:]:
        row.children[0].value = False
    page.stage.click()
    assert page.says.value == "no channel is ticked" and not page.result.children


def test_an_upload_comes_in_slices_and_is_whole(upload, tmp_path):
    content = np.random.default_rng(0).bytes(100_000)
    tell(upload, *sent("../../a.edf", content, slice_bytes=2**14))
    assert upload.files == [tmp_path / "a.edf"] and (tmp_path / "a.edf").read_bytes() == content
    assert upload.said == [{}] * 9
    tell(upload, *sent("b.edf", b"12"))
    assert [file.name for file in tmp_path.iterdir()] == ["b.edf"]  # the night before is gone


def test_half_an_upload_is_no_recording(upload, tmp_path):
    begin, *slices, end = sent("a.edf", b"12345678", slice_bytes=4)
    tell(upload, begin, slices[0], end)
    assert "not all of it came" in upload.said[-1]["refused"] and upload.files == [] == list(tmp_path.iterdir())


def test_arousals_of_the_finest_stages_go_into_every_file(staged):
    fine, coarse = staged.staged.scored[8], staged.staged.scored[1]
    assert coarse.arousals_s.tolist() == fine.arousals_s.tolist() == detect_arousals(fine.stages, 8).tolist()


def test_channels_are_staged_eeg_first_and_a_scoring_beside_is_no_part(page, file, tmp_path):
    named = {"night-PSG.edf": file.read_bytes(), "night-Hypnogram.edf": file.read_bytes()}
    for name, content in named.items():
        (tmp_path / name).write_bytes(content)
    page.choose([tmp_path / name for name in named])
    assert page.found.value.startswith("night-PSG.edf: 15 min")
    page.channels.children = [page.channels.children[0], *reversed(page.channels.children[1:])]
    assert [name[:3] for name in page.ticked] == ["EEG"] * 6 + ["EOG"] * 2
    page.upload.files = [file]
    page.upload.files = []
    assert page.recording is None and page.stage.disabled and not page.channels.children


def test_an_upload_beyond_the_limit_is_refused_and_deleted(upload, tmp_path):
    tell(upload, ({"type": "begin", "n_bytes": LIMIT_BYTES + 1},))
    assert "at most 2.1 GB" in upload.said[-1]["refused"]
    tell(upload, ({"type": "begin", "n_bytes": 3},), ({"type": "slice", "name": "a.edf"}, b"1234"))
    assert "more came" in upload.said[-1]["refused"] and not list(tmp_path.iterdir())


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_uploads_are_deleted_when_the_kernel_ends_and_memory_has_an_end(tmp_path):
    code = (
        "from pathlib import Path\nimport numpy as np\nfrom anysleep.widgets.page import StagingPage, limit_memory\n"
        "page = StagingPage()\nfolder = Path(page._folder.name)\n(folder / 'a.edf').write_bytes(b'1')\n"
        "limit_memory(2**30)\npage._trying(page.says, np.ones, 2**28)\nprint(folder, page.says.value, sep='|')"
    )
    folder, sentence = in_a_process(code).split("|")
    assert not (tmp_path / folder).exists()
    assert sys.platform != "linux" or sentence.startswith("that takes more memory")


def test_released_networks_come_first_and_the_others_say_what_they_are(tmp_path, monkeypatch):
    for name in ("notebooks", "params", "outputs/mine/weights"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "outputs/mine/weights/anysleep-run1.pth").touch()
    monkeypatch.chdir(tmp_path)
    first, second = known_checkpoints()
    assert first.startswith("anysleep-run1") and "synthetic nights only" in second


def test_lights_and_age_are_told_where_they_are_known(page, file, monkeypatch):
    monkeypatch.setattr(definitions, "SHORTEST_NIGHT_H", 0.2)  # this one lasts a quarter of an hour
    page.path.value = str(file)
    page.read.click()
    page.lights[0].value, page.lights[1].value, page.age.value = "22:33", "600", 25
    page.stage.click()
    said = page.staged.report.about["Lights"]
    assert said == "lights off at 22:33:00 (180 s) (from parameter), on at 22:40:00 (600 s) (from parameter)"
    assert page.staged.report.references and page.staged.scored[1].lights_off_s == 180
    shown, page.lights[0].value = page.result.children, "25:99"
    page.stage.click()
    assert "25:99" in page.says.value and page.result.children == shown

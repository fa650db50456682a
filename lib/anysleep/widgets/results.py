"""What the page shows of a recording and of a staged night, and what can be saved of it.

Its imports take seconds: `page` draws the form without it, and begins to import it when the form is there.
"""

import html
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import anywidget
import ipywidgets
import pandas as pd
import traitlets

from anysleep.exports import FORMATS
from anysleep.models.checkpoints import bundled_file
from anysleep.recordings.labels.edf import scorings_among
from anysleep.recordings.quality import examine, usable_channels
from anysleep.recordings.readers import READERS, read_recording
from anysleep.recordings.recording import Recording
from anysleep.settings import ExportFormat
from anysleep.system.files import files_of_night, project_path
from anysleep.widgets.night_browser import NightBrowser
from anysleep.widgets.page import heading
from anysleep.widgets.staged_night import StagedNight

HERE = Path(__file__).parent
WEIGHTS = "outputs/mine/weights"
DEMO = "outputs/demo/03_train/checkpoint.pth"
KINDS = f"{', '.join(READERS)}; several recordings are the parts of one night"
HOW_TO_REVIEW = (
    "Click on the picture. Press a stage to change what an epoch is, or ✓ Confirm (Enter) to keep it: the next epoch "
    "comes by itself."
)
SAVED = (
    "Hypnogram and report have the stages as you have corrected them, and then no probabilities of the network. Save "
    "what you need before you close this page or stage another night: corrections are deleted then."
)
Make = Callable[[], Mapping[str, bytes]]
"""Makes the files of one download: name -> content."""


def read_and_examine(paths: list[Path]) -> tuple[Recording, pd.DataFrame]:
    """A recording, or the parts of one without a scoring among them, and the montage doctor's table of its channels."""
    named = files_of_night(paths)
    files = [file for file in named if file not in scorings_among(named, named)]
    night = read_recording(files[0] if len(files) == 1 else files, labels="lenient")
    return night, examine(night)


def known_checkpoints() -> dict[str, Path]:
    """What can be chosen, released weights first: what is said of it -> its file."""
    released = sorted(project_path(WEIGHTS).glob("*.pth"))
    known = {f"{file.stem} (in {WEIGHTS})": file for file in released}
    known["bundled (has learned from synthetic nights only)"] = bundled_file()
    if project_path(DEMO).is_file():
        known["demo (a few synthetic nights; stages no others)"] = project_path(DEMO)
    return known


def channel_rows(quality: pd.DataFrame) -> list[ipywidgets.HBox]:
    """A heading, and a row a channel: whether to stage it, as the doctor proposes, what it is, verdict and reason."""
    proposed = usable_channels(quality[quality.verdict == "use"])
    rows = [
        ipywidgets.HBox([_cell("<b>Channel</b>", "15em"), _cell("<b>Type</b>", "5em"), _cell("<b>Verdict</b>", "5em")])
    ]
    for row in quality.itertuples():
        tick = ipywidgets.Checkbox(
            row.channel in proposed, description=row.channel, indent=False, layout=ipywidgets.Layout(width="15em")
        )
        texts = {row.type: "5em", row.verdict: "5em", row.reason: "auto"}
        rows.append(ipywidgets.HBox([tick, *(_cell(html.escape(text), width) for text, width in texts.items())]))
    return rows


def downloads_of(resolutions: Sequence[int], now: Callable[[], StagedNight]) -> dict[str, dict[str, Make]]:
    """Heading -> title of a button -> what makes its files, of the night as it is `now`, when the button is pressed."""
    downloads: dict[str, dict[str, Make]] = {}
    for r in resolutions:
        formats = {name: one for name, one in FORMATS.items() if r == 1 or not one.at_30_s_only}
        downloads[f"Hypnogram, a stage every {30 / r:g} s"] = {
            one.title.replace("`", ""): partial(_exported, now, r, name) for name, one in formats.items()
        }
    downloads["Report"] = {
        "PDF": lambda: now().printed(".pdf"),
        "Web page": lambda: now().printed(".html"),
        "Statistics, CSV": lambda: now().table(),
    }
    return downloads


def _exported(now: Callable[[], StagedNight], r: int, name: ExportFormat) -> dict[str, bytes]:
    return now().exported(r, name)


def results_of(name: str, staged: StagedNight, folder: Path) -> list[ipywidgets.Widget]:
    """What is shown of a night, which a person can correct, into a file in this folder."""
    about = "".join(
        f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in staged.report.about.items()
    )
    corrections = folder / f"corrections_{staged.name}.csv"
    browser = NightBrowser(staged.night, list(staged.scored.values()), staged.quality, corrections)
    statistics = ipywidgets.HTML()

    def now() -> StagedNight:
        browser.review.refresh()
        return staged.corrected(browser.review.changes)

    def show_statistics(_: object = None) -> None:
        table = now().statistics[["title", "value", "unit"]].round(1)
        statistics.value = table.to_html(index=False, header=False, border=0, na_rep="none")

    browser.observe(show_statistics, ["stages", "arousals"])
    show_statistics()
    downloads = downloads_of(list(staged.scored), now)
    downloads["What was done"] = {
        "Corrections, CSV": lambda: _file(corrections),
        "The network's own stages, CSV": lambda: replace(staged, name=f"{staged.name}_network").exported(1, "csv"),
    }
    buttons = [[heading(title, 3), Downloads(files)] for title, files in downloads.items()]
    return [
        heading(f"5. The night of {name}"),
        ipywidgets.HTML(f"<table>{about}</table>"),
        ipywidgets.HTML(HOW_TO_REVIEW),
        browser,
        heading("6. Save it"),
        ipywidgets.HTML(SAVED),
        *(widget for pair in buttons for widget in pair),
        heading("Statistics"),
        statistics,
    ]


def _file(corrections: Path) -> dict[str, bytes]:
    if not corrections.is_file():
        raise ValueError("nothing is corrected")
    return {corrections.name: corrections.read_bytes()}


class Downloads(anywidget.AnyWidget):
    """A button for each download; several files of one go out as a zip."""

    _esm = HERE / "downloads.js"

    titles = traitlets.List().tag(sync=True)

    def __init__(self, downloads: Mapping[str, Make]):
        """Title of a button -> what makes its files when it is pressed."""
        super().__init__(titles=list(downloads))
        self._downloads = downloads
        self.on_msg(self._answer)

    def made(self, title: str) -> tuple[str, bytes]:
        """Name and content of the file to save."""
        files = self._downloads[title]()
        if len(files) == 1:
            return next(iter(files.items()))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return f"{Path(min(files, key=len)).stem}.zip", packed.getvalue()

    def _answer(self, _: object, message: dict, __: object) -> None:
        try:
            name, content = self.made(message["title"])
            self.send({"name": name}, buffers=[content])
        except (OSError, ValueError, MemoryError) as error:
            self.send({"refused": f"it could not be made: {error}"})


def _cell(text: str, width: str) -> ipywidgets.HTML:
    return ipywidgets.HTML(text, layout=ipywidgets.Layout(width=width))

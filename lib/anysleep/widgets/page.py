"""One night as a web page (`make app`): choose a recording, tick channels, stage, look, and save.

Recordings come from the browser in slices to disk, results go out when they are asked for.
"""

import html
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import anywidget
import ipywidgets
import pandas as pd
import traitlets

from anysleep.exports import FORMATS
from anysleep.models import load_checkpoint
from anysleep.models.checkpoints import bundled_file
from anysleep.recordings.labels.edf import scorings_among
from anysleep.recordings.quality import examine, usable_channels
from anysleep.recordings.readers import READERS, read_recording
from anysleep.recordings.reasons import noted, without_names
from anysleep.recordings.recording import Recording
from anysleep.settings import ExportFormat
from anysleep.system.files import files_of_night, project_path
from anysleep.widgets.night_browser import NightBrowser
from anysleep.widgets.staged_night import StagedNight, stage_night

RESOLUTIONS = {"30 s": 1, "3.75 s": 8, "0.23 s (128 in 30 s)": 128, "1/128 s (3840 in 30 s)": 3840}
MEMORY_BYTES = 6 * 2**30
"""Of one visitor: a night with all channels takes a third of it."""
WEIGHTS = "outputs/mine/weights"
DEMO = "outputs/demo/03_train/checkpoint.pth"
HOW_TO_GET = (
    "For nights of people take a released network: <code>.venv/bin/anysleep fetch anysleep-run1 outputs/mine/weights"
    "</code> in the workbook's folder, then load this page anew. Research software, not a medical device."
)
SAVED = (
    "Every file has the stages as you have corrected them. Save what you need before you close this page or stage "
    "another night: corrections are deleted then."
)
STYLE = """<style>
.staging-page { max-width: 1200px; margin: 0 }
.staging-page h2 { margin: 1em 0 .2em; font-size: 1.25em }
.staging-page h3 { margin: .4em 0 .1em; font-size: 1em }
.staging-page table { border-collapse: collapse; line-height: 1.35 }
.staging-page th, .staging-page td { text-align: left; padding: .1em 1em .1em 0; vertical-align: top }
.upload output, .downloads output { margin-left: .6em }
.downloads { display: flex; flex-wrap: wrap; gap: 6px; align-items: center }
.downloads button { border: 1px solid #bbb; border-radius: 3px; padding: 4px 10px; font: inherit; cursor: pointer }
</style>"""
HERE = Path(__file__).parent
LIMIT_BYTES = 2 * 2**30
"""Of an upload; a night of 30 channels at 512 Hz has 0.9 GB."""
Make = Callable[[], Mapping[str, bytes]]
"""Makes the files of one download: name -> content."""


class StagingPage(ipywidgets.VBox):
    """The page of one visitor. Uploads lie in a folder of its own, which is deleted with the kernel."""

    recording: Recording | None = None
    staged: StagedNight | None = None

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="uploads-")
        self._corrections = tempfile.TemporaryDirectory(prefix="corrections-")
        self.path = ipywidgets.Text(placeholder="a file on this computer, such as nights/017.edf", layout=_wide())
        self.read = ipywidgets.Button(description="Read")
        self.upload = Upload(Path(self._folder.name))
        self.found, self.says = ipywidgets.HTML().add_class("found"), ipywidgets.HTML().add_class("says")
        self.channels = ipywidgets.VBox()
        self.checkpoint = ipywidgets.Dropdown(options=known_checkpoints(), layout=_wide())
        self.resolution = ipywidgets.Dropdown(options=RESOLUTIONS, layout=_wide("16em"))
        self.lights = [_field(ipywidgets.Text, f"lights {what}", value="") for what in ("off", "on")]
        self.age = _field(ipywidgets.BoundedIntText, "age", min=0, max=120)
        self.stage = ipywidgets.Button(description="Stage the night", button_style="primary", disabled=True)
        self.bar = ipywidgets.IntProgress(max=3, layout=ipywidgets.Layout(visibility="hidden", width="12em"))
        self.result = ipywidgets.VBox()
        super().__init__([ipywidgets.HTML(STYLE), *self._parts()])
        self.add_class("staging-page")
        self.read.on_click(lambda _: self._read_path())
        self.path.on_msg(lambda _, said, __: said.get("event") == "submit" and self._read_path())  # Enter
        self.stage.on_click(lambda _: self.run())
        self.upload.observe(self._open_upload, "files")

    def close(self) -> None:
        """Delete what was uploaded, and take the page away."""
        super().close()
        self._folder.cleanup()
        self._corrections.cleanup()

    def _parts(self) -> list[ipywidgets.Widget]:
        most = f"{LIMIT_BYTES / 2**30:g} GiB"
        limit = f"or upload it, with the files that belong to it (at most {most}, deleted afterwards):"
        kinds = f"{', '.join(READERS)}; several recordings are the parts of one night"
        return [
            _heading("1. A recording"),
            ipywidgets.HTML(kinds),
            ipywidgets.HBox([self.path, self.read]),
            ipywidgets.HBox([ipywidgets.Label(limit), self.upload]),
            self.found,
            _heading("2. Its channels"),
            self.channels,
            _heading("3. A network"),
            ipywidgets.HBox([self.checkpoint, ipywidgets.Label("a stage every"), self.resolution]),
            ipywidgets.HTML(HOW_TO_GET),
            _heading("4. What is known of the night, if anything"),
            ipywidgets.HBox([*self.lights, ipywidgets.Label("clock times or seconds, where the recording says none")]),
            ipywidgets.HBox(
                [self.age, ipywidgets.Label("years, to print published values of that age; 0 for unknown")]
            ),
            ipywidgets.HBox([self.stage, self.bar]),
            self.says,
            self.result,
        ]

    def _read_path(self) -> None:
        typed = self.path.value.strip().strip("\"'").removeprefix("file://")  # as a file manager copies it
        if typed:
            self.choose([project_path(typed)])
        else:
            _say(self.found, "type the path of a recording, or choose a file to upload")

    def choose(self, paths: list[Path]) -> None:
        """Read a recording, or the parts of one, and let the montage doctor propose channels.

        A night that was staged stays on the page until the next is.
        """
        self.recording, self.channels.children = None, ()
        _say(self.says)
        self.stage.disabled = True
        self._trying(self.found, self._read, paths)

    def _read(self, paths: list[Path]) -> None:
        _say(self.found, "reading")
        named = files_of_night(paths)
        files = [file for file in named if file not in scorings_among(named, named)]
        with noted() as notes:
            self.recording = read_recording(files[0] if len(files) == 1 else files, labels="lenient")
            quality = examine(self.recording)
        self.channels.children = channel_rows(quality)
        self.stage.disabled = False
        _say(self.found, f"{_name(self.recording)}: {_length(self.recording)}, {len(quality)} channels", *notes)

    def _open_upload(self, change: dict) -> None:
        recordings = [file for file in change["new"] if file.name.lower().endswith(tuple(READERS))]
        if change["new"]:
            self.choose(recordings or change["new"])
        else:  # what was there is deleted
            self.recording, self.channels.children, self.stage.disabled = None, (), True

    @property
    def ticked(self) -> list[str]:
        """The channels that are to be staged, EOG last, as U-Sleep takes them."""
        ticks = [row.children for row in self.channels.children[1:] if row.children[0].value]
        return [tick.description for tick, kind, *_ in sorted(ticks, key=lambda row: row[1].value == "EOG")]

    def run(self) -> None:
        """Stage the night with what is ticked and chosen."""
        self.result.children, self.bar.value, self.bar.layout.visibility = (), 0, "visible"
        try:
            self._trying(self.says, self._stage)
        finally:
            self.bar.layout.visibility = "hidden"

    def _stage(self) -> None:
        if not self.ticked:
            raise ValueError("no channel is ticked")
        model = load_checkpoint(self.checkpoint.value)
        with noted() as notes:
            known = {"lights": (self.lights[0].value, self.lights[1].value), "age": self.age.value}
            self.staged = stage_night(self.recording, self.ticked, model, self.resolution.value, self._tell, **known)
        folder = Path(tempfile.mkdtemp(dir=self._corrections.name))  # of this staging: another network, other stages
        corrections = folder / f"corrections_{self.staged.name}.csv"
        self.result.children = _results(_name(self.recording), self.staged, corrections)
        _say(self.says, f"{_name(self.recording)} is staged: see below", *notes)

    def _tell(self, step: str) -> None:
        self.bar.value += 1
        _say(self.says, step)

    def _trying(self, place: ipywidgets.HTML, act: Callable, *args: object) -> None:
        """Do it; what cannot be done is said in a sentence."""
        try:
            act(*args)
        except (OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:
            _say(place, _sentence(error, Path(self._folder.name)))


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


def limit_memory(n_bytes: int = MEMORY_BYTES) -> None:
    """Let the system refuse this process more memory, where it can do that: one visitor must not stop the others."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _results(name: str, staged: StagedNight, corrections: Path) -> list[ipywidgets.Widget]:
    about = "".join(
        f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in staged.report.about.items()
    )
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
        "The network's own stages, CSV": lambda: staged.exported(1, "csv"),
    }
    buttons = [[_heading(title, 3), Downloads(files)] for title, files in downloads.items()]
    return [
        _heading(f"5. The night of {name}"),
        ipywidgets.HTML(f"<table>{about}</table>"),
        browser,
        _heading("6. Save it"),
        ipywidgets.HTML(SAVED),
        *(widget for pair in buttons for widget in pair),
        _heading("Statistics"),
        statistics,
    ]


def _file(corrections: Path) -> dict[str, bytes]:
    if not corrections.is_file():
        raise ValueError("nothing is corrected")
    return {corrections.name: corrections.read_bytes()}


def _name(recording: Recording) -> str:
    return ", ".join(file.name for file in recording.files)


def _length(recording: Recording) -> str:
    hours = recording.duration_s / 3600
    return f"{hours:.2f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def _sentence(error: BaseException, folder: Path) -> str:
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return f"that takes more memory than a visitor has ({MEMORY_BYTES / 2**30:g} GiB); tick fewer channels"
    return (getattr(error, "strerror", None) or str(error)).replace(f"{folder}{os.sep}", "")


def _say(place: ipywidgets.HTML, *sentences: str) -> None:
    place.value = "<br>".join(map(html.escape, sentences))


def _heading(text: str, level: int = 2) -> ipywidgets.HTML:
    return ipywidgets.HTML(f"<h{level}>{html.escape(text)}</h{level}>")


def _cell(text: str, width: str) -> ipywidgets.HTML:
    return ipywidgets.HTML(text, layout=ipywidgets.Layout(width=width))


def _field(kind: type[ipywidgets.Widget], name: str, **how: object) -> ipywidgets.Widget:
    return kind(description=name, style={"description_width": "initial"}, layout=_wide("12em"), **how)


def _wide(width: str = "38em") -> ipywidgets.Layout:
    return ipywidgets.Layout(width=width)


class Upload(anywidget.AnyWidget):
    """Writes what a person chooses into a folder, in slices of 1 MiB; ipywidgets' own would hold it in memory."""

    _esm = HERE / "upload.js"

    files = traitlets.List()
    """What lies in the folder, once all of it is there; empty before that."""

    def __init__(self, folder: Path):
        super().__init__()
        self._folder, self._left = folder, 0
        self.on_msg(self._answer)

    def _answer(self, _: object, message: dict, buffers: Sequence[memoryview]) -> None:
        try:
            if message["type"] == "begin":
                self._begin(message["n_bytes"])
            elif message["type"] == "slice":
                self._append(message["name"], buffers[0])
            elif self._left:
                raise ValueError("not all of it came; upload it again")
            else:
                self.files = sorted(self._folder.iterdir())
            self.send({})
        except (OSError, ValueError) as error:
            self.clear()
            self.send({"refused": without_names(error, self._folder)})

    def _begin(self, n_bytes: int) -> None:
        if n_bytes > LIMIT_BYTES:
            raise ValueError(f"{n_bytes / 1e9:.1f} GB; at most {LIMIT_BYTES / 1e9:.1f} GB can be uploaded, name a path")
        self.clear()
        self._left = n_bytes

    def _append(self, name: str, content: memoryview) -> None:
        self._left -= len(content)
        if self._left < 0:
            raise ValueError("more came than was announced; upload it again")
        with (self._folder / Path(name.replace("\\", "/")).name).open("ab") as file:
            file.write(content)

    def clear(self) -> None:
        """Delete what was uploaded."""
        self.files = []
        for file in self._folder.iterdir():
            file.unlink()


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

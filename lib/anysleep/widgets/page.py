"""One night as a web page (`make app`): choose a recording, tick channels, stage, look, and save.

Recordings come from the browser in slices to disk, results go out when they are asked for.
"""

import html
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import anywidget
import ipywidgets
import traitlets

from anysleep.recordings.reasons import noted, without_names
from anysleep.system.files import project_path

if TYPE_CHECKING:
    from anysleep.recordings.recording import Recording
    from anysleep.widgets.staged_night import StagedNight

RESOLUTIONS = {"30 s": 1, "3.75 s": 8, "0.23 s (128 in 30 s)": 128, "1/128 s (3840 in 30 s)": 3840}
MEMORY_BYTES = 6 * 2**30
"""Of one visitor: a night with all channels takes a third of it."""
HOW_TO_GET = (
    "For nights of people take a released network: <code>.venv/bin/anysleep fetch anysleep-run1 outputs/mine/weights"
    "</code> in the workbook's folder, then load this page anew. Research software, not a medical device."
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


class StagingPage(ipywidgets.VBox):
    """The page of one visitor. Uploads lie in a folder of its own, which is deleted with the kernel."""

    recording: "Recording | None" = None
    staged: "StagedNight | None" = None
    name = ""
    """Of the recording's files."""
    _warned = False

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="uploads-")
        self._corrections = tempfile.TemporaryDirectory(prefix="corrections-")
        self.path = ipywidgets.Text(placeholder="a file on this computer, such as nights/017.edf", layout=_wide())
        self.read = ipywidgets.Button(description="Read")
        self.upload = Upload(Path(self._folder.name))
        self.found, self.says = ipywidgets.HTML().add_class("found"), ipywidgets.HTML().add_class("says")
        self.channels = ipywidgets.VBox()
        self.kinds = ipywidgets.HTML("loading the networks, up to a minute; a file can be chosen already")
        self.checkpoint = ipywidgets.Dropdown(layout=_wide())
        self.resolution = ipywidgets.Dropdown(options=RESOLUTIONS, layout=_wide("16em"))
        self.lights = [_field(ipywidgets.Text, f"lights {what}", value="") for what in ("off", "on")]
        self.age = _field(ipywidgets.BoundedIntText, "age", min=0, max=120)
        self.stage = ipywidgets.Button(description="Stage the night", button_style="primary", disabled=True)
        self.bar = ipywidgets.IntProgress(max=3, layout=ipywidgets.Layout(visibility="hidden", width="12em"))
        self.result = ipywidgets.VBox()
        super().__init__([ipywidgets.HTML(STYLE), *self._parts()])
        self.add_class("staging-page")
        self.read.on_click(lambda _: self._read_path())
        self.path.on_msg(self._read_at_enter)
        self.stage.on_click(lambda _: self.run())
        self.upload.observe(self._open_upload, "files")
        self._filling = Thread(target=self._fill, daemon=True)  # a kernel that ends does not wait for it
        self._filling.start()

    def _fill(self) -> None:
        """What the form has to say once the library is there: seconds of imports, while a person reads the page."""
        from anysleep.widgets.results import KINDS, known_checkpoints

        self.checkpoint.options = known = known_checkpoints()
        self.checkpoint.value = next(iter(known.values()))
        self.kinds.value = html.escape(KINDS)

    def close(self) -> None:
        """Delete what was uploaded, and take the page away."""
        super().close()
        self._folder.cleanup()
        self._corrections.cleanup()

    def _parts(self) -> list[ipywidgets.Widget]:
        most = f"{LIMIT_BYTES / 2**30:g} GiB"
        limit = f"or upload it, with the files that belong to it (at most {most}, deleted afterwards):"
        return [
            heading("1. A recording"),
            self.kinds,
            ipywidgets.HBox([self.path, self.read]),
            ipywidgets.HBox([ipywidgets.Label(limit), self.upload]),
            self.found,
            heading("2. Its channels"),
            self.channels,
            heading("3. A network"),
            ipywidgets.HBox([self.checkpoint, ipywidgets.Label("a stage every"), self.resolution]),
            ipywidgets.HTML(HOW_TO_GET),
            heading("4. What is known of the night, if anything"),
            ipywidgets.HBox([*self.lights, ipywidgets.Label("clock times or seconds, where the recording says none")]),
            ipywidgets.HBox(
                [self.age, ipywidgets.Label("years, to print published values of that age; 0 for unknown")]
            ),
            ipywidgets.HBox([self.stage, self.bar]),
            self.says,
            self.result,
        ]

    def _read_at_enter(self, _: object, said: dict, __: object) -> None:
        if said.get("event") == "submit":
            self._read_path()

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
        from anysleep.widgets.results import channel_rows, read_and_examine

        _say(self.found, "reading")
        self._filling.join()
        with noted() as notes:
            self.recording, quality = read_and_examine(paths)
        self.channels.children = channel_rows(quality)
        self.stage.disabled = False
        self.name = ", ".join(file.name for file in self.recording.files)
        _say(self.found, f"{self.name}: {length(self.recording.duration_s)}, {len(quality)} channels", *notes)

    def _open_upload(self, change: dict) -> None:
        from anysleep.recordings.readers import READERS

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
        self.bar.value, self.bar.layout.visibility = 0, "visible"
        try:
            self._trying(self.says, self._stage)
        finally:
            self.bar.layout.visibility = "hidden"

    def _stage(self) -> None:
        from anysleep.models import load_checkpoint
        from anysleep.widgets.results import results_of
        from anysleep.widgets.staged_night import stage_night

        if not self.ticked:
            raise ValueError("no channel is ticked")
        n_reviewed = self._n_reviewed()
        self._warned = bool(n_reviewed) and not self._warned
        if self._warned:
            raise ValueError(f"that deletes the review of {n_reviewed} epochs; save it below, or press again")
        model = load_checkpoint(self.checkpoint.value)
        with noted() as notes:
            known = {"lights": (self.lights[0].value, self.lights[1].value), "age": self.age.value}
            self.staged = stage_night(self.recording, self.ticked, model, self.resolution.value, self._tell, **known)
        folder = Path(tempfile.mkdtemp(dir=self._corrections.name))  # of this staging: another network, other stages
        self.result.children = results_of(self.name, self.staged, folder)
        _say(self.says, f"{self.name} is staged: see below", *notes)

    def _n_reviewed(self) -> int:
        """Epochs of the night below that a person has changed or confirmed."""
        return sum(getattr(widget, "n_reviewed", 0) for widget in self.result.children)

    def _tell(self, step: str) -> None:
        self.bar.value += 1
        _say(self.says, step)

    def _trying(self, place: ipywidgets.HTML, act: Callable, *args: object) -> None:
        """Do it; what cannot be done is said in a sentence."""
        try:
            act(*args)
        except (OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:
            _say(place, _sentence(error, Path(self._folder.name)))


def limit_memory(n_bytes: int = MEMORY_BYTES) -> None:
    """Let the system refuse this process more memory, where it can do that: one visitor must not stop the others."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def length(seconds: float) -> str:
    """'25 min', '7.94 h'."""
    return f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def heading(text: str, level: int = 2) -> ipywidgets.HTML:
    """A heading of the page."""
    return ipywidgets.HTML(f"<h{level}>{html.escape(text)}</h{level}>")


def _sentence(error: BaseException, folder: Path) -> str:
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return f"that takes more memory than a visitor has ({MEMORY_BYTES / 2**30:g} GiB); tick fewer channels"
    return (getattr(error, "strerror", None) or str(error)).replace(f"{folder}{os.sep}", "")


def _say(place: ipywidgets.HTML, *sentences: str) -> None:
    place.value = "<br>".join(map(html.escape, sentences))


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

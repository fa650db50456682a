"""Files between a browser and Python: recordings come in slices to disk, results go out when they are asked for."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anywidget
import traitlets

from anysleep.recordings.reasons import without_names

HERE = Path(__file__).parent
LIMIT_BYTES = 2 * 2**30
"""Of an upload; a night of 30 channels at 512 Hz has 0.9 GB."""
Make = Callable[[], Mapping[str, bytes]]
"""Makes the files of one download: name -> content."""


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

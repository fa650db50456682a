"""Files that appear whole or not at all, and paths that mean the same from every working folder."""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix, which some writers go by
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def project_path(path: str | Path) -> Path:
    """Absolute path. A relative one counts from the workbook's root where the working folder lies inside it.

    So the same parameters work in JupyterLab, which works in `notebooks/`, and on the command line.
    """
    return (_root() / Path(path).expanduser()).resolve()


def short_path(path: Path) -> str:
    """What `project_path` made absolute, relative to the root again where it lies inside."""
    root = _root()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _root() -> Path:
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "params").is_dir():
            return folder
    return here


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class NpzWriter:
    """An .npz file written array by array, so that only one is in memory; whole or not at all.

    with NpzWriter(path) as npz: npz.add(key, array)
    """

    def __init__(self, path: str | Path):
        self._whole = written_whole(path)

    def __enter__(self) -> "NpzWriter":
        self._zip = zipfile.ZipFile(self._whole.__enter__(), "w", zipfile.ZIP_STORED, allowZip64=True)
        return self

    def add(self, key: str, array: np.ndarray) -> None:
        """Append one array; `np.load(path)[key]` gives it back."""
        with self._zip.open(f"{key}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

    def __exit__(self, *error: object) -> None:
        self._zip.close()
        self._whole.__exit__(*error)

"""Files that appear whole or not at all, and paths that mean the same from every working folder."""

import errno
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import glob
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil

T = TypeVar("T")


FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""What the system says where a disk, a file or a user's share is full."""


class DiskFull(OSError):
    """There is no room for a file; no fault of what is written."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` when the block ends without an error.

    Content and name are on the disk before the block is left, so a power failure leaves the old file or the new one.
    DiskFull where there is no room, whatever a library raises over it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix, which some writers go by
    try:
        yield temporary
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # of torch: RuntimeError
        if not _is_full(error, temporary):
            raise
        temporary.unlink(missing_ok=True)
        free_gb = shutil.disk_usage(path.parent).free / 1e9
        raise DiskFull(
            f"disk full: no room for {path.name} in {short_path(path.parent)}, where {free_gb:.2f} GB are free; "
            "make room, or choose a folder on another disk"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _is_full(error: Exception, temporary: Path) -> bool:
    """Whether an error came of a full disk; of many libraries only another try to write tells that."""
    if getattr(error, "errno", None) in FULL:
        return True
    try:
        with temporary.open("ab", buffering=0) as file:
            file.write(bytes(2**20))
            os.fsync(file.fileno())
    except OSError as found:
        return found.errno in FULL
    return False


def clear_left_over(folder: Path) -> None:
    """Delete what `atomic_write` has half written in a folder or below, of processes that were killed."""
    for path in folder.rglob(".[0-9]*.*"):
        number = path.name.split(".")[1]
        if number.isdecimal() and (int(number) == os.getpid() or not psutil.pid_exists(int(number))):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that: Windows and some network disks cannot."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_written(path: Path) -> bool:
    """Whether there is a file with something in it: a power failure may leave one without."""
    return path.is_file() and path.stat().st_size > 0


def read_if_whole(path: Path, read: Callable[[Path], T]) -> T | None:
    """What `read` makes of a file that can be made anew; None where there is none, or, with a note, half of one."""
    if not path.is_file():
        return None
    try:
        return read(path)
    except MemoryError:
        raise
    except Exception as error:  # of half a file, every library says something else
        print(f"{path.name} cannot be read ({type(error).__name__}) and is made anew", flush=True)
        return None


@contextmanager
def explaining_damage(explained: Callable[[Exception], Exception]) -> Iterator[None]:
    """What libraries raise over a damaged file, which may be anything, as `explained`; the system's own errors stay."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if (said := explained(error)) is error:
            raise
        raise said from error


def project_path(path: str | Path) -> Path:
    """Absolute path. A relative one counts from the workbook's root where the working folder lies inside it.

    So the same parameters work in JupyterLab, which works in `notebooks/`, and on the command line.
    """
    with suppress(RuntimeError):  # a name such as ~a.edf, where ~a is no user
        path = Path(path).expanduser()
    return (_root() / path).resolve()


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


def files_named(path: Path) -> list[Path]:
    """What a pattern (*, ?, []) matches, by name; the path itself where it is none."""
    is_pattern = not path.exists() and bool(set("*?[") & set(str(path)))
    return sorted(Path(name) for name in glob(str(path), recursive=True)) if is_pattern else [path]


def files_of_night(paths: Iterable[Path]) -> list[Path]:
    """The file of a night, or its parts, each named by its path or a pattern; a pattern of nothing stays as it is."""
    return [file for path in paths for file in files_named(path) or [path]]


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class NpzWriter:
    """An .npz file written array by array, so that only one is in memory; whole or not at all.

    with NpzWriter(path) as npz: npz.add(key, array)
    """

    def __init__(self, path: str | Path):
        self._path, self._open = path, ExitStack()

    def __enter__(self) -> "NpzWriter":
        temporary = self._open.enter_context(atomic_write(self._path))
        self._zip = self._open.enter_context(zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True))
        return self

    def add(self, key: str, array: np.ndarray) -> None:
        """Append one array; `np.load(path)[key]` gives it back."""
        with self._zip.open(f"{key}.npy", "w", force_zip64=True) as file:  # its size is not known yet
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)

"""Recordings from the file formats of the field, one small file a format."""

from collections.abc import Sequence
from pathlib import Path

from anysleep.data.readers.edf import Labels, read_edf
from anysleep.data.recording import Recording

READERS = {".edf": read_edf, ".rec": read_edf}
"""Reader of each file suffix; `.rec` is EDF under another name (ISRUC, UCDDB)."""


def read_recording(
    path: str | Path,
    *,
    channels: Sequence[str] | None = None,
    hypnogram_path: str | Path | None = None,
    labels: Labels = "strict",
) -> Recording:
    """Read one night: every channel at its own rate, voltages in uV, annotations and hypnogram on one time base.

    Parameters
    ----------
    path
        An EDF or EDF+ file.
    channels
        Read only these, in this order; by default all.
    hypnogram_path
        File with the stage annotations, where it is not `path` itself. The scorings of Sleep-EDF are found by their
        names (`SC4001E0-PSG.edf`, `SC4001EC-Hypnogram.edf`).
    labels
        `strict`: stages that cannot be read stop the reading. `lenient`: they are left out with a warning, for staging,
        which needs none.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The file is not of a known format, damaged, or contradicts itself; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() not in READERS:
        raise ValueError(f"{path}: no reader for {path.suffix!r}; there are readers for {', '.join(READERS)}")
    return READERS[path.suffix.lower()](path, channels=channels, hypnogram_path=hypnogram_path, labels=labels)

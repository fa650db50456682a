"""The network that comes with the workbook: it has seen synthetic nights alone, and was tried on real ones.

docs/bundled_network.md is its card: how it was trained, how good it is on real EEG, and what it must not be used for.
"""

import argparse
from pathlib import Path

from anysleep.models.checkpoints import load_checkpoint, save_checkpoint
from anysleep.models.networks import SleepNetwork

CARD = "docs/bundled_network.md"
FOLDER = Path(__file__).parent


def bundled(name: str = "anysleep-synthetic") -> SleepNetwork:
    """The network of that name, in evaluation mode: an AnySleep for any channels at 128 Hz.

    ValueError for a name that there is not.
    """
    return load_checkpoint(bundled_file(name))


def bundled_file(name: str = "anysleep-synthetic") -> Path:
    """Where its checkpoint lies. ValueError for a name that there is not."""
    file = FOLDER / f"{name}.pth"
    if not file.is_file():
        there = ", ".join(path.stem for path in sorted(FOLDER.glob("*.pth")))
        raise ValueError(f"no bundled network {name!r}; there is {there or 'none'}")
    return file


def bundle(checkpoint: str | Path, file: str | Path) -> Path:
    """Write a checkpoint of 03_train as a file of half the size that says where its card is; returns the file."""
    model = load_checkpoint(checkpoint)
    return save_checkpoint(file, model, model.provenance | {"card": CARD}, halve=True)


def main(arguments: list[str]) -> int:
    """`anysleep bundle`: from the training of params/bundled to the file that is shipped."""
    parser = argparse.ArgumentParser(
        prog="anysleep bundle",
        description="Make a checkpoint the network that the workbook ships. Its card is docs/bundled_network.md.",
    )
    parser.add_argument("checkpoint", nargs="?", default="outputs/bundled/03_train/checkpoint.pth")
    parser.add_argument("file", nargs="?", default=FOLDER / "anysleep-synthetic.pth", type=Path)
    given = parser.parse_args(arguments)
    file = bundle(given.checkpoint, given.file)
    print(f"{file}: {file.stat().st_size:,} bytes")
    return 0

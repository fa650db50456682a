"""Downloads somebody asks for: `anysleep fetch <released weights or nap> <folder>`."""

from anysleep.models import fetch_checkpoint
from anysleep.recordings.downloads import fetch_real_nap


def main(arguments: list[str]) -> int:
    """The command line: what, and the folder. Returns the exit status. Errors as of the functions."""
    if len(arguments) != 2:
        print("usage: anysleep fetch <what> <folder>\nwhat: nap, a real recording; or released weights, anysleep-run1")
        return 2
    what, folder = arguments
    print(what, "is in", fetch_real_nap(folder) if what == "nap" else fetch_checkpoint(what, folder))
    return 0

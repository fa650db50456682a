"""`python -m anysleep.training <run folder>`; see `anysleep.training.process`."""

import sys
from pathlib import Path

from anysleep.training.process import main

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m anysleep.training <run folder>")
    try:
        sys.exit(main(Path(sys.argv[1]), one_of_many="--one-of-many" in sys.argv[2:]))
    except (ValueError, OSError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", flush=True)  # the last line, which the notebook repeats
        sys.exit(1)

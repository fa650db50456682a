"""`python -m anysleep.runs <notebook> ...` is `anysleep run <notebook> ...`."""

import sys

from anysleep.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))

"""`python -m anysleep.training <run folder>`; see `anysleep.training.process`."""

import sys
from pathlib import Path

from anysleep.training.process import main

sys.exit(main(Path(sys.argv[1]), one_of_many="--one-of-many" in sys.argv[2:]))

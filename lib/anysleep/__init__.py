"""Automatic sleep staging from any EEG and EOG channels: a thin library under the workbook's notebooks."""

import sys


def _say_interrupted(kind, error, traceback):
    """Ctrl-C ends a command in a line, also while the command is still being imported."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        sys.exit(130)
    sys.__excepthook__(kind, error, traceback)


if sys.argv[:1] == ["-m"]:  # python -m anysleep...: Python names the module when it has found it
    sys.excepthook = _say_interrupted

"""The command `anysleep`, also as `python -m anysleep`."""

import sys
from importlib import import_module

COMMANDS = {
    "run": ("anysleep.workbook.runner", "run a notebook into its own folder"),
    "show": ("anysleep.workbook.summary", "say what the runs in a folder have found"),
    "quality": ("anysleep.recordings.quality", "advise on every channel of a recording"),
    "export": ("anysleep.workbook.export", "write hypnograms of a run in other formats"),
    "search": ("anysleep.workbook.search", "search for better parameters"),
    "onnx": ("anysleep.models.onnx_export", "write a checkpoint as an ONNX file"),
}


def main(words: list[str] | None = None) -> int:
    """Run a command, whose module is imported only now: these are slow. Returns the exit status."""
    name, *arguments = (sys.argv[1:] if words is None else words) or [""]
    if name not in COMMANDS:
        print("usage: anysleep <command> ...")
        for command, (_, purpose) in COMMANDS.items():
            print(f"  {command:<9}{purpose}")
        return 2
    try:
        return import_module(COMMANDS[name][0]).main(arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

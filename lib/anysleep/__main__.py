"""The command `anysleep`, also as `python -m anysleep`."""

import sys
from importlib import import_module

from anysleep.system.words import did_you_mean

COMMANDS = {
    "run": ("anysleep.workbook.runner", "main", "run a notebook into its own folder"),
    "show": ("anysleep.workbook.commands", "show", "say what the runs in a folder have found"),
    "compare": ("anysleep.workbook.commands", "compare", "say in what two runs differ"),
    "fetch": ("anysleep.workbook.commands", "fetch", "download released weights, or a real recording"),
    "quality": ("anysleep.recordings.quality", "main", "advise on every channel of a recording"),
    "export": ("anysleep.workbook.export", "main", "write hypnograms of a run in other formats"),
    "search": ("anysleep.workbook.search", "main", "search for better parameters"),
    "bundle": ("anysleep.models.checkpoints", "main", "make a checkpoint the network that is shipped"),
    "onnx": ("anysleep.models.onnx_export", "main", "write a checkpoint as an ONNX file"),
}


def main(words: list[str] | None = None) -> int:
    """Run a command, whose module is imported only now: these are slow. Returns the exit status.

    0 done, 2 it cannot be done, 1 it was begun and has failed, 130 it was stopped by Ctrl-C; a sentence says why.
    """
    name, *arguments = (sys.argv[1:] if words is None else words) or [""]
    if name not in COMMANDS:
        print("usage: anysleep <command> ...")
        for command, (*_, purpose) in COMMANDS.items():
            print(f"  {command:<9}{purpose}")
        if name.strip("-") not in ("", "h", "help"):
            print(f"there is no command {name!r}; {did_you_mean(name, COMMANDS)}")
        return 2
    called = arguments[0] if name == "run" and arguments else name
    try:
        module, function, _ = COMMANDS[name]
        return getattr(import_module(module), function)(arguments)
    except KeyboardInterrupt as stop:
        print(*stop.args or ["stopped"], file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError) as error:
        print(f"{called}: {str(error) or 'not enough memory'}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"{called} stopped.\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

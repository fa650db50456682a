"""What others wrote, a YAML file or a pattern, read within limits: it may keep or crash a process on purpose."""

import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 10_000_000
"""Largest YAML file; the published split has 0.4 million bytes."""
DEEPEST = 50
"""Lists and mappings inside each other; libyaml crashes over some thousands."""
MOST_ALIASES = 100
LONGEST_PLAIN = 1000
"""Characters of a value without quotes: 1:0:0:... is a number to YAML, which a few megabytes keep busy for hours."""
LONGEST_PATTERN = 1000
PATTERN_S = 2.0
"""Processor time to match a pattern once; a usual one takes microseconds."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without code, parsed in C where possible; a name given twice is an error, not a value lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        names = Counter(str(key.value) for key, _ in node.value)
        twice = [name for name, n in names.items() if n > 1]
        if twice:
            raise yaml.YAMLError(
                f"{', '.join(twice[:5])} given twice in the mapping at line {node.start_mark.line + 1}"
            )
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """What a YAML text says. YAMLError where it is none or beyond the limits, ValueError for such as 2024-13-01."""
    _refuse_long(len(text))
    _refuse_what_grows(text)
    try:
        return yaml.load(text, _Loader)
    except OverflowError as error:
        raise yaml.YAMLError(str(error)) from error


def read_yaml(path: Path) -> Any:
    """What a YAML file says. Errors as of `parse_yaml`; UnicodeDecodeError where it is not UTF-8."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)  # one more, so that too many are seen
    _refuse_long(len(content))  # of bytes: a character may have several, and half a file would be read as a whole one
    return parse_yaml(content.decode("utf-8"))


def read_facts(path: Path, *needed: str) -> dict[str, Any]:
    """The names and values in a .json or .yaml file of a run. ValueError where it is damaged or lacks a needed one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else read_yaml(path)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}); run the notebook again") from None
    missing = [name for name in needed if name not in content] if isinstance(content, dict) else ["names and values"]
    if missing:
        raise ValueError(f"{path} is damaged (no {', '.join(missing)}); run the notebook again")
    return content


def _refuse_long(n_bytes: int) -> None:
    if n_bytes > MOST_BYTES:
        raise yaml.YAMLError(f"{n_bytes / 1e6:.0f} MB of YAML; at most {MOST_BYTES / 1e6:.0f} MB are read")


def _refuse_what_grows(text: str) -> None:
    """An alias of what holds aliases doubles with every line; events are told one by one, so nothing grows here."""
    is_anchored, n_aliases = [], 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            is_anchored.append(event.anchor is not None)
        elif isinstance(event, yaml.CollectionEndEvent):
            is_anchored.pop()
        elif isinstance(event, yaml.AliasEvent):
            n_aliases += 1
            if any(is_anchored) or n_aliases > MOST_ALIASES:
                raise yaml.YAMLError(f"alias *{event.anchor}: inside of an anchor, or above {MOST_ALIASES} in all")
        # implicit[0]: neither quotes nor a tag, so YAML tries what kind of value the text may be.
        elif isinstance(event, yaml.ScalarEvent) and event.implicit[0] and len(event.value) > LONGEST_PLAIN:
            raise yaml.YAMLError(f"a value of {len(event.value)} characters without quotes; put quotes around a text")
        if len(is_anchored) > DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} lists or mappings inside each other")


def check_pattern(pattern: str) -> str:
    """The pattern, where it is a regular expression. ValueError where it is not, or too long."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a regular expression of {len(pattern)} characters; at most {LONGEST_PATTERN}")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


@contextmanager
def patience_with(pattern: str) -> Iterator[None]:
    """Stop a block that matches with `pattern` and does not end, as (a+)+b on many an a: ValueError.

    The clock is that of the processor, so a busy machine changes nothing. Only the main thread can be stopped, and not
    on Windows.
    """

    def stop(*_: object) -> None:
        raise ValueError(f"the pattern {pattern!r} does not end; do not repeat what is repeated already, as in (a+)+")

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    # Python's `re` looks for signals while it matches, so a handler that raises ends it.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATTERN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

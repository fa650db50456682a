"""What is said to people: things with their number, what a misspelt name may have meant, how far the work is."""

import os
import time
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TypeVar


def many(n: int, thing: str) -> str:
    """'1 night', '2 nights'."""
    return f"{n} {thing}{'s' * (n != 1)}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """'did you mean `archive`?', whatever the case, or else all names there are."""
    names = list(names)
    as_meant = {one.lower(): one for one in names}
    near = get_close_matches(name.lower(), as_meant, n=1)
    return f"did you mean {as_meant[near[0]]!r}?" if near else f"there are {', '.join(names)}"


Item = TypeVar("Item")


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Go through `items` with a bar in JupyterLab; elsewhere with a line every 5 % or 30 s.

    `total` is how many there are, where `items` has no length.
    """
    total = len(items) if total is None else total
    if "JPY_SESSION_NAME" in os.environ:  # set by Jupyter servers, not by papermill
        from tqdm.auto import tqdm  # slow to import, and seldom needed

        yield from tqdm(items, desc=label, total=total)
        return
    began = said_at = time.monotonic()
    said_share = 0.0
    for done, item in enumerate(items, start=1):
        yield item
        now, share = time.monotonic(), done / total
        if (share - said_share >= 0.05 and now - said_at >= 1) or now - said_at >= 30 or done == total:
            left_s = (now - began) * (1 - share) / share
            print(f"{label}: {done} of {total}, {now - began:.0f} s, about {left_s:.0f} s left", flush=True)
            said_at, said_share = now, share

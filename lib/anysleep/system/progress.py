"""How far the work is, and how long the rest may take."""

import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import tqdm.auto

Item = TypeVar("Item")


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Go through `items` with a bar in JupyterLab; elsewhere with a line every 5 % or 30 s.

    `total` is how many there are, where `items` has no length.
    """
    total = len(items) if total is None else total
    if "JPY_SESSION_NAME" in os.environ:  # set by Jupyter servers, not by papermill
        yield from tqdm.auto.tqdm(items, desc=label, total=total)
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

"""The next thing is read while this one is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Content = TypeVar("Content")
Result = TypeVar("Result")


def prefetch(
    items: Iterable[Item], read: Callable[[Item], Content], work: Callable[[Item, Future[Content]], Result]
) -> Iterator[Result]:
    """The results of `work(item, reading)`, item by item, while a thread reads the next one.

    `reading.result()` is `read(item)`, or raises what that raised, so an error belongs to its own item. What was read
    is forgotten when its work is done: two are in memory at most.
    """
    thread = ThreadPoolExecutor(max_workers=1)
    waiting: deque[tuple[Item, Future[Content]]] = deque()
    try:
        for item in items:
            waiting.append((item, thread.submit(read, item)))
            if len(waiting) == 2:
                yield work(*waiting.popleft())  # held by nobody else, so it goes when work returns
        if waiting:
            yield work(*waiting.popleft())
    finally:
        thread.shutdown(cancel_futures=True)

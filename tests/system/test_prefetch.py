"""While one thing is worked on, the next is read; an error stays with its own item."""

import threading
import time
import weakref

import numpy as np
import pytest

from anysleep.system.jobs import prefetch


def test_reading_and_working_overlap():
    """The next item is being read while one is worked on: each piece of work waits for that."""
    n = 6
    begun = [threading.Event() for _ in range(n + 1)]
    begun[n].set()

    def work(item, reading):
        reading.result()
        return begun[item + 1].wait(timeout=60)

    assert list(prefetch(range(n), lambda item: begun[item].set(), work)) == [True] * n


def test_results_come_in_order_and_errors_belong_to_their_item():
    def read(item):
        if item == 2:
            raise OSError("unreadable")
        return item * 10

    def work(item, reading):
        try:
            return item, reading.result()
        except OSError as error:
            return item, str(error)

    assert list(prefetch(range(4), read, work)) == [(0, 0), (1, 10), (2, "unreadable"), (3, 30)]
    assert list(prefetch([], read, work)) == []


def test_two_are_in_memory_at_most():
    alive, counts = set(), []

    def read(item):
        content = np.zeros(10)
        alive.add(item)
        weakref.finalize(content, alive.remove, item)
        counts.append(len(alive))
        return content

    def work(item, reading):
        content = reading.result()
        time.sleep(0.01)
        return content.sum()

    assert list(prefetch(range(20), read, work)) == [0] * 20
    assert max(counts) == 2 and not alive


@pytest.mark.parametrize("where", ["read", "work"])
def test_an_interrupt_ends_it_and_its_thread(where):
    def interrupted(*_):
        raise KeyboardInterrupt

    read, work = (interrupted, lambda _, reading: reading.result()) if where == "read" else (int, interrupted)
    n_threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(prefetch(range(4), read, work))
    assert threading.active_count() == n_threads

"""Readers that end their process or never end, as those of other libraries do with damaged files."""

import os
import time
import warnings

import numpy as np


def crash(path):
    os.abort()


def hang(path):
    while True:
        time.sleep(1)


def devour(path):
    return np.empty(3 * 2**30, dtype=np.uint8)


def devour_in_pickling(path):
    return _Devours()


class _Devours:
    def __reduce__(self):
        return bytes, (bytes(3 * 2**30),)


def complain(path):
    print("noise between question and answer")
    warnings.warn("said beside", stacklevel=1)
    raise KeyError("no such tag")


def process(path):
    return os.getpid()

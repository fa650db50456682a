"""Readers that end their process or never end, as those of other libraries do with damaged files."""

import os
import signal
import time
import warnings

import numpy as np


def crash(path):
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(path):
    while True:
        time.sleep(1)


def devour(path):
    return np.empty(3 * 2**30, dtype=np.uint8)


def complain(path):
    print("noise between question and answer")
    warnings.warn("said beside", stacklevel=1)
    raise KeyError("no such tag")


def process(path):
    return os.getpid()

"""What differs between computers, and how little: docs/benchmarks.md names these bounds."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from helpers import numbers_of_a_night

BOUNDS = {"simulated": 1e-4, "signals": 1e-5, "hypnodensity_1": 1e-4, "hypnodensity_128": 1e-4, "losses": 1e-3}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the older processor is an Intel of 2008")
def test_an_older_processor_and_another_number_of_threads_change_little(root, tmp_path, monkeypatch):
    here = numbers_of_a_night.numbers()
    command = [sys.executable, numbers_of_a_night.__file__, str(tmp_path / "older.npz")]
    env = os.environ | numbers_of_a_night.OLDER | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(root / "lib")}
    subprocess.run(command, env=env, check=True)
    with np.load(tmp_path / "older.npz") as older:
        apart = {name: float(np.abs(here[name].astype(float) - older[name]).max()) for name in BOUNDS}
    assert all(apart[name] <= bound for name, bound in BOUNDS.items()), apart
    assert any(apart.values()), "the environment has changed nothing"
    assert {name: numbers.tolist() for name, numbers in numbers_of_a_night.numbers().items()} == {
        name: numbers.tolist() for name, numbers in here.items()
    }, "here, the same is the same to the last bit"

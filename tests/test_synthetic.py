"""Promises of `anysleep.data.synthetic`."""

import edfio
import numpy as np
import pytest

from anysleep.data.synthetic import draw_persons, simulate_night, write_cohort
from anysleep.data.synthetic.cohort import STAGE_TEXTS


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    return write_cohort(folder, n_persons=2, hours=0.5, seed=3)


def test_person_does_not_depend_on_the_size_of_the_cohort():
    assert draw_persons(30, seed=1)[:5] == draw_persons(5, seed=1)


def test_same_seed_gives_the_same_bytes(cohort, tmp_path):
    again = write_cohort(tmp_path, n_persons=2, hours=0.5, seed=3)
    for first, second in zip(cohort.file, again.file, strict=True):
        assert open(first, "rb").read() == open(second, "rb").read()


def test_edf_returns_the_night(cohort):
    person = draw_persons(2, seed=3)[0]
    night = simulate_night(person, 1, hours=0.5, seed=3)
    edf = edfio.read_edf(cohort.file[0])
    quantum_uv = 1000 / 2**16
    for signal, name, samples in zip(edf.signals, night.channels, night.signals_uv, strict=True):
        assert signal.label.split(" ", 1)[1] == name
        assert signal.sampling_frequency == 128
        assert signal.physical_dimension == "uV"
        assert np.abs(signal.data - samples).max() < quantum_uv
    stages = [STAGE_TEXTS.index(a.text) for a in edf.annotations if a.text in STAGE_TEXTS]
    assert stages == night.hypnogram.tolist()

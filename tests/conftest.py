"""What tests share: the parity numbers, the folder with real data where it is present, a tiny cohort."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from filelock import FileLock
from helpers.toy_runs import run_all

torch.set_num_threads(1)  # the toys of the tests are small, and two waiting threads on a busy machine are slow
os.environ["OMP_NUM_THREADS"] = "1"  # the same in what tests start

ROOT = Path(__file__).parents[1]
EXTRACT = Path(__file__).with_name("data") / "parity.npz"


QUICK = """archive arousals channels figures files labels montages notebooks_form params prefetch preprocessing
    quality readers recipes recordings score_tables tables transitions widgets""".split()
"""Files of `make quick`, which takes a minute; of files with slow tests, single tests are marked."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem.removeprefix("test_") in QUICK:
            item.add_marker("quick")


@pytest.fixture(scope="session", autouse=True)
def _temporary_folder_is_left_empty(tmp_path_factory):
    """A temporary folder of this process and what it starts; whoever leaves something there is a fault."""
    tmp_path_factory.getbasetemp()  # pytest's own folder stays where it always is
    before, folder = os.environ.get("TMPDIR"), Path(tempfile.mkdtemp(prefix="t"))  # short: sockets may lie in it
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    yield
    tempfile.tempdir = None
    os.environ.update({"TMPDIR": before} if before else {})
    if before is None:
        del os.environ["TMPDIR"]
    caches = "torchinductor_*"  # PyTorch's, one a user, whatever it is imported for
    left = sorted(path.name for path in folder.iterdir() if not path.match(caches))
    shutil.rmtree(folder)
    assert not left, f"the tests of this process have left in the temporary folder: {', '.join(left)}"


@pytest.fixture(autouse=True)
def _figures_end_with_their_test():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def extract() -> dict[str, np.ndarray]:
    """The parity numbers that every clone has."""
    with np.load(EXTRACT) as content:
        return dict(content)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the project with all parity numbers and real recordings; tests that need it skip without."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the project: the full parity numbers and real recordings are not tested")
    return folder


@pytest.fixture
def largest_file():
    """`with largest_file(n_bytes)`: no file may be larger within, as if the disk were full then."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(n_bytes):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture
def project(root, tmp_path):
    """A workbook with the notebooks and the library of this one, and no profile yet."""
    (tmp_path / "params").mkdir()
    for name in ("Snakefile", "profiles", "lib", "notebooks", "params/datasets"):
        (tmp_path / name).symlink_to(root / name)
    return tmp_path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, worker_id):
    """Folder in which every notebook ran once, see `toy_runs`. All workers share it: what changes a run copies it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "tiny"
    with FileLock(f"{folder}.lock"):
        if not (folder / "whole").exists():
            run_all(folder)
            (folder / "whole").touch()
    return folder

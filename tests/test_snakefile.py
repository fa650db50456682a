"""The graph of every profile is whole, and agrees with the parameters on where runs lie."""

import re
import subprocess
import sys

import pytest

from anysleep.params import NOTEBOOKS, merge_parameters


def test_snakemake_and_the_parameters_agree_on_paths(root):
    """The Snakefile says where runs lie; the YAMLs of the demo read from there."""
    expected = {
        "archive": "outputs/demo/01_prepare/archive.h5",
        "checkpoint": "outputs/demo/03_train/checkpoint.pth",
        "split": "outputs/demo/03_train/split.yaml",
        "predictions": "outputs/demo/05_predict",
    }
    for notebook in NOTEBOOKS:
        given = merge_parameters([root / "params" / "demo" / f"{notebook}.yaml"], {})
        assert all(given.get(name, path) in (path, "") for name, path in expected.items()), notebook


@pytest.mark.parametrize(
    ("profile", "n_jobs"),
    [
        (["profile=demo"], {"prepare": 1, "train": 1, "notebook": 11}),
        (["profile=effects"], {"prepare": 1, "train": 2, "notebook": 7}),
        (["profile=paper", "split=README.md"], {"prepare": 1, "weights": 12, "split": 1, "notebook": 42}),
        (["profile=paper", "weights=trained"], {"prepare": 1, "train": 12, "weights": 12, "split": 1, "notebook": 42}),
    ],
)
def test_the_graph_of_a_profile_is_whole(root, profile, n_jobs):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--rerun-incomplete", "--nolock"]
    command += ["--cores", "2", "--config"]
    done = subprocess.run([*command, *profile], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout.rpartition("Job stats:")[2], re.MULTILINE))
    assert {rule: int(n) for rule, n in counts.items()} == n_jobs | {"all": 1, "total": sum(n_jobs.values()) + 1}

"""Snakemake on profiles of two persons."""

import os
import subprocess
import sys

import yaml

COHORT = {
    "datasets": {"params/datasets/synthetic.yaml": "outputs/cohort"},
    "synthetic_dir": "outputs/cohort",
    "n_synthetic_persons": 1,
    "synthetic_hours": 0.5,
}


def add_profile(project, name, **notebooks):
    """A profile with these parameters of 01_prepare, 03_train, ..."""
    folder = project / "params" / name
    folder.mkdir()
    for notebook, given in notebooks.items():
        (folder / f"{notebook}.yaml").write_text(yaml.safe_dump(given))


def snakemake(project, *words) -> subprocess.Popen:
    """README's command."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    env = os.environ | {"TMPDIR": str(project)}  # where snakemake leaves a folder behind when a job fails
    return subprocess.Popen(command, cwd=project, env=env, text=True, **streams, start_new_session=True)


def said(process) -> tuple[int, str]:
    text, _ = process.communicate()
    return process.returncode, text

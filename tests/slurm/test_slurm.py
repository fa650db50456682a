"""The graph in shards on a real Slurm, whose jobs are cancelled, run out of time and wait for a drained node."""

import collections
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import node
import psutil
import pytest
import yaml
from helpers import toy_runs

from anysleep.settings import merge_parameters
from anysleep.synthetic import write_cohort

PROFILE = ["--config", "profile=my lab"]
FOLDER = "outputs/my lab"
GRAPH = ("01_prepare", "03_train", "04_evaluate", "05_predict", "07_traits")
"""All notebooks that have shards, and the training."""
SLURM = ["--profile", "profiles/slurm", "--set-resources", "train:slurm_extra=''", "--latency-wait", "5"]
SLURM += ["--slurm-status-command", "squeue", "--slurm-no-account", "--slurm-init-seconds-before-status-checks", "3"]
SLURM += ["--seconds-between-status-checks", "2", "--jobs", "10"]


def workbook(folder, root):
    """A workbook whose folder and profile have blanks, with a tiny profile and its cohort."""
    (folder / "params/my lab").mkdir(parents=True)
    for name in ("Snakefile", "profiles", "lib", "notebooks", "params/datasets"):
        (folder / name).symlink_to(root / name)
    more = {"01_prepare": {"synthetic_dir": ""}, "03_train": {"n_steps": 20}}
    given = toy_runs.given_to(Path(FOLDER))
    for notebook in GRAPH:
        changes = given[notebook] | more.get(notebook, {})
        whole = merge_parameters([root / "params/demo" / f"{notebook}.yaml"], changes)
        (folder / "params/my lab" / f"{notebook}.yaml").write_text(yaml.safe_dump(whole))
    write_cohort(folder / FOLDER / "cohort", n_persons=4, hours=1.0)
    return folder


def started(folder, *words):
    """Snakemake at work in a workbook; what it says stands in snakemake.log."""
    with (folder / "snakemake.log").open("w") as log:
        command = [sys.executable, "-m", "snakemake", *words]
        return subprocess.Popen(command, cwd=folder, env=os.environ | {"TMPDIR": str(folder)}, stdout=log, stderr=log)


def number_of(rule, *states):
    """The number of the newest job of a rule in one of these states, or nothing."""
    return max((int(job[0]) for job in node.jobs() if job[1] in states and rule in job[3]), default=None)


def trainings():
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "anysleep.training" in (process.info["cmdline"] or ())
    ]


def tables(folder):
    """Every table, archive and network that runs have published."""
    found = {path.relative_to(folder): path for path in (folder / FOLDER).rglob("*") if path.is_file()}
    suffixes = (".csv", ".tsv", ".h5", ".npz", ".pth", ".edf", ".yaml")
    kept = [path for path in found if path.suffix in suffixes and not {"store", "shards", "training"} & set(path.parts)]
    return {str(path): found[path].read_bytes() for path in kept}


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with node.started(tmp_path_factory.mktemp("slurm")) as host:
        yield host


def test_a_graph_that_is_disturbed_on_slurm_publishes_what_one_machine_does(queue, root, tmp_path):
    alone, shared = workbook(tmp_path / "a lab/alone", root), workbook(tmp_path / "a lab/shared", root)
    undisturbed = started(alone, "--cores", "2", *PROFILE)  # as many threads as jobs have there
    began = time.monotonic()
    graph = started(shared, *SLURM, *PROFILE, "shards=2")

    cancelled = node.wait_for(lambda: number_of("rule_shard", "RUNNING"), "a running shard")
    node.wait_for(lambda: number_of("rule_shard", "PENDING"), "a shard that waits for its turn")
    node.slurm("scancel", str(cancelled))

    node.wait_for(lambda: (number_of("rule_shard", "RUNNING") or 0) > cancelled, "the next shard")
    node.slurm("scontrol", "update", f"NodeName={queue}", "State=DRAIN", "Reason=test")
    node.wait_for(lambda: node.slurm("sinfo", "-h", "-o", "%T").strip() == "drained", "a drained node")
    node.wait_for(lambda: number_of("rule_shard", "PENDING"), "the cancelled shard's second attempt")
    node.slurm("scontrol", "update", f"NodeName={queue}", "State=RESUME")

    node.wait_for((shared / FOLDER / "03_train/training/history.csv").is_file, "a validation")
    mine = [process for process in trainings() if str(shared) in " ".join(process.info["cmdline"])]
    [process.send_signal(signal.SIGSTOP) for process in mine]  # it is in the midst when its time is up, on any machine
    node.slurm("scontrol", "update", f"JobId={number_of('rule_train', 'RUNNING')}", "TimeLimit=1")
    node.wait_for(lambda: number_of("rule_train", "TIMEOUT"), "a training out of time")
    with suppress(psutil.NoSuchProcess):
        [process.send_signal(signal.SIGCONT) for process in mine]  # it now ends with its parent, where Slurm left it

    assert graph.wait() == 0, (shared / "snakemake.log").read_text()[-3000:]
    states = collections.Counter(job[1] for job in node.jobs())
    print(f"{time.monotonic() - began:.0f} s; jobs: {dict(states)}; {node.slurm('sinfo', '--version')}")
    assert mine and states.keys() == {"COMPLETED", "CANCELLED", "TIMEOUT"}
    assert states["CANCELLED"] == states["TIMEOUT"] == 1 and states["COMPLETED"] == len(GRAPH) + 4 * 2
    assert "going on after step" in (shared / FOLDER / "03_train/notebook.ipynb").read_text()
    assert undisturbed.wait() == 0, (alone / "snakemake.log").read_text()[-3000:]
    ours, theirs = tables(shared), tables(alone)
    assert len(ours) > 25 and ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []

"""The workbook's graph on a tiny cohort, killed again and again, ends as if it never had been: `make chaos`.

`python tests/chaos.py [kills] [seed]` kills, at seeded moments, snakemake, a runner, a kernel, a worker or a training,
and calls the documented command again at once. In the end every table is that of an undisturbed run, and nothing is
left: no process, no half a file, nothing in the temporary folder or in shared memory.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import yaml
from helpers.toy_runs import ROOT, given_to

ROLES = {"snakemake": "-m snakemake", "runner": "-m anysleep run", "training": "-m anysleep.training"}
ENDS_WITHIN_S = 15
"""How long what belonged to the killed one may live: a training saves its state, on a busy machine."""
LATEST_S = 8
"""How long after a notebook has begun the blow may come."""
NEXT = 3
"""That notebook is one of so many that begin next."""
KILLS_A_ROUND = 10
"""Then the graph may come to its end, and all is compared."""

SEEN: set[int] = set()
"""The numbers of all processes that have belonged to the workbook."""
OTHERS = ("torchinductor_*", "snakemake*")
"""A cache of torch; an empty folder of a killed snakemake."""


def lay_out(folder: Path) -> Path:
    """A workbook with this one's notebooks and library, and the tiny cohort as the profile chaos."""
    (folder / "params/chaos").mkdir(parents=True)
    for name in ("Snakefile", "profiles", "lib", "notebooks", "params/datasets"):
        (folder / name).symlink_to(ROOT / name)
    for notebook, given in given_to(Path("outputs/chaos")).items():
        more = {"n_jobs": 2} if "n_jobs" in given else {}
        (folder / f"params/chaos/{notebook}.yaml").write_text(yaml.safe_dump(given | more))
    return folder


def start(folder: Path) -> subprocess.Popen:
    """README's command in that workbook, with a temporary folder of its own."""
    (folder / "tmp").mkdir(exist_ok=True)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "lib"), "TMPDIR": str(folder / "tmp")}
    env |= {"JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "profile=chaos"]
    with (folder / "said.txt").open("a") as said:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=said, stderr=said, start_new_session=True)


def everyone(folder: Path) -> dict[psutil.Process, str]:
    """Every process that belongs to the workbook, however it lost its parent -> what it is."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder / "tmp") and process.status() != psutil.STATUS_ZOMBIE:
                found[process] = role_of(process)
                SEEN.add(process.pid)
        except psutil.Error:
            continue
    return found


def role_of(process: psutil.Process) -> str:
    """One of ROLES, kernel, or worker: whatever else Python does, started by one of these."""
    words = " ".join(process.cmdline())
    for role, sign in ROLES.items():
        if sign in words:
            return role
    if "ipykernel_launcher" in words:  # so is a fork of it
        return "kernel" if "anysleep run" in " ".join(process.parent().cmdline()) else "worker"
    return "worker" if "spawn_main" in words or "guarded" in words else "other"


def strike(folder: Path, rng: random.Random, running: subprocess.Popen) -> str:
    """Kill somebody when one of the next notebooks has begun; returns whom and where, empty if all was done before."""
    since, which, pause_s = time.time(), rng.randrange(NEXT), rng.uniform(0, LATEST_S)
    while running.poll() is None:
        there = {is_a: process for process, is_a in everyone(folder).items()}
        begun = {file.stat().st_mtime: file.parent.name for file in folder.glob("outputs/chaos/*/params.yaml")}
        begun = dict(sorted((when, name) for when, name in begun.items() if when > since)[which:])
        roles = sorted(there.keys() - {"other"})
        if begun and roles and time.time() > min(begun) + pause_s:
            role = rng.choice(roles)
            there[role].kill()
            return f"{role}, {pause_s:.1f} s after {begun[min(begun)]} had begun"
        time.sleep(0.2)
    return ""


def tables(folder: Path) -> dict[str, bytes]:
    """Every table and every result of the runs."""
    runs = folder / "outputs/chaos"
    files = sorted(path for path in runs.rglob("*") if path.suffix in (".csv", ".npz") and "store" not in path.parts)
    return {str(path.relative_to(runs)): path.read_bytes() for path in files}


def left_behind(folder: Path) -> list[str]:
    """What should not be there any more."""
    files = [path for path in folder.glob("tmp/*") if not any(map(path.match, OTHERS))]
    files += [path for path in folder.rglob("*") if path.name.startswith(".kernel") or re.match(r"\.\d", path.name)]
    processes = [f"{process.pid} {is_a}" for process, is_a in everyone(folder).items()]
    # A semaphore in shared memory has the number of its process in its name.
    shared = [name for name in os.listdir("/dev/shm") if SEEN & set(map(int, re.findall(r"\d+", name)))]
    return [*map(str, files), *processes, *shared]


def round_of(folder: Path, n_kills: int, rng: random.Random) -> int:
    """Run the graph to its end; returns how many were killed on the way, at most `n_kills`."""
    lay_out(folder)
    n_killed, running = 0, start(folder)
    while n_killed < n_kills and running.poll() != 0:
        if where := strike(folder, rng, running):
            n_killed += 1
            print(f"  killed: {where}", flush=True)
        with suppress(
            subprocess.TimeoutExpired
        ):  # a run may survive the loss of a worker, and others come to their end
            running.wait(ENDS_WITHIN_S)
        if running.poll():
            bereft = list(everyone(folder))
            running = start(folder)
            _, alive = psutil.wait_procs(bereft, timeout=ENDS_WITHIN_S)
            assert not alive, f"{where}, and {ENDS_WITHIN_S} s later there were {alive}"
    while running.poll() is None:
        everyone(folder)
        time.sleep(0.2)
    assert running.returncode == 0, (folder / "said.txt").read_text()
    return n_killed


def main(n_kills: int = 30, seed: int = 0) -> None:
    """Kill so many, in as many rounds as that takes, and compare each round with an undisturbed one."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as below:
        round_of(Path(below, "peace"), 0, rng)
        expected, n_killed, n_rounds = tables(Path(below, "peace")), 0, 0
        while n_killed < n_kills:
            n_rounds += 1
            folder = Path(below, f"round{n_rounds}")
            n_killed += round_of(folder, min(n_kills - n_killed, KILLS_A_ROUND), rng)
            found = tables(folder)
            differ = [name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)]
            assert not differ, f"round {n_rounds}: {differ}"
            assert not left_behind(folder), left_behind(folder)
            print(f"round {n_rounds}: {n_killed} of {n_kills} killed, {len(found)} files as undisturbed", flush=True)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

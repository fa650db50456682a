"""Many jobs at once: what becomes of one is told of it alone, and no process outlives its parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from anysleep.system.jobs import PARENT, JobLost, run_jobs, run_shares

ENDS = {
    "raise": (KeyError, "no such key"),
    "exit": (JobLost, r"its process died \(exit status 3\): out of memory, or a fault in a library"),
    "kill": (JobLost, r"its process died \(SIGKILL\): out of memory, or a fault in a library"),
    "hang": (JobLost, "it had not ended after (5|15) s"),
    "time out": (TimeoutError, "the server is silent"),
}


def work(job):
    if job == "raise":
        raise KeyError("no such key")
    if job == "exit":
        os._exit(3)
    if job == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "hang":
        time.sleep(1000)
    if job == "time out":
        raise TimeoutError("the server is silent")
    return job, os.getpid()


@pytest.mark.parametrize("n_workers", [1, 3])
@pytest.mark.parametrize(("start", "limit_s"), [("fork", 5), ("spawn", 15)])  # which imports this file first
def test_what_becomes_of_a_job_is_told_of_it_alone(n_workers, start, limit_s):
    jobs = [0, "kill", 1, "exit", "hang", 2, "raise", 3, "time out", 4]
    ended = dict(run_jobs(work, iter(jobs), n_workers, limit_s=limit_s, start=start))
    assert set(ended) == set(jobs)
    assert [ended[i].result()[0] for i in range(5)] == list(range(5))
    assert all(ended[i].result()[1] != os.getpid() for i in range(5))
    for job, (error, said) in ENDS.items():
        with pytest.raises(error, match=said):
            ended[job].result()
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("pebble")]


def square(number):
    if number == 3:
        raise ValueError("three")
    return number**2


def test_here_and_in_processes_the_results_are_the_same():
    here, there = (
        {job: str(future.exception() or future.result()) for job, future in run_jobs(square, range(20), n)}
        for n in (1, 2)
    )
    assert here == there and here[3] == "three" and here[19] == "361"


def where(job):
    return job, os.getpid(), os.environ.get("OMP_NUM_THREADS")


def test_one_worker_without_a_limit_is_this_process():
    assert [future.result()[1] for _, future in run_jobs(where, range(3), 1)] == [os.getpid()] * 3
    assert all(future.result()[1:] != (os.getpid(), "1") for _, future in run_jobs(where, range(3), 1, limit_s=60))


def test_each_share_has_its_process_order_and_threads():
    ended = [future.result() for _, future in run_shares(where, [range(4), range(10, 14)], n_threads=1)]
    shares = [[row for row in ended if (row[0] >= 10) == second] for second in (False, True)]
    assert [[job for job, *_ in share] for share in shares] == [[0, 1, 2, 3], [10, 11, 12, 13]]
    assert all(len({pid for _, pid, _ in share}) == 1 for share in shares)
    assert len({pid for _, pid, _ in ended}) == 2 and {threads for *_, threads in ended} == {"1"}


class Deadly:
    """Kills the process that receives it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_process_that_dies_before_it_begins_costs_one_job():
    ended = [future.exception() for _, future in run_shares(where, [[0, Deadly(), 1]])]
    assert [type(error) for error in ended] == [type(None), JobLost, type(None)]


def test_given_up_no_process_is_left():
    ending = run_jobs(where, range(100), 2)
    next(ending)
    assert psutil.Process().children()
    ending.close()
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("pebble")]


WITH_WORKERS = """
import os, time
from anysleep.system.jobs import run_jobs
def work(job):
    os.write(1, f"{os.getpid()}\\n".encode())  # in one piece
    time.sleep(1000)
for _ in run_jobs(work, range(2), 2):
    pass
"""


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_its_parent(by, root):
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler){WITH_WORKERS}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root, text=True, start_new_session=True, **pipes)
    workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
    os.killpg(parent.pid, by) if by == signal.SIGINT else parent.send_signal(by)  # a terminal's Ctrl-C reaches all
    _, said = parent.communicate(timeout=60)
    assert said.count("Traceback") == (by == signal.SIGINT)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


IN_A_FORK = """
import os, signal
from anysleep.system.jobs import run_jobs
signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
os.register_at_fork(after_in_child=interrupt, after_in_parent=interrupt)
try:
    print([future.exception() for _, future in run_jobs(abs, [1, 2, 3, 4], 2)])
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_in_the_middle_of_a_fork_is_not_lost(root):
    ended = subprocess.run([sys.executable, "-c", IN_A_FORK], cwd=root, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("stopped\n", "", 0)


AT_WORK = "import time; from anysleep.system.jobs import end_with_parent; end_with_parent(); time.sleep(100)"
BEGUN = {
    "a process": (["-c", AT_WORK], 1),
    "a worker": (["-c", f"from anysleep.system import jobs; jobs._begin(1, None); {AT_WORK}"], 1),
    "a run": (["-m", "anysleep", "run", "02_inspect", "--end-with-parent"], 128 + signal.SIGTERM),
    "a training": (["-m", "anysleep.training", "nowhere"], -signal.SIGTERM),
}
"""What begins when its parent has died already -> its exit status."""


@pytest.mark.parametrize("who", BEGUN)
def test_who_begins_when_its_parent_has_died_ends_at_once(who, root):
    """Somebody else is the parent then, for ever."""
    words, status = BEGUN[who]
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    env = os.environ | {PARENT: str(dead.pid)}
    assert subprocess.run([sys.executable, *words], cwd=root, env=env, capture_output=True).returncode == status

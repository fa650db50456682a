"""A Slurm of one node, this machine, which listens on the loopback only and ends with the process that started it.

It needs Debian's slurm-wlm and munge, root, and mounts and process ids of its own, which `make test-slurm` gives it:
what looks like /etc/slurm is a temporary folder, and nothing outlives the test.
"""

import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=3600
KillWait=60
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES
"""
"""There are as much memory and as many GPUs as the Snakefile's jobs ask for; nothing holds jobs to them."""


def slurm(*words: str) -> str:
    """What a command of Slurm says. CalledProcessError where it fails."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def jobs(what: str = "%i %T %r %k") -> list[list[str]]:
    """Number, state, reason and rule of every job, the ended ones, too."""
    return [
        line.split(maxsplit=3)
        for line in slurm("squeue", "--noheader", "--states=all", f"--format={what}").splitlines()
    ]


def wait_for(happened, what: str, limit_s: float = 900):
    """The first answer of `happened` that is true. TimeoutError, which says what did not happen."""
    began = time.monotonic()
    while not (answer := happened()):
        if time.monotonic() - began > limit_s:
            raise TimeoutError(f"{what} did not happen; {jobs()}")
        time.sleep(0.5)
    return answer


@contextmanager
def started(folder: Path):
    """The node at work; its daemons end with this, whatever happens."""
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder))
    (folder / "gres.conf").write_text("Name=gpu File=/dev/zero\n")
    (folder / "munge.key").write_bytes(b"of no use elsewhere " * 52)
    (folder / "munge.key").chmod(0o600)
    subprocess.run(["mount", "--bind", folder, "/etc/slurm"], check=True)
    files = [
        f"--{name}={folder}/munge.{name.split('-')[0]}"
        for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")
    ]
    daemons = [["munged", "-F", "--force", *files], ["slurmctld", "-D"], ["slurmd", "-D"]]
    with ExitStack() as stack:
        for command in daemons:
            log = stack.enter_context((folder / f"{command[0]}.log").open("w"))
            process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            stack.callback(process.terminate)
            time.sleep(1)
        wait_for(lambda: "idle" in slurm("sinfo", "--noheader", "--format=%t"), "an idle node", 60)
        yield host

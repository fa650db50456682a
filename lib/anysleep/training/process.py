"""Training in processes of its own: `python -m anysleep.training <run folder>`.

The notebook starts it, see `training.follow`; torchrun and Slurm's srun may start it, too. The folder's params.yaml
and split.yaml say what to train. What comes of it lies in its folder `training`: the state to go on from, history.csv
and TensorBoard's logs. So a notebook that was stopped goes on where it was, and many GPUs work for one notebook.
"""

import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch.distributed import TCPStore, init_process_group

from anysleep.datasets.archive import Archive
from anysleep.datasets.sampling import stageable_nights
from anysleep.datasets.splits import read_split, select_part
from anysleep.staging.devices import choose_device
from anysleep.system.files import atomic_write
from anysleep.system.jobs import end_with_parent, keep_freed_memory
from anysleep.system.limits import read_yaml
from anysleep.training.follow import MEETING, SAID_STOPPED, STATE, STOPPED
from anysleep.training.loop import Training, TrainingStopped
from anysleep.training.settings import TrainingSettings
from anysleep.training.setup import first_network, training_key, window_batches
from anysleep.training.state import State


def main(folder: Path, *, one_of_many: bool = False) -> int:
    """Train as one process, or start as many as are asked for; returns the exit status."""
    _end_with_parent()
    content = read_yaml(folder / "params.yaml")
    settings = TrainingSettings(**{name: content[name] for name in TrainingSettings.model_fields})
    if settings.compute.n_devices > 1 and not one_of_many:
        return _start_many(folder, settings.compute.n_devices)
    fabric = make_fabric(settings)
    stop_asked = _notice_sigterm(fabric.is_global_zero)
    (folder / "training").mkdir(exist_ok=True)
    try:
        with _only_training(folder, stop_asked) if fabric.is_global_zero else nullcontext():
            fabric.barrier()  # nobody reads a state that another training may still write
            training = set_up(settings, content["run_id"], folder, fabric)
            report = {}
            if fabric.is_global_zero:
                if training.state.finished:
                    print(f"finished already, after step {training.state.step}; retrain: true trains anew", flush=True)
                report["report"] = Reporter(folder / "training", settings.n_steps, training.state.step)
            training.run(should_stop=stop_asked, **report)
    except TrainingStopped as stopped:
        if fabric.is_global_zero:
            print(f"{SAID_STOPPED} {stopped}", flush=True)
        return STOPPED
    return 0


def make_fabric(settings: TrainingSettings) -> Fabric:
    """Device, precision and the processes that were started together, ready to talk to each other."""
    n_devices, n_machines, environment = settings.compute.n_devices, 1, LightningEnvironment()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # started by torchrun
        environment = TorchElasticEnvironment()
        n_machines = int(os.environ["WORLD_SIZE"]) // int(os.environ["LOCAL_WORLD_SIZE"])
    elif n_devices > 1:
        environment, n_machines = SLURMEnvironment(), int(os.environ["SLURM_NNODES"])
    device = choose_device(settings.device).type
    if n_devices > 1 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":  # a torchrun of one's own has one
        _meet(environment, "127.0.0.1" if n_machines == 1 else environment.main_address, device)
    fabric = Fabric(
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=n_devices // n_machines,
        num_nodes=n_machines,
        strategy="ddp" if n_devices > 1 else "auto",
        precision={"32": "32-true", "bf16": "bf16-mixed"}[settings.compute.precision],
        plugins=[environment],
    )
    fabric.launch()
    if fabric.world_size != n_devices:
        raise ValueError(f"compute.n_devices is {n_devices}, but {fabric.world_size} processes were started")
    return fabric


def _meet(environment: ClusterEnvironment, address: str, device: str) -> None:
    """Let the processes of a training find each other through the first one, at this address only.

    By itself torch would listen on all addresses of the machine, and whoever reaches the port may write there.
    """
    rank, n_ranks, port = environment.global_rank(), environment.world_size(), environment.main_port
    # Detached, or Python would close the socket under the store.
    listening = {"master_listen_fd": socket.create_server((address, port)).detach()} if rank == 0 else {}
    store = TCPStore(address, port, n_ranks, rank == 0, **listening)
    init_process_group("nccl" if device == "cuda" else "gloo", store=store, rank=rank, world_size=n_ranks)


def set_up(settings: TrainingSettings, run_id: str, folder: Path, fabric: Fabric) -> Training:
    """The training that settings and the folder's split ask for, at the saved state where there is one."""
    split_file = folder / "split.yaml"
    split = read_split(split_file)
    with Archive(settings.archive, trusted=True) as archive:  # 03 has looked at its nights
        nights, rate_hz = archive.recordings(), archive.sampling_rate_hz
        key = training_key(settings, run_id, archive, split_file)
        parts = {part: select_part(nights, split, part, "recording") for part in ("train", "valid")}
        lists = {dataset: archive.channels(dataset) for dataset in parts["valid"].dataset.unique()}
    valid_nights = stageable_nights(parts["valid"], lists, eeg_eog_pairs=settings.architecture == "usleep")
    network = first_network(settings, rate_hz)
    if settings.compute.compile:
        network.compile(dynamic=True)  # the number of channels changes from batch to batch
    if fabric.device.type == "cpu":
        keep_freed_memory()
    return Training(
        network,
        window_batches(settings, parts["train"]),
        valid_nights,
        learning_rate=settings.learning_rate,
        schedule=settings.schedule,
        loss=settings.loss,
        n_steps=settings.n_steps,
        steps_per_training_epoch=settings.steps_per_training_epoch,
        patience=settings.patience,
        fabric=fabric,
        state_file=folder / STATE,
        key=key,
    )


def _start_many(folder: Path, n_devices: int) -> int:
    """Start as many processes: by srun where Slurm has given several tasks, else by torchrun."""
    arguments = ["-m", "anysleep.training", str(folder), "--one-of-many"]
    n_tasks = int(os.environ.get("SLURM_NTASKS", 1))
    if n_tasks == 1:
        meeting = _meeting_place(folder)
        os.environ |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # see `_meet`
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        os.environ |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
        torchrun = ["-m", "torch.distributed.run", f"--nproc-per-node={n_devices}", "--local-addr=127.0.0.1"]
        torchrun += ["--rdzv-backend=c10d", "--rdzv-conf=store_type=file", f"--rdzv-endpoint={meeting / 'agents'}"]
        torchrun += [f"--log-dir={meeting}"]
        # In the place of this process, so that a signal reaches torchrun itself.
        os.execv(sys.executable, [sys.executable, *torchrun, *arguments])
    if n_tasks != n_devices:
        raise ValueError(f"compute.n_devices is {n_devices}, but Slurm has given {n_tasks} tasks")
    # srun answers SIGTERM by killing its tasks, which could then not save; scancel passes the signal on to them.
    ask_tasks = ["scancel", "--signal=TERM", os.environ["SLURM_JOB_ID"]]
    signal.signal(signal.SIGTERM, lambda *_: subprocess.run(ask_tasks, check=True))
    cores = os.environ.get("SLURM_CPUS_PER_TASK")  # which srun no longer takes over from the job by itself
    env = os.environ | ({"SRUN_CPUS_PER_TASK": cores} if cores else {})
    return subprocess.run(["srun", sys.executable, *arguments], env=env).returncode


def _meeting_place(folder: Path) -> Path:
    """An empty folder for torchrun's own files, which it leaves behind; those of earlier trainings go."""
    for left in folder.glob(f"{MEETING}*"):
        if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    meeting = folder / f"{MEETING}{os.getpid()}"
    meeting.mkdir(parents=True)
    return meeting


@contextmanager
def _only_training(folder: Path, stop_asked: Callable[[], bool]) -> Iterator[None]:
    """Wait until no other process trains in this folder, and keep others waiting. TrainingStopped where asked to."""
    lock = FileLock(folder / "training/.lock")
    for n_waited in itertools.count():
        try:
            lock.acquire(timeout=1)  # not for ever, to see a signal meanwhile
            break
        except Timeout:
            if n_waited == 0:
                print("another process trains in this folder; waiting for it to end", flush=True)
        if stop_asked():
            raise TrainingStopped("while it waited for another training in its folder")
    try:
        yield
    finally:
        lock.release()


def _notice_sigterm(decides: bool) -> Callable[[], bool]:
    """Whether SIGTERM has come since, which Slurm sends before it kills, or SIGINT.

    The process that `decides` saves for all; the others ignore it, and end with it.
    """
    asked = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, (lambda *_: asked.append(True)) if decides else signal.SIG_IGN)
    return lambda: bool(asked)


def _end_with_parent() -> None:
    """SIGTERM when the process that started this one is gone; on Linux by the system, so also once this is torchrun."""
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


STEPS_PER_POINT = 50
"""Steps between two points of the loss in TensorBoard."""


class Reporter:
    """Called with the state after every step. Prints a line a validation, and otherwise every 5 % or 30 s."""

    def __init__(self, folder: Path, n_steps: int, start: int):
        """Write into `folder`; the training begins at step `start`, and later points of an earlier try are dropped."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.folder, self.n_steps, self.start = folder, n_steps, start
        self.began = self.said_at = time.monotonic()
        self.said_step = start
        self.every_s = 1.0 if "JPY_SESSION_NAME" in os.environ else 30.0  # JupyterLab draws a bar from the lines
        self.tensorboard = SummaryWriter(folder / "tensorboard", purge_step=start + 1)
        if start:
            print(f"going on after step {start} of {n_steps}", flush=True)

    def __call__(self, state: State) -> None:
        """Say how far the training is, see the class."""
        validated = not state.losses  # a validation empties them
        if validated:
            self._validation(state)
        elif state.step % STEPS_PER_POINT == 0:
            self.tensorboard.add_scalar("train/loss", float(state.losses[-1]), state.step)
        now = time.monotonic()
        far = state.step - self.said_step >= self.n_steps / 20 and now - self.said_at >= 1
        if validated or far or now - self.said_at >= self.every_s:
            n_done = max(1, state.step - self.start)  # none yet, where only a validation was owed
            left_s = (now - self.began) / n_done * (self.n_steps - state.step)
            said = self._scores(state) if validated else f"loss {float(state.losses[-1]):.3f}"
            time_said = f"{now - self.began:.0f} s, about {left_s:.0f} s left"
            print(f"step {state.step} of {self.n_steps} · {said} · {time_said}", flush=True)
            self.said_at, self.said_step = now, state.step

    def _validation(self, state: State) -> None:
        with atomic_write(self.folder / "history.csv") as temporary:
            state.table().to_csv(temporary, index=False)
        last = state.history[-1]
        for name in ("train_loss", "valid_mf1", "valid_kappa", "learning_rate"):
            self.tensorboard.add_scalar(name.replace("_", "/", 1), last[name], state.step)  # grouped by "/"
        self.tensorboard.flush()

    @staticmethod
    def _scores(state: State) -> str:
        last = state.history[-1]
        best = "best so far" if state.validations_without_gain == 0 else f"best {state.best_mf1:.3f}"
        return f"mean loss {last['train_loss']:.3f} · validation MF1 {last['valid_mf1']:.3f} ({best})"

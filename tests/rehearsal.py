"""The paper's run in rehearsal: its 21 data sets, weights and split as they are published, in shape but not in content.

`python tests/rehearsal.py [folder]` lays them out in a workbook of its own (by default outputs/rehearsal), and runs
`snakemake --config profile=paper` there. The nights last minutes and are noise; the weights are random. So nothing
measured is worth anything, but every step of the paper's run is taken, and what would stop it stops here.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import yaml
from helpers.dataset_nights import NIGHTS, SECONDS, Night, isruc_table, longer
from helpers.parity import seeded_weights

from anysleep.models.networks import build_model
from anysleep.published import read_published

ROOT = Path(__file__).parents[1]
DEFAULT = ROOT / "outputs" / "rehearsal"
N_ROUNDS = 2
"""A night has 12 epochs, twice every stage."""
SITES = ("C3", "C4", "F3", "F4", "O1", "O2")
"""Of MASS, whose twenty sites make forty pairs."""
TEST_ONLY = "dodh dodo isruc-sg1 isruc-sg2 isruc-sg3 mass-c1 mass-c3 svuh".split()

ANOTHER = {
    "abc": ("900001", "900003"),
    "ccshs": ("1800005", "1800007"),
    "chat": ("300001", "300004"),
    "dcsm": ("tp0a0acb70", "tp1b1bcb81"),
    "dodh": ("119f9726", "22907a37"),
    "dodo": ("119f9726", "33a18b48"),
    "isruc-sg3": ("7", "9"),
    "mesa": ("0001", "0002"),
    "mros": ("aa0001", "aa0002"),
    "phys": ("03-0005", "03-0029"),
    "sedf-sc": ("01", "02"),
    "sedf-st": ("04", "05"),
    "shhs": ("200001", "200002"),
    "sof": ("00020", "00031"),
    "svuh": ("002", "003"),
}
"""Data sets with nights of one person: what the id of a second has instead."""

ONE_USLEEP = {"more_checkpoints": ["outputs/paper/weights/usleep-run1.pth"]}
ONE_RUN: dict[str, object] = {"more_checkpoints": []}
TWO_RESOLUTIONS = {"predictions_per_epoch": [1, 640]}
THREE_RESOLUTIONS = {"predictions_per_epoch": [1, 8, 640]}
"""The same, and the one at which the paper finds arousals best."""
FEWER = {
    "04_evaluate": {"n_bootstrap": 20, "cost_channels": [1, 2]},
    "04_evaluate.draws": {"draws": {"n_eeg": [0, 1, 2, 3, 4, 5, 6], "n_eog": [0, 1], "n_draws": 50}} | ONE_USLEEP,
    "04_evaluate.pairs": ONE_USLEEP,
    "04_evaluate.usleep": ONE_RUN,
    "04_evaluate.early_fusion": ONE_RUN,
    "04_evaluate.late_fusion": ONE_RUN,
    "05_predict.seed1": THREE_RESOLUTIONS,
    "05_predict.seed2": THREE_RESOLUTIONS,
    "05_predict.usleep": THREE_RESOLUTIONS,
    "06_arousals": {"n_bootstrap": 20, "start_s": 30.0},
    "07_traits": {
        "n_bootstrap": 20,
        "n_folds": 2,
        "n_repetitions": 1,
        "n_jobs": 1,
        "permutation": {"resolutions": [1], "n_shuffles": 0},
    },
    "07_traits.published_folds": TWO_RESOLUTIONS,
    "07_traits.seed1": TWO_RESOLUTIONS,
    "07_traits.seed2": TWO_RESOLUTIONS,
    "07_traits.dod_seed1": TWO_RESOLUTIONS,
    "07_traits.dod_seed2": TWO_RESOLUTIONS,
    "07_traits.dod_usleep": TWO_RESOLUTIONS,
}
"""Parameters that differ from params/paper: less is drawn and repeated (50 draws meet all twelve data sets); channels
and the networks other than AnySleep are studied with one training run instead of three; a forest is grown for each half
of the persons instead of each person, in the process that asks for it; all resolutions are those of AnySleep's first
training run alone; and a night has no second hour."""


def write_families(folder: Path) -> None:
    families = pd.DataFrame({"nsrrid": [800002, 800010, 800011], "familyi": [26, 26, 7], "age": [40, 12, 33]})
    families.to_csv(folder / "cfs-visit5-dataset-0.7.0.csv", index=False)


ISRUC = {
    "I": [[1, 64, "M", "OSA"], [8, "?", "F", None], [10, 31, "F", "x"]],
    "II": [
        ["1_Rec.1", 50, "M", "a"],
        ["1_Rec.2", None, None, "b"],
        ["2_Rec.1", 33, "F", "c"],
        ["8_Rec.1", 71, "M", "d"],
    ],
    "III": [[7, 42, "M", None], [9, 28, "F", None]],
}
TABLES = {"cfs": write_families} | {
    f"isruc-sg{len(subgroup)}": partial(isruc_table, subgroup=subgroup, rows=rows) for subgroup, rows in ISRUC.items()
}
"""Data set -> what writes its table of persons."""


def nights_of(dataset: str) -> list[Night]:
    """The nights of a data set, of two persons at least."""
    nights = [longer(night, N_ROUNDS) for night in NIGHTS[dataset]]
    if dataset in ANOTHER:
        this, other = ANOTHER[dataset]
        names = ("file", "recording", "subject")
        second = {name: getattr(nights[0], name).replace(this, other) for name in names}
        nights.append(replace(nights[0], **second))
    if dataset.startswith("sedf"):  # published with hours, of which half an hour is kept on either side
        nights = [replace(night, wake_s=60, seconds=60 + night.n_rounds * SECONDS) for night in nights]
    if dataset.startswith("mass"):
        nights = [replace(night, sources=dict(filter(is_wanted, night.sources.items()))) for night in nights]
    return nights


def is_wanted(channel: tuple[str, tuple[str, ...]]) -> bool:
    return channel[0].startswith((*SITES, "EOG"))


def write_data(folder: Path, datasets: Iterable[str] = NIGHTS) -> None:
    """Data sets, each in the shape it is published in with its table of persons, and the split."""
    split = {"train": {}, "valid": {}, "test": {}}
    for dataset in datasets:
        nights = nights_of(dataset)
        (folder / dataset).mkdir(parents=True)
        for night in nights:
            night.write(folder / dataset, night)
        persons = sorted({night.subject for night in nights})
        for night in nights:
            is_test = dataset in TEST_ONLY or night.subject == persons[0]
            split["test" if is_test else "train"].setdefault(dataset, []).append(night.recording)
        if dataset not in TEST_ONLY:
            split["valid"][dataset] = [
                f"{nights[0].recording}-withdrawn"
            ]  # not on disk, as a few of any published split
        if dataset in TABLES:
            TABLES[dataset](folder / dataset)
    (folder / "usleep_split.yaml").write_text(yaml.safe_dump(split))


def write_weights(folder: Path) -> None:
    """Checkpoints as released, in name and layout, with random weights."""
    folder.mkdir(parents=True)
    for seed, row in enumerate(read_published("checkpoints"), start=200):  # with these each finds some sleep
        name = row["file"].rpartition("-run")[0].replace("-", "_")
        network = seeded_weights(build_model(name), seed)
        torch.save({"state_dict": network.state_dict()}, folder / row["file"])


def lay_out(folder: Path, fewer: dict[str, dict] = FEWER, datasets: Iterable[str] = NIGHTS) -> Path:
    """A workbook with this one's notebooks and library, the paper's parameters, and all that they read."""
    (folder / "params").mkdir(parents=True)
    for name in ("Snakefile", "profiles", "lib", "notebooks", "params/datasets"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "params" / "paper", folder / "params" / "paper")
    for name, given in fewer.items():
        file = folder / "params" / "paper" / f"{name}.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | given, sort_keys=False))
    write_data(folder / "data", datasets)
    write_weights(folder / "outputs" / "paper" / "weights")
    return folder


def run_paper(folder: Path, *words: str) -> int:
    """README's command in that workbook; its exit status. Of three runs on two cores one often waits for its kernel."""
    command = [sys.executable, "-m", "snakemake", "--cores", "3", "--quiet", "rules", "--set-threads", "notebook=1"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "lib")}
    return subprocess.call([*command, *words, "--config", "profile=paper"], cwd=folder, env=env)


def figures_without_content(folder: Path) -> list[str]:
    """Figures of 08 that say which run they still need."""
    figures = sorted((folder / "outputs/paper/08_figures/figures").glob("*.svg"))
    return [file.stem for file in figures if "No finished run has the table" in file.read_text()]


def make_room(folder: Path) -> None:
    """Delete what an earlier rehearsal left, but nothing in a folder that was named: that has to be new or empty."""
    if folder.absolute() == DEFAULT:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SystemExit(f"{folder} is not empty; name a new folder, or none for {DEFAULT.relative_to(ROOT)}")


def main(folder: Path) -> int:
    """Lay out, run, and say how long it took."""
    make_room(folder)
    begin = time.monotonic()
    lay_out(folder)
    print(f"laid out in {time.monotonic() - begin:.0f} s", flush=True)
    status = run_paper(folder)
    print(f"ended in {time.monotonic() - begin:.0f} s")
    if status == 0:
        rows = pd.read_csv(folder / "outputs/paper/08_figures/ledger.csv").query("verdict == 'not measured'")
        for result, reasons in rows.groupby("result").reason:
            print(f"not measured, {len(reasons)} rows of {result}: {reasons.iloc[0]}")
        print(f"figures without content: {figures_without_content(folder) or 'none'}")
    return status or len(figures_without_content(folder))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else DEFAULT))

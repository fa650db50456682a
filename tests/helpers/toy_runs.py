"""A tiny cohort on which every notebook runs once: four persons, one hour a night, four steps of training."""

from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import yaml

from anysleep.workbook.notebooks import NOTEBOOKS, Inspect
from anysleep.workbook.runner import execute

ROOT = Path(__file__).parents[2]
SHORT_TRAINING = {
    "unet": {"depth": 6, "complexity": 1.0},
    "batch": {"n_windows": 4, "window_epochs": 8, "max_channels": 2},
    "n_steps": 4,
    "steps_per_training_epoch": 2,
}


def given_to(folder: Path) -> dict[str, dict[str, object]]:
    """What every notebook is given beside the demo's parameters, each with a run folder of its own below this one."""
    data = {"archive": str(folder / "01_prepare" / "archive.h5")}
    trained = {"checkpoint": str(folder / "03_train" / "checkpoint.pth")}
    predicted = {"predictions": str(folder / "05_predict")}
    changes = {
        "01_prepare": {
            "datasets": {"params/datasets/synthetic.yaml": str(folder / "cohort")},
            "synthetic_dir": str(folder / "cohort"),
            "n_synthetic_persons": 4,
            "synthetic_hours": 1.0,
        },
        "02_inspect": {**data, "start_s": 600.0},
        "03_train": {**data, **SHORT_TRAINING},
        "04_evaluate": {**data, **trained, "split": str(folder / "03_train" / "split.yaml"), "cost_channels": []},
        "05_predict": {**data, **trained, "predictions_per_epoch": [1, 8, 128]},
        "06_arousals": {**data, **predicted, "split": "", "start_s": 600.0, "n_bootstrap": 50},
        "07_traits": {**data, **predicted, "n_folds": 2, "n_repetitions": 2, "n_bootstrap": 50, "n_jobs": 1},
        "08_figures": {"runs": [str(folder / "0*")]},
        "stage_one_night": {**trained, "recording": str(folder / "cohort" / "syn002-night1.edf")},
    }
    return {notebook: changes[notebook] | {"run_dir": str(folder / notebook)} for notebook in NOTEBOOKS}


FIRST = ("01_prepare", "03_train")
BESIDE = ("05_predict", "06_arousals", "07_traits"), ("04_evaluate", "stage_one_night", "02_inspect")
"""Chains that need the first two only."""


def run_all(folder: Path) -> None:
    """Every notebook, two at a time where one does not need the other."""
    _run(folder, FIRST)
    # Not forked: two forks of a process that has run papermill would share its event loop.
    chains = [get_context("spawn").Process(target=_run, args=(folder, chain)) for chain in BESIDE]
    for chain in chains:
        chain.start()
    for chain in chains:
        chain.join()
    assert [chain.exitcode for chain in chains] == [0, 0], "a notebook of the tiny cohort failed, see above"
    _run(folder, ("08_figures",))


def _run(folder: Path, notebooks: tuple[str, ...]) -> None:
    for notebook in notebooks:
        execute(notebook, [ROOT / "params" / "demo" / f"{notebook}.yaml"], given_to(folder)[notebook])


def read(folder: Path, notebook: str, table: str) -> pd.DataFrame:
    """A table of a run, in which every row has to carry the run's id."""
    frame = pd.read_csv(folder / notebook / f"{table}.csv", dtype={"subject": str, "run_id": str})
    run_id = yaml.safe_load((folder / notebook / "params.yaml").read_text())["run_id"]
    assert (frame.run_id == run_id).all()
    return frame


def inspect(folder, **changes):
    given = {"archive": "a.h5", "dataset": "", "recording": "", "channels": [], "start_s": 0.0, "n_epochs": 1}
    return Inspect(run_dir=str(folder), **(given | changes))

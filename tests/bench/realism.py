"""What realism buys: synthetic nights that vary more or less, and a start from the bundled network or from nothing.

    python tests/bench/realism.py [--persons 48] [--steps 300 900] [--tuning-steps 60]

Cohorts of the same persons differ in `synthetic_variety` alone. 03 trains the bundled network's architecture on each,
as params/bundled says but from nothing, and 04 scores the same persons, kept for testing, at variety 0 and 1. Then, in
the laboratory of loop.py, 03 starts from the bundled network or from nothing on 1, 2, 4 or 8 labelled nights. All goes
through the commands of a user. Writes outputs/realism/*/*.csv and docs/realism.png; what is done already is not done
again. The amounts above are the usual ones, reckoned at two hours on two cores.
"""

import argparse
import resource
from pathlib import Path

import loop
import pandas as pd
import seaborn as sns
import yaml
from bundled import stage_nap
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from anysleep.datasets.splits import read_split
from anysleep.models import bundled, load_checkpoint

OUT = loop.ROOT / "outputs/realism"
VARIETIES, TESTED_ON = (0.0, 0.5, 1.0), (0.0, 1.0)
SEED = 31
"""Not that of the bundled network, which may not have learned from the persons that test it."""
FROM_NOTHING = {"fine_tune": {"initial_checkpoint": "", "frozen": []}, "learning_rate": 3e-3}
TRAINING = yaml.safe_load((loop.ROOT / "params/bundled/03_train.yaml").read_text()) | FROM_NOTHING
STARTS = {"bundled network": {}, "nothing": FROM_NOTHING}
"""What is changed of loop.py's training: from nothing it has the higher learning rate of the bundled network's."""
LABELLED = "whole night"
"""How the laboratory's nights are labelled, of the ways of loop.py."""


def main() -> None:
    """Measure both, write two tables, draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--persons", type=int, default=48)
    parser.add_argument("--steps", type=int, nargs="+", default=[300, 900])
    parser.add_argument("--tuning-steps", type=int, default=60)
    asked = parser.parse_args()
    varieties = compare_varieties(OUT / f"{asked.persons}_persons", asked.persons, asked.steps)
    starts = compare_starts(OUT / f"{asked.tuning_steps}_steps", asked.tuning_steps)
    draw(varieties, starts, loop.ROOT / "docs/realism.png")
    print(varieties.to_string(index=False), starts.to_string(index=False), sep="\n\n")


def compare_varieties(folder: Path, n_persons: int, steps: list[int]) -> pd.DataFrame:
    """A row a network and test: variety, n_steps, minutes of a processor, nap, tested_on, kappa, mf1, low, high."""
    networks: dict[Path, dict] = {}
    for variety in VARIETIES:
        cohort, prepared = folder / f"cohort_{variety:g}", folder / f"01_prepare.{variety:g}"
        loop.run("01_prepare", prepared, datasets={"params/datasets/synthetic_varied.yaml": str(cohort)}, seed=SEED,
                 synthetic_dir=str(cohort), n_synthetic_persons=n_persons, synthetic_hours=loop.HOURS,
                 synthetic_faults=False, synthetic_variety=variety, sampling_rate_hz=128)  # fmt: skip
        for n_steps in steps:
            trained = folder / f"03_train.{variety:g}.{n_steps}"
            minutes = train(trained, prepared / "archive.h5", n_steps)
            nap = stage_nap(load_checkpoint(trained / "checkpoint.pth"))
            networks[trained] = {"variety": variety, "n_steps": n_steps, "minutes": minutes, "nap": nap}
    check_same_split([trained / "split.yaml" for trained in networks])
    all_networks = [{"variety": "bundled", "nap": stage_nap(bundled())}, *networks.values()]
    rows = []
    for tested_on in TESTED_ON:
        tested = folder / f"04_evaluate.on_{tested_on:g}.{'_'.join(map(str, steps))}"
        loop.evaluate(tested, [trained / "checkpoint.pth" for trained in networks], split=f"{trained}/split.yaml",
                      archive=f"{folder}/01_prepare.{tested_on:g}/archive.h5")  # fmt: skip
        kappas = [{"tested_on": tested_on, "kappa": kappa["estimate"]} for kappa in loop.scores_of(tested, "kappa")]
        scores = loop.scores_of(tested, "mf1")
        rows += [network | kappa | mf1 for network, kappa, mf1 in zip(all_networks, kappas, scores, strict=True)]
    return written(rows, folder / "varieties.csv")


def train(folder: Path, archive: Path, n_steps: int) -> float:
    """03 in this folder; returns the processor minutes of its last go, kept beside it."""
    kept = folder.parent / f"{folder.name}.minutes"
    if not (folder / "result.json").is_file():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        amount = {"n_steps": n_steps, "steps_per_training_epoch": n_steps, "shares": [0.05, 0.25]}
        loop.run("03_train", folder, **TRAINING | amount | {"archive": str(archive), "run_dir": str(folder)})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        kept.write_text(str((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60))
    return float(kept.read_text())


def check_same_split(files: list[Path]) -> None:
    """ValueError unless all networks learned from the same persons: else one would be tested on its own."""
    splits = [read_split(file) for file in files]
    if any(split != splits[0] for split in splits):
        raise ValueError(f"{files[0].parent.parent}: the cohorts are not of the same recordings, or not split alike")


def compare_starts(folder: Path, n_steps: int) -> pd.DataFrame:
    """A row a network: start, n_nights, mf1, low, high; 0 nights is the bundled network as it is."""
    nights = loop.laboratory_nights()
    loop.prepare(LABELLED, nights, loop.stage_nights(nights, bundled()))
    networks, checkpoints = [("bundled network", 0)], []
    for start, changed in STARTS.items():
        for n in loop.N_LEARNED:
            amount = {"n_steps": n_steps, "steps_per_training_epoch": n_steps}
            place = folder / f"03_train.{start.split()[0]}.{n}"
            checkpoints.append(loop.learn(LABELLED, n, nights, place, **changed | amount))
            networks.append((start, n))
    split = loop.split_file(LABELLED, loop.N_LEARNED[-1], nights)
    loop.evaluate(folder / "04_evaluate", checkpoints, archive=loop.archive_of(LABELLED), group_by="recording",
                  split=str(split))  # fmt: skip
    scores = loop.scores_of(folder / "04_evaluate", "mf1")
    rows = [{"start": start, "n_nights": n} | mf1 for (start, n), mf1 in zip(networks, scores, strict=True)]
    return written(rows, folder / "starts.csv")


def written(rows: list[dict], file: Path) -> pd.DataFrame:
    """The rows as a table, as it is written to `file`."""
    table = pd.DataFrame(rows).rename(columns={"estimate": "mf1"}).round(3)
    table.to_csv(file, index=False)
    return table


def draw(varieties: pd.DataFrame, starts: pd.DataFrame, file: Path) -> None:
    """MF1 against steps, and against labelled nights."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 3.8), sharey=True, layout="constrained")
    draw_varieties(varieties, axes[0])
    draw_starts(starts, axes[1])
    figure.savefig(file, dpi=150)


def draw_varieties(varieties: pd.DataFrame, axis: Axes) -> None:
    """A line a variety learned from and tested on; the grey ones are the bundled network."""
    trained = varieties[varieties.variety != "bundled"].astype({"variety": str, "tested_on": str})
    called = {"variety": "learned from variety", "tested_on": "tested on variety"}
    sns.lineplot(trained.rename(columns=called), x="n_steps", y="mf1", hue="learned from variety", markers=True,
                 style="tested on variety", palette="colorblind", ax=axis)  # fmt: skip
    sns.move_legend(axis, "upper left", bbox_to_anchor=(1, 1))
    steps = sorted(trained.n_steps.astype(int).unique())
    as_it_is = varieties[varieties.variety == "bundled"].mf1
    for mf1, style in zip(as_it_is, ("-", "--"), strict=True):
        axis.axhline(mf1, color="grey", linestyle=style, linewidth=1)
    axis.text(steps[0], max(as_it_is) + 0.02, "the bundled network", color="grey")
    axis.set(xscale="log", ylim=(0, 1), xlabel="steps of training from nothing", ylabel="MF1 on other nights")
    axis.set_xticks(steps, map(str, steps))
    axis.minorticks_off()


def draw_starts(starts: pd.DataFrame, axis: Axes) -> None:
    """A line for each start."""
    sns.lineplot(starts, x="n_nights", y="mf1", hue="start", style="start", markers=True, dashes=False,
                 palette="colorblind", ax=axis)  # fmt: skip
    axis.set(ylim=(0, 1), xlabel="labelled nights of the laboratory", xticks=[0, *loop.N_LEARNED])
    axis.set(ylabel="MF1 on other nights")
    axis.legend(title="training starts from")


if __name__ == "__main__":
    main()

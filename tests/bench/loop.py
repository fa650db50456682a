"""What corrected nights are worth: a network comes to a laboratory it does not know, and somebody corrects its nights.

    python tests/bench/loop.py

Fourteen synthetic nights of 3 h from a laboratory unlike those the bundled network learned from. Of eight nights a
sixth of the epochs is corrected, the least certain first or as many at random, or every epoch; the others keep the
network's stages. 03 fine-tunes on 1, 2, 4 or 8 of them, and 04 scores five other nights. All goes through the files and
commands of a user. Writes outputs/loop/loop.csv and docs/loop.png; what is done already is not done again.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
import yaml
from matplotlib import pyplot as plt

from anysleep.exports import ScoredNight, export_night
from anysleep.exports.corrections import Review, jump_targets
from anysleep.inference import stage_recording
from anysleep.models import SleepNetwork, bundled
from anysleep.models.checkpoints import bundled_file
from anysleep.recordings.preprocessing import preprocess
from anysleep.stages import EPOCH_S
from anysleep.synthetic import Circumstances, SyntheticNight, draw_persons, simulate_night
from anysleep.synthetic.cohort import start_time, write_edf
from anysleep.synthetic.recorder import POLYGRAPHY

ROOT = Path(__file__).parents[2]
OUT = ROOT / "outputs/loop"
LABORATORY = Circumstances(
    slope=0.3, spindle_db=-4.0, alpha_db=-10.0, slow_wave_db=-2.0, eye_db=-3.0, muscle_db=4.0, noise_db=4.0,
    montage="vertex", lowpass_hz=30.0, sweat_uv=20.0, snoring_uv=3.0,
)  # fmt: skip
HOURS, SEED = 3.0, 11
N_LEARNED, N_VALID, N_TEST = (1, 2, 4, 8), 1, 5
WAYS = ("least certain", "random", "whole night")
CORRECTED_SHARE = 1 / 6
SECONDS_AN_EPOCH = 5
"""What a look at an epoch takes: an assumption, a night of 960 epochs in 80 minutes."""
TRAINING = {
    "architecture": "anysleep",
    "unet": {"depth": 11, "complexity": 0.8},
    "fine_tune": {"initial_checkpoint": str(bundled_file()), "frozen": []},
    "batch": {"n_windows": 8, "window_epochs": 16, "max_channels": 3, "redraw": "recording"},
    "n_steps": 60,
    "steps_per_training_epoch": 60,
    "learning_rate": 1e-3,
}
"""Weights are those after the last step: nothing is chosen by a night that somebody had to score for it."""


def main() -> None:
    """Make the nights, correct, learn, score, draw."""
    nights = laboratory_nights()
    staged = stage_nights(nights, bundled())
    for way in WAYS:
        prepare(way, nights, staged)
    checkpoints = {(way, n): learn(way, n, nights, OUT / way / f"03_train.{n}") for way in WAYS for n in N_LEARNED}
    evaluate(OUT / "04_evaluate", list(checkpoints.values()), archive=archive_of(WAYS[-1]), group_by="recording",
             split=str(split_file(WAYS[-1], N_LEARNED[-1], nights)))  # fmt: skip
    table = score_table(list(checkpoints))
    table.to_csv(OUT / "loop.csv", index=False)
    draw(table, ROOT / "docs/loop.png")
    print(table.to_string(index=False))


def laboratory_nights() -> list[SyntheticNight]:
    """Those to learn from, to validate and to test, in this order."""
    persons = draw_persons(N_LEARNED[-1] + N_VALID + N_TEST, SEED)
    return [simulate_night(person, 1, HOURS, SEED, circumstances=LABORATORY) for person in persons]


def stage_nights(nights: list[SyntheticNight], model: SleepNetwork) -> list[ScoredNight]:
    """What the network says of EEG and EOG, a stage in 30 s."""
    scored = []
    for night in nights:
        eeg_eog = night.signals_uv[: -len(POLYGRAPHY)]
        signals = preprocess(eeg_eog, [night.rate_hz] * len(eeg_eog), model.sampling_rate_hz)
        staging = stage_recording(model, signals)
        scored.append(ScoredNight(staging.hypnogram(1), hypnodensity=staging.hypnodensity(1), scorer=model.name))
    return scored


def prepare(way: str, nights: list[SyntheticNight], staged: list[ScoredNight]) -> None:
    """The archive of the corrected nights."""
    correct_nights(way, nights, staged)
    run("01_prepare", OUT / way / "01_prepare", datasets={"params/datasets/corrected.yaml": str(folder_of(way))},
        synthetic_dir="", sampling_rate_hz=128, key_file=str(OUT / way / "key.csv"))  # fmt: skip


def correct_nights(way: str, nights: list[SyntheticNight], staged: list[ScoredNight]) -> None:
    """Recordings with their corrected nights, as the browser and `anysleep export` leave them."""
    for place, (night, scored) in enumerate(zip(nights, staged, strict=True)):
        file = folder_of(way) / f"{night.recording}.edf"
        if file.is_file():
            continue
        review = Review(scored, OUT / way / f"corrections_{night.recording}.csv", "expert")
        learned = place < N_LEARNED[-1]
        for epoch in epochs_to_look_at(way if learned else "whole night", scored, place):
            review.set_stage([epoch], int(night.hypnogram[epoch - 1]), SECONDS_AN_EPOCH)
        export_night(folder_of(way), review.night, f"corrected_{night.recording}", ["csv"])
        write_edf(night, file, start_time(night.person, 1, SEED))


def epochs_to_look_at(way: str, scored: ScoredNight, seed: int) -> list[int]:
    """Epochs, from 1, that the expert gives a stage."""
    n_epochs = len(scored.stages)
    n_looked_at = round(n_epochs * CORRECTED_SHARE)
    if way == "whole night":
        return list(range(1, n_epochs + 1))
    if way == "random":
        return (np.random.default_rng(seed).permutation(n_epochs)[:n_looked_at] + 1).tolist()
    queue_s = jump_targets({scored.scorer: scored.stages}, scored.hypnodensity, [])["least_certain"]
    return [int(second // EPOCH_S) + 1 for second in queue_s[:n_looked_at]]


def learn(way: str, n: int, nights: list[SyntheticNight], folder: Path, **changed: object) -> Path:
    """The checkpoint fine-tuned on the first `n` corrected nights, with `TRAINING` or what is `changed` of it."""
    run("03_train", folder, archive=archive_of(way), split=str(split_file(way, n, nights)), group_by="recording",
        **TRAINING | changed)  # fmt: skip
    return folder / "checkpoint.pth"


def split_file(way: str, n: int, nights: list[SyntheticNight]) -> Path:
    """A split by name: `n` nights learn, one is told apart for validation, five test."""
    key = pd.read_csv(OUT / way / "key.csv")
    called = {Path(row.file).stem: row.recording for row in key.itertuples()}
    names = [called[night.recording] for night in nights]
    first_test = N_LEARNED[-1] + N_VALID
    parts = {"train": names[:n], "valid": names[N_LEARNED[-1] : first_test], "test": names[first_test:]}
    file = OUT / way / f"split_{n}.yaml"
    file.write_text(yaml.safe_dump({part: {"corrected": sorted(of_part)} for part, of_part in parts.items()}))
    return file


def evaluate(folder: Path, checkpoints: list[Path], **parameters: object) -> None:
    """04 of the bundled network and of these."""
    run("04_evaluate", folder, checkpoint=str(bundled_file()), more_checkpoints=[str(file) for file in checkpoints],
        allow_synthetic=True, cost_channels=[], **parameters)  # fmt: skip


def scores_of(folder: Path, score: str) -> list[dict]:
    """What `evaluate` found over all nights, in the order of its checkpoints: estimate, low, high."""
    table = pd.read_csv(folder / "intervals.csv").query("level == 'all' and score == @score")
    return table[["estimate", "low", "high"]].to_dict("records")


def score_table(learned: list[tuple[str, int]]) -> pd.DataFrame:
    """A row for every way and number of nights, 0 before any: way, n_nights, minutes, mf1, low, high."""
    before, *after = scores_of(OUT / "04_evaluate", "mf1")
    rows = [{"way": way, "n_nights": 0, "minutes": 0.0} | before for way in WAYS]
    for (way, n), score in zip(learned, after, strict=True):
        share = 1.0 if way == "whole night" else CORRECTED_SHARE
        minutes = n * HOURS * 3600 / EPOCH_S * share * SECONDS_AN_EPOCH / 60
        rows.append({"way": way, "n_nights": n, "minutes": minutes} | score)
    return pd.DataFrame(rows).rename(columns={"estimate": "mf1"}).round(3)


def draw(table: pd.DataFrame, file: Path) -> None:
    """MF1 against nights, and against minutes."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, column, label in zip(
        axes, ("n_nights", "minutes"), ("corrected nights", "minutes of review"), strict=True
    ):
        sns.lineplot(table, x=column, y="mf1", hue="way", style="way", markers=True, dashes=False, ax=axis,
                     palette="colorblind", legend=axis is axes[0])  # fmt: skip
        axis.set(xlabel=label, ylabel="MF1 on five other nights")
    axes[0].legend(title="corrected")
    figure.savefig(file, dpi=150)


def folder_of(way: str) -> Path:
    return OUT / way / "recordings"


def archive_of(way: str) -> str:
    return str(OUT / way / "01_prepare/archive.h5")


def run(notebook: str, folder: Path, **parameters: object) -> None:
    """A run through the command line, where it is not done yet."""
    if (folder / "result.json").is_file():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    settings = folder.parent / f"{folder.name}.yaml"
    settings.write_text(yaml.safe_dump({"run_dir": str(folder), **parameters}))
    subprocess.run([sys.executable, "-m", "anysleep", "run", notebook, str(settings)], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()

"""The notebooks as a graph. What is done and unchanged is not done again; what stopped half-way goes on.

    snakemake --cores 2 --config profile=demo

A profile is a folder of params/. Each rule is one notebook; its run folder is outputs/<profile>/<notebook>/, and the
executed notebook, with the error where there is one, is that folder's notebook.ipynb. A variant of 03 or 04, such as
03_train.usleep.seed1, adds the files 03_train.usleep.yaml and 03_train.seed1.yaml; where the profile has those of the
paper, its twelve trainings and their evaluations belong to the graph.
"""

import os
import shlex
import sys
from pathlib import Path

import yaml

PROFILE = config.get("profile", "demo")
OUT = f"outputs/{PROFILE}"
TRAINED = ("checkpoint.pth", "split.yaml", "result.json")
LIBRARY = sorted(str(path) for path in Path("lib/anysleep").rglob("*.py"))


def files(notebook, variant=""):
    """The parameter files of a run: `variant` is '' or '.usleep.seed1', each part a file of its own."""
    parts = ["", *(f".{part}" for part in variant.split(".")[1:])]
    return [f"params/{PROFILE}/{notebook}{part}.yaml" for part in parts]


def sources(notebook, variant=""):
    """What a run depends on besides the data: the notebook, its parameters, the library.

    Weeks of training are not done again because a line of code has changed; the demo's minutes are.
    """
    code = [f"notebooks/{notebook}.ipynb", *LIBRARY]
    return [*files(notebook, variant), *(code if PROFILE == "demo" or notebook != "03_train" else map(ancient, code))]


def has(notebook, variant):
    """Whether the profile holds all files of this variant."""
    return all(os.path.exists(file) for file in files(notebook, variant))


TRAININGS = [
    f"{architecture}{seed}"
    for architecture in ("", ".usleep", ".early_fusion", ".late_fusion")
    for seed in ("", ".seed1", ".seed2")
    if has("03_train", f"{architecture}{seed}")
]
EVALUATIONS = [
    variant
    for variant in ("", ".usleep", ".early_fusion", ".late_fusion", ".seeds", ".draws", ".pairs")
    if has("04_evaluate", variant)
]
OTHERS = [notebook for notebook in ("02_inspect", "05_predict", "stage_one_night") if has(notebook, "")]


def recipes():
    """The recipes that the profile's 01 names."""
    with open(f"params/{PROFILE}/01_prepare.yaml") as file:
        return list(yaml.safe_load(file)["datasets"])


def run(notebook, variant=""):
    """The command that validates the parameters and runs the notebook into its folder."""
    replace_shell = "" if os.name == "nt" else "exec "  # so that a signal reaches the run itself
    return f"{replace_shell}{shlex.quote(sys.executable)} -m anysleep.runs {notebook} {' '.join(files(notebook, variant))}"


def settings(notebook, variant):
    """The merged parameters of a run."""
    merged = {}
    for file in files(notebook, variant):
        with open(file) as content:
            merged |= yaml.safe_load(content)
    return merged


def earlier_results(variant):
    """What a training takes over from another one: its split, its weights."""
    given = settings("03_train", variant)
    split = given["split"]
    return [path for path in (split, given["fine_tune"]["initial_checkpoint"]) if path.startswith(OUT)]


def checkpoints(variant):
    """What an evaluation compares."""
    given = settings("04_evaluate", variant)
    return [path for path in (given["checkpoint"], *given["more_checkpoints"]) if path.startswith(OUT)]


wildcard_constraints:
    variant=r"(\.\w+)*",


rule all:
    input:
        f"{OUT}/01_prepare/archive.h5",
        f"{OUT}/01_prepare/result.json",
        [f"{OUT}/{notebook}/result.json" for notebook in OTHERS],
        [f"{OUT}/03_train{variant}/{file}" for variant in TRAININGS for file in TRAINED],
        [f"{OUT}/04_evaluate{variant}/{file}" for variant in EVALUATIONS for file in ("scores.csv", "result.json")],


rule prepare:
    input:
        sources("01_prepare"),
        recipes(),
    output:
        archive=f"{OUT}/01_prepare/archive.h5",
        result=f"{OUT}/01_prepare/result.json",
    log:
        f"{OUT}/01_prepare/notebook.ipynb",
    threads: 2
    shell:
        run("01_prepare")


rule inspect:
    input:
        rules.prepare.output,
        sources("02_inspect"),
    output:
        f"{OUT}/02_inspect/result.json",
    log:
        f"{OUT}/02_inspect/notebook.ipynb",
    shell:
        run("02_inspect")


rule train:
    input:
        rules.prepare.output,
        lambda wildcards: sources("03_train", wildcards.variant),
        lambda wildcards: earlier_results(wildcards.variant),
    output:
        [f"{OUT}/03_train{{variant}}/{file}" for file in TRAINED],
    log:
        f"{OUT}/03_train{{variant}}/notebook.ipynb",
    threads: 2
    resources:
        gpu=1,
    params:
        command=lambda wildcards: run("03_train", wildcards.variant),
    shell:
        "{params.command}"


rule evaluate:
    input:
        rules.prepare.output,
        lambda wildcards: sources("04_evaluate", wildcards.variant),
        lambda wildcards: checkpoints(wildcards.variant),
        f"{OUT}/03_train/split.yaml",
    output:
        scores=f"{OUT}/04_evaluate{{variant}}/scores.csv",
        result=f"{OUT}/04_evaluate{{variant}}/result.json",
    log:
        f"{OUT}/04_evaluate{{variant}}/notebook.ipynb",
    threads: 2
    params:
        command=lambda wildcards: run("04_evaluate", wildcards.variant),
    shell:
        "{params.command}"


rule predict:
    input:
        rules.prepare.output,
        [f"{OUT}/03_train/{file}" for file in TRAINED],
        sources("05_predict"),
    output:
        nights=f"{OUT}/05_predict/nights.csv",
        result=f"{OUT}/05_predict/result.json",
    log:
        f"{OUT}/05_predict/notebook.ipynb",
    threads: 2
    shell:
        run("05_predict")


rule stage_one_night:
    input:
        rules.prepare.output,
        [f"{OUT}/03_train/{file}" for file in TRAINED],
        sources("stage_one_night"),
    output:
        f"{OUT}/stage_one_night/result.json",
    log:
        f"{OUT}/stage_one_night/notebook.ipynb",
    threads: 2
    shell:
        run("stage_one_night")

"""The notebooks as a graph. What is done and unchanged is not done again; what stopped half-way goes on.

    snakemake --cores 2 --config profile=demo

A profile is a folder of params/. Each rule is one notebook; its run folder is outputs/<profile>/<notebook>/, and the
executed notebook, with the error where there is one, is that folder's notebook.ipynb.
"""

import os
import shlex
import sys
from pathlib import Path

import yaml

PROFILE = config.get("profile", "demo")
OUT = f"outputs/{PROFILE}"
LIBRARY = sorted(str(path) for path in Path("lib/anysleep").rglob("*.py"))


def sources(notebook):
    """What a run depends on besides the data: the notebook, its parameters, the library."""
    return [f"notebooks/{notebook}.ipynb", f"params/{PROFILE}/{notebook}.yaml", *LIBRARY]


def recipes():
    """The recipes that the profile's 01 names."""
    with open(f"params/{PROFILE}/01_prepare.yaml") as file:
        return list(yaml.safe_load(file)["datasets"])


def run(notebook):
    """The command that validates the parameters and runs the notebook into its folder."""
    replace_shell = "" if os.name == "nt" else "exec "  # so that a signal reaches the run itself
    return f"{replace_shell}{shlex.quote(sys.executable)} -m anysleep.runs {notebook} params/{PROFILE}/{notebook}.yaml run_dir={OUT}/{notebook}"


rule all:
    input:
        f"{OUT}/01_prepare/archive.h5",
        f"{OUT}/01_prepare/result.json",
        f"{OUT}/02_inspect/result.json",
        f"{OUT}/03_train/checkpoint.pth",
        f"{OUT}/03_train/split.yaml",
        f"{OUT}/03_train/result.json",
        f"{OUT}/04_evaluate/scores.csv",
        f"{OUT}/04_evaluate/result.json",
        f"{OUT}/05_predict/nights.csv",
        f"{OUT}/05_predict/result.json",
        f"{OUT}/stage_one_night/result.json",


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
        sources("03_train"),
    output:
        checkpoint=f"{OUT}/03_train/checkpoint.pth",
        split=f"{OUT}/03_train/split.yaml",
        result=f"{OUT}/03_train/result.json",
    log:
        f"{OUT}/03_train/notebook.ipynb",
    threads: 2
    shell:
        run("03_train")


rule evaluate:
    input:
        rules.prepare.output,
        rules.train.output,
        sources("04_evaluate"),
    output:
        scores=f"{OUT}/04_evaluate/scores.csv",
        result=f"{OUT}/04_evaluate/result.json",
    log:
        f"{OUT}/04_evaluate/notebook.ipynb",
    threads: 2
    shell:
        run("04_evaluate")


rule predict:
    input:
        rules.prepare.output,
        rules.train.output,
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
        rules.train.output,
        sources("stage_one_night"),
    output:
        f"{OUT}/stage_one_night/result.json",
    log:
        f"{OUT}/stage_one_night/notebook.ipynb",
    threads: 2
    shell:
        run("stage_one_night")

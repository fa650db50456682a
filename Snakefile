"""The notebooks as a graph. What is done and unchanged is not done again; what stopped half-way goes on.

    snakemake --cores 2 --config profile=demo

A profile is a folder of params/. A run is one notebook with one set of parameters; its folder is
outputs/<profile>/<notebook><variant>/, and the executed notebook, with the error where there is one, is that folder's
notebook.ipynb. A variant such as 03_train.usleep.seed1 adds the files 03_train.usleep.yaml and 03_train.seed1.yaml. The
graph has every variant of `KNOWN` whose files the profile has; what a run reads of other runs is in its parameters.

The profile paper evaluates the released weights on the published split, data/usleep_split.yaml or `split=<file>`; with
`--config profile=paper weights=trained` it trains its own first.
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

NETWORKS = {"anysleep": "", "usleep": ".usleep", "anysleep-early-fusion": ".early_fusion", "anysleep-late-fusion": ".late_fusion"}
SEEDS = ("", ".seed1", ".seed2")
FOLDS = ("", ".published_folds")
KNOWN = {
    "01_prepare": [""],
    "02_inspect": [""],
    "03_train": [*(f"{network}{seed}" for network in NETWORKS.values() for seed in SEEDS), ".untrained"],
    "04_evaluate": [*NETWORKS.values(), ".draws", ".pairs"],
    "05_predict": [f"{nights}{seed}" for nights in ("", ".dod", ".attention") for seed in SEEDS]
    + [".dod.usleep", ".closeup", ".untrained"],
    "06_arousals": [*SEEDS, ".closeup", ".untrained"],
    "07_traits": [f"{trait}{seed}{folds}" for trait in ("", ".sex") for seed in SEEDS for folds in FOLDS]
    + [f".osa{seed}{folds}" for seed in ("", ".dod_seed1", ".dod_seed2", ".dod_usleep") for folds in FOLDS],
    "08_figures": [""],
    "stage_one_night": [""],
}
"""Notebook -> variants that belong to the graph where the profile has their files."""
WEIGHTS = config.get("weights", "released")
if WEIGHTS not in ("released", "trained"):
    raise ValueError(f"weights is {WEIGHTS!r}; choose released or trained")
RUNS = KNOWN.keys() - ({"03_train"} if PROFILE == "paper" and WEIGHTS == "released" else set())
"""Notebooks to run: with the released weights nothing is trained."""
ALONE = ("02_inspect", "06_arousals", "08_figures")
"""Notebooks that leave the other core to others."""


def files(notebook, variant=""):
    """The parameter files of a run: `variant` is '' or '.usleep.seed1', each part a file of its own."""
    parts = ["", *(f".{part}" for part in variant.split(".")[1:])]
    return [f"params/{PROFILE}/{notebook}{part}.yaml" for part in parts]


def settings(notebook, variant=""):
    """The merged parameters of a run."""
    merged = {}
    for file in files(notebook, variant):
        with open(file) as content:
            merged |= yaml.safe_load(content)
    return merged


def variants(notebook):
    """The variants of which the profile has all files."""
    return [variant for variant in KNOWN[notebook] if all(map(os.path.exists, files(notebook, variant)))]


def results(notebooks):
    """The last file of every run of these notebooks."""
    return [f"{OUT}/{notebook}{variant}/result.json" for notebook in notebooks for variant in variants(notebook)]


def sources(notebook, variant=""):
    """What a run depends on besides data: the notebook, its parameters, the library.

    Weeks are not done again because a line of code has changed; what takes minutes is.
    """
    code = [f"notebooks/{notebook}.ipynb", *LIBRARY]
    is_quick = PROFILE in ("demo", "effects") or notebook in ALONE
    return [*files(notebook, variant), *(code if is_quick else map(ancient, code))]


def earlier(notebook, variant=""):
    """What a run reads of other runs: every file of this profile that its parameters name."""
    if notebook == "08_figures":
        return results(RUNS - {"08_figures", "02_inspect", "stage_one_night"})
    given = settings(notebook, variant)
    nested = [value for group in given.values() if isinstance(group, dict) for value in group.values()]
    listed = [value for values in given.values() if isinstance(values, list) for value in values]
    named = [str(value) for value in (*given.values(), *nested, *listed)]
    folders = [f"{given['predictions']}/result.json"] if given.get("predictions") else []
    return [name for name in named if name.startswith(OUT) and name.endswith((".h5", ".pth", ".yaml"))] + folders


def run(notebook, variant=""):
    """The command that validates the parameters and runs the notebook into its folder."""
    replace_shell = "" if os.name == "nt" else "exec "  # so that a signal reaches the run itself
    return f"{replace_shell}{shlex.quote(sys.executable)} -m anysleep.runs {notebook} {' '.join(files(notebook, variant))}"


def weights(wildcards):
    """Where the weights of a released name, such as usleep-run2, come from if not from the net: our own training."""
    if WEIGHTS == "released":
        return []
    network, number = wildcards.name.rsplit("-run", 1)
    return f"{OUT}/03_train{NETWORKS[network]}{SEEDS[int(number) - 1]}/checkpoint.pth"


def runs_of(wildcards):
    """Sources and earlier results of the run that these wildcards name."""
    return [*sources(wildcards.notebook, wildcards.variant), *earlier(wildcards.notebook, wildcards.variant)]


wildcard_constraints:
    notebook=r"0\d_[a-z]+|stage_one_night",
    variant=r"(\.\w+)*",


rule all:
    input:
        f"{OUT}/01_prepare/archive.h5",
        results(RUNS),


rule prepare:
    input:
        sources("01_prepare"),
        lambda wildcards: list(settings("01_prepare")["datasets"]),  # the recipes
    output:
        archive=f"{OUT}/01_prepare/archive.h5",
        result=f"{OUT}/01_prepare/result.json",
    log:
        f"{OUT}/01_prepare/notebook.ipynb",
    threads: 2
    shell:
        run("01_prepare")


rule train:
    input:
        lambda wildcards: sources("03_train", wildcards.variant),
        lambda wildcards: earlier("03_train", wildcards.variant),
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


rule weights:
    input:
        weights,
    output:
        f"{OUT}/weights/{{name}}.pth",
    run:
        if input:
            shell("cp {input} {output}")
        else:
            from anysleep.models import fetch_checkpoint

            fetch_checkpoint(wildcards.name, Path(output[0]).parent)


rule split:
    input:
        config.get("split", "data/usleep_split.yaml") if WEIGHTS == "released" else f"{OUT}/03_train/split.yaml",
    output:
        f"{OUT}/weights/split.yaml",
    shell:
        "cp {input} {output}"


rule notebook:
    input:
        runs_of,
    output:
        f"{OUT}/{{notebook}}{{variant}}/result.json",
    log:
        f"{OUT}/{{notebook}}{{variant}}/notebook.ipynb",
    threads: lambda wildcards: 1 if wildcards.notebook in ALONE else 2
    params:
        command=lambda wildcards: run(wildcards.notebook, wildcards.variant),
    shell:
        "{params.command}"


ruleorder: prepare > train > notebook

"""The notebooks as a graph. What is done and unchanged is not done again; what stopped half-way goes on.

    snakemake --cores 2 --config profile=demo

A profile is a folder of params/. A run is one notebook with one set of parameters; its folder is
outputs/<profile>/<notebook><variant>/, and the executed notebook, with the error where there is one, is that folder's
notebook.ipynb. A variant such as 03_train.usleep.seed1 adds the files 03_train.usleep.yaml and 03_train.seed1.yaml. The
graph has every variant of `KNOWN` whose files the profile has; what a run reads of other runs is in its parameters.

The profile paper evaluates the released weights on the published split, data/usleep_split.yaml or `split=<file>`; with
`--config profile=paper weights=trained` it trains its own first.

`shards=16` divides every run of 01, 04, 05 and 07 into sixteen jobs, for many machines with one disk: docs/clusters.md.
"""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from filelock import FileLock, Timeout
from snakemake.cli import parse_config
from snakemake.dag import DAG

from anysleep.system.files import is_written, project_path, short_path
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.arguments import checked_parameters
from anysleep.settings import ParameterError


def is_of_notebook(file):
    """Whether a parameter file is of a notebook; data sets and searches have files in params/, too."""
    return file.stem.split(".")[0] in NOTEBOOKS


async def take_any_date(dag, job, outputs):
    """Instead of a check of snakemake, which deletes what a run has made where an input is dated later: a clock was wrong."""


DAG.check_output_mtime = take_any_date


def profile_named(given):
    """The folder of params/ that `--config profile=` means; snakemake has made a number of 2024_01 by now."""
    there = sorted(path.name for path in Path("params").iterdir() if any(map(is_of_notebook, path.glob("*.yaml"))))
    means = [name for name in there if repr(parse_config([f"profile={name}"])["profile"]) == repr(given)]
    if len(means) != 1:
        hint = f"which of {', '.join(means)} is meant is not clear; rename one" if means else f"there are {', '.join(there)}"
        sys.exit(f"profile is {given!r}, but a profile is a folder in params/; {hint}")
    if set("{}\n") & set(means[0]):
        sys.exit(f"profile is {given!r}; braces in the name of the folder mean something else here, rename it")
    return means[0]


os.environ["ANYSLEEP_PARENT"] = str(os.getpid())  # a run ends with this process, also if this dies before it looks
PROFILE = profile_named(config.get("profile", "demo"))
OUT = f"outputs/{PROFILE}"
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
    "stage_one_night": ["", *([".real_nap"] if Path(OUT, "real_nap.edf").is_file() else [])],
}
"""Notebook -> variants that belong to the graph where the profile has their files."""
HOUR = 60  # minutes, in which snakemake counts `runtime`
WEIGHTS = config.get("weights", "released")
if WEIGHTS not in ("released", "trained"):
    sys.exit(f"weights is {WEIGHTS!r}; choose released or trained")
BY_HAND = {
    "paper": {"03_train"} if WEIGHTS == "released" else set(),
    "mine": {"04_evaluate", "06_arousals", "07_traits", "stage_one_night"},
}
RUNS = KNOWN.keys() - BY_HAND.get(PROFILE, set())
"""Notebooks to run: with the released weights nothing is trained, and own nights need not have labels."""
MAY_LACK = PROFILE == "paper"
"""Whether a data set that is not on disk, or ages that nobody knows, are left out, which 08 says, instead of stopping
the rest."""
LOCK = FileLock(f"{OUT}/.snakemake.lock")
"""Keeps a second snakemake out of this profile. Unlike snakemake's own it ends with the process, however that ends."""
ALONE = ("02_inspect", "06_arousals", "08_figures")
"""Notebooks that leave the other core to others."""
SHARDS = config.get("shards", 1)
if type(SHARDS) is not int or not 1 <= SHARDS <= 1000:
    sys.exit(f"shards is {SHARDS!r}; choose a whole number from 1 to 1000")
SHARED = ("01_prepare", "04_evaluate", "05_predict", "07_traits")
"""Notebooks whose work shards can do."""


def files(notebook, variant=""):
    """The parameter files of a run: `variant` is '' or '.usleep.seed1', each part a file of its own."""
    parts = ["", *(f".{part}" for part in variant.split(".")[1:])]
    return [f"params/{PROFILE}/{notebook}{part}.yaml" for part in parts]


def variants(notebook):
    """The variants of which the profile has all files."""
    return [variant for variant in KNOWN[notebook] if all(map(os.path.exists, files(notebook, variant)))]


def settings(notebook, variant):
    """The parameters of a run, checked before anything starts."""
    try:
        params, _ = checked_parameters(notebook, [Path(file) for file in files(notebook, variant)], {})
    except (ParameterError, OSError) as error:
        sys.exit(f"params/{PROFILE}, {notebook}{variant}: {error}")
    if params.run_dir != project_path(f"{OUT}/{notebook}{variant}"):
        sys.exit(f"{notebook}{variant}: run_dir is {short_path(params.run_dir)}, not {OUT}/{notebook}{variant}")
    return params.plain()


SETTINGS = {(notebook, variant): settings(notebook, variant) for notebook in RUNS for variant in variants(notebook)}
"""Every run of the graph -> its parameters."""
ABSENT = set()
if MAY_LACK and ("01_prepare", "") in SETTINGS:
    there = SETTINGS["01_prepare", ""]["datasets"]
    ABSENT = {Path(recipe).stem for recipe, folder in there.items() if not any(Path(folder).glob("[!.]*"))}
if ABSENT:
    print(f"not on disk, and left out: {', '.join(sorted(ABSENT))}", file=sys.stderr)


def present(notebook, variant):
    """Parameters that leave out data sets that are not on disk; what is about these alone says so itself."""
    given = SETTINGS[notebook, variant].get("datasets", [])
    if notebook == "01_prepare":
        left = {recipe: folder for recipe, folder in given.items() if Path(recipe).stem not in ABSENT}
    else:
        left = [dataset for dataset in given if dataset not in ABSENT]
    is_changed = notebook in ("01_prepare", "05_predict") and left and len(left) < len(given)
    return [f"datasets={json.dumps(left)}"] if is_changed else []


KEPT = {"01_prepare": ["archive.h5"], "03_train": ["checkpoint.pth", "split.yaml"]}
"""Notebook -> what others read of it. Snakemake deletes an output before it runs the rule again, and where that fails; so
it knows of every run the small result.json only, and a run replaces its other files when the new ones are whole."""


def is_whole(notebook, variant):
    """Whether nothing of a run that others read was deleted by hand, or left empty by a power failure."""
    names = [*KEPT.get(notebook, []), "result.json"]
    return all(is_written(Path(OUT, f"{notebook}{variant}", name)) for name in names)


def lacked_inputs(notebook, variant):
    """Whether a run ended at once for want of something to measure, which may have turned up; 06 without marks did not."""
    result = json.loads(Path(OUT, f"{notebook}{variant}", "result.json").read_text())
    return "not_measured" in result.get("scores", {}) and not result["outputs"]


def do_again_if_lost(notebook, variant):
    """As by --forcerun, where something of a finished run is gone or was lacking; changes nothing on disk."""
    if workflow.is_main_process and (not is_whole(notebook, variant) or lacked_inputs(notebook, variant)):
        workflow.dag.forcefiles.add(f"{OUT}/{notebook}{variant}/result.json")
    return []


def results(notebooks):
    """The last file of every run of these notebooks."""
    return [f"{OUT}/{notebook}{variant}/result.json" for notebook, variant in SETTINGS if notebook in notebooks]


def sources(notebook, variant=""):
    """What a run depends on besides data: the notebook, its parameters, the library.

    Weeks are not done again because a line of code has changed; what takes minutes is.
    """
    code = [f"notebooks/{notebook}.ipynb", *LIBRARY]
    is_quick = PROFILE in ("demo", "effects") or notebook in ALONE
    return [*files(notebook, variant), *(code if is_quick else map(ancient, code))]


def earlier(notebook, variant=""):
    """What a run reads of this profile: the results of other runs, weights, and recipes."""
    if notebook == "01_prepare":
        return list(SETTINGS[notebook, variant]["datasets"])
    if notebook == "08_figures":
        return results(RUNS - {"08_figures", "02_inspect", "stage_one_night"})
    given = SETTINGS[notebook, variant]
    nested = [value for group in given.values() if isinstance(group, dict) for value in group.values()]
    listed = [value for values in given.values() if isinstance(values, list) for value in values]
    named = [Path(value) for value in (*given.values(), *nested, *listed) if str(value).startswith(f"{OUT}/")]
    made = {Path(OUT, f"{made_by}{of}"): f"{OUT}/{made_by}{of}/result.json" for made_by, of in SETTINGS}
    results_of = [made[folder] for path in named for folder in (path, path.parent) if folder in made]
    others = [str(path) for path in named if path.parent not in made and path.suffix in (".h5", ".pth", ".yaml")]
    return [result for result in results_of if result != f"{OUT}/{notebook}{variant}/result.json"] + others


def shards(notebook, variant=""):
    """The results of a run's shards. Whoever writes a synthetic cohort prepares it, too."""
    is_shared = SHARDS > 1 and notebook in SHARED and not SETTINGS[notebook, variant].get("synthetic_dir")
    folder = f"{OUT}/{notebook}{variant}/shards"
    return [f"{folder}/{i}-of-{SHARDS}/result.json" for i in range(1, SHARDS + 1)] if is_shared else []


def run(notebook, variant="", *changes):
    """The command that validates the parameters and runs the notebook into its folder."""
    replace_shell = "" if os.name == "nt" else "exec "  # so that a signal reaches the run itself
    words = [sys.executable, "-m", "anysleep", "run", notebook, *files(notebook, variant), *changes, "--end-with-parent"]
    words += ["--may-lack-inputs", *present(notebook, variant)] if MAY_LACK else []
    return replace_shell + shlex.join(words)


def weights(wildcards):
    """Where the weights of a released name, such as usleep-run2, come from if not from the net: our own training."""
    if WEIGHTS == "released":
        return []
    network, number = wildcards.name.rsplit("-run", 1)
    return f"{OUT}/03_train{NETWORKS[network]}{SEEDS[int(number) - 1]}/result.json"


def needed(wildcards):
    """Sources and earlier results of the run that these wildcards name."""
    return [*sources(wildcards.notebook, wildcards.variant), *earlier(wildcards.notebook, wildcards.variant)]


def runs_of(wildcards):
    """The same and the run's shards, for the run itself."""
    do_again_if_lost(wildcards.notebook, wildcards.variant)
    return [*needed(wildcards), *shards(wildcards.notebook, wildcards.variant)]


def memory(mb):
    """Memory that a job asks an executor for: more with every attempt."""
    return lambda wildcards, attempt: mb * attempt


def gpus(wildcards):
    """GPUs that a job asks an executor for."""
    return int(wildcards.notebook in ("04_evaluate", "05_predict"))


wildcard_constraints:
    notebook=r"0\d_[a-z]+|stage_one_night",
    variant=r"(\.\w+)*",


onstart:
    Path(OUT).mkdir(parents=True, exist_ok=True)
    try:
        LOCK.acquire(timeout=0)
    except Timeout:
        sys.exit(f"another snakemake is at work in {OUT}; wait for it, or stop it")


rule all:
    input:
        results(RUNS),


rule prepare:
    input:
        sources("01_prepare"),
        lambda wildcards: do_again_if_lost("01_prepare", ""),
        lambda wildcards: earlier("01_prepare"),
        lambda wildcards: shards("01_prepare"),
    output:
        f"{OUT}/01_prepare/result.json",
    log:
        f"{OUT}/01_prepare/notebook.ipynb",
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime=24 * HOUR,
    params:
        command=run("01_prepare"),
    shell:
        "{params.command}"


rule train:
    input:
        lambda wildcards: sources("03_train", wildcards.variant),
        lambda wildcards: do_again_if_lost("03_train", wildcards.variant),
        lambda wildcards: earlier("03_train", wildcards.variant),
    output:
        f"{OUT}/03_train{{variant}}/result.json",
    log:
        f"{OUT}/03_train{{variant}}/notebook.ipynb",
    threads: 2
    resources:
        mem_mb=memory(32000),
        runtime=24 * HOUR,
        gpu=1,
    params:
        command=lambda wildcards: run("03_train", wildcards.variant),
    shell:
        "{params.command}"


rule shard:
    input:
        needed,
    output:  # the whole run has read it, and nobody else asks for it
        temp(f"{OUT}/{{notebook}}{{variant}}/shards/{{part}}-of-{{whole}}/result.json"),
    log:
        f"{OUT}/{{notebook}}{{variant}}/shards/{{part}}-of-{{whole}}/notebook.ipynb",
    threads: 2
    resources:
        mem_mb=memory(8000),
        runtime=4 * HOUR,
        gpu=gpus,
    params:
        command=lambda wildcards: run(wildcards.notebook, wildcards.variant, f"shard={wildcards.part}/{wildcards.whole}"),
    shell:
        "{params.command}"


rule weights:
    localrule: True
    input:
        weights,
    output:
        f"{OUT}/weights/{{name}}.pth",
    run:
        if input:
            shutil.copy(Path(input[0]).with_name("checkpoint.pth"), output[0])
        else:
            from anysleep.models import fetch_checkpoint

            fetch_checkpoint(wildcards.name, Path(output[0]).parent)


rule split:
    localrule: True
    input:
        str(config.get("split", "data/usleep_split.yaml")) if WEIGHTS == "released" else f"{OUT}/03_train/result.json",
    output:
        f"{OUT}/weights/split.yaml",
    run:
        file = Path(input[0])
        shutil.copy(file.with_name("split.yaml") if file.name == "result.json" else file, output[0])


rule notebook:
    input:
        runs_of,
    output:
        f"{OUT}/{{notebook}}{{variant}}/result.json",
    log:
        f"{OUT}/{{notebook}}{{variant}}/notebook.ipynb",
    threads: lambda wildcards: 1 if wildcards.notebook in ALONE else 2
    resources:
        mem_mb=memory(8000),
        runtime=24 * HOUR,
        gpu=gpus,
    params:
        command=lambda wildcards: run(wildcards.notebook, wildcards.variant),
    shell:
        "{params.command}"


rule figures:
    """Every figure of the finished runs, for `--report`."""
    localrule: True
    input:
        results(RUNS),
    output:
        report(directory(f"{OUT}/figures"), patterns=["{run}/{figure}.png"], category="{run}"),
    run:
        for file in [file for result in input for file in Path(result).parent.glob("figures/*.png")]:
            copy = Path(output[0], file.parts[-3], file.name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)


ruleorder: prepare > train > notebook

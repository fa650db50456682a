"""The graph of every profile is whole, and agrees with the parameters on where runs lie."""

import json
import re
import subprocess
import sys

import pytest
from helpers.snakemake_runs import COHORT, add_profile, said, snakemake

from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import read_recipe
from anysleep.settings import merge_parameters
from anysleep.synthetic import write_cohort
from anysleep.system.files import project_path
from anysleep.workbook.notebooks import NOTEBOOKS

NAP = {"run_dir": "outputs/demo/stage_one_night.real_nap", "recording": "outputs/demo/real_nap.edf", "channels": []}


def test_snakemake_and_the_parameters_agree_on_paths(root):
    """The Snakefile says where runs lie; the YAMLs of the demo read from there."""
    expected = {
        "archive": "outputs/demo/01_prepare/archive.h5",
        "checkpoint": "outputs/demo/03_train/checkpoint.pth",
        "split": "outputs/demo/03_train/split.yaml",
        "predictions": "outputs/demo/05_predict",
    }
    for notebook in NOTEBOOKS:
        given = merge_parameters([root / "params" / "demo" / f"{notebook}.yaml"], {})
        assert all(given.get(name, path) in (path, "") for name, path in expected.items()), notebook


@pytest.mark.parametrize(
    ("profile", "n_jobs"),
    [
        (["profile=demo"], {"prepare": 1, "train": 1, "notebook": 11}),
        (["profile=effects"], {"prepare": 1, "train": 2, "notebook": 7}),
        (["profile=mine"], {"prepare": 1, "weights": 1, "notebook": 2}),
        (["profile=mine", "shards=16"], {"prepare": 1, "weights": 1, "notebook": 2, "shard": 32}),
        (["profile=paper", "split=README.md"], {"prepare": 1, "weights": 12, "split": 1, "notebook": 42}),
        (["profile=paper", "weights=trained"], {"prepare": 1, "train": 12, "weights": 12, "split": 1, "notebook": 42}),
    ],
)
def test_the_graph_of_a_profile_is_whole(root, profile, n_jobs):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--cores", "2", "--config"]
    done = subprocess.run([*command, *profile], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if profile == ["profile=demo"] and (root / "outputs/demo/real_nap.edf").is_file():
        n_jobs = n_jobs | {"notebook": n_jobs["notebook"] + 1}
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout.rpartition("Job stats:")[2], re.MULTILINE))
    assert {rule: int(n) for rule, n in counts.items()} == n_jobs | {"all": 1, "total": sum(n_jobs.values()) + 1}


@pytest.mark.parametrize("profile", ["my lab", "2024_01", "007", "1e3", "yes", "it's", "x$(touch PWNED)"])
def test_a_profile_is_called_as_its_folder_is(project, profile):
    add_profile(project, profile, **{"01_prepare": COHORT, "02_inspect": {"archive": f"outputs/{profile}/a.h5"}})
    (project / "outputs" / profile).mkdir(parents=True)
    (project / "outputs" / profile / "a.h5").touch()
    status, text = said(snakemake(project, "--dry-run", "--printshellcmds", "--config", f"profile={profile}"))
    assert status == 0, text
    assert f"outputs/{profile}/01_prepare/result.json" in text
    assert not (project / "PWNED").exists()


@pytest.mark.parametrize("is_there", [True, False])
def test_the_real_nap_is_staged_where_it_could_be_fetched(project, is_there):
    add_profile(project, "demo", stage_one_night={"checkpoint": "w.pth"}, **{"stage_one_night.real_nap": NAP})
    if is_there:
        (project / NAP["recording"]).parent.mkdir(parents=True)
        (project / NAP["recording"]).touch()
    status, text = said(snakemake(project, "--dry-run", "--config", "profile=demo"))
    assert status == 0, text
    assert ("outputs/demo/stage_one_night.real_nap/result.json" in text) == is_there


@pytest.mark.parametrize("profile", ["nowhere", "../params/good", "..", "datasets", "7", "$(touch PWNED)"])
def test_what_is_no_profile_is_refused_in_a_sentence(project, profile):
    add_profile(project, "good", **{"01_prepare": COHORT})
    status, text = said(snakemake(project, "--config", f"profile={profile}"))
    assert status == 1 and "a profile is a folder in params/; there are good" in text
    assert "Traceback" not in text and not (project / "PWNED").exists()


def test_a_profile_needs_no_01_prepare(project):
    add_profile(project, "later", **{"02_inspect": {"archive": "data/theirs.h5"}})
    status, text = said(snakemake(project, "--dry-run", "--config", "profile=later"))
    assert status == 0 and "outputs/later/02_inspect/result.json" in text


@pytest.mark.parametrize(
    ("result", "is_done_again"),
    [
        ({}, False),
        ({"scores": {"not_measured": "no recording of dodo"}, "outputs": []}, True),
        ({"scores": {"not_measured": "nobody scored arousals"}, "outputs": ["events.csv"]}, False),
    ],
)
def test_a_run_that_had_nothing_to_measure_is_done_again(project, result, is_done_again):
    archive = "outputs/paper/01_prepare/archive.h5"
    add_profile(project, "paper", **{"01_prepare": COHORT, "02_inspect": {"archive": archive}})
    for file, text in {archive: "nights", "outputs/paper/01_prepare/result.json": "{}"}.items():
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(text)
    (project / "outputs/paper/02_inspect").mkdir()
    (project / "outputs/paper/02_inspect/result.json").write_text(json.dumps(result))
    status, text = said(snakemake(project, "--dry-run", "--config", "profile=paper"))
    assert status == 0 and bool(re.search(r"^notebook +1$", text, re.MULTILINE)) == is_done_again, text
    assert ("Nothing to be done" in text) != is_done_again


def test_a_data_set_whose_folder_is_empty_is_left_out(project):
    for file in ("there/night.edf", "empty/.DS_Store"):
        (project / "data" / file).parent.mkdir(parents=True)
        (project / "data" / file).touch()
    datasets = {f"params/datasets/{name}.yaml": f"data/{name}" for name in ("dodh", "dodo", "edf_folder")}
    datasets |= {"params/datasets/edf_folder.yaml": "data/there", "params/datasets/dodo.yaml": "data/empty"}
    add_profile(project, "paper", **{"01_prepare": {"datasets": datasets, "synthetic_dir": ""}})
    status, text = said(snakemake(project, "--dry-run", "--printshellcmds", "--config", "profile=paper"))
    assert status == 0 and "not on disk, and left out: dodh, dodo" in text
    assert "data/there" in text and "data/empty" not in text, text


NIGHTS = {"datasets": {"params/datasets/synthetic.yaml": "nights"}, "synthetic_dir": ""}


def test_shards_come_after_what_they_read_and_before_the_run(project):
    made_of = {"archive": "outputs/my lab/01_prepare/archive.h5", "checkpoint": "w.pth"}
    add_profile(project, "my lab", **{"01_prepare": NIGHTS, "05_predict": made_of})
    status, text = said(snakemake(project, "--dry-run", "--printshellcmds", "--config", "profile=my lab", "shards=2"))
    assert status == 0, text
    jobs = re.findall(r"input: (.*)\n +output: (.*)\n(?: .*\n)+.*? (\S+) --end-with-parent", text)
    reads = {output.removeprefix("outputs/my lab/"): (given.split(", "), word) for given, output, word in jobs}
    for notebook in ("01_prepare", "05_predict"):
        shards = [f"{notebook}/shards/{i}-of-2/result.json" for i in (1, 2)]
        assert [reads[shard][1] for shard in shards] == ["shard=1/2", "shard=2/2"]
        assert {f"outputs/my lab/{shard}" for shard in shards} <= set(reads[f"{notebook}/result.json"][0])
        for output in [*shards, f"{notebook}/result.json"]:
            prepared = "outputs/my lab/01_prepare/result.json" in reads[output][0]
            assert prepared == (notebook == "05_predict"), output


@pytest.mark.parametrize("shards", ["0", "many"])
def test_what_is_no_number_of_shards_is_refused_in_a_sentence(project, shards):
    add_profile(project, "good", **{"01_prepare": COHORT})
    status, text = said(snakemake(project, "--config", "profile=good", f"shards={shards}"))
    assert status == 1 and "choose a whole number from 1 to 1000" in text and "Traceback" not in text


@pytest.mark.slow
def test_a_graph_in_shards_makes_the_archive_that_one_run_makes(project):
    write_cohort(project / "nights", n_persons=2, hours=0.1)
    add_profile(project, "mine", **{"01_prepare": NIGHTS})
    status, text = said(snakemake(project, "--config", "profile=mine", "shards=2"))
    assert status == 0 and re.search(r"^shard +2$", text, re.MULTILINE), text
    recipe = read_recipe(project_path("params/datasets/synthetic.yaml"))
    prepare_archive([(recipe, project / "nights")], project / "archive.h5", sampling_rate_hz=64)
    made = project / "outputs/mine/01_prepare/archive.h5"
    assert made.read_bytes() == (project / "archive.h5").read_bytes()
    status, text = said(snakemake(project, "--dry-run", "--config", "profile=mine", "shards=2"))
    assert status == 0 and "Nothing to be done" in text, text


@pytest.mark.slow
def test_the_figures_of_all_runs_are_one_page(project, root):
    add_profile(project, "my lab", **{"02_inspect": {"archive": "theirs.h5"}})
    run = project / "outputs/my lab/02_inspect"
    (run / "figures").mkdir(parents=True)
    (run / "figures/one_night.png").write_bytes((root / "docs/demo.png").read_bytes())
    (run / "result.json").write_text("{}")
    figures = ("figures", "--config", "profile=my lab")
    status, text = said(snakemake(project, *figures))
    assert status == 0 and re.search(r"^total +1$", text, re.MULTILINE), text
    status, text = said(snakemake(project, "--report", "page.html", *figures))
    page = (project / "page.html").read_text()
    assert status == 0 and "data:image/png;charset=utf8;filename=one_night.png;base64" in page, text

"""What a run has made stays until something whole takes its place: after a slip, a failure, a kill."""

import os
import re
import time

import pytest
from filelock import FileLock, Timeout
from helpers.snakemake_runs import COHORT, add_profile, said, snakemake

from anysleep.synthetic import write_cohort
from anysleep.system.files import sha256_of


@pytest.fixture
def finished(project):
    """A profile in which 01 and 03 have finished; what they wrote stands for weeks of work."""
    data = {"archive": "outputs/mine/01_prepare/archive.h5"}
    add_profile(project, "mine", **{"01_prepare": COHORT, "03_train": data})
    for name in ("01_prepare/archive.h5", "03_train/checkpoint.pth", "03_train/split.yaml"):
        path = project / "outputs/mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"weeks of work: {name}")
    for notebook in ("01_prepare", "03_train"):
        (project / "outputs/mine" / notebook / "result.json").write_text("{}")
    return project


def contents(project):
    return {path.name: path.read_text() for path in (project / "outputs/mine").glob("*/[acrs]*.*")}


def test_a_misspelt_value_deletes_nothing(finished):
    before = contents(finished)
    assert len(before) == 4  # result.json of both once
    (finished / "params/mine/03_train.yaml").write_text("learning_rate: 1e-2\n")
    status, text = said(snakemake(finished, "--config", "profile=mine"))
    assert status == 1 and "learning_rate is '1e-2'" in text and "write 1.0e-3" in text
    assert contents(finished) == before


def test_a_run_that_fails_leaves_what_was_there(finished):
    """The archive is none here, so the training fails once it has started."""
    before = contents(finished)
    status, text = said(snakemake(finished, "--config", "profile=mine"))
    assert status == 0 and "Nothing to be done" in text
    (finished / "params/mine/03_train.yaml").write_text("archive: outputs/mine/01_prepare/archive.h5\nseed: 7\n")
    status, text = said(snakemake(finished, "--config", "profile=mine"))
    assert status == 1 and "03_train stopped." in text and "Traceback" not in text
    assert not (finished / "outputs/mine/03_train/result.json").exists()
    assert contents(finished) == before


@pytest.mark.parametrize(("name", "content"), [("archive.h5", None), ("archive.h5", ""), ("result.json", "")])
def test_a_file_deleted_by_hand_or_left_empty_is_made_again(name, content, finished):
    file = finished / "outputs/mine/01_prepare" / name
    file.unlink()
    if content is not None:
        file.write_text(content)
    status, text = said(snakemake(finished, "--dry-run", "--config", "profile=mine"))
    assert status == 0 and re.search(r"^prepare +1$", text, re.MULTILINE)


def hashes(folder):
    """Every file below a folder -> SHA-256 of what it holds and when it was written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: (sha256_of(path), path.stat().st_mtime_ns) for path in files}


@pytest.mark.slow
def test_a_forced_run_prepares_new_nights_only_and_drops_none_unasked(project):
    nights = project / "nights"
    write_cohort(nights, n_persons=2, hours=0.25)
    first, *_, last = sorted(nights.glob("*.edf"))
    given = {"datasets": {"params/datasets/synthetic.yaml": "nights"}, "synthetic_dir": ""}
    add_profile(project, "mine", **{"01_prepare": given})
    command, archive = ("--config", "profile=mine"), project / "outputs/mine/01_prepare/archive.h5"
    n_nights = len(list(nights.glob("*.edf")))
    last.rename(project / "later.edf")
    status, text = said(snakemake(project, *command))
    assert status == 0 and f"{n_nights - 1} of {n_nights - 1} nights are in the archive, 0 of them from before" in text
    (project / "later.edf").rename(last)
    status, text = said(snakemake(project, *command, "--forcerun", "prepare"))
    before = f"{n_nights} of {n_nights} nights are in the archive, {n_nights - 1} of them from before"
    assert status == 0 and before in text, text
    whole = archive.read_bytes()
    first.unlink()
    status, text = said(snakemake(project, *command, "--forcerun", "prepare"))
    assert status == 1 and f"1 of the {n_nights} nights in the archive could not go into it again" in text, text
    assert "drop_missing" in text and "Traceback" not in text and archive.read_bytes() == whole


@pytest.mark.slow
def test_the_same_command_goes_on_after_kill_9_and_makes_what_was_lost_later(project):
    """A dry run in between says what would be made, and changes nothing. An input of tomorrow's date is no reason to
    do it again, or to delete it."""
    add_profile(project, "my lab", **{"01_prepare": COHORT})
    tomorrow = time.time() + 86_400
    os.utime(project / "params/my lab/01_prepare.yaml", (tomorrow, tomorrow))
    command, folder = ("--config", "profile=my lab"), project / "outputs/my lab/01_prepare"
    killed = snakemake(project, *command)
    while not (folder / "params.yaml").exists():
        assert killed.poll() is None, killed.stdout.read()
        time.sleep(0.05)
    with pytest.raises(Timeout):
        FileLock(folder.parent / ".snakemake.lock").acquire(timeout=0)
    os.kill(killed.pid, 9)
    killed.wait()
    status, text = said(snakemake(project, *command))
    assert status == 0 and (folder / "archive.h5").is_file() and (folder / "result.json").is_file(), text
    for lost in ("archive.h5", "result.json"):
        (folder / lost).unlink()
        before = hashes(folder)
        status, text = said(snakemake(project, "--dry-run", *command))
        assert status == 0 and re.search(r"^prepare +1$", text, re.MULTILINE), text
        assert hashes(folder) == before
        status, text = said(snakemake(project, *command))
        assert status == 0 and (folder / lost).is_file(), text
    status, text = said(snakemake(project, *command))
    assert status == 0 and "Nothing to be done" in text


def test_a_second_snakemake_is_refused_while_the_first_is_at_work(finished):
    """A dry run may look at any time. That a killed one keeps nobody out is tested above."""
    (finished / "params/mine/03_train.yaml").write_text("archive: outputs/mine/01_prepare/archive.h5\nseed: 7\n")
    with FileLock(finished / "outputs/mine/.snakemake.lock"):
        status, text = said(snakemake(finished, "--config", "profile=mine"))
        assert status == 1 and "another snakemake is at work in outputs/mine; wait for it" in text
        assert "Traceback" not in text and (finished / "outputs/mine/03_train/result.json").exists()
        assert said(snakemake(finished, "--dry-run", "--config", "profile=mine"))[0] == 0

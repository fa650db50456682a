"""One bad file costs one row: refused with a code and a sentence, or used with a note. Nothing else changes."""

import os
import re
import signal as signals
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.bad_formats import HDF5, LABELS, OTHERS
from helpers.bad_input import laboratory, read_whole
from helpers.bad_recordings import (
    BAD,
    EDF,
    FILES,
    GOOD,
    MISTAKES,
    PARTICIPANTS,
    PEOPLE,
    SIGNALS,
    SIZES,
    edf,
    named,
    people,
)

from anysleep.datasets import preparation
from anysleep.datasets.preparation import prepare_archive, write_key
from anysleep.datasets.recipes import Folder, find_participants
from anysleep.recordings.reasons import without_names
from anysleep.system.jobs import run_jobs

RECORDINGS = EDF | SIZES | SIGNALS | FILES | HDF5 | OTHERS
KINDS = RECORDINGS | PARTICIPANTS | LABELS


def in_archive(path, inside=f"lab/{GOOD}"):
    """Every byte of the good night in the archive."""
    content = {}

    def note(name, node):
        content[name] = sorted((key, np.asarray(value).tobytes()) for key, value in node.attrs.items())
        if isinstance(node, h5py.Dataset):
            content[name] = [*content[name], str(node.dtype), node.shape, np.asarray(node[()]).tobytes()]

    with h5py.File(path) as file:
        note("", file[inside])
        file[inside].visititems(note)
    return content


@pytest.fixture(scope="session")
def good_alone(tmp_path_factory):
    """What the archive says of the good night where there is nothing else, for a recipe."""
    known = {}

    def alone(used):
        key = used.model_dump_json()
        if key not in known:
            folder = tmp_path_factory.mktemp("alone")
            edf(folder, f"{GOOD}.edf")
            (folder / "participants.tsv").write_text("id\tage\np01\t30\n")
            path = folder / "result" / "archive.h5"
            prepare_archive([(used, folder)], path, sampling_rate_hz=64)
            known[key] = in_archive(path, f"lab/{recording_of_good(used)}")
        return known[key]

    return alone


def recording_of_good(used):
    return "-night1" if used.recording in ("{id}", "{night}") else GOOD


@pytest.fixture(autouse=True)
def _nights_are_prepared_in_this_process(monkeypatch):
    """A process a test, and the reader's process of each, would be five seconds of imports for 250 tests.

    That a night is prepared in a process of its own is tested in datasets/test_cohort.py.
    """
    monkeypatch.setattr(preparation, "run_jobs", lambda work, jobs, n_jobs, limit_s: run_jobs(work, jobs, 1))


@pytest.fixture(autouse=True)
def deadline():
    """Nothing may hang."""
    previous = signals.signal(signals.SIGALRM, lambda *_: pytest.fail("this hangs"))
    signals.alarm(180)  # by the clock on the wall, and machines may be busy
    yield
    signals.alarm(0)
    signals.signal(signals.SIGALRM, previous)


def check(kind, folder, archive, good_alone):
    """The promise of this file, for one kind."""
    edf(folder, f"{GOOD}.edf")
    kind.write(folder)
    used = laboratory(**kind.recipe)
    table, _ = prepare_archive([(used, folder)], archive, sampling_rate_hz=64)
    good = recording_of_good(used)
    rows = table[table.recording != good]
    assert list(rows.code.unique()) == ([] if kind.code == "no row" else [kind.code])
    for row in rows[["reason", "left_out", "notes", "verdict", "advice"]].fillna("").itertuples(index=False):
        assert says(row, kind.says)
        assert_readable(row.reason)
        assert not any(name in text for text in row for name in (str(folder), BAD)), "names tell who the patient is"
    assert in_archive(archive, f"lab/{good}") == good_alone(used)
    assert files_below(archive.parent) == [".archive.h5.index", ".archive.h5.lock", "archive.h5"]


def says(row, expected):
    """Whether the cell in question says it: the reason of a night that is refused, else what was left out or noted.

    Of a night that is used, 'use' and 'look ...' are the verdict with its advice; where nothing is expected, no channel
    was left out.
    """
    if row.reason:
        return expected and re.search(expected, row.reason)
    verdict = re.match("use|look", expected)
    if verdict:
        return row.verdict == verdict[0] and re.search(expected, f"{row.verdict} {row.advice}")
    return any(re.search(expected, text) for text in (row.left_out, row.notes)) if expected else not row.left_out


def assert_readable(reason):
    """One short line for people."""
    assert reason == "" or (reason.isprintable() and len(reason) < 400)
    assert "Traceback" not in reason and "Errno" not in reason


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "recordings"
    path.mkdir()
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_file_costs_one_row_that_says_why(kind, folder, tmp_path, good_alone):
    if kind == "a file that may not be read" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    check(KINDS[kind], folder, tmp_path / "result" / "archive.h5", good_alone)


@pytest.mark.parametrize("kind", RECORDINGS)
@pytest.mark.filterwarnings("ignore")
def test_a_bad_file_alone_is_read_or_refused_by_name(kind, folder):
    RECORDINGS[kind].write(folder)
    paths = list(folder.rglob("*"))
    assert paths
    for path in paths:
        read_whole(path)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_that_concerns_every_file_is_said_and_leaves_the_archive_alone(mistake, folder, tmp_path):
    edf(folder, f"{GOOD}.edf")
    archive = tmp_path / "result" / "archive.h5"
    prepare_archive([(laboratory(), folder)], archive, sampling_rate_hz=64)
    before = archive.read_bytes()
    make, changes, says = MISTAKES[mistake]
    make(folder)
    with pytest.raises(ValueError, match=says):
        prepare_archive([(laboratory(**changes), folder)], archive, sampling_rate_hz=64)
    assert archive.read_bytes() == before
    assert files_below(archive.parent) == [".archive.h5.index", ".archive.h5.lock", "archive.h5"]


@pytest.mark.parametrize("target", ["nowhere", f"recordings/{GOOD}.edf"])
def test_a_folder_that_is_none_is_named(target, folder, tmp_path):
    edf(folder, f"{GOOD}.edf")
    with pytest.raises(ValueError, match="no such folder of recordings"):
        prepare_archive([(laboratory(), tmp_path / target)], tmp_path / "archive.h5", sampling_rate_hz=64)


def test_what_is_no_archive_is_not_written_over(folder, tmp_path):
    edf(folder, f"{GOOD}.edf")
    (tmp_path / "archive.h5").write_text("a thesis")
    with pytest.raises(ValueError, match="is there already, but is no whole HDF5 file; move it away"):
        prepare_archive([(laboratory(), folder)], tmp_path / "archive.h5", sampling_rate_hz=64)
    assert (tmp_path / "archive.h5").read_text() == "a thesis"


def test_the_key_can_name_a_file_that_is_not_utf8(folder, tmp_path):
    edf(folder, f"{GOOD}.edf")
    named(b"p02-\xff.edf")(folder)
    _, key = prepare_archive([(laboratory(), folder)], tmp_path / "archive.h5", sampling_rate_hz=64)
    assert r"p02-\udcff.edf" in write_key(tmp_path / "key.csv", key).read_text("utf-8")


def test_an_age_in_words_does_not_change_the_ages_of_others(folder):
    people("id\tage\np01\t30\np02\told\n")(folder)
    with pytest.warns(UserWarning, match="1 ages are no numbers and count as unknown, such as 'old'"):
        table = find_participants(laboratory(**PEOPLE).participants, Folder(folder))
    assert table.age[0] == 30 and np.isnan(table.age[1])


@pytest.mark.parametrize(
    ("file", "message", "said"),
    [
        ("/data/Smith_John.edf", "/data/Smith_John.edf: 3 of 9 records", "3 of 9 records"),
        ("/data/Smith_John.edf", "Smith_John_stage.txt and Smith_John.eeg differ", "..._stage.txt and ... differ"),
        ("/data/Smith_John.edf", "no night Smith_John", "no night ..."),
        ("/data/Jane Doe/n/x.edf", "2 files match 'Jane Doe/n/*.txt'", "2 files match '.../n/*.txt'"),
        ("/data/doe/x.edf", "no file doe/y.txt in /data/doe", "no file .../y.txt in ..."),
        ("/data/miller.edf", "no row for 'miller'", "no row for '...'"),
        ("/data/1234567.edf", "record 1234567 is empty", "record ... is empty"),
        ("/data/a.edf", "a.eeg: a night cannot be of a.edf", "...: a night cannot be of ..."),
        ("/data/a.edf", "", ""),
        ("/data/a.edf", MemoryError(), "the machine ran out of memory"),
    ],
)
def test_a_message_does_not_tell_whose_file_it_is(file, message, said):
    assert without_names(message, Path(file)) == said


@pytest.mark.parametrize("file", ["a.edf", "1.edf", "30.edf", "N2.edf", "C3.edf", "header.edf", "/data/n/1/says.edf"])
def test_a_message_stays_whole_where_a_file_is_called_like_one_of_its_words(file):
    message = "a header says '1': 30 s of C3-M2 cannot be 'N2' or n/a"
    assert without_names(message, Path(file)) == message

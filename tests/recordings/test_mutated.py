"""Files that were sound and were then damaged in a few places: read or refused, soon, and within memory.

Random bytes seldom come past the first line of a format; what was sound does. The first bytes of
recordings: `test_hostile_files.py`.
"""

import random
import time

import pytest
from helpers.bad_input import read_whole
from helpers.label_files import write_arousal, write_edf, write_scorers
from helpers.toy_formats import write_brainvision, write_eeglab, write_fif, write_wfdb
from helpers.toy_labels import write
from helpers.toy_night import night

from anysleep.exports import FORMATS, export_night, read_corrections
from anysleep.recordings.labels import LABEL_READERS
from anysleep.recordings.readers import guarded
from anysleep.workbook.export import read_hypnogram

CORRECTIONS = """epoch,from,to,scorer,seconds_spent,time,onset_s,end_s
1,Wake,N1,AM,2.5,2026-11-01T10:00:00+00:00,,
2,none,arousal,AM,4.0,2026-11-01T10:00:05+00:00,40.0,46.5
"""

pytestmark = pytest.mark.filterwarnings("ignore")
LONGEST_S, MOST_KB = 5.0, 2**20
SCRAPS = (b"1e308", b"-1", b"nan", b"9" * 30, b"\x00", b"\xff\xfe", b'"', b"<", b"[[", b"\t", b"\r\n", b",")


def mutated(content, draw):
    """The bytes with one to three places changed, cut out, doubled, cut off or filled with what nobody expects."""
    for _ in range(draw.randint(1, 3)):
        at, n = draw.randrange(len(content) + 1), draw.randint(1, 40)
        instead = [draw.randbytes(n), b"", 2 * content[at : at + n], draw.choice(SCRAPS)]
        content = content[:at] if draw.random() < 0.1 else content[:at] + draw.choice(instead) + content[at + n :]
    return content


def refused_or_read(read, path):
    try:
        read(path)
    except (ValueError, OSError):
        return False
    return True


def try_all(file, read, path, n_tries):
    """How often `path` is read while `file`, which is it or beside it, is damaged; no time or memory without end."""
    resource = pytest.importorskip("resource")  # not on Windows
    content, n_read = file.read_bytes(), 0
    for seed in range(n_tries):
        file.write_bytes(mutated(content, random.Random(f"{file.name} {seed}")))
        began_s, peak_kb = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        n_read += refused_or_read(read, path)
        assert time.process_time() - began_s < LONGEST_S, seed
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kb < MOST_KB, seed
    file.write_bytes(content)
    assert refused_or_read(read, path)
    assert n_read < n_tries  # else what is damaged is not looked at
    return n_read


@pytest.mark.parametrize("name", FORMATS)
def test_labels_in_every_format_that_we_write(tmp_path, name):
    export_night(tmp_path, night(), "night", [name])
    reader, options = FORMATS[name].labels["reader"], {k: v for k, v in FORMATS[name].labels.items() if k == "columns"}
    path = next(path for path in sorted(tmp_path.iterdir()) if path.suffix != ".json" or reader == "yasa")
    try_all(path, lambda path: LABEL_READERS[reader](path, **options), path, 40)


def mass(folder):
    stages = [(30 * i, 30, f"Sleep stage {stage}") for i, stage in enumerate("W34?R")]
    return write_edf(folder / "01-03-0001 Base.edf", *stages)


OTHERS = {
    "ids": lambda folder: write(folder / "a.ids", "".join(f"{30 * i},30,N2\n" for i in range(20))),
    "physionet": lambda folder: write_arousal(folder, [(0, "W"), (30, "N1"), (62, "(arousal"), (70, "arousal)")]),
    "dod_scorers": lambda folder: write_scorers(folder, *[[0, 2, 3, -1] * 5] * 5),
    "mass": mass,
}


@pytest.mark.parametrize("reader", OTHERS)
def test_labels_in_other_formats(tmp_path, reader):
    path = OTHERS[reader](tmp_path)
    try_all(path, LABEL_READERS[reader], path, 60)


def test_the_tables_of_a_run_and_of_its_review(tmp_path):
    export_night(tmp_path, night(), "night", ["csv"])
    (table,) = tmp_path.iterdir()
    try_all(table, read_hypnogram, table, 40)
    corrections = write(tmp_path / "corrections_night.csv", CORRECTIONS)
    try_all(corrections, read_corrections, corrections, 60)


COMPANIONS = {
    "a.eeg": (write_brainvision, "a.vhdr"),
    "a.vmrk": (write_brainvision, "a.vhdr"),
    "a.fdt": (lambda path: write_eeglab(path, beside=True), "a.set"),
    "a.mat": (write_wfdb, "a.hea"),
    "a_raw.fif.gz": (write_fif, "a_raw.fif.gz"),
}


@pytest.mark.parametrize("name", COMPANIONS)
def test_files_beside_a_recording(tmp_path, monkeypatch, name):
    writer, recording = COMPANIONS[name]
    path = writer(tmp_path / recording)
    content = (tmp_path / name).read_bytes()
    monkeypatch.setattr(guarded, "PATIENCE_S", LONGEST_S)
    for seed in range(6):
        (tmp_path / name).write_bytes(mutated(content, random.Random(f"{name} {seed}")))
        read_whole(path)  # nothing but ValueError and OSError, and no channel of another length
    monkeypatch.undo()
    (tmp_path / name).write_bytes(content)
    assert not isinstance(read_whole(path), Exception)

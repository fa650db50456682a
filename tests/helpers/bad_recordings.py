"""Kinds of bad input for `test_bad_input.py`: EDF files, sizes, signals, names, folders, persons and recipes."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import edfio
import numpy as np

from helpers.edf_files import SPACE, signal, stage, write_discontinuous, write_edf

GOOD, BAD = "p01-night1", "p02-night1"
SECONDS = 95


@dataclass(frozen=True)
class Kind:
    """One kind of bad input."""

    write: Callable[[Path], object]
    """Called with the folder."""
    code: str
    """Of every row but the good night's; 'no row' where there is none."""
    says: str
    """Expression for the row's reason or, of a night that is used, for what was left out, noted or advised."""
    recipe: dict = field(default_factory=dict)
    """What is other than usual in the recipe."""


# What is wrong with a file --------------------------------------------------------------------------------------------


def edf(folder, name=f"{BAD}.edf", channels=None, annotations=(), seconds=SECONDS):
    """A night as the good one, but for `channels` and `annotations`."""
    usual = [signal("EEG C3-M2", 100, seconds=seconds), signal("EOG E1-M2", 64, seconds=seconds)]
    return write_edf(folder / name, channels or usual, [stage(0, 60, "W"), stage(60, 30, "N2"), *annotations])


def raw(content, name=f"{BAD}.edf"):
    return lambda folder: (folder / name).write_bytes(content)


def cut(n_bytes):
    """An EDF file that ends early (negative: by so many bytes) or is followed by zeros."""

    def write(folder):
        path = edf(folder)
        size = path.stat().st_size
        os.truncate(path, n_bytes if n_bytes > 0 else size + n_bytes)

    return write


FIXED = {"start": (168, 16), "header_bytes": (184, 8), "reserved": (192, 44), "records": (236, 8), "record_s": (244, 8)}
FIXED |= {"n_signals": (252, 4)}
PER_SIGNAL = {"label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8}
PER_SIGNAL |= {"digital_max": 8, "prefilter": 80, "samples": 8}


def place_of(name, content):
    """Where a field of the header begins, that of the first signal, and its bytes."""
    if name in FIXED:
        return FIXED[name]
    before = list(PER_SIGNAL)[: list(PER_SIGNAL).index(name)]
    return 256 + int(content[252:256]) * sum(PER_SIGNAL[each] for each in before), PER_SIGNAL[name]


def header(**texts):
    """An EDF file with other texts in some fields of its header, those of the first signal."""

    def write(folder):
        path = edf(folder)
        content = bytearray(path.read_bytes())
        for name, text in texts.items():
            at, width = place_of(name, content)
            content[at : at + width] = (text if isinstance(text, bytes) else text.encode()).ljust(width)
        path.write_bytes(content)

    return write


def replaced(old, new):
    """An EDF file in which some bytes are others."""

    def write(folder):
        path = edf(folder)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return write


def samples(eeg, eog=None, unit="uV", limit=500):
    """An EDF file with other samples; both are functions of noise in uV."""

    def write(folder):
        noise = 30 * np.random.default_rng(5).standard_normal((2, 100 * SECONDS))
        rows = {"EEG C3-M2": (eeg(noise[0]), limit), "EOG E1-M2": (eog(noise[1]) if eog else noise[1], 500)}
        channels = [
            edfio.EdfSignal(
                np.clip(row, -most, most), 100, label=name, physical_dimension=unit, physical_range=(-most, most)
            )
            for name, (row, most) in rows.items()
        ]
        edf(folder, channels=channels)

    return write


def edf_bytes(labels, samples_per_record, n_records, record_s, values=None, sample_bytes=2):
    """A small EDF file, or BDF with samples of 3 bytes, put together by hand."""
    n = len(labels)
    first = b"0" if sample_bytes == 2 else b"\xffBIOSEMI"
    fixed = [(first, 8), ("", 80), ("", 80), ("29.02.2422.58.03", 16), (256 * (n + 1), 8), ("", 44)]
    fixed += [(n_records, 8), (record_s, 8), (n, 4)]
    columns = [(labels, 16), ([""] * n, 80), (["uV"] * n, 8), ([-500] * n, 8), ([500] * n, 8), ([-32768] * n, 8)]
    columns += [([32767] * n, 8), ([""] * n, 80), (samples_per_record, 8), ([""] * n, 32)]
    fields = [*fixed, *((text, width) for texts, width in columns for text in texts)]
    head = b"".join((t if isinstance(t, bytes) else str(t).encode("latin-1")).ljust(width) for t, width in fields)
    n_bytes = sum(samples_per_record) * n_records * sample_bytes
    return head + (np.random.default_rng(0).bytes(n_bytes) if values is None else values)


def many(n_channels, **fields):
    labels = ["EEG C3-M2", "EOG E1-M2", *(f"EEG {i}" for i in range(n_channels - 2))]
    return edf_bytes(labels, [64] * n_channels, SECONDS, 1, **fields)


# What is wrong with names and folders ---------------------------------------------------------------------------------


def pipe(folder):
    os.mkfifo(folder / f"{BAD}.edf")


def link(target):
    return lambda folder: (folder / f"{BAD}.edf").symlink_to(target)


def forbidden(folder):
    edf(folder).chmod(0)


def loop(folder):
    (folder / "again").symlink_to(folder, target_is_directory=True)


def directory(folder):
    (folder / f"{BAD}.edf").mkdir()


def named(name):
    """A sound night under another name."""

    def write(folder):
        path = edf(folder)
        target = Path(os.fsdecode(os.fsencode(folder) + b"/" + (name if isinstance(name, bytes) else name.encode())))
        target.parent.mkdir(exist_ok=True)
        path.rename(target)

    return write


def twins(folder):
    edf(folder)
    edf(folder, f"{BAD}.rec")


def people(text, name="participants.tsv"):
    return lambda folder: ((folder / name).write_bytes(text if isinstance(text, bytes) else text.encode()), edf(folder))


PEOPLE = {"participants": {"file": "participants.*", "columns": {"key": "id", "age": "age"}}}
BY_NAME = {"channels": "by_name"}
TALS = b"+0\x14\x14\x00"

EDF = {
    "an empty file": Kind(raw(b""), "damaged", "it is empty"),
    "a file of one byte": Kind(raw(b"0"), "damaged", "number of signals is no number"),
    "a text file": Kind(raw(b"Dear diary,\n" * 200), "damaged", "looks like text"),
    "only zeros": Kind(raw(bytes(5000)), "damaged", "number of signals is no number"),
    "half a header": Kind(cut(500), "damaged", "3 signals has 1024 bytes; it says 1024, and 500 are there"),
    "only a header": Kind(cut(1024), "truncated", "says .* data records, the file holds 0"),
    "half of the data": Kind(cut(10_000), "truncated", "the header says .* data records, the file holds"),
    "one byte too few": Kind(cut(-1), "truncated", "the header says"),
    "one byte too many": Kind(cut(+1_000_000), "record_count", "the header says"),
    "a record count in words": Kind(header(records="many"), "damaged", "number of data records is no number"),
    "a negative record count": Kind(header(records="-7"), "damaged", "number of data records is -7"),
    "no records": Kind(header(records="0"), "record_count", "the header says 0 data records"),
    "10^8 records": Kind(header(records="99999999"), "truncated", "the header says 99999999 data records"),
    "a recorder that was cut off": Kind(header(records="-1"), "ok", "leaves the number of data records open"),
    "a record length in words": Kind(header(record_s="long"), "damaged", "duration of a data record is no number"),
    "records of no length": Kind(header(record_s="0"), "time_base", "data records of 0 s"),
    "records of negative length": Kind(header(record_s="-1"), "time_base", "data records of -1 s"),
    "records of nan s": Kind(header(record_s="nan"), "time_base", "data records of nan s"),
    "endless records": Kind(header(record_s="inf"), "time_base", "data records of inf s"),
    "a night of years": Kind(raw(edf_bytes(["EEG C3-M2"], [64], 60, 99_999_999)), "too_long", "it lasts 1666667 h"),
    "records of 1e-300 s": Kind(header(record_s="1e-300"), "time_base", "'EEG C3-M2' 1e\\+302 Hz"),
    "a number of signals in words": Kind(header(n_signals="two"), "damaged", "number of signals is no number"),
    "-1 signals": Kind(header(n_signals="-1"), "damaged", "number of signals is -1"),
    "0 signals": Kind(header(n_signals="0"), "damaged", "a header for 0 signals has 256 bytes"),
    "9999 signals": Kind(header(n_signals="9999"), "damaged", "a header for 9999 signals"),
    "a wrong header size": Kind(header(header_bytes="512"), "damaged", "a header for 3 signals has 1024 bytes"),
    "a header size in words": Kind(header(header_bytes="some"), "damaged", "size of the header is no number"),
    "a number of samples in words": Kind(header(samples="few"), "damaged", "samples of 'EEG C3-M2' is no number"),
    "samples that are no whole number": Kind(
        header(samples="100.9"), "damaged", r"samples of 'EEG C3-M2' is 100\.9; expected a whole number"
    ),
    "a record count that is no whole number": Kind(
        header(records="95.7"), "damaged", r"number of data records is 95\.7; expected a whole number"
    ),
    "nan samples": Kind(header(samples="nan"), "damaged", "samples of 'EEG C3-M2' is nan"),
    "inf samples": Kind(header(samples="inf"), "damaged", "samples of 'EEG C3-M2' is inf"),
    "negative samples": Kind(header(samples="-64"), "damaged", "samples of 'EEG C3-M2' are -64"),
    "10^8 samples a record": Kind(header(samples="99999999"), "time_base", "gives channel .EEG C3-M2. 1e.08 Hz"),
    "a digital range in words": Kind(header(digital_min="low"), "damaged", "digital_min of 'EEG C3-M2' is no number"),
    "an infinite digital range": Kind(header(digital_max="inf"), "damaged", "digital_max of 'EEG C3-M2' is inf"),
    "a physical range in words": Kind(
        header(physical_min="low"), "damaged", "physical_min of 'EEG C3-M2' is no number"
    ),
    "a nan physical range": Kind(header(physical_min="nan"), "ok", "'EEG C3-M2' an empty range"),
    "an infinite physical range": Kind(header(physical_max="inf"), "ok", "'EEG C3-M2' an empty range"),
    "an empty physical range": Kind(header(physical_min="500"), "ok", "C3-M2: 9,?500 samples .*NaN"),
    "an empty digital range": Kind(header(digital_min="32767"), "ok", "C3-M2: 9,?500 samples .*NaN"),
    "a reversed digital range": Kind(header(digital_min="32767", digital_max="-32768"), "ok", "an empty range"),
    "a reversed physical range": Kind(header(physical_min="500", physical_max="-500"), "ok", "use"),
    "a start time in words": Kind(header(start="some Sunday night"[:16]), "ok", "the header holds no start time"),
    "NUL bytes in the header": Kind(header(unit=b"uV\x00\x00", label=b"EEG\x00C3-M2"), "ok", "use"),
    "NUL bytes in a stored name": Kind(header(label=b"EEG C3\x00M2"), "ok", "cannot be a name", BY_NAME),
    "a Latin-1 label": Kind(header(label="EEG Stirn-L\xe4nge".encode("latin-1")), "ok", "", BY_NAME),
    "a slash in a label": Kind(header(label="EEG C3/M2"), "ok", "use", BY_NAME),
    "no label": Kind(header(label=""), "ok", "C3-M2: not in the recording"),
    "one label twice": Kind(header(label="EOG E1-M2"), "channels", "'EOG E1-M2' occurs 2 times"),
    "one label twice, by name": Kind(header(label="EOG E1-M2"), "channels", "occurs 2 times", BY_NAME),
    "a channel without samples": Kind(
        raw(edf_bytes(["EEG C3-M2", "EOG E1-M2"], [0, 64], SECONDS, 1)), "ok", "'EEG C3-M2' no samples: it is left out"
    ),
    "no signal but annotations": Kind(
        raw(edf_bytes(["EDF Annotations"], [20], 1, 1, TALS.ljust(40, b"\x00"))), "too_short", "less than one epoch"
    ),
    "a record without its time": Kind(replaced(b"+1\x14\x14", bytes(4)), "damaged", "annotations that cannot be read"),
    "annotations without an end": Kind(replaced(TALS, b"+0\x15\x15\x15"), "damaged", "annotations that cannot be read"),
    "a start 10^20 s later": Kind(
        raw(
            edf_bytes(
                ["EDF Annotations", "EEG C3-M2"], [20, 64], 1, 60, (b"+" + b"9" * 20 + TALS[2:]).ljust(168, b"\0")
            )
        ),
        "time_base",
        "first data record begins",
    ),
    "a gap in a continuous file": Kind(replaced(b"+7\x14\x14", b"+8\x14\x14"), "time_base", "says it is continuous"),
    "records that overlap": Kind(
        lambda folder: write_discontinuous(folder / f"{BAD}.edf", [*range(50), *range(40, 80)]),
        "time_base",
        "overlap in time or are not in order",
    ),
    "a pause of years": Kind(
        lambda folder: write_discontinuous(
            folder / f"{BAD}.edf", [*range(5), *range(10**6, 10**6 + 5)], annotations=[stage(0, 30, "widens records")]
        ),
        "too_long",
        "it lasts 278 h",
    ),
    "a clock that runs away from the samples": Kind(
        lambda folder: write_discontinuous(
            folder / f"{BAD}.edf", [round(i * 1.0009, 4) for i in range(700)], 10, [SPACE]
        ),
        "time_base",
        r"last 700\.00 s by the header, but 700\.63 s by the times",
    ),
    "a pause": Kind(
        lambda folder: write_discontinuous(folder / f"{BAD}.edf", [*range(50), *range(70, 130)]), "ok", "look"
    ),
    "BDF cut within a sample": Kind(
        raw(many(2, sample_bytes=3)[:-1], f"{BAD}.bdf"), "truncated", "the header says 95 data records"
    ),
    "EDF called BDF": Kind(lambda folder: edf(folder, f"{BAD}.bdf"), "ok", "use"),
    "gzip called EDF": Kind(raw(b"\x1f\x8b\x08" + bytes(range(256)) * 9), "damaged", "is it packed"),
    "a text file called EDF": Kind(raw(b"0 Wake\n" * 90), "damaged", "not an EDF or BDF file: it looks like text"),
    "what a download left": Kind(raw(b"version https://git-lfs.github.com/spec/v1\n"), "damaged", "a pointer or page"),
}

SIZES = {
    "one sample": Kind(raw(edf_bytes(["EEG C3-M2"], [1], 1, 0.01)), "too_short", r"0\.01 s are less than one epoch"),
    "one second": Kind(partial(edf, seconds=1), "label_length", "the labels cover 0 s to 90 s .* the signals last 1 s"),
    "29.9 s": Kind(raw(edf_bytes(["EEG C3-M2"], [10], 299, 0.1)), "too_short", r"29\.9 s are less than one epoch"),
    "24 h at 1 Hz": Kind(raw(edf_bytes(["EEG C3-M2"], [60], 1440, 60)), "ok", "look every EEG|no EOG"),
    "200 channels": Kind(raw(many(200)), "ok", "", BY_NAME),
    "200 channels, none of them wanted": Kind(
        raw(many(200).replace(b"EEG C3-M2", b"EEG O1-M2").replace(b"EOG E1-M2", b"EOG E9-M2")),
        "channels",
        "no channel can be used: C3-M2, E1-M2: not in the recording .* and 190 more",
    ),
    "1000 channels without a range": Kind(
        raw(many(1000).replace(b"500     ", b"-500    ")), "channels", "no channel can be used", BY_NAME
    ),
}

SIGNALS = {
    "all zero": Kind(samples(np.zeros_like), "ok", "C3-M2: constant at 0"),
    "all zero, every channel": Kind(samples(np.zeros_like, np.zeros_like), "channels", "constant at 0"),
    "half constant": Kind(samples(lambda x: np.where(np.arange(x.size) < 7000, 0, x)), "ok", "disconnected|flat"),
    "mV for uV": Kind(samples(lambda x: x, unit="mV"), "ok", "look every EEG needs a look"),
    "V for uV": Kind(samples(lambda x: x, unit="V"), "ok", "look every EEG needs a look"),
    "clipped": Kind(samples(lambda x: np.clip(x, -20, 20)), "ok", "look"),
    "all channels the same": Kind(
        samples(lambda x: x, lambda _: 30 * np.random.default_rng(5).standard_normal(9500)),
        "ok",
        "look .*the same signal|look",
    ),
    "an offset of 10^6": Kind(samples(lambda x: x + 1e6, limit=1_001_000), "ok", "look"),
    "a unit that is none": Kind(samples(lambda x: x, unit="degC"), "ok", "look"),
    "a name for a unit": Kind(samples(lambda x: x, unit="J. Doe"), "ok", "^((?!Doe).)*$"),
    "a single spike": Kind(samples(lambda x: np.where(np.arange(x.size) == 7, 400, 0)), "ok", "C3-M2"),
}

FILES = {
    "a folder called like a file": Kind(directory, "no row", ""),
    "a link to nothing": Kind(link("nothing.edf"), "not_found", "no such file, but a broken link"),
    "a link to itself": Kind(link(f"{BAD}.edf"), "not_found", "no such file, but a broken link"),
    "a link to the folder above": Kind(loop, "no row", ""),
    "a named pipe": Kind(pipe, "not_found", "no such file"),
    "a device": Kind(link("/dev/zero"), "not_found", "no such file"),
    "a file that may not be read": Kind(forbidden, "unreadable", "Permission denied"),
    "a file name that is not UTF-8": Kind(named(b"p02-\xff\xfe.edf"), "name", "cannot be a name"),
    "a line break in the name": Kind(named("p02-night\n1.edf"), "name", "cannot be a name"),
    "a name of 250 characters": Kind(named("p02-" + "x" * 246 + ".edf"), "name", "cannot be a name"),
    "a hidden file": Kind(named(".p02-night1.edf"), "no row", "", {"files": ["*.edf"]}),
    "a name that does not fit": Kind(named("pX.edf"), "name", "does not match"),
    "an id of two dots": Kind(
        named("p02..x.edf"),
        "name",
        "cannot be a name",
        {"name": r"^p\d+(?P<id>-night1|\.\.)", "recording": "{id}", "subject": ""},
    ),
    "an id with a slash": Kind(
        named("sub/p02.edf"), "name", "cannot be a name", {"recording": "{folder}{stem}", "name": "(?P<person>p[0-9]+)"}
    ),
    "an empty id": Kind(
        named("p02.edf"),
        "name",
        "cannot be a name",
        {"recording": "{night}", "name": "(?P<person>p[0-9]+)(?P<night>-night1)?"},
    ),
    "two files of one id": Kind(twins, "duplicate", "several files"),
}

PARTICIPANTS = {
    "a person who is not in the table": Kind(people("id\tage\np01\t30\n"), "participants", "no row", PEOPLE),
    "an age in words": Kind(people("id\tage\np01\t30\np02\told\n"), "ok", "use", PEOPLE),
    "no age": Kind(people("id\tage\np01\t30\np02\t\n"), "ok", "use", PEOPLE),
}

MISTAKES = {
    "patterns that match nothing": (edf, {"files": ["*.xyz"]}, r"no file in .* matches \*\.xyz"),
    "a name that fits no file": (edf, {"name": "^x"}, "none of 2 recordings .* does not match the recipe's name"),
    "an id of an unknown group": (edf, {"recording": "{nobody}"}, r"'\{nobody\}' cannot be filled in"),
    "an id with an open bracket": (edf, {"recording": "{stem"}, "cannot be filled in"),
    "an id that asks for an attribute": (edf, {"recording": "{stem.x}"}, "cannot be filled in"),
    "labels of an unknown group": (edf, {"labels": {"reader": "text", "file": "{nobody}.txt"}}, "cannot be filled in"),
    "channels that nobody has": (edf, {"channels": {"eeg": {"O1": "O1"}}}, "no channel can be used: O1: not in the"),
    "no table of persons": (edf, PEOPLE, "no participants table"),
    "two tables of persons": (
        lambda folder: (people("id\tage\n")(folder), people("id,age\n", "participants.csv")(folder)),
        PEOPLE,
        "2 files match",
    ),
    "an empty table of persons": (people(""), PEOPLE, "has no header in line 1"),
    "a binary table of persons": (people(bytes(range(256)) * 9), PEOPLE, "is not UTF-8"),
    "a text called Excel": (people("id\tage\n", "participants.xlsx"), PEOPLE, "cannot be read as a table"),
    "a table without the column": (people("name\tage\np01\t30\n"), PEOPLE, "has no column id, only name, age"),
    "a person with two rows": (people("id\tage\np01\t30\np01\t31\n"), PEOPLE, "has several rows for p01"),
    "a pipe for a table": (lambda folder: os.mkfifo(folder / "participants.tsv"), PEOPLE, "a pipe or a device"),
}
"""Mistakes that concern every file: how they are made, the recipe, and what is said."""

KINDS = EDF | SIZES | SIGNALS | FILES | PARTICIPANTS

"""Kinds of bad input for `test_bad_input.py`: the other formats of recordings, and the files of labels."""

import gzip
import os

import h5py
import numpy as np

from helpers.bad_recordings import BAD, Kind, edf
from helpers.edf_files import signal, stage, write_edf
from helpers.toy_formats import (
    EEG_UV,
    EOG_UV,
    write_brainvision,
    write_dod,
    write_eeglab,
    write_fif,
    write_utime,
    write_wfdb,
)

# HDF5 -----------------------------------------------------------------------------------------------------------------


def hdf5(change, write=write_utime, **options):
    """A file of U-Time or of the Dreem Open Datasets, opened once more to be changed."""

    def write_changed(folder):
        with h5py.File(write(folder / f"{BAD}.h5", **options), "r+") as file:
            change(file)

    return write_changed


def instead(samples, **options):
    """The channel C3 with other samples."""

    def change(file):
        attributes = dict(file["channels/C3"].attrs)
        del file["channels/C3"]
        file.create_dataset("channels/C3", data=samples, **options)
        file["channels/C3"].attrs.update(attributes)

    return hdf5(change)


def as_link(link):
    def change(file):
        del file["channels/C3"]
        file["channels/C3"] = link

    return hdf5(change)


def sparse(file):
    del file["channels/C3"]
    file.create_dataset("channels/C3", shape=(10**12,), dtype="f4", chunks=(2**20,))


def ring(file):
    del file["channels/C3"]
    file["channels/C3"], file["channels/C4"] = h5py.SoftLink("/channels/C4"), h5py.SoftLink("/channels/C3")


def virtual(file):
    del file["channels/C3"]
    layout = h5py.VirtualLayout((9000,), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "C3", shape=(9000,))
    file.create_virtual_dataset("channels/C3", layout)


def stored_outside(file):
    del file["channels/C3"]
    file.create_dataset("channels/C3", shape=(9000,), dtype="f4", external=[("/etc/hostname", 0, 36000)])


def without(name):
    return hdf5(lambda file: file.pop(name))


def attributes(**changes):
    return hdf5(lambda file: file.attrs.update(changes))


def damaged(write, suffix, at, content=b"\xff" * 64):
    """A file of which some bytes in the middle are others; `at` is a share of its length."""

    def write_damaged(folder):
        path = write(folder / f"{BAD}{suffix}")
        before = path.read_bytes()
        start = int(at * len(before))
        path.write_bytes(before[:start] + content + before[start + len(content) :])

    return write_damaged


def dod(**options):
    return lambda folder: write_dod(folder / f"{BAD}.h5", **options)


def described(text):
    return hdf5(lambda file: file.attrs.update(description=text), write_dod)


def compressed_and_damaged(folder):
    path = folder / f"{BAD}.h5"
    with h5py.File(write_utime(path), "r+") as file:
        del file["channels/C3"]
        file.create_dataset("channels/C3", data=EEG_UV, chunks=(9000,), compression="gzip")
        file["channels/C3"].attrs["channel_index"] = 1
        at = file["channels/C3"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at + 10 : at + 200] = b"\x55" * 190
    path.write_bytes(content)


HDF5 = {
    "an empty HDF5 file": Kind(lambda f: (f / f"{BAD}.h5").write_bytes(b""), "damaged", "not a whole HDF5 file"),
    "text called HDF5": Kind(lambda f: (f / f"{BAD}.h5").write_text("C3,1,2\n"), "damaged", "not a whole HDF5 file"),
    "half an HDF5 file": Kind(
        lambda f: os.truncate(write_utime(f / f"{BAD}.h5"), 30_000), "damaged", "not a whole HDF5"
    ),
    "HDF5 of no known layout": Kind(without("channels"), "format", "no known layout"),
    "a group without channels": Kind(
        hdf5(lambda f: [f["channels"].pop("C3"), f["channels"].pop("EOG")]), "channels", "names no channel"
    ),
    "channels that are no group": Kind(
        hdf5(lambda f: (f.pop("channels"), f.create_dataset("channels", data=[1]))), "format", "no group 'channels'"
    ),
    "no rate": Kind(hdf5(lambda f: f.attrs.pop("sample_rate")), "time_base", "no attribute 'sample_rate'"),
    "a rate in words": Kind(attributes(sample_rate="fast"), "time_base", "expected a number above 0"),
    "a rate of 0": Kind(attributes(sample_rate=0), "time_base", "expected a number above 0"),
    "a rate of nan": Kind(attributes(sample_rate=np.nan), "time_base", "expected a number above 0"),
    "two rates for one channel": Kind(attributes(sample_rate=[100, 200]), "time_base", "expected a number above 0"),
    "a rate of 1e-9 Hz": Kind(attributes(sample_rate=1e-9), "too_long", "lasts 2500000000 h"),
    "a start in the year 10^9": Kind(attributes(date=1e18), "time_base", "the start time lies in no year"),
    "a link to another file": Kind(
        as_link(h5py.ExternalLink("/etc/other.h5", "/C3")), "format", "link to another file"
    ),
    "a link to nothing in it": Kind(as_link(h5py.SoftLink("/nothing")), "format", "where there is nothing"),
    "links in a ring": Kind(hdf5(ring), "format", "where there is nothing"),
    "a link to the group above": Kind(
        hdf5(lambda f: f.__setitem__("channels/again", h5py.SoftLink("/channels"))), "ok", ""
    ),
    "a virtual dataset": Kind(hdf5(virtual), "format", "lie in another file"),
    "samples in another file": Kind(hdf5(stored_outside), "format", "lie in another file"),
    "samples that are text": Kind(instead([b"a"] * 9000), "format", "expected one row of real numbers"),
    "complex samples": Kind(instead(EEG_UV * 1j), "format", "expected one row of real numbers"),
    "truths for samples": Kind(instead(EEG_UV > 0), "format", "expected one row of real numbers"),
    "samples in two rows": Kind(instead(EEG_UV.reshape(2, -1)), "format", "expected one row of real numbers"),
    "a single number": Kind(instead(1.0), "format", "expected one row of real numbers"),
    "no samples": Kind(instead(np.empty(0)), "format", "expected one row of real numbers"),
    "a table for samples": Kind(instead(np.zeros(9000, [("a", "f4")])), "format", "expected one row of real numbers"),
    "NaN samples": Kind(instead(np.full(9000, np.nan)), "ok", "NaN or infinite"),
    "infinite samples": Kind(instead(np.where(EEG_UV > 90, np.inf, EEG_UV)), "ok", "NaN or infinite"),
    "samples beyond float32": Kind(instead(EEG_UV.astype(float) * 1e300), "ok", "NaN or infinite"),
    "channels of other lengths": Kind(instead(EEG_UV[:8000]), "time_base", "channels differ in duration"),
    "10^12 samples that were never written": Kind(
        hdf5(sparse), "damaged", "of the 1000000000000 values of '/channels/C3' some were never written"
    ),
    "... at 1 GHz": Kind(
        hdf5(lambda f: (sparse(f), f.pop("channels/EOG"), f.attrs.update(sample_rate=1e9))),
        "time_base",
        "expected a number above 0, at most 100000",
    ),
    "a damaged chunk": Kind(compressed_and_damaged, "ok", "C3-M2 .*: not a whole"),
    "DOD without a description": Kind(described("{"), "damaged", "'description' is missing or no JSON"),
    "DOD with another description": Kind(described("[3]"), "damaged", "needs a 'path' and an 'fs'"),
    "DOD with a nested description": Kind(described("[" * 100_000), "damaged", "'description' is missing or no JSON"),
    "DOD that describes what is not there": Kind(described('[{"path": "x", "fs": 1}]'), "damaged", "no dataset 'x'"),
    "DOD with a path above": Kind(described('[{"path": "../../x", "fs": 1}]'), "damaged", "no dataset"),
    "DOD with an unknown stage": Kind(dod(hypnogram=[0, 7, 2]), "label_code", "'Sleep stage 7'"),
    "DOD with a stage nan": Kind(dod(hypnogram=[0, np.nan, 2]), "label_code", "'Sleep stage nan'"),
    "DOD with too many stages": Kind(dod(hypnogram=[0] * 99), "label_length", "state the rule"),
    "DOD with stages in two rows": Kind(dod(hypnogram=[[0, 1], [2, 2]]), "label_file", "not one row of numbers"),
    "DOD with stages in words": Kind(dod(hypnogram=[b"W"]), "label_file", "not one row of numbers"),
}

# BrainVision, EEGLAB, FIF and WFDB ------------------------------------------------------------------------------------


def edited(write, suffix, old, new):
    """A text header in which some words are others."""

    def write_edited(folder):
        path = write(folder / f"{BAD}{suffix}")
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return write_edited


def missing(write, suffix, companion):
    return lambda folder: write(folder / f"{BAD}{suffix}").with_suffix(companion).unlink()


def halved(write, suffix, companion=None):
    def write_half(folder):
        path = write(folder / f"{BAD}{suffix}")
        path = path.with_suffix(companion) if companion else path
        os.truncate(path, path.stat().st_size // 2)

    return write_half


def vhdr(old, new):
    return edited(write_brainvision, ".vhdr", old, new)


def hea(old, new):
    return edited(write_wfdb, ".hea", old, new)


def eeglab(**fields):
    return lambda folder: write_eeglab(folder / f"{BAD}.set", **fields)


def with_fdt(path):
    return write_eeglab(path, beside=True)


def bare(suffix, content):
    return lambda folder: (folder / f"{BAD}{suffix}").write_bytes(content)


OTHERS = {
    "BrainVision without data": Kind(
        missing(write_brainvision, ".vhdr", ".eeg"), "not_found", "DataFile is not beside"
    ),
    "BrainVision without markers": Kind(missing(write_brainvision, ".vhdr", ".vmrk"), "not_found", "MarkerFile is not"),
    "BrainVision cut within a sample": Kind(
        lambda f: os.truncate(write_brainvision(f / f"{BAD}.vhdr").with_suffix(".eeg"), 40_001),
        "truncated",
        "within a sample",
    ),
    "BrainVision with data elsewhere": Kind(
        vhdr(f"={BAD}.eeg", "=../other.eeg"), "not_found", "DataFile is not beside"
    ),
    "BrainVision with data anywhere": Kind(vhdr(f"={BAD}.eeg", "=/etc/passwd"), "not_found", "DataFile is not beside"),
    "BrainVision without a rate": Kind(vhdr("SamplingInterval=10000\n", ""), "damaged", "gives no SamplingInterval"),
    "BrainVision with a rate in words": Kind(
        vhdr("=10000", "=fast"), "damaged", "SamplingInterval is 'fast'; expected a number"
    ),
    "BrainVision of infinite rate": Kind(vhdr("=10000", "=0"), "damaged", "SamplingInterval is '0'; expected a number"),
    "BrainVision with too many channels": Kind(
        vhdr("Channels=3", "Channels=7"), "damaged", "missing entries at indices"
    ),
    "BrainVision with points in words": Kind(
        vhdr("[Binary", "DataPoints=many\n[Binary"), "damaged", "DataPoints is 'many'; expected a number"
    ),
    "BrainVision in another coding": Kind(vhdr("=INT_16", "=INT_8"), "damaged", "INT_8 is not supported"),
    "BrainVision that is empty": Kind(bare(".vhdr", b""), "damaged", "not a BrainVision header"),
    "EEGLAB that is empty": Kind(bare(".set", b""), "damaged", "not a whole file of its format"),
    "EEGLAB that is text": Kind(bare(".set", b"hello" * 99), "damaged", "not a whole file of its format"),
    "half of EEGLAB": Kind(halved(write_eeglab, ".set"), "damaged", "not a whole file of its format"),
    "EEGLAB without its data": Kind(
        missing(with_fdt, ".set", ".fdt"), "not_found", "a file that it names is not beside it"
    ),
    "EEGLAB with half of its data": Kind(halved(with_fdt, ".set", ".fdt"), "damaged", "not a whole file of its format"),
    "EEGLAB without a rate": Kind(eeglab(srate=0.0), "damaged", "sfreq must be positive"),
    "EEGLAB with a rate of nan": Kind(eeglab(srate=np.nan), "damaged", "not a whole file of its format"),
    "EEGLAB with too many channels": Kind(eeglab(nbchan=7.0), "ok", "use"),
    "EEGLAB with epochs": Kind(
        eeglab(trials=2.0, pnts=4500.0, data=np.stack([EEG_UV, EOG_UV]).reshape(2, -1, 2)), "cut_out", "holds epochs"
    ),
    "FIF that is empty": Kind(bare(".fif", b""), "damaged", "not a whole file of its format"),
    "FIF that is text": Kind(bare(".fif", b"hello" * 99), "damaged", "not a whole file of its format"),
    "half of FIF": Kind(halved(write_fif, ".fif"), "damaged", "Invalid tag"),
    "FIF with other bytes inside": Kind(damaged(write_fif, ".fif", 0.5), "channels", "samples .* are NaN or infinite"),
    "half of gzipped FIF": Kind(halved(write_fif, ".fif.gz"), "damaged", "ended before"),
    "gzip without FIF": Kind(bare(".fif.gz", gzip.compress(b"hello" * 99)), "damaged", "not a whole file"),
    "WFDB that is empty": Kind(bare(".hea", b""), "damaged", "not a WFDB header: it is empty"),
    "WFDB that is binary": Kind(
        bare(".hea", bytes(range(256)) * 9), "damaged", "not a WFDB header: it is empty or binary"
    ),
    "WFDB without data": Kind(missing(write_wfdb, ".hea", ".mat"), "not_found", "1 of 1 signal files are not beside"),
    "WFDB with half of its data": Kind(halved(write_wfdb, ".hea", ".mat"), "truncated", "less than the 9000 samples"),
    "WFDB with data elsewhere": Kind(hea(f"{BAD}.mat", "../other.mat"), "format", "beside the header"),
    "WFDB of several segments": Kind(hea("n 2 ", "n/3 2 "), "format", "3 segments; join them"),
    "WFDB with a rate of 0": Kind(hea(" 100 9000 ", " 0 9000 "), "time_base", "both must be above 0"),
    "WFDB with a negative length": Kind(hea(" 100 9000 ", " 100 -9000 "), "time_base", "both must be above 0"),
    "WFDB with 10^12 samples": Kind(
        hea(" 100 9000 ", " 100 1000000000000 "), "truncated", "less than the 1000000000000 samples"
    ),
    "WFDB with other words": Kind(
        hea(" 16+24 ", " sixteen "), "damaged", "not a WFDB header: invalid syntax in signal line"
    ),
    "WFDB without a gain": Kind(hea("100/uV", "0/uV"), "ok", "use"),
    "WFDB in an unknown coding": Kind(hea(" 16+24 ", " 99 "), "format", "format '99', which cannot be read"),
    "an unknown suffix": Kind(bare(".xyz", b"1"), "format", "no reader for '.xyz'", {"files": ["p*.edf", "p*.xyz"]}),
}

# Labels ---------------------------------------------------------------------------------------------------------------

CODES = {"W": "Wake", "N1": "N1", "N2": "N2", "N3": "N3", "R": "REM", "?": "unscored"}


def labels(reader, suffix, content, **settings):
    """A sound night with a bad file of labels, which the recipe looks for beside every night."""

    def write(folder):
        edf(folder)
        path = folder / f"{BAD}{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    used = {"reader": reader, "file": "{stem}" + suffix, "codes": CODES} | settings
    return {"write": write, "recipe": {"labels": used}}


def text(content, code, says, **settings):
    return Kind(code=code, says=says, **labels("text", ".txt", content, **settings))


def bids(rows, code, says, header="onset\tduration\ttrial_type\n", **settings):
    return Kind(code=code, says=says, **labels("bids", ".tsv", header + rows, **settings))


def ids(content, code, says):
    return Kind(code=code, says=says, **labels("ids", ".ids", content))


def xml(content, code, says):
    return Kind(code=code, says=says, **labels("nsrr", ".xml", content))


def own(*annotations, seconds=95):
    def write(folder):
        channels = [signal("EEG C3-M2", 100, seconds=seconds), signal("EOG E1-M2", 64, seconds=seconds)]
        write_edf(folder / f"{BAD}.edf", channels, list(annotations))

    return write


def events(rows):
    event = "<EventType>Stages</EventType><EventConcept>{}</EventConcept><Start>{}</Start><Duration>{}</Duration>"
    scored = "".join(f"<ScoredEvent>{event.format(*row)}</ScoredEvent>" for row in rows)
    return f"<PSGAnnotation><ScoredEvents>{scored}</ScoredEvents></PSGAnnotation>"


def bomb():
    entities = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(9))
    return f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><PSGAnnotation>&a9;</PSGAnnotation>'


def two_files(folder):
    edf(folder)
    for letter in "ab":
        (folder / f"{BAD}-{letter}.txt").write_text("W\nW\nN2\n")


def label_pipe(folder):
    edf(folder)
    os.mkfifo(folder / f"{BAD}.txt")


TEXT_BESIDE = {"labels": {"reader": "text", "file": "{stem}*.txt", "codes": CODES}}
ONE_EPOCH = "0\t30\tW\n"
LABELS = {
    "no label file": Kind(edf, "ok", "no label file", TEXT_BESIDE),
    "two label files": Kind(two_files, "label_file", "2 files match", TEXT_BESIDE),
    "a pipe for a label file": Kind(label_pipe, "label_file", "a broken link, a pipe or a device", TEXT_BESIDE),
    "an empty label file": text("", "label_file", "the file is empty"),
    "a binary label file": text(bytes(range(256)), "label_file", "not a text file"),
    "a label file in UTF-16 that does not say so": text(
        "W\nW\nN2\n".encode("utf-16-le"), "label_file", "not a text file"
    ),
    "a label file in Latin-1": text("W\nW\nMüller\n".encode("latin-1"), "label_code", "'Müller'"),
    "labels longer than the signals": text("W\n" * 50, "label_length", "the labels cover 0 s to 1500 s"),
    "labels shorter than the signals": text("W\n", "label_length", "the labels cover 0 s to 30 s"),
    "an unknown label": text("W\nW\nS9\n", "label_code", "unknown stage labels: 'S9'"),
    "an empty line between labels": text("W\n\nN2\n", "label_file", "line 2 has no label"),
    "10^6 labels": text("W\n" * 10**6, "label_length", "the labels cover 0 s to 3e.07 s"),
    "one label of 10^6 letters": text("W" * 10**6, "label_code", "unknown stage labels"),
    "labels of 1e-9 s": text("W\nW\nN2\n", "label_length", "the labels cover 0 s to 3e-09 s", epoch_s=1e-9),
    "labels that begin a week later": text("W\nW\nN2\n", "label_time", "no scored stage lies inside", offset_s=6e5),
    "labels that begin before": text("W\nW\nN2\n", "label_time", "before the first sample", offset_s=-60.0),
    "lights that no one turned off": text("W\nW\nN2\n", "label_time", "when the lights went off", length="lights"),
    "two stages at once": bids("0\t60\tW\n30\t30\tN2\n", "label_time", "two stages at the same time"),
    "an onset before the start": bids("-60\t30\tW\n" + ONE_EPOCH, "label_time", "before the first sample"),
    "an onset of nan": bids("nan\t30\tW\n" + ONE_EPOCH, "label_file", "'nan' is no onset"),
    "an infinite onset": bids("inf\t30\tW\n", "label_file", "'inf' is no onset"),
    "an onset of 1e300 s": bids("1e300\t30\tW\n" + ONE_EPOCH, "label_length", "the labels cover 0 s to 1e.300 s"),
    "a duration of nan": bids("0\tnan\tW\n", "label_file", "'nan' is no duration"),
    "an infinite duration": bids("0\tinf\tW\n", "label_file", "'inf' is no duration"),
    "a duration of 1e300 s": bids("0\t1e300\tW\n", "label_length", "to 1e.300 s"),
    "a duration of 0": bids("0\t0\tW\n30\t30\tN2\n", "ok", "use"),
    "no stage among the events": bids("0\t30\tcough\n", "label_code", "no row is a stage"),
    "other columns": bids("0\t30\tW\n", "label_file", "needed are onset, duration", header="a\tb\tc\n"),
    "a line that is too long": bids("0\t30\tW\tx\n", "label_file", "line 2 has 4 columns"),
    "10^5 events": bids(ONE_EPOCH + "1\t1\tcough\n" * 10**5, "ok", "use"),
    "times in words": ids("zero,30,W\n", "label_file", "expected 'start,duration,stage'"),
    "negative durations": ids("0,-30,W\n", "label_file", "lasts -30 s"),
    "a broken XML file": xml("<PSGAnnotation><Sc", "label_file", "no whole XML file"),
    "an XML file of something else": xml("<html></html>", "label_file", "no PSGAnnotation"),
    "an XML file that explodes": xml(bomb(), "label_file", "no whole XML file"),
    "an XML file that reads others": xml(
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "label_file", "no whole XML file"
    ),
    "XML times of nan": xml(events([("W", "nan", 30)]), "label_file", "expected seconds"),
    "XML stages of 0 s": xml(events([("W", 0, 0), ("N2", 30, 60)]), "ok", "use"),
    "two own stages at once": Kind(own(stage(0, 60, "W"), stage(30, 30, "N2")), "label_time", "two stages at the same"),
    "own stages after the end": Kind(own(stage(900, 60, "W")), "label_time", "no scored stage lies inside"),
    "an unknown own stage": Kind(own(stage(0, 60, "X")), "label_code", "'Sleep stage X'"),
    "own stages between the grid": Kind(own(stage(10, 30, "W"), stage(40, 30, "N2")), "ok", "more than one stage"),
}

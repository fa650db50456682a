"""Files that crash the libraries that read them, keep them for ever, or ask for memory without end: each is refused."""

import random
import struct
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from helpers.archives import read_all
from helpers.bad_input import read_whole
from helpers.bad_recordings import edf_bytes
from helpers.hostile_archives import huge, index_of, toy_archive
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

from anysleep.data import read_recording
from anysleep.datasets import archive_check
from anysleep.datasets.archive import Archive, nights_held
from anysleep.datasets.archive_check import count_objects
from anysleep.recordings.labels.table import read_scoring_table
from anysleep.recordings.readers import guarded, hdf5
from anysleep.recordings.reasons import BadRecording

pytestmark = pytest.mark.filterwarnings("ignore")
N_SHORT = 200


@pytest.fixture
def impatient(monkeypatch):
    """Two seconds for any file; not where one must be read, however busy the machine."""
    monkeypatch.setattr(guarded, "PATIENCE_S", 2.0)
    return monkeypatch


def short_eeglab(path):
    return write_eeglab(path, pnts=float(N_SHORT), data=np.stack([EEG_UV[:N_SHORT], EOG_UV[:N_SHORT]]))


def without_end(content):
    """A heap of HDF5 whose free space, its last object, is 0 bytes long: the next object is the same again."""
    at = content.index(b"GCOL") + 16
    while struct.unpack_from("<H", content, at)[0]:
        at += 16 + -(-struct.unpack_from("<Q", content, at + 8)[0] // 8) * 8
    return content[: at + 8] + bytes(8) + content[at + 16 :]


def one_byte(at, value):
    return lambda content: content[:at] + bytes([value]) + content[at + 1 :]


TRIGGERS = {
    "a ring of FIF tags": (write_fif, "a_raw.fif", lambda c: c[:48] + struct.pack(">i", 36) + c[52:], "had not ended"),
    "a heap of HDF5 without end": (write_dod, "a.h5", without_end, "had not ended"),
}
"""Writer of a sound file, its name, what is changed, and what is said."""


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_file_that_keeps_its_library_for_ever_is_refused_and_the_next_is_read(tmp_path, impatient, trigger):
    write, name, change, said = TRIGGERS[trigger]
    content = write(tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(change(content))
    with pytest.raises(ValueError, match=rf"{name}: its reader .*damaged\?") as refused:
        read_recording(tmp_path / name)
    assert said in str(refused.value)
    impatient.undo()
    (tmp_path / name).write_bytes(content)
    assert read_whole(tmp_path / name).n_epochs == 3


def test_one_byte_of_eeglab_that_ends_its_library_is_refused(tmp_path):
    """The second byte of a type: scipy looks it up without a check, so what follows depends on its memory."""
    path = short_eeglab(tmp_path / "a.set")
    content = path.read_bytes()
    for at in (305, 369, 433, 753, 945):
        for value in (61, 86, 132, 227, 255):
            path.write_bytes(one_byte(at, value)(content))
            if "its reader crashed" in str(read_whole(path)):
                path.write_bytes(content)
                assert read_whole(path).channels == ("C3", "EOG")
                return
    pytest.skip("no such byte ends the library of this machine; a crash itself is tested in test_guarded")


def test_an_archive_that_keeps_the_library_for_ever_is_refused(tmp_path, impatient):
    path = toy_archive(tmp_path)
    path.write_bytes(without_end(path.read_bytes()))
    with pytest.raises(ValueError, match=r"toy\.h5 is there already, but is no whole HDF5 file"):
        nights_held(path)


def test_an_archive_is_checked_once_and_again_where_it_changed(tmp_path):
    path = toy_archive(tmp_path)
    with Archive(path) as archive:
        assert len(archive.nights()) == 3
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated file"):
        Archive(path)


def never_written(file, name):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "i1", chunks=(1,))


WITHOUT_END = {
    "values without end": (lambda file, name: huge(file, name), "some were never written"),
    "a piece of 1 GiB": (lambda file, name: huge(file, name, 90, 2**28, maxshape=(None,)), "in pieces of 1073741824"),
    "a piece of 1 GiB, full": (lambda file, name: huge(file, name, 2**28, 2**28), "in pieces of 1073741824"),
    "nothing written": (never_written, "some were never written"),
}


@pytest.mark.parametrize("kind", WITHOUT_END)
@pytest.mark.parametrize("part", ["signal", "hypnogram"])
def test_what_an_archive_holds_is_measured_before_memory_is_taken(tmp_path, kind, part):
    change, said = WITHOUT_END[kind]
    path = toy_archive(tmp_path)
    with h5py.File(path, "r+") as file:
        night = file["alone/n0"]
        change(night, "hypnogram" if part == "hypnogram" else f"PSG/{next(iter(night['PSG']))}")
    with pytest.raises(ValueError, match=said):
        Archive(path)


def test_a_signal_longer_than_any_night_at_the_rate_of_the_archive_is_refused(tmp_path):
    path = toy_archive(tmp_path)
    with h5py.File(path, "r+") as file:
        psg = file["alone/n0/PSG"]
        name = next(iter(psg))
        del psg[name]
        psg.create_dataset(name, data=np.zeros(7 * 24 * 3600 + 1, "i1"), compression="gzip")
    with pytest.raises(ValueError, match="holds 604801 values; a night has at most 604800"):
        Archive(path)


@pytest.mark.parametrize("kind", ["values without end", "a piece of 1 GiB", "a piece of 1 GiB, full"])
def test_what_a_recording_holds_is_measured_before_memory_is_taken(tmp_path, kind):
    change, said = WITHOUT_END[kind]
    with h5py.File(write_utime(tmp_path / "a.h5"), "r+") as file:
        change(file, "channels/C3")
    with pytest.raises(ValueError, match=rf"a\.h5: .*{said}"):
        read_recording(tmp_path / "a.h5")


def test_a_flat_channel_is_read_however_few_bytes_its_filters_leave(tmp_path):
    twice = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    twice.set_chunk((2**22,))
    twice.set_deflate(9)
    twice.set_deflate(9)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple((2**22,))
        data = h5py.Dataset(h5py.h5d.create(file.id, b"C3", h5py.h5t.NATIVE_FLOAT, space, twice))
        data[:] = 0
        file.flush()
        assert data.id.get_storage_size() < 200
        assert not hdf5.whole(data, 2**22)[:].any()


def test_an_archive_of_more_objects_than_any_has_is_refused_before_it_is_walked(tmp_path, monkeypatch):
    path = toy_archive(tmp_path)
    index_of(path).unlink()  # else no night is opened
    n_objects = count_objects(path)
    asked = []

    def call(function, path, file, n_bytes):
        asked.append(n_bytes)
        return function(path)

    monkeypatch.setattr(archive_check, "GUARD", SimpleNamespace(call=call))
    archive_check.check_once(path, (1,))
    assert asked[1] - asked[0] == n_objects * archive_check.BYTES_PER_OBJECT  # time enough for many small nights
    monkeypatch.setattr(hdf5, "MOST_OBJECTS", n_objects - 1)
    with pytest.raises(BadRecording, match=f"holds more than {n_objects - 1} objects"):
        archive_check.check_once(path, (2,))
    assert len(asked) == 3


@pytest.mark.parametrize("part", ["", "/PSG", "/PSG/C4", "/hypnogram"])
def test_a_damaged_night_is_named_when_the_archive_is_opened(tmp_path, part):
    path = toy_archive(tmp_path)
    with h5py.File(path) as file:
        at = h5py.h5o.get_info(file[f"alone/n0{part}"].id).addr
    content = path.read_bytes()
    path.write_bytes(content[:at] + b"\xff" * 16 + content[at + 16 :])
    with pytest.raises(ValueError, match=rf"toy\.h5: alone/n0{part} cannot be read"):
        Archive(path)


def test_samples_that_cannot_be_unpacked_are_of_their_night_alone(tmp_path):
    path = toy_archive(tmp_path)
    with h5py.File(path, "r+") as file:
        psg = file["alone/n0/PSG"]
        samples = psg["C4"][:]
        del psg["C4"]
        data = psg.create_dataset("C4", data=samples, chunks=samples.shape, compression="gzip")
        data.id.write_direct_chunk((0,), b"no deflate")
    with Archive(path) as archive:
        with pytest.raises(ValueError, match=r"toy\.h5, alone/n0: "):
            archive.signals("alone", "n0", ["C4"])
        row = archive.recordings().iloc[1]
        assert archive.signals(row.dataset, row.recording, row.channels).any()


def test_stages_that_were_never_written_are_no_wake(tmp_path):
    with h5py.File(write_dod(tmp_path / "a.h5"), "r+") as file:
        never_written(file, "hypnogram")
    with pytest.raises(ValueError, match="some were never written"):
        read_recording(tmp_path / "a.h5")


def test_a_rate_that_no_recorder_has_is_refused_in_any_format(tmp_path):
    with pytest.raises(ValueError, match=r"a\.set: 1e\+12 Hz; expected above 0, at most 100000 Hz"):
        read_recording(write_eeglab(tmp_path / "a.set", srate=1e12))


def test_a_label_file_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "a.txt", "wb") as file:
        file.truncate(2**31)
    with pytest.raises(ValueError, match=r"a\.txt: 2048 MiB are no labels of one night"):
        read_scoring_table(tmp_path / "a.txt")


def test_time_that_ends_just_after_the_answer_costs_nothing(tmp_path, monkeypatch):
    class Late(guarded.Timer):
        def cancel(self):
            self.function()
            super().cancel()

    monkeypatch.setattr(guarded, "Timer", Late)
    night = read_recording(write_utime(tmp_path / "a.h5"))
    assert night.signals[0].size == 9000


def outcome(read, path):
    """Whether it is read; only ValueError and OSError may say why not."""
    try:
        read(path)
    except (ValueError, OSError) as error:
        assert path.name in str(error)
        return False
    return True


def test_any_byte_of_an_archive(tmp_path, impatient):
    content = toy_archive(tmp_path).read_bytes()
    n_read = 0
    for seed in range(150):
        draw = random.Random(seed)
        path = tmp_path / f"{seed}.h5"
        path.write_bytes(one_byte(draw.randrange(len(content)), draw.randrange(256))(content))
        n_read += outcome(read_all, path)
    assert n_read > 75


WRITERS = {
    "a.set": short_eeglab,
    "a_raw.fif": write_fif,
    "a.vhdr": write_brainvision,
    "a.hea": write_wfdb,
    "dod.h5": write_dod,
    "utime.h5": write_utime,
    "a.edf": lambda path: path.write_bytes(edf_bytes(["EEG C3-M2", "EOG E1-M2"], [20, 10], 40, 1)),
    "a.bdf": lambda path: path.write_bytes(edf_bytes(["EEG C3-M2"], [20], 40, 1, sample_bytes=3)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_any_byte_of_a_recording(tmp_path, impatient, name):
    WRITERS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    n_head = min(len(content), 3000)
    n_read = 0
    for seed in range(50):
        draw = random.Random(seed)
        changed = one_byte(draw.randrange(n_head), draw.randrange(256))(content)
        (tmp_path / name).write_bytes(changed)
        n_read += not isinstance(read_whole(tmp_path / name), Exception)
    assert n_read > 10  # most, but for headers in words: else what is sound is refused, too

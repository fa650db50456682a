"""One short night in every signal format but EDF: two channels of noise whose microvolts are known."""

import json
from datetime import UTC, datetime

import h5py
import mne
import numpy as np
import scipy.io

RATE_HZ = 100
SECONDS = 90
START = datetime(2024, 2, 29, 22, 58, 3)
RNG = np.random.default_rng(0)
EEG_UV, EOG_UV = (30 * RNG.standard_normal((2, RATE_HZ * SECONDS))).astype(np.float32)


def write_fif(path, annotations=None, **saving):
    info = mne.create_info(["C3", "EOG", "Temp", "STI"], RATE_HZ, ["eeg", "eog", "temperature", "stim"])
    rows = np.stack([EEG_UV * 1e-6, EOG_UV * 1e-6, np.full(EEG_UV.size, 36.5), np.zeros(EEG_UV.size)])
    raw = mne.io.RawArray(rows, info, first_samp=5 * RATE_HZ, verbose="error")
    raw.set_meas_date(START.replace(tzinfo=UTC))
    raw.set_annotations(annotations or mne.Annotations([10], [7], ["EEG arousal"]))
    raw.save(path, overwrite=True, verbose="error", buffer_size_sec=1, **saving)
    return path


VHDR = """BrainVision Data Exchange Header File Version 1.0
[Common Infos]
Codepage=UTF-8
DataFile={stem}.eeg
MarkerFile={stem}.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=3
SamplingInterval=10000
[Binary Infos]
BinaryFormat=INT_16
[Channel Infos]
Ch1=C3,,0.1,µV
Ch2=EOG,,0.001,mV
Ch3=Temp,,0.01,C
"""
MARKERS = ["New Segment,,1,1,0,20240229225803000000", "Comment,Lights off,201,1,0", "Artefact,,301,50,0"]


def write_brainvision(path, markers=MARKERS):
    rows = np.stack([EEG_UV / 0.1, EOG_UV, np.full(EEG_UV.size, 3650)], axis=1)
    path.with_suffix(".eeg").write_bytes(rows.round().astype("<i2").tobytes())
    lines = [f"Mk{i}={marker}\n" for i, marker in enumerate(markers, 1)]
    head = "BrainVision Data Exchange Marker File, Version 1.0\n[Common Infos]\nCodepage=UTF-8\n[Marker Infos]\n"
    path.with_suffix(".vmrk").write_text(head + "".join(lines), encoding="utf-8")
    path.write_text(VHDR.format(stem=path.stem), encoding="utf-8")
    return path


def write_eeglab(path, events=(("Lights off", 201.0),), beside=False, **fields):
    samples = np.stack([EEG_UV, EOG_UV])
    if beside:
        samples.T.tofile(path.with_suffix(".fdt"))
        samples = path.with_suffix(".fdt").name
    eeg = {
        "nbchan": 2.0,
        "trials": 1.0,
        "pnts": float(EEG_UV.size),
        "srate": float(RATE_HZ),
        "chanlocs": np.array([("C3", "EEG"), ("EOG", "EOG")], dtype=[("labels", object), ("type", object)]),
        "event": np.array(list(events), dtype=[("type", object), ("latency", float)]),
        "data": samples,
    } | fields
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False)
    return path


def write_wfdb(path, first_line=f"n {{}} {RATE_HZ} {EEG_UV.size} 22:58:03 29/02/2024"):
    """Two signals of 16 bits in a `.mat` file behind 24 other bytes."""
    rows = np.stack([EEG_UV * 100, EOG_UV], axis=1).round().astype("<i2")
    path.with_suffix(".mat").write_bytes(bytes(24) + rows.tobytes())
    name = path.with_suffix(".mat").name
    lines = [first_line.format(2), f"{name} 16+24 100/uV 16 0 0 0 0 C3", f"{name} 16+24 1000/mV 16 0 0 0 0 EOG"]
    path.write_text("\n".join([*lines, "#Age: 50"]) + "\n")
    return path


def write_dod(path, description=None, hypnogram=(0, -1, 4), signals=None):
    if description is None:
        description = [{"path": "signals/eeg/C3_M2", "fs": 100, "unit": "µV"}, {"path": "signals/eog/EOG", "fs": 100}]
    with h5py.File(path, "w") as file:
        file.attrs["description"] = json.dumps(description)
        file.attrs["start_time"] = int(START.replace(tzinfo=UTC).timestamp())
        for name, samples in (signals or {"signals/eeg/C3_M2": EEG_UV, "signals/eog/EOG": EOG_UV}).items():
            file[name] = samples
        if hypnogram is not None:
            file["hypnogram"] = np.array(hypnogram)
    return path


def write_utime(path, signals=None, **attributes):
    with h5py.File(path, "w") as file:
        file.attrs.update({"sample_rate": RATE_HZ, "date": START.replace(tzinfo=UTC).timestamp()} | attributes)
        for i, (name, samples) in enumerate((signals or {"EOG": EOG_UV, "C3": EEG_UV}).items()):
            file[f"channels/{name}"] = samples
            file[f"channels/{name}"].attrs["channel_index"] = i
    return path


def channel(night, name):
    return night.pick([name]).signals[0]

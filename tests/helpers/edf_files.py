"""Small EDF files."""

import re
from datetime import date, time

import edfio
import numpy as np

HOUR = 3600
SPACE = edfio.EdfAnnotation(0, None, "widens every record, for longer onsets")


def signal(label, rate_hz, unit="uV", scale=1.0, seconds=HOUR, limit=500):
    samples = scale * 30 * np.random.default_rng(rate_hz).standard_normal(int(rate_hz * seconds))
    return edfio.EdfSignal(
        samples, rate_hz, label=label, physical_dimension=unit, physical_range=(-limit * scale, limit * scale)
    )


def stage(onset_s, duration_s, text):
    return edfio.EdfAnnotation(onset_s, duration_s, f"Sleep stage {text}")


def write_edf(path, signals, annotations=None, starttime=time(22, 58, 3), start=date(2024, 2, 29)):
    recording = edfio.Recording(startdate=start)
    edfio.Edf(signals, recording=recording, starttime=starttime, annotations=annotations).write(path)
    return path


def write_discontinuous(path, onsets_s, rate_hz=100, annotations=(), record_s=1, kind=b"EDF+D", other_hz=None):
    """EDF+D with data records that begin at `onsets_s`; the n-th holds the n-th part of `signal`."""
    seconds = len(onsets_s) * record_s
    signals = [signal("EEG C3-M2", rate_hz, seconds=seconds), signal("EOG E1-M2", other_hz or rate_hz, seconds=seconds)]
    edfio.Edf(signals, data_record_duration=record_s, annotations=annotations).write(path)
    content = bytearray(path.read_bytes())
    header_bytes = int(content[184:192])
    record_bytes = (len(content) - header_bytes) // len(onsets_s)
    for number, onset_s in enumerate(onsets_s):
        at = header_bytes + number * record_bytes
        record = bytes(content[at : at + record_bytes])
        changed = re.sub(rb"\+[\d.]+\x14\x14", b"+%s\x14\x14" % str(onset_s).encode(), record, count=1)
        content[at : at + record_bytes] = changed[:record_bytes].ljust(record_bytes, b"\0")  # zeros fill its end
    content[192:197] = kind
    path.write_bytes(content)
    return path

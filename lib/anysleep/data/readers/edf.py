"""EDF and EDF+C (Kemp and Olivan 2003, doi 10.1016/s1388-2457(03)00123-8), through edfio."""

import warnings
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import edfio
import numpy as np
import pandas as pd

from anysleep.data.labels import hypnogram_from_annotations
from anysleep.data.recording import Recording, position_of

Labels = Literal["strict", "lenient"]

MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "nv": 1e-3}
"""Microvolts in each voltage unit, in lower case."""


def read_edf(
    path: Path,
    *,
    channels: Sequence[str] | None = None,
    hypnogram_path: str | Path | None = None,
    labels: Labels = "strict",
) -> Recording:
    """See `read_recording`."""
    try:
        return _read(path, channels, hypnogram_path, labels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path, channels: Sequence[str] | None, hypnogram_path: str | Path | None, labels: Labels) -> Recording:
    edf = _open(path)
    signals = edf.signals
    if channels is not None:
        names = [signal.label for signal in signals]
        signals = [signals[position_of(name, names)] for name in channels]
    units, data = zip(*map(_in_microvolts, signals), strict=True) if signals else ((), ())
    annotations = _annotations(edf)
    duration_s = float(edf.num_data_records * edf.data_record_duration)
    try:
        annotations = _with_scoring(path, edf, annotations, hypnogram_path)
        hypnogram = hypnogram_from_annotations(annotations, duration_s)
    except ValueError as error:
        if labels == "strict":
            raise
        warnings.warn(f"the labels cannot be used, so the recording counts as unscored: {error}", stacklevel=4)
        hypnogram = None
    return Recording(
        channels=tuple(signal.label for signal in signals),
        signals=data,
        rates_hz=tuple(float(signal.sampling_frequency) for signal in signals),
        units=units,
        duration_s=duration_s,
        annotations=annotations,
        start_time=_start_time(edf),
        hypnogram=hypnogram,
        synthetic="anysleep-synthetic" in edf.local_recording_identification,
    )


def _open(path: Path) -> edfio.Edf:
    """The header, with data left on disk. Missing records, of which edfio only warns, are an error."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*(Incomplete data record|header indicates)")
            edf = edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")
    except OSError:
        raise
    except Exception as error:  # edfio lets IndexError, decoding and other errors of damaged headers through
        raise ValueError(f"not a whole EDF file: {error}") from error
    if edf.reserved.startswith("EDF+D") and not edf.is_continuous:
        raise ValueError("EDF+D with gaps; only continuous recordings are read")
    return edf


def _in_microvolts(signal: edfio.EdfSignal) -> tuple[str, np.ndarray]:
    """Unit and float32 samples; other units than voltages stay as they are. NaN where the header gives no scale."""
    unit = signal.physical_dimension.strip()
    if signal.physical_min == signal.physical_max or signal.digital_min == signal.digital_max:
        warnings.warn(f"the header gives channel {signal.label!r} an empty range: its samples are NaN", stacklevel=5)
        return unit, np.full(signal.digital.size, np.nan, dtype=np.float32)
    factor = MICROVOLTS.get(unit.lower().replace("μ", "µ"))
    if factor is None:
        return unit, signal.data.astype(np.float32)
    return "uV", (signal.data * factor).astype(np.float32)


def _annotations(edf: edfio.Edf) -> pd.DataFrame:
    rows = [(a.onset, np.nan if a.duration is None else a.duration, a.text) for a in edf.annotations]
    table = pd.DataFrame(rows, columns=["onset_s", "duration_s", "description"])
    table = table.astype({"onset_s": float, "duration_s": float, "description": str})
    return table.sort_values("onset_s", ignore_index=True)


def _start_time(edf: edfio.Edf) -> datetime | None:
    """None, with a warning, where the header holds no date and time."""
    try:
        return datetime.combine(edf.startdate, edf.starttime)
    except edfio.AnonymizedDateError:
        return datetime.combine(date(1985, 1, 1), edf.starttime)
    except ValueError as error:
        warnings.warn(f"the header holds no start time: {error}", stacklevel=5)
        return None


def _with_scoring(
    path: Path, edf: edfio.Edf, annotations: pd.DataFrame, hypnogram_path: str | Path | None
) -> pd.DataFrame:
    """The annotations of `edf` and of its scoring, if there is one, in seconds since the first sample of `edf`."""
    scoring_path = Path(hypnogram_path) if hypnogram_path else _scoring_beside(path)
    if scoring_path is None:
        return annotations
    scoring = _open(scoring_path)
    starts = _start_time(edf), _start_time(scoring)
    if None in starts:
        raise ValueError(f"{scoring_path.name} cannot be aligned without the start times of both files")
    added = _annotations(scoring)
    added["onset_s"] += (starts[1] - starts[0]).total_seconds()
    together = added if annotations.empty else pd.concat([annotations, added])
    return together.sort_values("onset_s", ignore_index=True)


def _scoring_beside(path: Path) -> Path | None:
    """Sleep-EDF's `SC4001EC-Hypnogram.edf` for `SC4001E0-PSG.edf`: same name but for the scorer's letter."""
    if not path.stem.endswith("-PSG"):
        return None
    night = path.stem.removesuffix("-PSG")
    found = sorted({*path.parent.glob(f"{night[:-1]}?-Hypnogram.edf"), *path.parent.glob(f"{night}-Hypnogram.edf")})
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ValueError(f"several scorings lie beside it ({names}); say which with hypnogram_path")
    return found[0] if found else None

"""EDF and EDF+C (Kemp and Olivan 2003, doi 10.1016/s1388-2457(03)00123-8), through edfio."""

import warnings
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import edfio
import numpy as np
import pandas as pd

from anysleep.data.labels import hypnogram_from_annotations
from anysleep.data.recording import Recording, position_of

MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "nv": 1e-3}
"""Microvolts in each voltage unit, in lower case."""


def read_edf(
    path: Path, *, channels: Sequence[str] | None = None, hypnogram_path: str | Path | None = None
) -> Recording:
    """See `read_recording`."""
    edf = _open(path)
    signals = edf.signals
    if channels is not None:
        labels = [signal.label for signal in signals]
        signals = [signals[position_of(name, labels)] for name in channels]
    units, data = zip(*(_in_microvolts(signal, path) for signal in signals), strict=True) if signals else ((), ())
    annotations = _annotations(edf)
    duration_s = edf.num_data_records * edf.data_record_duration
    try:
        hypnogram = hypnogram_from_annotations(_stage_annotations(path, edf, annotations, hypnogram_path), duration_s)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Recording(
        channels=tuple(signal.label for signal in signals),
        signals=data,
        rates_hz=tuple(float(signal.sampling_frequency) for signal in signals),
        units=units,
        duration_s=float(duration_s),
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
        raise ValueError(f"{path}: not a whole EDF file: {error}") from error
    if not edf.is_continuous:
        raise ValueError(f"{path}: EDF+D with gaps; only continuous recordings are read")
    return edf


def _in_microvolts(signal: edfio.EdfSignal, path: Path) -> tuple[str, np.ndarray]:
    """Unit and float32 samples; other units than voltages stay as they are."""
    unit = signal.physical_dimension.strip()
    if signal.physical_min == signal.physical_max or signal.digital_min == signal.digital_max:
        raise ValueError(f"{path}: the header gives channel {signal.label!r} an empty range, its samples mean nothing")
    factor = MICROVOLTS.get(unit.lower().replace("μ", "µ"))
    if factor is None:
        return unit, signal.data.astype(np.float32)
    return "uV", (signal.data * factor).astype(np.float32)


def _annotations(edf: edfio.Edf) -> pd.DataFrame:
    rows = [(a.onset, np.nan if a.duration is None else a.duration, a.text) for a in edf.annotations]
    table = pd.DataFrame(rows, columns=["onset_s", "duration_s", "description"])
    table = table.astype({"onset_s": float, "duration_s": float, "description": str})
    return table.sort_values("onset_s", ignore_index=True)


def _start_time(edf: edfio.Edf) -> datetime:
    try:
        day = edf.startdate
    except edfio.AnonymizedDateError:
        day = date(1985, 1, 1)
    return datetime.combine(day, edf.starttime)


def _stage_annotations(
    path: Path, edf: edfio.Edf, annotations: pd.DataFrame, hypnogram_path: str | Path | None
) -> pd.DataFrame:
    """The annotations that hold the stages, in seconds since the first sample of `edf`."""
    scoring_path = Path(hypnogram_path) if hypnogram_path else _scoring_beside(path)
    if scoring_path is None:
        return annotations
    scoring = _open(scoring_path)
    shift: timedelta = _start_time(scoring) - _start_time(edf)
    stages = _annotations(scoring)
    return stages.assign(onset_s=stages.onset_s + shift.total_seconds())


def _scoring_beside(path: Path) -> Path | None:
    """Sleep-EDF's `SC4001EC-Hypnogram.edf` for `SC4001E0-PSG.edf`: same name but for the scorer's letter."""
    if not path.stem.endswith("-PSG"):
        return None
    night = path.stem.removesuffix("-PSG")
    found = sorted({*path.parent.glob(f"{night[:-1]}?-Hypnogram.edf"), *path.parent.glob(f"{night}-Hypnogram.edf")})
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ValueError(f"{path}: several scorings lie beside it ({names}); say which with hypnogram_path")
    return found[0] if found else None

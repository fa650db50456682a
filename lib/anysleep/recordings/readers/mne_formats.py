"""BrainVision, FIF and EEGLAB through MNE-Python; the file is opened anew for every channel that is asked for."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import h5py
import mne
import numpy as np

from anysleep.recordings.channels import channel_type
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import LONGEST_S, Recording, Signals, annotation_table, samples_in

TOLERANCE_S = 0.5
"""By so much the clock that dates the segments of BrainVision may lag behind the samples."""

_SEGMENT = "New Segment"
_SKIP = "BAD_ACQ_SKIP"
_CUTS = ("boundary", "-99", "EDGE boundary")
"""How EEGLAB (named events, numbered events) and MNE mark a place where time was cut out."""
_NOISE = (
    r"(?s).*(naming convention|[Cc]oordinate|[Mm]ontage|[Ll]ocation|head radius|filter|Unknown types|'boundary'|"
    r"file name in EEG\.data)"
)
"""MNE's warnings about what does not matter here, or is an error here."""
_DAMAGE = r"(?s).*(Invalid tag|set to zero)"
"""MNE's warnings about samples that are not there."""
_VOLTS = ("V", "mV", "µV", "uV", "nV")
# Type, text, first sample, number of samples, channel and, of a segment, its date in 20 digits.
_MARKER = re.compile(r"^Mk\d+=([^,\n]*),([^,\n]*),(\d+),(\d+),[^,\n]*(?:,(\d{20}))?\s*$", re.MULTILINE)

_Open = Callable[..., mne.io.BaseRaw]


class _Marker(NamedTuple):
    """A line of a BrainVision marker file."""

    kind: str
    text: str
    sample: int
    n_samples: int
    date: datetime | None


class _Pause(NamedTuple):
    """Samples that are missing in a BrainVision file before one of its samples."""

    sample: int
    n_samples: int


def read_fif(path: Path) -> Recording:
    """See `read_recording`. Skips of the acquisition are gaps. BadRecording where the file or a part is damaged."""
    open_raw = partial(mne.io.read_raw_fif, path)
    raw = _opened(open_raw)
    skips_s = {(a["onset"] - raw.first_time, a["duration"]) for a in raw.annotations if a["description"] == _SKIP}
    gaps_s = np.array([(start_s, start_s + lasting_s) for start_s, lasting_s in sorted(skips_s)]).reshape(-1, 2)
    start_time = raw.info["meas_date"] and raw.info["meas_date"].replace(tzinfo=None)
    return Recording(
        **_channels(raw, open_raw, partial(_blanked, gaps_s, raw.info["sfreq"])),
        types=_types(raw),
        duration_s=raw.n_times / raw.info["sfreq"],
        annotations=annotation_table(_annotations(raw)),
        # The date is that of the measurement, whose first seconds need not be in the file.
        start_time=start_time and start_time + timedelta(seconds=raw.first_time),
        gaps_s=gaps_s,
        files=_files(path, raw),
    )


def read_eeglab(path: Path) -> Recording:
    """See `read_recording`. BadRecording where the file is damaged, holds epochs, or time was cut out of it.

    Samples inside the .set itself cannot be read in part: all are in memory while one channel is read.
    """
    if h5py.is_hdf5(path):
        raise BadRecording("format", "a MATLAB 7.3 file; save it in EEGLAB again, as version 7 or with a .fdt file")
    open_raw = partial(mne.io.read_raw_eeglab, path)
    raw = _opened(open_raw)
    return Recording(
        **_channels(raw, open_raw),
        types=_types(raw),
        duration_s=raw.n_times / raw.info["sfreq"],
        annotations=annotation_table(_annotations(raw)),
        files=_files(path, raw),
    )


def read_brainvision(path: Path) -> Recording:
    """See `read_recording`. Pauses of the recorder are gaps, as long as the dates in the marker file say.

    BadRecording where a file is damaged, missing or not beside the header, or pauses have no dates.
    """
    header = _text(path)
    if _number(header, "SamplingInterval") is None:
        raise BadRecording("damaged", "not a BrainVision header: it gives no SamplingInterval")
    data_file, marker_file = _file_beside(path, header, "DataFile"), _file_beside(path, header, "MarkerFile")
    # Markers are read below: MNE joins the segments without the time between them.
    open_raw = partial(mne.io.read_raw_brainvision, path, overrides={"marker_fname": False})
    raw = _opened(open_raw)
    _check_size(header, data_file, raw)
    rate_hz = raw.info["sfreq"]
    markers = [] if marker_file is None else _markers(marker_file)
    segments = [marker for marker in markers if marker.kind == _SEGMENT]
    pauses = _pauses(segments, rate_hz)
    first = segments[0] if segments else None
    return Recording(
        **_channels(raw, open_raw, partial(_spread, pauses), _voltages(header)),
        duration_s=_time_s(raw.n_times, pauses, rate_hz),
        annotations=annotation_table(_rows(markers, pauses, rate_hz)),
        start_time=first and first.date and first.date - timedelta(seconds=first.sample / rate_hz),
        gaps_s=_gaps_s(pauses, rate_hz),
        files=tuple(filter(None, (path, data_file, marker_file))),
    )


def _opened(open_raw: _Open) -> mne.io.BaseRaw:
    """The file without its samples. BadRecording where it is damaged."""
    with _refusing_damage(unsaid=_NOISE):
        raw = open_raw(preload=False, verbose="warning")
        raw.get_data(start=raw.n_times - 1, verbose="warning")  # the last sample is where the header says
    return raw


def _files(path: Path, raw: mne.io.BaseRaw) -> tuple[Path, ...]:
    """The file itself and those it goes on in. BadRecording where one lies in another folder."""
    others = [Path(name) for name in raw.filenames]
    if any(other.parent.resolve() != path.parent.resolve() for other in others):
        raise BadRecording("format", "it names a file in another folder; all files of a recording must lie together")
    return tuple(dict.fromkeys([path, *(path.with_name(other.name) for other in others)]))


@contextmanager
def _refusing_damage(unsaid: str) -> Iterator[None]:
    """BadRecording for whatever MNE raises or warns about a damaged file; its warnings like `unsaid` are dropped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=unsaid)
        warnings.filterwarnings("error", message=_DAMAGE)
        try:
            yield
        except OSError as error:
            if error.filename:  # the system's word; damage names no file
                raise
            if isinstance(error, FileNotFoundError):  # its message names a file, which may be called like the patient
                message = "not a whole recording: a file that it names is not beside it; was one moved or renamed?"
                raise BadRecording("not_found", message) from error
            raise BadRecording("damaged", f"not a whole file of its format: {error}") from error
        except Exception as error:  # all kinds, from assertions to missing attributes
            if "number of trials" in str(error):
                raise BadRecording("cut_out", "the file holds epochs, not one continuous recording") from error
            raise BadRecording("damaged", f"not a whole file of its format: {error}") from error


def _channels(
    raw: mne.io.BaseRaw,
    open_raw: _Open,
    place: Callable[[np.ndarray], np.ndarray] | None = None,
    voltages: Sequence[int] = (),
) -> dict:
    """What a recording says about its channels: all but those of triggers. `voltages` are known to be in volts."""
    picks = [i for i, kind in enumerate(raw.get_channel_types()) if kind != "stim"]
    units = ["uV" if i in voltages else _unit(raw.info["chs"][i]) for i in picks]
    return {
        "channels": tuple(raw.ch_names[i] for i in picks),
        "signals": Signals([partial(_samples, open_raw, i, unit, place) for i, unit in zip(picks, units, strict=True)]),
        "rates_hz": (float(raw.info["sfreq"]),) * len(picks),
        "units": tuple(units),
    }


def _types(raw: mne.io.BaseRaw) -> tuple[str, ...]:
    """What FIF and EEGLAB say that their channels are; for BrainVision, which does not say it, MNE guesses."""
    return tuple(channel_type(kind) for kind in raw.get_channel_types() if kind != "stim")


def _unit(channel: dict) -> str:
    """'uV', or the name of FIF's constant: 'CEL' for degrees Celsius, '' for none."""
    name = str(channel["unit"]).partition("FIFF_UNIT_")[2].rstrip(")")
    return {"V": "uV", "NONE": ""}.get(name, name)


def _samples(open_raw: _Open, index: int, unit: str, place: Callable[[np.ndarray], np.ndarray] | None) -> np.ndarray:
    """float32 (T,), voltages in uV, on the time base of the recording."""
    with _refusing_damage(unsaid=""):  # all else was said when the file was opened
        samples = open_raw(preload=False, verbose="warning").get_data(picks=[index], verbose="warning")[0]
    samples = (samples * (1e6 if unit == "uV" else 1.0)).astype(np.float32)
    return samples if place is None else place(samples)


def _annotations(raw: mne.io.BaseRaw) -> list[tuple[float, float, str]]:
    """Rows of annotations, but for skips. BadRecording where one says that time was cut out."""
    rows = [(a["onset"] - raw.first_time, a["duration"] or np.nan, a["description"]) for a in raw.annotations]
    # At the very start or end a cut moves nothing.
    cuts = [onset_s for onset_s, _, text in rows if text in _CUTS and 0 < onset_s < raw.times[-1]]
    if cuts:
        raise BadRecording(
            "cut_out",
            f"time was cut out at {len(cuts)} places, the first at {cuts[0]:g} s, so what follows is out of step with "
            "the night; use the file from before data were rejected or joined",
        )
    return [row for row in rows if row[2] != _SKIP]


def _blanked(gaps_s: np.ndarray, rate_hz: float, samples: np.ndarray) -> np.ndarray:
    """(T,) samples with NaN in the gaps."""
    samples[samples_in(gaps_s, rate_hz, samples.size)] = np.nan
    return samples


def _spread(pauses: Sequence[_Pause], samples: np.ndarray) -> np.ndarray:
    """(T,) samples with NaN put in where the recorder paused."""
    parts = np.split(samples, [pause.sample for pause in pauses])
    for i, pause in enumerate(pauses):
        parts[i] = np.concatenate([parts[i], np.full(pause.n_samples, np.nan, dtype=np.float32)])
    return np.concatenate(parts)


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # what older recorders call ANSI


def _setting(header: str, name: str) -> str | None:
    found = re.search(rf"^{name}=(.*)$", header, re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else None


def _number(header: str, name: str) -> float | None:
    """None where the header does not say it. BadRecording where it is no number above 0."""
    text = _setting(header, name)
    try:
        if not text or 0 < float(text) < np.inf:
            return float(text) if text else None
    except ValueError:
        pass
    raise BadRecording("damaged", f"{name} is {text!r}; expected a number above 0")


def _voltages(header: str) -> list[int]:
    """Positions of the channels in volts; MNE itself takes an EEG channel without coordinates for no voltage."""
    section = re.search(r"^\[Channel Infos\](.*?)(?:^\[|\Z)", header, re.MULTILINE | re.DOTALL)
    # Name, reference, resolution and, where it is there, unit of each channel.
    fields = [line.split(",") for line in re.findall(r"^Ch\d+=(.*)$", section[1] if section else "", re.MULTILINE)]
    return [i for i, (_, _, _, *unit) in enumerate(fields) if not unit or unit[0].strip() in ("", *_VOLTS)]


def _file_beside(path: Path, header: str, name: str) -> Path | None:
    """The file that a BrainVision header names, None where it names none. BadRecording where it is not beside it."""
    file = _setting(header, name)
    if not file:
        return None
    if re.search(r"[/\\:]", file) or not (path.parent / file).is_file():
        message = f"{name} is not beside the header; was the file renamed, but not in the header?"
        raise BadRecording("not_found", message)
    return path.parent / file


def _check_size(header: str, data_file: Path | None, raw: mne.io.BaseRaw) -> None:
    """BadRecording where the data file is not as long as the header says, or ends within a sample."""
    n_points, binary_format = _number(header, "DataPoints"), _setting(header, "BinaryFormat")
    if n_points and n_points != raw.n_times:
        code = "truncated" if raw.n_times < n_points else "record_count"
        raise BadRecording(code, f"the header says {n_points:g} samples a channel, the data file holds {raw.n_times}")
    if data_file and binary_format:
        # The format ends with its bits: INT_16, IEEE_FLOAT_32.
        n_bytes = raw.n_times * raw.info["nchan"] * int(binary_format.rpartition("_")[2]) // 8
        if data_file.stat().st_size != n_bytes:
            raise BadRecording("truncated", "the data file ends within a sample")


def _markers(path: Path) -> list[_Marker]:
    """Markers by their place in the file; `\\1` stands for a comma."""
    markers = []
    for kind, text, position, size, date in _MARKER.findall(_text(path)):
        sample = max(int(position) - 1, 0)  # counted from 1
        markers.append(_Marker(kind, text.replace(r"\1", ","), sample, int(size), _date(date)))
    return sorted(markers, key=lambda marker: marker.sample)


def _date(digits: str) -> datetime | None:
    """From year to microsecond in 20 digits; None where they are missing or zero."""
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S%f")
    except ValueError:
        return None


def _pauses(segments: Sequence[_Marker], rate_hz: float) -> list[_Pause]:
    """The time between segments, by their dates. BadRecording where one has none, or they contradict the samples."""
    if len(segments) > 1 and not all(segment.date for segment in segments):
        raise BadRecording(
            "cut_out",
            f"the recorder paused {len(segments) - 1} times, and the marker file does not date every segment; add the "
            "dates to its 'New Segment' markers, or read the segments as recordings of their own",
        )
    pauses = []
    for segment, following in pairwise(segments):
        recorded_s = (following.sample - segment.sample) / rate_hz
        assert following.date and segment.date  # asked for above
        pause_s = (following.date - segment.date).total_seconds() - recorded_s
        if pause_s < -TOLERANCE_S:
            raise BadRecording(
                "time_base",
                f"a segment lasts {recorded_s:g} s, but by the dates of both the next begins {-pause_s:g} s too early",
            )
        if pause_s > LONGEST_S:
            raise BadRecording("too_long", f"the recorder paused for {pause_s / 3600:.0f} h")
        if round(pause_s * rate_hz) > 0:
            pauses.append(_Pause(following.sample, round(pause_s * rate_hz)))
    return pauses


def _time_s(sample: int, pauses: Sequence[_Pause], rate_hz: float) -> float:
    """When a sample of the file was recorded, pauses before it included."""
    return (sample + sum(pause.n_samples for pause in pauses if pause.sample <= sample)) / rate_hz


def _rows(markers: Sequence[_Marker], pauses: Sequence[_Pause], rate_hz: float) -> list[tuple[float, float, str]]:
    """Rows of annotations: the text of each marker, or its kind where it has none; a single sample is a moment."""
    return [
        (_time_s(m.sample, pauses, rate_hz), m.n_samples / rate_hz if m.n_samples > 1 else np.nan, m.text or m.kind)
        for m in markers
        if m.kind != _SEGMENT
    ]


def _gaps_s(pauses: Sequence[_Pause], rate_hz: float) -> np.ndarray:
    """(n, 2): start and end of each pause."""
    ends_s = [_time_s(pause.sample, pauses, rate_hz) for pause in pauses]
    gaps = [(end_s - pause.n_samples / rate_hz, end_s) for pause, end_s in zip(pauses, ends_s, strict=True)]
    return np.array(gaps).reshape(-1, 2)

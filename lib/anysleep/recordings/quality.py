"""The montage doctor: advice on every channel of a night (`anysleep quality night.edf`)."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep.recordings.channels import STANDARD_TYPES, ChannelName, parse_channel, parse_channels
from anysleep.recordings.measures import ODD_RATIO, PLAUSIBLE_UV, Measures, measure
from anysleep.recordings.preprocessing import CLIP_IQR
from anysleep.recordings.readers import read_recording
from anysleep.recordings.reasons import BadRecording, noted
from anysleep.recordings.recording import NO_GAPS, Recording, position_of
from anysleep.stages import EPOCH_S
from anysleep.system.files import files_of_night

TYPICAL_UV = (3.0, 300.0)
"""Usual amplitudes: a wrong unit in the header has moved one from here by a factor of `UNIT_SLIPS`."""
UNIT_SLIPS = (
    (1e6, "a million times", "V for µV"),
    (1e3, "a thousand times", "mV for µV"),
    (1e-3, "a thousandth of", "µV for mV"),
    (1e-6, "a millionth of", "µV for V"),
)
"""Factor that a wrong unit in the header leaves behind, in words, and the mistake."""
MAX_OFFSET = CLIP_IQR
"""Interquartile ranges from zero to the median: beyond it who clips before scaling cuts the whole signal away."""
MAX_CLIPPED = 0.01
"""Share of samples: large waves and eye movements lose their tips."""
MAX_FLAT = 0.05
"""Share of seconds: more than plugging in and out takes."""
MAX_LINE_NOISE = 0.30
"""Share of the power above 1 Hz: below, the networks have seen it in training."""
MAX_MUSCLE = 0.65
"""Share of the power above 1 Hz: EEG and EOG have a few hundredths, white noise 0.59, EMG from 10 Hz on 0.7 or more."""
MAX_DISCONNECTED = 0.10
"""Share of epochs for a second look."""
USELESS_DISCONNECTED = 0.50
"""Share of epochs from which median and range of the night are no longer those of the sleeper."""
MIN_RATE_HZ = 64.0
"""Half of the 128 Hz that the networks were trained on."""
SAME_CORRELATION = 0.9999
"""Two electrodes on one head differ by more."""
SIGNATURE_SAMPLES = 4096
"""Remembered of each channel to find it again under another name."""

COLUMNS = (
    "channel", "verdict", "reason", "type", "site", "reference", "rate_hz", "unit", "amplitude", "iqr", "offset",
    "flat_share", "clipped_share", "line_noise_share", "line_noise_hz", "muscle_share", "n_epochs",
    "disconnected_epochs", "duplicate_of",
)  # fmt: skip
"""Columns of the quality table; see `examine`."""


class ChannelDoctor:
    """Examines the channels of one night, one after the other, and remembers a small signature of each."""

    def __init__(self, types: Mapping[str, str] | None = None):
        """`types` states what channels are, channel -> 'EEG' or 'EOG', whatever their names say."""
        self._types = dict(types or {})
        for channel, stated in self._types.items():
            if stated not in STANDARD_TYPES:
                raise BadRecording("channels", f"type of {channel} is {stated!r}; choose 'EEG' or 'EOG'")
        self._signatures: dict[tuple[float, int], dict[str, np.ndarray]] = {}  # by rate and length

    def examine(
        self,
        channel: str,
        signal: np.ndarray,
        rate_hz: float,
        unit: str,
        gaps_s: np.ndarray = NO_GAPS,
        name: ChannelName | None = None,
    ) -> dict[str, object]:
        """A row of the quality table for one channel (T,), in the units of `Recording`: 'uV' for every voltage.

        `name` is what is known of the channel beside its label, by default `parse_channel`.
        """
        name = name or parse_channel(channel)
        name = replace(name, type=self._types.get(channel, name.type))
        signal = np.asarray(signal, dtype=np.float32)
        measures = measure(signal, rate_hz, gaps_s)
        duplicate_of, inverted = self._find_duplicate(channel, signal, rate_hz, measures)
        faults = ["neither EEG nor EOG"] if name.type in ("EMG", "ECG", "other") else list(_faults(measures))
        doubts = [] if faults else [*_header_doubts(name.type, unit, rate_hz, measures), *_signal_doubts(measures)]
        if duplicate_of and not faults:
            how = ", upside down" if inverted else ""
            doubts.append(f"the same signal as {duplicate_of}{how}: it adds nothing, so leave one of the two out")
        notes = []
        if not faults and unit == "" and _plausible_without_unit(measures.amplitude):
            notes.append("the file gives no unit; as a voltage its amplitude is plausible (staging does not mind)")
        row = {"channel": channel, **vars(name), "rate_hz": float(rate_hz), "unit": unit, **vars(measures)}
        row |= {"duplicate_of": duplicate_of, "reason": "; ".join(faults or [*doubts, *notes])}
        row["verdict"] = "drop" if faults else "look" if doubts else "use"
        return {column: row[column] for column in COLUMNS}

    def _find_duplicate(
        self, channel: str, signal: np.ndarray, rate_hz: float, measures: Measures
    ) -> tuple[str | None, bool]:
        """An earlier channel with the same samples, whatever their scale, and whether it is upside down."""
        if not measures.amplitude > 0:
            return None, False
        positions = np.linspace(0, len(signal) - 1, SIGNATURE_SAMPLES).astype(int)
        scaled = np.nan_to_num((signal[positions] - measures.offset) / measures.amplitude)
        signature = np.clip(scaled, -CLIP_IQR, CLIP_IQR)  # one artefact must not make two channels alike
        signature -= signature.mean()
        signature /= np.linalg.norm(signature) or 1  # so that products are correlations
        earlier = self._signatures.setdefault((rate_hz, len(signal)), {})
        duplicates = {name: r for name, other in earlier.items() if abs(r := signature @ other) > SAME_CORRELATION}
        earlier.setdefault(channel, signature)
        return next(((name, r < 0) for name, r in duplicates.items()), (None, False))


def examine(night: Recording, types: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Look at every channel of a night, reading one at a time. Samples inside its `gaps_s` are left out.

    `types` says channel -> 'EEG' or 'EOG', where the file (the night's `types`, which count before names) and the name
    do not say it or are wrong.

    Returns
    -------
    One row a channel: channel, verdict ('use', 'look' or 'drop'), reason (what to do about it, or what is good to
    know; mostly empty for 'use'), type, site, reference (`parse_channels`), rate_hz, unit, amplitude, iqr, offset,
    flat_share, clipped_share, line_noise_share, line_noise_hz, muscle_share, n_epochs, disconnected_epochs
    (`Measures`), duplicate_of (an earlier channel). BadRecording where `types` names a channel that the night does not
    have, or another type.
    """
    doctor = ChannelDoctor(types)
    for channel in types or {}:
        position_of(channel, night.channels)
    names = parse_channels(night.channels, night.types)
    rows = [
        doctor.examine(channel, night.signals[i], night.rates_hz[i], night.units[i], night.gaps_s, names[i])
        for i, channel in enumerate(night.channels)
    ]
    for row in rows:
        n_same = night.channels.count(row["channel"])
        if n_same > 1:
            row["verdict"], row["reason"] = "drop", f"{n_same} channels have this name: which is meant is not clear"
    return pd.DataFrame(rows, columns=list(COLUMNS))


def usable_channels(table: pd.DataFrame) -> list[str]:
    """Channels with verdict 'use' or 'look' that are EEG or EOG, EEG first, else in the order of the table."""
    return [channel for kind in STANDARD_TYPES for channel in _usable(table, kind).channel]


def reasons_against(table: pd.DataFrame) -> str:
    """Why each channel that may be EEG or EOG is not simply to use; '' where there is none. Each reason once."""
    doubtful = table[table.type.isin([*STANDARD_TYPES, "unknown"]) & (table.verdict != "use")]
    by_reason = doubtful.groupby("reason", sort=False).channel
    return "; ".join(f"{', '.join(dict.fromkeys(channels))}: {reason}" for reason, channels in by_reason)


def verdict_of_night(table: pd.DataFrame) -> tuple[str, str]:
    """'use', 'look' or 'drop' for the whole night, and why."""
    eeg, eog = (_usable(table, kind) for kind in STANDARD_TYPES)
    if eeg.empty:
        unknown = table.channel[(table.type == "unknown") & (table.verdict != "drop")]
        hint = f" (if {' or '.join(unknown)} is one, say so)" if len(unknown) else ""
        if eog.empty:
            return "drop", f"no EEG or EOG that can be used{hint}"
        return "look", f"no EEG that can be used{hint}: AnySleep stages from EOG alone, but less well"
    if eog.empty:
        return "look", "no EOG that can be used: REM is harder to tell, and U-Sleep needs one"
    for kind, channels in zip(STANDARD_TYPES, (eeg, eog), strict=True):
        if not (channels.verdict == "use").any():
            return "look", f"every {kind} needs a look: {', '.join(channels.channel)}"
    good, doubtful = ([sum(kind.verdict == verdict) for kind in (eeg, eog)] for verdict in ("use", "look"))
    first = f"; look at {sum(doubtful)} more first" if sum(doubtful) else ""
    return "use", f"{good[0]} EEG and {good[1]} EOG{first}"


def describe(table: pd.DataFrame) -> str:
    """The table as text: a line a channel, its reasons indented below."""
    width = max(map(len, table.channel), default=0)
    lines = []
    for row in table.itertuples():
        size = f"{_number(row.amplitude)} {row.unit.replace('uV', 'µV')}"
        lines.append(f"{row.verdict:6}{row.channel:{width}}  {row.type:9}{row.rate_hz:g} Hz  {size}")
        lines += [f"{'':6}- {sentence}" for sentence in row.reason.split("; ") if sentence]
    return "\n".join(lines)


def _faults(m: Measures) -> Iterator[str]:
    """Why a channel cannot be used at all."""
    if m.duration_s == 0:
        yield "it holds no samples: leave it out"
    elif m.not_finite:
        yield f"{m.not_finite:,} samples outside the pauses are NaN or infinite: repair the file or leave it out"
    elif m.iqr == 0 and m.flat_share == 1:
        yield f"constant at {_number(m.offset)} for the whole night: nothing was plugged in, so leave it out"
    elif m.n_epochs == 0:
        yield "no epoch of 30 s is without a pause of the recorder: leave it out"
    elif m.disconnected_epochs >= USELESS_DISCONNECTED * m.n_epochs:
        yield f"disconnected for {m.disconnected}: an electrode came off, so use another channel"
    elif m.iqr == 0:
        yield "half of all samples have the same value: it cannot be scaled, so leave it out"


def _header_doubts(channel_type: str, unit: str, rate_hz: float, m: Measures) -> Iterator[str]:
    """What name, unit, rate and length leave open."""
    if channel_type == "unknown":
        yield "the name does not say what was recorded: say it in the recipe or name it in `channels`"
    elif unit == "":
        if not _plausible_without_unit(m.amplitude):
            yield f"no unit, and an amplitude of {_number(m.amplitude)}: make sure that this is an {channel_type}"
    elif unit != "uV":
        yield f"the unit {unit!r} is no voltage: make sure that this is an {channel_type} (staging does not mind)"
    elif not PLAUSIBLE_UV[0] <= m.amplitude <= PLAUSIBLE_UV[1]:
        yield f"amplitude {_number(m.amplitude)} µV is {_scale_advice(m.amplitude, channel_type)}"
    if rate_hz < MIN_RATE_HZ:
        yield f"{rate_hz:g} Hz is too slow for spindles and muscle activity: export the file at its full rate"
    if m.duration_s < EPOCH_S:
        yield f"{m.duration_s:.3g} s is shorter than one epoch of {EPOCH_S} s: nothing can be staged"


def _plausible_without_unit(amplitude: float) -> bool:
    """Whether it is that of EEG or EOG in µV, mV or V."""
    return any(TYPICAL_UV[0] <= amplitude * microvolts <= TYPICAL_UV[1] for microvolts in (1, 1e3, 1e6))


def _scale_advice(amplitude: float, channel_type: str) -> str:
    for factor, size, units in UNIT_SLIPS:
        if TYPICAL_UV[0] <= amplitude / factor <= TYPICAL_UV[1]:
            advice = f"the header probably says {units} (staging does not mind, exports do)"
            return f"about {size} that of a usual {channel_type}: {advice}"
    if amplitude < PLAUSIBLE_UV[0]:
        return f"too quiet for an {channel_type}: electrodes bridged by gel, or a wrong range in the header"
    return f"too loud for an {channel_type}: a loose electrode, or a wrong range in the header"


def _signal_doubts(m: Measures) -> Iterator[str]:
    """What a look at the trace would show."""
    if abs(m.offset) > MAX_OFFSET * m.iqr:
        yield (
            f"an offset of {_number(m.offset)} is {_number(abs(m.offset) / m.iqr)} times the interquartile range: "
            "staging removes it, other programs may not"
        )
    if m.clipped_share > MAX_CLIPPED:
        yield f"{100 * m.clipped_share:.0f} % of the samples are cut off: widen the range of amplifier or export"
    if m.flat_share > MAX_FLAT:
        yield f"{100 * m.flat_share:.0f} % of the night is flat, {m.flat_when}: a loose contact, so use another channel"
    if m.odd_epochs and m.disconnected_epochs > MAX_DISCONNECTED * m.n_epochs:  # flat ones alone are said above
        yield (
            f"flat, or over {ODD_RATIO:g} times louder or quieter than the night, for {m.disconnected}: "
            "a loose electrode, so use another channel"
        )
    if m.line_noise_share > MAX_LINE_NOISE:
        hum = f"{m.line_noise_hz:g} Hz hum ({100 * m.line_noise_share:.0f} % of the power)"
        yield f"strong {hum}: high impedance or a missing ground"
    if m.muscle_share > MAX_MUSCLE:
        share = f"{100 * m.muscle_share:.0f} % of the power"
        yield f"{share} lies above 25 Hz, as in an EMG: make sure that the channel is what its name says"


def _usable(table: pd.DataFrame, channel_type: str) -> pd.DataFrame:
    return table[(table.type == channel_type) & (table.verdict != "drop")]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def main(arguments: list[str]) -> int:
    """Print the table of one night; returns the exit status. Errors as of `read_recording`."""
    parser = argparse.ArgumentParser(
        prog="anysleep quality",
        usage="%(prog)s [-h] file [part ...] (a path with blanks in quotes)",
        description="Advice on every channel.",
    )
    parser.add_argument("files", nargs="+", type=Path, help="recording in any format that can be read, or its parts")
    files = files_of_night(parser.parse_args(arguments).files)
    if len(files) > 1 and (gone := [str(file) for file in files if not file.exists()]):
        parser.error(f"no file {gone[0]}")
    with noted() as notes:
        table = examine(read_recording(files, labels="lenient"))
    verdict, reason = verdict_of_night(table)
    print(describe(table))
    for note in notes:
        print(f"note: {note}")
    counts = ", ".join(f"{(table.verdict == kind).sum()} to {kind}" for kind in ("use", "look", "drop"))
    print(f"{verdict}: {reason} (of {len(table)} channels: {counts})")
    return 0

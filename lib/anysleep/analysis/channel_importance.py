"""Does one channel carry the night? What becomes of the stages when each channel is left out.

Attention weighs channels by their mean activity (AnySleep, arXiv 2512.14461), and may settle on one that shows no
sleep. A good channel may matter much too, as the only EOG does for REM; so one is flagged only where many stages hang
on it *and* something speaks against it. Two bad channels hide each other, and where most are bad the good one stands
out: the flag says where to look, not what to believe.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from anysleep.analysis.statistics import uncertainty
from anysleep.evaluation.metrics import stage_metrics
from anysleep.models import SleepNetwork
from anysleep.settings import Precision
from anysleep.staging.nights import Night
from anysleep.staging.stage import Places, Staging

MIN_CHANNELS = 3
"""Where two channels disagree, nobody can tell which is right."""
MIN_CHANGED = 0.8
"""Equal shares (1 / channels) of the epochs: more than good channels changed in synthetic nights."""
MIN_RATIO = 5.0
"""Times as many epochs as without any other channel: the others agree without it, but not with it."""
MIN_SURER_BITS = 0.1
"""Mean entropy: a good channel makes the network surer, not less sure."""
DISTRUSTED = ("look", "drop")
"""Verdicts of the montage doctor that speak against a channel."""
CANNOT_TELL = f"takes {MIN_CHANNELS} channels: where two disagree, nobody can tell which is right"
CHANGES = ("changed_share", "kappa", "surer_bits")


def leave_one_out(n_channels: int) -> list[tuple[int, ...]]:
    """The montages that `channel_importance` compares: all channels, then all but the first, all but the second ..."""
    everything = tuple(range(n_channels))
    smaller = [everything[:i] + everything[i + 1 :] for i in everything]
    return [everything, *filter(None, smaller)]  # of a single channel nothing would be left


def stage_leaving_out(
    night: Night, model: SleepNetwork, precision: Precision = "32", aligned: bool = False
) -> dict[Places, Staging]:
    """The stagings of `leave_one_out`, at 30 s. Errors as of `Night.stage`."""
    montages = {places: tuple(night.channels[i] for i in places) for places in leave_one_out(len(night.channels))}
    stagings = night.stage(model, montages.values(), precision=precision, aligned=aligned)
    return {places: stagings[names] for places, names in montages.items()}


def channel_importance(
    stagings: Mapping[tuple[int, ...], Staging], channels: Sequence[str], quality: pd.DataFrame | None = None
) -> pd.DataFrame:
    """How much the stages of a night hang on each channel, in epochs of 30 s.

    `stagings` are those of `stage_leaving_out`, `channels` the names of the signals, `quality` the montage doctor's
    table (`anysleep.recordings.quality.examine`) of these channels, and maybe of others.

    One row a channel: channel; mean_attention, its weight in the staging with all channels, mean over modules;
    attention_ratio, the same in equal shares of 1 / channels; largest_attention, in any module; changed_share, of the
    epochs, whose stage is another one without the channel; kappa, of the stages with and without it; surer_bits, by how
    much the mean entropy falls without it; doctor, the verdict, empty without `quality`; flag, of at most one channel,
    on which the night hangs and should not; reason, in words, empty where there is nothing to say. With one or two
    channels nothing is flagged, and the reason says why.

    ValueError where a montage or its predictions at 30 s are missing, or the network has no attention: U-Sleep reads
    two channels at a time, so that none can be left out. KeyError where `quality` lacks a channel.
    """
    everything, *without = _in_order(stagings, len(channels))
    verdicts = dict.fromkeys(channels, "") if quality is None else quality.set_index("channel").verdict.to_dict()
    attention = everything.attention.astype(float)  # (M, C)
    weights = {
        "channel": list(channels),
        "mean_attention": attention.mean(axis=0),
        "attention_ratio": attention.mean(axis=0) * len(channels),
        "largest_attention": attention.max(axis=0),
    }
    changes = pd.DataFrame([_change(everything, staging) for staging in without], columns=CHANGES, dtype=float)
    doctor = [verdicts[channel] for channel in channels]
    return _judged(pd.DataFrame(weights).join(changes).assign(doctor=doctor))


def verdict_of_importance(table: pd.DataFrame) -> tuple[str, str]:
    """For the whole night 'look', 'nothing found' or, of one or two channels, 'unknown'; and a sentence: why."""
    if len(table) < MIN_CHANNELS:
        return "unknown", f"Whether one channel carries the night cannot be told: that {CANNOT_TELL}."
    if table.flag.any():
        flagged = table[table.flag].iloc[0]
        return "look", f"The night hangs on {flagged.channel}: {flagged.reason}."
    most = table.loc[table.changed_share.idxmax()]
    changes = f"without {most.channel}, the one that matters most, {most.changed_share:.0%} of the epochs change"
    return (
        "nothing found",
        f"No suspicious channel carries the night: {changes}. (Two bad channels can hide each other.)",
    )


def _in_order(stagings: Mapping[tuple[int, ...], Staging], n_channels: int) -> list[Staging]:
    """Those of `leave_one_out`. ValueError where they cannot be compared."""
    if any(staging.attention is None for staging in stagings.values()):
        raise ValueError("U-Sleep has no attention and reads two channels, of which none can be left out")
    montages = leave_one_out(n_channels)
    for montage in montages:
        if montage not in stagings or 1 not in stagings[montage].logits:
            raise ValueError(
                f"there is no staging of the channels {montage} at 30 s; "
                f"call stage_montages with montages=leave_one_out({n_channels}) and 1 among the resolutions"
            )
    return [stagings[montage] for montage in montages]


def _change(everything: Staging, without: Staging) -> tuple[float, float, float]:
    """Share of changed epochs, kappa, and the entropy in bits that is gone."""
    stages, other_stages = everything.hypnogram(1), without.hypnogram(1)
    entropies = [uncertainty(staging.hypnodensity(1)).mean_entropy_bits for staging in (everything, without)]
    changed_share = float((stages != other_stages).mean())
    return changed_share, stage_metrics(stages, other_stages).kappa, float(entropies[0] - entropies[1])


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """The table with flag and reason."""
    if len(table) < MIN_CHANNELS:
        return table.assign(flag=False, reason=CANNOT_TELL)
    matters = table.changed_share >= MIN_CHANGED / len(table)
    doubts = pd.Series([", ".join(_doubts(table, i)) for i in table.index])
    suspects = table[matters & (doubts != "")]
    distrusted = suspects[suspects.doctor.isin(DISTRUSTED)]
    candidates = suspects if distrusted.empty else distrusted
    carrier = None if candidates.empty else candidates.mean_attention.idxmax()
    table = table.assign(flag=table.index == carrier)
    rows = zip(table.itertuples(), matters, doubts, strict=True)
    return table.assign(reason=[_reason(*row) for row in rows])


def _doubts(table: pd.DataFrame, i: int) -> Iterator[str]:
    """What speaks against the channel in row `i`."""
    row, most_of_others = table.loc[i], table.changed_share.drop(i).max()
    if row.changed_share >= MIN_RATIO * most_of_others:
        yield f"at most {most_of_others:.0%} without any other"
    if row.surer_bits >= MIN_SURER_BITS:
        yield "the network is surer without it"
    if row.doctor in DISTRUSTED:
        yield f"the doctor says {row.doctor}"


def _reason(row: Any, matters: bool, doubts: str) -> str:
    changes = f"{row.changed_share:.0%} of the epochs change without it"
    if row.flag:
        return f"{changes}, {doubts}: look at its trace, and leave it out if it is bad"
    if matters:
        return f"{changes}, but {'another channel is more in doubt' if doubts else 'nothing speaks against it'}"
    return f"the doctor says {row.doctor}, but only {changes}" if row.doctor in DISTRUSTED else ""

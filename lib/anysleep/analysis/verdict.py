"""An honest verdict on a staged night: use its stages, look at it first, or do not trust them; and why.

Three witnesses are asked: the montage doctor about the channels, the network's encoder about how far they are from what
it was trained on, and the hypnogram, whether anybody sleeps like that. The limits of the last are wide: they lie
outside of what adults of any age do in a night (Ohayon et al. 2004, doi 10.1093/sleep/27.7.1255; Boulos et al. 2019,
doi 10.1016/S2213-2600(19)30057-8), and patients may cross those that ask for a look only.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from anysleep.analysis.statistics import uncertainty
from anysleep.datasets.archive import Archive
from anysleep.models import SleepNetwork
from anysleep.stages import EPOCH_S, N2, N3, N_STAGES, REM, STAGES, UNSCORED, WAKE
from anysleep.staging.familiarity import can_describe, describe_channels, distances_from_seen
from anysleep.staging.nights import Night

VERDICTS = ("use", "look", "do not trust")
Finding = tuple[str, str]
"""A verdict and its reason."""
EPOCHS_PER_H = 3600 / EPOCH_S
ENOUGH_H = 1.0
"""Of recording, or of sleep, before shares of stages tell anything."""
ONE_STAGE = 0.95
MUCH_REM, MOST_REM, MOST_N3 = 0.4, 0.5, 0.6
"""Shares of sleep; the means of healthy adults are some 0.2 each."""
LEAST_N2 = 0.02
SHORT_SLEEP_H = 1 / 6
"""Even of these ten minutes some are N2."""
REM_AT_ONCE_MIN = 15
"""Sleep-onset REM, as in narcolepsy (International Classification of Sleep Disorders)."""
MOST_CHANGES_PER_H = 60
"""Of stage; a stage then lasts one minute in the mean."""
LEAST_CONFIDENCE = 0.5
FAR = 2.0
"""Times the distance within which 99 % of the training's channels lie; from there on stages mean nothing."""
SHORTEST_MIN = 10
"""Of stages: of less, neither hypnogram nor statistics are those of a night."""


def night_verdict(
    hypnogram: np.ndarray, mean_confidence: float, quality: pd.DataFrame | None, distances: pd.Series | None
) -> Finding:
    """The worst of the findings, with all reasons of that verdict.

    `hypnogram` is int (E,), at 30 s, 9 where unscored; `mean_confidence` the mean probability of the chosen stage;
    `quality` the montage doctor's table of the channels used, None where there is none; `distances` that of every
    channel from what the network has seen, see `anysleep.staging.familiarity`, None where it cannot tell.
    """
    findings = [*findings_of_hypnogram(np.asarray(hypnogram)), *_of_channels(quality), *_of_distances(distances)]
    if mean_confidence < LEAST_CONFIDENCE:
        findings.append(("look", f"the network is unsure: {mean_confidence:.2f} for the stage chosen, in the mean"))
    return worst_of(findings)


def judge_night(model: SleepNetwork, night: Night, hypnogram: np.ndarray, hypnodensity: np.ndarray) -> Finding:
    """`night_verdict` of a night that `model` has staged at 30 s, (E,) and (E, 5)."""
    distances = None
    if model.seen and can_describe(model):
        found = distances_from_seen(model.seen, describe_channels(model, night.signals), night.types)
        distances = pd.Series(found, index=night.channels)
    return night_verdict(hypnogram, uncertainty(hypnodensity, hypnogram).mean_confidence, night.quality, distances)


def archived_verdicts(archive: Archive, nights: pd.DataFrame) -> pd.DataFrame:
    """What can be said of rows of `Archive.recordings()` before any network: dataset, recording, verdict, reason.

    The witnesses are the experts' hypnogram, where there is one, and the montage doctor.
    """
    rows = []
    for night in nights.itertuples():
        key = night.dataset, night.recording
        hypnogram = archive.hypnogram(*key)
        of_hypnogram = [] if hypnogram is None else findings_of_hypnogram(hypnogram)
        rows.append((*key, *worst_of([*of_hypnogram, *_of_channels(archive.quality(*key))])))
    return pd.DataFrame(rows, columns=["dataset", "recording", "verdict", "reason"])


def worst_of(findings: Iterable[Finding]) -> Finding:
    """The worst verdict, 'use' where there is no finding, and all its reasons."""
    findings = list(findings)
    worst = max((verdict for verdict, _ in findings), key=VERDICTS.index, default="use")
    return worst, "; ".join(reason for verdict, reason in findings if verdict == worst)


def findings_of_hypnogram(hypnogram: np.ndarray) -> Iterator[Finding]:
    """What nobody's sleep looks like, of stages (E,) at 30 s."""
    scored = hypnogram[hypnogram != UNSCORED]
    if not len(scored):
        yield "do not trust", "no epoch has a stage"
        return
    if (minutes := len(scored) * EPOCH_S / 60) < SHORTEST_MIN:
        yield "look", f"{minutes:g} min are too short to be judged as a night"
    counts = np.bincount(scored, minlength=N_STAGES)
    if len(scored) >= ENOUGH_H * EPOCHS_PER_H and counts.max() > ONE_STAGE * len(scored):
        yield "do not trust", f"{STAGES[counts.argmax()]} in {counts.max() / len(scored):.0%} of the night"
        return
    changes = np.count_nonzero(np.diff(scored)) / len(scored) * EPOCHS_PER_H
    if changes > MOST_CHANGES_PER_H:
        yield "look", f"the stage changes {changes:.0f} times an hour"
    asleep = counts.sum() - counts[WAKE]
    if asleep >= ENOUGH_H * EPOCHS_PER_H:
        yield from _of_shares(counts / asleep)
    elif asleep >= SHORT_SLEEP_H * EPOCHS_PER_H and counts[N2] < LEAST_N2 * asleep:
        yield "look", f"{asleep * EPOCH_S / 60:g} min of sleep without N2"
    yield from _of_rem_latency(hypnogram)


def _of_shares(shares: np.ndarray) -> Iterator[Finding]:
    """`shares` of sleep (5,)."""
    if shares[N2] < LEAST_N2:
        yield "do not trust", f"{shares[N2]:.0%} of the sleep is N2"
    if shares[REM] > MUCH_REM:
        yield "do not trust" if shares[REM] > MOST_REM else "look", f"{shares[REM]:.0%} of the sleep is REM"
    if shares[N3] > MOST_N3:
        yield "look", f"{shares[N3]:.0%} of the sleep is N3"


def _of_rem_latency(hypnogram: np.ndarray) -> Iterator[Finding]:
    sleep = np.flatnonzero((hypnogram != WAKE) & (hypnogram != UNSCORED))
    rem = np.flatnonzero(hypnogram == REM)
    if len(rem) and (minutes := (rem[0] - sleep[0]) * EPOCH_S / 60) < REM_AT_ONCE_MIN:
        yield "look", f"REM {minutes:g} min after the first sleep"


def _of_channels(quality: pd.DataFrame | None) -> Iterator[Finding]:
    as_here = {"look": "look", "drop": "do not trust"}
    for row in () if quality is None or quality.empty else quality[quality.verdict.isin(list(as_here))].itertuples():
        yield as_here[row.verdict], f"{row.channel}: {row.reason}"


def _of_distances(distances: pd.Series | None) -> Iterator[Finding]:
    """Channels of one kind are named together."""
    far = pd.Series(dtype=float) if distances is None else distances[~(distances <= 1)]  # NaN is far, too
    is_near = far <= FAR
    kinds = [(far.isna(), "do not trust"), (np.isinf(far), "do not trust"), (is_near, "look")]
    for rows, verdict in [*kinds, (np.isfinite(far) & ~is_near, "do not trust")]:
        if rows.any():
            yield verdict, f"{', '.join(far.index[rows])}: {_how_far(far[rows].min(), far[rows].max())}"


def _how_far(least: float, most: float) -> str:
    if np.isnan(least):
        return "nothing in it can be compared with the training's channels"
    if np.isinf(least):
        return "the network was never trained on this type of channel"
    times = f"{least:.2f}" if f"{least:.2f}" == f"{most:.2f}" else f"{least:.2f} to {most:.2f}"
    return f"{times} times the distance within which 99 % of the training's channels lie"

"""Arousals of a cohort: predicted and expert events, scores, errors, index, and stages inside (AnySleep, arousals).

All follows from three tables: `nights` (dataset, recording, subject, a row a recording), `expert` (dataset, recording,
onset_s, end_s) and `events` (the same with network and predictions_per_epoch).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from anysleep.analysis.arousals.annotations import ExpertArousals
from anysleep.analysis.arousals.events import (
    HEADLINE_IOU,
    SHORTEST_S,
    detect_arousals,
    match_arousals,
    runs_of,
    score_arousals,
)
from anysleep.datasets.archive import Archive
from anysleep.datasets.splits import recordings_of
from anysleep.evaluation.metrics import bootstrap_ratios
from anysleep.evaluation.score_tables import persons_of
from anysleep.stages import EPOCH_S, N1, N_STAGES, REM, STAGES
from anysleep.staging.predictions import Predictions

THRESHOLDS = tuple(np.arange(11) / 10)
"""The IoU that a match has to exceed. Divided, not added up: three times 0.1 is not 0.3 to a computer."""
HEADLINE_MATCHING = "one_to_one"
AS_PUBLISHED = "as_published"
"""Many-to-one over all marks of the experts, at every threshold with the false negatives of threshold 0, as published
by mistake; nights without any mark are in the means, with 0."""
MATCHINGS = (HEADLINE_MATCHING, "many_to_one", AS_PUBLISHED)
MEASURES = ("precision", "recall", "f1")
NIGHT = ["dataset", "recording"]
SPAN = ["onset_s", "end_s"]
LUCK_SHIFTS_S = (-900.0, -600.0, -300.0, 300.0, 600.0, 900.0)
"""Longer than any event, shorter than what changes over a night."""
NO_EVENTS = np.empty((0, 2))
POINT = ["network", "predictions_per_epoch", "seconds_per_prediction"]


def nights_to_score(
    archive: Archive | ExpertArousals, predictions: Predictions, recordings: pd.DataFrame, datasets: Sequence[str] = ()
) -> tuple[pd.DataFrame, int]:
    """The rows of `recordings` whose arousals an expert scored and that have predictions; index from 0.

    A night in which the expert saw none is among them, one that nobody scored is not; the second value counts those.
    `datasets` are those to score, by default all. No rows where nobody scored arousals; ValueError where somebody did,
    but no recording is left.
    """
    asked = recordings_of(recordings, datasets)
    known = [archive.arousals(row.dataset, row.recording) is not None for row in asked.itertuples()]
    if not any(known):
        return asked[:0], len(asked)
    return predictions.of(asked[known]).reset_index(drop=True), len(asked) - sum(known)


def expert_table(archive: Archive | ExpertArousals, nights: pd.DataFrame) -> pd.DataFrame:
    """The experts' arousals, in order of time: columns dataset, recording, onset_s, end_s, n_marks.

    One that was marked several times, from the same second to the same second, is one event: MASS has such marks on
    two channels. `n_marks` says how often.
    """
    found = []
    for row in nights.itertuples():
        spans, n_marks = np.unique(archive.arousals(row.dataset, row.recording), axis=0, return_counts=True)
        found.append(({"dataset": row.dataset, "recording": row.recording, "n_marks": n_marks}, spans))
    return _span_table(found, NIGHT, ["n_marks"])


def predictable(expert: pd.DataFrame, predictions: Predictions) -> pd.DataFrame:
    """The expert events without those that lie wholly in unscored predictions: there was nothing to find them in.

    That is where the recorder paused, or beyond the end of the predictions. The finest resolution, which comes closest
    to the pause, decides for all, so that all are scored on the same events.
    """
    finest = predictions.resolutions[-1]
    parts = []
    for (dataset, recording), rows in expert.groupby(NIGHT, sort=False):
        stages, spans_s = predictions.hypnogram(dataset, recording, finest), rows[SPAN].to_numpy(dtype=float)
        parts.append(rows[scored_seconds(stages, finest, spans_s) > 0])
    return pd.concat(parts, ignore_index=True) if parts else expert


def event_table(predictions: Predictions, nights: pd.DataFrame) -> pd.DataFrame:
    """Arousals at every resolution: columns network, dataset, recording, predictions_per_epoch, onset_s, end_s."""
    network, found = predictions.network, []
    for row in nights.itertuples():
        for r in predictions.resolutions:
            named = {"network": network, "dataset": row.dataset, "recording": row.recording, "predictions_per_epoch": r}
            found.append((named, detect_arousals(predictions.hypnogram(row.dataset, row.recording, r), r)))
    return _span_table(found, ["network", *NIGHT, "predictions_per_epoch"])


def count_table(
    nights: pd.DataFrame,
    expert: pd.DataFrame,
    events: pd.DataFrame,
    resolutions: Sequence[int],
    network: str,
    marked: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What matches what: a row a night, resolution, matching and threshold of the IoU.

    `marked` is the whole `expert_table`, of which every mark counts as published; by default `expert` once.
    Columns network, dataset, recording, subject, predictions_per_epoch, matching, iou_above, n_expert, n_predicted,
    true_positives, false_positives, false_negatives.
    """
    tables = []
    marks = _by_key(expert if marked is None else marked.loc[marked.index.repeat(marked.n_marks)], NIGHT)
    for row, r, true, found in _pairs(nights, expert, events, resolutions):
        named = {"network": network, "dataset": row.dataset, "recording": row.recording, "subject": row.subject}
        named |= {"predictions_per_epoch": r, "iou_above": THRESHOLDS, "n_predicted": len(found)}
        every_mark = marks.get((row.dataset, row.recording), NO_EVENTS)
        for matching, those in zip(MATCHINGS, (true, true, every_mark), strict=True):
            tp, fp, fn = score_arousals(
                those, found, THRESHOLDS, "one_to_one" if matching == "one_to_one" else "many_to_one"
            )
            fn = np.full_like(fn, fn[0]) if matching == AS_PUBLISHED else fn
            counted = {"true_positives": tp, "false_positives": fp, "false_negatives": fn}
            tables.append(pd.DataFrame(named | {"matching": matching, "n_expert": len(those)} | counted))
    columns = ["network", *NIGHT, "subject", "predictions_per_epoch", "matching", "iou_above"]
    counts = ["n_expert", "n_predicted", "true_positives", "false_positives", "false_negatives"]
    return pd.concat(tables, ignore_index=True)[[*columns, *counts]]


def arousal_score_table(counts: pd.DataFrame, group_by: str, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Means over recordings of precision, recall and F1, with their intervals by person.

    F1 = 2 TP / (2 TP + FP + FN). Precision counts 0 where nothing was predicted, as published. Recordings without any
    expert event have neither recall nor F1 and are left out of all means, but as published they are in with 0;
    `n_recordings` are those that are in.

    Columns network, predictions_per_epoch, seconds_per_prediction, matching, iou_above, n_recordings, n_persons,
    measure, estimate, low, high. ValueError where no recording has an expert event.
    """
    if not (counts.n_expert > 0).any():
        raise ValueError("no recording has an expert event, so there is nothing to find")
    tp, fp, fn = counts.true_positives, counts.false_positives, counts.false_negatives
    rated = counts.assign(
        precision=_ratio(tp, tp + fp), recall=_ratio(tp, tp + fn), f1=_ratio(2 * tp, 2 * tp + fp + fn)
    )
    counted = rated[(rated.n_expert > 0) | (rated.matching == AS_PUBLISHED)]
    parts = [_means(rows, group_by, n_bootstrap, seed) for _, rows in counted.groupby("matching", sort=False)]
    return pd.concat(parts, ignore_index=True)


def _means(rated: pd.DataFrame, group_by: str, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Rows of `arousal_score_table` from nights that all count, of one matching."""
    points = ["network", "predictions_per_epoch", "matching", "iou_above"]
    rated = rated.assign(person=persons_of(rated, group_by))
    by_night = rated.pivot(index=[*NIGHT, "person"], columns=points, values=list(MEASURES))
    persons = by_night.index.get_level_values("person")
    means = bootstrap_ratios(by_night.to_numpy(), np.ones(len(persons)), persons, n_bootstrap, seed)
    named = by_night.columns.to_frame(index=False, name=["measure", *points])
    named["seconds_per_prediction"] = EPOCH_S / named.predictions_per_epoch
    named["n_recordings"], named["n_persons"] = len(persons), persons.nunique()
    columns = [*POINT, "matching", "iou_above", "n_recordings", "n_persons", "measure"]
    return pd.concat([named[columns], means], axis=1)


def headline(scores: pd.DataFrame, matching: str = HEADLINE_MATCHING) -> pd.DataFrame:
    """The rows of `arousal_score_table` at the published threshold of the IoU."""
    return scores[(scores.matching == matching) & (scores.iou_above == HEADLINE_IOU)]


def headline_resolution(resolutions: Sequence[int]) -> int:
    """The coarsest with a prediction at least every 3 s, the shortest arousal; the finest where none is so fine."""
    return min((r for r in resolutions if SHORTEST_S * r >= EPOCH_S), default=max(resolutions))


def headline_score(scores: pd.DataFrame) -> pd.Series:
    """The row with the headline's F1 of `arousal_score_table`, whatever it is: one-to-one, published threshold."""
    f1 = headline(scores).query("measure == 'f1'").set_index("predictions_per_epoch", drop=False)
    return f1.loc[headline_resolution(f1.index)]


def f1_by_luck(nights: pd.DataFrame, expert: pd.DataFrame, events: pd.DataFrame, predictions_per_epoch: int) -> float:
    """The headline's F1 of the same events at another time, the highest of `LUCK_SHIFTS_S`: they know nothing."""
    at = events[events.predictions_per_epoch == predictions_per_epoch]
    f1 = []
    for shift_s in LUCK_SHIFTS_S:
        moved = at.assign(**{name: at[name] + shift_s for name in SPAN})
        counts = headline(count_table(nights, expert, moved, [predictions_per_epoch], "by luck"))
        counts = counts[counts.n_expert > 0]
        tp, fp, fn = counts.true_positives, counts.false_positives, counts.false_negatives
        f1.append(_ratio(2 * tp, 2 * tp + fp + fn).mean())
    return float(max(f1))


def beside_luck(chosen: pd.Series, luck: float) -> str:
    """What `headline_score` shows: only where its interval lies above luck more than 'not told apart from chance'."""
    return "better than chance" if chosen.low > luck else "not told apart from chance"


def published_error_table(scores: pd.DataFrame) -> pd.DataFrame:
    """F1 against the threshold at the headline's resolution, once as published and twice as counted.

    Columns network, predictions_per_epoch, iou_above, as_published, many_to_one, one_to_one.
    """
    chosen = headline_score(scores)
    f1 = scores[(scores.predictions_per_epoch == chosen.predictions_per_epoch) & (scores.measure == "f1")]
    index = ["network", "predictions_per_epoch", "iou_above"]
    table = f1.pivot(index=index, columns="matching", values="estimate")
    return table[list(reversed(MATCHINGS))].reset_index().rename_axis(columns=None)


def error_table(
    nights: pd.DataFrame, expert: pd.DataFrame, events: pd.DataFrame, resolutions: Sequence[int], network: str
) -> pd.DataFrame:
    """How much later a predicted event begins and ends than its expert event, in s, over all pairs of all nights.

    Pairs are one-to-one, with an IoU above 0.2. Columns network, predictions_per_epoch, seconds_per_prediction, edge
    (onset, end), n_pairs, median_s, q25_s, q75_s (quartiles).
    """
    errors = {r: [np.empty((0, 2))] for r in resolutions}
    for _, r, true, found in _pairs(nights, expert, events, resolutions):
        of_expert, of_found = match_arousals(true, found, HEADLINE_IOU).T
        errors[r].append(found[of_found] - true[of_expert])
    rows = []
    for r, parts in errors.items():
        for edge, late_s in zip(("onset", "end"), np.concatenate(parts).T, strict=True):
            quartiles = np.percentile(late_s, [50, 25, 75]) if len(late_s) else [np.nan] * 3
            point = dict(zip(POINT, (network, r, EPOCH_S / r), strict=True)) | {"edge": edge, "n_pairs": len(late_s)}
            rows.append(point | dict(zip(("median_s", "q25_s", "q75_s"), quartiles, strict=True)))
    return pd.DataFrame(rows)


def index_table(archive: Archive, predictions: Predictions, counts: pd.DataFrame) -> pd.DataFrame:
    """The arousal index: events in an hour of sleep, of every night at every resolution.

    The experts' hours of sleep are those of their hypnogram where the archive has one. Predicted hours, always at the
    coarsest resolution that was predicted, serve the predicted events. NaN where nobody slept. Columns network,
    dataset, recording, subject, predictions_per_epoch, n_expert, expert_sleep_h, expert_per_h, n_predicted,
    predicted_sleep_h, predicted_per_h.
    """
    coarsest = predictions.resolutions[0]
    rows = []
    for (dataset, recording), points in counts.groupby(NIGHT, sort=False):
        predicted_h = sleep_hours(predictions.hypnogram(dataset, recording, coarsest), coarsest)
        labels = archive.hypnogram(dataset, recording)
        expert_h = predicted_h if labels is None else sleep_hours(labels, 1)
        # The first is of one-to-one matching, in which an event counts once, however often it was marked.
        one_a_resolution = points.drop_duplicates("predictions_per_epoch")
        expert_per_h = one_a_resolution.n_expert / (expert_h or np.nan)
        predicted_per_h = one_a_resolution.n_predicted / (predicted_h or np.nan)
        hours = {"expert_sleep_h": expert_h, "predicted_sleep_h": predicted_h}
        rows.append(one_a_resolution.assign(**hours, expert_per_h=expert_per_h, predicted_per_h=predicted_per_h))
    columns = ["n_expert", "expert_sleep_h", "expert_per_h", "n_predicted", "predicted_sleep_h", "predicted_per_h"]
    return pd.concat(rows, ignore_index=True)[["network", *NIGHT, "subject", "predictions_per_epoch", *columns]]


def predicted_index_table(predictions: Predictions, nights: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """The predicted arousal index of every night at every resolution, whoever scored arousals or not.

    Columns network, dataset, recording, predictions_per_epoch, n_predicted, predicted_sleep_h, predicted_per_h; hours
    and NaN as in `index_table`.
    """
    coarsest, rows = predictions.resolutions[0], []
    n_events = events.groupby([*NIGHT, "predictions_per_epoch"]).size()
    for dataset, recording in nights[NIGHT].itertuples(index=False, name=None):
        hours = sleep_hours(predictions.hypnogram(dataset, recording, coarsest), coarsest)
        for r in predictions.resolutions:
            n = int(n_events.get((dataset, recording, r), 0))
            rows.append((predictions.network, dataset, recording, r, n, hours, n / hours if hours else np.nan))
    columns = ["n_predicted", "predicted_sleep_h", "predicted_per_h"]
    return pd.DataFrame(rows, columns=["network", *NIGHT, "predictions_per_epoch", *columns])


def index_agreement(index: pd.DataFrame) -> pd.DataFrame:
    """How well the predicted index tells the experts', at each resolution.

    Columns network, predictions_per_epoch, n_recordings, correlation (Pearson), bias_per_h (mean of predicted less
    expert) and the limits of agreement low_per_h, high_per_h (bias -+ 1.96 SD), as Bland and Altman have them.
    """
    rows = []
    for (network, r), nights in index.dropna(subset=["expert_per_h", "predicted_per_h"]).groupby(
        ["network", "predictions_per_epoch"], sort=False
    ):
        difference = nights.predicted_per_h - nights.expert_per_h
        bias, spread = difference.mean(), 1.96 * difference.std()
        named = {"network": network, "predictions_per_epoch": r, "n_recordings": len(nights)}
        named |= {"correlation": nights.predicted_per_h.corr(nights.expert_per_h)}
        rows.append(named | {"bias_per_h": bias, "low_per_h": bias - spread, "high_per_h": bias + spread})
    return pd.DataFrame(rows)


def sleep_hours(hypnogram: np.ndarray, predictions_per_epoch: int) -> float:
    """Hours of N1, N2, N3 and REM in stages (P,)."""
    asleep = (hypnogram >= N1) & (hypnogram <= REM)
    return float(asleep.sum() * EPOCH_S / predictions_per_epoch / 3600)


def stage_share_table(
    predictions: Predictions, nights: pd.DataFrame, expert: pd.DataFrame, group_by: str, n_bootstrap: int, seed: int
) -> pd.DataFrame:
    """Which stages are predicted inside expert arousals: shares of their scored time, pooled over nights.

    Intervals by person, as in `evaluation.metrics`. Columns network, predictions_per_epoch, seconds_per_prediction,
    stage, share, low, high.
    """
    true, persons = _by_key(expert, NIGHT), persons_of(nights, group_by)
    tables = []
    for r in predictions.resolutions:
        of_nights = []
        for dataset, recording in nights[NIGHT].itertuples(index=False, name=None):
            spans_s = true.get((dataset, recording), NO_EVENTS)
            of_nights.append(stage_seconds(predictions.hypnogram(dataset, recording, r), r, spans_s))
        seconds = np.array(of_nights)
        shares = bootstrap_ratios(seconds, seconds.sum(axis=1), persons, n_bootstrap, seed)
        point = dict(zip(POINT, (predictions.network, r, EPOCH_S / r), strict=True))
        tables.append(shares.rename(columns={"estimate": "share"}).assign(**point, stage=STAGES))
    return pd.concat(tables, ignore_index=True)[[*POINT, "stage", "share", "low", "high"]]


def stage_seconds(hypnogram: np.ndarray, predictions_per_epoch: int, spans_s: np.ndarray) -> np.ndarray:
    """Seconds of each stage, float64 (5,), inside spans (n, 2) in s; where spans overlap, time counts once.

    Predictions that a span cuts count by the part inside it. Unscored ones, and what lies outside the night, do not.
    """
    changes = np.flatnonzero(np.diff(hypnogram)) + 1
    borders_s = np.concatenate([[0], changes, [len(hypnogram)]]) * EPOCH_S / predictions_per_epoch
    stage_of_run = hypnogram[np.concatenate([[0], changes])]
    pieces = _disjoint(spans_s)
    seconds = np.zeros(N_STAGES)
    for stage in range(N_STAGES):
        # Seconds of the stage from the start up to each border; in between they grow evenly, or not at all.
        until_s = np.cumsum(np.where(stage_of_run == stage, np.diff(borders_s), 0))
        onset, end = np.interp(pieces, borders_s, np.concatenate([[0], until_s])).T
        seconds[stage] = (end - onset).sum()
    return seconds


def scored_seconds(hypnogram: np.ndarray, predictions_per_epoch: int, spans_s: np.ndarray) -> np.ndarray:
    """Seconds with a predicted stage inside each of the spans (n, 2) in s: float64 (n,)."""
    start_s, until_s = runs_of((hypnogram >= 0) & (hypnogram < N_STAGES)).T * EPOCH_S / predictions_per_epoch
    # Spans (n, 1) against runs (m,): (n, m).
    inside_s = np.minimum(spans_s[:, 1:], until_s) - np.maximum(spans_s[:, :1], start_s)
    return inside_s.clip(min=0).sum(axis=1)


def _disjoint(spans: np.ndarray) -> np.ndarray:
    """Spans that cover the same time (n, 2), in order, without overlap; some may be of length 0."""
    spans = spans[np.argsort(spans[:, 0])]
    covered_until = np.maximum.accumulate(spans[:, 1])
    # No span begins before those before it have ended.
    onset = np.maximum(spans[:, 0], np.concatenate([[-np.inf], covered_until])[:-1])
    return np.column_stack([onset, np.maximum(onset, spans[:, 1])])


def _pairs(
    nights: pd.DataFrame, expert: pd.DataFrame, events: pd.DataFrame, resolutions: Sequence[int]
) -> Iterator[tuple[Any, int, np.ndarray, np.ndarray]]:
    """For every night and resolution: the night's row, the resolution, expert events (n, 2), predicted ones (m, 2)."""
    true, found = _by_key(expert, NIGHT), _by_key(events, [*NIGHT, "predictions_per_epoch"])
    for row in nights.itertuples():
        night = (row.dataset, row.recording)
        for r in resolutions:
            yield row, r, true.get(night, NO_EVENTS), found.get((*night, r), NO_EVENTS)


def _by_key(table: pd.DataFrame, key: list[str]) -> dict[tuple, np.ndarray]:
    """Events (n, 2) by what the columns `key` hold."""
    return {name: rows[SPAN].to_numpy(dtype=float) for name, rows in table.groupby(key)}


def _span_table(
    named_spans: Sequence[tuple[dict[str, object], np.ndarray]], before: Sequence[str], after: Sequence[str] = ()
) -> pd.DataFrame:
    """A row an event, from names and events (n, 2); columns `before` and `after` onset and end."""
    tables = [pd.DataFrame(spans, columns=SPAN).assign(**names) for names, spans in named_spans if len(spans)]
    columns = [*before, *SPAN, *after]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _ratio(part: pd.Series, whole: pd.Series) -> pd.Series:
    """Part divided by whole; 0 where the whole is 0."""
    return part.div(whole.where(whole > 0)).fillna(0.0)

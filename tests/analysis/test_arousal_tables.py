"""Tables of arousals over a toy cohort, each number against a plain count, another function, or by hand."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from helpers.toy_arousals import EPOCHS, ToyArchive
from sklearn.metrics import f1_score, precision_score, recall_score

from anysleep.analysis.arousals.excerpt import PROBABILITIES, excerpt_tables, night_to_show
from anysleep.analysis.arousals.tables import (
    arousal_score_table,
    beside_luck,
    count_table,
    error_table,
    event_table,
    expert_table,
    f1_by_luck,
    headline,
    headline_resolution,
    headline_score,
    index_agreement,
    index_table,
    nights_to_score,
    predictable,
    predicted_index_table,
    published_error_table,
    scored_seconds,
    stage_seconds,
    stage_share_table,
)
from anysleep.evaluation.metrics import bootstrap_ratios, paired_bootstrap_of_means
from anysleep.stages import N2, N3, REM, UNSCORED, WAKE

BOOTSTRAP = {"group_by": "subject", "n_bootstrap": 50, "seed": 3}


class ToyPredictions:
    """Stages by resolution and night."""

    network = "anysleep"

    def __init__(self, stages, logits=None):
        self._stages, self._logits = stages, logits or {}
        self.resolutions = tuple(sorted(stages))

    def of(self, recordings):
        staged = self._stages[self.resolutions[0]]
        return recordings[[key in staged for key in zip(recordings.dataset, recordings.recording, strict=True)]]

    def hypnogram(self, dataset, recording, r):
        return self._stages[r][dataset, recording]

    def logits(self, dataset, recording, r):
        return self._logits.get(r)


def asleep_but(r, *spans):
    """A night of N2 with Wake in spans, in s."""
    stages = np.full(EPOCHS * r, N2, dtype=np.int8)
    for start, end in spans:
        stages[start * r // 30 : end * r // 30] = WAKE
    return stages


@pytest.fixture(scope="module")
def cohort():
    """Archive, predictions and recordings: four nights of three persons, one night without any arousal."""
    keys = [("d", name) for name in ("a1", "a2", "b", "c")]
    recordings = pd.DataFrame(keys, columns=["dataset", "recording"]).assign(subject=["a", "a", "b", "c"])
    expert = [[[60, 66], [100, 110]], [[60, 70], [200, 205]], [[90, 95], [150, 160], [300, 310]], np.empty((0, 2))]
    hypnograms = {key: np.array([WAKE] * 8 + [N2] * 12) for key in keys[:3]}
    fine = [[(60, 66), (104, 112)], [(61, 71)], [(91, 94), (158, 168), (300, 311), (400, 404)], [(50, 55)]]
    stages = {
        1: {key: asleep_but(1) for key in keys},
        30: {key: asleep_but(30, *spans) for key, spans in zip(keys, fine, strict=True)},
    }
    arousals = {key: np.array(spans, dtype=float).reshape(-1, 2) for key, spans in zip(keys, expert, strict=True)}
    return ToyArchive(arousals, hypnograms), ToyPredictions(stages), recordings


@pytest.fixture(scope="module")
def tables(cohort):
    archive, predictions, recordings = cohort
    nights, _ = nights_to_score(archive, predictions, recordings)
    expert, events = expert_table(archive, nights), event_table(predictions, nights)
    return nights, expert, events, count_table(nights, expert, events, predictions.resolutions, "anysleep")


def test_nights_need_expert_arousals_and_predictions(cohort):
    archive, predictions, recordings = cohort
    more = pd.concat([recordings, pd.DataFrame({"dataset": ["d"], "recording": ["new"], "subject": ["n"]})])
    nights, n_unscored = nights_to_score(archive, predictions, more)
    assert nights.recording.tolist() == ["a1", "a2", "b", "c"] and n_unscored == 1
    assert nights_to_score(archive, predictions, recordings)[1] == 0
    with pytest.raises(ValueError, match="no recording of e, only of d"):
        nights_to_score(archive, predictions, recordings, ["e"])
    none, n_unscored = nights_to_score(ToyArchive({}), predictions, recordings)
    assert none.empty and n_unscored == 4


def test_nights_that_nobody_scored_have_events_and_an_index(cohort, tables):
    _, predictions, recordings = cohort
    index = predicted_index_table(predictions, recordings, event_table(predictions, recordings))
    assert len(index) == 8 and index.predicted_sleep_h.tolist() == [EPOCHS / 120] * 8
    scored = index_table(cohort[0], predictions, tables[3])
    same = index.merge(scored, on=["dataset", "recording", "predictions_per_epoch"])
    assert len(same) == len(scored) and same.predicted_per_h_x.equals(same.predicted_per_h_y)
    assert (index[index.predictions_per_epoch == 30].predicted_per_h > 0).all()


def test_events_are_those_of_every_night(tables):
    _, expert, events, _ = tables
    assert len(expert) == 7 and events.predictions_per_epoch.unique().tolist() == [30]
    assert events[events.recording == "a1"][["onset_s", "end_s"]].to_numpy().tolist() == [[60, 66], [104, 112]]


def marked_twice():
    """One night of N2 with a pause from 120 s to 180 s, in which the expert marked much, some of it twice."""
    marks = [[130, 140], [60, 66], [60, 66], [60, 67], [175, 185], [120, 130], [590, 600], [60, 66]]
    archive = ToyArchive({("d", "a"): np.array(marks, dtype=float)}, {("d", "a"): asleep_but(1)})
    stages = {r: {("d", "a"): asleep_but(r, (60, 66))} for r in (1, 30)}
    for r, nights in stages.items():
        nights["d", "a"][120 * r // 30 : 180 * r // 30] = UNSCORED
    nights = pd.DataFrame({"dataset": ["d"], "recording": ["a"], "subject": ["a"]})
    return archive, ToyPredictions(stages), nights


def test_an_event_that_was_marked_several_times_is_one():
    archive, _, nights = marked_twice()
    expert = expert_table(archive, nights)
    spans = [[60, 66], [60, 67], [120, 130], [130, 140], [175, 185], [590, 600]]
    assert expert[["onset_s", "end_s"]].to_numpy().tolist() == spans
    assert expert.n_marks.tolist() == [3, 1, 1, 1, 1, 1]
    none = expert_table(ToyArchive({("d", "a"): np.empty((0, 2))}), nights)
    assert len(none) == 0 and none.n_marks.sum() == 0


def test_an_event_in_a_pause_is_not_missed():
    archive, predictions, nights = marked_twice()
    expert = predictable(expert_table(archive, nights), predictions)
    assert expert.onset_s.tolist() == [60, 60, 175, 590]
    counts = count_table(nights, expert, event_table(predictions, nights), (1, 30), "anysleep")
    fine = headline(counts[counts.predictions_per_epoch == 30]).iloc[0]
    assert (fine.n_expert, fine.true_positives, fine.false_negatives) == (4, 1, 3)
    index = index_table(archive, predictions, counts)
    assert (index.expert_per_h * index.expert_sleep_h).tolist() == pytest.approx([4, 4])
    nothing = expert_table(ToyArchive({("d", "a"): np.empty((0, 2))}), nights)
    assert len(predictable(nothing, predictions)) == 0


def test_counts_by_hand(tables):
    counts = tables[3]
    assert len(counts) == 4 * 2 * 3 * 11
    fine = headline(counts[counts.predictions_per_epoch == 30]).set_index("recording")
    named = ["n_expert", "n_predicted", "true_positives", "false_positives", "false_negatives"]
    by_hand = {"a1": [2, 2, 2, 0, 0], "a2": [2, 1, 1, 0, 1], "b": [3, 4, 2, 2, 1], "c": [0, 1, 0, 1, 0]}
    assert {name: row[named].tolist() for name, row in fine.iterrows()} == by_hand


def test_false_negatives_as_published_are_those_of_threshold_0(tables):
    counts = tables[3]
    of_b = counts[(counts.recording == "b") & (counts.predictions_per_epoch == 30)].set_index("matching")
    assert of_b.false_negatives["as_published"].tolist() == [0] * 11
    assert of_b.false_negatives["many_to_one"].iloc[[0, 2, 10]].tolist() == [0, 1, 3]
    assert (of_b.true_positives["as_published"] == of_b.true_positives["many_to_one"].to_numpy()).all()


def test_scores_are_means_over_nights_with_expert_events_as_sklearn_has_them(tables):
    counts = tables[3]
    scores = arousal_score_table(counts, **BOOTSTRAP)
    ours = scores[scores.matching != "as_published"]
    assert (ours.n_recordings == 3).all() and (ours.n_persons == 2).all()
    for r in (1, 30):
        here = headline(scores[scores.predictions_per_epoch == r]).set_index("measure").estimate
        nights = headline(counts[(counts.predictions_per_epoch == r) & (counts.n_expert > 0)])
        values = []
        for row in nights.itertuples():
            n = (row.true_positives, row.false_positives, row.false_negatives)
            truth, found = np.repeat([1, 0, 1], n), np.repeat([1, 1, 0], n)
            values.append([score(truth, found, zero_division=0) for score in (precision_score, recall_score, f1_score)])
        assert here[["precision", "recall", "f1"]].to_numpy() == pytest.approx(np.mean(values, axis=0))
    assert headline_score(scores).predictions_per_epoch == 30
    finest = scores[scores.predictions_per_epoch == 30]
    flattered = finest.assign(predictions_per_epoch=60, seconds_per_prediction=0.5, estimate=1.0, low=1.0, high=1.0)
    assert headline_score(pd.concat([flattered, scores])).predictions_per_epoch == 30  # never the best of several
    assert [headline_resolution(rs) for rs in ([1, 2, 8, 10, 128], [3840, 16, 1], [1, 8])] == [10, 16, 8]
    with pytest.raises(ValueError, match="no recording has an expert event"):
        arousal_score_table(counts[counts.recording == "c"], **BOOTSTRAP)


def test_persons_must_be_known(tables):
    counts = tables[3].assign(subject=None)
    with pytest.raises(ValueError, match="3 nights without a known person"):
        arousal_score_table(counts, **BOOTSTRAP)


def test_intervals_equal_those_of_the_paired_bootstrap():
    rng = np.random.default_rng(5)
    scores, persons = rng.random((12, 3)), list("aabbccddeeff")
    table = bootstrap_ratios(scores, np.ones(12), persons, 200, 7)
    for column, row in zip(scores.T, table.itertuples(), strict=True):
        other = paired_bootstrap_of_means(np.zeros(12), column, persons, 200, 7)
        assert (row.estimate, row.low, row.high) == pytest.approx((other.difference, other.low, other.high))
    one_person = bootstrap_ratios(scores, np.ones(12), ["a"] * 12, 200, 7)
    assert one_person.estimate.tolist() == pytest.approx(scores.mean(axis=0)) and one_person.low.isna().all()


def test_as_published_a_night_without_expert_events_counts_0(tables):
    scores = arousal_score_table(tables[3], **BOOTSTRAP)
    published = headline(scores, "as_published").query("predictions_per_epoch == 30").set_index("measure")
    assert (published.n_recordings == 4).all() and (published.n_persons == 3).all()
    assert published.estimate["recall"] == pytest.approx((1 + 1 / 2 + 1 + 0) / 4)  # of b with the error
    assert published.estimate["precision"] == pytest.approx((1 + 1 + 2 / 4 + 0) / 4)


def test_as_published_every_mark_counts_wherever_it_lies():
    archive, predictions, nights = marked_twice()
    marked, events = expert_table(archive, nights), event_table(predictions, nights)
    counts = count_table(nights, predictable(marked, predictions), events, (1, 30), "anysleep", marked)
    named = ["n_expert", "true_positives", "false_positives", "false_negatives"]
    published = headline(counts[counts.predictions_per_epoch == 30], "as_published")[named]
    assert published.to_numpy().tolist() == [[8, 1, 0, 7]]
    assert headline(counts[counts.predictions_per_epoch == 30])[named].to_numpy().tolist() == [[4, 1, 0, 3]]


def test_the_published_error_raises_f1_and_matching_one_to_one_lowers_it(tables):
    counts = tables[3]
    f1 = published_error_table(arousal_score_table(counts[counts.recording != "c"], **BOOTSTRAP))  # on the same nights
    assert len(f1) == 11 and (f1.predictions_per_epoch == 30).all()
    assert (f1.as_published >= f1.many_to_one).all() and (f1.many_to_one >= f1.one_to_one).all()
    assert f1.as_published[2] > f1.many_to_one[2]


def test_errors_of_borders_by_hand(cohort, tables):
    nights, expert, events, _ = tables
    errors = error_table(nights, expert, events, cohort[1].resolutions, "anysleep").set_index(
        ["predictions_per_epoch", "edge"]
    )
    onset, end = [0, 4, 1, 1, 0], [0, 2, 1, -1, 1]  # 60-66 and 100-110; 60-70; 90-95 and 300-310
    for edge, late in (("onset", onset), ("end", end)):
        quartiles = errors.loc[(30, edge), ["n_pairs", "q25_s", "median_s", "q75_s"]]
        assert quartiles.tolist() == [5, *np.quantile(late, [0.25, 0.5, 0.75])]
        assert errors.loc[(1, edge), "n_pairs"] == 0 and np.isnan(errors.loc[(1, edge), "median_s"])


def test_the_index_counts_in_hours_of_sleep(cohort, tables):
    archive, predictions, _ = cohort
    index = index_table(archive, predictions, tables[3])
    fine = index[index.predictions_per_epoch == 30].set_index("recording")
    # The expert saw 12 epochs of sleep (6 minutes), the network 20 (10 minutes), as without labels both.
    assert fine.expert_per_h.tolist() == pytest.approx([20, 20, 30, 0])
    assert fine.predicted_per_h.tolist() == pytest.approx([12, 6, 24, 6])
    agreement = index_agreement(index).set_index("predictions_per_epoch").loc[30]
    assert agreement.correlation == pytest.approx(np.corrcoef([20, 20, 30, 0], [12, 6, 24, 6])[0, 1])
    assert agreement.bias_per_h == pytest.approx(-5.5)
    spread = 1.96 * np.std([-8, -14, -6, 6], ddof=1)
    assert (agreement.low_per_h, agreement.high_per_h) == pytest.approx((-5.5 - spread, -5.5 + spread))
    unknown = index_agreement(index.assign(subject=None)).set_index("predictions_per_epoch").loc[30]
    pd.testing.assert_series_equal(unknown, agreement)  # who slept does not matter here


@pytest.mark.parametrize("r", [1, 8, 30])
def test_seconds_of_stages_equal_a_count_of_hundredths(r):
    rng = np.random.default_rng(r)
    stages = rng.choice([WAKE, N2, N3, REM, UNSCORED], size=EPOCHS * r).astype(np.int8)
    onset = rng.integers(-500, 60500, 12) / 100
    spans = np.column_stack([onset, onset + rng.integers(300, 4500, 12) / 100])  # they overlap, and leave the night
    middles = (np.arange(EPOCHS * 3000) + 0.5) / 100
    inside = ((middles >= spans[:, :1]) & (middles < spans[:, 1:])).any(axis=0)
    counted = np.bincount(np.repeat(stages, 3000 // r)[inside], minlength=10)[:5] / 100
    assert stage_seconds(stages, r, spans) == pytest.approx(counted)
    assert stage_seconds(stages, r, np.empty((0, 2))).tolist() == [0] * 5
    of_each = [stage_seconds(stages, r, span[np.newaxis]).sum() for span in spans]
    assert scored_seconds(stages, r, spans) == pytest.approx(of_each)
    assert scored_seconds(np.full(EPOCHS * r, UNSCORED), r, spans).tolist() == [0] * 12


def test_stage_shares_by_hand(cohort, tables):
    nights, expert, _, _ = tables
    shares = stage_share_table(cohort[1], nights, expert, **BOOTSTRAP).set_index(["predictions_per_epoch", "stage"])
    wake_s = 6 + 6 + 9 + 3 + 2 + 10  # of 6 + 10 + 10 + 5 + 5 + 10 + 10
    assert shares.share[30, "Wake"] == pytest.approx(wake_s / 56)
    assert shares.share[30].sum() == pytest.approx(1) and shares.share[1, "N2"] == 1
    assert (shares.low <= shares.share).all() and (shares.share <= shares.high).all()


def check_cell(root):
    notebook = json.loads((root / "notebooks" / "06_arousals.ipynb").read_text())
    return next("".join(cell["source"]) for cell in notebook["cells"] if "add up" in "".join(cell["source"]))


def test_shares_of_events_without_a_scored_prediction_are_unknown_and_not_checked(cohort, tables, root, capsys):
    nights, expert, _, counts = tables
    fine = {key: cohort[1].hypnogram(*key, 30) for key in zip(nights.dataset, nights.recording, strict=True)}
    coarse = {key: np.full(EPOCHS, UNSCORED) for key in fine}
    shares = stage_share_table(ToyPredictions({1: coarse, 30: fine}), nights, expert, **BOOTSTRAP)
    assert shares[shares.predictions_per_epoch == 1].share.isna().all()
    names = {"counts": counts, "nights": nights, "shares": shares, "np": np}
    exec(check_cell(root), dict(names))
    assert "shares sum to one at 1 of 2 resolutions" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        exec(check_cell(root), names | {"shares": shares.assign(share=shares.share * 1.01)})


def test_luck_is_the_highest_f1_of_the_same_events_at_another_time(tables):
    nights, expert, *_ = tables
    assert f1_by_luck(nights, expert, expert.assign(predictions_per_epoch=8), 8) == 0
    for shift_s in (-600, 900):
        moved = expert.assign(onset_s=expert.onset_s + shift_s, end_s=expert.end_s + shift_s, predictions_per_epoch=8)
        assert f1_by_luck(nights, expert, moved, 8) == 1
    for low, luck, said in (
        (0.3, 0.2, "better than"),
        (0.2, 0.2, "not told apart from"),
        (np.nan, 0.0, "not told apart from"),
    ):
        assert beside_luck(pd.Series({"estimate": 0.5, "low": low}), luck) == f"{said} chance"


def test_06_says_beforehand_at_which_resolution_its_headline_stands(root):
    text = (root / "notebooks" / "06_arousals.ipynb").read_text()
    assert "The best of several resolutions looks better than it is" in text
    assert "tables.headline_score(scores)" in text and "idxmax" not in text and "f1_interval=interval" in text


def test_the_threshold_of_the_headline_has_one_home(root):
    library = root / "lib" / "anysleep"
    homes = [p for p in library.rglob("*.py") if re.search(r"^(HEADLINE_IOU|IOU_ABOVE) =", p.read_text(), re.M)]
    assert [path.name for path in homes] == ["events.py"]


def excerpt(cohort, tables, start_s, logits=None, r=30, **shown):
    archive, predictions, _ = cohort
    stages = {r: {("d", "a1"): predictions.hypnogram("d", "a1", r)} for r in (1, 30)}
    _, expert, events, _ = tables
    spans = {name: rows[rows.recording == "a1"] for name, rows in (("expert", expert), ("predicted", events))}
    return excerpt_tables(archive, ToyPredictions(stages, logits), "d", "a1", start_s, spans, r, **shown)


def test_an_excerpt_begins_where_asked_and_holds_what_reaches_into_it(cohort, tables):
    found = excerpt(cohort, tables, 64.5)
    signal = cohort[0].signals("d", "a1", ["C3-M2"], 0, EPOCHS)[0]
    shown = found["excerpt_signals"]
    assert shown.second.iloc[[0, -1]].tolist() == [64.5, 364.25] and set(shown.channel) == {"C3-M2"}
    assert (shown.value == signal[258 : 258 + 1200]).all()
    assert shown.microvolts.to_numpy() == pytest.approx(25 * shown.value.to_numpy())
    events = found["excerpt_events"]
    assert events[["source", "onset_s"]].to_numpy().tolist() == [
        ["expert", 60],
        ["expert", 100],
        ["predicted", 60],
        ["predicted", 104],
    ]
    stages = found["excerpt_stages"]
    assert stages.onset_s.iloc[0] == 64 and stages.end_s.iloc[-1] == 365 and stages[PROBABILITIES].isna().all(axis=None)
    assert found["excerpt_spectrogram"].second.between(64.5, 364.5).all()


def test_the_predicted_events_of_an_excerpt_are_runs_of_wake_in_its_stages(cohort, tables):
    found = excerpt(cohort, tables, 30)
    stages, events = found["excerpt_stages"], found["excerpt_events"]
    predicted = events[events.source == "predicted"]
    awake = stages[stages.stage == "Wake"]
    runs = awake.groupby((awake.onset_s.diff() > 1).cumsum()).agg({"onset_s": "min", "end_s": "max"})
    assert runs.to_numpy().tolist() == predicted[["onset_s", "end_s"]].to_numpy().tolist() == [[60, 66], [104, 112]]


def test_an_excerpt_has_probabilities_where_its_own_resolution_has_logits(cohort, tables):
    logits = {1: np.log(np.tile([0.5, 0.2, 0.1, 0.1, 0.1], (EPOCHS, 1)))}
    stages = excerpt(cohort, tables, 0, logits, r=1)["excerpt_stages"]
    assert stages[PROBABILITIES].to_numpy() == pytest.approx(np.tile([0.5, 0.2, 0.1, 0.1, 0.1], (10, 1)))
    assert excerpt(cohort, tables, 0, logits)["excerpt_stages"][PROBABILITIES].isna().all(axis=None)


def test_an_excerpt_is_of_the_channel_and_length_asked_for_with_the_experts_epochs(cohort, tables):
    """The expert: eight epochs of Wake, then N2; from 225 s on for a minute, that is epochs 7, 8 and 9."""
    archive = cohort[0]
    name = [*archive.channels_of("d", "a1")[0], *archive.channels_of("d", "a1")[1]][-1]
    found = excerpt(cohort, tables, 225, channel=name, length_s=60)
    signals, expert = found["excerpt_signals"], found["excerpt_hypnogram"]
    assert set(signals.channel) == {name} and signals.second.iloc[[0, -1]].tolist() == [225, 284.75]
    assert expert.onset_s.tolist() == [210, 240, 270] and expert.end_s.tolist() == [240, 270, 300]
    assert expert.stage.tolist() == ["Wake", "N2", "N2"]
    with pytest.raises(ValueError, match="d/a1 has no channel 'C9'; it has"):
        excerpt(cohort, tables, 225, channel="C9")


def test_an_excerpt_may_be_cut_by_the_end_of_the_night_but_not_begin_after_it(cohort, tables):
    assert excerpt(cohort, tables, 540)["excerpt_signals"].second.iloc[-1] == 599.75
    with pytest.raises(ValueError, match="start_s is 600, but d/a1 ends there or before"):
        excerpt(cohort, tables, 600)


def test_the_night_of_the_close_up(tables):
    nights = tables[0]
    assert night_to_show(nights, "").recording == "a1" and night_to_show(nights, "b").subject == "b"
    with pytest.raises(KeyError, match=r"'x' is not among those scored .*: a1, a2"):
        night_to_show(nights, "x")

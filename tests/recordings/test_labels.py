"""Labels come onto the recording's time base, one for every epoch of 30 s, and what does not fit is said."""

import numpy as np
import pytest
from helpers.toy_labels import CODES, FAST, hypnogram_of, own, recording, text_scoring
from hypothesis import given
from hypothesis import strategies as st

from anysleep.data import BadRecording
from anysleep.recordings.labels import STANDARD_CODES, Scoring, hypnogram_from_stages, with_scoring
from anysleep.recordings.recording import annotation_table


@pytest.mark.parametrize(("epoch_s", "n"), [(10, 3), (5, 6), (1, 30)])
def test_shorter_labels_fill_their_epochs(tmp_path, epoch_s, n):
    scoring = text_scoring(tmp_path, [0] * n + [2] * n + [4] * n, epoch_s)
    assert hypnogram_of(scoring, 90) == [0, 2, 4]


def test_labels_of_20_s_give_each_epoch_the_stage_that_covers_most(tmp_path):
    with pytest.warns(UserWarning, match="1 of 4 epochs of 30 s hold more than one stage"):
        assert hypnogram_of(text_scoring(tmp_path, [0, 2, 2, 3, 3, 3], 20), 120) == [0, 2, 3, 3]


def test_a_list_of_another_length_than_the_signals_is_refused(tmp_path):
    for duration_s in (120, 59):
        with pytest.raises(
            BadRecording, match=rf"the labels cover 0 s to 90 s \(90 s\), the signals last {duration_s} s"
        ):
            hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), duration_s)
    for duration_s, expected in ((119, [0, 2, 4]), (61, [0, 2])):  # a last epoch that is not whole
        assert hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), duration_s) == expected


def test_trim_end_stops_where_the_shorter_one_does(tmp_path):
    for duration_s, expected in ((300, [0, 2, 4]), (60, [0, 2])):
        with pytest.warns(UserWarning, match="both end where the shorter one ends"):
            assert hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), duration_s, length="trim_end") == expected


@pytest.mark.parametrize("length", ["equal", "trim_end"])
@pytest.mark.parametrize("epoch_s", [1, 5, 20])
def test_a_list_that_fits_with_epochs_of_another_length_is_not_cut_but_refused(tmp_path, length, epoch_s):
    with pytest.raises(BadRecording, match=f"with epoch_s: {epoch_s} they would be as long as these") as error:
        hypnogram_of(text_scoring(tmp_path, [0, 2] * 90), 180 * epoch_s + 0.4, length=length)
    assert error.value.code == "label_length"


def test_labels_may_begin_at_an_offset(tmp_path):
    assert hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), 150, offset_s=60) == [9, 9, 0, 2, 4]
    with pytest.raises(BadRecording, match="before the first sample"):
        hypnogram_of(text_scoring(tmp_path, [0, 2, 4]), 60, offset_s=-30)


def test_labels_may_last_from_lights_off_to_lights_on(tmp_path):
    off, on = (60, np.nan, "Lights Off"), (150, np.nan, "lights-on")
    scoring = text_scoring(tmp_path, [0, 2, 4])
    assert hypnogram_of(scoring, 210, off, on, length="lights") == [0, 2, 4]
    for notes, message in (
        ((), "no annotation says"),
        ((off,), "no annotation says"),
        ((off, (300, np.nan, "Lights on")), r"cover 0 s to 90 s \(90 s\), the signals last 240 s"),
    ):
        with pytest.raises(BadRecording, match=message):
            hypnogram_of(scoring, 330, *notes, length="lights")


def test_epochs_in_a_pause_of_the_recorder_are_unscored(tmp_path):
    assert hypnogram_of(text_scoring(tmp_path, [0, 2, 2, 4]), 120, gaps_s=[(30, 30.5), (60 - 1e-9, 90)]) == [0, 9, 9, 4]


def test_two_stages_at_once_are_refused_even_where_they_leave_room():
    scoring = Scoring(annotation_table([(0, 14, "W"), (10, 5, "R")]))
    with pytest.raises(BadRecording, match="1 epochs carry two stages at the same time, the first at 0 s"):
        hypnogram_of(scoring, 30)


@st.composite
def timed_stages(draw):
    """Stages on a grid of 0.1 s that do not overlap, in a recording of any length."""
    rows, at = [], draw(st.integers(0, 400))
    for _ in range(draw(st.integers(1, 30))):
        length = draw(st.integers(1, 900))
        rows.append((at / 10, length / 10, draw(st.sampled_from(list(CODES)))))
        at += length + draw(st.sampled_from([0, 0, 0, 7, 300]))
    return annotation_table(rows), draw(st.integers(300, 12_000)) / 10


@pytest.mark.filterwarnings("ignore:.*hold more than one stage")
@FAST
@given(timed_stages())
def test_the_stage_of_an_epoch_is_the_one_of_most_of_its_samples(stages_and_duration):
    stages, duration_s = stages_and_duration
    samples = np.full(100_000, -1)  # at 10 Hz
    for row in stages.itertuples():
        samples[round(row.onset_s * 10) : round((row.onset_s + row.duration_s) * 10)] = CODES[row.description]
    expected = []
    for epoch in samples[: round(duration_s * 10) // 300 * 300].reshape(-1, 300):
        counts = {code: int((epoch == code).sum()) for code in CODES.values()}
        most = max(counts.values())
        winners = [code for code, count in counts.items() if count == most]
        expected.append(winners[0] if len(winners) == 1 and most >= 150 else 9)
    assert hypnogram_from_stages(stages, duration_s, CODES).tolist() == expected


@pytest.mark.filterwarnings("ignore:.*hold more than one stage")
@FAST
@given(timed_stages(), st.integers(-5_000, 5_000))
def test_labels_shifted_and_set_back_by_offset_are_the_same(stages_and_duration, shift):
    stages, _ = stages_and_duration
    shifted = stages.assign(onset_s=stages.onset_s + shift / 10)
    there, back = Scoring(stages), Scoring(shifted)
    assert hypnogram_of(there, 5000) == hypnogram_of(back, 5000, offset_s=-shift / 10)


@pytest.mark.filterwarnings("ignore:.*hold more than one stage")
@FAST
@given(timed_stages(), st.integers(0, 5), st.integers(6, 20))
def test_a_recording_cut_on_its_grid_has_the_same_labels(stages_and_duration, first, last):
    stages, _ = stages_and_duration
    whole = with_scoring(recording(5000), Scoring(stages), codes=CODES).cut(30.0 * first, 30.0 * last)
    moved = stages.assign(onset_s=stages.onset_s - 30.0 * first)
    assert whole.hypnogram.tolist() == hypnogram_from_stages(moved, whole.duration_s, CODES).tolist()


def test_own_labels_are_shifted_once_and_kept_once():
    night = own((0, 30, "Sleep stage W"), (30, 30, "Sleep stage R"), (10, 5, "arousal"))
    shifted = with_scoring(night, None, offset_s=30)
    assert shifted.hypnogram.tolist() == [9, 0, 4] and shifted.arousals.tolist() == [[40, 45]]
    with pytest.raises(BadRecording, match="the rule `lights` is for labels of another file"):
        with_scoring(night, None, length="lights")


def test_an_own_plain_list_must_be_as_long_as_the_signals():
    rows = [(0, 30, "Sleep stage W"), (30, 30, "Sleep stage ?")]
    assert with_scoring(own(*rows), None).hypnogram.tolist() == [0, 9, 9], "times of their own: the rest is unscored"
    with pytest.raises(BadRecording, match=r"cover 0 s to 60 s \(60 s\), the signals last 90 s"):
        with_scoring(own(*rows, labels_epoch_s=30.0), None)
    with pytest.raises(BadRecording, match=r"cover 0 s to 60 s \(60 s\), the signals last 30 s"):
        with_scoring(own(*rows, duration_s=30.0, labels_epoch_s=30.0), None)


def test_long_unknown_labels_are_not_repeated():
    with pytest.raises(BadRecording, match="unknown stage labels: 'Q', a longer text") as refusal:
        hypnogram_from_stages(annotation_table([(0, 30, "Q"), (30, 30, "scored by Erika")]), 60, STANDARD_CODES)
    assert "Erika" not in str(refusal.value)

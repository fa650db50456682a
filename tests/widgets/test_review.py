"""What a reviewer changes is on disk at once and never lost; predictions stay; it makes a hypnogram like any other."""

import csv
import multiprocessing
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from helpers.toy_labels import recording

from anysleep.datasets.archive import Archive
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import Labels, read_recipe
from anysleep.exports import FORMATS, Review, ScoredNight, corrected_night, export_night, read_corrections
from anysleep.exports.corrections import jump_targets
from anysleep.recordings.labels import LABEL_READERS, with_scoring
from anysleep.synthetic import draw_persons, simulate_night
from anysleep.synthetic.cohort import write_edf
from anysleep.workbook.export import export_run

pytestmark = pytest.mark.filterwarnings("ignore::anysleep.recordings.reasons.RecordingWarning", "ignore:Creating EDF")
STAGES = [0, 0, 1, 2, 2, 3, 3, 2, 4, 9]


def predicted(predictions_per_epoch=1):
    stages = np.repeat(np.array(STAGES, dtype=np.int8), predictions_per_epoch)
    hypnodensity = np.random.default_rng(0).dirichlet(np.ones(5), len(stages))
    arousals = np.array([[61.0, 66.5], [130.0, 134.0]])
    return ScoredNight(stages, predictions_per_epoch, None, hypnodensity, arousals, scorer="network")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "corrections.csv"


@pytest.fixture
def review(path):
    return Review(predicted(), path, "AB")


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_change_is_a_line_at_once_and_the_prediction_stays(review, path):
    review.set_stage([3], 2, seconds_spent=4.0)
    (row,) = rows(path)
    assert row.pop("time").endswith("+00:00")
    assert row == {
        "epoch": "3", "from": "N1", "to": "N2", "scorer": "AB", "seconds_spent": "4.0", "onset_s": "", "end_s": ""
    }  # fmt: skip
    assert review.night.stages.tolist() == [0, 0, 2, 2, 2, 3, 3, 2, 4, 9]
    assert review.predicted.stages.tolist() == STAGES


def test_a_range_shares_the_time_and_is_undone_and_redone_as_one(review, path):
    review.set_stage([4, 5, 10], 9, seconds_spent=6.0)
    changed = review.night.stages.tolist()
    assert changed == [0, 0, 1, 9, 9, 3, 3, 2, 4, 9] and [row["seconds_spent"] for row in rows(path)] == ["2.0"] * 3
    assert [change.epoch for change in review.undo()] == [4, 5, 10]
    assert review.night.stages.tolist() == STAGES
    review.redo()
    assert review.night.stages.tolist() == changed
    assert [(row["from"], row["to"]) for row in rows(path)][::3] == [
        ("N2", "unscored"),
        ("unscored", "N2"),
        ("N2", "unscored"),
    ]
    assert review.redo() == [] and len(rows(path)) == 9


def test_a_new_change_ends_what_could_be_redone(review):
    review.set_stage([1], 1)
    review.undo()
    review.set_stage([2], 1)
    assert review.redo() == []
    review.undo()
    assert review.undo() == [] and review.night.stages.tolist() == STAGES


def test_arousals_are_marked_and_taken_away(review):
    review.mark_arousal(200.00049, 205.5)
    review.remove_arousals(60, 62)
    assert review.night.arousals_s.tolist() == [[130.0, 134.0], [200.0, 205.5]]
    review.undo()
    assert review.night.arousals_s.tolist() == [[61.0, 66.5], [130.0, 134.0], [200.0, 205.5]]
    assert review.reviewed == set()


def test_two_browsers_keep_each_others_work(path):
    one, other = (Review(predicted(), path, name) for name in ("AB", "CD"))
    one.set_stage([1], 1)
    other.set_stage([2], 1)
    assert one.refresh() and not one.refresh()
    assert one.night.stages.tolist() == other.night.stages.tolist() == [1, 1, *STAGES[2:]]
    other.set_stage([1], 4)
    assert rows(path)[-1]["from"] == "N1"
    assert one.undo() == [] and one.night.stages[0] == 4  # another has changed it since
    assert one.night.scorer == "network, corrected by AB and CD"


def change_many(path, name, epoch):
    review = Review(predicted(), path, name)
    for i in range(25):
        review.set_stage([epoch], i % 5)


def test_two_processes_lose_no_line(path):
    work = [multiprocessing.get_context("spawn").Process(target=change_many, args=(path, f"P{i}", i)) for i in (1, 2)]
    for process in work:
        process.start()
    for process in work:
        process.join()
    assert len(rows(path)) == 50 and {row["scorer"] for row in rows(path)} == {"P1", "P2"}
    assert corrected_night(predicted(), read_corrections(path)).stages.tolist() == [4, 4, *STAGES[2:]]


def test_half_a_line_of_a_power_failure_is_no_change_and_in_nobodys_way(review, path):
    review.set_stage([1], 1)
    with path.open("a") as file:
        file.write("2,Wake,N")
    again = Review(predicted(), path, "AB")
    assert again.night.stages.tolist() == [1, *STAGES[1:]]
    again.set_stage([3], 3)
    assert [row["epoch"] for row in rows(path)] == ["1", "3"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,Wake,N5,AB,1.0,now,,", "line 2 is no correction .*'N5'.*take it out"),
        ("1,Wake,N1", "line 2 is no correction"),
        ("99,Wake,N1,AB,1.0,now,,", "epoch 99 is corrected, and the night has 10"),
    ],
)
def test_what_is_no_correction_is_refused_and_the_line_named(path, line, message):
    path.write_text(f"epoch,from,to,scorer,seconds_spent,time,onset_s,end_s\n{line}\n")
    with pytest.raises(ValueError, match=message):
        Review(predicted(), path, "AB")


HEADER = "epoch,from,to,scorer,seconds_spent,time,onset_s,end_s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epoch,stage\n1,2\n", "holds no corrections"),
        ("one line of something", "holds no corrections"),
        (f"{HEADER}\r1,Wake,N1,AB,1.0,now,,\r", "holds no corrections"),  # as an old spreadsheet saves it
        (f"{HEADER}\n1,Wake,N1,AB,1.0,now,,", "the last line has no end; add one"),
    ],
)
def test_what_another_program_wrote_is_never_cut_off(path, content, message):
    path.write_bytes(content.encode())
    with pytest.raises(ValueError, match=message):
        Review(predicted(), path, "AB")
    assert path.read_bytes() == content.encode()


def test_half_a_heading_of_a_power_failure_is_written_anew(path):
    path.write_text(HEADER[:20])
    Review(predicted(), path, "AB").set_stage([1], 1)
    assert [row["to"] for row in rows(path)] == ["N1"]


def test_corrections_of_another_network_or_night_are_not_applied(review, path):
    review.set_stage([3], 2)
    review.remove_arousals(60, 62)
    for change, found in (({"stages": np.array([4] * 10)}, "REM"), ({"arousals_s": np.empty((0, 2))}, "none")):
        message = rf"is corrected from .*, which it is not: it is {found}; .* another network or another night"
        with pytest.raises(ValueError, match=message):
            corrected_night(replace(predicted(), **change), read_corrections(path))


def test_an_epoch_is_reviewed_where_it_was_changed_or_confirmed_and_not_where_that_was_undone(review):
    review.set_stage([1], 0)
    review.set_stage([2], 1)
    assert review.reviewed == {1, 2}
    review.undo()
    assert review.reviewed == {1}
    review.redo()
    assert review.reviewed == {1, 2}


def test_a_reviewer_whose_name_could_not_be_read_back_writes_nothing(review, path):
    for name in ("", "A\tB", "=1", "A\u2028B"):
        review.scorer = name
        with pytest.raises(ValueError, match="the scorer is called"):
            review.set_stage([1], 1)
    assert not path.exists() and review.undo() == []


def test_what_cannot_be_done_is_said_and_writes_nothing(review, path):
    for change in (
        lambda: review.set_stage([11], 1),
        lambda: review.set_stage([1], 5),
        lambda: review.mark_arousal(5, 5),
    ):
        with pytest.raises(ValueError, match=r"epochs|arousal"):
            change()
    with pytest.raises(ValueError, match="give the one with 1"):
        Review(predicted(8), path, "AB")
    with pytest.raises(ValueError, match="called '=1'"):
        Review(predicted(), path, "=1")
    assert not path.exists()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("predictions_per_epoch", [1, 8])
def test_every_export_has_the_corrected_night_and_our_reader_takes_it_in(
    review, path, tmp_path, name, predictions_per_epoch
):
    review.set_stage([1, 10], 2)
    review.mark_arousal(200, 205.5)
    corrected = corrected_night(predicted(predictions_per_epoch), read_corrections(path))
    assert corrected.hypnodensity is None
    files = export_night(tmp_path, corrected, "x", [name])
    if not files:
        assert FORMATS[name].at_30_s_only
        return
    labels = Labels(file=files[0].name, **FORMATS[name].labels)
    scoring = LABEL_READERS[labels.reader](files[0], **labels.options)
    night = with_scoring(recording(300.0), scoring, codes=labels.stage_of, start="with_signal")
    assert night.hypnogram.tolist() == [2, 0, 1, 2, 2, 3, 3, 2, 4, 2]
    if FORMATS[name].has_events:
        assert night.arousals.tolist() == [[61.0, 66.5], [130.0, 134.0], [200.0, 205.5]]


def test_anysleep_export_writes_what_was_reviewed(tmp_path):
    export_night(tmp_path, predicted(), "hypnogram_n1", ["csv"])
    Review(predicted(), tmp_path / "corrections_n1.csv", "AB").set_stage([1], 3)
    files = {file.name for file in export_run(tmp_path, ["edf"])}
    assert files == {"hypnogram_n1.edf", "corrected_n1.csv", "corrected_n1.edf"}
    assert (tmp_path / "corrected_n1.csv").read_text().splitlines()[1:3] == ["0.0,30.0,N3", "30.0,30.0,Wake"]


def test_a_night_that_another_run_staged_does_not_stop_the_export(tmp_path, capsys):
    for name in ("a", "b"):
        export_night(tmp_path, predicted(), f"hypnogram_{name}", ["csv"])
        Review(predicted(), tmp_path / f"corrections_{name}.csv", "AB").set_stage([1], 3)
    (tmp_path / "result.json").write_text('{"outputs": ["hypnogram_b.csv"], "scores": {}}')
    assert {file.name for file in export_run(tmp_path, ["csv"])} == {"corrected_b.csv"}
    assert capsys.readouterr().out.startswith("corrections_a.csv is left out: another run staged that night")
    (tmp_path / "hypnogram_a.csv").unlink()
    with pytest.raises(ValueError, match=r"corrections_a\.csv: there is no hypnogram_a\.csv beside it"):
        export_run(tmp_path, ["csv"])
    (tmp_path / "result.json").write_text('{"scores": {}}')  # then nobody knows which night is of this run
    with pytest.raises(ValueError, match=r"result\.json is damaged \(no outputs\); run the notebook again"):
        export_run(tmp_path, ["csv"])


def test_03_learns_from_what_was_corrected(tmp_path, root):
    night = simulate_night(draw_persons(1, 0)[0], hours=10 / 120, rate_hz=64)
    write_edf(night, tmp_path / "n1.edf", datetime(2026, 1, 1, 23, 0))
    Review(predicted(), tmp_path / "corrections_n1.csv", "AB").set_stage([1], 3)
    export_night(tmp_path, predicted(), "hypnogram_n1", ["csv"])
    export_run(tmp_path, ["csv"])
    recipe = read_recipe(root / "params/datasets/corrected.yaml")
    prepare_archive([(recipe, tmp_path)], tmp_path / "archive.h5", sampling_rate_hz=64)
    with Archive(tmp_path / "archive.h5") as archive:
        (row,) = archive.recordings().itertuples()
        assert archive.hypnogram(row.dataset, row.recording).tolist() == [3, *STAGES[1:]]
    assert night.hypnogram.tolist() != STAGES


def test_jumps_lead_to_what_they_say():
    density = np.eye(5)[[0, 0, 1, 2]] * np.array([[0.9], [0.5], [0.4], [0.6]]) + 0.01
    expert, network = np.array([0, 0, 9, 2]), np.array([0, 1, 1, 2])
    arousals = [np.array([[40.5, 44.0]]), np.array([[10.0, 14.0], [40.5, 46.0]])]
    targets = jump_targets({"expert": expert, "network": network}, density, arousals, reviewed={2})
    assert targets == {
        "disagreement": [30.0],
        "stage_change": [30.0, 90.0],
        "arousal": [10.0, 40.5],
        "least_certain": [60.0, 90.0, 0.0],
    }
    assert jump_targets({"expert": expert}, None, [np.empty((0, 2))])["least_certain"] == []

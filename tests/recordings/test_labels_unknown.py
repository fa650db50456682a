"""Standard names are always known; what nobody knows is unscored only where no stage and no shift can hide in it."""

import re

import pytest
from helpers.toy_labels import hypnogram_of, own, read, recording, write

from anysleep.data import BadRecording
from anysleep.recordings.labels import scoring_of_annotations, scoring_of_list, with_scoring

ISRUC = {"0": 0, "1": 1, "2": 2, "3": 3, "5": 4}
UCDDB = {"0": 0, "1": 4, "2": 1, "3": 2, "4": 3, "5": 3, "6": 9, "7": 9, "8": 9}
LETTERS = {"W": 0, "N1": 1, "N2": 2, "N3": 3, "R": 4}
R_AND_K = {"Sleep stage W": 0, "Sleep stage 1": 1, "Sleep stage 2": 2, "Sleep stage 3": 3, "Sleep stage R": 4}
NIGHT = ["W"] * 10 + ["N1"] * 5 + ["N2"] * 20 + ["N3"] * 10 + ["R"] * 5


def staged(labels, codes=LETTERS, unknown="unscored"):
    night = recording(30.0 * len(labels))
    return with_scoring(night, scoring_of_list(labels, 30), codes=codes, unknown=unknown).hypnogram.tolist()


@pytest.mark.parametrize("unknown", ["refuse", "unscored"])
@pytest.mark.parametrize("codes", [LETTERS, ISRUC, R_AND_K])
@pytest.mark.parametrize(
    "labels",
    [
        ["W", "N1", "N2", "N3", "R"],
        ["wake", "n1", " N2 ", "N3", "REM"],
        [f"Sleep stage {name}" for name in ("W", "N1", "N2", "N3", "REM")],
        ["SLEEP STAGE WAKE", "stage n1", "Stage N2", "Sleep Stage N3", "sleep stage r"],
        [f"Sleep stage {name}" for name in ("W", "1", "2", "4", "R")],
    ],
)
def test_standard_names_are_known_beside_any_codes(labels, codes, unknown):
    assert staged(labels, codes, unknown) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("stage", "labels"),
    [
        (0, "W|Awake|Éveil|E\u0301VEIL|veille|Wach|vigilia|veglia|wakker|Wake|0|stade W"),
        (1, "S1|NREM1|N-REM 1|stage_1|Stade 1|Schlafstadium 1|estágio N1|Stage 1 sleep|1|NREM stage 1"),
        (2, "S2|NREM2|stage2|stadio 2|Stage 2 sleep|2"),
        (3, "S3|S4|NREM4|SWS|slow-wave sleep|deep|Deep sleep|Tiefschlaf|sommeil lent profond|Stage 4 sleep|4"),
        (4, "PS|SP|MOR|REM sleep|paradoxical sleep|sommeil paradoxal|stade REM|REM sleep|5"),
        (9, "?|MT|movement|Movement time|Unscored|Movement|6|Unknown|Stage unscored"),
        (0, "SLEEP-S0|sleep-wake|STAGE - W"),
        (1, "SLEEP-S1|sleep_N1|NonREM1"),
        (2, "SLEEP-S2|sleep-n2|Non-REM 2"),
        (3, "SLEEP-S4|sleep-n3|NonREM3"),
        (4, "SLEEP-REM|Sleep_Stage_R"),
        (9, "SLEEP-UNSCORED|SLEEP-MT|NotScored|STAGE - NO STAGE|STAGE - MVT|Bewegung|Artefakt|ART|UNS"),
    ],
)
def test_the_words_of_the_field_are_known(stage, labels):
    labels = re.findall(r"[^|]+(?:\|\d)?", labels)
    assert staged(labels, {"x": 0}, "refuse") == [stage] * len(labels)


@pytest.mark.parametrize(
    "label", ["N0", "S0", "N4", "light", "light sleep", "NREM", "Leichtschlaf", "stage 5", "4", "5", "M"]
)
def test_what_is_no_name_of_one_stage_is_not_guessed(label):
    with pytest.raises(BadRecording, match=f"unknown stage labels: '{label}'|a longer text"):
        staged([*NIGHT, label], unknown="refuse")


@pytest.mark.parametrize(("n_unknown", "refused"), [(20, False), (21, True)])
def test_a_few_per_cent_are_of_what_somebody_scored_and_not_of_the_unknown(n_unknown, refused):
    labels = ["W"] * 100 + ["N2"] * 300 + ["?"] * 200 + ["x"] * n_unknown
    with (
        pytest.raises(BadRecording, match="more than 5%")
        if refused
        else pytest.warns(UserWarning, match="unscored: 'x'")
    ):
        staged(labels)


def test_the_codes_of_a_recipe_win_over_standard_names():
    assert staged(["W", "R", "r", "REM"], {"w": 9, "R": 0}) == [9, 0, 0, 4]


def test_a_number_is_the_same_however_a_program_writes_it():
    assert staged(["0.0", "1.", "2.000000000000000000e+00", "3", " 5.0 "], {**ISRUC, "3.0": 9}) == [0, 1, 2, 9, 4]
    with pytest.raises(BadRecording, match=r"unknown stage labels: '2\.5'"):
        staged(["0.0", "2.5"], ISRUC, "refuse")


def test_a_few_labels_that_nobody_knows_are_unscored_where_that_is_the_rule():
    labels = [*NIGHT, "??", "cough"]
    with pytest.raises(BadRecording, match=r"unknown stage labels: '\?\?', 'cough'"):
        staged(labels, unknown="refuse")
    with pytest.warns(UserWarning, match=r"2 labels count as unscored: '\?\?', 'cough'"):
        assert staged(labels)[-3:] == [4, 9, 9]


@pytest.mark.parametrize(
    ("labels", "codes", "message"),
    [
        (["# scored by E.", "# 2024", *NIGHT], LETTERS, "2 of 52 labels are unknown: '# 2024', a longer text; a line"),
        (["Schläfer", *NIGHT], LETTERS, "1 of 51 labels are unknown: 'Schläfer'; a line that is no label would shift"),
        (["hypno", "30 s", *NIGHT], LETTERS, "2 of 52 labels are unknown: 'hypno', '30 s'; a line that is no label"),
        ([*NIGHT[:20], "page 12", *NIGHT[20:]], LETTERS, "'page 12'; a line that is no label would shift"),
        ([*NIGHT, "S5"], LETTERS, "1 of 51 labels are unknown: 'S5'; they look like stages"),
        ([*NIGHT, "N4"], LETTERS, "'N4'; they look like stages"),
        ([*NIGHT, "N2/N3"], LETTERS, "'N2/N3'; they look like stages"),
        (
            [*NIGHT, "light", "x"],
            LETTERS,
            "2 of 52 labels are unknown: 'light', 'x'; 'light' may be more than one stage",
        ),
        ([*NIGHT, "Léger"], LETTERS, "1 of 51 labels are unknown: 'Léger'; 'Léger' may be more than one stage"),
        ([*NIGHT, "nrem"], LETTERS, "'nrem'; 'nrem' may be more than one stage"),
        (["0"] * 50 + ["4"], ISRUC, "1 of 51 labels are unknown: '4'; they look like stages"),
        ([*NIGHT, "x", "x", "y"], LETTERS, r"3 of 53 labels are unknown: 'x' \(2 times\), 'y'; they are more than 5%"),
        (["Wach", "Leicht", "Tief"] * 20, LETTERS, r"20 of 60 .* 'Leicht' \(20 times\); they are more than 5%"),
        ([*map(str, range(1, 900))], ISRUC, "the 899 labels count up by one: epoch numbers"),
        ([*map(str, range(1, 7))], {str(i): 0 for i in range(9)}, "the 6 labels count up by one: epoch numbers"),
    ],
)
def test_what_could_hide_a_mistake_is_refused_with_its_texts_and_counts(labels, codes, message):
    with pytest.raises(BadRecording, match=message) as error:
        staged(labels, codes)
    assert error.value.code == "label_code"


def test_timed_labels_may_begin_with_one_that_nobody_knows_if_it_is_short():
    rows = [(0, 30, "calibr."), (30, 3000, "N2")]
    scoring = scoring_of_annotations(own(*rows).annotations, {"calibr.": 9, "N2": 2})
    with pytest.warns(UserWarning, match="1 labels count as unscored: 'calibr.'"):
        hypnogram = with_scoring(recording(3030), scoring, codes={"N2": 2}, unknown="unscored").hypnogram
    assert hypnogram.tolist() == [9] + [2] * 100


def named(stages, prefix="Sleep stage "):
    """A row of 30 s for each; those with a bar before are bare names."""
    return [(30.0 * i, 30.0, s[1:] if s[0] == "|" else prefix + s) for i, s in enumerate(stages)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (named(["W", "N2", "|REM", "|rem", "N3", "|W"]), [0, 2, 4, 4, 3, 0]),
        (named(["W", "2", "|N3", "4", "R"]), [0, 2, 3, 3, 4]),
        ([(onset_s, float("nan"), text) for onset_s, _, text in named(["W", "N2", "|REM", "N3"])], [0, 2, 4, 3]),
        ([(0, 120, "Sleep stage ?"), *named(["N2"])], None),
    ],
)
def test_a_standard_name_beside_other_stages_is_a_stage_and_said(rows, expected, recwarn):
    if expected is None:
        with pytest.raises(BadRecording, match="two stages at the same time"):
            with_scoring(own(*rows, duration_s=120.0), None)
        return
    assert with_scoring(own(*rows, duration_s=30.0 * len(expected)), None).hypnogram.tolist() == expected
    assert "beside the other stages these count as stages: '" in str(recwarn.pop().message)


@pytest.mark.parametrize("duration_s", [float("nan"), 0.0])
def test_an_eye_movement_ends_no_stage_that_does_not_say_how_long_it_lasts(duration_s):
    stages = [(onset_s, duration_s, text) for onset_s, _, text in named(["W", "2", "2", "R"])]
    night = with_scoring(own(*stages, (70.0, 0.5, "REM"), duration_s=120.0), None)
    assert night.hypnogram.tolist() == [0, 2, 2, 4]


def test_a_standard_name_inside_a_stage_is_an_event(recwarn):
    rows = named(["W", "R", "R", "N2"])
    eyes = [(31, 1.5, "REM"), (62, float("nan"), "REM"), (95, 2, "W")]
    night = with_scoring(own(*rows, *eyes, duration_s=120.0), None)
    assert night.hypnogram.tolist() == [0, 4, 4, 2] and not recwarn.list
    assert night.annotations.description.tolist().count("REM") == 2


@pytest.mark.parametrize("spindle", [(31, 1, "SP"), (31, 0, "SP"), (95, 0, "movement"), (0, 0, "S 1")])
def test_a_word_that_is_also_an_event_is_a_stage_only_where_it_lasts_outside_the_others(spindle, recwarn):
    for rows in (named(["W", "2", "2", "R"]), named(["W", "N2", "N2", "R"], prefix="")):
        for lasts_s in (30.0, 0.0):
            stages = [(onset_s, lasts_s, text) for onset_s, _, text in rows]
            night = with_scoring(own(*stages, spindle, duration_s=120.0), None)
            assert night.hypnogram.tolist() == [0, 2, 2, 4] and not recwarn.list


def test_an_artefact_in_time_that_nobody_scored_is_an_event(recwarn):
    rows = [*named(["W", "?", "N2"]), (35, 10, "Artefact"), (40, 15, "movement")]
    assert with_scoring(own(*rows, duration_s=90.0), None).hypnogram.tolist() == [0, 9, 2] and not recwarn.list


def test_a_name_of_several_stages_beside_the_others_is_refused():
    with pytest.raises(BadRecording, match=r"unknown stage labels: 'light' \(2 times\)"):
        with_scoring(own(*named(["W", "|light", "|light", "R"]), duration_s=120.0), None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["W", "N1", "N2", "REM"], [0, 1, 2, 4]),
        (["wake", "Stage N2", "stage rem"], [0, 2, 4]),
        (["W", "REM", "R"], None),
        (["arousal", "REM"], None),
        (["éveil", "S1", "S4", "SP"], [0, 1, 3, 4]),
        (["S1", "S2", "S3", "SP"], None),  # stimuli and a spindle
        (["movement", "?", "PS"], None),
    ],
)
def test_standard_names_alone_are_stages_where_one_of_them_can_be_nothing_else(names, expected):
    rows = named([f"|{name}" for name in names])
    hypnogram = with_scoring(own(*rows, duration_s=30.0 * len(rows)), None).hypnogram
    assert expected == (None if hypnogram is None else hypnogram.tolist())


def test_a_list_of_epoch_numbers_beside_the_stages_is_no_list_of_stages(tmp_path):
    lines = [f"{i},{s}" for i, s in enumerate(NIGHT, start=1)]
    path = write(tmp_path / "night.csv", "\n".join(lines))
    for unknown in ("refuse", "unscored"):
        with pytest.raises(BadRecording, match="count up by one"):
            hypnogram_of(read("text", path, ISRUC), 1500, codes=ISRUC, unknown=unknown)
    path = write(tmp_path / "night.csv", "\n".join(["epoch,scored", *lines]))
    with pytest.raises(BadRecording, match="43 of 51 labels are unknown: 'epoch', '9', '10'"):
        hypnogram_of(read("text", path, UCDDB), 1530, codes=UCDDB, unknown="unscored")

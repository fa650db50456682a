"""Recipes: read or refused by name; recordings, their labels and their persons are found where a recipe says."""

import os
import re
from pathlib import Path, PurePosixPath
from time import perf_counter

import numpy as np
import pytest
from helpers.dataset_nights import RECIPES, made, samples, write_edf

from anysleep.datasets.archive import Archive
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import Folder, Labels, fill_in, find_beside, find_recordings, names_of, read_recipe
from anysleep.recordings.reasons import BadRecording
from anysleep.settings import ParameterError


def test_labels_of_another_night_in_a_folder_below_are_not_taken(tmp_path):
    (tmp_path / "below").mkdir()
    for file in ("1.edf", "below/1.txt"):
        (tmp_path / file).touch()
    folder = Folder(tmp_path)
    names = names_of(read_recipe("params/datasets/edf_folder.yaml"), PurePosixPath("1.edf"))
    assert find_beside("{folder}{stem}.txt", names, folder) is None
    assert find_beside("{stem}.txt", names, folder) == tmp_path / "below" / "1.txt"


def test_a_folder_behind_two_links_has_one_place_whatever_the_system_lists_first(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.edf").touch()
    (tmp_path / "data").mkdir()
    for link in ("b", "a", "c"):
        (tmp_path / "data" / link).symlink_to(tmp_path / "elsewhere")
    walk = os.walk
    for is_reversed in (False, True):

        def listed(*arguments, is_reversed=is_reversed, **options):
            for place, folders, files in walk(*arguments, **options):
                folders.sort(reverse=is_reversed)
                yield place, folders, files

        monkeypatch.setattr(os, "walk", listed)
        assert Folder(tmp_path / "data").files == [PurePosixPath("a/1.edf")]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trim_start: mass", "trim_begin: mass", r"unknown parameter 'trim_begin'; there are .*trim_start"),
        ("Sleep stage W: Wake", "0: Wake", r"codes\.0.* is 0: Input should be a valid string"),
        (
            "Sleep stage W: Wake",
            "Sleep stage W: awake",
            r"codes\.Sleep stage W is 'awake': Input should be 'Wake', 'N1'",
        ),
        (r"\d{4}) PSG$", r"\d{4} PSG$", r"not a regular expression"),
        ("reader: mass", "reader: montreal", r"no label reader 'montreal'; there are own, edf"),
        ("dataset: mass-c1", "", r"parameter 'dataset' is missing"),
    ],
)
def test_a_mistake_in_a_recipe_is_refused_with_the_name_of_the_file(tmp_path, old, new, message):
    text = (RECIPES / "mass-c1.yaml").read_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ParameterError, match=rf"mine\.yaml: .*{message}"):
        read_recipe(path)


EVENTS = "onset\tduration\ttrial_type\n0\t60\tSleep stage W\n60\t30\tSleep stage N2\n"


def write_bids(folder):
    """Two persons, the first with two sessions, and a filtered copy of a night among the derivatives."""
    for i, place in enumerate(["sub-01/ses-1", "sub-01/ses-2", "sub-02", "derivatives/clean/sub-02"]):
        entities = "_".join(part for part in Path(place).parts if "-" in part)
        night = folder / place / "eeg" / f"{entities}_task-sleep"
        write_edf(Path(f"{night}_eeg.edf"), {f"EEG {c}": samples(f"{i} {c}", 9600) for c in ("C3", "C4")}, 100)
        Path(f"{night}_events.tsv").write_text(EVENTS)


def prepare_bids(folder):
    path = folder / "result" / "archive.h5"
    prepare_archive([(read_recipe(RECIPES / "bids.yaml"), folder)], path, sampling_rate_hz=64)
    with Archive(path) as archive:
        stages = [archive.hypnogram("bids", recording).tolist() for recording in archive.recordings().recording]
        return archive.recordings().set_index("recording"), stages


def test_a_bids_data_set_is_prepared_with_its_sessions_persons_and_stages(tmp_path):
    write_bids(tmp_path)
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t34\tF\nsub-02\tn/a\tM\n")
    nights, stages = prepare_bids(tmp_path)
    assert nights.subject.to_dict() == {
        "sub-01_ses-1_task-sleep": "sub-01", "sub-01_ses-2_task-sleep": "sub-01", "sub-02_task-sleep": "sub-02",
    }  # fmt: skip
    assert nights.age.iloc[0] == 34 and np.isnan(nights.age.iloc[2]) and nights.sex.tolist() == ["F", "F", "M"]
    assert stages == [[0, 0, 2]] * 3


def test_a_bids_recipe_names_the_column_of_the_stages(tmp_path):
    write_bids(tmp_path)
    for table in tmp_path.rglob("*_events.tsv"):
        table.write_text(table.read_text().replace("trial_type", "sleep_stage"))
    recipe = read_recipe(RECIPES / "bids.yaml")
    named = recipe.model_copy(update={"labels": recipe.labels.model_copy(update={"column": "sleep_stage"})})
    stages = []
    for used in (recipe, named):
        try:
            table, _ = prepare_archive([(used, tmp_path)], tmp_path / "result" / "archive.h5", sampling_rate_hz=64)
        except ValueError as error:
            table = error.table
        stages.append((table.code.unique().tolist(), table.n_scored.tolist()))
    assert stages == [(["label_file"], [None] * 3), (["ok"], [3] * 3)]
    with pytest.raises(ValueError, match=r"labels\.column belongs to the reader 'bids' alone"):
        Labels(reader="text", file="a.txt", column="stage")


def test_a_bids_data_set_need_not_tell_age_and_sex(tmp_path):
    write_bids(tmp_path)
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\nsub-01\tF\nsub-02\tM\n")
    with pytest.warns(UserWarning, match="has no column age, only participant_id, sex: unknown for everybody: age"):
        nights, _ = prepare_bids(tmp_path)
    assert nights.sex.tolist() == ["F", "F", "M"]


def test_a_bids_data_set_need_not_have_a_table_of_participants(tmp_path):
    write_bids(tmp_path)
    with pytest.warns(UserWarning, match=r"no participants table .* matches 'participants.tsv': .* unknown"):
        nights, _ = prepare_bids(tmp_path)
    assert nights.subject.tolist() == ["sub-01", "sub-01", "sub-02"]


def test_a_bids_table_that_does_not_say_whose_a_row_is_is_refused(tmp_path):
    write_bids(tmp_path)
    (tmp_path / "participants.tsv").write_text("person\tage\nsub-01\t34\n")
    with pytest.raises(ValueError, match="has no column participant_id, sex, only person, age"):
        prepare_bids(tmp_path)


def touched(folder, *names):
    for name in names:
        made(folder / name).touch()
    return Folder(folder)


def labels_of(file, pattern, folder):
    found = find_beside(pattern, names_of(read_recipe(RECIPES / "edf_folder.yaml"), PurePosixPath(file)), folder)
    return found and found.relative_to(folder.path).as_posix()


def test_recordings_are_found_whatever_the_case_of_their_suffix_but_not_where_they_are_hidden(tmp_path):
    folder = touched(tmp_path, "a.edf", "B.EDF", "sub/c.Rec", ".d.edf", ".trash/e.edf", "sub/.snapshot/f.edf")
    found = find_recordings(read_recipe(RECIPES / "edf_folder.yaml"), folder)
    assert [str(file) for file in found] == ["B.EDF", "a.edf", "sub/c.Rec"]


@pytest.mark.parametrize("pattern", ["{stem}_stage.txt", "{stem}_sta*.txt", "{folder}{stem}_stage.txt", "n?/{stem}_*"])
@pytest.mark.parametrize("stem", ["night", "night [1] *?"])
def test_labels_are_found_by_name_path_or_pattern_whatever_the_case(tmp_path, pattern, stem):
    folder = touched(tmp_path, f"n1/{stem}_Stage.TXT", "n1/night 1 xy_stage.txt", "n1/other_stage.txt")
    assert labels_of(f"n1/{stem}.edf", pattern, folder) == f"n1/{stem}_Stage.TXT"


@pytest.mark.parametrize("pattern", ["{stem}_stage.txt", "{stem}_*.txt"])
def test_two_files_of_labels_are_refused_without_saying_whose_they_are(tmp_path, pattern):
    folder = touched(tmp_path, "1/Smith_John_stage.txt", "2/Smith_John_stage.txt")
    with pytest.raises(BadRecording, match=rf"2 files match '{re.escape(pattern)}'"):
        labels_of("Smith_John.edf", pattern, folder)


def test_the_labels_of_thousands_of_nights_are_found_in_no_time(tmp_path):
    stems = [f"shhs1-{200_000 + i}" for i in range(5000)]
    folder = touched(tmp_path, *(f"{stem}.edf" for stem in stems), *(f"xml/{stem}-nsrr.xml" for stem in stems))
    start_s = perf_counter()
    assert all(find_beside("{stem}-nsrr.xml", {"stem": stem}, folder) for stem in stems)
    assert perf_counter() - start_s < 2


NO_IDS = ["a:b", "a<b", 'a"b', "a|b", "a?", "a*", "CON", "nul", "Com1", "lpt9.x", "aux ", "夜" * 34]


@pytest.mark.parametrize("id", NO_IDS)
def test_an_id_that_cannot_be_the_name_of_a_file_everywhere_is_refused(id):
    with pytest.raises(BadRecording, match="cannot be a name in an archive"):
        fill_in("{id}", {"id": id}, "recording")


@pytest.mark.parametrize("id", ["console", "com10", "nul-1", "a.con", "Jörg 1", "夜" * 33])
def test_an_id_may_look_like_a_device_or_be_in_any_script(id):
    assert fill_in("{id}", {"id": id}, "recording") == id


def write_sleep_edf(folder, nights):
    """Nights of 90 s, and scorings that say N1, N2, N3 and so on, each 30 s after the start of its night."""
    folder.mkdir()
    for i, (psg, hypnogram) in enumerate(nights.items(), start=1):
        channels = {f"EEG {c}": samples(f"{i} {c}", 9000) for c in ("Fpz-Cz", "Pz-Oz")}
        write_edf(made(folder / psg), channels, 100)
        if hypnogram:
            write_edf(made(folder / hypnogram), {}, 1, [(30, 60, f"Sleep stage N{i}")])
    return folder


def prepare_folder(folder, path):
    """The table, and the stages of every night of the archive."""
    table, key = prepare_archive([(read_recipe(RECIPES / "edf_folder.yaml"), folder)], path, sampling_rate_hz=64)
    with Archive(path) as archive:
        stages = {recording: archive.hypnogram("folder", recording) for recording in archive.recordings().recording}
    files = [Path(file).relative_to(folder).as_posix() for file in key.file]
    of_night = [stages.get(recording) for recording in key.recording]
    return table, {f: None if s is None else s.tolist() for f, s in zip(files, of_night, strict=True)}


def test_in_any_folder_the_scorings_of_sleep_edf_belong_to_their_recordings(tmp_path):
    nights = {"SC4001E0-PSG.edf": "SC4001EC-Hypnogram.edf", "sub/ST7022J0-PSG.edf": "sub/ST7022JM-Hypnogram.edf"}
    folder = write_sleep_edf(tmp_path / "in", nights | {"p2-PSG.edf": "p2-Hypnogram.edf", "p1-PSG.edf": None})
    table, stages = prepare_folder(folder, tmp_path / "archive.h5")
    assert stages == {
        "SC4001E0-PSG.edf": [9, 1, 1], "p1-PSG.edf": None, "p2-PSG.edf": [9, 3, 3], "sub/ST7022J0-PSG.edf": [9, 2, 2]
    }  # fmt: skip
    assert (table.code == "ok").all()


def test_of_two_scorings_of_sleep_edf_none_is_chosen_and_none_is_a_recording(tmp_path):
    folder = write_sleep_edf(tmp_path / "in", {"SC4001E0-PSG.edf": "SC4001EC-Hypnogram.edf", "a.edf": None})
    write_edf(folder / "SC4001EH-Hypnogram.edf", {}, 1, [(0, 30, "Sleep stage W")])
    table, stages = prepare_folder(folder, tmp_path / "archive.h5")
    assert list(stages) == ["SC4001E0-PSG.edf", "a.edf"] and table.code.tolist() == ["label_file", "ok"]
    assert "several scorings lie beside it (2 files)" in table.reason[0]


@pytest.mark.parametrize(
    ("file", "beside", "pattern", "found"),
    [
        ("p1/rec.edf", "p1/night2/hypno.txt", "{folder}*hypno*.txt", None),  # of another night
        ("p1/rec.edf", "p1/hypno.txt", "{folder}*hypno*.txt", "p1/hypno.txt"),
        ("rec.edf", "labels/rec.txt", "{folder}labels/{stem}.txt", "labels/rec.txt"),
        ("rec.edf", "other/labels/rec.txt", "{folder}labels/{stem}.txt", None),
    ],
)
def test_a_pattern_with_a_folder_means_that_folder(tmp_path, file, beside, pattern, found):
    for name in (file, beside):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = names_of(read_recipe(RECIPES / "edf_folder.yaml"), PurePosixPath(file))
    path = find_beside(pattern, names, Folder(tmp_path))
    assert path == (tmp_path / found if found else None)

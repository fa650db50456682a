"""Recipes: files that look like those of the 21 data sets become the recordings of the published study."""

import re
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.dataset_nights import NIGHTS, RECIPES, isruc_table, night_samples

from anysleep.datasets.archive import Archive
from anysleep.datasets.night import wanted_channels
from anysleep.datasets.preparation import prepare_archive
from anysleep.datasets.recipes import (
    Channels,
    Folder,
    Participants,
    fill_in,
    find_participants,
    names_of,
    read_recipe,
)
from anysleep.recordings.preprocessing import preprocess
from anysleep.recordings.recording import Recording


@pytest.fixture(scope="module", params=list(NIGHTS))
def prepared(request, tmp_path_factory):
    """The archive of a data set's nights, the table of what became of them, the nights by id, and the data set."""
    dataset, folder = request.param, tmp_path_factory.mktemp(request.param)
    for night in NIGHTS[dataset]:
        night.write(folder, night)
    if dataset == "cfs":
        families = pd.DataFrame({"nsrrid": [800002, 800010, 800011], "familyi": [26, 26, 7], "age": [40, 12, 33]})
        families.to_csv(folder / "cfs-visit5-dataset-0.7.0.csv", index=False)
    table, _ = prepare_archive(
        [(read_recipe(RECIPES / f"{dataset}.yaml"), folder)], folder / "a.h5", sampling_rate_hz=128
    )
    with Archive(folder / "a.h5") as archive:
        yield archive, table, {night.recording: night for night in NIGHTS[dataset]}, dataset


def test_all_nights_are_prepared_and_their_persons_known(prepared):
    archive, table, nights, _ = prepared
    assert table.reason.tolist() == [""] * len(nights)
    known = archive.recordings().set_index("recording").subject.to_dict()
    assert known == {recording: night.subject for recording, night in nights.items()}


def test_all_channels_of_the_study_are_stored_in_its_order(prepared):
    archive, _, nights, dataset = prepared
    for recording, night in nights.items():
        eeg, eog = archive.channels_of(dataset, recording)
        assert [*eeg, *eog] == list(night.sources)
        assert [*eog] == [name for name in night.sources if name.startswith(("E", "LOC", "ROC"))]


def test_a_stored_channel_is_the_one_of_the_file_or_the_difference_of_two(prepared):
    archive, _, nights, dataset = prepared
    for recording, night in nights.items():
        signals = night_samples(night)
        n_epochs = len(night.stages)
        for name, source in night.sources.items():
            signal = signals[source[0]] - (signals[source[1]] if len(source) == 2 else 0)
            cut = signal[night.cut_s * night.rate_hz :][: n_epochs * 30 * night.rate_hz]
            expected = preprocess([cut], night.rate_hz, 128)[0]
            stored = archive.signals(dataset, recording, [name])[0]
            assert np.abs(stored - expected).max() < 0.01, name


def test_the_hypnogram_is_that_of_the_label_file(prepared):
    archive, _, nights, dataset = prepared
    for recording, night in nights.items():
        assert archive.hypnogram(dataset, recording).tolist() == list(night.stages)


def test_arousals_are_kept_on_the_time_of_the_stored_signals(prepared):
    archive, _, nights, dataset = prepared
    for recording, night in nights.items():
        stored = archive.arousals(dataset, recording)
        if night.arousals:
            assert stored.tolist() == [list(span) for span in night.arousals]
        else:
            assert stored is None, "labels of this data set do not say whether there were arousals"


def test_cfs_needs_the_table_that_tells_the_families(tmp_path):
    night = NIGHTS["cfs"][0]
    night.write(tmp_path, night)
    with pytest.raises(ValueError, match=r"no participants table .* matches 'cfs-visit5-dataset-\*.csv'"):
        prepare_archive([(read_recipe(RECIPES / "cfs.yaml"), tmp_path)], tmp_path / "a.h5", sampling_rate_hz=128)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_can_be_read_and_is_called_after_its_data_set(path):
    dataset = read_recipe(path).dataset
    assert dataset == ("folder" if path.stem == "edf_folder" else path.stem)


TEST_ONLY = ("dodh", "dodo", "isruc-sg1", "isruc-sg2", "isruc-sg3", "mass-c1", "mass-c3", "svuh")


@pytest.mark.parametrize("dataset", list(NIGHTS))
def test_the_data_sets_kept_for_testing_are_those_of_the_study(dataset):
    assert (read_recipe(RECIPES / f"{dataset}.yaml").split == "test_only") == (dataset in TEST_ONLY)


FILES = {
    "abc": "abc-{id}",
    "ccshs": "ccshs-trec-{id}",
    "cfs": "cfs-visit5-{id}",
    "chat": "chat-{id}",
    "dcsm": "{id}/psg",
    "dodh": "{id}",
    "dodo": "{id}",
    "hpap": "lab/full/homepap-lab-full-{id}",
    "isruc-sg1": "{id}/{id}",
    "isruc-sg2": "{first}/{last}/{last}",
    "isruc-sg3": "subgroupIII/{id}/{id}",
    "mass-c1": "{id} PSG",
    "mass-c3": "{id} PSG",
    "mesa": "mesa-sleep-{id}",
    "mros": "mros-{id}",
    "phys": "tr{id}/tr{id}",
    "sedf-sc": "SC4{id}E0-PSG",
    "sedf-st": "ST7{id}J0-PSG",
    "shhs": "shhs{id}",
    "sof": "sof-visit-8-{id}",
    "svuh": "ucddb{id}",
}
"""The file of a published id, without suffix."""


@pytest.fixture(scope="module")
def published(shared):
    """Every recording of the published split: part, dataset, recording."""
    split = yaml.load((shared / "upstream" / "usleep_split.yaml").read_text(), yaml.CSafeLoader)
    rows = [(part, dataset, id) for part, sets in split.items() for dataset, ids in sets.items() for id in ids or []]
    return pd.DataFrame(rows, columns=["part", "dataset", "recording"])


def test_every_published_id_tells_its_person_and_nobody_is_in_two_parts(published):
    pattern_of = {dataset: read_recipe(RECIPES / f"{dataset}.yaml").archive_subject for dataset in NIGHTS}
    patterns = published.dataset.map(pattern_of)
    assert set(published.dataset) == set(NIGHTS) == set(FILES)
    persons = published.assign(
        subject=[match and match[1] for match in map(re.fullmatch, patterns, published.recording)]
    )
    assert persons.subject.notna().all()
    assert (persons.groupby(["dataset", "subject"]).part.nunique() == 1).all()


def test_the_file_of_every_published_id_gets_that_id_and_the_same_person(published):
    for dataset, ids in published.groupby("dataset").recording:
        recipe = read_recipe(RECIPES / f"{dataset}.yaml")
        for id in ids:
            first, _, last = id.partition("_")
            file = FILES[dataset].format(id=id, first=first, last=last)
            file = file.replace("chat-nonrandomized", "chat-baseline-nonrandomized")
            names = names_of(recipe, PurePosixPath(f"{file}.edf"))
            assert fill_in(recipe.recording, names, "recording") == id
            assert names.get("person", id) == re.fullmatch(recipe.archive_subject, id)[1]


HEADERS = {
    "mros": ("C3-A2 C4-A1 LOC ROC ECG L", {"C3-M2": "C3-A2", "C4-M1": "C4-A1", "E1-M2": "LOC", "E2-M1": "ROC"}),
    "chat": ("C3 m2 M1 C4 E1 E2", {"C3-M2": "C3 - m2", "C4-M1": "C4 - M1", "E1-M2": "E1 - m2", "F3-M2": "F3-M2"}),
    "hpap": ("C3 C4 A1 A2 E-1 E-2", {"C3-M2": "C3 - A2", "E1-M2": "E-1 - A2", "E1": "E-1", "E2": "E-2"}),
    "shhs": ("EEG EEG_(sec) EOG(L) EOG(R)", {"C4-A1": "EEG", "C3-A2": "EEG_(sec)", "EOG(L)-PG1": "EOG(L)"}),
    "isruc-sg1": ("F3 C3 O1 F4 C4 O2 LOC ROC", {"F3-M2": "F3", "O2-M1": "O2", "E1-M2": "LOC", "E2-M1": "ROC"}),
    "isruc-sg3": ("F3/A2 c3-a2 E1_M2", {"F3-M2": "F3/A2", "C3-M2": "c3-a2", "E1-M2": "E1_M2"}),
    "cfs": ("C3 C4 M1 M2 LOC ROC", {"C3-A2": "C3 - M2", "LOC-A2": "LOC - M2", "ROC-A1": "ROC - M1"}),
    "sof": ("C3-A2 C4-A1 LOC-A2 ROC-A1", {"C3-A2": "C3-A2", "LOC-A2": "LOC-A2"}),
    "svuh": ("Lefteye RightEye C3A2 C4A1", {"C3-A2": "C3A2", "EOG(L)": "Lefteye"}),
    "mesa": ("EEG1 EEG2 EEG3 EOG-L EOG-R", {"Fz-Cz": "EEG1", "C4-M1": "EEG3", "E1-FPz": "EOG-L"}),
}
"""Channels as real files have them (`_(` for a blank before a bracket), and what is made of them."""


@pytest.mark.parametrize("dataset", list(HEADERS))
def test_every_stored_channel_is_found_in_the_spellings_of_real_files(dataset):
    present, expected = HEADERS[dataset]
    present = [name.replace("_(", " (") for name in present.split()]
    sources = read_recipe(RECIPES / f"{dataset}.yaml").channels.sources(present)
    assert {name: sources[name] for name in expected} == {n: s.replace("_(", " (") for n, s in expected.items()}


def test_a_spelling_that_two_channels_have_is_nobody_s():
    channels = read_recipe(RECIPES / "mesa.yaml").channels
    assert channels.sources(["eeg-1", "EEG 1"])["Fz-Cz"] == "EEG1"  # not there: which is meant is not clear
    assert channels.sources(["eeg-1", "EEG1"])["Fz-Cz"] == "EEG1"


@pytest.mark.parametrize(
    ("asked", "there", "found"), [("脑电", "心电", "脑电"), ("脑电 1", "脑电-1", "脑电-1"), ("?", "*", "?")]
)
def test_a_name_in_another_script_is_spelt_by_its_letters(asked, there, found):
    assert Channels(eeg={"C3-M2": asked}).sources([there, "EEG"]) == {"C3-M2": found}


def test_an_electrode_alone_is_stored_for_a_derivation_only_with_a_note():
    night = Recording(("C3-A2", "LOC"), [], (1.0, 1.0), ("uV", "uV"), 0.0)
    with pytest.warns(UserWarning, match=r"as recorded, whatever their reference is: E1-M2 \(LOC\)$"):
        eeg, eog = wanted_channels(night, read_recipe(RECIPES / "mros.yaml"))
    assert eeg["C3-M2"] == "C3-A2" and eog["E1-M2"] == "LOC"


def test_the_tables_of_isruc_are_read_as_published(tmp_path):
    isruc_table(tmp_path, "I", [[1, 64, "M", "OSA"], [2, "?", "F", None], [10, 31, "F", "x"]])
    isruc_table(tmp_path, "II", [["1_Rec.1", 50, "M", "a"], ["1_Rec.2", None, None, "b"], ["2_Rec.1", 33, "F", "c"]])
    with pytest.warns(UserWarning, match=r"1 ages are no numbers and count as unknown, such as '\?'"):
        first = find_participants(read_recipe(RECIPES / "isruc-sg1.yaml").participants, Folder(tmp_path))
    assert first.fillna(-1).to_numpy().tolist() == [["1", 64.0, "M"], ["2", -1, "F"], ["10", 31.0, "F"]]
    second = find_participants(read_recipe(RECIPES / "isruc-sg2.yaml").participants, Folder(tmp_path))
    assert second.to_numpy().tolist() == [["1", 50.0, "M"], ["2", 33.0, "F"]]


def test_rows_of_one_person_must_agree_and_a_legend_is_left_out_with_a_count(tmp_path):
    recipe = read_recipe(RECIPES / "isruc-sg2.yaml").participants
    isruc_table(tmp_path, "II", [["1_Rec.1", 50, "M", "a"], ["1_Rec.2", 51, None, "b"], ["M: male", None, None, None]])
    with (
        pytest.warns(UserWarning, match="1 rows do not match"),
        pytest.raises(ValueError, match="several rows for 1"),
    ):
        find_participants(recipe, Folder(tmp_path))
    with pytest.raises(ValueError, match=r"key_pattern .* has no group"):
        Participants(file="a.csv", key_pattern=r"\d+", columns={"key": "id"})

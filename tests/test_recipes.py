"""Recipes: files that look like those of the 21 data sets become the recordings of the published study."""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path, PurePosixPath
from time import perf_counter

import edfio
import h5py
import numpy as np
import pandas as pd
import pytest
import wfdb
import yaml

from anysleep.data.archive import Archive
from anysleep.data.cohort import prepare_archive
from anysleep.data.preprocessing import preprocess
from anysleep.data.reasons import BadRecording
from anysleep.data.recipes import Folder, fill_in, find_beside, find_recordings, names_of, read_recipe
from anysleep.params import ParameterError

RECIPES = Path(__file__).parents[1] / "params" / "datasets"
STAGES = [0, 1, 2, 3, 4, 9]
"""Of every night below, where its data set has a label for unscored epochs."""
SECONDS = 30 * len(STAGES)
AROUSAL_S = (40.0, 47.5)

Sources = Mapping[str, tuple[str, ...]]
"""Stored channel -> the channel of the file, or the two whose difference it is."""


@dataclass(frozen=True)
class Night:
    """A recording as its data set publishes it, and what it must become."""

    file: str
    recording: str
    subject: str
    sources: Sources
    rate_hz: int
    write: Callable[[Path, "Night"], None]
    stages: tuple[int, ...] = tuple(STAGES)
    arousals: tuple[tuple[float, float], ...] = ()
    cut_s: int = 0
    """What is cut from the start of the signals."""
    seconds: int = SECONDS


def same(names: str) -> Sources:
    return {name: (name,) for name in names.split()}


def difference(names: str, **theirs: str) -> Sources:
    return {name: tuple(theirs.get(part, part) for part in name.split("-")) for name in names.split()}


def samples(channel: str, n: int) -> np.ndarray:
    """In uV; every channel has its own."""
    return 30 * np.random.default_rng(zlib.crc32(channel.encode())).standard_normal(n)


def night_samples(night: Night) -> dict[str, np.ndarray]:
    channels = dict.fromkeys(channel for source in night.sources.values() for channel in source)
    return {channel: samples(channel, night.seconds * night.rate_hz) for channel in channels}


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_edf(path, signals, rate_hz, notes=()):
    signals = [
        edfio.EdfSignal(signal, rate_hz, label=label, physical_dimension="uV", physical_range=(-500, 500))
        for label, signal in signals.items()
    ]
    annotations = [edfio.EdfAnnotation(*note) for note in notes] or None
    recording = edfio.Recording(startdate=date(2000, 1, 1))
    edfio.Edf(signals, recording=recording, starttime=time(22), annotations=annotations).write(made(path))


def write_nsrr(folder, night):
    write_edf(folder / "polysomnography/edfs" / night.file, night_samples(night), night.rate_hz)
    concepts = ["Wake|0", "Stage 1 sleep|1", "Stage 2 sleep|2", "Stage 4 sleep|4", "REM sleep|5", "Unscored|9"]
    events = [("Stages|Stages", concept, 30 * i, 30) for i, concept in enumerate(concepts)]
    events.append(("Arousals|Arousals", "Arousal|Arousal ()", AROUSAL_S[0], AROUSAL_S[1] - AROUSAL_S[0]))
    text = "".join(
        f"<ScoredEvent><EventType>{kind}</EventType><EventConcept>{concept}</EventConcept>"
        f"<Start>{onset_s}</Start><Duration>{duration_s}</Duration></ScoredEvent>"
        for kind, concept, onset_s, duration_s in events
    )
    path = folder / "polysomnography/annotations-events-nsrr" / night.file.replace(".edf", "-nsrr.xml")
    made(path).write_text(f"<PSGAnnotation><ScoredEvents>{text}</ScoredEvents></PSGAnnotation>")


def write_sleep_edf(folder, night):
    write_edf(folder / night.file, night_samples(night), night.rate_hz)
    hours_s = 35 * 60
    texts = ["Sleep stage 1", "Sleep stage 2", "Sleep stage 3", "Sleep stage R", "Movement time"]
    notes = [(0, hours_s, "Sleep stage W")] + [(hours_s + 30 * i, 30, text) for i, text in enumerate(texts)]
    notes.append((hours_s + 150, 80_000, "Sleep stage ?"))
    write_edf(folder / night.file.replace("0-PSG", "C-Hypnogram"), {}, 1, notes)


def write_dod(folder, night):
    with h5py.File(folder / night.file, "w") as file:
        description = []
        for channel, signal in night_samples(night).items():
            place = f"signals/{'eog' if 'EOG' in channel else 'eeg'}/{channel.replace('-', '_')}"
            file[place] = signal
            description.append({"fs": night.rate_hz, "path": place})
        file.attrs["description"] = json.dumps(description)
        file["hypnogram"] = [0, 1, 2, 3, 4, -1]


def write_isruc(folder, night):
    write_edf(folder / "night.edf", night_samples(night), night.rate_hz)
    (folder / "night.edf").rename(made(folder / night.file))
    path = (folder / night.file).with_suffix("")
    Path(f"{path}_1.txt").write_text("0\n1\n2\n3\n5\n0\n0\n0\n")  # two more than there are epochs, as in the data set
    Path(f"{path}_2.txt").write_text("0\n0\n0\n0\n0\n0\n")


def write_mass(folder, night):
    write_edf(folder / night.file, night_samples(night), night.rate_hz)
    texts = ["W", "1", "2", "3", "R", "?"]
    notes = [(night.cut_s + 30 * i, 30, f"Sleep stage {text}") for i, text in enumerate(texts)]
    write_edf(folder / night.file.replace("PSG", "Base"), {}, 1, notes)
    channel = next(iter(night_samples(night)))
    event = f'<Event channel="{channel}" groupName="MicroArousal" name="MicroArousal" scoringType="expert"/>'
    onset_s, end_s = AROUSAL_S
    arousal = (night.cut_s + onset_s, end_s - onset_s, event)
    write_edf(folder / night.file.replace("PSG", "Annotations"), {}, 1, [arousal])


def write_phys(folder, night):
    path = made(folder / night.file)
    signals = night_samples(night)
    units, table = ["uV"] * len(signals), np.column_stack(list(signals.values()))
    names = {"sig_name": list(signals), "units": units, "fmt": ["16"] * len(signals)}
    wfdb.wrsamp(path.stem, fs=night.rate_hz, p_signal=table, write_dir=str(path.parent), **names)
    notes = [(30 * i, text) for i, text in enumerate(["W", "N1", "N2", "N3", "R"], start=1)]  # not scored before
    notes += [(AROUSAL_S[0], "(arousal_rera"), (AROUSAL_S[1], "arousal_rera)")]
    times_s, texts = zip(*sorted(notes), strict=True)
    at = (np.array(times_s) * night.rate_hz).astype(int)
    marks = {"symbol": ['"'] * len(texts), "aux_note": list(texts), "fs": night.rate_hz}
    wfdb.wrann(path.stem, "arousal", at, write_dir=str(path.parent), **marks)


def write_dcsm(folder, night):
    path = made(folder / night.file)
    with h5py.File(path, "w") as file:
        for channel, signal in night_samples(night).items():
            file[f"channels/{channel}"] = signal
            file[f"channels/{channel}"].attrs["sample_rate"] = night.rate_hz
    texts = ["W", "N1", "N2", "N3", "REM", "UNKNOWN"]
    path.with_name("hypnogram.ids").write_text("".join(f"{30 * i},30,{text}\n" for i, text in enumerate(texts)))


def write_svuh(folder, night):
    write_edf(folder / "night.edf", night_samples(night), night.rate_hz)
    (folder / "night.edf").rename(folder / night.file)
    (folder / night.file.replace(".rec", "_stage.txt")).write_text("0\n2\n3\n5\n1\n8\n")


def nsrr(file, recording, subject, sources, rate_hz):
    return Night(file, recording, subject, sources, rate_hz, write_nsrr, arousals=(AROUSAL_S,))


SIX = "F3-M2 F4-M1 C3-M2 C4-M1 O1-M2 O2-M1"
CHAT = difference("F3-M2 F4-M1 C3-M2 C4-M1 T3-M2 T4-M1 O1-M2 O2-M1 E1-M2 E2-M1")
OLD_FOUR = "C3-A2 C4-A1 LOC-A2 ROC-A1"
HPAP = "F4-M1 C4-M1 O2-M1 C3-M2 F3-M2 O1-M2 E1-M2 E2-M1"
MESA = {"Fz-Cz": ("EEG1",), "Cz-Oz": ("EEG2",), "C4-M1": ("EEG3",), "E1-FPz": ("EOG-L",), "E2-FPz": ("EOG-R",)}
MROS = "C3-M2 C4-M1 E1-M2 E2-M1"
MROS_FIRST = difference(MROS, M1="A1", M2="A2", E1="LOC", E2="ROC")
SVUH = {"C3-A2": ("C3A2",), "C4-A1": ("C4A1",), "EOG(L)": ("Lefteye",), "EOG(R)": ("RightEye",)}
SLEEP_EDF = {"Fpz-Cz": ("EEG Fpz-Cz",), "Pz-Oz": ("EEG Pz-Oz",), "EOG": ("EOG horizontal",)}
ISRUC = "F3-M2 C3-M2 O1-M2 F4-M1 C4-M1 O2-M1 E1-M2 E2-M1"
ISRUC_OLD = {name: (name.translate(str.maketrans({"M": "A"})),) for name in ISRUC.split()}
ISRUC_OLD |= {"E1-M2": ("LOC-A2",), "E2-M1": ("ROC-A1",)}
MASS_SITES = "C3 C4 Cz F3 F4 F7 F8 Fp1 Fp2 Fz O1 O2 P3 P4 Pz T3 T4 T5 T6"
MASS_EYES = {f"EOG_{side.lower()}_horizontal": (f"EOG {side} Horiz",) for side in ("Left", "Right")}
DODH = "C3-M2 F3-F4 F3-M2 F3-O1 F4-M1 F4-O2 FP1-F3 FP1-M2 FP1-O1 FP2-F4 FP2-M1 FP2-O2 EOG1 EOG2"
DODO = "C3-M2 C4-M1 F3-F4 F3-M2 F3-O1 F4-O2 O1-M2 O2-M1 EOG1 EOG2"
DOD_ID = "119f9726-eb4c-5a0e-a7bb-9e15256149a1"
DCSM_ID = "tp0a0acb70_3ad6_4d2e_ab5c_b89fc9f28011"


def shhs(second_eeg):
    eyes = {f"EOG({side})-PG1": (f"EOG({side})",) for side in "LR"}
    return {"C4-A1": ("EEG",), "C3-A2": (second_eeg,)} | eyes


def sleep_edf(file, recording, subject):
    stages = (0,) * 60 + (1, 2, 3, 4) + (9,) * 60  # half an hour around sleep
    return Night(file, recording, subject, SLEEP_EDF, 100, write_sleep_edf, stages, cut_s=300, seconds=5000)


def isruc(file, recording, subject, sources):
    return Night(file, recording, subject, sources, 200, write_isruc, (0, 1, 2, 3, 4, 0))


def mass(file, subject, sites, reference, cut_s):
    sources = {f"{site}-{reference}": (f"EEG {site}-{reference}",) for site in sites.split()} | MASS_EYES
    night = {"arousals": (AROUSAL_S,), "cut_s": cut_s, "seconds": SECONDS + cut_s}
    return Night(file, subject, subject, sources, 256, write_mass, **night)


def phys(file, subject):
    stages = (9, 0, 1, 2, 3, 4)
    return Night(file, subject, subject, same(f"{SIX} E1-M2"), 200, write_phys, stages, (AROUSAL_S,))


NIGHTS: dict[str, list[Night]] = {
    "abc": [
        nsrr("baseline/abc-baseline-900001.edf", "baseline-900001", "900001", difference(f"{SIX} E1-M2 E2-M1"), 256),
        nsrr("month09/abc-month09-900001.edf", "month09-900001", "900001", difference(f"{SIX} E1-M2 E2-M1"), 256),
    ],
    "ccshs": [nsrr("ccshs-trec-1800005.edf", "1800005", "1800005", difference(OLD_FOUR), 128)],
    "cfs": [
        nsrr("cfs-visit5-800002.edf", "800002", "26", difference(OLD_FOUR, A1="M1", A2="M2"), 128),
        nsrr("cfs-visit5-800010.edf", "800010", "26", difference(OLD_FOUR, A1="M1", A2="M2"), 256),
        nsrr("cfs-visit5-800011.edf", "800011", "7", difference(OLD_FOUR, A1="M1", A2="M2"), 128),
    ],
    "chat": [nsrr("baseline/chat-baseline-300001.edf", "baseline-300001", "300001", CHAT, 200)],
    "hpap": [
        nsrr("lab/full/homepap-lab-full-1600001.edf", "1600001", "1600001", difference(f"{HPAP} E1 E2"), 200),
        nsrr("lab/split/homepap-lab-split-1600150.edf", "1600150", "1600150", same(f"{HPAP} E1 E2"), 200),
    ],
    "mesa": [nsrr("mesa-sleep-0001.edf", "0001", "0001", MESA, 256)],
    "mros": [
        nsrr("visit1/mros-visit1-aa0001.edf", "visit1-aa0001", "aa0001", MROS_FIRST, 256),
        nsrr("visit2/mros-visit2-aa0001.edf", "visit2-aa0001", "aa0001", difference(MROS), 256),
    ],
    "shhs": [
        nsrr("shhs1/shhs1-200001.edf", "1-200001", "200001", shhs("EEG(sec)"), 125),
        nsrr("shhs2/shhs2-200001.edf", "2-200001", "200001", shhs("EEG2"), 128),
    ],
    "sof": [nsrr("sof-visit-8-00020.edf", "00020", "00020", difference(OLD_FOUR), 128)],
    "sedf-sc": [
        sleep_edf("sleep-cassette/SC4011E0-PSG.edf", "011", "01"),
        sleep_edf("sleep-cassette/SC4012E0-PSG.edf", "012", "01"),
    ],
    "sedf-st": [sleep_edf("sleep-telemetry/ST7041J0-PSG.edf", "041", "04")],
    "dodh": [Night(f"{DOD_ID}.h5", DOD_ID, DOD_ID, same(DODH), 250, write_dod)],
    "dodo": [Night(f"{DOD_ID}.h5", DOD_ID, DOD_ID, same(DODO), 250, write_dod)],
    "isruc-sg1": [isruc("1/1.rec", "1", "1", ISRUC_OLD), isruc("10/10.rec", "10", "10", same(ISRUC))],
    "isruc-sg2": [
        isruc("1/1/1.rec", "1_1", "1", ISRUC_OLD),
        isruc("1/2/2.rec", "1_2", "1", ISRUC_OLD),
        isruc("2/1/1.rec", "2_1", "2", ISRUC_OLD),
        isruc("subject_8_visit_2.rec", "8_2", "8", ISRUC_OLD),
    ],
    "isruc-sg3": [isruc("7/7.rec", "7", "7", ISRUC_OLD)],
    "mass-c1": [
        mass("SS1/01-01-0001 PSG.edf", "01-01-0001", MASS_SITES, "CLE", 9),
        mass("SS1/01-01-0002 PSG.edf", "01-01-0002", MASS_SITES, "LER", 12),
    ],
    "mass-c3": [mass("SS3/01-03-0001 PSG.edf", "01-03-0001", MASS_SITES.replace("O2", "O2 Oz"), "LER", 7)],
    "phys": [phys("training/tr03-0005/tr03-0005.hea", "03-0005")],
    "dcsm": [Night(f"{DCSM_ID}/psg.h5", DCSM_ID, DCSM_ID, same(f"{SIX} E1-M2 E2-M2"), 256, write_dcsm)],
    "svuh": [Night("ucddb002.rec", "002", "002", SVUH, 128, write_svuh)],
}


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


def test_labels_of_another_night_in_a_folder_below_are_not_taken(tmp_path):
    (tmp_path / "below").mkdir()
    for file in ("1.edf", "below/1.txt"):
        (tmp_path / file).touch()
    folder = Folder(tmp_path)
    names = names_of(read_recipe("params/datasets/edf_folder.yaml"), PurePosixPath("1.edf"))
    assert find_beside("{folder}{stem}.txt", names, folder) is None
    assert find_beside("{stem}.txt", names, folder) == tmp_path / "below" / "1.txt"


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
        assert archive.arousals(dataset, recording).tolist() == [list(span) for span in night.arousals]


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
            names = names_of(recipe, PurePosixPath(f"{file}.edf"))
            assert fill_in(recipe.recording, names, "recording") == id
            assert names.get("person", id) == re.fullmatch(recipe.archive_subject, id)[1]


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

"""Short nights as each of the 21 data sets publishes its own, and what they must become."""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from pathlib import Path

import edfio
import h5py
import numpy as np
import pandas as pd
import wfdb

RECIPES = Path(__file__).parents[2] / "params" / "datasets"
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
    n_rounds: int = 1
    """How often the stages follow each other."""
    wake_s: int = 35 * 60
    """Of Sleep-EDF: how long a night lies awake first, more than what is kept."""

    @property
    def arousals_s(self) -> list[tuple[float, float]]:
        """Onset and end of every arousal that its expert marked."""
        return [(onset + i * SECONDS, end + i * SECONDS) for i in range(self.n_rounds) for onset, end in [AROUSAL_S]]


def longer(night: Night, n_rounds: int) -> Night:
    """The same with its stages and arousals again and again."""
    return replace(night, n_rounds=n_rounds, seconds=night.seconds + (n_rounds - 1) * SECONDS)


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
    events = [("Stages|Stages", concept, 30 * i, 30) for i, concept in enumerate(concepts * night.n_rounds)]
    events += [("Arousals|Arousals", "Arousal|Arousal ()", onset, end - onset) for onset, end in night.arousals_s]
    text = "".join(
        f"<ScoredEvent><EventType>{kind}</EventType><EventConcept>{concept}</EventConcept>"
        f"<Start>{onset_s}</Start><Duration>{duration_s}</Duration></ScoredEvent>"
        for kind, concept, onset_s, duration_s in events
    )
    path = folder / "polysomnography/annotations-events-nsrr" / night.file.replace(".edf", "-nsrr.xml")
    made(path).write_text(f"<PSGAnnotation><ScoredEvents>{text}</ScoredEvents></PSGAnnotation>")


def write_sleep_edf(folder, night):
    write_edf(folder / night.file, night_samples(night), night.rate_hz)
    texts = ["Sleep stage 1", "Sleep stage 2", "Sleep stage 3", "Sleep stage R", "Movement time"] * night.n_rounds
    notes = [(0, night.wake_s, "Sleep stage W")] + [(night.wake_s + 30 * i, 30, text) for i, text in enumerate(texts)]
    notes.append((night.wake_s + 30 * len(texts), 80_000, "Sleep stage ?"))
    write_edf(folder / night.file.replace("0-PSG", "C-Hypnogram"), {}, 1, notes)


def write_dod(folder, night):
    with h5py.File(folder / night.file, "w") as file:
        description = []
        for channel, signal in night_samples(night).items():
            place = f"signals/{'eog' if 'EOG' in channel else 'eeg'}/{channel.replace('-', '_')}"
            file[place] = signal
            description.append({"fs": night.rate_hz, "path": place})
        file.attrs["description"] = json.dumps(description)
        file["hypnogram"] = [0, 1, 2, 3, 4, -1] * night.n_rounds


def write_isruc(folder, night):
    write_edf(folder / "night.edf", night_samples(night), night.rate_hz)
    (folder / "night.edf").rename(made(folder / night.file))
    path = (folder / night.file).with_suffix("")
    labels = "0\n1\n2\n3\n5\n0\n" * night.n_rounds
    Path(f"{path}_1.txt").write_text(f"{labels}0\n0\n")  # two more than there are epochs, as in the data set
    Path(f"{path}_2.txt").write_text("0\n" * 6 * night.n_rounds)


def write_mass(folder, night):
    write_edf(folder / night.file, night_samples(night), night.rate_hz)
    texts = ["W", "1", "2", "3", "R", "?"] * night.n_rounds
    notes = [(night.cut_s + 30 * i, 30, f"Sleep stage {text}") for i, text in enumerate(texts)]
    write_edf(folder / night.file.replace("PSG", "Base"), {}, 1, notes)
    channel = next(iter(night_samples(night)))
    event = f'<Event channel="{channel}" groupName="MicroArousal" name="MicroArousal" scoringType="expert"/>'
    arousals = [(night.cut_s + onset_s, end_s - onset_s, event) for onset_s, end_s in night.arousals_s]
    write_edf(folder / night.file.replace("PSG", "Annotations"), {}, 1, arousals)


def write_phys(folder, night):
    path = made(folder / night.file)
    signals = night_samples(night)
    units, table = ["uV"] * len(signals), np.column_stack(list(signals.values()))
    names = {"sig_name": list(signals), "units": units, "fmt": ["16"] * len(signals)}
    wfdb.wrsamp(path.stem, fs=night.rate_hz, p_signal=table, write_dir=str(path.parent), **names)
    stages = ["W", "N1", "N2", "N3", "R", "N2"] * night.n_rounds  # the first epoch is not scored
    notes = [(30 * i, text) for i, text in enumerate(stages[:-1], start=1)]
    notes += [note for onset, end in night.arousals_s for note in ((onset, "(arousal_rera"), (end, "arousal_rera)"))]
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
    texts = ["W", "N1", "N2", "N3", "REM", "UNKNOWN"] * night.n_rounds
    path.with_name("hypnogram.ids").write_text("".join(f"{30 * i},30,{text}\n" for i, text in enumerate(texts)))


def write_svuh(folder, night):
    write_edf(folder / "night.edf", night_samples(night), night.rate_hz)
    (folder / "night.edf").rename(folder / night.file)
    (folder / night.file.replace(".rec", "_stage.txt")).write_text("0\n2\n3\n5\n1\n8\n" * night.n_rounds)


def isruc_table(folder, subgroup, rows):
    """Ages and sexes as published: the names of the columns stand in the fourth line."""
    lines = [
        ["ISRUC-SLEEP", *[None] * 3],
        ["Details", *[None] * 3],
        [None] * 4,
        ["Subject", "Age", "Sex", "Diagnosis"],
        *rows,
    ]
    pd.DataFrame(lines).to_excel(folder / f"Details_subgroup_{subgroup}_Submission.xlsx", index=False, header=False)


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
ISRUC_FEW = {name: source for name, source in ISRUC_OLD.items() if name not in ("F3-M2", "F4-M1")}
"""One night of subgroup I was recorded so; it is not among the 643 and 563 of the study with all sites."""
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
    "isruc-sg1": [
        isruc("1/1.rec", "1", "1", ISRUC_OLD),
        isruc("8/8.rec", "8", "8", ISRUC_FEW),
        isruc("10/10.rec", "10", "10", same(ISRUC)),
    ],
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
    "mass-c3": [
        mass("SS3/01-03-0001 PSG.edf", "01-03-0001", MASS_SITES.replace("O2", "O2 Oz"), "LER", 7),
        mass("SS3/01-03-0002 PSG.edf", "01-03-0002", MASS_SITES.replace("O2", "O2 Oz"), "LER", 19),
    ],
    "phys": [phys("training/tr03-0005/tr03-0005.hea", "03-0005")],
    "dcsm": [Night(f"{DCSM_ID}/psg.h5", DCSM_ID, DCSM_ID, same(f"{SIX} E1-M2 E2-M2"), 256, write_dcsm)],
    "svuh": [Night("ucddb002.rec", "002", "002", SVUH, 128, write_svuh)],
}

"""A label tells what it tells: type, site and reference are read from the name, and never guessed."""

from collections import Counter

import pandas as pd
import pytest

from anysleep.recordings.channels import (
    STANDARD_TYPES,
    ChannelName,
    channel_type,
    parse_channel,
    parse_channels,
    stored_name,
)

STORED_EEG = """F3-F4 F3-M2 F4-O2 F3-O1 C3-M2 C4-M1 O1-M2 O2-M1 F4-M1 Fpz-Cz Pz-Oz T3-M2 T4-M1 C3-A2 C4-A1
Fz-Cz Cz-Oz"""
STORED_EOG = """EOG EOG1 EOG2 E1-M2 E2-M1 E2-M2 EOG_left_horizontal EOG_right_horizontal EOG(L) EOG(R)
EOG(L)-PG1 EOG(R)-PG1 E1-FPz E2-FPz LOC-A2 ROC-A1 E1 E2"""
FILE_EEG = ["EEG", "EEG(sec)", "EEG1", "EEG2", "EEG3", "C3A2", "C4A1", "EEG Fpz-Cz", "EEG Fp1-CLE", "C3_M2"]
FILE_EOG = ["Lefteye", "RightEye", "EOG-L", "EOG-R", "EOG horizontal", "EOG Left Horiz", "LOC", "ROC", "Left Eye"]
MUSCLE = ["EMG", "EMG submental", "Chin1-Chin2", "EMG Chin1", "L Leg", "Leg/R", "LAT", "EMG3"]
HEART = ["ECG", "EKG", "ECG II", "ECG ECGI", "EKG2"]
OTHER = """SpO2|SaO2|H.R.|HR|Flow|AIRFLOW|NEW AIR|THOR RES|ABDO RES|Snore|SOUND|POSITION|BodyPos|Pulse|Temp rectal
Nasal Pressure|Resp oro-nasal|Event marker|ribcage|EtCO2|EKG_Off|Status|OX stat""".replace("\n", "|")
UNKNOWN = """T|A1|M1|M2|A1-A2|Ch 3|X1|E3|AUX|DC3|PG1|C3 foo|S1|T1|EEG A1-Ref|EEG M1|EEG 28|EEG 001|EEG X7|EEG DC1|Eyelid
Cz2|EEG Nasion|EEG A|1|肌电 C3|肌电C3|ЭМГ F4|¼¡µç C3|LCO|POL C3|E.Left|F3 (L)|""".replace("\n", "|").split("|")


@pytest.mark.parametrize(
    ("label", "type", "site", "reference"),
    [
        ("EEG C3-M2", "EEG", "C3", "M2"),
        ("C3-A2", "EEG", "C3", "A2"),
        ("C3A2", "EEG", "C3", "A2"),
        ("fpz", "EEG", "Fpz", None),
        ("EEG FPZ-CZ", "EEG", "Fpz", "Cz"),
        ("EEG T5-LER", "EEG", "T5", "LER"),
        ("EEG Oz-CLE", "EEG", "Oz", "CLE"),
        ("F4-A1+A2", "EEG", "F4", "A1+A2"),
        ("PO8", "EEG", "PO8", None),
        ("EEG", "EEG", None, None),
        ("EEG(sec)", "EEG", None, None),
        ("EEG2", "EEG", None, None),
        ("EOG(L)", "EOG", "left", None),
        ("EOG(R)-PG1", "EOG", "right", "PG1"),
        ("LOC-A2", "EOG", "LOC", "A2"),
        ("ROC-A1", "EOG", "ROC", "A1"),
        ("EOG LOC-A2", "EOG", "LOC", "A2"),
        ("E1-FPz", "EOG", "E1", "Fpz"),
        ("E1-E2", "EOG", "E1", "E2"),
        ("Lefteye", "EOG", "left", None),
        ("EOG_left_horizontal", "EOG", "left horizontal", None),
        ("EOG1", "EOG", None, None),
        ("EOG1-M2", "EOG", None, "M2"),
        ("C3/M2", "EEG", "C3", "M2"),
        ("EOG E1/M2", "EOG", "E1", "M2"),
        ("E1 (L)-M2", "EOG", "E1", "M2"),
        ("PSG_F3", "EEG", "F3", None),
    ],
)
def test_a_label_tells_type_site_and_reference(label, type, site, reference):
    assert parse_channel(label) == ChannelName(type, site, reference)


@pytest.mark.parametrize("label", [*STORED_EEG.split(), *FILE_EEG])
def test_the_eeg_channels_of_the_published_data_sets_are_recognised(label):
    assert parse_channel(label).type == "EEG"


@pytest.mark.parametrize("label", [*STORED_EOG.split(), *FILE_EOG])
def test_the_eog_channels_of_the_published_data_sets_are_recognised(label):
    assert parse_channel(label).type == "EOG"


def test_all_sites_of_mass_are_known_with_both_references():
    for site in "Fp1 Fp2 F7 F3 Fz F4 F8 T3 C3 Cz C4 T4 T5 P3 Pz P4 T6 O1 Oz O2 Fpz".split():
        for reference in ("CLE", "LER"):
            assert parse_channel(f"EEG {site}-{reference}") == ChannelName("EEG", site, reference)


@pytest.mark.parametrize(
    ("label", "type"),
    [(label, "EMG") for label in MUSCLE]
    + [(label, "ECG") for label in HEART]
    + [(label, "other") for label in OTHER.split("|")],
)
def test_what_is_neither_eeg_nor_eog_is_told_apart(label, type):
    assert parse_channel(label).type == type


@pytest.mark.parametrize("label", UNKNOWN)
def test_what_the_label_does_not_say_is_unknown(label):
    assert parse_channel(label) == ChannelName("unknown")


@pytest.mark.parametrize("label", ["EOG EEG", "EOG 1 EEG 2"])
def test_a_label_that_contradicts_itself_is_unknown(label):
    assert parse_channel(label).type == "unknown"


@pytest.mark.parametrize(
    ("type", "labels"),
    [
        (
            "EEG",
            "L_OCC|CENTRAL|R-CENT|FZA2|CZM2|FPZCZ|C3-AVG.1|C4-M|O2-x|M1:C3|EEG C3-A22|EEG sec|EEG C4-M|EEG_C3-A2|EEG 2",
        ),
        (
            "EOG",
            "E-1|E-2-M1|EEG LOC-M2|EEG E1|LOC-x|E1 (LEOG)|EOGr512:M1|A1:EOG2|LOCA2|ROC-0|L EYE|HEO|VEOU|L Canthus",
        ),
        ("EMG", "RLEG|CHINEMG|EEG RLeg2|EEG Chin1-Ref|ChinL|LAT-E1|Chin_R-Cz|MASSETE|Feet-R|LTIB"),
        ("ECG", "EEG ECG|EEG EKG1|EKG_L-Cz|ECGII"),
        (
            "other",
            "Snoring|EEG Spare|EEG Therm|EEG1_Off|C3 flow|O2-Masimo|O2 sat|SA02|N.Press|CFLOW|Central apnea",
        ),
    ],
)
def test_labels_of_real_recorders_say_what_they_look_like(type, labels):
    assert {label: parse_channel(label).type for label in labels.split("|")} == dict.fromkeys(labels.split("|"), type)


def test_real_spellings_are_known_and_none_is_taken_for_eeg_or_eog(shared):
    allowed = {"EEG": {"EEG"}, "EOG": {"EOG"}, "EEG/EOG": set(STANDARD_TYPES)}
    table = pd.read_csv(shared / "real" / "channels" / "labels.csv", dtype=str, keep_default_na=False)
    n, known, wrong = Counter(), Counter(), []
    for label, type in zip(table.label, table.type, strict=True):
        found, right = parse_channel(label).type, allowed.get(type, {"EMG", "ECG", "other"})
        n[type in allowed] += 1
        known[type in allowed] += found in right
        wrong += [] if found in right | {"unknown"} else [(label, type, found)]
    assert not wrong
    assert known[True] / n[True] >= 0.98 and known[False] / n[False] >= 0.97


def test_electrodes_of_a_net_are_no_eyes_and_not_the_10_20_system():
    names = [f"E{i}" for i in range(1, 129)]
    assert {name.type for name in parse_channels(names)} == {"unknown"}
    assert [name.type for name in parse_channels(["E1", "E2", "C3"])] == ["EOG", "EOG", "EEG"]
    biosemi = [f"{letter}{i}" for letter in "ABCD" for i in range(1, 33)]
    assert {name.type for name in parse_channels([*biosemi, "F3", "LOC"])} == {"unknown", "EEG", "EOG"}
    assert parse_channels([*biosemi, "F3"])[-1].type == "EEG" and parse_channels(biosemi)[66].type == "unknown"
    assert {name.type for name in parse_channels(["EEG 1", "EEG 2", "EEG 28"])} == {"unknown"}
    assert {name.type for name in parse_channels(["EEG C1-Ref", "EEG C6-Ref", "POL C7", "F1'", "F12'"])} == {"unknown"}


@pytest.mark.parametrize(
    ("label", "stated", "type"),
    [
        ("E1", "EEG", "EEG"),
        ("F7", "EOG", "EOG"),
        ("X1", "EOG", "EOG"),
        ("C3", "EMG", "EMG"),
        ("C3", "", "EEG"),
        ("C3", "unknown", "unknown"),
        ("Chin", "unknown", "EMG"),
        ("Chin", "EEG", "EEG"),
    ],
)
def test_types_of_the_file_count_before_names(label, stated, type):
    assert parse_channels([label, "O1", "Flow"], [stated, "EEG", "other"])[0].type == type


def test_a_file_that_calls_everything_eeg_says_nothing_against_names():
    types = [name.type for name in parse_channels(["C3", "E1", "Chin", "X1"], ["EEG"] * 4)]
    assert types == ["EEG", "EOG", "EMG", "EEG"]


def test_types_in_the_words_of_bids_and_mne():
    words = {
        "EEG": "EEG",
        "veog": "EOG",
        "HEOG": "EOG",
        "emg": "EMG",
        "resp": "other",
        "MISC": "unknown",
        "": "unknown",
    }
    assert {word: channel_type(word) for word in words} == words


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("EEG C3-M2", "C3-M2"),
        ("C3/M2", "C3-M2"),
        ("EOG E1/M2", "E1-M2"),
        ("EEG", "EEG"),
        ("EOG horizontal", "horizontal"),
        ("Leg/R", "Leg-R"),
    ],
)
def test_a_channel_is_stored_without_its_type_and_without_slashes(label, name):
    assert stored_name(label) == name


def test_places_of_the_10_10_system_make_no_net():
    names = parse_channels(["O1", "O2", "O9", "O10", "PO9", "AF9"])
    assert [name.type for name in names] == ["EEG"] * 6

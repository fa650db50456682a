"""A label tells what it tells: type, site and reference are read from the name, and never guessed."""

import pytest

from anysleep.data.channels import ChannelName, parse_channel, stored_name

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
UNKNOWN = ["", "1", "T", "A1", "M1", "M2", "A1-A2", "Ch 3", "X1", "E3", "AUX", "DC3", "PG1", "C3 foo", "S1", "T1"]


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


@pytest.mark.parametrize("label", ["EEG LOC-A2", "EEG1_Off", "C3 flow", "EOG EEG", "EEG ECG", "EEG Chin1-Ref"])
def test_a_label_that_contradicts_itself_is_unknown(label):
    assert parse_channel(label).type == "unknown"


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

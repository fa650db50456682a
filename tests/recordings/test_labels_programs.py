"""Scorings as two programs of sleep laboratories save them: Compumedics Profusion and Philips Sleepware."""

from datetime import timedelta

import pytest
from helpers.toy_labels import START, hypnogram_of, read, recording, write

from anysleep.data import BadRecording
from anysleep.recordings.labels import with_scoring


def profusion(stages="0125349", epoch_s="30", events=(), root="CMPStudyConfig"):
    listed = "".join(f"<SleepStage>{stage}</SleepStage>" for stage in stages)
    fields = ("Name", "Start", "Duration")
    parts = ["".join(f"<{f}>{v}</{f}>" for f, v in zip(fields, event, strict=True)) for event in events]
    scored = "".join(f"<ScoredEvent>{part}</ScoredEvent>" for part in parts)
    return (
        f"<{root}><EpochLength>{epoch_s}</EpochLength><ScoredEvents>{scored}</ScoredEvents>"
        f"<SleepStages>{listed}</SleepStages></{root}>"
    )


def test_profusion_counts_from_the_first_sample(tmp_path):
    events = [("Arousal (ARO RES)", 61.5, 7.5), ("SpO2 desaturation", "70", "20"), ("Marker", 90, "")]
    scoring = read("profusion", write(tmp_path / "a-profusion.xml", profusion(events=events)))
    assert hypnogram_of(scoring, 210) == [0, 1, 2, 4, 3, 3, 9]
    night = with_scoring(recording(225), scoring)
    assert night.arousals.tolist() == [[61.5, 69]]
    assert night.annotations.description.iloc[[0, -1]].tolist() == ["W", "unscored"]


def test_profusions_own_epochs_count(tmp_path):
    path = write(tmp_path / "a.xml", profusion("000111555", epoch_s="10"))
    assert hypnogram_of(read("profusion", path), 90) == [0, 1, 4]
    with pytest.raises(BadRecording, match="the labels cover 0 s to 90 s"):
        hypnogram_of(read("profusion", path), 270)


def test_a_number_that_profusion_does_not_explain_is_refused_or_named(tmp_path):
    path = write(tmp_path / "a.xml", profusion("0067"))
    with pytest.raises(BadRecording, match="unknown stage labels: '6', '7'"):
        hypnogram_of(read("profusion", path), 120)
    assert hypnogram_of(read("profusion", path), 120, codes={"6": 9, "7": 4}) == [0, 0, 9, 4]


PERSON, MACHINE = "UserStaging", "MachineStaging"
STAGES = (("NotScored", 0), ("Wake", 30), ("NonREM1", 60), ("NonREM2", 90), ("NonREM3", 150), ("REM", 180))
SESSION = "<Session><RecordingStart>{start}</RecordingStart><Duration>{duration}</Duration></Session>"


def sleepware(stages=STAGES, start="2000-01-01T22:00:00", duration=240, sessions=1, staging=(PERSON,), events=""):
    scored = "".join(f'<Stage Type="{name}" Start="{onset_s}"/>' for name, onset_s in stages)
    stagings = "".join(f"<{by}><NeuroAdultAASMStaging>{scored}</NeuroAdultAASMStaging></{by}>" for by in staging)
    session = SESSION.format(start=start, duration=duration) * sessions
    return (
        '<PatientStudy xmlns="http://www.respironics.com/PatientStudy.xsd">'
        f"<Acquisition><Sessions>{session}</Sessions></Acquisition><ScoringData><StagingData>{stagings}</StagingData>"
        f"<Events>{events}</Events></ScoringData></PatientStudy>"
    )


def test_sleepwares_stages_hold_until_the_next_and_its_clock_places_them(tmp_path):
    events = '<Event Family="Neuro" Type="Arousal" Start="95.5" Duration="6"/><Event Type="Hypopnea" Start="10"/>'
    text = sleepware(events=events, staging=(MACHINE, PERSON))
    scoring = read("sleepware", write(tmp_path / "a.rml", text))
    assert hypnogram_of(scoring, 240) == [9, 0, 1, 2, 2, 3, 4, 4]
    later = recording(210, start_time=START + timedelta(seconds=30))
    night = with_scoring(later, scoring)
    assert night.hypnogram.tolist() == [0, 1, 2, 2, 3, 4, 4]
    assert night.arousals.tolist() == [[65.5, 71.5]]


PROFUSION = {
    profusion()[:-9]: "no whole XML file",
    profusion(root="Study"): "no CMPStudyConfig/SleepStages in <Study>",
    profusion(""): "no CMPStudyConfig/SleepStages",
    profusion(epoch_s="half a minute"): "its EpochLength is a longer text; expected seconds",
    profusion(epoch_s="-30"): "its EpochLength is -30 s",
    profusion(events=[("Arousal", "soon", 3)]): "ScoredEvent 1: its Start is 'soon'",
    profusion(events=[("Arousal", 4, 3), ("Arousal", 4, "nan")]): "ScoredEvent 2: its Duration is 'nan'",
}
SLEEPWARE = {
    sleepware()[:-9]: "no whole XML file",
    "<PatientStudy/>": "there are 0 sessions in <PatientStudy>",
    sleepware(sessions=2): "there are 2 sessions",
    sleepware(staging=(MACHINE,)): r"scored its stages 0 times \(UserStaging\)",
    sleepware(staging=(PERSON, PERSON)): "scored its stages 2 times",
    sleepware(duration="all night"): "its Duration is a longer text",
    sleepware(duration=170): "not in order, or begin after the end",
    sleepware(stages=STAGES[::-1]): "not in order",
    sleepware(stages=[("Wake", "dusk")]): "Wake 1: its Start is 'dusk'",
    sleepware(start="yesterday"): "its RecordingStart is 'yesterday'|its RecordingStart is a longer text",
}


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [(reader, *row) for reader, rows in (("profusion", PROFUSION), ("sleepware", SLEEPWARE)) for row in rows.items()],
)
def test_what_is_damaged_is_named(tmp_path, reader, text, message):
    with pytest.raises(BadRecording, match=message) as error:
        with_scoring(recording(210), read(reader, write(tmp_path / "a.xml", text)))
    assert error.value.code == "label_file"

"""The verdict on a staged night: what nobody's sleep looks like is said, and a usual night passes."""

import numpy as np
import pandas as pd
import pytest
import torch

from anysleep.analysis.verdict import archived_verdicts, findings_of_hypnogram, judge_night, night_verdict, worst_of
from anysleep.models import build_model, unet_filters
from anysleep.stages import N1, N2, N3, REM, UNSCORED, WAKE
from anysleep.staging.familiarity import describe_channels, what_was_seen
from anysleep.staging.nights import Night

CYCLE = [N1] * 6 + [N2] * 80 + [N3] * 50 + [N2] * 20 + [REM] * 30 + [WAKE] * 4
USUAL = np.array([WAKE] * 20 + CYCLE * 4 + [WAKE] * 10)


def stages(*bouts):
    return np.concatenate([np.full(n, stage) for stage, n in bouts])


STRANGE = {
    ("do not trust", "no epoch has a stage"): stages((UNSCORED, 300)),
    ("do not trust", "Wake in 97% of the night"): stages((WAKE, 970), (N1, 30)),
    ("do not trust", "1% of the sleep is N2"): stages((WAKE, 50), (N1, 100), (N2, 2), (N3, 100), (REM, 100)),
    ("do not trust", "60% of the sleep is REM"): stages((WAKE, 50), (N2, 80), (REM, 120)),
    ("look", "45% of the sleep is REM"): stages((WAKE, 50), (N2, 110), (REM, 90)),
    ("look", "15 min of sleep without N2"): stages((WAKE, 300), (N1, 2), (N3, 28)),
    ("look", "70% of the sleep is N3"): stages((WAKE, 50), (N2, 60), (N3, 140)),
    ("look", "REM 5 min after the first sleep"): stages((WAKE, 50), (N1, 10), (REM, 20), (N2, 200)),
    ("look", "2 min are too short to be judged as a night"): stages((WAKE, 2), (N2, 2)),
    ("look", "the stage changes 120 times an hour"): np.tile([N2, WAKE], 120),
}


@pytest.mark.parametrize("finding", STRANGE, ids=lambda finding: finding[1])
def test_what_nobody_sleeps_like_is_said(finding):
    assert list(findings_of_hypnogram(STRANGE[finding])) == [finding]
    assert night_verdict(STRANGE[finding], 0.9, None, None) == finding


def test_a_usual_night_and_a_nap_pass():
    for hypnogram in (USUAL, np.where(np.arange(len(USUAL)) < 30, UNSCORED, USUAL), stages((WAKE, 20), (N2, 30))):
        assert night_verdict(hypnogram, 0.9, None, None) == ("use", "")


def test_nights_that_people_have_scored_pass(shared):
    scorers = np.load(shared / "real/dod/scorers.npz")
    first = [np.where(scorers[night][0] < 0, UNSCORED, scorers[night][0]) for night in scorers.files]
    verdicts = [night_verdict(hypnogram, 0.9, None, None)[0] for hypnogram in first]
    assert verdicts.count("use") >= 0.9 * len(verdicts) and "do not trust" not in verdicts


def test_channels_distance_and_doubt_count_and_the_worst_speaks():
    quality = pd.DataFrame({"channel": ["C3", "E1"], "verdict": ["use", "look"], "reason": ["", "mains hum"]})
    assert night_verdict(USUAL, 0.9, quality, None) == ("look", "E1: mains hum")
    assert night_verdict(USUAL, 0.4, None, None)[1] == "the network is unsure: 0.40 for the stage chosen, in the mean"
    distances = pd.Series({"C3": 0.8, "E1": 1.4})
    both = "E1: mains hum; E1: 1.40 times the distance within which 99 % of the training's channels lie"
    assert night_verdict(USUAL, 0.9, quality, distances) == ("look", both)
    assert night_verdict(USUAL, 0.9, quality.assign(verdict="drop"), distances) == (
        "do not trust",
        "C3: ; E1: mains hum",
    )
    several = pd.Series({"F3": 1.2, "C3": 0.8, "O1": 1.05, "E1": 3.0, "E2": np.inf})
    assert night_verdict(USUAL, 0.9, None, several[:3])[1].startswith("F3, O1: 1.05 to 1.20 times the distance")
    assert night_verdict(USUAL, 0.9, None, several) == (
        "do not trust",
        "E2: the network was never trained on this type of channel; "
        "E1: 3.00 times the distance within which 99 % of the training's channels lie",
    )
    for far, said in {
        7.0: "7.00 times",
        np.inf: "never trained on this type",
        np.nan: "nothing in it can be compared",
    }.items():
        verdict, reason = night_verdict(USUAL, 0.9, None, distances.replace(1.4, far))
        assert verdict == "do not trust" and said in reason and "inf" not in reason
    assert worst_of([]) == ("use", "")


def test_a_night_is_judged_by_channels_encoder_and_hypnogram():
    torch.manual_seed(1)
    model = build_model("anysleep", filters=unet_filters(depth=5, complexity=1.0)).eval()
    rng = np.random.default_rng(1)
    nights = [rng.standard_normal((2, 10 * 3840)).astype(np.float32) for _ in range(30)]
    model.seen = what_was_seen((describe_channels(model, signals), ["EEG", "EOG"]) for signals in nights)
    hypnodensity = np.full((len(USUAL), 5), 0.025) + np.eye(5)[USUAL] * 0.875

    def judged(signals, types=("EEG", "EOG"), quality=None):
        others = None, np.empty((0, 2)), None, types, quality
        night = Night("d", "r", ("C3", "E1"), signals, (("C3", "E1"),), *others)
        return judge_night(model, night, USUAL, hypnodensity)

    assert judged(nights[0]) == ("use", "")
    strange = np.stack([nights[0][0], np.cumsum(nights[0][1]).astype(np.float32)])
    verdict, reason = judged(strange)
    assert verdict == "do not trust" and reason.startswith("E1: ") and "C3" not in reason
    assert judged(nights[0], types=("EEG", "EMG"))[0] == "do not trust"  # the network has never seen an EMG
    model.seen = {}
    assert judged(strange) == ("use", "")  # nobody can tell
    quality = pd.DataFrame({"channel": ["C3"], "verdict": ["drop"], "reason": ["flat"]})
    assert judged(strange, quality=quality) == ("do not trust", "C3: flat")


class TwoWitnesses:
    """What is asked of an archive."""

    def hypnogram(self, dataset, recording):
        return {"a": USUAL, "b": np.full(400, WAKE)}.get(recording)

    def quality(self, dataset, recording):
        return pd.DataFrame({"channel": ["C3"], "verdict": ["look"], "reason": ["hum"]}) if recording == "c" else None


def test_archived_nights_are_judged_by_their_experts_and_the_doctor():
    nights = pd.DataFrame({"dataset": "d", "recording": list("abcd")})
    table = archived_verdicts(TwoWitnesses(), nights)
    assert table.verdict.tolist() == ["use", "do not trust", "look", "use"]
    assert table.reason.tolist() == ["", "Wake in 100% of the night", "C3: hum", ""]

"""The verdict on a staged night: what nobody's sleep looks like is said, and a usual night passes."""

import numpy as np
import pandas as pd
import pytest

from anysleep.analysis.verdict import findings_of_hypnogram, night_verdict, worst_of
from anysleep.stages import N1, N2, N3, REM, UNSCORED, WAKE

CYCLE = [N1] * 6 + [N2] * 80 + [N3] * 50 + [N2] * 20 + [REM] * 30 + [WAKE] * 4
USUAL = np.array([WAKE] * 20 + CYCLE * 4 + [WAKE] * 10)


def stages(*bouts):
    return np.concatenate([np.full(n, stage) for stage, n in bouts])


STRANGE = {
    ("do not trust", "no epoch has a stage"): stages((UNSCORED, 300)),
    ("do not trust", "Wake in 97% of the night"): stages((WAKE, 970), (N1, 30)),
    ("do not trust", "1% of the sleep is N2"): stages((WAKE, 50), (N1, 100), (N2, 2), (N3, 100), (REM, 100)),
    ("do not trust", "60% of the sleep is REM"): stages((WAKE, 50), (N2, 80), (REM, 120)),
    ("look", "70% of the sleep is N3"): stages((WAKE, 50), (N2, 60), (N3, 140)),
    ("look", "REM 5 min after the first sleep"): stages((WAKE, 50), (N1, 10), (REM, 20), (N2, 200)),
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
    both = "E1: mains hum; E1: 1.4 times as far as what the network was trained on"
    assert night_verdict(USUAL, 0.9, quality, distances) == ("look", both)
    assert night_verdict(USUAL, 0.9, quality.assign(verdict="drop"), distances) == (
        "do not trust",
        "C3: ; E1: mains hum",
    )
    for far in (7.0, np.inf, np.nan):
        assert night_verdict(USUAL, 0.9, quality, distances.replace(1.4, far))[0] == "do not trust"
    assert worst_of([]) == ("use", "")

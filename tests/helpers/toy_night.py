"""A night to export."""

from datetime import datetime

import numpy as np

from anysleep.exports import ScoredNight

START = datetime(1985, 1, 1, 23, 58, 0, 250_000)
"""Two minutes before midnight, with a fraction."""
N_EPOCHS = 12
AROUSALS_S = [[40.5, 44.25], [200.0, 212.5]]


def night(predictions_per_epoch=1, start=START, **more):
    """Every stage, and two minutes that nobody scored, in which the recorder paused."""
    rng = np.random.default_rng(predictions_per_epoch)
    hypnodensity = rng.dirichlet(np.ones(5), N_EPOCHS * predictions_per_epoch)
    stages = hypnodensity.argmax(axis=1)
    stages[:5] = range(5)
    stages[6 * predictions_per_epoch : 8 * predictions_per_epoch] = 9
    lights = {"lights_off_s": 10.0, "lights_on_s": 350.0}
    return ScoredNight(stages, predictions_per_epoch, start, hypnodensity, np.array(AROUSALS_S), **lights, **more)

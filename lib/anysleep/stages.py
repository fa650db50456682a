"""Stage codes, epoch length, resolutions and colours: the vocabulary everything else shares."""

EPOCH_S = 30
"""Seconds in an epoch. Always 30, whatever the prediction resolution."""

STAGES = ("Wake", "N1", "N2", "N3", "REM")
"""Stage names; the position is the code (AASM stages)."""

WAKE, N1, N2, N3, REM = range(5)
UNSCORED = 9
"""Artefact or unscored: left out of the loss and of every metric."""

STAGE_TEXTS = ("Sleep stage W", "Sleep stage N1", "Sleep stage N2", "Sleep stage N3", "Sleep stage R")
UNSCORED_TEXT, AROUSAL_TEXT = "Sleep stage ?", "EEG arousal"
"""The standard texts of EDF+ (edfplus.info/specs/edftexts.html); of stages by code."""

N_STAGES = len(STAGES)

PUBLISHED_RATE_HZ = 128
"""The sampling rate of the AnySleep paper, its weights and its archives, which do not say it."""

FASTEST_RATE_HZ = 10_000
"""No network of sleep reads faster signals."""

PUBLISHED_RESOLUTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 640, 960, 1920, 3840)
"""Predictions per epoch at which the AnySleep paper evaluates (at 128 Hz: 30 s down to one sample)."""

STAGE_COLOURS = ("#E69F00", "#F0E442", "#56B4E9", "#0072B2", "#009E73")
"""One colour a stage, in the order of `STAGES` (Okabe and Ito's palette, safe for colour-blind readers)."""

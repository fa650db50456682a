"""What other code imports: a recording in, and what `preprocess` makes of it for a network."""

from anysleep.recordings.preprocessing import preprocess
from anysleep.recordings.readers import read_recording
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import Recording

__all__ = ["BadRecording", "Recording", "preprocess", "read_recording"]

"""Recordings in, preprocessed signals and archives out."""

from anysleep.data.preprocessing import preprocess
from anysleep.data.readers import read_recording
from anysleep.data.reasons import BadRecording
from anysleep.data.recording import Recording

__all__ = ["BadRecording", "Recording", "preprocess", "read_recording"]

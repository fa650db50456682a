"""Recordings in, preprocessed signals and archives out."""

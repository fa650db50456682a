"""The computer: whole files, progress, reading ahead, memory."""

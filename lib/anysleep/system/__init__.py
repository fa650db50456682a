"""The computer: whole files, progress, prefetch, memory."""

"""Labels written, read and put on recordings that hold nothing else."""

from datetime import datetime

import numpy as np
from hypothesis import HealthCheck, settings

from anysleep.recordings.labels import LABEL_READERS, with_scoring
from anysleep.recordings.recording import Recording, annotation_table

CODES = {"W": 0, "N1": 1, "N2": 2, "N3": 3, "R": 4, "?": 9}
NAMES = {code: label for label, code in CODES.items()}
DIGITS = {str(code): code for code in (0, 1, 2, 3, 4, 9)}
START = datetime(2000, 1, 1, 22, 0, 0)
FAST = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(reader, path, codes=CODES, epoch_s=30.0):
    return LABEL_READERS[reader](path, codes=codes, epoch_s=epoch_s)


def recording(duration_s, *notes, **more):
    return Recording(("EEG",), [np.zeros(1)], (100.0,), ("uV",), duration_s, annotation_table(notes), **more)


def hypnogram_of(scoring, duration_s, *notes, codes=CODES, gaps_s=(), **rule):
    night = recording(duration_s, *notes, gaps_s=np.reshape(gaps_s, (-1, 2)), start_time=START)
    return with_scoring(night, scoring, codes=codes, **rule).hypnogram.tolist()


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def text_scoring(tmp_path, stages, epoch_s=30.0):
    return read("text", write(tmp_path / "night.txt", "\n".join(NAMES[s] for s in stages)), epoch_s=epoch_s)


def own(*rows, duration_s=90.0, **changes):
    return Recording(("EEG",), [np.zeros(1)], (100.0,), ("uV",), duration_s, annotation_table(rows), **changes)

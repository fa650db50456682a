"""Parameters: what they are (`checked`), which each notebook has (`notebooks`), and where they come from (`given`).

Defaults live in one place, the notebook's parameters cell; the classes say what is allowed and what it means.
"""

from anysleep.params.checked import (
    MARK,
    GroupBy,
    ParameterError,
    Parameters,
    Precision,
    ProjectPath,
    Strict,
    merge_parameters,
    notebook_defaults,
)
from anysleep.params.given import checked_parameters, missing_file, read_words, refuse_missing_inputs
from anysleep.params.notebooks import (
    NOTEBOOKS,
    Arousals,
    Evaluate,
    Figures,
    Inspect,
    Loss,
    Predict,
    Prepare,
    Schedule,
    StageOneNight,
    Train,
    Traits,
)

__all__ = [
    "MARK",
    "NOTEBOOKS",
    "Arousals",
    "Evaluate",
    "Figures",
    "GroupBy",
    "Inspect",
    "Loss",
    "ParameterError",
    "Parameters",
    "Precision",
    "Predict",
    "Prepare",
    "ProjectPath",
    "Schedule",
    "StageOneNight",
    "Strict",
    "Train",
    "Traits",
    "checked_parameters",
    "merge_parameters",
    "missing_file",
    "notebook_defaults",
    "read_words",
    "refuse_missing_inputs",
]

"""Parameters: what they are (`parameters`), which each notebook has (`notebooks`), and where they come from (`given`).

Defaults live in one place, the notebook's parameters cell; the classes say what is allowed and what it means.
"""

from anysleep.params.given import checked_parameters, missing_file, read_words, refuse_missing_inputs
from anysleep.params.notebooks import (
    NOTEBOOKS,
    Arousals,
    Evaluate,
    Figures,
    Inspect,
    Predict,
    Prepare,
    StageOneNight,
    Train,
    Traits,
)
from anysleep.params.parameters import MARK, Parameters, notebook_defaults

__all__ = [
    "MARK",
    "NOTEBOOKS",
    "Arousals",
    "Evaluate",
    "Figures",
    "Inspect",
    "Parameters",
    "Predict",
    "Prepare",
    "StageOneNight",
    "Train",
    "Traits",
    "checked_parameters",
    "missing_file",
    "notebook_defaults",
    "read_words",
    "refuse_missing_inputs",
]

"""The workbook: parameters of notebooks, run folders, the runner, and what is behind 01, 05 and 07."""

from anysleep.workbook.notebooks import (
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
from anysleep.workbook.run import start_run

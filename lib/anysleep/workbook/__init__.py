"""The workbook: parameters of notebooks, run folders, the runner, and what is behind 01, 05 and 07."""

"""Automatic sleep staging from any EEG and EOG channels: a thin library under the workbook's notebooks."""

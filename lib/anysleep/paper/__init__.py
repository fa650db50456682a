"""The paper: its published numbers, the same of finished runs, and its figures."""

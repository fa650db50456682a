"""Voltages in microvolts, whatever unit a file uses."""

_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "nv": 1e-3}


def microvolts(unit: str) -> float | None:
    """Microvolts in one `unit` ('mV' -> 1000.0); None where it is no voltage."""
    return _MICROVOLTS.get(unit.strip().lower().replace("\u03bc", "\u00b5"))  # Greek mu -> micro sign

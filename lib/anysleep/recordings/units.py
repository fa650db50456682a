"""Voltages in microvolts, whatever unit a file uses; other units only where they are known ones."""

_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "nv": 1e-3}
_OTHER_UNITS = frozenset(
    "% a.u. au boolean s ms 1/min bpm rpm hz c °c degc f degf k mmhg mmh2o cmh2o pa hpa kpa mbar ml l ml/s l/s l/min "
    "ohm kohm mohm us µs na ua µa ma a db mg g m/s2 m/s^2 m/s² deg ° lx lux".split()
)


def microvolts(unit: str) -> float | None:
    """Microvolts in one `unit` ('mV' -> 1000.0); None where it is no voltage."""
    return _MICROVOLTS.get(_plain(unit))


def known_unit(unit: str) -> str:
    """'uV' for every voltage, another physical unit as it is, else 'other': such a field may hold a person's name."""
    if microvolts(unit):
        return "uV"
    return unit.strip() if _plain(unit) in {"", *_OTHER_UNITS} else "other"


def _plain(unit: str) -> str:
    return unit.strip().lower().replace("\u03bc", "\u00b5")  # Greek mu -> micro sign

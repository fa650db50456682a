"""How healthy adults of an age slept in published studies: context for the statistics of a night, no judgement of it.

Only what the abstracts of two studies print, so that anybody can check it: for two age groups the total sleep time and
the sleep efficiency of Mitterling et al. 2015, and the change per decade of age in the meta-analysis of Boulos et al.
2019, whose values by age stand in tables that are not openly readable. Other statistics and ages have none.
"""

from math import isnan
from typing import Literal, NamedTuple

from anysleep.analysis.definitions import STATISTICS
from anysleep.published import read_published
from anysleep.stages import EPOCH_S

SHORTEST_NIGHT_H = 4
"""The studies are of whole nights; what is shorter, such as a nap, is not compared with them."""


class Reference(NamedTuple):
    """A published value of healthy adults, in the unit of the statistic."""

    value: float
    low: float
    high: float
    population: str
    source: str


def reference_band(name: str, age: float | None) -> Reference | None:
    """Value and interval of the age group, in completed years, as printed; None where nothing is published here for it.

    The abstract does not say which percentiles bound the interval. KeyError where there is no such statistic.
    """
    if age is None or isnan(age):
        _rows(name, "band")
        return None
    rows = [row for row in _rows(name, "band") if int(row["age_from"]) <= int(age) <= int(row["age_to"])]
    return _reference(rows[0]) if rows else None


def reference_bands(age: float | None, n_epochs: int) -> dict[str, Reference]:
    """Statistic -> its values in this age group, of those that have any; an age of 0 is unknown.

    None for a recording of fewer epochs than a night of `SHORTEST_NIGHT_H` has.
    """
    if n_epochs * EPOCH_S < SHORTEST_NIGHT_H * 3600:
        return {}
    found = {name: reference_band(name, age or None) for name in STATISTICS}
    return {name: band for name, band in found.items() if band}


def change_per_decade(name: str) -> Reference | None:
    """How much the statistic changes with each ten years of an adult's age, and its 95 % confidence interval."""
    rows = _rows(name, "change_per_decade")
    return _reference(rows[0]) if rows else None


def _rows(name: str, kind: Literal["band", "change_per_decade"]) -> list[dict[str, str]]:
    if name not in STATISTICS:
        raise KeyError(f"no statistic {name!r}; there are {', '.join(STATISTICS)}")
    return [row for row in read_published("reference_values") if (row["statistic"], row["kind"]) == (name, kind)]


def _reference(row: dict[str, str]) -> Reference:
    value, low, high = (float(row[column]) for column in ("value", "low", "high"))
    return Reference(value, low, high, row["population"], row["source"])

"""What the statistics of a night are called, in what unit they are, what they mean, and where that is from.

`reference_band` says how healthy adults of an age slept in published studies: context, no judgement. Only what the
abstracts of two studies print, so that anybody can check it: for two age groups the total sleep time and the sleep
efficiency of Mitterling et al. 2015, and the change per decade of age in the meta-analysis of Boulos et al. 2019, whose
values by age stand in tables that are not openly readable. Other statistics and ages have none.
"""

from math import isnan
from typing import Literal, NamedTuple

from anysleep.published import read_published
from anysleep.stages import EPOCH_S, STAGES

AASM = "AASM manual, parameters to be reported"
YASA = "yasa, doi 10.7554/eLife.70092"
CYCLES = "Feinberg & Floyd 1979, doi 10.1111/j.1469-8986.1979.tb02991.x, as in Blume & Cajochen 2021"
CONVENTION = "convention"
HERE = "this workbook"
SHORTEST_NIGHT_H = 4
"""The studies are of whole nights; what is shorter, such as a nap, is not compared with them."""


class Statistic(NamedTuple):
    """One statistic of a night."""

    title: str
    """Its name in words."""
    unit: str
    meaning: str
    source: str


STATISTICS = {
    "TIB": Statistic("time in bed", "min", "the epochs between lights off and lights on", AASM),
    "SPT": Statistic("sleep period", "min", "from sleep onset to the end of the last sleep", YASA),
    "WASO": Statistic("Wake after sleep onset", "min", "Wake within the sleep period", YASA),
    "WASO_to_lights_on": Statistic(
        "Wake after sleep onset, to lights on", "min", "Wake from sleep onset to lights on", AASM
    ),
    "TST": Statistic("total sleep time", "min", "N1, N2, N3 and REM", AASM),
    "SE": Statistic("sleep efficiency", "%", "TST of TIB", AASM),
    "SME": Statistic(
        "sleep maintenance efficiency", "%", "sleep of SPT, which is sleep efficiency of the sleep period", YASA
    ),
    "SFI": Statistic(
        "sleep fragmentation index",
        "1/h",
        "awakenings of 30 s, the last too, in an hour of sleep without shorter bouts",
        YASA,
    ),
    "SOL": Statistic("sleep onset latency", "min", "from lights off to the first 30 s of sleep of any stage", AASM),
    "SOL_N2": Statistic("latency to N2", "min", "from lights off to the first epoch of N2", CONVENTION),
    "SOL_90s": Statistic(
        "latency to 90 s of sleep", "min", "from lights off to the first of three epochs of sleep in a row", CONVENTION
    ),
    "SOL_5min": Statistic(
        "latency to 5 min of sleep",
        "min",
        "from lights off to the first 5 min of sleep, not broken by Wake below 30 s",
        YASA,
    ),
    "Lat_REM": Statistic("REM latency from lights off", "min", "from lights off to the first 30 s of REM", YASA),
    "Lat_REM_onset": Statistic(
        "REM latency from sleep onset", "min", "from sleep onset to the first 30 s of REM", AASM
    ),
    "WAKE": Statistic("Wake", "min", "Wake in time in bed", AASM),
    "N1": Statistic("N1", "min", "N1, light sleep", AASM),
    "N2": Statistic("N2", "min", "N2", AASM),
    "N3": Statistic("N3", "min", "N3, deep sleep", AASM),
    "REM": Statistic("REM", "min", "REM sleep", AASM),
    "UNS": Statistic("unscored", "min", "where there is any: part of TIB and SPT, neither sleep nor Wake", YASA),
    "%N1": Statistic("share of N1", "%", "N1 of TST", AASM),
    "%N2": Statistic("share of N2", "%", "N2 of TST", AASM),
    "%N3": Statistic("share of N3", "%", "N3 of TST", AASM),
    "%REM": Statistic("share of REM", "%", "REM of TST", AASM),
    "n_short_awakenings": Statistic(
        "awakenings below 30 s", "count", "Wake shorter than 30 s between sleep and sleep; none at 30 s", HERE
    ),
    "n_awakenings": Statistic("awakenings", "count", "runs of Wake, directly between sleep and sleep", CONVENTION),
    "n_stage_shifts": Statistic(
        "stage shifts",
        "count",
        "changes of stage, Wake included, within the sleep period; none to or from unscored",
        CONVENTION,
    ),
    "stage_shift_index": Statistic("stage shift index", "1/h", "n_stage_shifts in an hour of TST", CONVENTION),
    "n_REM_periods": Statistic("REM periods", "count", "REM with less than 15 min between, 5 min or the first", CYCLES),
    "n_cycles": Statistic("sleep cycles", "count", "a NREM period of 15 min or more, and its REM period", CYCLES),
    "cycle_min": Statistic("mean length of a cycle", "min", "mean length of the sleep cycles", CYCLES),
    "n_arousals": Statistic(
        "arousals", "count", "those that begin in sleep, where arousals were scored or detected", AASM
    ),
    "arousal_index": Statistic("arousal index", "1/h", "n_arousals in an hour of TST", AASM),
    **{
        f"arousal_index_{stage}": Statistic(
            f"arousal index in {stage}", "1/h", f"arousals that begin in {stage}, in an hour of {stage}", CONVENTION
        )
        for stage in STAGES[1:]
    },
}
"""Name -> title, unit, meaning and source, in the order of a report."""


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

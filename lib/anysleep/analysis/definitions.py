"""What the statistics of a night are called, in what unit they are, what they mean, and where that is from."""

from typing import NamedTuple

AASM = "AASM manual, parameters to be reported"
YASA = "yasa, doi 10.7554/eLife.70092"
CYCLES = "Feinberg & Floyd 1979, doi 10.1111/j.1469-8986.1979.tb02991.x, as in Blume & Cajochen 2021"
CONVENTION = "convention"
HERE = "this workbook"


class Statistic(NamedTuple):
    """One statistic of a night."""

    unit: str
    meaning: str
    source: str


STATISTICS = {
    "TIB": Statistic("min", "time in bed: the epochs between lights off and lights on", AASM),
    "SPT": Statistic("min", "sleep period: from sleep onset to the end of the last sleep", YASA),
    "WASO": Statistic("min", "Wake after sleep onset, within the sleep period", YASA),
    "WASO_to_lights_on": Statistic("min", "Wake after sleep onset, until lights on", AASM),
    "TST": Statistic("min", "total sleep time: N1, N2, N3 and REM", AASM),
    "SE": Statistic("%", "sleep efficiency: TST of TIB", AASM),
    "SME": Statistic("%", "sleep efficiency of the sleep period (sleep maintenance): sleep of SPT", YASA),
    "SFI": Statistic(
        "1/h",
        "sleep fragmentation index: awakenings of 30 s, the last too, in an hour of sleep without shorter bouts",
        YASA,
    ),
    "SOL": Statistic("min", "sleep onset latency: from lights off to the first 30 s of sleep of any stage", AASM),
    "SOL_N2": Statistic("min", "from lights off to the first epoch of N2", CONVENTION),
    "SOL_90s": Statistic("min", "from lights off to the first of three epochs of sleep in a row", CONVENTION),
    "SOL_5min": Statistic("min", "from lights off to the first 5 min of sleep, not broken by Wake below 30 s", YASA),
    "Lat_REM": Statistic("min", "REM latency from lights off: to the first 30 s of REM", YASA),
    "Lat_REM_onset": Statistic("min", "REM latency from sleep onset: to the first 30 s of REM", AASM),
    "WAKE": Statistic("min", "Wake in time in bed", AASM),
    "N1": Statistic("min", "N1, light sleep", AASM),
    "N2": Statistic("min", "N2", AASM),
    "N3": Statistic("min", "N3, deep sleep", AASM),
    "REM": Statistic("min", "REM sleep", AASM),
    "UNS": Statistic("min", "unscored, where there is any: part of TIB and SPT, neither sleep nor Wake", YASA),
    "%N1": Statistic("%", "N1 of TST", AASM),
    "%N2": Statistic("%", "N2 of TST", AASM),
    "%N3": Statistic("%", "N3 of TST", AASM),
    "%REM": Statistic("%", "REM of TST", AASM),
    "n_short_awakenings": Statistic("count", "Wake shorter than 30 s between sleep and sleep; none at 30 s", HERE),
    "n_awakenings": Statistic("count", "runs of Wake, directly between sleep and sleep", CONVENTION),
    "n_stage_shifts": Statistic(
        "count", "changes of stage, Wake included, within the sleep period; none to or from unscored", CONVENTION
    ),
    "stage_shift_index": Statistic("1/h", "n_stage_shifts in an hour of TST", CONVENTION),
    "n_REM_periods": Statistic("count", "REM periods: REM with less than 15 min between, 5 min or the first", CYCLES),
    "n_cycles": Statistic("count", "sleep cycles: a NREM period of 15 min or more, and its REM period", CYCLES),
    "cycle_min": Statistic("min", "mean length of the sleep cycles", CYCLES),
    "n_arousals": Statistic("count", "arousals that begin in sleep, where arousals were scored or detected", AASM),
    "arousal_index": Statistic("1/h", "n_arousals in an hour of TST", AASM),
    "arousal_index_N1": Statistic("1/h", "arousals that begin in N1, in an hour of N1", CONVENTION),
    "arousal_index_N2": Statistic("1/h", "arousals that begin in N2, in an hour of N2", CONVENTION),
    "arousal_index_N3": Statistic("1/h", "arousals that begin in N3, in an hour of N3", CONVENTION),
    "arousal_index_REM": Statistic("1/h", "arousals that begin in REM, in an hour of REM", CONVENTION),
}
"""Name -> unit, meaning and source, in the order of a report."""

"""Which montages a night is scored with: all channels, named ones, drawn ones, or every pair (AnySleep, methods).

A montage is an ordered tuple of channels. AnySleep reads it in one pass. U-Sleep reads two channels at a time: a larger
montage is staged as its pairs of EEG and EOG, which then vote.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
import pandas as pd

from anysleep.datasets.archive import Archive
from anysleep.recordings.channels import is_left_eye, site_of
from anysleep.system.words import did_you_mean

Montage = tuple[str, ...]
Mode = Literal["all", "named", "drawn", "pairs"]

ALL_EOG = "EOG"
"""The name that means every EOG channel of a night, and the site that they share."""
LEFT_EOG = "left EOG"
"""The name that means the channel of the left eye, whatever a data set calls it."""


def with_channel_types(archive: Archive, nights: pd.DataFrame) -> pd.DataFrame:
    """`nights` with columns eeg and eog: the names of each night's channels, as lists in the data set's order."""
    keys = zip(nights.dataset, nights.recording, strict=True)
    typed = [archive.channels_of(*key) for key in keys]
    return nights.assign(eeg=[eeg for eeg, _ in typed], eog=[eog for _, eog in typed])


def plan_montages(
    nights: pd.DataFrame,
    mode: Mode,
    *,
    usleep: bool = False,
    channels: Sequence[str] = (),
    n_eeg: Sequence[int] = (),
    n_eog: Sequence[int] = (),
    n_draws: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """The montages of every night; neither the order of `nights` nor other points change what is drawn.

    Parameters
    ----------
    nights
        Columns dataset, recording, subject, eeg, eog; see `with_channel_types`.
    mode
        all: every channel at once. named: `channels`. drawn: n EEG and m EOG channels, for every n of `n_eeg` and m of
        `n_eog` but none of both, in nights that have the most that is asked for. pairs: single channels and unordered
        pairs of `channels`, by default all; for U-Sleep every ordered pair, twice the same included.
    usleep
        Whether U-Sleep stages: but for pairs it needs an EEG and an EOG channel, so there is no point with none.
    channels
        Names as `find_channels` understands them; a night that lacks one is left out.
    n_draws
        Draws at each point: a night, then its channels, all uniformly; the nights are the same at every point, so that
        points differ in channels alone. 0 takes every combination of every night.
    seed
        Of the draws.

    Returns
    -------
    A row a night and montage: dataset, recording, subject, channels (tuple, EEG first; of U-Sleep's pairs both orders),
    sites (tuple), n_eeg, n_eog, n_draws (how often it was drawn; else 1). Nights that lack a channel have no row.

    Raises
    ------
    ValueError
        No night has what is asked for.
    """
    nights = nights.sort_values(["dataset", "recording"], ignore_index=True)
    if mode == "drawn":
        montages = _drawn(nights, _points(n_eeg, n_eog, usleep), n_draws, seed)
    else:
        pools = [_pool(night.eeg, night.eog, channels) for night in nights.itertuples()]
        pools = _without_eeg_or_eog(nights, pools) if usleep and mode != "pairs" else pools
        montages = [Counter(_split(pool, mode, usleep) if pool else []) for pool in pools]
    rows = [row for i, night in enumerate(nights.itertuples()) for row in _rows(night, montages[i])]
    if not rows:
        raise ValueError(_why_none(nights, channels, usleep))
    return pd.DataFrame(rows)


def find_channels(name: str, eeg: Sequence[str], eog: Sequence[str]) -> list[str]:
    """The channels of a night that a name means; none where there is none.

    That is the channel so called ('C3-M2'); every EOG channel for 'EOG'; the first of the left eye for 'left EOG'; else
    the first at that site ('C3'), see `site_of`: one between two electrodes stands for neither ('C3-O1').
    """
    if name in (*eeg, *eog):
        return [name]
    if name == ALL_EOG:
        return list(eog)
    found = [one for one in eog if is_left_eye(one)] if name == LEFT_EOG else []
    return [*found, *(one for one in (*eeg, *eog) if site_of(one) == name)][:1]


def staged_as(montage: Montage, n_eeg: int, *, usleep: bool) -> list[Montage]:
    """What the network reads: the montage itself; U-Sleep of more than two channels every pair of EEG and EOG."""
    if not usleep or len(montage) == 2:
        return [montage]
    return list(product(montage[:n_eeg], montage[n_eeg:]))


def published_key(dataset: str, recording: str, montage: Montage, *, usleep: bool) -> str:
    """What published files call a night's result: `<dataset>#<recording>#<channel>&...`, of U-Sleep `#<eeg>#<eog>`."""
    return f"{dataset}#{recording}#" + ("#" if usleep else "&").join(montage)


def _pool(eeg: Sequence[str], eog: Sequence[str], names: Sequence[str]) -> Montage:
    """The channels that the names mean, by default all, EEG first; empty where one is missing."""
    if not names:
        return (*eeg, *eog)
    found = [find_channels(name, eeg, eog) for name in names]
    wanted = {channel for several in found for channel in several}
    return tuple(channel for channel in (*eeg, *eog) if channel in wanted) if all(found) else ()


def _without_eeg_or_eog(nights: pd.DataFrame, pools: Iterable[Montage]) -> list[Montage]:
    """The pools, emptied where U-Sleep would lack a channel of either kind."""
    typed = zip(pools, nights.eeg, nights.eog, strict=True)
    return [pool if set(pool) & set(eeg) and set(pool) & set(eog) else () for pool, eeg, eog in typed]


def _split(pool: Montage, mode: Mode, usleep: bool) -> list[Montage]:
    if mode != "pairs":
        return [pool]
    return list(product(pool, repeat=2)) if usleep else [*combinations(pool, 1), *combinations(pool, 2)]


def _points(n_eeg: Sequence[int], n_eog: Sequence[int], usleep: bool) -> list[tuple[int, int]]:
    """Numbers of EEG and EOG channels. ValueError where there is nothing to draw."""
    points = [point for point in product(sorted(set(n_eeg)), sorted(set(n_eog))) if any(point)]
    points = [point for point in points if all(point) or not usleep]
    if not points:
        needs = "U-Sleep needs at least one EEG and one EOG" if usleep else "at least one channel is needed"
        raise ValueError(f"n_eeg {list(n_eeg)} and n_eog {list(n_eog)} leave nothing to draw: {needs}")
    return points


def _drawn(nights: pd.DataFrame, points: Sequence[tuple[int, int]], n_draws: int, seed: int) -> list[Counter[Montage]]:
    """How often every montage of every night is drawn. ValueError where no night has channels enough."""
    # Nights must have enough for the largest point, so that every point has the same nights.
    most = tuple(max(numbers) for numbers in zip(*points, strict=True))
    typed = list(zip(nights.eeg, nights.eog, strict=True))
    enough = [i for i, (eeg, eog) in enumerate(typed) if len(eeg) >= most[0] and len(eog) >= most[1]]
    if not enough:
        have = ", ".join(sorted({f"{len(eeg)} + {len(eog)}" for eeg, eog in typed}))
        raise ValueError(f"no night has {most[0]} EEG + {most[1]} EOG channels; the nights have {have}")
    drawn: list[Counter[Montage]] = [Counter() for _ in typed]
    nights_drawn = np.random.default_rng(seed).choice(enough, n_draws).tolist()  # none where n_draws is 0
    for n, m in points:
        if n_draws == 0:
            for i in enough:
                drawn[i].update(
                    eeg + eog for eeg, eog in product(combinations(typed[i][0], n), combinations(typed[i][1], m))
                )
        rng = np.random.default_rng([seed, n, m])  # of its own, so that no point depends on the others
        for i in nights_drawn:
            drawn[i][_draw(rng, typed[i][0], n) + _draw(rng, typed[i][1], m)] += 1
    return drawn


def _draw(rng: np.random.Generator, names: Sequence[str], n: int) -> Montage:
    """n different names, in their order."""
    return tuple(names[i] for i in sorted(rng.choice(len(names), n, replace=False)))


def _rows(night: Any, montages: Counter[Montage]) -> list[dict[str, object]]:
    who = {"dataset": night.dataset, "recording": night.recording, "subject": night.subject}
    return [
        who
        | {
            "channels": montage,
            "sites": tuple(ALL_EOG if name in night.eog else site_of(name) or name for name in montage),
            "n_eeg": sum(name in night.eeg for name in montage),
            "n_eog": sum(name in night.eog for name in montage),
            "n_draws": times,
        }
        for montage, times in montages.items()
    ]


def _why_none(nights: pd.DataFrame, channels: Sequence[str], usleep: bool) -> str:
    """Which name no night knows, with the nearest that one has; else that no night has all."""
    typed = list(zip(nights.eeg, nights.eog, strict=True))
    unknown = [name for name in channels if not any(find_channels(name, *night) for night in typed)]
    if unknown:
        known = {name for eeg, eog in typed for name in (*eeg, *eog)}
        known |= {site for name in known if (site := site_of(name))} | {ALL_EOG, LEFT_EOG}
        return f"no night has a channel {unknown[0]!r}; {did_you_mean(unknown[0], sorted(known))}"
    needs = "an EEG and an EOG channel, as U-Sleep needs" if usleep else "a channel"
    return f"no night has all of {', '.join(channels)}" if channels else f"no night has {needs}"

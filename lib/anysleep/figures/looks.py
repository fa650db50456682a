"""How networks, published values and resolutions look in every figure."""

from collections.abc import Iterable
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator


class Look(NamedTuple):
    """How a network is drawn and called."""

    name: str
    colour: str
    marker: str
    line: str


NETWORKS = {
    "anysleep": Look("AnySleep", "#0072B2", "o", "-"),
    "usleep": Look("U-Sleep", "#D55E00", "s", "--"),
    "anysleep_early_fusion": Look("early fusion", "#009E73", "^", "-."),
    "anysleep_late_fusion": Look("late fusion", "#CC79A7", "D", ":"),
}
"""Okabe and Ito's palette, safe for colour-blind readers; markers and lines differ, too."""

PUBLISHED = {
    "color": "0.4",
    "markerfacecolor": "none",
    "markeredgewidth": 0.7,
    "markersize": 6.5,
    "linewidth": 0.7,
    "zorder": 3,
}
"""Published values: grey, and hollow markers large enough to be seen around ours."""


def look_of(network: str) -> Look:
    """How to draw a network; black where it is none of the four."""
    return NETWORKS.get(network, Look(network, "black", "x", "-"))


def resolution_colours(resolutions: Iterable[int]) -> dict[int, tuple]:
    """A colour for each number of predictions in an epoch: light is coarse, dark is fine."""
    ordered = sorted(set(resolutions))
    shades = [i / max(len(ordered) - 1, 1) for i in range(len(ordered))]
    return {r: plt.colormaps["viridis_r"](0.1 + 0.9 * shade) for r, shade in zip(ordered, shades, strict=True)}


def new_axes(width_in: float, height_in: float, title: str = "") -> Axes:
    """Axes that fill a new figure, with a title on the left."""
    _, ax = plt.subplots(figsize=(width_in, height_in), layout="constrained")
    ax.set_title(title, loc="left", fontsize="medium")
    return ax


def in_words(name: str, figure: Figure) -> str:
    """For who cannot see the figure: its name, its titles, and what is drawn against what."""
    labels = [(ax.get_ylabel(), ax.get_xlabel()) for ax in figure.axes]
    drawn = [" against ".join(pair) for pair in labels if all(pair)]
    titles = [figure.get_suptitle(), *(ax.get_title("left") or ax.get_title() for ax in figure.axes)]
    parts = [name.replace("_", " "), *titles, *drawn]
    return ". ".join(dict.fromkeys(" ".join(part.split()) for part in parts if part)) + "."


def seconds_text(seconds: float) -> str:
    """Seconds per prediction, as on every axis and in every legend: three digits at most."""
    return f"{seconds:.3g}"


def seconds_axis(seconds: Iterable[float], ax: Axes) -> Axes:
    """Seconds per prediction on a logarithmic axis, the coarsest on the left, each with its tick."""
    values = sorted(set(seconds))
    ax.set_xscale("log")
    ax.set_xticks(values, [seconds_text(value) for value in values], rotation=45 if len(values) > 6 else 0)
    ax.xaxis.set_minor_locator(NullLocator())
    limits = (1.3 * values[-1], values[0] / 1.3) if values else (36, 0.0065)
    ax.set(xlim=limits, xlabel="seconds per prediction")
    return ax

"""One night on one page: a sheet of paper (PDF) and a web page that hold the same, with text that can be selected."""

import html
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anysleep.analysis.definitions import Reference
from anysleep.figures.night import draw_lights, plot_hypnodensity, plot_hypnogram, prediction_times, time_axis
from anysleep.recordings.lights import LightsTimes
from anysleep.stages import EPOCH_S, STAGES

PAPER_IN = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}
"""Width and height of a sheet in inches."""
NO_DEVICE = (
    "Research software, not a medical device: this page is no finding and no diagnosis, and nobody has checked it."
)
SELECTABLE = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "report"}
SMALL = 7.5
LINE_IN = 0.15
STYLE = """body { font: 15px/1.4 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
svg { width: 100%; height: auto } table { border-collapse: collapse; margin: 1em 0 }
th, td { text-align: left; padding: .15em .8em .15em 0; border-bottom: 1px solid #ddd; vertical-align: top }
@media print { body { margin: 0; font-size: 11px } }"""


@dataclass(frozen=True)
class NightReport:
    """What the page of a night says; every text is printed as it is."""

    title: str
    about: Mapping[str, str]
    """What is said of recording, network and verdict, in this order."""
    hypnogram: np.ndarray
    """int (E,), at 30 s, 9 where unscored."""
    hypnodensity: np.ndarray
    """float (E, 5)."""
    statistics: pd.DataFrame
    """Of `statistics_report`: statistic, value, title, unit, meaning, source."""
    channels: pd.DataFrame
    """Of the montage doctor: channel, verdict, reason."""
    clock_time: str | None = None
    """Of the first sample; None where it is not known."""
    lights_s: LightsTimes = (None, None)
    references: Mapping[str, Reference] = field(default_factory=dict)
    """Statistic -> the published values of this age, of those that have any."""


def least_certain(report: NightReport) -> pd.DataFrame:
    """The five epochs of which the network was least certain, the least first: time, stage, probability, next_stage.

    The stages are the network's, also where a person has corrected them.
    """
    scored = np.flatnonzero(report.hypnogram < len(STAGES))
    order = scored[np.argsort(report.hypnodensity[scored].max(axis=1), kind="stable")[:5]]
    rows = []
    for epoch in order:
        first, second, *_ = np.argsort(-report.hypnodensity[epoch], kind="stable")
        stages, probability = (STAGES[first], STAGES[second]), report.hypnodensity[epoch, first]
        rows.append((_moment(report, epoch * EPOCH_S), stages[0], round(float(probability), 2), stages[1]))
    return pd.DataFrame(rows, columns=["time", "stage", "probability", "next_stage"])


def draw_page(report: NightReport, paper: str) -> Figure:
    """The report on a sheet of `paper` (`PAPER_IN`)."""
    figure = plt.figure(figsize=PAPER_IN[paper])
    sheet = _Sheet(figure)
    sheet.write(0.55, 0, report.title, size=15, weight="bold")
    sheet.write(0.85, 0, NO_DEVICE)
    at_in = 1.15
    for name, text in report.about.items():
        sheet.write(at_in, 0, name, weight="bold")
        for line in textwrap.wrap(text, 108, max_lines=2, placeholder="…"):
            sheet.write(at_in, 1.2, line)
            at_in += LINE_IN
    _draw_night(report, figure, top=sheet.height(at_in + 0.15), bottom=sheet.height(at_in + 2.65))
    at_in += 3.15
    n_rows = (len(report.statistics) + 1) // 2
    for i, row in enumerate(report.statistics.itertuples()):
        row_in, left_in = at_in + i % n_rows * LINE_IN, 3.65 * (i // n_rows)
        sheet.write(row_in, left_in, _capital(row.title))
        sheet.write(row_in, left_in + 3.0, _value(row.value), ha="right")
        sheet.write(row_in, left_in + 3.05, "" if row.unit == "count" else row.unit)
    _closing(report, sheet, at_in + (n_rows + 1) * LINE_IN)
    return figure


def write_report(report: NightReport, temporary_pdf: Path, temporary_page: Path, paper: str) -> None:
    """Write both; no date of the day of writing, so that the same night gives the same files."""
    with plt.rc_context(SELECTABLE):
        page = draw_page(report, paper)
        page.savefig(temporary_pdf, format="pdf", metadata={"CreationDate": None, "Title": report.title})
        plt.close(page)
        temporary_page.write_text(report_as_html(report), encoding="utf-8")


def report_as_html(report: NightReport) -> str:
    """The report as a page of its own, which needs nothing from elsewhere."""
    about = pd.DataFrame(report.about.items())
    tables = {
        "Statistics": report.statistics.assign(value=[_value(value) for value in report.statistics.value]),
        "Least certain epochs": least_certain(report),
        "Channels": report.channels[["channel", "verdict", "reason"]],
    }
    references = "".join(f"<p>{html.escape(_as_sentence(report, name))}</p>" for name in report.references)
    return "\n".join(
        [
            f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(report.title)}</title>',
            f"<style>{STYLE}</style>\n<h1>{html.escape(report.title)}</h1>\n<p>{NO_DEVICE}</p>",
            about.to_html(index=False, header=False, border=0),
            f'<figure role="img" aria-label="{html.escape(_in_words(report))}">{_svg(report)}</figure>',
            *(f"<h2>{heading}</h2>\n{table.to_html(index=False, border=0)}" for heading, table in tables.items()),
            f"{references}\n</html>\n",
        ]
    )


def _svg(report: NightReport) -> str:
    figure = plt.figure(figsize=(10, 4.2))
    _draw_night(report, figure, top=0.97, bottom=0.12)
    drawn = StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    plt.close(figure)
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def _in_words(report: NightReport) -> str:
    """The picture for those who cannot see it."""
    shares = [f"{STAGES[stage]} {np.mean(report.hypnogram == stage):.0%}" for stage in range(len(STAGES))]
    return f"Hypnogram of {len(report.hypnogram)} epochs over the probability of every stage: {', '.join(shares)}"


def _draw_night(report: NightReport, figure: Figure, top: float, bottom: float) -> None:
    """Hypnogram over hypnodensity."""
    grid = figure.add_gridspec(2, 1, left=0.13, right=0.85, top=top, bottom=bottom, hspace=0.12)
    start = None if report.clock_time is None else pd.Timestamp(f"1985-01-01T{report.clock_time}").to_pydatetime()
    times = prediction_times(len(report.hypnogram), EPOCH_S, start)
    upper = plot_hypnogram(report.hypnogram, times, figure.add_subplot(grid[0]))
    lower = plot_hypnodensity(report.hypnodensity, times, figure.add_subplot(grid[1], sharex=upper))
    upper.tick_params(labelbottom=False)
    draw_lights(report.lights_s, start, upper)
    time_axis(lower, start)


class _Sheet:
    """Text on paper, placed in inches below the upper edge and right of the margin."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.width_in, self.height_in = figure.get_size_inches()

    def height(self, below_in: float) -> float:
        """As a share of the sheet."""
        return 1 - below_in / self.height_in

    def write(self, below_in: float, right_in: float, text: str, size: float = SMALL, **style: object) -> None:
        x = (0.65 + right_in) / self.width_in
        self.figure.text(x, self.height(below_in), text, fontsize=size, va="top", **style)

    def axes(self, below_in: float, right_in: float, width_in: float, height_in: float) -> Axes:
        lower_left = (0.65 + right_in) / self.width_in, self.height(below_in + height_in)
        return self.figure.add_axes((*lower_left, width_in / self.width_in, height_in / self.height_in))


def _closing(report: NightReport, sheet: _Sheet, below_in: float) -> None:
    """Least certain epochs, channels with a doubt, and references."""
    unsure = [
        f"{row.time}  {row.stage} ({row.probability:.2f}) or {row.next_stage}"
        for row in least_certain(report).itertuples()
    ]
    doubtful = report.channels[report.channels.verdict != "use"]
    doubts = [f"{row.channel}: {row.verdict}, {row.reason}" for row in doubtful.itertuples()] or ["none"]
    for left_in, heading, lines in ((0, "Least certain epochs", unsure), (2.2, "Doubts about channels", doubts)):
        sheet.write(below_in, left_in, heading, weight="bold")
        for i, line in enumerate(lines[:5]):
            sheet.write(below_in + (i + 1) * LINE_IN, left_in, _shortened(line, 85))
    for i, name in enumerate(report.references):
        at_in = below_in + (7 + 2 * i) * LINE_IN
        sheet.write(at_in, 0, _as_sentence(report, name))
        value = float(report.statistics.set_index("statistic").value[name])
        _draw_band(value, report.references[name], sheet.axes(at_in + LINE_IN, 0, 3, 0.9 * LINE_IN))


def _draw_band(value: float, reference: Reference, ax: Axes) -> None:
    """This night as a cross over the published value and its interval."""
    ax.axis("off")
    ax.plot([reference.low, reference.high], [0, 0], color="0.75", linewidth=6, solid_capstyle="butt")
    ax.plot([reference.value], [0], color="0.4", marker="|", markersize=9)
    ax.plot([value], [0], color="#0072B2", marker="x", markersize=6, markeredgewidth=1.5, linestyle="none")
    ax.margins(0.05, 0.5)


def _as_sentence(report: NightReport, name: str) -> str:
    row, published = report.statistics.set_index("statistic").loc[name], report.references[name]
    interval = f"{published.value:g} ({published.low:g} to {published.high:g}) {row.unit}"
    return f"{_capital(row.title)} here {_value(row.value)} {row.unit}; {interval} at this age in {published.source}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _value(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}".removesuffix(".0")


def _shortened(text: str, n_letters: int) -> str:
    return text if len(text) <= n_letters else f"{text[: n_letters - 1]}…"


def _moment(report: NightReport, at_s: float) -> str:
    if report.clock_time is None:
        return f"{at_s / 60:g} min"
    return f"{pd.Timestamp(f'1985-01-01T{report.clock_time}') + pd.Timedelta(seconds=at_s):%H:%M:%S}"

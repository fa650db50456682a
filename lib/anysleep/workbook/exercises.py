"""The right answers to the exercises of the notebooks, each worked out from what this run has found, and their boxes.

Their texts stand in the notebooks; `python docs/exercise_sheet.py` prints all of them. Nothing is known beforehand: the
answers of another cohort are others.
"""

import html
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import ipywidgets
import numpy as np
import pandas as pd

from anysleep.analysis.arousals.tables import HEADLINE_MATCHING, headline, headline_resolution
from anysleep.datasets.archive import Archive
from anysleep.paper.results import read_results
from anysleep.stages import EPOCH_S, STAGES, UNSCORED
from anysleep.workbook.run import Run


class NotYet(Exception):
    """What has to be done before an exercise can be answered."""


class Exercise(NamedTuple):
    """An exercise whose answer can be checked."""

    asks: str
    """Its number, and what to type, with the unit."""
    right: Callable[[Run], str | float]
    """The answer, from what the run has found; NotYet where that does not tell it."""
    hint: str
    within: float = 0.0
    """How far off a number may be: read off a figure, or rounded."""


class AnswerBoxes(ipywidgets.VBox):
    """A line for each exercise that can be checked: what is asked for, the answer, and what is said of it.

    `verdict_of` has what is asked for -> a function of the answer as it was typed.
    """

    def __init__(self, verdict_of: Mapping[str, Callable[[str], str]]):
        self.answers = [_box(asks) for asks in verdict_of]
        self.verdicts = [ipywidgets.HTML() for _ in verdict_of]
        for box, says, verdict in zip(self.answers, self.verdicts, verdict_of.values(), strict=True):
            box.observe(partial(_judge, verdict=verdict, says=says), "value")
        super().__init__([ipywidgets.VBox(line) for line in zip(self.answers, self.verdicts, strict=True)])


def _box(asks: str) -> ipywidgets.Text:
    look = {"style": {"description_width": "26em"}, "layout": ipywidgets.Layout(width="42em", max_width="98%")}
    return ipywidgets.Text(description=asks, placeholder="answer, then Enter", continuous_update=False, **look)


def _judge(change: Mapping[str, str], verdict: Callable[[str], str], says: ipywidgets.HTML) -> None:
    says.value = html.escape(verdict(change["new"])) if change["new"].strip() else ""


def answer_boxes(run: Run) -> AnswerBoxes:
    """Boxes for the answers to the exercises of this notebook that can be checked."""
    return AnswerBoxes({one.asks: partial(verdict, one, run) for one in EXERCISES[run.params.notebook]})


def verdict(exercise: Exercise, run: Run, answer: str) -> str:
    """`right`, or `not yet` and a hint."""
    try:
        right = exercise.right(run)
    except NotYet as reason:
        return f"not yet: {reason}"
    if isinstance(right, str):
        return "right" if answer.strip().casefold() == right.casefold() else f"not yet: {exercise.hint}"
    try:
        given = float(answer.strip().removesuffix("%").replace(",", "."))
    except ValueError:
        return "not yet: a number is asked for, such as 12.5"
    return "right" if abs(given - right) <= exercise.within + 1e-9 else f"not yet: {exercise.hint}"


def _table(run: Run, name: str) -> pd.DataFrame:
    """A table of the run, the first of a pattern. NotYet where it has none, or an empty one."""
    files = sorted(run.folder.glob(f"{name}.csv"))
    table = pd.read_csv(files[0]) if files else pd.DataFrame()
    if table.empty:
        raise NotYet(f"this run has found nothing for its table {name}; the demo has")
    return table


def _given(run: Run, name: str) -> Any:
    """A parameter of the run."""
    return getattr(run.params, name)


def _asked(run: Run, name: str, value: object) -> None:
    """NotYet where a parameter has another value."""
    if _given(run, name) != value:
        raise NotYet(f"this run has {name} = {_given(run, name)!r}; set it to {value!r}, and run all cells")


def _megabytes(run: Run) -> float:
    _asked(run, "sampling_rate_hz", 128)
    return (run.folder / "archive.h5").stat().st_size / 1e6


def _unscored_percent(run: Run) -> float:
    kept = _table(run, "recordings").query("status == 'ok'")
    return float(100 * (1 - kept.n_scored.sum() / kept.n_epochs.sum()))


def _slowly_trained_mf1(run: Run) -> float:
    _asked(run, "learning_rate", 0.001)
    return float(_table(run, "history").valid_mf1.max())


def _n_better(run: Run) -> int:
    return int(_table(run, "history").valid_mf1.cummax().nunique())


def _shown_stages(run: Run) -> np.ndarray:
    """int (E,), the expert's stages of the night that 02 shows."""
    with Archive(_given(run, "archive")) as archive:
        shown = archive.find(_given(run, "dataset"), _given(run, "recording"))
        hypnogram = archive.hypnogram(shown.dataset, shown.recording)
    if hypnogram is None:
        raise NotYet("nobody has scored the night that is shown; choose another with `recording`")
    return hypnogram


def _most_n3(run: Run) -> str:
    stages = _table(run, "stages")
    return str(stages.recording[(stages.N3 / stages[list(STAGES)].sum(axis=1)).idxmax()])


def _first_rem_s(run: Run) -> float:
    rem = np.flatnonzero(_shown_stages(run) == STAGES.index("REM"))
    if not rem.size:
        raise NotYet("the night that is shown has no REM; choose another with `recording`")
    return float(rem[0] * EPOCH_S)


def _n_stage_changes(run: Run) -> int:
    before, after = (stages := _shown_stages(run))[:-1], stages[1:]
    return int(((before != after) & (before != UNSCORED) & (after != UNSCORED)).sum())


def _overall(run: Run, score: str) -> float:
    scores = _table(run, "scores")
    return float(scores[scores.level == "all"].iloc[0][score])


def _interval_width(run: Run) -> float:
    _asked(run, "group_by", "recording")
    intervals = _table(run, "intervals")
    mf1 = intervals[(intervals.level == "all") & (intervals.score == "mf1")].iloc[0]
    return float(mf1.high - mf1.low)


def _mean_mf1(run: Run) -> float:
    scores = _table(run, "scores")
    return float(scores[(scores.level == "recording") & (scores.checkpoint == scores.checkpoint[0])].mf1.mean())


def _least_sure(run: Run) -> str:
    nights = _table(run, "nights").dropna(subset=["mean_confidence"])
    return str(nights.recording[nights.mean_confidence.idxmin()])


def _confidence_of_one(run: Run) -> float:
    nights = _table(run, "nights")
    if (nights.n_channels > 1).any():
        raise NotYet("these nights were staged with several channels; name a single one in `channels`, run all cells")
    return float(nights.mean_confidence.mean())


def _more_waso(run: Run) -> float:
    statistics = _table(run, "statistics")
    waso = statistics.pivot(index=["dataset", "recording"], columns="predictions_per_epoch", values="WASO")
    return float((waso[max(waso)] - waso[min(waso)]).median())


def _n_false(run: Run) -> int:
    counts = headline(_table(run, "counts"))
    at = counts.predictions_per_epoch == headline_resolution(counts.predictions_per_epoch.unique())
    return int(counts[at].false_positives.sum())


def _f1_at_half(run: Run) -> float:
    scores = _table(run, "scores")
    scores = scores[(scores.matching == HEADLINE_MATCHING) & (scores.measure == "f1")]
    at = scores.predictions_per_epoch == headline_resolution(scores.predictions_per_epoch.unique())
    return float(scores[at & np.isclose(scores.iou_above, 0.5)].estimate.iloc[0])


def _headline_of_traits(run: Run, column: str) -> float:
    summary = _table(run, "summary").set_index("predictions_per_epoch")
    first = next((r for r in _given(run, "permutation").resolutions if r in summary.index), summary.index.min())
    return float(summary.loc[first, column])


def _accuracy_of_sex(run: Run) -> float:
    _asked(run, "trait", "sex")
    return _headline_of_traits(run, "mean")


def _within_half(run: Run) -> int:
    rows = _table(run, "ledger").dropna(subset=["ours"])
    return int(((rows.ours - rows.published).abs() <= rows.tolerance / 2).sum())


def _each_dataset_alike(_: Run) -> float:
    published = read_results()
    held_out = published[(published.result == "mf1_per_dataset") & (published.held_out == "yes")]
    return float(held_out[held_out.network == "anysleep"].value.mean())


def _efficiency(run: Run) -> float:
    return float(_table(run, "statistics_*").set_index("statistic").value.SE)


def _arousal_index(run: Run) -> float:
    _asked(run, "predictions_per_epoch", 8)
    return float(_table(run, "statistics_*").set_index("statistic").value.arousal_index)


def _n_more_n1(run: Run) -> int:
    name = "hypnogram_30s_*" if _given(run, "predictions_per_epoch") > 1 else "hypnogram_*"
    table = _table(run, name)
    return int(((table.p_n1 > 0.3) & ~table.stage.isin(["N1", "unscored"])).sum())


EXERCISES = {
    "01_prepare": (
        Exercise(
            "1 · channels not simply used",
            lambda run: int((_table(run, "quality").verdict != "use").sum()),
            "add up the columns look and drop",
        ),
        Exercise("2 · size of the archive, in MB", _megabytes, "ls -l says bytes", 0.06),
        Exercise("3 · epochs that nobody scored, in %", _unscored_percent, "n_scored and n_epochs of what is ok", 0.06),
    ),
    "02_inspect": (
        Exercise("1 · name of the recording", _most_n3, "sort the column N3 of the table of percentages"),
        Exercise("2 · start_s, in s", _first_rem_s, "the first epoch is 0; np.flatnonzero(hypnogram == 4) has REM", 29),
        Exercise("3 · changes of stage in the night shown", _n_stage_changes, "np.diff; an unscored epoch is no stage"),
    ),
    "03_train": (
        Exercise("1 · MF1", lambda run: float(_table(run, "history").valid_mf1.max()), "the best valid_mf1", 0.0006),
        Exercise("2 · best MF1, trained more slowly", _slowly_trained_mf1, "the best valid_mf1 of this run", 0.0006),
        Exercise("3 · validations that were the best so far", _n_better, "history.valid_mf1.cummax()"),
    ),
    "04_evaluate": (
        Exercise(
            "1 · N1 that is found, in %",
            lambda run: 100 * _overall(run, "recall_n1"),
            "read the row N1, not the column: of all that the expert called N1",
            0.6,
        ),
        Exercise("2 · width of the interval of MF1", _interval_width, "high less low, of the row mf1", 0.0006),
        Exercise("3 · mean MF1 of the nights", _mean_mf1, "the mean over rows with level recording", 0.0006),
    ),
    "05_predict": (
        Exercise("1 · name of the recording", _least_sure, "the smallest mean_confidence of the table of nights"),
        Exercise("2 · mean of mean_confidence", _confidence_of_one, "the mean over all nights of this run", 0.006),
        Exercise(
            "3 · more WASO in the median night, min", _more_waso, "finest less coarsest of each night first", 0.06
        ),
    ),
    "06_arousals": (
        Exercise("1 · false positives", _n_false, "a row is a resolution: the headline's has one every 3 s or less"),
        Exercise("2 · F1 at an IoU above 0.5", _f1_at_half, "the line of the headline's resolution", 0.011),
    ),
    "07_traits": (
        Exercise(
            "1 · gain at the headline's resolution",
            lambda run: _headline_of_traits(run, "gain"),
            "baseline less mean for an error; the column is the first resolution in permutation",
            0.006,
        ),
        Exercise("2 · mean accuracy for sex", _accuracy_of_sex, "the row mean, at the headline's resolution", 0.006),
    ),
    "08_figures": (
        Exercise("1 · numbers compared", lambda run: len(_table(run, "ledger").ours.dropna()), "within, and outside"),
        Exercise("2 · within half the tolerance", _within_half, "rows.ours less rows.published, without its sign"),
        Exercise("3 · held-out MF1 of AnySleep", _each_dataset_alike, "the plain mean over held-out data sets", 0.0006),
    ),
    "stage_one_night": (
        Exercise("1 · sleep efficiency, in %", _efficiency, "the row SE of the statistics", 0.06),
        Exercise("2 · arousals in an hour of sleep", _arousal_index, "the row arousal_index of the statistics", 0.06),
        Exercise("3 · epochs that become N1", _n_more_n1, "count those that were not N1 before", 0),
    ),
}
"""Notebook -> its exercises that can be checked."""

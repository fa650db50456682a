"""Review by hand: what persons change on a staged night, in an append-only table; predictions stay as they are.

`corrected_night` makes a scored night of predictions and corrections, which every export writes; `jump_targets` says
where a reviewer looks next.
"""

import csv
import io
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock

from anysleep.exports.scored_night import ScoredNight
from anysleep.recordings.tables import FORMULA
from anysleep.stages import EPOCH_S, STAGES, UNSCORED

NAMES = {**dict(enumerate(STAGES)), UNSCORED: "unscored"}
CODES = {name: code for code, name in NAMES.items()}
AROUSAL, NOTHING = "arousal", "none"
"""What a span of time is changed to or from."""
COLUMNS = ["epoch", "from", "to", "scorer", "seconds_spent", "time", "onset_s", "end_s"]
"""Of corrections.csv. `epoch` counts from 1; `onset_s` and `end_s` are of arousals only; `time` is UTC."""

Place = int | tuple[float, float]
"""What is changed: an epoch, from 1, or an arousal by its onset and end in s."""


@dataclass(frozen=True)
class Change:
    """A row of corrections.csv."""

    place: Place
    before: str
    after: str
    scorer: str
    seconds_spent: float
    time: str

    @property
    def is_stage(self) -> bool:
        """Whether an epoch is changed, not an arousal."""
        return isinstance(self.place, int)

    @property
    def epoch(self) -> int:
        """Of an arousal, where it begins."""
        return self.place if isinstance(self.place, int) else int(self.place[0] // EPOCH_S) + 1

    def row(self) -> list[object]:
        """The cells, as in `COLUMNS`."""
        span_s = ("", "") if isinstance(self.place, int) else self.place
        return [self.epoch, self.before, self.after, self.scorer, f"{self.seconds_spent:.1f}", self.time, *span_s]


def read_corrections(path: Path) -> list[Change]:
    """Every change in order; none where there is no file. ValueError names the line that is none.

    A last line without an end was cut off while it was written, such as by a power failure, and does not count; one
    that has all its cells was saved by another program, and is refused.
    """
    *lines, rest = (path.read_bytes() if path.is_file() else b"").decode().split("\n")
    heading, first = ",".join(COLUMNS), (lines or [rest])[0].rstrip("\r")
    if first != heading and (lines or not heading.startswith(first)):
        raise ValueError(f"{path.name} holds no corrections: its first line is not {heading}")
    if lines and len(rest.split(",")) >= len(COLUMNS):
        raise ValueError(f"{path.name}: the last line has no end; add one, or take the line out")
    try:
        rows = list(csv.reader(lines))
    except csv.Error as error:
        raise ValueError(f"{path.name} holds no corrections: {error}") from error
    return [_change(path, number, cells) for number, cells in enumerate(rows, 1) if number > 1]


def corrected_night(night: ScoredNight, changes: Iterable[Change]) -> ScoredNight:
    """The night with the last change of every epoch and arousal; the scorer names who has changed it.

    Without probabilities, since those are of the network's stages. ValueError where a change is outside the night, or
    what was changed first is not what the night has: another network or another night was corrected.
    """
    changes, r = list(changes), night.predictions_per_epoch
    _check_same(night, changes)
    stages, arousals = np.array(night.stages, dtype=np.int8), set(spans_of(night.arousals_s))
    for change in changes:
        if change.is_stage:
            stages[(change.epoch - 1) * r : change.epoch * r] = CODES[change.after]
        else:
            (arousals.add if change.after == AROUSAL else arousals.discard)(change.place)
    spans_s = np.array(sorted(arousals), dtype=float).reshape(-1, 2)
    persons = " and ".join(dict.fromkeys(change.scorer for change in changes))
    scorer = f"{night.scorer}, corrected by {persons}" if persons else night.scorer
    return replace(night, stages=stages, arousals_s=spans_s, hypnodensity=None, scorer=scorer)


def _check_same(night: ScoredNight, changes: Sequence[Change]) -> None:
    r, spans_s = night.predictions_per_epoch, spans_of(night.arousals_s)
    for place, change in {change.place: change for change in reversed(changes)}.items():
        if change.epoch * r > len(night.stages):
            raise ValueError(
                f"epoch {change.epoch} is corrected, and the night has {len(night.stages) // r}; is it another?"
            )
        stages = night.stages[(change.epoch - 1) * r : change.epoch * r]
        is_so = CODES[change.before] in stages if change.is_stage else (change.before == AROUSAL) == (place in spans_s)
        if not is_so:
            known = {NAMES[stage] for stage in stages.tolist()} if change.is_stage else {AROUSAL, NOTHING}
            found = " and ".join(sorted(known - {change.before}))
            raise ValueError(
                f"epoch {change.epoch} is corrected from {change.before}, which it is not: it is {found}; the "
                "corrections are of another network or another night; move their file away"
            )


def spans_of(spans_s: np.ndarray | Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans (n, 2) to the millisecond, as they stand in corrections.csv."""
    return [(round(float(onset), 3), round(float(end), 3)) for onset, end in spans_s]


class Review:
    """What one person changes on one night, on disk as soon as it is done, with undo and redo.

    Several may review the same night at once: a change is appended under a lock, after what others have appended has
    been read. Of an epoch the last change counts, whoever made it.
    """

    night: ScoredNight
    """As corrected by everyone."""
    changes: list[Change]

    def __init__(self, night: ScoredNight, path: Path, scorer: str):
        """`night` is at 30 s, as predicted. Raises what reading and `corrected_night` raise."""
        if night.predictions_per_epoch != 1:
            raise ValueError(f"the night has {night.predictions_per_epoch} stages in 30 s; give the one with 1")
        self.predicted, self.path, self.scorer = night, Path(path), checked_name(scorer)
        self._done: list[list[Change]] = []
        self._undone: list[list[Change]] = []
        self._n_bytes = -1
        self.refresh()

    def refresh(self) -> bool:
        """Read what has been appended; whether anything was."""
        n_bytes = self.path.stat().st_size if self.path.is_file() else 0
        if n_bytes == self._n_bytes:
            return False
        self.changes = read_corrections(self.path)
        self.night, self._n_bytes = corrected_night(self.predicted, self.changes), n_bytes
        return True

    @property
    def reviewed(self) -> set[int]:
        """Epochs, from 1, that anyone has given a stage, be it the same one; not those whose changes were undone."""
        first, last = ({change.epoch: change for change in order if change.is_stage} for order in
                       (reversed(self.changes), self.changes))  # fmt: skip
        return {
            epoch
            for epoch, change in last.items()
            if change.after != first[epoch].before or change.before == change.after
        }

    def set_stage(self, epochs: Sequence[int], stage: int, seconds_spent: float = 0.0) -> None:
        """Give epochs, from 1, a stage: 0 to 4, or 9 for unscored. ValueError where there is no such epoch or stage."""
        last = len(self.predicted.stages)
        if stage not in NAMES or not all(1 <= epoch <= last for epoch in epochs):
            raise ValueError(f"epochs {list(epochs)} cannot become {stage}; expected 1 to {last}, and 0 to 4 or 9")
        self._do({int(epoch): NAMES[stage] for epoch in epochs}, seconds_spent)

    def mark_arousal(self, onset_s: float, end_s: float, seconds_spent: float = 0.0) -> None:
        """Mark an arousal, to the millisecond. ValueError where it is empty or not within the night."""
        (span,) = spans_of([(onset_s, end_s)])
        if not 0 <= span[0] < span[1] <= len(self.predicted.stages) * EPOCH_S:
            raise ValueError(f"an arousal from {onset_s:g} to {end_s:g} s does not lie within the night")
        self._do({span: AROUSAL}, seconds_spent)

    def remove_arousals(self, start_s: float, end_s: float, seconds_spent: float = 0.0) -> None:
        """Take away every arousal that reaches into a span of time."""
        spans = [span for span in spans_of(self.night.arousals_s) if span[0] < end_s and span[1] > start_s]
        self._do(dict.fromkeys(spans, NOTHING), seconds_spent)

    def undo(self) -> list[Change]:
        """Take back the last step, as far as nobody has changed the same since; returns what was changed back."""
        return self._reverse(self._done, self._undone)

    def redo(self) -> list[Change]:
        """Do again what was taken back last; returns what was changed."""
        return self._reverse(self._undone, self._done)

    def _do(self, wanted: dict[Place, str], seconds_spent: float) -> None:
        if wanted:
            self._done.append(self._append(wanted, seconds_spent / len(wanted)))
            self._undone.clear()

    def _reverse(self, steps: list[list[Change]], opposite: list[list[Change]]) -> list[Change]:
        if not steps:
            return []
        step = {change.place: change for change in steps[-1]}
        changed = self._append({place: change.before for place, change in step.items()}, 0.0, step)
        steps.pop()
        opposite.append(changed)
        return changed

    def _append(
        self, wanted: dict[Place, str], seconds_spent: float, step: Mapping[Place, Change] | None = None
    ) -> list[Change]:
        """Append changes of what is so now, under the lock. What someone else has changed since is not reversed."""
        checked_name(self.scorer)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            self.refresh()
            time, changes = datetime.now(UTC).isoformat(timespec="milliseconds"), []
            for place, after in wanted.items():
                before = self._now(place)
                if step is None or before == step[place].after:
                    changes.append(Change(place, before, after, self.scorer, seconds_spent, time))
            _write(self.path, changes)
            self.refresh()
        return changes

    def _now(self, place: Place) -> str:
        """The stage that an epoch has, or whether a span is an arousal."""
        if isinstance(place, int):
            return NAMES[int(self.night.stages[place - 1])]
        return AROUSAL if place in spans_of(self.night.arousals_s) else NOTHING


def checked_name(scorer: str) -> str:
    """ValueError where a name would not be read back, or be a formula to a spreadsheet."""
    if not scorer.strip() or not scorer.isprintable() or scorer.startswith(FORMULA):
        raise ValueError(f"the scorer is called {scorer!r}; expected a name in one line, such as AB")
    return scorer


def _change(path: Path, number: int, cells: list[str]) -> Change:
    try:
        epoch, before, after, scorer, spent, time, onset, end = cells
        place = (float(onset), float(end)) if onset else int(epoch)
        known = (AROUSAL, NOTHING) if onset else CODES
        if before not in known or after not in known or int(epoch) < 1:
            raise ValueError(f"epoch {epoch} from {before!r} to {after!r}")
        return Change(place, before, after, scorer, float(spent), time)
    except ValueError as error:
        raise ValueError(
            f"{path.name}: line {number} is no correction ({error}); expected {', '.join(COLUMNS)}, and epochs to go "
            f"from and to {', '.join(CODES)}; restore the line, or take it out"
        ) from error


def _write(path: Path, changes: Sequence[Change]) -> None:
    """Append whole lines and have them on the disk; half a line that an earlier process left is cut off."""
    with path.open("a+b") as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows([*([] if whole else [COLUMNS]), *(change.row() for change in changes)])
        file.write(text.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())


def jump_targets(
    hypnograms: Mapping[str, np.ndarray],
    hypnodensity: np.ndarray | None,
    arousals_s: Sequence[np.ndarray],
    reviewed: Collection[int] = (),
) -> dict[str, list[float]]:
    """Seconds to jump to, by what is there.

    `disagreement`: epochs that two scorers have given different stages; `stage_change`: the first epoch of every new
    stage of the last scorer; `arousal`: where arousals begin; `least_certain`: epochs that are neither reviewed nor
    unscored, by their largest probability, the smallest first.

    `hypnograms` has scorer -> (E,) stages, 9 where unscored; `hypnodensity` is (E, 5), None where nothing was
    predicted; `arousals_s` has arousals (n, 2) of each who has marked or found some; `reviewed` are epochs, from 1,
    that are done.
    """
    last = list(hypnograms.values())[-1]
    onsets_s = np.concatenate([np.empty(0), *(spans[:, 0] for spans in arousals_s)])
    return {
        "disagreement": _seconds(np.flatnonzero(disagreeing(list(hypnograms.values())))),
        "stage_change": _seconds(np.flatnonzero(np.diff(last)) + 1),
        "arousal": np.unique(onsets_s).tolist(),
        "least_certain": [] if hypnodensity is None else _seconds(_least_certain(hypnodensity, last, reviewed)),
    }


def disagreeing(hypnograms: Sequence[np.ndarray]) -> np.ndarray:
    """bool (E,): where two of the hypnograms (E,) have different stages; unscored agrees with everything."""
    stages = np.stack(hypnograms).astype(float)
    stages[stages == UNSCORED] = np.nan
    return np.fmax.reduce(stages) > np.fmin.reduce(stages)


def _least_certain(hypnodensity: np.ndarray, stages: np.ndarray, reviewed: Collection[int]) -> np.ndarray:
    order = np.argsort(hypnodensity.max(axis=1), kind="stable")
    done = np.isin(order + 1, list(reviewed)) | (stages[order] == UNSCORED)
    return order[~done]


def _seconds(epochs: np.ndarray) -> list[float]:
    return (epochs * float(EPOCH_S)).tolist()

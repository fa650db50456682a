"""A search for better parameters: Optuna proposes, every trial is an ordinary run, its journal remembers.

A trial's values depend on nothing but the YAML, the trials done before, and its number, which together with the seed
starts Optuna's random numbers anew. A trial whose process has died is done again with the same values in the same
folder, where 03_train continues from its saved state. Several processes and machines may work in one folder.
"""

import json
import math
import signal
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from operator import attrgetter
from pathlib import Path
from typing import Literal

import filelock
import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field, FiniteFloat

from anysleep.settings import ParameterError, ProjectPath, Seed, Strict, merge_parameters
from anysleep.system.files import atomic_write, read_if_whole, short_path
from anysleep.workbook import runner
from anysleep.workbook.arguments import checked_parameters, read_words
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import Parameters

STATES = {TrialState.COMPLETE: "done", TrialState.FAIL: "failed", TrialState.RUNNING: "running"}
JOURNAL = "journal.log"
Space = dict[str, BaseDistribution]


class Range(Strict):
    """Numbers to choose from, both ends included; whole ones where the parameter is a whole number."""

    low: FiniteFloat = Field(description="Smallest value.")
    high: FiniteFloat = Field(description="Largest value.")
    log: bool = Field(default=False, description="Whether 1 to 10 is as far as 10 to 100.")

    def model_post_init(self, _: object) -> None:
        """ValueError where the ends do not make a range."""
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high is {self.high:g}; low has to be the smaller one")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}, which has no logarithm; raise it above 0, or leave out log")


class Search(Strict):
    """What to search; the names of parameters may be dotted, as in `loss.gradient_clip`."""

    notebook: str = Field(default="03_train", description="The notebook to run.")
    files: list[ProjectPath] = Field(default=[], description="Its parameter files, a later one over an earlier one.")
    fixed: dict[str, object] = Field(default={}, description="Parameters that are the same in every trial.")
    ranges: dict[str, Range] = Field(default={}, description="Numbers to search -> low, high, log.")
    choices: dict[str, list[str | int | float | bool]] = Field(
        default={}, description="Parameters to search -> their allowed values."
    )
    score: str = Field(description="What to look at, by its name under `scores` in result.json.")
    direction: Literal["maximize", "minimize"] = Field(description="Whether more is better.")
    n_trials: int = Field(description="Trials in the end, earlier and failed ones included.", ge=1, le=100_000)
    seed: Seed = Field(description="Seed of the proposals.")
    run_dir: ProjectPath = Field(description="Folder for trials.csv and the trials' run folders.")

    def overrides(self, values: Mapping[str, object], folder: Path) -> dict[str, object]:
        """What a trial with these values says on top of the files."""
        return {**self.fixed, **values, "run_dir": str(folder)}

    def parameters(self, values: Mapping[str, object], folder: Path) -> Parameters:
        """The checked parameters of such a trial."""
        return checked_parameters(self.notebook, self.files, self.overrides(values, folder))[0]


def run_search(search: Search) -> pd.DataFrame:
    """Run the trials that are still missing and that no other process runs.

    A row a trial, also in trials.csv: trial, state ('done', 'failed' or, elsewhere, 'running'), score, reason of a
    failure, a column for each searched parameter, run_id, folder.

    ParameterError where the search does not fit its notebook or the trials in its folder; nothing has been run then,
    unless the name of the score is wrong, which shows when the first trial has ended. RuntimeError where every trial
    has failed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = search_space(search)
    with _lock(search.run_dir):
        study = _open_study(search)
    while claimed := _claim(search, study, space):
        trial, lock = claimed
        with lock:
            _run_trial(search, study, trial)
    trials = _table(search, study)
    if (trials.state == "failed").all():
        raise RuntimeError(
            f"every trial has failed, the last one of this: {trials.reason.iloc[-1]}\n"
            f"To try them again, delete {short_path(search.run_dir / JOURNAL)}."
        )
    return trials


def search_space(search: Search) -> Space:
    """What Optuna has to know of each searched parameter.

    ParameterError where a parameter is unknown, is named twice, or would get a value that is not allowed.
    """
    if search.notebook not in NOTEBOOKS:
        raise ParameterError(f"notebook is {search.notebook!r}; there are {', '.join(NOTEBOOKS)}")
    if not search.ranges and not search.choices:
        raise ParameterError("nothing to search; name parameters under ranges or choices")
    named = [*search.fixed, *search.ranges, *search.choices, "run_dir"]
    if twice := [name for name in named if named.count(name) > 1]:
        raise ParameterError(f"{twice[0]}: a parameter is fixed, in ranges or in choices; run_dir is the trial's")
    without = search.parameters({}, search.run_dir)
    space: Space = {}
    for name, limits in search.ranges.items():
        ends = [int(end) if end.is_integer() else end for end in (limits.low, limits.high)]
        for end in ends:
            search.parameters({name: end}, search.run_dir)
        kind = type(attrgetter(name)(without))
        if kind not in (int, float):
            raise ParameterError(f"ranges: {name!r} is not a number of {search.notebook}")
        space[name] = (IntDistribution if kind is int else FloatDistribution)(*map(kind, ends), log=limits.log)
    for name, values in search.choices.items():
        if len(set(values)) < max(len(values), 2):
            raise ParameterError(f"choices: {name} has {values}; give two values or more, each of them once")
        for value in values:
            search.parameters({name: value}, search.run_dir)
        space[name] = CategoricalDistribution(values)
    return space


def best_trials(search: Search, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that have a score, the best one first."""
    done = trials[trials.state == "done"]
    return done.sort_values("score", ascending=search.direction == "minimize", kind="stable")


def main(arguments: list[str]) -> int:
    """The command line: the search's YAML, name=value pairs. Returns the exit status. Errors as of `run_search`."""
    files, overrides = read_words(arguments, Search)
    if not files:
        print("usage: anysleep search <search.yaml> [name=value ...]")
        return 2
    signal.signal(signal.SIGTERM, runner.forward_sigterm)
    search = Search(**merge_parameters(files, overrides, {"fixed": {}, "ranges": {}, "choices": {}}))
    trials = run_search(search)
    print(f"\n{len(trials)} trials, see {short_path(search.run_dir / 'trials.csv')}; the best:")
    for row in best_trials(search, trials).head(5).to_dict("records"):
        print(_describe(search, row))
    return 0


def _open_study(search: Search) -> optuna.Study:
    """ParameterError where the folder's trials are of another search; only the number of trials may change."""
    asked = search.model_dump(mode="json", include={"ranges", "choices", "direction", "seed"})
    asked |= {"files and fixed": search.parameters({}, search.run_dir).run_id}
    journal = str(search.run_dir / JOURNAL)
    storage = optuna.storages.JournalStorage(JournalFileBackend(journal, JournalFileOpenLock(journal)))
    study = optuna.create_study(storage=storage, study_name="search", direction=search.direction, load_if_exists=True)
    before = study.user_attrs  # the score stands there only when a trial had it: its name may have been wrong
    changed = [name for name, value in (asked | {"score": search.score}).items() if before.get(name, value) != value]
    if changed:
        raise ParameterError(
            f"the trials in {short_path(search.run_dir)} were made with other settings ({', '.join(changed)}); "
            "choose another run_dir"
        )
    for name, value in asked.items():
        study.set_user_attr(name, value)
    return study


def _claim(search: Search, study: optuna.Study, space: Space) -> tuple[FrozenTrial, AbstractContextManager] | None:
    """A trial whose process has died, else a new one, with its lock, which the system opens when this process ends."""
    with _lock(search.run_dir):
        for trial in study.get_trials(states=[TrialState.RUNNING]):
            with suppress(filelock.Timeout):
                return trial, _lock(_folder(search, trial.number)).acquire(timeout=0)
        number = len(study.trials)
        if number >= search.n_trials:
            return None
        seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
        # In memory, so that the trial comes into the journal whole.
        draft = optuna.create_study(direction=search.direction, sampler=optuna.samplers.TPESampler(seed=seed))
        draft.add_trials(study.get_trials(states=[TrialState.COMPLETE]))
        params, folder = draft.ask(space).params, _folder(search, number)
        run_id = search.parameters(params, folder).run_id
        known = {"params": params, "distributions": space, "user_attrs": {"run_id": run_id}}
        study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, **known))
        return study.trials[number], _lock(folder).acquire()


def _run_trial(search: Search, study: optuna.Study, trial: FrozenTrial) -> None:
    """Run the notebook, unless its folder holds the result already, and tell the study."""
    folder, score, reason = _folder(search, trial.number), None, ""
    try:
        before = read_if_whole(folder / "result.json", lambda path: json.loads(path.read_text(encoding="utf-8")))
        if before is None or before["run_id"] != trial.user_attrs["run_id"]:
            runner.execute(search.notebook, search.files, search.overrides(trial.params, folder))
        score = _read_score(search, folder)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0] or "no reason given"
    with _lock(search.run_dir), atomic_write(search.run_dir / "trials.csv") as temporary:
        study.set_user_attr(f"reason {trial.number}" if reason else "score", reason or search.score)
        study.tell(trial.number, score, TrialState.FAIL if reason else None)
        trials = _table(search, study)
        trials.to_csv(temporary, index=False)
    print(_describe(search, trials.iloc[trial.number]), flush=True)


def _read_score(search: Search, folder: Path) -> float:
    """ParameterError where there is no number of that name; RuntimeError where it is not finite."""
    scores = json.loads((folder / "result.json").read_text(encoding="utf-8"))["scores"]
    score = scores.get(search.score)
    if not isinstance(score, int | float):
        raise ParameterError(f"score: {search.score!r} is not a number of result.json; there are {', '.join(scores)}")
    if not math.isfinite(score):
        raise RuntimeError(f"{search.score} is {score}")
    return float(score)


def _table(search: Search, study: optuna.Study) -> pd.DataFrame:
    """The table of `run_search`, as the journal has it now."""
    return pd.DataFrame(
        {"trial": trial.number, "state": STATES[trial.state], "score": trial.value}
        | {"reason": study.user_attrs.get(f"reason {trial.number}", "")}
        | trial.params
        | {"run_id": trial.user_attrs["run_id"], "folder": short_path(_folder(search, trial.number))}
        for trial in study.trials
    )


def _describe(search: Search, row: Mapping[str, object]) -> str:
    outcome = f"failed ({row['reason']})" if row["state"] == "failed" else f"{search.score} {row['score']:.4g}"
    values = [f"{name} {row[name]:.4g}" for name in search.ranges]
    values += [f"{name} {row[name]}" for name in search.choices]
    return f"trial {row['trial']}: {outcome} with {', '.join(values)}"


def _folder(search: Search, number: int) -> Path:
    return search.run_dir / f"trial-{number:03d}"


def _lock(folder: Path) -> filelock.FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder / ".search.lock")

"""A search for better parameters: Optuna proposes, every trial is an ordinary run, one table remembers.

`anysleep search <search.yaml> [n_trials=20 ...]` runs a notebook again and again with other values of the parameters
that the YAML names. The search's folder holds a run folder for each trial and trials.csv, a row a trial.

A trial's values depend on nothing but the YAML, the rows above its own, and its number, which together with the seed
starts Optuna's random numbers anew. So a search that was stopped goes on as if it had not been: the trial it was
stopped in comes again with the same values in the same folder, where 03_train continues from its saved state.
"""

import json
import math
import re
import signal
import sys
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import filelock
import numpy as np
import optuna
import pandas as pd
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field, FiniteFloat

from anysleep.settings import ParameterError, ProjectPath, Strict, merge_parameters
from anysleep.system.files import atomic_write, project_path, read_if_whole, short_path
from anysleep.workbook import runner
from anysleep.workbook.arguments import read_words
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import Parameters, notebook_defaults

N_SHOWN = 5
"""Trials in the list of the best."""


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
    choices: dict[str, list[object]] = Field(default={}, description="Parameters to search -> their allowed values.")
    score: str = Field(description="What to look at, by its name under `scores` in result.json.")
    direction: Literal["maximize", "minimize"] = Field(description="Whether more is better.")
    n_trials: int = Field(description="Trials in the end, those of earlier calls and failed ones included.", ge=1)
    seed: int = Field(description="Seed of the proposals.", ge=0)
    run_dir: ProjectPath = Field(description="Folder for trials.csv and the trials' run folders.")

    def overrides(self, values: Mapping[str, object], folder: Path) -> dict[str, object]:
        """What a trial with these values says on top of the files."""
        return {**self.fixed, **values, "run_dir": str(folder)}

    def parameters(self, values: Mapping[str, object], folder: Path) -> Parameters:
        """The checked parameters of such a trial."""
        defaults = notebook_defaults(project_path("notebooks") / f"{self.notebook}.ipynb")
        given = merge_parameters(self.files, self.overrides(values, folder), defaults)
        return NOTEBOOKS[self.notebook](**(defaults | given))


def run_search(search: Search) -> pd.DataFrame:
    """Run the trials that are still missing.

    Returns
    -------
    A row a trial, also in trials.csv: trial, state ('done' or 'failed'), score, reason of a failure, a column for each
    searched parameter, run_id, folder. All of it text, as in the file.

    Raises
    ------
    ParameterError
        The search does not fit its notebook or the trials in its folder, or another search is at work there. Nothing
        has been run then, unless the name of the score is wrong, which shows when the first trial has ended.
    RuntimeError
        Every trial has failed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = search_space(search)
    search.run_dir.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(search.run_dir / ".lock", timeout=0):
            _refuse_another_search(search)
            while len(trials := _read_trials(search)) < search.n_trials:
                row = run_trial(search, space, len(trials), propose(search, space, trials))
                _write_trials(search, pd.concat([trials, pd.DataFrame([row])]))
    except filelock.Timeout:
        raise ParameterError(
            f"another search is at work in {short_path(search.run_dir)}; wait for it, or choose another run_dir"
        ) from None
    if not (trials.state == "done").any():
        raise RuntimeError(
            f"every trial has failed, the last one of this: {trials.reason.iloc[-1]}\n"
            f"To try them again, delete {short_path(_table(search))}."
        )
    return trials


def search_space(search: Search) -> dict[str, BaseDistribution]:
    """What Optuna has to know of each searched parameter; it knows a choice by its text.

    ParameterError where a parameter is unknown, is named twice, or would get a value that is not allowed.
    """
    if search.notebook not in NOTEBOOKS:
        raise ParameterError(f"notebook is {search.notebook!r}; there are {', '.join(NOTEBOOKS)}")
    _refuse_unclear_names(search)
    present = _by_dotted_name(search.parameters({}, search.run_dir))
    space = {name: _numbers(search, name, present) for name in search.ranges}
    space |= {name: _texts(search, name, present) for name in search.choices}
    extremes = [(name, end) for name in search.ranges for end in (space[name].low, space[name].high)]
    for name, value in extremes + [(name, value) for name, values in search.choices.items() for value in values]:
        search.parameters({name: value}, search.run_dir)
    return space


def propose(search: Search, space: Mapping[str, BaseDistribution], trials: pd.DataFrame) -> dict[str, str]:
    """The values of the next trial, as trials.csv holds them, after the trials so far."""
    seed = int(np.random.SeedSequence([search.seed, len(trials)]).generate_state(1)[0])
    study = optuna.create_study(direction=search.direction, sampler=optuna.samplers.TPESampler(seed=seed))
    for row in trials[trials.state == "done"].to_dict("records"):
        values = _as_optuna_knows(space, row)
        study.add_trial(optuna.create_trial(params=values, distributions=dict(space), value=float(row["score"])))
    return {name: str(value) for name, value in study.ask(dict(space)).params.items()}


def run_trial(
    search: Search, space: Mapping[str, BaseDistribution], number: int, proposed: dict[str, str]
) -> dict[str, str]:
    """One run of the notebook with values of `propose`; returns its row of trials.csv.

    A folder that already holds this run's result is not run again.
    """
    folder = search.run_dir / f"trial-{number:03d}"
    values = _as_optuna_knows(space, proposed)
    values |= {name: {str(value): value for value in search.choices[name]}[values[name]] for name in search.choices}
    run_id = search.parameters(values, folder).run_id
    outcome = {"state": "done", "score": "", "reason": ""}
    try:
        if not _holds_result(folder, run_id):
            runner.execute(search.notebook, search.files, search.overrides(values, folder))
        outcome["score"] = str(_read_score(search, folder))
    except RuntimeError as error:
        outcome |= {"state": "failed", "reason": _reason(error)}
    row = {"trial": str(number)} | outcome | proposed | {"run_id": run_id, "folder": short_path(folder)}
    print(_describe(search, row), flush=True)
    return row


def best_trials(search: Search, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that have a score, the best one first."""
    done = trials[trials.state == "done"]
    return done.sort_values("score", key=pd.to_numeric, ascending=search.direction == "minimize", kind="stable")


def main(arguments: list[str]) -> int:
    """The command line: the search's YAML, name=value pairs. Returns the exit status."""
    if not arguments or "=" in arguments[0]:
        print("usage: anysleep search <search.yaml> [name=value ...]")
        return 2
    file, *rest = arguments
    signal.signal(signal.SIGTERM, runner.forward_sigterm)
    try:
        files, overrides = read_words(rest, Search)
        search = Search(**merge_parameters([file, *files], overrides, {"fixed": {}, "ranges": {}, "choices": {}}))
        trials = run_search(search)
    except (ValueError, OSError) as error:
        print(f"search: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"search: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("search: stopped; the same command goes on", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"\n{len(trials)} trials, see {short_path(_table(search))}; the best:")
    for row in best_trials(search, trials).head(N_SHOWN).to_dict("records"):
        print(_describe(search, row))
    return 0


def _refuse_unclear_names(search: Search) -> None:
    searched = [*search.ranges, *search.choices]
    if not searched:
        raise ParameterError("nothing to search; name parameters under ranges or choices")
    given = [*search.fixed, *searched, "run_dir"]
    twice = [name for name in dict.fromkeys(given) if given.count(name) > 1]
    if twice:
        raise ParameterError(
            f"{', '.join(twice)}: a parameter is either fixed, in ranges or in choices, and every trial has its run_dir"
        )


def _by_dotted_name(params: Parameters) -> dict[str, object]:
    """Every parameter, and every member of a group as `group.member`."""
    plain = params.model_dump()
    groups = {name: value for name, value in plain.items() if isinstance(value, dict)}
    return plain | {f"{group}.{name}": value for group, members in groups.items() for name, value in members.items()}


def _numbers(search: Search, name: str, present: Mapping[str, object]) -> IntDistribution | FloatDistribution:
    """The range of a parameter that has to be a number; a whole one where it is one at present."""
    numbers = {key for key, value in present.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    if name not in numbers:
        raise ParameterError(f"ranges: {name!r} is not a number of {search.notebook}; {_hint(name, numbers)}")
    low, high, log = search.ranges[name].low, search.ranges[name].high, search.ranges[name].log
    if isinstance(present[name], float):
        return FloatDistribution(low, high, log=log)
    if not (low.is_integer() and high.is_integer()):
        raise ParameterError(f"ranges: {name} is a whole number; low is {low:g} and high is {high:g}")
    return IntDistribution(int(low), int(high), log=log)


def _texts(search: Search, name: str, present: Mapping[str, object]) -> CategoricalDistribution:
    if name not in present:
        raise ParameterError(f"choices: {name!r} is not a parameter of {search.notebook}; {_hint(name, present)}")
    texts = [str(value) for value in search.choices[name]]
    if len(set(texts)) < max(len(texts), 2):
        raise ParameterError(f"choices: {name} has {', '.join(texts)}; give two values or more, each of them once")
    return CategoricalDistribution(texts)


def _hint(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(names))}"


def _as_optuna_knows(space: Mapping[str, BaseDistribution], row: Mapping[str, str]) -> dict[str, int | float | str]:
    """The searched parameters of a row of trials.csv."""
    types = {IntDistribution: int, FloatDistribution: float, CategoricalDistribution: str}
    return {name: types[type(distribution)](row[name]) for name, distribution in space.items()}


def _table(search: Search) -> Path:
    return search.run_dir / "trials.csv"


def _read_trials(search: Search) -> pd.DataFrame:
    trials = read_if_whole(_table(search), lambda path: pd.read_csv(path, dtype=str, keep_default_na=False))
    return pd.DataFrame(columns=["trial", "state", "score"]) if trials is None else trials


def _write_trials(search: Search, trials: pd.DataFrame) -> None:
    with atomic_write(_table(search)) as temporary:
        trials.to_csv(temporary, index=False)


def _refuse_another_search(search: Search) -> None:
    """ParameterError where the folder's trials are of another search; only the number of trials may change."""
    record = search.model_dump(mode="json", include={"ranges", "choices", "score", "direction", "seed"})
    record |= {"files and fixed": search.parameters({}, search.run_dir).run_id}
    path = search.run_dir / "search.yaml"
    before = read_if_whole(path, lambda path: dict(yaml.safe_load(path.read_text(encoding="utf-8"))))
    changed = [name for name in record if before and record[name] != before[name]]
    if changed and _table(search).exists():
        raise ParameterError(
            f"the trials in {short_path(search.run_dir)} were made with other settings ({', '.join(changed)}); "
            "choose another run_dir"
        )
    with atomic_write(path) as temporary:
        temporary.write_text(yaml.safe_dump(record, sort_keys=False), encoding="utf-8")


def _holds_result(folder: Path, run_id: str) -> bool:
    result = read_if_whole(folder / "result.json", lambda path: json.loads(path.read_text(encoding="utf-8")))
    return result is not None and result["run_id"] == run_id


def _read_score(search: Search, folder: Path) -> float:
    """ParameterError where there is no number of that name; RuntimeError where it is not finite."""
    scores = json.loads((folder / "result.json").read_text(encoding="utf-8"))["scores"]
    score = scores.get(search.score)
    if not isinstance(score, int | float):
        raise ParameterError(f"score: {search.score!r} is not a number of result.json; {_hint(search.score, scores)}")
    if not math.isfinite(score):
        raise RuntimeError(f"{search.score} is {score}")
    return float(score)


def _reason(error: RuntimeError) -> str:
    """The last exception that the text names; its first line where it names none."""
    text = str(error).strip()
    return (re.findall(r"\w+(?:Error|Exception): .+", text) or text.splitlines()[:1] or [type(error).__name__])[-1]


def _describe(search: Search, row: Mapping[str, str]) -> str:
    outcome = f"failed ({row['reason']})" if row["state"] == "failed" else f"{search.score} {float(row['score']):.4g}"
    values = [f"{name} {float(row[name]):.4g}" for name in search.ranges]
    values += [f"{name} {row[name]}" for name in search.choices]
    return f"trial {row['trial']}: {outcome} with {', '.join(values)}"

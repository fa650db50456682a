"""Finished runs and their tables, collected: everything that 08 draws and compares.

Tables go by names such as `06_arousals/scores`. Those of 04 also say which channels were scored, since the columns
follow from that: `04_evaluate/all/intervals`, `04_evaluate/drawn/channel_study`; only the cost is one for all.
"""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from anysleep.datasets.splits import count_split
from anysleep.system.files import is_written, project_path, short_path
from anysleep.system.limits import read_facts

Tables = Mapping[str, pd.DataFrame]
"""Name -> rows of all runs together; a table that no run has is missing."""

NIGHT = ["dataset", "recording"]
RESOLUTION = ["predictions_per_epoch", "seconds_per_prediction"]
COUNTED = ["checkpoint", "network", *NIGHT]
COMPARED = ["first", "second", "difference", "low", "high", "p"]

COLUMNS = {
    "04_evaluate/all/counts": COUNTED,
    "04_evaluate/all/intervals": ["level", "checkpoint", "dataset", "score", "estimate", "low", "high"],
    "04_evaluate/drawn/counts": COUNTED,
    "04_evaluate/drawn/channel_study": ["checkpoint", "n_eeg", "n_eog", "n_recordings", "mf1", "low", "high"],
    "04_evaluate/drawn/comparison": [*COMPARED, "n_eeg", "n_eog", "welch_p"],
    "04_evaluate/drawn/eog_gain": ["network", "training", "n_eeg", "n_eog", "difference", "low", "high", "p",
                                  "welch_p"],
    "04_evaluate/pairs/counts": COUNTED,
    "04_evaluate/pairs/channel_study": ["checkpoint", "first", "second", "n_recordings", "mf1"],
    "04_evaluate/pairs/comparison": [*COMPARED, "sites", "welch_p"],
    "04_evaluate/cost": ["network", "sampling_rate_hz", "n_channels", "hours", "seconds", "memory_mb", "multiply_adds",
                         "n_parameters", "receptive_field_min"],
    "04_evaluate/split": ["part", "dataset", "n_recordings"],
    "05_predict/nights": NIGHT,
    "05_predict/attention": [*NIGHT, "montage", "module", "channel", "weight"],
    "05_predict/statistics": [*NIGHT, *RESOLUTION],
    "06_arousals/counts": ["network", *NIGHT],
    "06_arousals/scores": ["network", *RESOLUTION, "matching", "iou_above", "measure", "estimate", "low", "high"],
    "06_arousals/stage_shares": ["network", *RESOLUTION, "stage", "share", "low", "high"],
    "06_arousals/excerpt_signals": ["second", "channel", "value"],
    "06_arousals/excerpt_spectrogram": ["second", "hz", "db"],
    "06_arousals/excerpt_stages": [*NIGHT, "onset_s", "end_s", "stage"],
    "06_arousals/excerpt_hypnogram": ["onset_s", "end_s", "stage"],
    "06_arousals/excerpt_events": ["source", "onset_s", "end_s"],
    "07_traits/summary": ["network", "trait", "datasets", "measure", "group_by", *RESOLUTION, "n_recordings", "mean",
                          "n_repetitions", "low", "high", "baseline", "sd_of_recordings", "sd_of_persons", "control",
                          "p"],
}  # fmt: skip
"""What is read, and the columns that have to be there."""

READ_PART = {name: COUNTED for name in COLUMNS if name.startswith("04_") and name.endswith("/counts")} | {
    "06_arousals/counts": COLUMNS["06_arousals/counts"]
}
"""Large tables of which only some columns are wanted."""

SPLIT = "03_train/split"
SPLITS = (SPLIT, "04_evaluate/split")
"""Recordings of the split of a training, and of that of the networks that were scored; see `count_split`."""
SPLIT_COLUMNS = COLUMNS["04_evaluate/split"]
LEARNED_FROM = "learned_from"
"""What checkpoints say of themselves: trained, dataset (one that its network was trained on)."""


NOT_MEASURED = "not_measured"
"""Runs that had nothing to measure: kind (as in `ledger.MADE_BY`), datasets (joined by +), run, reason."""


@dataclass(frozen=True)
class FinishedRun:
    """A run folder with a result."""

    folder: Path
    notebook: str
    run_id: str
    params: dict[str, Any]
    outputs: list[str]
    inputs: dict[str, str]
    """Role -> SHA-256."""
    learned_from: dict[str, list[str]]
    """Role of a checkpoint -> data sets that its network was trained on, where it says so."""
    finished: str
    not_measured: str = ""
    """Why there was nothing to measure, where there was nothing."""

    @property
    def name(self) -> str:
        """The folder, counted from the workbook's root."""
        return short_path(self.folder)

    @property
    def variant(self) -> str:
        """What the folder's name adds to the notebook's."""
        return self.folder.name.removeprefix(self.notebook).removeprefix(".")

    def has(self, table: str) -> bool:
        """Whether this run wrote the table of this name."""
        notebook, *channels, name = table.split("/")
        scored = [self.params.get("montages", "all")] if channels else []
        return notebook == self.notebook and channels == scored and f"{name}.csv" in self.outputs


def find_runs(patterns: Sequence[str], leave_out: Path) -> tuple[list[FinishedRun], pd.DataFrame]:
    """Finished runs that 08 can use, sorted by folder, and a row (run, reason) for every folder without tables to use.

    A run that had nothing to measure is among both: its reason is that of its rows of the ledger.

    `patterns` are folders in which * stands for any name; `leave_out` is the folder of 08 itself. ValueError where
    there is no run to use, a file that says how a run went is damaged, or two networks have one name.
    """
    runs, unusable = [], {}
    for pattern in patterns:
        folders = sorted(Path(path) for path in glob.glob(str(project_path(pattern))))
        if not folders:
            unusable[pattern] = "there is no folder of this name"
        for folder in folders:
            if folder == leave_out or any(run.folder == folder for run in runs):
                continue
            finished = all(is_written(folder / name) for name in ("result.json", "params.yaml"))
            run = _open_run(folder) if finished else None
            reason = _why_not(run) if run else "not finished: no result.json, or no params.yaml"
            if reason:
                unusable[short_path(folder)] = reason
            if run and (run.not_measured or not reason):
                runs.append(run)
    if not runs:
        why = "; ".join(f"{name}: {reason}" for name, reason in unusable.items())
        raise ValueError(f"no finished run to draw ({why})")
    _check_one_network_a_name(runs)
    return sorted(runs, key=lambda run: run.name), pd.DataFrame(list(unusable.items()), columns=["run", "reason"])


def read_tables(runs: Sequence[FinishedRun]) -> dict[str, pd.DataFrame]:
    """The tables of all runs together, each row with its `run` (folder), `trained` (what tells trained networks
    apart) and, where known, its `network`; those of 06 with `datasets`, sorted and joined by +.

    What was fine-tuned is a network of its own, such as anysleep_fine_tuned: its mean with networks that were trained
    from random weights would be of neither.

    ValueError names the file where one is damaged or belongs to another run.
    """
    by_name: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        if run.not_measured:
            by_name.setdefault(NOT_MEASURED, []).append(_nothing_measured(run))
            continue
        tables = {name: _read_table(run, name) for name in COLUMNS if run.has(name)}
        for name, table in _with_origin(run, tables).items():
            if len(table):
                by_name.setdefault(name, []).append(table)
        if run.learned_from:
            pairs = [(run.inputs[role], name) for role, names in run.learned_from.items() for name in names]
            by_name.setdefault(LEARNED_FROM, []).append(pd.DataFrame(pairs, columns=["trained", "dataset"]))
        if run.notebook == "03_train":
            split = count_split(read_facts(run.folder / "split.yaml"))
            by_name.setdefault(SPLIT, []).append(split.assign(trained=run.run_id, run=run.name))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in by_name.items()}


def describe_runs(runs: Sequence[FinishedRun], tables: Tables) -> pd.DataFrame:
    """A row a run: run, notebook, variant, run_id, network, finished."""
    with_network = [table[["run", "network"]] for table in tables.values() if "network" in table]
    networks = pd.concat(with_network).drop_duplicates() if with_network else pd.DataFrame(columns=["run", "network"])
    rows = [
        {
            "run": run.name,
            "notebook": run.notebook,
            "variant": run.variant,
            "run_id": run.run_id,
            "network": " and ".join(sorted(networks.network[networks.run == run.name])),
            "finished": run.finished,
        }
        for run in runs
    ]
    return pd.DataFrame(rows, columns=["run", "notebook", "variant", "run_id", "network", "finished"])


def average_trained(table: pd.DataFrame, by: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Means of `values` over trained networks, each counted once, with their number `n_trained`; a row for each `by`.

    Fine-tuned ones have a `network` of their own (see `read_tables`), so `by` keeps them apart from fresh ones.
    The mean of the networks' bounds `low` and `high` stands for the interval of their mean: all score the same persons.
    """
    once = table.drop_duplicates([*by, "trained"])
    groups = once.groupby(list(by), sort=False, dropna=False)
    return groups[list(values)].mean().assign(n_trained=groups.size()).reset_index()


def _check_one_network_a_name(runs: Sequence[FinishedRun]) -> None:
    """ValueError where runs read different networks from the checkpoint of one name: some were not run again."""
    seen: dict[str, tuple[str, str]] = {}
    for run in runs:
        for name, digest in _checkpoints_of(run).items():
            known, first = seen.setdefault(name, (digest, run.name))
            if digest != known:
                raise ValueError(
                    f"{first} and {run.name} have read different networks from {name} (SHA-256 {known[:12]}, "
                    f"{digest[:12]}), which was trained anew between them; run the older one again"
                )


def _checkpoints_of(run: FinishedRun) -> dict[str, str]:
    """Checkpoint as the parameters name it (06 and 07: those of their predictions) -> SHA-256 that the run read."""
    params = _params_of_predictions(run) or run.params
    paths = [params.get("checkpoint"), *params.get("more_checkpoints", [])]
    roles = [f"checkpoint_{i}" for i in range(1, len(paths) + 1)] if run.notebook == "04_evaluate" else ["checkpoint"]
    return {path: run.inputs[role] for path, role in zip(paths, roles, strict=False) if path and role in run.inputs}


def _open_run(folder: Path) -> FinishedRun:
    result = read_facts(folder / "result.json", "notebook", "run_id", "outputs")
    params = read_facts(folder / "params.yaml")
    provenance = read_facts(folder / "provenance.json") if (folder / "provenance.json").is_file() else {}
    if result.get("run_id") != params.get("run_id"):
        raise ValueError(
            f"{folder / 'result.json'} is of run {result.get('run_id')}, but params.yaml beside it of "
            f"{params.get('run_id')}; run the notebook again"
        )
    known = {"folder": folder, "notebook": result["notebook"], "run_id": result["run_id"]}
    said = {"inputs": "inputs_sha256", "learned_from": "learned_from"}
    known |= {name: provenance.get(key, {}) for name, key in said.items()}
    return FinishedRun(
        **known,
        params=params,
        outputs=result["outputs"],
        finished=provenance.get("finished", ""),
        not_measured=result.get("scores", {}).get("not_measured", ""),
    )


def _why_not(run: FinishedRun) -> str:
    """Why the tables of a finished run cannot be used; empty where they can."""
    if run.not_measured:
        return f"nothing to measure: {run.not_measured}"
    part = run.params.get("split_part", "test") if run.params.get("split") else "test"
    if part != "test":
        return f"scores the part {part!r} of the split, not the test"
    if run.params.get("ensemble") and run.params.get("more_checkpoints"):
        return "the mean of several checkpoints, which is no trained network"
    if run.notebook == "03_train" or any(run.has(table) for table in COLUMNS):
        return ""
    return "wrote no table that is read here"


def _read_table(run: FinishedRun, name: str) -> pd.DataFrame:
    path = run.folder / f"{name.split('/')[-1]}.csv"
    try:
        table = pd.read_csv(path, dtype={"run_id": str})  # hexadecimal digits, which may all be decimal
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{path} cannot be read ({error}); run {run.notebook} again") from None
    missing = [column for column in ["run_id", *COLUMNS[name]] if column not in table]
    if missing and len(table):
        raise ValueError(f"{path} has no column {', '.join(missing)}; run {run.notebook} again")
    if len(table) and set(table.run_id) != {run.run_id}:
        others = ", ".join(sorted(set(table.run_id.astype(str)) - {run.run_id}))
        raise ValueError(f"{path} has rows of run {others}, but params.yaml beside it is of {run.run_id}")
    return table[READ_PART[name]].drop_duplicates() if len(table) and name in READ_PART else table


def _with_origin(run: FinishedRun, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of one run, each row with its run, trained network and network."""
    if run.notebook == "04_evaluate":
        tables = _with_checkpoints(run, tables)
    else:
        trained = run.inputs.get("checkpoint", run.run_id)
        tables = {name: table.assign(trained=trained) for name, table in tables.items()}
    if run.notebook == "05_predict":
        named = tables["05_predict/nights"].get("network", pd.Series(dtype=str)).dropna()
        network = named.iloc[0] if len(named) else "unknown"
        tables = {name: table.assign(network=network) for name, table in tables.items()}
    if run.notebook == "06_arousals":
        datasets = "+".join(sorted(set(tables["06_arousals/counts"].get("dataset", []))))
        tables = {name: table.assign(datasets=datasets) for name, table in tables.items()}
    tables = _with_tuned(tables, _fine_tuned(run))
    settings = {}
    if run.notebook == "07_traits":
        named = _params_of_predictions(run).get("channels", [])  # none where 05 took all, or that is unknown
        settings = {"n_folds": run.params.get("n_folds", 0), "channels": "&".join(sorted(named))}
    return {name: table.assign(run=run.name, **settings) for name, table in tables.items()}


def _fine_tuned(run: FinishedRun) -> set[str]:
    """SHA-256 of the checkpoints whose training, in the same folder, began at another checkpoint."""
    tuned = set()
    for checkpoint, digest in _checkpoints_of(run).items():
        path = project_path(checkpoint).with_name("params.yaml")
        training = read_facts(path) if path.is_file() else {}
        if training.get("fine_tune", {}).get("initial_checkpoint"):
            tuned.add(digest)
    return tuned


def _with_tuned(tables: dict[str, pd.DataFrame], tuned: set[str]) -> dict[str, pd.DataFrame]:
    """The tables with a name of its own for each network of which these checkpoints are."""
    return {
        name: table.assign(network=table.network.mask(table.trained.isin(tuned), table.network + "_fine_tuned"))
        if tuned and "network" in table and "trained" in table
        else table
        for name, table in tables.items()
    }


def _with_checkpoints(run: FinishedRun, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Those of 04, where a run may hold several checkpoints, in the order of its parameters."""
    counts = next((table for name, table in tables.items() if name.endswith("/counts")), pd.DataFrame())
    checkpoints = counts.drop_duplicates("checkpoint").set_index("checkpoint") if len(counts) else counts
    trained = {
        checkpoint: run.inputs.get(f"checkpoint_{i}", f"{run.run_id} {checkpoint}")
        for i, checkpoint in enumerate(checkpoints.index, start=1)
    }
    known = {}
    for name, table in tables.items():
        if "checkpoint" in table:
            unknown = sorted(set(table.checkpoint) - set(trained))
            if unknown:
                raise ValueError(f"{run.folder}/{name.split('/')[-1]}.csv names {unknown[0]!r}, which counts.csv lacks")
            network = table.checkpoint.map(checkpoints.network)
            table = table.assign(trained=table.checkpoint.map(trained), network=network)
        elif name.endswith("comparison") and len(table):
            of = {name: checkpoints.network.get(name, name) for name in {*table["first"], *table.second}}  # or all runs
            networks = {f"{side}_network": table[side].map(of) for side in ("first", "second")}
            table = table.assign(**networks)
        else:
            table = table.assign(trained=run.run_id)
        known[name] = table
    return known


def _params_of_predictions(run: FinishedRun) -> dict[str, Any]:
    """The parameters of the 05 whose predictions a run has read; empty where it read none, or they are not there."""
    predictions = run.params.get("predictions")
    path = project_path(predictions) / "params.yaml" if predictions else None
    return read_facts(path) if path and path.is_file() else {}


def _nothing_measured(run: FinishedRun) -> pd.DataFrame:
    """What a run would have measured, and why it had nothing to measure."""
    settings = {
        "04_evaluate": f" (montages {run.params.get('montages')})",
        "07_traits": f" ({run.params.get('trait')})",
    }
    kind = run.notebook + settings.get(run.notebook, "")
    datasets = "+".join(run.params.get("datasets") or [])
    return pd.DataFrame({"kind": [kind], "datasets": [datasets], "run": [run.name], "reason": [run.not_measured]})

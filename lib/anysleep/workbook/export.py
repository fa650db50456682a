"""Hypnograms of nights that were staged before, in other formats: `anysleep export <run folder> [<format> ...]`.

`anysleep export <run folder> ro-crate` describes any run for other programs, see `write_crate`.
"""

import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np
import pandas as pd

from anysleep.analysis.arousals.events import detect_arousals
from anysleep.exports import FORMATS, ScoredNight, corrected_night, export_night, read_corrections, without_date
from anysleep.recordings.lights import Lights, LightsTimes
from anysleep.settings import ExportFormat
from anysleep.stages import EPOCH_S, STAGES, UNSCORED
from anysleep.staging.predictions import Predictions
from anysleep.system.files import atomic_write, sha256_of
from anysleep.system.limits import read_facts
from anysleep.system.words import many
from anysleep.workbook.commands import RECORDS, read_run

CODES = {stage: code for code, stage in enumerate(STAGES)} | {"unscored": UNSCORED}
MOST_NAMED = 10
Entity = dict[str, Any]
METADATA = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
CONTEXT = [f"{SPECIFICATION}/context", {"sha256": "https://schema.org/sha256"}]  # the hash is no term of version 1.1
LICENSE = "Not stated: what may be done with the files is for the agreements of the recordings to say."


def export_run(folder: Path, formats: Sequence[ExportFormat] = tuple(FORMATS)) -> list[Path]:
    """Write every hypnogram of a run of stage_one_night or 05_predict in these formats, beside its CSV.

    A night that was reviewed by hand is written as `corrected_<name>`, too. Returns the files. FileNotFoundError where
    the folder holds no hypnogram; ValueError names what is no format.
    """
    outputs = _result(folder).get("outputs")  # of a run that has ended: other tables are of nights staged before it
    found = sorted([*folder.glob("hypnogram_*.csv"), *folder.glob("hypnograms/*.csv")])
    tables = [path for path in found if outputs is None or path.relative_to(folder).as_posix() in outputs]
    if not tables:
        raise FileNotFoundError(
            f"there is no hypnogram in {folder}; name the folder of a stage_one_night or 05_predict"
        )
    wanted = [one for one in formats if one != "csv"]
    scorer, lights = _scores(folder).get("network", ""), _lights(folder)
    nights = {path: read_hypnogram(path, scorer, lights.get(path.name, (None, None))) for path in tables}
    nights |= {path: replace(nights[path], arousals_s=s) for path, s in _finest_arousals(folder, nights).items()}
    names = {path.stem.removeprefix("corrections_"): path for path in sorted(folder.glob("corrections_*.csv"))}
    before = {path.stem for path in found} - {path.stem for path in tables}
    for name in [name for name in names if before & {f"hypnogram_{name}", f"hypnogram_30s_{name}"}]:
        print(f"{names.pop(name).name} is left out: another run staged that night; stage it again to export it")
    reviewed = {name: _reviewed(path, name, nights) for name, path in names.items()}  # before anything is written
    files = [file for path, night in nights.items() for file in export_night(path.parent, night, path.stem, wanted)]
    for name, night in reviewed.items():
        files += export_night(folder, night, f"corrected_{name}", ["csv", *wanted])
    return files


def _reviewed(corrections: Path, name: str, nights: Mapping[Path, ScoredNight]) -> ScoredNight:
    """The night at 30 s, and what was changed by hand."""
    tables = (corrections.with_name(f"hypnogram_{prefix}{name}.csv") for prefix in ("30s_", ""))
    night = next((nights[path] for path in tables if path in nights), None)
    if night is None:
        raise ValueError(f"{corrections.name}: there is no hypnogram_{name}.csv beside it; move it away")
    return corrected_night(night, read_corrections(corrections))


def _finest_arousals(folder: Path, nights: Mapping[Path, ScoredNight]) -> dict[Path, np.ndarray]:
    """Table at 30 s -> the arousals (n, 2) that the finest predictions of its night show."""
    if not any(folder.glob("r[1-9]*/predictions.npz")):
        coarse = {path.with_name(path.name.replace("_", "_30s_", 1)): night for path, night in nights.items()}
        return {path: night.arousals_s for path, night in coarse.items() if path in nights}
    rows = pd.read_csv(folder / "nights.csv", dtype={"dataset": str, "recording": str}).query("status == 'ok'")
    with Predictions(folder, unfinished=True) as predictions:
        r = predictions.resolutions[-1]
        return {
            folder / row.hypnogram: detect_arousals(predictions.hypnogram(row.dataset, row.recording, r), r)
            for row in rows.itertuples()
        }


def read_hypnogram(path: Path, scorer: str = "", lights_s: LightsTimes = (None, None)) -> ScoredNight:
    """The night of a `hypnogram_table` as a run has written it, with the arousals that its resolution shows.

    ValueError where the table is another one.
    """
    table = pd.read_csv(path)
    missing = {"stage", "duration_s", *(f"p_{stage.lower()}" for stage in STAGES)} - set(table)
    if missing or not table.stage.isin(CODES).all():
        raise ValueError(f"{path.name} is no hypnogram of a run: {', '.join(sorted(missing)) or 'unknown stages'}")
    stages = table.stage.map(CODES).to_numpy()
    predictions_per_epoch = round(EPOCH_S / table.duration_s[0])
    return ScoredNight(
        stages,
        predictions_per_epoch,
        _start_time(table),
        table[[f"p_{stage.lower()}" for stage in STAGES]].to_numpy(np.float64),
        detect_arousals(stages, predictions_per_epoch),
        *lights_s,
        scorer=scorer,
    )


def _result(folder: Path) -> dict[str, Any]:
    """What the run says of itself; nothing where it has not ended."""
    result = folder / "result.json"
    return read_facts(result, "outputs", "scores") if result.is_file() else {}


def _scores(folder: Path) -> dict[str, Any]:
    """Such as its network."""
    return _result(folder).get("scores", {})


def _lights(folder: Path) -> dict[str, LightsTimes]:
    """Name of each hypnogram's table -> when the lights went off and on, as far as somebody noted it."""
    nights = pd.read_csv(folder / "nights.csv") if (folder / "nights.csv").is_file() else pd.DataFrame()
    if "lights_from" in nights:
        rows = nights[nights.lights_from.notna()].to_dict("records")
        return {Path(row["hypnogram"]).name: Lights.of_columns(row).noted_s for row in rows}
    scores = _scores(folder)
    noted_s = Lights.of_columns(scores).noted_s if "lights_from" in scores else (None, None)
    return {path.name: noted_s for path in folder.glob("hypnogram_*.csv")}


def _start_time(table: pd.DataFrame) -> datetime | None:
    if "clock_time" not in table:
        return None
    return without_date(datetime.fromisoformat(f"1900-01-01T{table.clock_time[0]}"))


def write_crate(folder: Path) -> Path:
    """Describe a finished run in RO-Crate 1.1 (doi 10.5281/zenodo.7867028); returns the file, which lies in the folder.

    The crate holds what result.json lists, the executed notebook, the parameters as typed, and how the run came about.
    Inputs are no part of it: they stand in it with their role and hash alone, since their names could tell who the
    patient is. ValueError where the folder holds no finished run; FileNotFoundError where a file of it is missing.
    """
    _, made, result = read_run(folder)
    executed = ["notebook.ipynb"] if (folder / "notebook.ipynb").is_file() else []  # not of one run in JupyterLab
    files = [_file(folder, name) for name in dict.fromkeys([*result["outputs"], *executed, *RECORDS])]
    inputs = [_input(role, digest) for role, digest in made["inputs_sha256"].items()]
    workbook, *packages = (_software(name, version) for name, version in _versions(made).items())
    graph = [
        {"@id": METADATA, "@type": "CreativeWork", "conformsTo": {"@id": SPECIFICATION}, "about": {"@id": "./"}},
        _root(result, made["finished"], files),
        _action(made["finished"], workbook, inputs, files),
        workbook | {"softwareRequirements": _ids(packages)},
        *files,
        *inputs,
        *packages,
    ]
    path = folder / METADATA
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({"@context": CONTEXT, "@graph": graph}, indent=2) + "\n", "utf-8")
    return path


def _versions(made: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The workbook first, by its commit where that is known, then the packages that decide numbers."""
    code = made.get("code", {})  # neither is known of runs before 2026-11
    changes = "+changes" if code.get("changed") else ""
    commit = {"anysleep": f"{code['commit']}{changes}"} if code.get("commit") else {}
    return {"anysleep": "not noted"} | made.get("packages", {}) | commit


def _root(result: Mapping[str, Any], finished: str, files: list[Entity]) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{result['notebook']}, run {result['run_id']}",
        "description": f"What the notebook {result['notebook']} of the AnySleep Workbook made.",
        "datePublished": finished,
        "license": LICENSE,
        "hasPart": _ids(files),
        "mentions": {"@id": "#run"},
    }


def _action(finished: str, workbook: Entity, inputs: list[Entity], files: list[Entity]) -> Entity:
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "the run",
        "endTime": finished,
        "instrument": {"@id": workbook["@id"]},
        "object": [*_ids(inputs), {"@id": "params.yaml"}],
        "result": [one for one in _ids(files) if one["@id"] != "params.yaml"],
    }


def _file(folder: Path, name: str) -> Entity:
    path = folder / name
    entity: Entity = {"@id": quote(name), "@type": "File", "name": name, "contentSize": str(path.stat().st_size)}
    media_type, _ = mimetypes.guess_type(name)
    return entity | {"sha256": sha256_of(path)} | ({"encodingFormat": media_type} if media_type else {})


def _input(role: str, digest: str) -> Entity:
    about = "An input, by the hash that provenance.json has of it; of an archive, that of what it holds."
    entity: Entity = {"@id": f"#input-{quote(role)}", "@type": "CreativeWork", "name": role}
    return entity | {"identifier": digest, "description": about}


def _software(name: str, version: str) -> Entity:
    return {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "version": version}


def _ids(entities: Iterable[Entity]) -> list[Entity]:
    return [{"@id": entity["@id"]} for entity in entities]


def main(arguments: list[str]) -> int:
    """The command line: run folder, formats, by default all. Returns the exit status. Errors as of `export_run`."""
    if not arguments:
        print(
            f"usage: anysleep export <run folder> [<format> ...]\nformats: {', '.join(FORMATS)}; of any run: ro-crate"
        )
        return 2
    folder, *formats = arguments
    if formats == ["ro-crate"]:
        print(f"described in {write_crate(Path(folder))}")
        return 0
    asked = cast(list[ExportFormat], [one.lower() for one in formats])  # `export_run` refuses what is none
    files = export_run(Path(folder), asked or tuple(FORMATS))
    print(f"{many(len(files), 'file')} written in {folder}" if files else "nothing to write: there is the CSV")
    for file in files[:MOST_NAMED]:
        print(f"  {file.relative_to(folder)}")
    if len(files) > MOST_NAMED:
        print(f"  and {len(files) - MOST_NAMED} more")
    return 0

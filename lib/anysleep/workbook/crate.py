"""A run folder as RO-Crate: `ro-crate-metadata.json` tells other programs what ran, on what, and what it made."""

import json
import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anysleep.system.files import atomic_write, sha256_of
from anysleep.workbook.commands import RECORDS, read_run

Entity = dict[str, Any]
METADATA = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
CONTEXT = [f"{SPECIFICATION}/context", {"sha256": "https://schema.org/sha256"}]  # the hash is no term of version 1.1
LICENSE = "Not stated: what may be done with the files is for the agreements of the recordings to say."


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

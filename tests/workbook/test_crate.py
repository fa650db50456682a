"""A run as RO-Crate is opened by a reader that is not ours, and holds no more than it may."""

import json

import pytest
from helpers.toy_runs import inspect
from rocrate.rocrate import ROCrate

from anysleep.__main__ import main
from anysleep.system.files import sha256_of
from anysleep.workbook.run import start_run


@pytest.fixture
def folder(tmp_path):
    run = start_run(inspect(tmp_path / "Anna Muster"))
    (tmp_path / "Anna Muster.h5").write_bytes(b"x")
    run.input("archive", tmp_path / "Anna Muster.h5")
    run.path("tables/a b.csv").write_text("stage\nN2\n")
    run.finish(mf1=0.8)
    return run.folder


def crate_of(folder, capsys):
    assert main(["export", str(folder), "ro-crate"]) == 0
    assert "described in" in capsys.readouterr().out
    return ROCrate(folder)


def test_another_reader_finds_every_file_with_its_hash(folder, capsys):
    crate = crate_of(folder, capsys)
    files = {entity["name"]: entity for entity in crate.data_entities}
    assert set(files) == {"tables/a b.csv", "params.yaml", "provenance.json", "result.json"}
    assert all(entity["sha256"] == sha256_of(folder / name) for name, entity in files.items())
    assert files["tables/a b.csv"].id == "tables/a%20b.csv" and files["tables/a b.csv"]["contentSize"] == "9"
    assert crate.root_dataset["datePublished"] and crate.name.startswith("02_inspect, run ")


def test_what_ran_and_on_what_is_said_by_version_and_hash(folder, capsys):
    run = crate_of(folder, capsys).dereference("#run")
    made = json.loads((folder / "provenance.json").read_text())
    assert run["instrument"]["version"].startswith(made["code"]["commit"])
    versions = {one["name"]: one["version"] for one in run["instrument"]["softwareRequirements"]}
    assert versions == {name: version for name, version in made["packages"].items() if name != "anysleep"}
    archive, params = run["object"]
    assert archive["name"] == "archive" and archive["identifier"] == made["inputs_sha256"]["archive"]
    assert params.id == "params.yaml" and len(run["result"]) == 3


def test_every_entity_is_named_once_and_every_name_leads_to_one(folder, capsys):
    crate_of(folder, capsys)
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    ids = [entity["@id"] for entity in graph]
    values = [value for entity in graph for value in entity.values()]
    named = {one["@id"] for value in values for one in (value if type(value) is list else [value]) if type(one) is dict}
    assert len(set(ids)) == len(ids) and named - set(ids) == {"https://w3id.org/ro/crate/1.1"}


def test_no_path_of_an_input_is_in_it(folder, capsys):
    crate_of(folder, capsys)
    assert "Muster" not in (folder / "ro-crate-metadata.json").read_text()


def test_a_run_that_has_not_ended_is_refused(folder, capsys):
    (folder / "result.json").unlink()
    assert main(["export", str(folder), "ro-crate"]) == 2
    assert "is no finished run" in capsys.readouterr().err
    assert not (folder / "ro-crate-metadata.json").exists()

"""A wrong parameter stops a run before any work, with the value, what is allowed and the likely fix."""

import json
import math
import platform
import subprocess
import sys

import pytest
import yaml

from anysleep.datasets.recipes import Recipe
from anysleep.models import unet_filters
from anysleep.settings import ParameterError, Strict, merge_parameters
from anysleep.workbook.arguments import checked_parameters, read_words
from anysleep.workbook.notebooks import NOTEBOOKS, Evaluate, StageOneNight
from anysleep.workbook.parameters import notebook_defaults
from anysleep.workbook.run import start_run
from anysleep.workbook.search import Search

GOOD = {
    "run_dir": "outputs/x",
    "recording": "a.edf",
    "labels": "",
    "labels_as": {},
    "channels": ["EEG"],
    "name_by_file": False,
    "checkpoint": "c.pth",
    "allow_synthetic": False,
    "predictions_per_epoch": 1,
    "lights_off": "",
    "lights_on": "",
    "person": "",
    "age": 0,
    "paper": "A4",
    "exports": [],
    "precision": "32",
    "device": "auto",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chanels": ["EEG"]}, "unknown parameter 'chanels'; did you mean 'channels'"),
        ({"labels_as": {"reader": "table"}}, "labels_as says how to read labels, but labels names no file"),
        ({"labels": "a.txt", "labels_as": {"file": "b"}}, "labels names the file; leave it out of labels_as"),
        ({"labels": "a.txt", "labels_as": {"reader": "tabel"}}, "no label reader 'tabel'; there are own, edf"),
        ({"labels": "a.txt", "labels_as": {"colums": {}}}, "did you mean 'columns'"),
        ({"device": "gpu"}, "device is 'gpu'.*'auto', 'cpu', 'cuda' or 'mps'"),
        ({"predictions_per_epoch": "8"}, "predictions_per_epoch is '8'"),
        ({"predictions_per_epoch": 0}, "greater than or equal to 1"),
        ({"name_by_file": "yes"}, "name_by_file is 'yes'"),
        ({"channels": "EEG"}, "channels is 'EEG'"),
        ({"recording": ""}, "recording is"),
        ({"lights_off": 1390}, "lights_off is 1390: .*put it in quotes"),  # what YAML makes of 23:10
        ({"exports": ["docx"]}, "exports: 'docx' is no format; there are csv, edf, bids"),
    ],
)
def test_wrong_values_are_explained(change, message):
    with pytest.raises(ParameterError, match=message):
        StageOneNight(**(GOOD | change))


def test_a_number_for_a_name_is_explained(root):
    given = notebook_defaults(root / "notebooks/03_train.ipynb")
    with pytest.raises(ParameterError, match="a name in a group of parameters is no text"):
        NOTEBOOKS["03_train"](**(given | {"loss": {1: 2}}))


WITHOUT_BOUNDS = {
    "low": "of a search: checked against the bounds of the parameter itself",
    "high": "of a search: likewise",
    "choices": "of a search: likewise",
}


def numbers_in(cls):
    """Name and schema of every whole or real number in the fields of a class, its groups and lists included."""
    schema = cls.model_json_schema()
    for fields in [schema, *schema.get("$defs", {}).values()]:
        for name, field in fields["properties"].items():
            yield from ((name, number) for number in _numbers(field))


def _numbers(schema):
    if schema.get("type") in ("integer", "number"):
        yield schema
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())]
    for part in (part for part in inner if isinstance(part, dict)):
        yield from _numbers(part)


def test_every_number_has_a_least_and_a_largest_value():
    """A thousand million persons, windows or draws are a slip of the keyboard, and would run for ever."""
    classes = [*NOTEBOOKS.values(), Recipe, Search]
    found = [(cls.__name__, *number) for cls in classes for number in numbers_in(cls)]
    assert len(found) > 50
    for cls, name, number in found:
        has = {key.replace("exclusiveM", "m") for key in number}
        assert name in WITHOUT_BOUNDS or {"minimum", "maximum"} <= has, f"{cls}.{name}"
    assert WITHOUT_BOUNDS.keys() <= {name for _, name, _ in found}


def test_no_class_of_settings_is_forgotten_above():
    def below(cls):
        return {cls} | {one for sub in cls.__subclasses__() for one in below(sub)}

    known = {*NOTEBOOKS.values(), Recipe, Search}
    inside = {name for cls in known for name in cls.model_json_schema().get("$defs", {})}
    bases = {one.__name__ for cls in known for one in cls.__mro__}
    assert {cls.__name__ for cls in below(Strict) if cls.__module__.startswith("anysleep")} <= inside | bases


@pytest.mark.parametrize(
    ("notebook", "name", "value"),
    [
        ("01_prepare", "n_synthetic_persons", 10**9),
        ("01_prepare", "sampling_rate_hz", 10**9),
        ("01_prepare", "synthetic_hours", 1e9),
        ("01_prepare", "synthetic_hours", math.nan),
        ("03_train", "batch.n_windows", 10**9),
        ("03_train", "loss.gradient_clip", math.inf),
        ("04_evaluate", "n_bootstrap", 10**9),
        ("04_evaluate", "draws.n_draws", 10**9),
        ("05_predict", "predictions_per_epoch", [0]),
        ("07_traits", "n_repetitions", 0),
        ("07_traits", "n_repetitions", 10**9),
        ("05_predict", "n_devices", 0),
    ],
)
def test_numbers_that_nobody_means_are_refused(root, notebook, name, value):
    with pytest.raises(
        ParameterError, match=rf"{name.replace('.', ': ')}.* is .*: Input should be (less|greater|a finite)"
    ):
        checked_parameters(notebook, [], {name: value})


def test_recordings_of_05_are_files_and_lists_of_parts(root):
    def recordings(text):
        given = read_words(["archive=", f"recordings={text}"], NOTEBOOKS["05_predict"])[1]
        return checked_parameters("05_predict", [], given)[0].plain()["recordings"]

    for text, named in {"[[a.edf, b_*.edf], c.edf]": [["a.edf", "b_*.edf"], "c.edf"], "[x].edf": ["[x].edf"]}.items():
        assert recordings(text) == named
    for text, message in {"[a.edf, []]": r"recordings\.1\.parts is empty", "[3]": r"recordings\.0\.file is 3"}.items():
        with pytest.raises(ParameterError, match=message):
            recordings(text)


def test_a_missing_parameter_is_explained():
    with pytest.raises(ParameterError, match="'checkpoint' is missing: Of 03_train"):
        StageOneNight(**{name: value for name, value in GOOD.items() if name != "checkpoint"})


def test_yaml_floats_need_a_point():
    """YAML reads 1e-5 as text; that must not pass as a number."""
    with pytest.raises(ParameterError, match=r"learning_rate is '1e-5'.*write 1.0e-3"):
        NOTEBOOKS["03_train"](**{"learning_rate": yaml.safe_load("1e-5")})


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("# Parameters\nchekpoint = 'x'", "unknown parameter 'chekpoint'; did you mean 'checkpoint'"),
        ("# Parameters: mine\nsplit_part: str = 'all'", "split_part is 'all'"),
    ],
)
def test_the_notebook_sees_what_was_injected(cell, message, root):
    namespace = notebook_defaults(root / "notebooks" / "04_evaluate.ipynb")
    assert Evaluate.from_notebook(namespace).split_part == "test"
    exec(cell, namespace)
    with pytest.raises(ParameterError, match=message):
        Evaluate.from_notebook(namespace | {"In": ["import numpy", cell]})


def test_a_corrected_cell_counts_in_its_last_version():
    cells = ["# Parameters: mine\nchekpoint = 'x'", "# Parameters: mine\ncheckpoint = 'x'"]
    assert StageOneNight.from_notebook(GOOD | {"In": cells}).device == "auto"


def test_the_run_id_follows_from_what_decides_the_result():
    ids = {
        StageOneNight(**(GOOD | {"run_dir": folder, "device": d})).run_id for folder in "ab" for d in ("cpu", "auto")
    }
    assert len(ids) == 1
    assert StageOneNight(**(GOOD | {"predictions_per_epoch": 8})).run_id not in ids


def test_later_files_and_overrides_win(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1\ny: 1\nz: 1\n")
    (tmp_path / "b.yaml").write_text("y: 2\nz: 2\n")
    assert merge_parameters([tmp_path / "a.yaml", tmp_path / "b.yaml"], {"z": 3}) == {"x": 1, "y": 2, "z": 3}


def test_every_yaml_fits_its_notebook(root):
    files = [path for path in root.glob("params/*/*.yaml") if path.parent.name not in ("datasets", "search")]
    assert len(files) >= 6
    for path in files:
        notebook, _, variant = path.stem.partition(".")
        base = [path.with_name(f"{notebook}.yaml")] if variant else []
        defaults = notebook_defaults(root / "notebooks" / f"{notebook}.ipynb")
        params = NOTEBOOKS[notebook](**(defaults | merge_parameters([*base, path], {})))
        assert params.notebook == notebook


def test_own_nights_never_meet_the_files_of_the_demo(root):
    """A user names the recording or folder, nothing else: released weights, their rate, every channel."""
    files = sorted((root / "params" / "mine").glob("*.yaml"))
    assert len(files) == 7
    for path in files:
        params, _ = checked_parameters(path.stem, [path], {})
        given = json.dumps(params.plain())
        assert "outputs/demo" not in given and f'"run_dir": "outputs/mine/{path.stem}"' in given, path.name
        settings = params.plain()
        assert settings.get("checkpoint", released := "outputs/mine/weights/anysleep-run1.pth") == released
        assert settings.get("sampling_rate_hz", 128) == 128 and settings.get("channels", []) == []
        assert settings.get("split") is None and not settings.get("allow_synthetic")


def test_no_line_of_a_demo_file_repeats_the_notebook_s_own_cell(root):
    """Run All in JupyterLab and `make demo` do the same; a file of `make demo` says only what differs."""
    files = sorted((root / "params" / "demo").glob("*.yaml"))
    assert {path.stem for path in files} >= set(NOTEBOOKS)
    for path in files:
        notebook, _, variant = path.stem.partition(".")
        defaults = notebook_defaults(root / "notebooks" / f"{notebook}.ipynb")
        given = merge_parameters([path], {})
        assert not {name for name, value in given.items() if defaults[name] == value}, path
        assert bool(given) == bool(variant), path


def test_the_runner_stops_before_any_work(tmp_path, root):
    command = [
        sys.executable,
        "-m",
        "anysleep",
        "run",
        "stage_one_night",
        f"run_dir={tmp_path / 'run'}",
        "recordng=a.edf",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown parameter 'recordng'; did you mean 'recording'" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_folder_says_how_it_was_made(tmp_path):
    run = start_run(StageOneNight(**(GOOD | {"run_dir": str(tmp_path / "run")})))
    (tmp_path / "input.edf").write_bytes(b"x")
    run.input("recording", tmp_path / "input.edf")
    run.finish(score=1.0)
    provenance = json.loads((run.folder / "provenance.json").read_text())
    assert provenance["run_id"] == yaml.safe_load((run.folder / "params.yaml").read_text())["run_id"] == run.run_id
    assert provenance["packages"]["torch"].startswith("2.13.0")
    assert len(provenance["inputs_sha256"]["recording"]) == 64
    assert set(provenance["code"]) == {"commit", "changed"} and provenance["packages"]["python"].startswith("3.11")
    assert (
        provenance["machine"]["n_cores"] >= 1
        and provenance["machine"]["memory_gb"] > 0
        and provenance["machine"]["cpu"]
    )
    assert 0 <= provenance["seconds"] < 60 and 50 < provenance["peak_memory_mb"]["process"] < 1e6
    assert platform.node() not in (run.folder / "provenance.json").read_text()
    result = json.loads((run.folder / "result.json").read_text())
    assert result["scores"] == {"score": 1.0} and result["inputs_sha256"] == provenance["inputs_sha256"]
    start_run(run.params)
    assert not (run.folder / "result.json").exists()  # an unfinished run does not look finished


def paper_files(root):
    return sorted((root / "params" / "paper").glob("*.yaml"))


def test_the_paper_s_parameters_are_valid_and_variants_hold_only_what_differs(root):
    assert len(paper_files(root)) >= 10
    for path in paper_files(root):
        notebook, _, variant = path.stem.partition(".")
        base = path.with_name(f"{notebook}.yaml")
        params, _ = checked_parameters(notebook, [base, path] if variant else [base], {})
        assert params.run_dir.name == path.stem and params.run_dir.parent.name == "paper"
        if variant:
            content, shared = (yaml.safe_load(file.read_text()) for file in (path, base))
            assert not {name for name, value in content.items() if shared[name] == value}, path


def test_the_paper_s_training_is_as_published(root):
    """arXiv 2512.14461, methods: training."""
    files = [root / "params" / "paper" / f"03_train{variant}.yaml" for variant in ("", ".late_fusion")]
    params, late = checked_parameters("03_train", files[:1], {})[0], checked_parameters("03_train", files, {})[0]
    assert unet_filters(params.unet.depth, params.unet.complexity)[-1] == 302
    assert (params.batch.n_windows, params.batch.window_epochs, late.batch.n_windows) == (64, 35, 32)
    for run in (params, late):
        assert run.steps_per_training_epoch == -(-28571 // run.batch.n_windows)
        assert run.n_steps == 10_000 * run.steps_per_training_epoch
    assert (params.learning_rate, params.patience, params.schedule.shape) == (1e-5, 100, "constant")
    assert (params.loss.stage_weights, params.loss.gradient_clip) == ("none", 0)
    assert (params.batch.redraw, late.batch.redraw) == ("dataset", "dataset")


def test_the_least_learning_rate_is_not_above_the_highest(root):
    with pytest.raises(ParameterError, match=r"min_rate is 0\.1, above learning_rate, which is 0\.01"):
        checked_parameters("03_train", [root / "params/demo/03_train.yaml"], {"schedule.min_rate": 0.1})


@pytest.mark.parametrize(
    "changed",
    [{"schedule.shape": "constant", "schedule.min_rate": 1e-6}, {"schedule.n_cycles": 1, "schedule.cycle_growth": 2}],
)
def test_a_schedule_says_nothing_that_does_nothing(root, changed):
    with pytest.raises(ParameterError, match="there is nothing they would change here"):
        checked_parameters("03_train", [root / "params/demo/03_train.yaml"], changed)


def test_the_run_folder_follows_from_the_files(root):
    files = [root / "params" / "paper" / f"03_train{variant}.yaml" for variant in ("", ".usleep", ".seed1")]
    params, given = checked_parameters("03_train", files, {"loss.gradient_clip": 2.0, "n_steps": 5})
    assert given["run_dir"] == "outputs/paper/03_train.usleep.seed1"
    assert (params.architecture, params.seed, params.n_steps) == ("usleep", 1, 5)
    assert (params.loss.gradient_clip, params.loss.stage_weights) == (2.0, "none")
    assert checked_parameters("03_train", files, {"run_dir": "outputs/x"})[0].run_dir.name == "x"


@pytest.mark.parametrize(
    ("name", "message"),
    [("loss.gradient_clips", "did you mean 'gradient_clip'"), ("n_steps.x", "unknown parameter 'n_steps.x'")],
)
def test_a_wrong_member_of_a_group_is_explained(root, name, message):
    with pytest.raises(ParameterError, match=message):
        checked_parameters("03_train", [root / "params" / "demo" / "03_train.yaml"], {name: 1.0})


def test_a_variant_without_its_base_is_refused(root):
    base = root / "params" / "paper" / "07_traits.yaml"
    variant = base.with_name("07_traits.sex.yaml")
    with pytest.raises(
        ParameterError, match=r"07_traits.sex.yaml holds only what differs.*params/paper/07_traits.yaml"
    ):
        checked_parameters("07_traits", [variant], {})
    assert checked_parameters("07_traits", [base, variant], {})[0].trait == "sex"


def test_the_process_that_starts_a_notebook_imports_no_library_of_notebooks():
    code = "import sys, anysleep.workbook.runner; print({'torch', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"

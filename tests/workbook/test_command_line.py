"""Words of the command line are taken as typed, and whatever goes wrong ends in a sentence."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from helpers.forked import run_forked
from IPython.core.ultratb import FormattedTB
from jupyter_client.manager import KernelManager

from anysleep.__main__ import main
from anysleep.settings import ParameterError
from anysleep.staging.sources import recordings_among
from anysleep.workbook import runner
from anysleep.workbook.arguments import checked_parameters, read_words
from anysleep.workbook.notebooks import Predict, StageOneNight, Train
from anysleep.workbook.parameters import notebook_defaults


@pytest.mark.parametrize(
    "text",
    [
        "/data/night #2.edf",
        "@x",
        "[001] x",
        "*.edf",
        "001",
        "%x",
        "&x",
        '"open',
        "a: b",
        "null",
        "1:30",
        "{x}",
        "- a",
        "",
    ],
)
def test_a_text_is_taken_as_it_is_typed(text):
    files, given = read_words([f"recording={text}", f"checkpoint={text}"], StageOneNight)
    assert files == [] and given == {"recording": [text] if text else [], "checkpoint": text}
    assert read_words([f"recordings={text}"], Predict)[1] == {"recordings": [text] if text else []}
    assert read_words([f"fine_tune.initial_checkpoint={text}"], Train)[1] == {"fine_tune.initial_checkpoint": text}


def test_other_values_are_yaml(tmp_path, monkeypatch):
    words = [
        "precision=32",
        "predictions_per_epoch=[1, 8]",
        "channels=[C3, 'O1']",
        "datasets=dodh",
        "name_by_file=true",
    ]
    assert read_words(words, Predict)[1] == {
        "precision": "32",
        "predictions_per_epoch": [1, 8],
        "channels": ["C3", "O1"],
        "datasets": ["dodh"],
        "name_by_file": True,
    }
    assert read_words(["compute.precision=32", "loss={a: 1}", "n_steps=5"], Train)[1] == {
        "compute.precision": "32",
        "loss": {"a": 1},
        "n_steps": 5,
    }
    for word in ("n_steps='5", "unet={depth: 1", "n_steps=2024-13-45"):
        with pytest.raises(ParameterError, match=r"cannot be read as YAML; is a quote or bracket open\?"):
            read_words([word], Train)


def test_a_yaml_file_may_have_an_equals_sign_in_its_path(tmp_path):
    (tmp_path / "a=b").mkdir()
    file = tmp_path / "a=b" / "02_inspect.yaml"
    file.write_text("n_epochs: 2\n")
    misspelt = file.with_name("02_inspct.yaml")
    assert read_words([str(file), str(misspelt), "nowhere.yaml", "recording=a/x.yaml"], StageOneNight) == (
        [file, misspelt, Path("nowhere.yaml")],
        {"recording": ["a/x.yaml"]},
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: 1\nsplit: @x\n", "line 2 cannot be read as YAML"),
        (b"split: 'open\n", "cannot be read as YAML"),
        (b"split: n\xe4chte.yaml\n", "not UTF-8 text; save it as UTF-8"),
        (b"split: 2024-13-45\n", "cannot be read as YAML: month must be in 1..12"),
        (b"- seed\n", "expected lines of `name: value`"),
        (b"1: seed\n", "expected lines of `name: value`"),
    ],
)
def test_a_parameter_file_that_cannot_be_read_is_named(tmp_path, root, capsys, content, message):
    (tmp_path / "mine.yaml").write_bytes(content)
    assert main(["run", "03_train", str(tmp_path / "mine.yaml")]) == 2
    said = capsys.readouterr().err
    assert "mine.yaml" in said and message in said and len(said.splitlines()) <= 3


def test_help_says_every_parameter_and_a_misspelt_name_what_was_meant(root, capsys):
    assert main(["run", "stage_one_night", "--help"]) == 0
    said = capsys.readouterr().out
    assert "  paper=A4\n      Of the report [A4, Letter]\n" in said and "  predictions_per_epoch=1\n" in said
    for words, meant in {
        ("run", "stage_night"): "no notebook 'stage_night'; did you mean 'stage_one_night'?",
        ("qualty",): "no command 'qualty'; did you mean 'quality'?",
        ("run", "stage_one_night", "exports=[edf+]"): "exports: 'edf+' is no format; did you mean 'edf'?",
        ("run", "stage_one_night", "recording="): "recording is empty; name at least one",
    }.items():
        assert main(list(words)) == 2
        assert meant in "".join(capsys.readouterr())
    given = notebook_defaults(root / "notebooks/stage_one_night.ipynb") | {"exports": ["EDF", "Bids"]}
    assert StageOneNight(**given).exports == ["edf", "bids"]


def test_recordings_are_files_folders_or_patterns(tmp_path):
    for name in ("b.edf", "a.EDF", "deep/c.fif.gz", "notes.txt", "[1].edf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for (file,) in recordings_among([tmp_path])]
    assert found == ["[1].edf", "a.EDF", "b.edf", "deep/c.fif.gz"]
    assert recordings_among([tmp_path / "[1].edf", tmp_path / "[ab].*"]) == [
        (tmp_path / name,) for name in ("[1].edf", "a.EDF", "b.edf")
    ]
    some_gone = [tmp_path / "b.edf", tmp_path / "gone.edf"]
    assert recordings_among(some_gone) == list(zip(some_gone))  # a failed row says that it is not there
    with pytest.raises(ValueError, match=r"recordings: there is no file or folder .*gone\.edf"):
        recordings_among([tmp_path / "gone.edf"])
    for nothing in (tmp_path / "*.set", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ValueError, match=f"no recording is found by .*{re.escape(nothing.name)}"):
            recordings_among([nothing])


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("notebook", "word", "message"),
    [
        ("02_inspect", "archive=gone.h5", "archive: no file gone.h5; 01_prepare makes it"),
        ("04_evaluate", "checkpoint=bundld", "did you mean `bundled`?"),
        ("04_evaluate", "checkpoint=gone.pth", "anysleep fetch, see README.md), or checkpoint=bundled"),
        ("stage_one_night", "recording=gone.edf", "recording: no file gone.edf"),
        (
            "stage_one_night",
            "recording=params",
            "params is a folder; name one file of it; many nights: anysleep run 05",
        ),
        ("02_inspect", "archive=params", "archive: params is a folder; name one file of it"),
        ("06_arousals", "predictions=gone", "predictions: gone holds none; 05_predict makes them"),
    ],
)
def test_a_missing_input_is_said_before_any_work(root, tmp_path, capsys, notebook, word, message, more):
    for name in ("there.h5", "there.pth", "there.yaml", "there.edf"):
        (tmp_path / name).touch()
    there = {"archive": "h5", "checkpoint": "pth", "split": "yaml", "recording": "edf"}
    given = [f"{name}={tmp_path / 'there'}.{suffix}" for name, suffix in there.items() if name in fields(notebook)]
    assert main(["run", notebook, *given, word, f"run_dir={tmp_path / 'run'}", *more]) in (1, 2)
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("predictions_per_epoch=7", "predictions_per_epoch is 7; it must divide the 3840 samples of an epoch"),
        ("lights_off=23h10", "'23h10' is neither a clock time such as 23:10 nor seconds"),
    ],
)
def test_what_the_network_or_nobody_can_do_is_said_before_a_result_is_touched(tmp_path, capsys, word, message, more):
    (tmp_path / "night.edf").touch()
    (tmp_path / "result.json").write_text("{}")
    given = ["checkpoint=bundled", f"recording={tmp_path / 'night.edf'}", f"run_dir={tmp_path}", word, *more]
    assert main(["run", "stage_one_night", *given]) in (1, 2)
    said = capsys.readouterr()
    assert message in said.err and "valid" not in said.out
    assert (tmp_path / "result.json").read_text() == "{}"


def fields(notebook):
    return runner.NOTEBOOKS[notebook].model_fields if notebook != "06_arousals" else ("archive", "split")


FRAME = "\x1b[0;32mFile \x1b[0m{}:12, in work(x)"
OWN, FOREIGN = Path(runner.__file__).parents[1] / "datasets" / "preparation.py", "/x/site-packages/numpy/core.py"


@pytest.mark.parametrize(
    ("name", "files", "story"),
    [
        ("NothingUsable", ["cell", OWN], "said"),
        ("BadRecording", [OWN], "said"),
        ("ValueError", ["cell", OWN], "said"),
        ("ValueError", ["cell", OWN, FOREIGN], "unexpected ValueError in work (preparation.py, line 12): said"),
        ("KeyError", [OWN], "unexpected KeyError in work (preparation.py, line 12): said"),
        ("LinAlgError", ["cell", FOREIGN], "unexpected LinAlgError in a cell: said"),
        ("AssertionError", ["cell"], "unexpected AssertionError in a cell: said"),
    ],
)
def test_messages_of_the_workbook_stand_alone_and_no_others(name, files, story):
    trace = ["Cell In[3], line 1" if file == "cell" else FRAME.format(file) for file in files]
    assert runner._story(name, "said", trace) == story
    assert len(runner._story(name, "x " * 10**4, trace)) < 1200


@pytest.mark.parametrize(
    ("given", "story"),
    [
        ({"n_epoch": 2}, "unknown parameter 'n_epoch'"),
        (3, "unexpected AttributeError in merge_parameters (settings.py, line "),
    ],
)
def test_an_error_of_a_process_of_a_pool_is_told_as_of_the_workbook(given, story):
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with pytest.raises((ParameterError, AttributeError)) as caught:
            pool.submit(checked_parameters, "02_inspect", [], given).result()
    kernel_s = FormattedTB(mode="Context", theme_name="nocolor")
    trace = kernel_s.structured_traceback(caught.type, caught.value, caught.tb)
    assert runner._story(caught.typename, str(caught.value), trace).startswith(story)


def test_a_failing_notebook_ends_in_three_lines_and_keeps_its_traceback(root, tmp_path, capsys):
    (tmp_path / "nights").mkdir()
    (tmp_path / "nights/damaged.edf").write_bytes(b"0       " + b"x" * 300)
    recipe = "params/datasets/edf_folder.yaml"
    words = [f"datasets={{{recipe}: {tmp_path / 'nights'}}}", "synthetic_dir=", f"run_dir={tmp_path / 'run {1}'}"]
    assert main(["run", "01_prepare", *words]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-3] == "01_prepare stopped." and said[-2].startswith("none of 1 recordings can be used")
    assert "notebook.ipynb" in said[-1] and "Traceback" not in "".join(said)
    assert "NothingUsable" in (tmp_path / "run {1}/notebook.ipynb").read_text()


def test_a_full_disk_is_said_in_a_line_and_leaves_no_half_notebook(root, tmp_path, capsys, largest_file):
    (tmp_path / "a.h5").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notebook.ipynb").write_text("before")
    with largest_file(10_000):
        assert main(["run", "02_inspect", f"archive={tmp_path / 'a.h5'}", f"run_dir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("02_inspect: disk full: no room for notebook.ipynb in ") and len(said.splitlines()) == 1
    assert (tmp_path / "run/notebook.ipynb").read_text() == "before"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", ".runner.lock", "notebook.ipynb"}


@pytest.mark.parametrize("module", ["h5py", "ipykernel_launcher"])
def test_a_kernel_that_is_killed_is_told_and_no_success(root, tmp_path, module):
    """As where memory is short, and as where another program was faster with its ports."""
    (tmp_path / f"{module}.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    (tmp_path / "a.h5").touch()
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(root / "lib")])}
    words = ["run", "02_inspect", f"archive={tmp_path / 'a.h5'}", f"run_dir={tmp_path / 'run'}"]
    command = [sys.executable, "-m", "anysleep", *words]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    *_, stopped, why, where = done.stderr.splitlines()  # jupyter_client, too, says that it died
    assert done.returncode == 1 and stopped == "02_inspect stopped." and "notebook.ipynb" in where
    assert why.startswith("the kernel died (Kernel died") and why.endswith("; was there enough memory?")


def test_a_notebook_that_ends_early_without_an_error_is_no_success(root, tmp_path, capsys, monkeypatch):
    """Papermill returns then, and the result of an earlier run may still be there."""
    (tmp_path / "a.h5").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/result.json").write_text("{}")
    monkeypatch.setattr("papermill.execute_notebook", lambda *words, **options: None)
    assert main(["run", "02_inspect", f"archive={tmp_path / 'a.h5'}", f"run_dir={tmp_path / 'run'}"]) == 1
    assert "02_inspect ended without" in capsys.readouterr().err


def test_ctrl_c_ends_in_a_sentence(root, tmp_path):
    words = [
        f"datasets={{params/datasets/synthetic.yaml: {tmp_path / 'cohort'}}}",
        f"synthetic_dir={tmp_path / 'cohort'}",
    ]
    command = [sys.executable, "-m", "anysleep.runs", "01_prepare", *words, f"run_dir={tmp_path / 'run'}"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    as_in_a_terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    stopped = subprocess.Popen(
        command, cwd=root, text=True, **streams, start_new_session=True, preexec_fn=as_in_a_terminal
    )
    while not (tmp_path / "run/params.yaml").exists():
        assert stopped.poll() is None
        time.sleep(0.05)
    os.killpg(stopped.pid, signal.SIGINT)
    said, _ = stopped.communicate()
    assert stopped.returncode == 130, said
    of_ipykernel = r"Exception ignored in: <bound method IPythonKernel\..*?KeyboardInterrupt: \n"
    said = re.sub(of_ipykernel, "", said, flags=re.DOTALL)  # Python, where the signal meets the garbage collector
    assert "Traceback" not in said and said.splitlines()[-1] == f"01_prepare: {runner.STOPPED}", said


def test_ctrl_c_while_a_kernel_starts_leaves_no_kernel_and_no_file(monkeypatch, tmp_path):
    """Papermill takes a kernel into its care when it has started; here, the signal comes before."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started = []

    def interrupted(*words, **options):
        started.append(KernelManager())
        started[0].start_kernel()
        raise KeyboardInterrupt

    mine = KernelManager(connection_file=str(tmp_path / "mine.json"))
    mine.start_kernel()
    monkeypatch.setattr("papermill.execute_notebook", interrupted)
    given = {"archive": str(tmp_path / "a.h5"), "run_dir": str(tmp_path / "run")}
    (tmp_path / "a.h5").touch()
    (tmp_path / "run" / ".kernel_of_a_killed_run").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        runner.execute("02_inspect", [], given)
    assert Path(started[0].connection_file).is_relative_to(tmp_path / "run")
    assert not started[0].is_alive() and not list((tmp_path / "run").glob(".kernel*"))
    assert mine.is_alive()  # which somebody else has started
    mine.shutdown_kernel(now=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "run"]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("anysleep.runs", ["stage_one_night", "recording=/my", "night.edf"]),
        ("anysleep search", ["/my", "search.yaml"]),
        ("anysleep quality", ["/my", "night.edf"]),
        ("anysleep onnx", ["/my", "x.pth", "night.edf"]),
    ],
)
def test_a_path_with_a_blank_needs_quotes_and_this_is_said(root, monkeypatch, module, words):
    monkeypatch.chdir(root)
    status, said = run_forked(*module.split(), *words)
    assert status == 2 and "quotes" in said and len(said.splitlines()) <= 2
    assert words[0] in said or "night.edf" in said


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("anysleep.runs", ["03_train"]),
        ("anysleep search", ["params/search/learning_rate.yaml"]),
        ("anysleep quality", ["gone.edf"]),
        ("anysleep onnx", ["gone.pth", "x.onnx"]),
        ("anysleep show", ["gone"]),
    ],
)
def test_ctrl_c_during_the_imports_ends_in_a_line(root, tmp_path, module, words):
    """The first thing that is imported after the package interrupts."""
    name = "json" if module == "anysleep show" else "numpy"
    (tmp_path / f"{name}.py").write_text("raise KeyboardInterrupt\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(root / "lib")])}
    done = subprocess.run(
        [sys.executable, "-m", *module.split(), *words], cwd=root, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("anysleep quality", ["gone.edf"]),
        ("anysleep quality", ["."]),
        ("anysleep onnx", ["gone.pth", "x.onnx"]),
        ("anysleep onnx", [".", "x.onnx"]),
        ("anysleep search", ["gone.yaml"]),
        ("anysleep search", ["params/search/learning_rate.yaml", "n_trials='3"]),
        ("anysleep.training", ["gone"]),
        ("anysleep.training", []),
        ("anysleep show", []),
        ("anysleep compare", ["gone", "gone"]),
        ("anysleep compare", []),
    ],
)
def test_other_commands_end_in_a_sentence_too(root, monkeypatch, module, words):
    monkeypatch.chdir(root)
    status, said = run_forked(*module.split(), *words)
    assert status in (1, 2) and said.count("\n") == 1
    assert " ".join(words[:1]).split("/")[0] in said + "params"


def test_show_says_how_it_is_called(capsys):
    assert main(["show", "--help"]) == 2
    assert capsys.readouterr().err.startswith("usage: anysleep show <run or folder of runs>")

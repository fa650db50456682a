"""A run folder is one run's at a time, and what goes wrong is said in a sentence."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from IPython.core.ultratb import FormattedTB

from anysleep.__main__ import main
from anysleep.settings import ParameterError
from anysleep.staging.sources import recordings_among
from anysleep.workbook import run as runs
from anysleep.workbook import runner
from anysleep.workbook.arguments import checked_parameters, read_words
from anysleep.workbook.notebooks import Inspect, Predict, StageOneNight, Train
from anysleep.workbook.parameters import notebook_defaults


def inspect(folder, **changes):
    given = {"archive": "a.h5", "dataset": "", "recording": "", "channels": [], "start_s": 0.0, "n_epochs": 1}
    return Inspect(run_dir=str(folder), **(given | changes))


START = "import os; from anysleep.workbook import run as runs; from anysleep.workbook.notebooks import Inspect; "
START += "runs.WAIT_S = 0; runs.start_run(Inspect(**{}))"


def in_another_process(folder, then="") -> subprocess.CompletedProcess:
    """Start the run there, too, without waiting, and do what is said."""
    code = f"{START.format(inspect(folder).plain())}; {then}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_folder_is_one_run_s_until_it_has_finished(tmp_path):
    run = runs.start_run(inspect(tmp_path))
    assert "ValueError: another run is at work in" in in_another_process(tmp_path).stderr
    run = runs.start_run(inspect(tmp_path))  # the cell once more, in the same kernel
    run.finish()
    assert in_another_process(tmp_path).returncode == 0


def test_a_run_that_was_killed_leaves_no_lock(tmp_path):
    assert in_another_process(tmp_path, "os.kill(os.getpid(), 9)").returncode == -signal.SIGKILL
    assert in_another_process(tmp_path).returncode == 0


def test_a_kernel_ends_with_its_runner_whoever_takes_it_over(tmp_path):
    """By itself it would see only that init took it over, not systemd of a user, or a container's own."""
    code = "import os, subprocess, sys; os.environ['JPY_PARENT_PID'] = str(os.getpid()); "
    kernel = f"{START.format(inspect(tmp_path).plain())}; os.write(1, b'begun'); import time; time.sleep(1000)"
    code += f"subprocess.run([sys.executable, '-c', {kernel!r}])"
    runner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert runner.stdout.read(5) == b"begun"
    runner.kill()
    assert runner.stdout.read() == b""  # ends when the kernel, which holds the other end, has ended
    runner.wait()


def test_the_runner_touches_nothing_of_a_run_at_work(tmp_path, root, monkeypatch, capsys):
    run = runs.start_run(inspect(tmp_path / "run"))
    (run.folder / "notebook.ipynb").write_text("theirs")
    (tmp_path / "a.h5").touch()
    words = ["02_inspect", f"archive={tmp_path / 'a.h5'}", f"run_dir={run.folder}"]
    code = "import sys; from anysleep.__main__ import main; from anysleep.workbook import run; run.WAIT_S = 0; "
    code += f"sys.exit(main({['run', *words]!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 2 and "another run is at work" in done.stderr and len(done.stderr.splitlines()) == 1
    assert (run.folder / "notebook.ipynb").read_text() == "theirs"


def test_of_two_runs_started_at_once_one_kernel_starts(tmp_path, root):
    """The kernel is one that waits for the other process to have ended: only its runner can have locked the folder."""
    (tmp_path / "a.h5").touch()
    words = ["02_inspect", f"archive={tmp_path / 'a.h5'}", f"run_dir={tmp_path / 'run'}"]
    code = f"""if True:
        import sys, pathlib, time
        from anysleep.__main__ import main
        from anysleep.workbook import run as runs, runner
        here = pathlib.Path({str(tmp_path)!r})
        def kernel(params, *_):
            print("kernel", flush=True)
            while not (here / "other ended").exists():
                time.sleep(0.01)
            return params.run_dir
        runner._execute = kernel
        print("ready", flush=True)
        sys.stdin.readline()
        sys.exit(main({["run", *words]!r}))"""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=root, text=True, **streams) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    while all(process.poll() is None for process in both):
        time.sleep(0.01)
    (tmp_path / "other ended").touch()
    ended = sorted((*process.communicate(), process.returncode) for process in both)
    (loser_said, why, loser), (winner_said, _, winner) = ended
    assert (loser, winner) == (2, 0) and loser_said == "" and winner_said.startswith("kernel\n")
    assert "another run is at work in" in why and len(why.splitlines()) == 1


def test_a_run_that_lacks_its_inputs_leaves_the_folder_of_another_alone(tmp_path, root):
    words = ["02_inspect", f"archive={tmp_path / 'gone.h5'}", f"run_dir={tmp_path}", runner.MAY_LACK_INPUTS]
    command = [sys.executable, "-m", "anysleep.runs", *words]
    lock = runs.lock_folder(tmp_path, ".runner.lock")
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 2 and "another run is at work" in done.stderr
    assert not (tmp_path / "params.yaml").exists() and not (tmp_path / "result.json").exists()
    lock.release()
    assert subprocess.run(command, cwd=root, capture_output=True).returncode == 0
    assert "no file" in (tmp_path / "result.json").read_text()


def test_a_training_is_asked_to_stop_before_the_kernel_that_reads_its_words(tmp_path):
    training = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(print('saved'))); "
    training += "print('ready', flush=True); time.sleep(60)"
    kernel = "import subprocess, sys; from pathlib import Path; "
    kernel += (
        f"p = subprocess.Popen([sys.executable, '-c', {training!r}, 'anysleep.training'], stdout=subprocess.PIPE)\n"
    )
    kernel += f"for line in p.stdout: Path({str(tmp_path)!r}, line.decode().strip()).touch()\n"
    kernel += "p.wait(); import time; time.sleep(60)"
    code = "import signal, subprocess, sys; from anysleep.workbook import runner; "
    code += "signal.signal(signal.SIGTERM, runner.forward_sigterm); "
    code += f"subprocess.run([sys.executable, '-c', {kernel!r}])"
    started = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "ready").exists():
        assert started.poll() is None
        time.sleep(0.01)
    started.terminate()
    assert started.communicate()[1] == f"{runner.STOPPED}\n" and started.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "saved").exists()


def test_what_a_folder_held_is_said_before_it_is_replaced(tmp_path, capsys):
    runs.start_run(inspect(tmp_path)).finish()
    runs.start_run(inspect(tmp_path)).finish()
    assert capsys.readouterr().out == ""
    runs.start_run(inspect(tmp_path, recording="other", start_s=30.0)).finish()
    assert "replaces the results of another run in" in (said := capsys.readouterr().out)
    assert "different: recording, start_s" in said and "run_dir keeps both" in said


def test_a_run_that_never_began_leaves_the_result_before_it(tmp_path):
    runs.start_run(inspect(tmp_path)).finish()
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(RuntimeError, match="no kernel"), runs.result_aside(tmp_path):
        assert not (tmp_path / "result.json").exists()
        raise RuntimeError("no kernel")
    assert (tmp_path / "result.json").read_bytes() == before
    with runs.result_aside(tmp_path):
        runs.start_run(inspect(tmp_path, recording="b")).lock.release(force=True)
    assert not (tmp_path / "result.json").exists() and not (tmp_path / runs.ASIDE).exists()


def test_warnings_of_a_kernel_are_a_line_said_once():
    code = """
import warnings
from anysleep.workbook.run import _say_once
_say_once()
for place in range(2):
    warnings.warn("short", UserWarning, stacklevel=1); warnings.warn("short", UserWarning, stacklevel=2)
warnings.warn("theirs", DeprecationWarning)
"""
    said = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert said.stderr.splitlines()[0] == "note: short" and said.stderr.count("short") == 1
    assert "DeprecationWarning: theirs" in said.stderr


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
    assert read_words([str(file), "nowhere.yaml", "recording=x.yaml"], StageOneNight) == (
        [file, Path("nowhere.yaml")],
        {"recording": ["x.yaml"]},
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: 1\nsplit: @x\n", "line 2 cannot be read as YAML"),
        (b"split: 'open\n", "cannot be read as YAML"),
        (b"split: n\xe4chte.yaml\n", "not UTF-8 text; save it as UTF-8"),
        (b"split: 2024-13-45\n", "cannot be read as YAML: month must be in 1..12"),
        (b"- seed\n", "expected lines of `name: value`"),
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
    found = [file.relative_to(tmp_path).as_posix() for file in recordings_among([tmp_path])]
    assert found == ["[1].edf", "a.EDF", "b.edf", "deep/c.fif.gz"]
    assert recordings_among([tmp_path / "[1].edf", tmp_path / "[ab].*"]) == [
        tmp_path / name for name in ("[1].edf", "a.EDF", "b.edf")
    ]
    some_gone = [tmp_path / "b.edf", tmp_path / "gone.edf"]
    assert recordings_among(some_gone) == some_gone  # a failed row says that it is not there
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
    largest_file(10_000)
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
    assert "Traceback" not in said and said.splitlines()[-1] == f"01_prepare: {runner.STOPPED}"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("anysleep.runs", ["stage_one_night", "recording=/my", "night.edf"]),
        ("anysleep search", ["/my", "search.yaml"]),
        ("anysleep quality", ["/my", "night.edf"]),
        ("anysleep onnx", ["/my", "x.pth", "night.edf"]),
    ],
)
def test_a_path_with_a_blank_needs_quotes_and_this_is_said(root, module, words):
    done = subprocess.run([sys.executable, "-m", *module.split(), *words], cwd=root, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert (
        done.returncode == 2
        and "quotes" in said
        and (words[0] in said or "night.edf" in said)
        and len(said.splitlines()) <= 2
    ), said


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
def test_other_commands_end_in_a_sentence_too(root, module, words):
    done = subprocess.run([sys.executable, "-m", *module.split(), *words], cwd=root, capture_output=True, text=True)
    said = (done.stdout + done.stderr).splitlines()
    assert done.returncode in (1, 2) and len(said) == 1 and " ".join(words[:1]).split("/")[0] in said[0] + "params", (
        said
    )

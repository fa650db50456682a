"""The parameters of a run, from its YAML files and what was typed after them."""

import re
import shlex
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import yaml

from anysleep.settings import ParameterError, Strict, merge_parameters
from anysleep.system.files import files_named, project_path, short_path
from anysleep.system.limits import parse_yaml
from anysleep.workbook.notebooks import NOTEBOOKS
from anysleep.workbook.parameters import Parameters, notebook_defaults

RELEASED_NAME = re.compile(r"(usleep|anysleep(-(early|late)-fusion)?)-run[123]")
"""What the released weights are called."""


def read_words(words: Sequence[str], cls: type[Strict]) -> tuple[list[Path], dict[str, object]]:
    """The YAML files among the words of a command line, and the values of its `name=value` pairs.

    A parameter that is a text or a path takes what is typed as it is, and a list of such takes one item or `[...]`;
    every other value is YAML. A word that is the name of a YAML file is that, also with a `=` in it.
    """
    files = [Path(word) for word in words if "=" not in word or _is_yaml_file(word)]
    pairs = [word.partition("=") for word in words if "=" in word and not _is_yaml_file(word)]
    return files, {name: _value(name, text, _type_of(name, cls)) for name, _, text in pairs}


def checked_parameters(
    notebook: str, files: Sequence[Path], overrides: Mapping[str, object]
) -> tuple[Parameters, dict[str, object]]:
    """The parameters of a run, and those of them that differ from the notebook's own cell. ParameterError where wrong.

    Where neither files nor overrides name a `run_dir`, it follows from the files: params/<profile>/<notebook>.yaml and
    <notebook>.<variant>.yaml lead to outputs/<profile>/<notebook>.<variant>.
    """
    for path in map(project_path, files):
        base = path.with_name(f"{notebook}.yaml")
        if path.stem.startswith(f"{notebook}.") and base.is_file() and base not in map(project_path, files):
            raise ParameterError(
                f"{path.name} holds only what differs from {base.name}; name {short_path(base)} before it"
            )
    defaults = notebook_defaults(project_path("notebooks") / f"{notebook}.ipynb")
    given = merge_parameters(files, overrides, defaults)
    variants = [path.stem.removeprefix(notebook) for path in files if path.stem.split(".")[0] == notebook]
    if "run_dir" not in given and variants:
        given["run_dir"] = f"outputs/{project_path(files[0]).parent.name}/{notebook}{''.join(variants)}"
    return NOTEBOOKS[notebook](**(defaults | given)), given


def refuse_missing_inputs(params: Parameters) -> None:
    """FileNotFoundError where a file or folder that a run reads is not there; the message says what makes it."""
    values = dict(params)
    for group in [value for value in values.values() if isinstance(value, Strict)]:
        values |= dict(group)
    for name in ("archive", "checkpoint", "more_checkpoints", "initial_checkpoint", "split", "recording", "labels"):
        value = values.get(name)
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) and not any(file.is_file() for file in files_named(path)):
                raise FileNotFoundError(missing_file(name, path))
    predictions = values.get("predictions")
    if predictions and not any(predictions.glob("r[1-9]*/predictions.npz")):
        raise FileNotFoundError(f"predictions: {short_path(predictions)} holds none; 05_predict makes them")


def refuse_impossible_resolutions(params: Parameters) -> None:
    """ValueError where the network cannot predict so often; loaded only for numbers that are unusual."""
    asked = getattr(params, "predictions_per_epoch", [])
    # What divides 128 divides an epoch at 64, 128 and 256 Hz.
    unusual = [r for r in (asked if isinstance(asked, list) else [asked]) if 128 % r]
    if unusual and hasattr(params, "checkpoint"):
        from anysleep.models import load_checkpoint  # slow to import

        model = load_checkpoint(params.checkpoint)
        for r in unusual:
            model.samples_per_prediction(r)


def missing_file(role: str, path: Path) -> str:
    """What to say of an input that is not there."""
    if path.is_dir():
        all_nights = f"; many nights: anysleep run 05_predict archive= recordings={shlex.quote(short_path(path))}"
        return f"{role}: {short_path(path)} is a folder; name one file of it{all_nights * (role == 'recording')}"
    folder = short_path(path.parent)
    released = f"get it by anysleep fetch {shlex.join([path.stem, folder])}, or try checkpoint=bundled"
    trained = "03_train makes it; or take a released one (anysleep fetch, see README.md), or checkpoint=bundled"
    hints = {
        "archive": "01_prepare makes it",
        "checkpoint": released if RELEASED_NAME.fullmatch(path.stem) else trained,
        "split": "03_train makes it",
    }
    hint = next((hint for name, hint in hints.items() if name in role), "is the name right?")
    if "checkpoint" in role and get_close_matches(path.name, ["bundled"]):
        hint = "did you mean `bundled`?"
    return f"{role}: no file {short_path(path)}; {hint}"


def _is_yaml_file(word: str) -> bool:
    """No name of a parameter has a slash, so a path that has one is a file, also where there is none."""
    return word.endswith((".yaml", ".yml")) and ("/" in word.partition("=")[0] or project_path(word).is_file())


def _type_of(name: str, cls: type[Strict]) -> object:
    """The type of a parameter, or of a member of a group as in `loss.gradient_clip`; None where there is no such."""
    group, _, member = name.partition(".")
    field = cls.model_fields.get(group)
    if field is None or not member:
        return field and field.annotation
    is_group = isinstance(field.annotation, type) and issubclass(field.annotation, Strict)
    return _type_of(member, field.annotation) if is_group else None


def _value(name: str, text: str, kind: object) -> object:
    if _is_text(kind):
        return text
    is_listed = text.startswith("[") and text.endswith("]") and not project_path(text).exists()
    if get_origin(kind) is list and _may_be_text(get_args(kind)[0]) and not is_listed:
        return [text] if text else []
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2024-13-01
        raise ParameterError(
            f"{name} is {text[:80]}, which cannot be read as YAML; is a quote or bracket open?"
        ) from None


def _may_be_text(kind: object) -> bool:
    """Whether a type is one of texts, or has one among its options."""
    if get_origin(kind) is Annotated:
        return _may_be_text(get_args(kind)[0])
    return any(map(_is_text, get_args(kind) if get_origin(kind) in (Union, UnionType) else [kind]))


def _is_text(kind: object) -> bool:
    """Whether a type has texts and paths only: str, Path, Path | None, Literal["32", "bf16"]."""
    if get_origin(kind) is Annotated:
        return _is_text(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return all(isinstance(choice, str) for choice in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return all(option is NoneType or _is_text(option) for option in get_args(kind))
    return kind in (str, Path)

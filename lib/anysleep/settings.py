"""Strict settings: frozen, checked before any work starts, from YAML files and what is laid over them."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.fields import FieldInfo

from anysleep.stages import EPOCH_S, FASTEST_RATE_HZ
from anysleep.system.files import project_path, short_path
from anysleep.system.limits import read_yaml
from anysleep.system.words import did_you_mean


def _to_path(value: object) -> object:
    if value == "":
        return None
    return project_path(value) if isinstance(value, str) else value


ProjectPath = Annotated[Path, BeforeValidator(_to_path), PlainSerializer(short_path)]
"""A path; a relative one counts from the workbook's root."""

OptionalPath = Annotated[Path | None, BeforeValidator(_to_path), PlainSerializer(lambda p: p and short_path(p))]
"""As `ProjectPath`; an empty text means none."""

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto means CUDA, else MPS, else CPU.")
]
Precision = Annotated[
    Literal["32", "bf16"], Field(description="float32, or bfloat16 where docs/benchmarks.md says that it is faster.")
]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0, le=1000)]
"""Of channels, or of columns: no amplifier has more."""
Positive = Annotated[int, Field(ge=1, le=1000)]
Resolution = Annotated[int, Field(ge=1, le=EPOCH_S * FASTEST_RATE_HZ)]
"""Predictions in 30 s, at most one a sample."""
Processes = Annotated[int, Field(le=1024)]
"""Or devices; more start on no machine."""
Times = Annotated[int, Field(le=1_000_000)]
"""How often chance is asked: after a million, what is left of it is a thousandth of the spread."""
Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]
"""Into a recording, which lasts a week at most."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What numpy, torch and scikit-learn all take."""
GroupBy = Annotated[
    Literal["subject", "recording"],
    Field(description="What is one: a person, or, where persons are unknown, every night."),
]
Recipes = Annotated[
    list[ProjectPath],
    Field(description="Recipes that tell the persons of an archive that does not, as published ones."),
]
ArchivePath = Annotated[ProjectPath, Field(description="The archive of 01_prepare.")]
Architecture = Literal["usleep", "anysleep", "anysleep_early_fusion", "anysleep_late_fusion"]
ExportFormat = Literal[
    "csv", "edf", "bids", "yasa", "edfbrowser_xml", "edfbrowser_text", "luna_annot", "luna_eannot", "polyman", "nsrr",
    "parquet",
]  # fmt: skip


def _lower(names: object) -> object:
    if not isinstance(names, list):
        return names
    names = [name.lower() if isinstance(name, str) else name for name in names]
    for name in set(map(str, names)) - set(get_args(ExportFormat)):
        raise ValueError(f"{name!r} is no format; {did_you_mean(name, get_args(ExportFormat))}")
    return names


Exports = Annotated[list[ExportFormat], BeforeValidator(_lower)]
"""Formats, in capitals or not."""


def _check_shard(value: str) -> str:
    part, _, whole = value.partition("/")
    if value and not (part.isdecimal() and whole.isdecimal() and 1 <= int(part) <= int(whole)):
        raise ValueError(f"{value!r} is no part of the work; the third of sixteen is '3/16', and all of it is empty")
    return value


Shard = Annotated[
    str,
    AfterValidator(_check_shard),
    Field(description="Part of the work to do into the shared store, such as 3/16; empty for all."),
]


BOUNDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}


class ParameterError(ValueError):
    """A parameter is unknown, missing or has a value that is not allowed."""


class Strict(BaseModel):
    """Settings in which unknown names, missing names and near types (`"5"` for 5) are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: object):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ParameterError(_explain(error, type(self))) from None
        except TypeError as error:
            if "keywords must be strings" not in str(error):
                raise
            raise ParameterError(f"a name in a group of parameters is no text: {error}") from None


def merge_parameters(
    files: Sequence[str | Path], overrides: Mapping[str, object], defaults: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The YAML files merged, a later one over an earlier one, then the overrides. Not yet checked.

    A later file replaces a group such as `loss` as a whole, as papermill does; an override may name a member:
    `loss.gradient_clip`. What the files do not say of that group is taken from `defaults`.
    """
    merged: dict[str, object] = {}
    for path in files:
        merged |= _read_yaml(path)
    for name, value in overrides.items():
        group, _, member = name.partition(".")
        members = merged.get(group, (defaults or {}).get(group))
        merged |= {group: members | {member: value}} if isinstance(members, dict) and member else {name: value}
    return merged


def comment_of(field: FieldInfo) -> str:
    """The description with, in brackets, the choices or bounds: `Epochs in the close-up [from 1 to 10]`."""
    if get_origin(field.annotation) is Literal:
        allowed = ", ".join(get_args(field.annotation))
    else:
        bounds = [(bound, name) for name in BOUNDS for bound in field.metadata if hasattr(bound, name)]
        allowed = " ".join(BOUNDS[name].format(f"{getattr(bound, name):_}") for bound, name in bounds)
    return field.description.removesuffix(".") + (f" [{allowed}]" if allowed else "")


def _read_yaml(path: str | Path) -> dict[str, object]:
    """The lines of a parameter file. ParameterError where it cannot be read as such."""
    if not project_path(path).is_file():
        raise ParameterError(
            f"there is no parameter file {str(path)!r}; words are YAML files or name=value, and a path or text with "
            "blanks needs quotes: 'recording=/my nights/1.edf'"
        )
    try:
        content = read_yaml(project_path(path)) or {}
    except UnicodeDecodeError:
        raise ParameterError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-01
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise ParameterError(f"{path}{where} cannot be read as YAML: {problem}; put texts into quotes") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ParameterError(f"{path}: expected lines of `name: value`")
    return content


def _explain(error: ValidationError, cls: type[Strict]) -> str:
    """One line a problem: the value, what is allowed, and the likely fix."""
    lines = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown parameter {name!r}; {did_you_mean(name, cls.model_fields)}")
        elif problem["type"] == "missing":
            lines.append(f"parameter {name!r} is missing: {cls.model_fields[name].description}")
        elif problem["type"] == "too_short":
            lines.append(f"{name} is empty; name at least one")
        elif problem["type"] == "value_error":  # from a part of a recipe, which names itself
            lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": "))
        else:
            hints = dict.fromkeys(("string_type", "path_type"), "; put it in quotes")
            if isinstance(problem["input"], str):
                hints["float_type"] = "; YAML takes 1e-3 for text, write 1.0e-3"
            hint = hints.get(problem["type"], "")
            lines.append(
                f"{name} is {textwrap.shorten(repr(problem['input']), 80, placeholder='...')}: {problem['msg']}{hint}"
            )
    return "; ".join(lines)

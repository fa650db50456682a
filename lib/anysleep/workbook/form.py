"""The parameters of a notebook as a form, drawn from their fields; it writes the YAML of the run without a browser."""

import html
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args, get_origin

import ipywidgets
import yaml
from pydantic.fields import FieldInfo

from anysleep.settings import Strict, comment_of
from anysleep.system.files import atomic_write, project_path, short_path
from anysleep.workbook.arguments import checked_parameters, read_words
from anysleep.workbook.parameters import Parameters, notebook_defaults


class Form(ipywidgets.VBox):
    """A control for each parameter, with what the notebook says to begin with, and a button that writes the YAML."""

    def __init__(self, parameters: type[Parameters]):
        self.parameters = parameters
        defaults = notebook_defaults(project_path("notebooks") / f"{parameters.notebook}.ipynb")
        self.controls = dict(_controls(parameters, defaults))
        self.file = ipywidgets.Text(f"params/mine/{parameters.notebook}.form.yaml", description="File")
        self.write = ipywidgets.Button(description="Write the YAML", button_style="primary")
        self.says = ipywidgets.HTML()
        self.write.on_click(lambda _: self._write())
        super().__init__([*map(_row, self.controls.items()), ipywidgets.HBox([self.file, self.write]), self.says])

    @property
    def values(self) -> dict[str, object]:
        """What stands in the form, by name, of a group as `loss.gradient_clip`. ParameterError where it is no YAML."""
        return {name: _value(name, control, self.parameters) for name, control in self.controls.items()}

    def checked(self) -> Parameters:
        """The parameters. ParameterError says which value is not allowed."""
        return checked_parameters(self.parameters.notebook, [], self.values)[0]

    def write_yaml(self, path: str | Path) -> Path:
        """Write them for `anysleep run`; nothing is written where one is not allowed (ParameterError)."""
        content, path = self.checked().plain(), project_path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    def _write(self) -> None:
        try:
            path = shlex.quote(short_path(self.write_yaml(self.file.value)))
            self.says.value = f"<code>.venv/bin/anysleep run {self.parameters.notebook} {html.escape(path)}</code>"
        except (OSError, ValueError) as error:
            self.says.value = html.escape(str(error))


def show_form(parameters: type[Parameters]) -> Form:
    """The form of a notebook: `show_form(StageOneNight)`."""
    return Form(parameters)


def _controls(cls: type[Strict], values: Mapping[str, object], group: str = "") -> Iterator[tuple[str, object]]:
    for name, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Strict):
            yield from _controls(field.annotation, values[name], f"{name}.")
        else:
            yield group + name, _control(field, values[name])


def _control(field: FieldInfo, value: object) -> ipywidgets.Widget:
    """What fits the type; a text takes what the command line takes."""
    kind = field.annotation
    about = {"tooltip": comment_of(field)}
    if kind is bool:
        return ipywidgets.Checkbox(value, indent=False, **about)
    if get_origin(kind) is Literal:
        return ipywidgets.Dropdown(options=get_args(kind), value=value, **about)
    if get_origin(kind) is list and get_origin(get_args(kind)[0]) is Literal:
        return ipywidgets.SelectMultiple(options=get_args(get_args(kind)[0]), value=value, **about)
    if kind in (int, float):
        number = ipywidgets.IntText if kind is int else ipywidgets.FloatText
        return number(value, **about)
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
    return ipywidgets.Text(text, **about)


def _value(name: str, control: ipywidgets.Widget, cls: type[Parameters]) -> object:
    if isinstance(control, ipywidgets.Text):
        return read_words([f"{name}={control.value}"], cls)[1][name]
    return list(control.value) if isinstance(control, ipywidgets.SelectMultiple) else control.value


def _row(named: tuple[str, ipywidgets.Widget]) -> ipywidgets.HBox:
    name, control = named
    control.layout.width = "22em"
    label = ipywidgets.HTML(f"<code>{name}</code>", layout=ipywidgets.Layout(width="14em"))
    return ipywidgets.HBox([label, control, ipywidgets.HTML(html.escape(control.tooltip))])

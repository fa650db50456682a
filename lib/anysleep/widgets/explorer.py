"""Controls to look at the nights of an archive, and at a figure of a notebook."""

import io
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache, partial
from html import escape

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from anysleep.datasets.archive import Archive
from anysleep.figures.looks import in_words
from anysleep.figures.night import Spectrogram, night_spectrogram, plot_overview
from anysleep.recordings.lights import find_lights
from anysleep.stages import EPOCH_S

N_SPECTROGRAMS = 32
"""Spectrograms kept in memory, each about a megabyte."""


def explore(archive: Archive, n_epochs: int = 1) -> "Explorer":
    """Controls to look at any night of an archive, with `n_epochs` at a time close up."""
    return Explorer(archive, n_epochs)


class Chooser(ipywidgets.VBox):
    """A control for each of `choices`, keywords of `draw`, and the picture that `draw` makes of what is chosen.

    A range of whole numbers and other numbers become sliders, texts a list; each begins with what `draw` has.
    """

    def __init__(self, draw: partial, **choices: Sequence):
        self._draw = draw
        self.controls = {name: _control(name, values, draw.keywords[name]) for name, values in choices.items()}
        self.picture = ipywidgets.HTML()
        super().__init__([*self.controls.values(), self.picture])
        for control in self.controls.values():
            control.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, _: object = None) -> None:
        chosen = {name: control.value for name, control in self.controls.items()}
        _show(self.picture, self._draw(**chosen).figure)


def _control(name: str, values: Sequence, value: object) -> ipywidgets.Widget:
    look = {"style": {"description_width": "11em"}, "layout": ipywidgets.Layout(width="40em", max_width="98%")}
    title = (name.removesuffix("_s") + " (s)" * name.endswith("_s")).replace("_", " ").replace("iou", "IoU")
    look |= {"description": title, "value": value}
    if isinstance(values, range):
        return ipywidgets.IntSlider(min=values[0], max=values[-1], step=values.step, continuous_update=False, **look)
    if isinstance(values[0], str):
        return ipywidgets.Dropdown(options=values, **look)
    return ipywidgets.SelectionSlider(options=values, continuous_update=False, **look)


def next_stage_change(hypnogram: np.ndarray, epoch: int) -> int:
    """The first epoch after `epoch`, both from 0, with another stage than the one before it; `epoch` where none is."""
    changes = np.flatnonzero(np.diff(hypnogram)) + 1
    later = changes[changes > epoch]
    return int(later[0]) if later.size else epoch


class Explorer(ipywidgets.VBox):
    """Pick data set, recording, channels and epoch (from 1); the picture is that of `plot_overview`.

    The spectrogram is that of the first channel picked; where none is picked, all are shown. A control that is changed
    in Python redraws at once, and `figure` is what was drawn last. The file is opened anew, because a notebook closes
    its own archive at its end and the controls stay.
    """

    figure: Figure

    def __init__(self, archive: Archive, n_epochs: int = 1):
        super().__init__()
        self._archive = Archive(archive.path)
        self._nights = self._archive.recordings()
        self._n_epochs = n_epochs
        self._spectrogram = lru_cache(N_SPECTROGRAMS)(self._compute_spectrogram)
        self._make_controls()
        self._list_recordings()

    def _make_controls(self) -> None:
        self.dataset = ipywidgets.Dropdown(description="Data set", options=list(self._nights.dataset.unique()))
        self.recording = ipywidgets.Dropdown(description="Recording")
        self.channels = ipywidgets.SelectMultiple(description="Channels", rows=6)
        wide = ipywidgets.Layout(width="98%")
        self.epoch = ipywidgets.IntSlider(description="Epoch", min=1, max=1, continuous_update=False, layout=wide)
        self.previous = _button("Previous epoch", "arrow-left")
        self.next = _button("Next epoch", "arrow-right")
        self.next_change = _button("Next stage change", "step-forward")
        self.picture = ipywidgets.HTML()
        self._connect()
        picks = ipywidgets.HBox([ipywidgets.VBox([self.dataset, self.recording]), self.channels])
        buttons = ipywidgets.HBox([self.previous, self.next, self.next_change])
        self.children = [picks, self.epoch, buttons, self.picture]

    def _connect(self) -> None:
        self.dataset.observe(self._list_recordings, "value")
        self.recording.observe(self._open_night, "value")
        self.channels.observe(self._draw, "value")
        self.epoch.observe(self._draw, "value")
        self.previous.on_click(lambda _: self._move_to(self.epoch.value - 1))
        self.next.on_click(lambda _: self._move_to(self.epoch.value + 1))
        self.next_change.on_click(lambda _: self._move_to(1 + next_stage_change(self._hypnogram, self.epoch.value - 1)))

    def _list_recordings(self, _: object = None) -> None:
        """Offer the recordings of the data set; the first is opened, because its value is new."""
        dataset = self.dataset.value
        names = self._nights.recording[self._nights.dataset == dataset]
        # Values hold the data set: two data sets may have recordings of the same name.
        self.recording.options = [(name, (dataset, name)) for name in names]
        self.recording.index = 0  # the first list of all selects nothing by itself

    def _open_night(self, _: object = None) -> None:
        """Offer the channels and epochs of the recording; keep what was picked where the recording has it."""
        eeg, eog = self._archive.channels_of(*self.recording.value)
        self._hypnogram = self._archive.hypnogram(*self.recording.value)
        self._gaps_s = self._archive.gaps(*self.recording.value)
        n_epochs = self._nights.set_index(["dataset", "recording"]).n_epochs[self.recording.value]
        self._lights_s = find_lights(n_epochs * EPOCH_S, **self._archive.lights(*self.recording.value)).noted_s
        kept = [name for name in self.channels.value if name in (*eeg, *eog)]
        self._opening = True  # controls change one by one, and the picture once
        self.channels.options = [*eeg, *eog]
        self.channels.value = kept or self.channels.options
        self.epoch.max = int(n_epochs)
        self.next_change.disabled = self._hypnogram is None
        self._opening = False
        self._draw()

    def _move_to(self, epoch: int) -> None:
        self.epoch.value = min(max(epoch, 1), self.epoch.max)

    def _draw(self, _: object = None) -> None:
        """Read the window, and show it below the whole night."""
        if self._opening:
            return
        dataset, recording = night = self.recording.value
        channels, epoch = self.channels.value or self.channels.options, self.epoch.value - 1
        self.figure = plot_overview(
            self._archive.signals(*night, channels, epoch, self._n_epochs),
            self._archive.sampling_rate_hz,
            channels,
            self._spectrogram(*night, channels[0]),
            self._hypnogram,
            start_s=epoch * EPOCH_S,
            gaps_s=self._gaps_s,
            title=f"{recording} ({dataset} data)",
            iqr_uv=self._archive.iqr_uv(*night, channels),
            lights_s=self._lights_s,
        )
        _show(self.picture, self.figure)

    def _compute_spectrogram(self, dataset: str, recording: str, channel: str) -> Spectrogram:
        signal = self._archive.signals(dataset, recording, [channel])[0]
        return night_spectrogram(signal, self._archive.sampling_rate_hz)


def _button(description: str, icon: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=description, icon=icon, layout=ipywidgets.Layout(width="auto"))


def _show(picture: ipywidgets.HTML, figure: Figure) -> None:
    """Draw once, in the widget alone, with its text alternative: `savefig` draws a second time to measure."""
    plt.close(figure)  # else the notebook shows it as well
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, pil_kwargs={"compress_level": 1})  # speed before size
    source = f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"
    # Not ipywidgets.Image, which has no text alternative, and which JupyterLab does not show where it has a tooltip.
    picture.value = f'<img alt="{escape(in_words("", figure))}" src="{source}" style="max-width: 100%">'

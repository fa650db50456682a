"""The night browser: all channels of a night, from ten seconds to the whole of it, review by hand, practice."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets

from anysleep.evaluation.metrics import confusion_matrix, metrics_of_confusion
from anysleep.exports import Review, ScoredNight
from anysleep.exports.corrections import jump_targets
from anysleep.figures import night_spectrogram
from anysleep.recordings.channels import parse_channels
from anysleep.recordings.recording import Recording
from anysleep.recordings.traces import Trace
from anysleep.stages import EPOCH_S, STAGE_COLOURS, STAGES, UNSCORED

HERE = Path(__file__).parent
PAGE_S = 30.0
N_COLUMNS = 1200
"""A page is sent as so many columns, or up to twice as many: what a screen shows."""
FINEST = 128
"""Predictions an epoch; finer hypnodensities show nothing more, and a night of them is large."""


class NightBrowser(anywidget.AnyWidget):
    """A night in front of a person: signals in microvolts, scorers, hypnodensity, arousals, quality, gaps, lights.

    Pages are made when they are looked at: `at_s` is the second that is looked at, `page_s` the length of the page.
    With `corrections` a person can change stages and arousals, on disk at once; `corrected` is what comes of it.
    """

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("night_picture.js", "night_browser.js"))
    _css = HERE / "night_browser.css"

    about = traitlets.Dict().tag(sync=True)
    """What does not change: channels, length, start, gaps, lights, names of lanes."""
    at_s = traitlets.Float(0.0).tag(sync=True)
    page_s = traitlets.Float(PAGE_S).tag(sync=True)
    filtered = traitlets.Bool(True).tag(sync=True)
    resolution = traitlets.Int(0).tag(sync=True)
    reviewer = traitlets.Unicode("reviewer").tag(sync=True)
    first_page = traitlets.Tuple().tag(sync=True)
    """Header and samples of the page at 0 s, which is there before a busy kernel answers."""
    stages = traitlets.Bytes().tag(sync=True)
    """int8 (lanes, E)."""
    arousals = traitlets.List().tag(sync=True)
    """Of every lane, pairs of onset and end."""
    hypnodensity = traitlets.Bytes().tag(sync=True)
    """float32 (P, 5) at `resolution` predictions an epoch."""
    spectrogram = traitlets.Dict().tag(sync=True)
    targets = traitlets.Dict().tag(sync=True)
    n_reviewed = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        night: Recording,
        scored: Sequence[ScoredNight] = (),
        quality: pd.DataFrame | None = None,
        corrections: Path | None = None,
        reviewer: str = "reviewer",
    ):
        """Show a night with its channels and, where the file has them, an expert's stages, arousals and lights.

        `scored` is what a network says: at 30 s first, then finer nights for their hypnodensity and arousals. `quality`
        is the table of `examine`, for flags beside the channels. Changes are written to `corrections`; without it, or
        without `scored`, nothing can be changed. `reviewer` stands in the corrections, and can be changed in the
        browser.
        """
        kinds = parse_channels(night.channels, night.types)
        self._traces = [
            Trace(signal, rate_hz, kind.type)
            for signal, rate_hz, kind in zip(night.signals, night.rates_hz, kinds, strict=True)
        ]
        self._night, self._duration_s = night, night.n_epochs * EPOCH_S
        self._scored = {one.predictions_per_epoch: one for one in scored if one.predictions_per_epoch <= FINEST}
        self._lanes = self._fixed_lanes(scored)
        self.review = None
        if scored and corrections:
            finest = max(scored, key=lambda one: one.predictions_per_epoch)
            self.review = Review(replace(scored[0], arousals_s=finest.arousals_s), corrections, reviewer)
        super().__init__(about=self._about(quality), first_page=self.page(0, PAGE_S, True), reviewer=reviewer)
        self._show_scores()
        self.resolution = max((r for r, one in self._scored.items() if one.hypnodensity is not None), default=0)
        self.on_msg(self._answer)
        Thread(target=self._prepare, daemon=True).start()

    @property
    def corrected(self) -> ScoredNight:
        """The night as it is now, with what everyone has changed. ValueError where nothing can be changed."""
        if self.review is None:
            raise ValueError("this browser changes nothing; give NightBrowser `scored` and `corrections`")
        self.review.refresh()
        return self.review.night

    def page(self, start_s: float, page_s: float, filtered: bool) -> tuple[dict[str, object], bytes]:
        """A header, and the bins of all channels one after the other, float32 pairs of smallest and largest value."""
        windows = [trace.window(start_s, start_s + page_s, N_COLUMNS, filtered=filtered) for trace in self._traces]
        channels = [
            {"bin_s": size / trace.rate_hz, "from_s": first / trace.rate_hz, "n": len(bins)}
            for trace, (size, first, bins) in zip(self._traces, windows, strict=True)
        ]
        header = {"start_s": start_s, "page_s": page_s, "filtered": filtered, "channels": channels}
        return header, np.concatenate([bins.ravel() for _, _, bins in windows]).astype("<f4").tobytes()

    def _fixed_lanes(self, scored: Sequence[ScoredNight]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Scorer -> stages (E,) and arousals (n, 2) of who changes nothing any more."""
        lanes = {}
        if self._night.hypnogram is not None:
            lanes["expert"] = (self._night.hypnogram, self._night.arousals)
        if scored and (scored[0].stages != UNSCORED).any():  # who scores an empty night sees nobody else's stages
            finest = max(scored, key=lambda one: one.predictions_per_epoch)
            lanes["network"] = (scored[0].stages, finest.arousals_s)
        return lanes

    @property
    def _own_lane(self) -> str:
        """Of who reviews, or scores a night that shows no network's stages."""
        return "corrected" if "network" in self._lanes else "yours"

    def _about(self, quality: pd.DataFrame | None) -> dict[str, object]:
        night = self._night
        flags = {} if quality is None else quality.set_index("channel")[["verdict", "reason"]].to_dict("index")
        channels = [
            {"name": name, "unit": "µV" if unit == "uV" else unit, "scale": _scale(unit, trace), **flags.get(name, {})}
            for name, unit, trace in zip(night.channels, night.units, self._traces, strict=True)
        ]
        start = night.start_time
        return {
            "channels": channels,
            "duration_s": self._duration_s,
            "clock_s": None if start is None else start.hour * 3600 + start.minute * 60 + start.second,
            "gaps_s": night.gaps_s.tolist(),
            "lights_s": list(self._lights_s()),
            "lanes": [*self._lanes, *([self._own_lane] if self.review else [])],
            "reviews": self.review is not None,
            "stages": list(STAGES),
            "colours": list(STAGE_COLOURS),
            "resolutions": [r for r, one in self._scored.items() if one.hypnodensity is not None],
        }

    def _lights_s(self) -> tuple[float | None, float | None]:
        """Those that the network's night was counted with, which a parameter may have told, or else the file's."""
        first = next(iter(self._scored.values()), None)
        return self._night.lights_s if first is None else (first.lights_off_s, first.lights_on_s)

    def _show_scores(self) -> None:
        """Send lanes and what can be jumped to, as they are now."""
        lanes = dict(self._lanes)
        if self.review:
            lanes[self._own_lane] = (self.review.night.stages, self.review.night.arousals_s)
        hypnograms = {name: stages for name, (stages, _) in lanes.items()}
        arousals = [np.reshape(spans, (-1, 2)) for _, spans in lanes.values()]
        with self.hold_sync():
            self.stages = b"".join(stages.astype(np.int8).tobytes() for stages in hypnograms.values())
            self.arousals = [spans.tolist() for spans in arousals]
            if hypnograms:
                at_30_s = self._scored[1].hypnodensity if self._scored else None
                reviewed = self.review.reviewed if self.review else set()
                self.n_reviewed = len(reviewed)
                self.targets = jump_targets(hypnograms, at_30_s, arousals, reviewed)

    @traitlets.observe("resolution")
    def _send_hypnodensity(self, change: dict[str, int]) -> None:
        if change["new"]:
            self.hypnodensity = self._scored[change["new"]].hypnodensity.astype("<f4").tobytes()

    @traitlets.observe("reviewer")
    def _name_reviewer(self, change: dict[str, str]) -> None:
        if self.review:
            self.review.scorer = change["new"]

    def _prepare(self) -> None:
        """While the first page is looked at: what the whole night needs."""
        hz, decibels = night_spectrogram(self._traces[0].signal, self._traces[0].rate_hz)
        known = decibels[np.isfinite(decibels)]
        ends = np.percentile(known, [5, 99]).tolist() if known.size else [0, 1]
        image = {"n_hz": len(hz), "top_hz": float(hz[-1]), "ends": ends, "channel": self._night.channels[0]}
        self.spectrogram = image | {"decibels": decibels.astype("<f4").tobytes()}
        for trace in self._traces:
            trace.filtered_pyramid  # noqa: B018

    def _answer(self, _: object, message: dict, __: list) -> None:
        """Do what the browser asks for; what cannot be done is said in its status line."""
        kind = message.pop("type")
        try:
            if kind == "page":
                header, content = self.page(**message)
                self.send({"type": "page", **header}, buffers=[content])
            elif kind == "refresh":
                if self.review.refresh():
                    self._show_scores()
            else:
                changed = self._changes()[kind](**message)
                self._show_scores()
                self.send({"type": "done", "at_s": (changed[0].epoch - 1) * EPOCH_S if changed else None})
        except (ValueError, OSError) as error:
            self.send({"type": "refused", "reason": str(error)})

    def _changes(self) -> dict[str, Callable]:
        if self.review is None:
            raise ValueError("nothing can be changed here: there is no prediction, or no file for corrections")
        review = self.review
        return {
            "stage": review.set_stage,
            "mark_arousal": review.mark_arousal,
            "remove_arousals": review.remove_arousals,
            "undo": review.undo,
            "redo": review.redo,
        }


def _scale(unit: str, trace: Trace) -> float:
    """What makes a channel of an unknown unit as tall as an EEG; 1 for microvolts."""
    if unit == "uV":
        return 1.0
    low, high = np.nanpercentile(trace.signal[:: max(len(trace.signal) // 10_000, 1)], [25, 75])
    return float(25 / (high - low)) if high > low else 1.0


class Practice(ipywidgets.VBox):
    """A night without anybody's stages in the night browser, and how far who scores it agrees with the expert."""

    def __init__(self, night: Recording, corrections: Path):
        """ValueError where the night has no expert's stages; `corrections` keeps what was scored, as in a review."""
        if night.hypnogram is None:
            raise ValueError("nobody has scored this night, so there is nothing to compare with")
        self._expert = night.hypnogram
        empty = ScoredNight(np.full(night.n_epochs, UNSCORED, dtype=np.int8))
        self.browser = NightBrowser(replace(night, hypnogram=None), [empty], corrections=corrections)
        self.agreement = ipywidgets.HTML()
        super().__init__([self.browser, self.agreement])
        self.browser.observe(self._show_agreement, "stages")
        self._show_agreement()

    def _show_agreement(self, _: object = None) -> None:
        confusion = confusion_matrix(self._expert, self.browser.corrected.stages)
        said = agreement_line(confusion)
        table = pd.DataFrame(confusion, index=[f"expert {stage}" for stage in STAGES], columns=list(STAGES))
        self.agreement.value = said + (table.to_html() if confusion.any() else "")


def agreement_line(confusion: np.ndarray) -> str:
    """How far two scorers agree, from their confusion matrix (5, 5)."""
    scores, n = metrics_of_confusion(confusion), int(confusion.sum())
    if not n:
        return "You have scored no epoch that the expert has scored, too."
    kappa = "no kappa yet" if np.isnan(scores.kappa) else f"kappa {scores.kappa:.2f}"
    return f"{n} epochs scored: {scores.accuracy:.0%} as the expert, {kappa}."

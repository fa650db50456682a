"""What the page shows of a night, made by the functions that stage_one_night calls one after the other."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from anysleep import analysis
from anysleep.analysis.verdict import judge_night
from anysleep.evaluation.evaluate import check_synthetic_training
from anysleep.exports import ScoredNight, export_night, without_date
from anysleep.exports.corrections import Change, corrected_night
from anysleep.figures.report import NightReport, write_report
from anysleep.models import SleepNetwork
from anysleep.models.checkpoints import saw_only_synthetic, synthetic_notice
from anysleep.recordings.channels import check_eeg_before_eog
from anysleep.recordings.lights import Pair, find_lights
from anysleep.recordings.recording import Recording
from anysleep.settings import ExportFormat
from anysleep.staging.nights import without_gaps
from anysleep.staging.sources import pick_channels, preprocessed_night, result_name
from anysleep.staging.stage import Staging


@dataclass(frozen=True)
class StagedNight:
    """A staged night and its files, which are made when they are asked for."""

    name: str
    """What files are called after: nobody's name, unless the recording is synthetic."""
    night: Recording
    """With the channels that were staged."""
    scored: dict[int, ScoredNight]
    """At 30 s and, where that is another one, at the resolution asked for."""
    statistics: pd.DataFrame
    """Of `statistics_report`."""
    quality: pd.DataFrame
    """The montage doctor's table of the channels."""
    report: NightReport

    def corrected(self, changes: Sequence[Change]) -> "StagedNight":
        """The night as persons have corrected it, and the statistics of that; the hypnodensity stays the network's."""
        if not changes:
            return self
        now = corrected_night(self.scored[1], changes)
        changed = now.stages != self.scored[1].stages  # within other epochs, finer stages stay
        scored = {
            r: replace(
                night,
                stages=np.where(np.repeat(changed, r), np.repeat(now.stages, r), night.stages),
                arousals_s=now.arousals_s,
                hypnodensity=None,
                scorer=now.scorer,
            )
            for r, night in self.scored.items()
        }
        statistics = _statistics(scored)
        about = {**self.report.about, "Stages": now.scorer}
        report = replace(self.report, about=about, hypnogram=now.stages, statistics=statistics)
        return replace(self, scored=scored, statistics=statistics, report=report)

    def exported(self, predictions_per_epoch: int, export: ExportFormat) -> dict[str, bytes]:
        """The files of one format; none where it has none at this resolution."""
        finer = "" if predictions_per_epoch == 1 else f"_{predictions_per_epoch}"
        night = self.scored[predictions_per_epoch]
        return _written(lambda folder: export_night(folder, night, f"hypnogram_{self.name}{finer}", [export]))

    def printed(self, suffix: str) -> dict[str, bytes]:
        """The report as `.pdf` or `.html`."""

        def write(folder: Path) -> None:
            write_report(self.report, folder / f"report_{self.name}.pdf", folder / f"report_{self.name}.html", "A4")

        return {name: content for name, content in _written(write).items() if name.endswith(suffix)}

    def table(self) -> dict[str, bytes]:
        """The statistics as CSV."""
        return _written(
            lambda temporary: self.statistics.to_csv(temporary / f"statistics_{self.name}.csv", index=False)
        )


def stage_night(
    recording: Recording,
    channels: Sequence[str],
    model: SleepNetwork,
    predictions_per_epoch: int = 1,
    tell: Callable[[str], None] = lambda step: None,
    *,
    lights: Pair = (None, None),
    age: int = 0,
) -> StagedNight:
    """Stage a recording that has been read; `tell` hears what is done next. Errors as of stage_one_night.

    `lights` off and on are used where the recording does not say them, `age` in years for published values; 0 for none.
    """
    tell("preparing the channels")
    night = pick_channels(recording, channels)
    check_synthetic_training(model, all_synthetic=night.synthetic)
    if model.name == "usleep":
        check_eeg_before_eog(night.channels)
    name = result_name(*recording.files, keep=recording.synthetic)
    found = find_lights(recording.duration_s, recording.clock_time, annotations=recording.lights_s, parameter=lights)
    prepared = preprocessed_night(night, model.sampling_rate_hz, "files", name)
    tell("the network reads the night")
    staging = prepared.stage(model, resolutions=sorted({1, predictions_per_epoch}))[night.channels]
    tell("statistics and report")
    finest = without_gaps(staging.hypnogram(predictions_per_epoch), night.gaps_s, predictions_per_epoch)
    arousals_s = analysis.detect_arousals(finest, predictions_per_epoch)
    off_s, on_s = found.noted_s
    noted = {"arousals_s": arousals_s, "lights_off_s": off_s, "lights_on_s": on_s, "scorer": model.name}
    scored = {r: _scored(staging, r, night, noted) for r in sorted({1, predictions_per_epoch})}
    statistics = _statistics(scored)
    verdict, reason = judge_night(model, prepared, scored[1].stages, scored[1].hypnodensity)
    about = {
        "Recorded": f"{recording.duration_s / 3600:.2f} h from {recording.clock_time or 'an unknown time'}",
        "Lights": "; ".join(filter(None, (found.line(night.clock_time), found.unused(lights)))),
        "Channels": ", ".join(night.channels),
        "Network": model.name,
        "Verdict": f"{verdict}{reason and ': '}{reason}",
        **({"Warning": synthetic_notice(model)} if saw_only_synthetic(model) else {}),
    }
    quality = prepared.quality
    shown = scored[1].stages, scored[1].hypnodensity, statistics, quality, night.clock_time, (off_s, on_s)
    references = analysis.reference_bands(age, len(scored[1].stages))
    report = NightReport("One night of sleep", about, *shown, references)
    return StagedNight(name, night, scored, statistics, quality, report)


def _scored(staging: Staging, r: int, night: Recording, noted: Mapping[str, object]) -> ScoredNight:
    stages, start_time = without_gaps(staging.hypnogram(r), night.gaps_s, r), without_date(night.start_time)
    return ScoredNight(stages, r, start_time, staging.hypnodensity(r), **noted)


def _statistics(scored: Mapping[int, ScoredNight]) -> pd.DataFrame:
    night = scored[1]
    counted_s = night.arousals_s if max(scored) > 1 else None  # 30 s show none
    lights_s = night.lights_off_s, night.lights_on_s
    return analysis.statistics_report(analysis.night_statistics(night.stages, lights_s, counted_s))


def _written(write: Callable[[Path], object]) -> dict[str, bytes]:
    """What is written into an empty folder: name -> content."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}

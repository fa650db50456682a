"""The nights of an archive or a table that 04, 06 and 07 are about, and what is noted of them in the run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from anysleep.analysis.arousals import tables
from anysleep.analysis.arousals.annotations import ExpertArousals
from anysleep.analysis.arousals.excerpt import excerpt_tables, night_to_show
from anysleep.analysis.scorers import Scorers, count_consensus, read_scorers, scored_nights
from anysleep.analysis.traits.participants import (
    Counts,
    add_participants,
    count_nights,
    read_participants,
    recordings_in,
)
from anysleep.datasets.archive import Archive
from anysleep.datasets.recipes import identify, read_recipe
from anysleep.datasets.splits import Split, read_split, recordings_of, select_part
from anysleep.recordings.labels.consensus import consensus_hypnogram
from anysleep.staging.predictions import Predictions
from anysleep.workbook.notebooks import Arousals, Evaluate, Traits
from anysleep.workbook.run import Run


def arousal_nights(
    run: Run, params: Arousals, archive: Archive, staged: Predictions
) -> tuple[ExpertArousals, pd.DataFrame, pd.DataFrame]:
    """The experts' arousals, the nights to score, and all nights with predictions. Says how many, and what is left out.

    Errors as of `tables.nights_to_score` and `Predictions.of`.
    """
    recordings = identified(params, archive)
    experts = ExpertArousals(archive, params.annotations, recordings, run.input)
    recordings, split = asked_part(run, params, recordings)
    if split is None:
        print("No split is named, so every night is scored: those of the network's training, too, if they are here.")
        print("The released weights were trained on 13 data sets; docs/cohorts.md names them.")
    nights, n_unscored = tables.nights_to_score(experts, staged, recordings, params.datasets)
    print(f"{len(nights)} of {len(recordings)} recordings to score, network {staged.network}")
    print(f"{n_unscored} have no scores because nobody scored their arousals, which is something else than none")
    if nights.synthetic.any():
        n_synthetic = nights.synthetic.sum()
        print(f"{n_synthetic} of them are synthetic: they show how it is done, not how well it works on people")
    return experts, nights, staged.of(recordings_of(recordings, params.datasets))


def arousal_close_up(
    params: Arousals,
    archive: Archive,
    staged: Predictions,
    nights: pd.DataFrame,
    spans: Mapping[str, pd.DataFrame],
    predictions_per_epoch: int,
) -> dict[str, pd.DataFrame]:
    """`excerpt_tables` of the recording that is to be shown, each with columns dataset, recording.

    `spans` are the events of all nights by source. No tables, and a line that says why, where it cannot be shown: the
    scores do not need it.
    """
    where = {"start_s": params.start_s, "length_s": params.close_up_s, "channel": params.channel}
    try:
        night = night_to_show(nights, params.recording)
        key = {"dataset": night.dataset, "recording": night.recording}
        here = {name: rows[(rows[list(key)] == list(key.values())).all(axis=1)] for name, rows in spans.items()}
        shown = excerpt_tables(archive, staged, **key, **where, spans=here, predictions_per_epoch=predictions_per_epoch)
    except (KeyError, ValueError) as error:
        print(f"No close-up: {error.args[0]}")
        return {}
    return {name: table.assign(**key) for name, table in shown.items()}


@dataclass(frozen=True)
class TraitSource:
    """Whose nights 07 learns from: those of predictions, or those of public scorers."""

    recordings: pd.DataFrame
    """Columns dataset, recording, subject and the traits that are known."""
    counts: Counts
    """Triplets of these recordings."""
    scorers: Scorers
    """Empty where there are predictions."""
    predictions: Predictions | None

    @property
    def network(self) -> str:
        """Who staged the nights."""
        return self.predictions.network if self.predictions else "scorers"

    def hypnogram(self, dataset: str, recording: str) -> np.ndarray:
        """int8 (E,), a night at 30 s."""
        if self.predictions:
            return self.predictions.hypnogram(dataset, recording, 1)
        return consensus_hypnogram(self.scorers[dataset, recording])


def trait_source(run: Run, params: Traits) -> TraitSource:
    """Nights and persons, from an archive, a table of participants or both, with the triplets of their nights.

    Says what is left out. ValueError where a table does not name its recordings, nothing is staged, or a resolution is
    missing.
    """
    scorers = read_scorers(params.scorers, run.input) if params.scorers else {}
    recordings, split = asked_part(run, params, _who_slept(run, params, scorers))
    if scorers:
        return TraitSource(recordings, {1: count_consensus(scorers, recordings)}, scorers, None)
    if split is None:
        print("Warning: no split is named; if the network was trained on some of these persons, it knows their sleep.")
    staged = run.open_predictions(params.predictions)
    found = staged.of(recordings)
    print(f"{len(recordings) - len(found)} of {len(recordings)} recordings have no predictions and are left out")
    counts = count_nights(staged, found, params.predictions_per_epoch or staged.resolutions)
    return TraitSource(found, counts, {}, staged)


def _who_slept(run: Run, params: Traits, scorers: Scorers) -> pd.DataFrame:
    """Recordings with what is known of their persons; the table of participants is the truth where it is named."""
    table = None
    if params.participants:
        table = read_participants(run.input("participants", params.participants), params.trait)
    if scorers:
        recordings = scored_nights(scorers)
    elif params.archive:
        recordings = identified(params, run.open_archive(params.archive))
    else:
        recordings = recordings_in(table)
    recordings = recordings_of(recordings, params.datasets)
    return recordings if table is None else add_participants(recordings, table)


def identified(params: Evaluate | Arousals | Traits, archive: Archive) -> pd.DataFrame:
    """The recordings of an archive, with persons as the recipes tell them."""
    return identify(archive.recordings(), [read_recipe(path) for path in params.recipes])


def asked_part(
    run: Run, params: Evaluate | Arousals | Traits, recordings: pd.DataFrame
) -> tuple[pd.DataFrame, Split | None]:
    """The recordings of the part that is asked for, and the split; all of them where none is named."""
    if params.split is None:
        return recordings, None
    split = read_split(run.input("split", params.split))
    return select_part(recordings, split, params.split_part, params.group_by), split

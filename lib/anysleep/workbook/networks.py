"""What 04 is about: networks, the nights that test them, and what is noted of both in the run.

A module of its own: 06 and 07 read predictions, and need not wait two seconds for torch.
"""

from collections.abc import Mapping

import pandas as pd

from anysleep.datasets.archive import Archive
from anysleep.datasets.splits import Split, count_split, recordings_of
from anysleep.evaluation.evaluate import check_synthetic_training, learned_from, name_checkpoints, warn_of_other_split
from anysleep.evaluation.metrics import refuse_unknown
from anysleep.evaluation.score_tables import persons_of
from anysleep.models import SleepNetwork, load_checkpoint
from anysleep.models.checkpoints import saw_only_synthetic
from anysleep.staging.devices import choose_device
from anysleep.staging.montages import with_channel_types
from anysleep.system.words import many
from anysleep.workbook.nights import asked_part, identified
from anysleep.workbook.notebooks import Evaluate
from anysleep.workbook.run import Run


def load_networks(run: Run, params: Evaluate) -> dict[str, list[SleepNetwork]]:
    """The networks to compare, by name; several of one name are averaged. ValueError where one is named twice."""
    paths, device, loaded = [params.checkpoint, *params.more_checkpoints], choose_device(params.device), {}
    names = name_checkpoints(paths, params.ensemble)
    for i, path in enumerate(paths, start=1):
        loaded[path] = load_checkpoint(run.input(f"checkpoint_{i}", path)).to(device)
        run.learned_from[f"checkpoint_{i}"] = learned_from(loaded[path])
    networks = {name: [loaded[path] for path in group] for name, group in names.items()}
    for name, group in networks.items():
        for network in group:
            data = ", ".join(learned_from(network)) or "data that its file does not name"
            print(f"{name}: {network.name}, trained on {data}")
    return networks


def evaluation_nights(
    run: Run, params: Evaluate, archive: Archive, networks: Mapping[str, list[SleepNetwork]]
) -> tuple[pd.DataFrame, pd.DataFrame, Split | None]:
    """All recordings of the archive, those with labels that are to be scored, and the split where one is named.

    Tables as of `with_channel_types`. ValueError where a network of synthetic nights alone is to judge others, or it is
    unknown who slept.
    """
    recordings = with_channel_types(archive, identified(params, archive))
    part, split = asked_part(run, params, recordings)
    part = recordings_of(part, params.datasets)
    run.table("split", count_split(split or {}))
    if split is None:
        print("No split is named, so every labelled night is scored: right only where the network never saw any.")
    nights = part[part.has_hypnogram]
    for network in (network for group in networks.values() for network in group):
        check_synthetic_training(network, nights.synthetic.all(), params.allow_synthetic)
        if nights.synthetic.any() or not saw_only_synthetic(network):  # which knows no real person
            warn_of_other_split(network, split)
    persons = persons_of(nights, params.group_by)
    refuse_unknown(persons)  # before hours of staging
    print(f"{many(len(nights), 'recording')} of {many(persons.nunique(), 'person')} to score")
    print(f"{len(part) - len(nights)} without hypnogram left out")
    return recordings, nights, split

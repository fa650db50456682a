"""What BIDS says of the channels of a recording: `sub-01_channels.tsv` beside `sub-01_eeg.edf`."""

from dataclasses import replace
from pathlib import Path

from anysleep.recordings.channels import channel_type
from anysleep.recordings.reasons import BadRecording
from anysleep.recordings.recording import Recording
from anysleep.recordings.tables import read_table

_SUFFIX = "_eeg"


def channels_table(path: Path) -> Path | None:
    """The table that belongs to a recording; None where there is none."""
    table = path.with_name(path.stem.removesuffix(_SUFFIX) + "_channels.tsv")
    return table if path.stem.endswith(_SUFFIX) and table.is_file() else None


def with_bids_types(night: Recording, path: Path) -> Recording:
    """The night with the types of the table beside it; as it is where there is none.

    Only the table of the recording itself is read, none of the folders above. BadRecording where it is not as BIDS
    says, or names no channel of the recording.
    """
    table_path = channels_table(path)
    if table_path is None:
        return night
    try:
        table = read_table(table_path)
    except ValueError as error:
        raise BadRecording("channels", f"channels.tsv: {str(error).removeprefix(table_path.name)}") from error
    if not {"name", "type"} <= set(table):
        raise BadRecording("channels", f"channels.tsv needs columns name and type; it has {', '.join(table)}")
    said = dict(zip(table.name, table.type.fillna(""), strict=True))
    if not set(said) & set(night.channels):
        raise BadRecording("channels", "channels.tsv names no channel of the recording; does it belong to another one?")
    types = tuple(channel_type(said[name]) if name in said else "" for name in night.channels)
    return replace(night, types=types, files=(*(night.files or (path,)), table_path))

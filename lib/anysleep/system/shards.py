"""A part of the work, so that many machines can share it."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def share_of(items: Sequence[Item], shard: str) -> Sequence[Item]:
    """The items of a shard such as `3/16`: the third, the nineteenth ...; all of them where it is empty."""
    part, _, whole = shard.partition("/")
    return items[int(part) - 1 :: int(whole)] if shard else items

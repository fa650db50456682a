"""Words of messages: things with their number, and what a misspelt name may have been meant for."""

from collections.abc import Iterable
from difflib import get_close_matches


def many(n: int, thing: str) -> str:
    """'1 night', '2 nights'."""
    return f"{n} {thing}{'s' * (n != 1)}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """'did you mean `archive`?', whatever the case, or else all names there are."""
    names = list(names)
    as_meant = {one.lower(): one for one in names}
    near = get_close_matches(name.lower(), as_meant, n=1)
    return f"did you mean {as_meant[near[0]]!r}?" if near else f"there are {', '.join(names)}"

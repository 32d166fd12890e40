"""Ids of streams, made of names that come from elsewhere."""

from __future__ import annotations

import re

LONGEST = 128
_UNFIT = re.compile(r"[^A-Za-z0-9._:~-]")


def fitting(name: str) -> str:
    """Build a stream's id of a name; what an id cannot have becomes an underscore.

    >>> fitting("living room/lamp")
    'living_room_lamp'

    Raises:
        ValueError: nothing is left of it, or more than an id may have.

    """
    found = _UNFIT.sub("_", name)
    if not 0 < len(found) <= LONGEST:
        message = f"{found!r:.160} is no id of a stream: it must have 1 to {LONGEST} characters"
        raise ValueError(message)
    return found

"""Times as devices write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def seconds(value: object) -> float:
    """Read a time, into seconds since 1970: epoch seconds, RFC 3339 with its offset, or a datetime with its zone.

    >>> seconds("2026-11-22T09:00:00Z"), seconds(1.5)
    (1795338000.0, 1.5)
    >>> seconds("9:00")
    Traceback (most recent call last):
    ValueError: must be epoch seconds or RFC 3339 with an offset, such as 2026-11-22T09:00:00Z, not '9:00'
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if moment is not None and moment.tzinfo is not None:
        return moment.timestamp()
    message = f"must be epoch seconds or RFC 3339 with an offset, such as 2026-11-22T09:00:00Z, not {value!r:.60}"
    raise ValueError(message)


def rfc3339(moment: float) -> str:
    """Write a time in seconds since 1970 as RFC 3339, to the microsecond.

    >>> rfc3339(1795338000.25)
    '2026-11-22T09:00:00.250000Z'
    """
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")

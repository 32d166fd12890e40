"""Times as devices write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from numbers import Real

#: a time in the sixtieth second of a minute, without that second
LEAP = re.compile(r"(.{10}[T ]\d\d:\d\d:)60((?:[.,]\d+)?(?:[Zz]|[+-]\d\d:?\d\d))")


#: Seconds from 2000 to 2100. In no two units do these years have a number in common, so its size tells the unit.
EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0
#: of seconds, milliseconds, microseconds and nanoseconds in a second
_UNITS = (1.0, 1e3, 1e6, 1e9)


def epoch(number: float) -> float | None:
    """Return the seconds since 1970 of an epoch whose unit is told by its size; None outside the years 2000 to 2100.

    >>> epoch(1_795_338_000), epoch(1_795_338_000_000), epoch(1_795_338_000_000_000_000), epoch(17)
    (1795338000.0, 1795338000.0, 1795338000.0, None)
    """
    return next((number / unit for unit in _UNITS if EARLIEST <= number / unit < LATEST), None)


def seconds(value: object) -> float:
    """Read a time, into seconds since 1970: an epoch, RFC 3339 with its offset, or a datetime with its zone.

    An epoch is in seconds; milliseconds, microseconds and nanoseconds of the years 2000 to 2100 are told by their size.
    A leap second (23:59:60 in UTC) is the second after it, as in POSIX time.

    >>> seconds("2026-11-22T09:00:00Z"), seconds(1.5), seconds(1_795_338_000_000)
    (1795338000.0, 1.5, 1795338000.0)
    >>> rfc3339(seconds("2016-12-31T23:59:60Z"))
    '2017-01-01T00:00:00Z'
    >>> seconds("9:00")
    Traceback (most recent call last):
    ValueError: must be an epoch in s, ms, µs or ns, or RFC 3339 with an offset as in 2026-11-22T09:00:00Z, not '9:00'
    """
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        number = float(value)
        return number if number < LATEST else epoch(number) or number
    moment = value if isinstance(value, datetime) else _parsed(value) if isinstance(value, str) else None
    if moment is not None and moment.tzinfo is not None:
        return moment.timestamp()
    accepted = "an epoch in s, ms, µs or ns, or RFC 3339 with an offset as in 2026-11-22T09:00:00Z"
    message = f"must be {accepted}, not {value!r:.60}"
    raise ValueError(message)


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    leap = LEAP.fullmatch(text)
    try:
        before = datetime.fromisoformat(f"{leap[1]}59{leap[2]}") if leap else None
    except ValueError:
        return None
    if before is None or before.tzinfo is None or before.astimezone(UTC).timetuple()[3:5] != (23, 59):
        return None
    return before + timedelta(seconds=1)


def rfc3339(moment: float) -> str:
    """Write a time in seconds since 1970 as RFC 3339, to the microsecond.

    >>> rfc3339(1795338000.25)
    '2026-11-22T09:00:00.250000Z'
    """
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")

"""Times as devices stamp them: ISO 8601 with a zone or without, an epoch in any unit, or ROS's two numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from streamnorm.formats.instants import EARLIEST, LATEST, epoch, seconds

_EPOCH = re.compile(r"\d{9,19}(?:\.\d+)?")
#: names of the whole seconds, and of the nanoseconds beside them, in ROS 2, ROS 1 and protobuf
_PAIRS = (("sec", "nanosec"), ("secs", "nsecs"), ("seconds", "nanos"))


def moment(value: Any, zone: tzinfo | None) -> float | None:
    """Return the seconds since 1970 of a device's time; None where it has none that can be right.

    That is one before 2000 or after 2100, from a clock that was never set, and one without a zone where `zone` is
    None: the time of arrival is nearer to the truth.

    >>> from datetime import UTC
    >>> moment("2026-11-22 09:00", UTC), moment("2026-11-22T10:00:00+01:00", None), moment("2026-11-22 09:00", None)
    (1795338000.0, 1795338000.0, None)

    Raises:
        ValueError: it is no time.

    """
    if isinstance(value, Mapping):
        for whole, rest in _PAIRS:
            if whole in value:
                return epoch(float(value[whole]) + float(value.get(rest, 0)) / 1e9)
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in {"", "now", "null", "none"}:
            return None
        if not _EPOCH.fullmatch(text):
            return _in_range(_parsed(text, zone))
        value = float(text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return epoch(value)
    if value is None:
        return None
    raise ValueError(f"must be ISO 8601 or an epoch, not {value!r:.60}")


def _parsed(text: str, zone: tzinfo | None) -> float | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        try:
            return seconds(text)  # a leap second
        except ValueError:
            raise ValueError(f"must be ISO 8601 or an epoch, not {text!r:.60}") from None
    if parsed.tzinfo is not None:
        return parsed.timestamp()
    return None if zone is None else parsed.replace(tzinfo=zone).timestamp()


def _in_range(time: float | None) -> float | None:
    return time if time is not None and EARLIEST <= time < LATEST else None

"""Python and NumPy values as JSON has them, without importing NumPy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from numbers import Real
from typing import Any


def plain(value: Any, pointer: str = "/values") -> Any:
    """Turn a reading's values into what JSON can say: NaN into None, True into 1, arrays into lists.

    >>> plain({"temp": float("nan"), "door": True, "ir": ((1, 2), (3, 4))})
    {'temp': None, 'door': 1, 'ir': [[1, 2], [3, 4]]}
    >>> plain({"temp": float("inf")})
    Traceback (most recent call last):
    ValueError: /values/temp: inf is no reading of a sensor; send NaN or None for a missing value
    """
    if isinstance(value, (float, int)):  # bool is an int
        return _number(value, pointer)
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(item, f"{pointer}/{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{pointer}/{place}") for place, item in enumerate(value)]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, pandas Series
        return plain(value.tolist(), pointer)
    raise TypeError(f"{pointer}: {value!r} is no number, array or missing value")


def _number(value: float, pointer: str) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise ValueError(f"{pointer}: {value} is no reading of a sensor; send NaN or None for a missing value")
    return int(value) if isinstance(value, bool) else value


def instant(timestamp: Any) -> str | float:
    """Turn a timestamp into RFC 3339 or epoch seconds.

    >>> from datetime import timezone
    >>> instant(datetime(2026, 11, 22, 9, tzinfo=timezone.utc))
    '2026-11-22T09:00:00+00:00'
    >>> instant(datetime(2026, 11, 22, 9))
    Traceback (most recent call last):
    ValueError: timestamp 2026-11-22 09:00:00 has no time zone
    """
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            raise ValueError(f"timestamp {timestamp} has no time zone")
        return timestamp.isoformat()
    if isinstance(timestamp, str):
        return timestamp
    if isinstance(timestamp, Real):
        return float(timestamp)
    raise TypeError(f"timestamp {timestamp!r} is no datetime, RFC 3339 string or number of epoch seconds")

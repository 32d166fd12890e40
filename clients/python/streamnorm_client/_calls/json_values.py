"""Converts Python and NumPy values to JSON types, without importing NumPy."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from datetime import datetime
from numbers import Real
from typing import Any

from streamnorm_client._errors import InvalidArgument, WrongType

LARGEST = sys.float_info.max


def plain(value: Any, pointer: str = "/values") -> Any:
    """Convert a reading's values to JSON types: NaN to None, True to 1, arrays to lists.

    >>> plain({"temp": float("nan"), "door": True, "ir": ((1, 2), (3, 4))})
    {'temp': None, 'door': 1, 'ir': [[1, 2], [3, 4]]}
    >>> plain({"temp": float("inf")})
    Traceback (most recent call last):
    streamnorm_client._errors.InvalidArgument: /values/temp: inf is not a reading; send NaN or None for a missing value
    """
    if isinstance(value, (float, int)):  # bool is an int
        return _number(value, pointer)
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {str(name): _member(item, pointer, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{pointer}/{place}") for place, item in enumerate(value)]
    if _is_named_series(value):
        return plain(value.to_dict(), pointer)
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, pandas Series without names
        return plain(value.tolist(), pointer)
    raise WrongType(f"{pointer}: {value!r} is not a number, array or missing value")


def _member(item: Any, pointer: str, name: Any) -> Any:
    """Convert a member; its JSON pointer is built only if needed."""
    if type(item) is float and -LARGEST <= item <= LARGEST:
        return item
    return item if type(item) is int else plain(item, f"{pointer}/{name}")


def _is_named_series(value: Any) -> bool:
    """Return whether it is a pandas Series whose index names the features, like a row of a frame."""
    pandas: Any = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Series) and not isinstance(value.index, pandas.RangeIndex)


def _number(value: float, pointer: str) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise InvalidArgument(f"{pointer}: {value} is not a reading; send NaN or None for a missing value")
    return int(value) if isinstance(value, bool) else value


def instant(timestamp: Any) -> str | float:
    """Convert a timestamp to RFC 3339 or epoch seconds.

    >>> from datetime import timezone
    >>> instant(datetime(2026, 11, 22, 9, tzinfo=timezone.utc))
    '2026-11-22T09:00:00+00:00'
    >>> instant(datetime(2026, 11, 22, 9))
    Traceback (most recent call last):
    streamnorm_client._errors.InvalidArgument: timestamp 2026-11-22 09:00:00 has no time zone
    """
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            raise InvalidArgument(f"timestamp {timestamp} has no time zone")
        return timestamp.isoformat()
    if isinstance(timestamp, str):
        return timestamp
    if isinstance(timestamp, Real):
        return float(timestamp)
    raise WrongType(f"timestamp {timestamp!r} is not a datetime, RFC 3339 string or number of epoch seconds")

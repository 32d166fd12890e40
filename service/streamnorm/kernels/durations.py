"""Spans of time as people write them: numbers are seconds, and texts have a unit."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_TEXT = Field(pattern=r"^\d+(\.\d+)?\s*[smhd]$", examples=["90s", "15m", "6h", "1d"])


def duration(value: object) -> object:
    """Return the seconds of a text; what is no text stays as it is.

    >>> duration("90s"), duration("15m"), duration("6h"), duration("1d"), duration(30)
    (90.0, 900.0, 21600.0, 86400.0, 30)

    Raises:
        ValueError: the text is no duration.

    """
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise ValueError('must be seconds, or a text such as "90s", "15m", "6h" or "1d"')
    return float(found[1]) * SECONDS[found[2]]


_SECONDS = Field(gt=0.0, le=1e12)
#: seconds, or a text such as "15m"
Duration = Annotated[
    float,
    _SECONDS,
    BeforeValidator(duration, json_schema_input_type=Annotated[float, _SECONDS] | Annotated[str, _TEXT]),
]

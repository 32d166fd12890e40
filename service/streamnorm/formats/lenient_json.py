"""JSON as devices write it: with a byte order mark in front, and NaN for a missing number."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

_MARK = "\ufeff"
#: a NaN where JSON has a value, as JavaScript, Python and C print it
_NAN = re.compile(r"(?<=[:\[,\s])[+-]?nan(?=\s*[,}\]])", re.IGNORECASE)


def loads(data: bytes | bytearray | str) -> Any:
    r"""Parse JSON, or what devices take for it; strict JSON costs nothing more.

    >>> loads('{"temp": nan, "door": 1}'), loads("\ufeff[1, NaN]")
    ({'temp': nan, 'door': 1}, [1, nan])
    >>> loads('{"temp": warm}')  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    orjson.JSONDecodeError: ...

    Raises:
        JSONDecodeError: it is neither.

    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if text.startswith(_MARK):
            return loads(text.removeprefix(_MARK))
        if "\ufffd" in text or not _NAN.search(text):
            raise
        try:
            return json.loads(_NAN.sub("NaN", text), parse_constant=_constant)
        except (ValueError, RecursionError):
            raise error from None


def _constant(name: str) -> float:
    if name == "NaN":
        return math.nan
    raise ValueError(f"{name} is no number")

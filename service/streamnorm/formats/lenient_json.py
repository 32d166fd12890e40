"""JSON as devices write it: with a byte order mark in front, and NaN for a missing number."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_MARK = "\ufeff"
#: a text, or a NaN as JavaScript, Python and C print it; a text without an end reaches to the end, in linear time
_TEXT_OR_NAN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|(?<!\w)([+-]?)nan(?!\w)', re.IGNORECASE | re.DOTALL)
_NAN = re.compile(r"nan", re.IGNORECASE)


def loads(data: bytes | bytearray | str) -> Any:
    r"""Parse JSON, or what devices take for it; strict JSON costs nothing more.

    >>> loads('{"temp": nan, "door": 1}'), loads("\ufeff[1, NaN]")
    ({'temp': nan, 'door': 1}, [1, nan])
    >>> loads('{"temp": warm}')  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    orjson.JSONDecodeError: ...

    Raises:
        JSONDecodeError: it is neither; what else than NaN is wrong is told where it stands.

    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if text.startswith(_MARK):
            return loads(text.removeprefix(_MARK))
        if "\ufffd" in text or not _NAN.search(text):
            raise
        orjson.loads(_TEXT_OR_NAN.sub(_zero, text))
        try:
            return json.loads(_TEXT_OR_NAN.sub(_nan, text))
        except (ValueError, RecursionError):  # more digits, or a deeper nesting, than Python takes
            raise error from None


def _zero(found: re.Match[str]) -> str:
    """Return a number as long as the NaN: what is wrong elsewhere keeps its place."""
    return found[0] if found[1] is None else f"{found[1].replace('+', ' ')}0.0"


def _nan(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else "NaN"

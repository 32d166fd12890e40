"""Numbers in texts: with a decimal comma, with a unit, and words for states."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: What a state's value may be beside a number: there is none.
MISSING: Final = "missing"
#: The words that every mapping knows, in any case.
WORDS: Final[Mapping[str, float]] = MappingProxyType(
    {"true": 1.0, "on": 1.0, "open": 1.0, "false": 0.0, "off": 0.0, "closed": 0.0, "nan": math.nan}
)
#: a number, and a unit of letters and signs, perhaps with an exponent: °C, %, µg/m3, W·h
_MEASURED = re.compile(r"(?P<number>[+−-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?)\s?(?:[^\W\d_]|[°%‰/·*²³])*[23]?")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?P<group>[.,])\d{3})(?:(?P=group)\d{3})*(?!(?P=group))[.,]\d+")


def number_in(text: str) -> float | None:
    """Return the number of a text; None where it has none, or more than one.

    >>> [number_in(text) for text in ("21.4", "21,4", "21.4 °C", "1.234,5", "12 µg/m3", "-7e-3")]
    [21.4, 21.4, 21.4, 1234.5, 12.0, -0.007]
    >>> [number_in(text) for text in ("2026-11-22", "10:30", "192.168.1.7", "GW1000", "heat")]
    [None, None, None, None, None]
    """
    match = _MEASURED.fullmatch(text.strip())
    if match is None:
        return None
    number = match["number"].replace("−", "-")
    if grouped := _GROUPED.fullmatch(number):
        number = number.replace(grouped["group"], "")
    number = number.replace(",", ".")
    return float(number) if _NUMBER.fullmatch(number) else None


def state_of(text: str, states: Mapping[str, float]) -> float | None:
    """Return the value of a word, NaN where it means that there is none; None for other words.

    >>> state_of("ON", {}), state_of("Wet", {"wet": 1.0}), state_of("auto", {})
    (1.0, 1.0, None)
    """
    found = states.get(text)
    if found is None:
        word = text.strip().lower()
        found = states.get(word, WORDS.get(word))
    return found

"""What pydantic finds wrong, as faults in the house's words: what it must be, and what it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from streamnorm.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Longer values are cut short in errors.
LONGEST_SHOWN = 40
#: pydantic's types of errors that are told without the value, which says nothing of them, or is told already
WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "value_error": None,
    "too_short": None,
    "too_long": None,
}


def to_faults(items: Iterable[Mapping[str, Any]], pointer: str = "") -> list[Fault]:
    """Tell what pydantic's `ValidationError.errors()`, or FastAPI's, list; pointers begin with `pointer`.

    >>> to_faults([{"type": "greater_than", "loc": ("horizon",), "msg": "Input should be greater than 1", "input": 0}])
    [Fault(pointer='/horizon', detail='must be greater than 1, not 0')]
    """
    return [
        Fault(pointer + "".join(f"/{escape_pointer(str(part))}" for part in item["loc"]), _told(item)) for item in items
    ]


def escape_pointer(name: str) -> str:
    """Escape a name as one part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def abbreviate(value: object) -> str:
    """Write a value into an error: as the sender wrote it, cut short, and of what is nested only that it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple)):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, int) and value.bit_length() > 4 * LONGEST_SHOWN:  # Python refuses to spell the longest ones
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def _told(item: Mapping[str, Any]) -> str:
    kind, message = item["type"], str(item["msg"]).removeprefix("Value error, ").replace(" after validation", "")
    if words := WORDS.get(kind):
        return words
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        message = "must be an object"
    must = re.sub(r"^\w+ should ", "must ", re.sub(r", (unable to|got) .*", "", message))
    return must if kind in WORDS else f"{must}, not {abbreviate(item['input'])}"

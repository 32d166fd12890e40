"""Readings from JSON texts: a body, a line, a message; what devices usually send takes a short way to the same end."""

from __future__ import annotations

import math
import re
from typing import Any

from streamnorm.api import bodies
from streamnorm.api.dependencies import STREAM_ID
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.api.schemas import ReadingBody, StreamReadingBody
from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.engine.limits import LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.reading import Reading
from streamnorm.errors import InvalidReading
from streamnorm.formats.instants import seconds

_STREAM_ID = re.compile(STREAM_ID)


def usual_reading(body: Any) -> Reading | None:
    """Build a reading of an object of numbers and nulls; None for all else, be it wrong or only unusual.

    What it makes is what `bodies.to_reading` makes of the checked body, at a fifth of the cost.
    """
    if body.__class__ is not dict:
        return None
    values, timestamp, seq = body.get("values"), body.get("timestamp"), body.get("seq")
    if len(body) != 1 + (timestamp is not None) + (seq is not None) or values.__class__ is not dict or not values:
        return None
    numbers = list(values.values())
    if not _floats(numbers) or (seq is not None and (seq.__class__ is not int or not 0 <= seq <= LARGEST_SEQ)):
        return None
    if timestamp is not None:
        try:
            timestamp = seconds(timestamp)
        except ValueError:
            return None
    return Reading(tuple(values), numbers, False, timestamp, seq)  # noqa: FBT003 - named, it takes twice as long


def _floats(numbers: list[Any]) -> bool:
    """Turn whole numbers and nulls into floats, in place; returns whether there is nothing else."""
    for place, number in enumerate(numbers):
        kind = number.__class__
        if (kind is float or kind is int) and -LARGEST_VALUE <= number <= LARGEST_VALUE:
            if kind is int:
                numbers[place] = float(number)
        elif number is None:
            numbers[place] = math.nan
        else:
            return False
    return True


class Parser:
    """Makes readings of texts: those of one stream, or where that is None, those that name their stream."""

    def __init__(self, limits: Limits, stream_id: str | None = None, caller: ApiKey = ANYONE) -> None:
        self._limits = limits
        self._stream_id = stream_id
        self._caller = caller

    def __call__(self, text: bytes | str, line: int = 0, pointer: str = "") -> tuple[str, Reading]:
        """Build a reading; `line` and `pointer` tell its place in errors.

        Raises:
            Refused: it is no JSON.
            InvalidReading: naming every wrong place.
            Forbidden: it names a stream that is not the caller's.

        """
        body = bodies.json(text, line)
        if self._stream_id is not None:
            return self._stream_id, usual_reading(body) or self._checked(ReadingBody, body, pointer)
        stream_id = body.pop("stream", None) if body.__class__ is dict else None
        if stream_id.__class__ is str and _STREAM_ID.fullmatch(stream_id):
            check_streams(self._caller, (stream_id,))
            return stream_id, usual_reading(body) or self._checked(ReadingBody, body, pointer)
        bodies.checked(StreamReadingBody, body if stream_id is None else body | {"stream": stream_id}, pointer)
        raise AssertionError("a stream's id was taken for wrong")

    def lines(self, data: bytes) -> list[tuple[str, Reading]]:
        """Build readings of NDJSON: one a line; empty lines are passed over."""
        found: list[tuple[str, Reading]] = []
        for at, line in enumerate(data.split(b"\n"), 1):
            if line and not line.isspace():
                found.append(self(line, at, f"/{len(found)}"))
        if not found:
            raise InvalidReading.at("", "the body must hold at least one line")
        return found

    def _checked(self, model: type[ReadingBody], body: Any, pointer: str) -> Reading:
        return bodies.to_reading(bodies.checked(model, body, pointer), self._limits, pointer)

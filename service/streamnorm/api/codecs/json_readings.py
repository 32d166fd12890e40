"""Readings from JSON texts: a body, a line, a message; what devices usually send takes a short way to the same end."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from streamnorm.api.dependencies import STREAM_ID
from streamnorm.api.http.body import json, validate
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.api.schemas import ReadingBody, StreamReadingBody
from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.engine.columns import ReadingColumns
from streamnorm.engine.limits import LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.errors import Fault, Forbidden, InvalidReading, LimitExceeded, StreamnormError
from streamnorm.formats.instants import seconds

_STREAM_ID = re.compile(STREAM_ID)
#: Faults that are kept of many readings; a problem tells of fewer.
MOST_FAULTS = 200
#: stands for a reading whose values are wrong, for its stream is still to be checked
_NOTHING = Reading((), [])


def parse_simple_reading(body: Any) -> Reading | None:
    """Build a reading of an object of numbers and nulls; None for all else, be it wrong or only unusual.

    What it makes is what `to_reading` makes of the checked body, at a fifth of the cost.
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


class ReadingParser:
    """Builds readings of texts: those of one stream, or where that is None, those that name their stream."""

    def __init__(self, limits: Limits, stream_id: str | None = None, caller: ApiKey = ANYONE) -> None:
        self._limits = limits
        self._stream_id = stream_id
        self._caller = caller

    def __call__(self, text: bytes | str, line: int = 0, row: int | None = None) -> tuple[str, Reading]:
        """Build a reading of a text; `line` and `row` tell its place in errors.

        Raises:
            Refused: it is no JSON.
            InvalidReading: naming every wrong place.
            Forbidden: it names a stream that is not the caller's.

        """
        body = json(text, line)
        if self._stream_id is not None:
            return self._stream_id, parse_simple_reading(body) or self._checked(body, row)
        stream_id = body.pop("stream", None) if body.__class__ is dict else None
        if stream_id.__class__ is str and _STREAM_ID.fullmatch(stream_id):
            check_streams(self._caller, (stream_id,))
            return stream_id, parse_simple_reading(body) or self._checked(body, row)
        validate(StreamReadingBody, body if stream_id is None else body | {"stream": stream_id}, _pointer(row))
        raise AssertionError("a stream's id was taken for wrong")

    def _checked(self, body: Any, row: int | None) -> Reading:
        pointer = _pointer(row)
        return to_reading(validate(ReadingBody, body, pointer), self._limits, pointer)


def to_reading(body: ReadingBody, limits: Limits, pointer: str = "") -> Reading:
    """Build a reading of its checked body.

    Raises:
        InvalidReading: naming every wrong value below `pointer`.
        LimitExceeded: it has more features than any stream may have.

    """
    if isinstance(body.values, (dict, list)) and len(body.values) > limits.max_features:
        detail = f"a stream would have {len(body.values)} features, the limit (max_features) is {limits.max_features}"
        raise LimitExceeded("max_features", detail)
    return parse_reading(body.values, limits, timestamp=body.timestamp, seq=body.seq, pointer=f"{pointer}/values")


def _pointer(row: int | None) -> str:
    return "" if row is None else f"/{row}"


class JSONReadings:
    """Readings of many streams, as bodies that come one after the other; wrong ones are told when all have come.

    Faults in what a body is come first, of all bodies; then streams that are not the caller's; then values.
    """

    def __init__(self, limits: Limits, caller: ApiKey) -> None:
        self.columns = ReadingColumns(limits)
        self.seen = 0
        self._limits = limits
        self._caller = caller
        self._faults: list[Fault] = []
        self._wrong: StreamnormError | None = None

    def append(self, body: Any) -> None:
        """Add a body.

        Raises:
            LimitExceeded: there are too many rows, or features.

        """
        pointer = f"/readings/{self.seen}"
        self.seen += 1
        stream_id: Any = body.get("stream") if body.__class__ is dict else None
        one: Reading | None = None
        if stream_id.__class__ is str and _STREAM_ID.fullmatch(stream_id):
            del body["stream"]
            one = parse_simple_reading(body)
            body["stream"] = stream_id
        if one is None:
            one = self._checked(body, pointer)
        if self._faults or one is None:
            return
        try:
            check_streams(self._caller, (stream_id,))
        except Forbidden as error:
            self._wrong = error if not isinstance(self._wrong, Forbidden) else self._wrong
        if self._wrong is None:
            self.columns.append(stream_id, one)

    def check(self, rest: Callable[[], object]) -> None:
        """Raise what is wrong, if anything is; `rest` checks what is beside the readings, and comes first.

        Raises:
            InvalidReading: naming every wrong place.
            Forbidden: a stream is not the caller's.

        """
        try:
            rest()
        except InvalidReading as error:
            self._faults += error.faults
        if self._faults:
            raise InvalidReading.of(self._faults)
        if self._wrong is not None:
            raise self._wrong

    def _checked(self, body: Any, pointer: str) -> Reading | None:
        """Check an unusual body; None where it is wrong, or its values are."""
        try:
            model = validate(StreamReadingBody, body, pointer)
        except InvalidReading as error:
            if len(self._faults) < MOST_FAULTS:
                self._faults += error.faults
            return None
        if self._faults:
            return None
        try:
            return to_reading(model, self._limits, pointer)
        except InvalidReading as error:
            self._wrong = self._wrong or error
            return _NOTHING

"""Parses readings from JSON (bodies, lines, messages), without validation by a schema where nothing is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from streamnorm.api.codecs.json.plain_readings import AT_ONCE, append_all_plain, pack_numbers
from streamnorm.api.http.body import json, validate
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.api.schemas import ReadingBody, StreamReadingBody
from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.names import is_plain_id, is_stream_id
from streamnorm.engine.reading import Reading, ordinal_names, parse_reading
from streamnorm.errors import Fault, Forbidden, InvalidReading, LimitExceeded, StreamnormError
from streamnorm.formats.instants import seconds
from streamnorm.formats.payload import BESIDE, with_values

#: Faults collected from many readings; problem details report fewer.
MOST_FAULTS = 200
#: Integers that are taken without another look: those of 64 bits.
LARGEST_INTEGER = 2**64
#: As constants: to negate a number takes longer than to compare it.
LEAST_VALUE, LEAST_INTEGER = -LARGEST_VALUE, -LARGEST_INTEGER
#: Features from which on converting all values at once costs less than looking at them one by one.
WIDE = 32
#: placeholder for a reading with invalid values, whose stream is still to be authorized
_NOTHING = Reading((), [])


def parse_simple_reading(body: Any, limits: Limits) -> Reading | None:
    """Parse the body of a reading within `limits`; return None where it is for `parse_body` to say what is wrong.

    The result equals that of `parse_body`, at a fifth of the cost where all values are numbers or null, since the body
    is not validated.
    """
    if body.__class__ is not dict:
        return None
    values, timestamp, seq = body.get("values"), body.get("timestamp"), body.get("seq")
    flat = "values" not in body
    if flat:
        values = {name: value for name, value in body.items() if name not in BESIDE}
    known = flat or len(body) == 1 + ("timestamp" in body) + ("seq" in body)
    listed = values.__class__ is list
    if not values or not known or not (listed or values.__class__ is dict):
        return None
    if seq is not None and (seq.__class__ is not int or not 0 <= seq <= LARGEST_SEQ):
        return None
    try:
        if timestamp is not None:
            timestamp = seconds(timestamp)
        given: Collection[Any] = values if listed else values.values()
        numbers = (_floats if len(given) < WIDE else _packed)(given, not flat)
        if numbers is not None:
            names = ordinal_names(len(numbers)) if listed else tuple(values)
            return Reading(names, numbers, listed, timestamp, seq)
        limits.check_features(len(values))
        values = with_values(body).get("values")
        return parse_reading(values, limits, timestamp=timestamp, seq=seq)
    except (ValueError, StreamnormError):
        return None


def _floats(given: Collection[Any], nulls: bool) -> Sequence[float] | None:  # noqa: FBT001 - named, it takes longer
    """Return integers, and nulls if `nulls` may stand for missing values, as floats.

    Returns None if there is anything else, or a number too large.
    """
    numbers = list(given)
    for index, number in enumerate(numbers):
        kind = number.__class__
        if kind is float and LEAST_VALUE <= number <= LARGEST_VALUE:
            continue
        if kind is int and LEAST_INTEGER <= number <= LARGEST_INTEGER:  # an int is compared with a float slowly
            numbers[index] = float(number)
        elif number is None and nulls:
            numbers[index] = math.nan
        else:
            return None
    return numbers


def _packed(given: Collection[Any], nulls: bool) -> Sequence[float] | None:  # noqa: FBT001 - as `_floats`
    """Return what `_floats` does, of many values, as an `array`; it may leave other numbers to `parse_reading`."""
    try:
        return pack_numbers(given, nulls=nulls)
    except ValueError:
        return None


class ReadingParser:
    """Parses readings of the stream `stream_id`, or, if that is None, readings that name their stream.

    Streams must be within the scope of `caller`, and readings within `limits`.
    """

    def __init__(self, limits: Limits, stream_id: str | None = None, caller: ApiKey = ANYONE) -> None:
        self._limits = limits
        self._stream_id = stream_id
        self._caller = caller

    def __call__(self, text: bytes | str, line: int = 0, row: int | None = None) -> tuple[str, Reading]:
        """Parse a text to a stream id and a reading; `line` and `row` locate it in errors.

        Raises:
            HTTPProblem: the text is not JSON.
            InvalidReading: the reading is invalid; the error names every invalid member.
            Forbidden: the caller has no access to the stream.

        """
        body = json(text, line)
        if self._stream_id is not None:
            return self._stream_id, parse_simple_reading(body, self._limits) or self._checked(body, row)
        stream_id = body.pop("stream", None) if body.__class__ is dict else None
        if stream_id.__class__ is str and (is_plain_id(stream_id) or is_stream_id(stream_id)):
            check_streams(self._caller, (stream_id,))
            return stream_id, parse_simple_reading(body, self._limits) or self._checked(body, row)
        validate(StreamReadingBody, body if stream_id is None else body | {"stream": stream_id}, _pointer(row))
        raise AssertionError("validation accepted an invalid stream id")

    def append_all_plain(self, columns: ReadingColumns, texts: Sequence[bytes]) -> bool:
        """Parse texts into `columns`, at a third of the cost, if all are plain readings, or empty; otherwise add none.

        Raises:
            LimitExceeded: as `ReadingColumns.append` says.

        """
        try:
            bodies = [*map(orjson.loads, filter(None, texts))]
        except orjson.JSONDecodeError:
            return False
        return append_all_plain(columns, bodies, self._caller, self._stream_id)

    def parse_all_plain(self, texts: Sequence[bytes]) -> ReadingColumns | None:
        """Parse texts, but for empty ones, if all are plain readings within the limits; otherwise return None."""
        columns = ReadingColumns(self._limits)
        try:
            plain = self.append_all_plain(columns, texts)
        except LimitExceeded:
            return None
        return columns.freeze() if plain else None

    def _checked(self, body: Any, row: int | None) -> Reading:
        return parse_body(body, self._limits, _pointer(row))


def parse_body(body: Any, limits: Limits, pointer: str = "") -> Reading:
    """Parse any body of a reading: with `values`, or flat; `pointer` is its place.

    Raises:
        InvalidReading: the reading is invalid or not within `limits`; the error names every invalid member.
        LimitExceeded: the reading has more features than a stream may have.

    """
    flat = body.__class__ is dict and "values" not in body
    model = validate(ReadingBody, with_values(body) if flat else body, pointer)
    return to_reading(model, limits, pointer, "" if flat else "/values")


def to_reading(body: ReadingBody, limits: Limits, pointer: str = "", values: str = "/values") -> Reading:
    """Convert a validated body to a reading within `limits`.

    Raises:
        InvalidReading: values are invalid; the error names each of them below `pointer` and `values`.
        LimitExceeded: the reading has more features than a stream may have.

    """
    if isinstance(body.values, (dict, list)):
        limits.check_features(len(body.values))
    return parse_reading(body.values, limits, timestamp=body.timestamp, seq=body.seq, pointer=pointer + values)


def _pointer(row: int | None) -> str:
    return "" if row is None else f"/{row}"


class JSONReadings:
    """Collects readings of many streams; errors are reported after the last one.

    Schema faults of all bodies take precedence over streams without access, and those over invalid values.
    """

    def __init__(self, limits: Limits, caller: ApiKey) -> None:
        self.columns = ReadingColumns(limits)
        self.seen = 0
        self._limits = limits
        self._caller = caller
        self._faults: list[Fault] = []
        self._wrong: StreamnormError | None = None

    def extend(self, bodies: Sequence[Any]) -> None:
        """Add the bodies of readings.

        Raises:
            LimitExceeded: there are too many rows or features.

        """
        for start in range(0, len(bodies), AT_ONCE):
            together = bodies[start : start + AT_ONCE]
            if not self._faults and self._wrong is None and append_all_plain(self.columns, together, self._caller):
                self.seen += len(together)
            else:
                for body in together:
                    self._append(body)

    def _append(self, body: Any) -> None:
        pointer = f"/readings/{self.seen}"
        self.seen += 1
        stream_id: Any = body.get("stream") if body.__class__ is dict else None
        reading: Reading | None = None
        if stream_id.__class__ is str and (is_plain_id(stream_id) or is_stream_id(stream_id)):
            del body["stream"]
            reading = parse_simple_reading(body, self._limits)
            body["stream"] = stream_id
        if reading is None:
            reading = self._checked(body, pointer)
        if self._faults or reading is None:
            return
        try:
            check_streams(self._caller, (stream_id,))
        except Forbidden as error:
            self._wrong = error if not isinstance(self._wrong, Forbidden) else self._wrong
        if self._wrong is None:
            self.columns.append(stream_id, reading)

    def check(self, rest: Callable[[], object]) -> None:
        """Raise the collected errors, if any; `rest` validates the body's other members first.

        Raises:
            InvalidReading: the body is invalid; the error names every invalid member.
            Forbidden: the caller has no access to a stream.

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
        """Validate an unusual body and record its errors; None if the body itself is invalid."""
        flat = body.__class__ is dict and "values" not in body
        try:
            if flat:
                body = with_values(body) | ({"stream": body["stream"]} if "stream" in body else {})
            model = validate(StreamReadingBody, body, pointer)
        except InvalidReading as error:
            if len(self._faults) < MOST_FAULTS:
                self._faults += error.faults
            return None
        if self._faults:
            return None
        try:
            return to_reading(model, self._limits, pointer, "" if flat else "/values")
        except InvalidReading as error:
            self._wrong = self._wrong or error
            return _NOTHING

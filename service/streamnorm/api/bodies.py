"""Bodies of requests: read within limits, checked, and told what is wrong with them and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from streamnorm.api.problems import Refused
from streamnorm.api.schemas import ReadingBody
from streamnorm.engine.limits import LARGEST_VALUE, Limits
from streamnorm.engine.reading import Reading, escaped, reading
from streamnorm.errors import Fault, InvalidInput, InvalidReading

JSON = "application/json"
NDJSON = "application/x-ndjson"

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
#: Bytes of JSON that take some five milliseconds.
LARGE = 256 * 1024


async def raw(request: Request, limit: int) -> bytes:
    """Read a whole body of at most `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise too_large(limit)
    return bytes(chunks)


def media_type(request: Request, *offered: str) -> str:
    """Tell which of the media types a call takes the body has; none said is the first."""
    given = request.headers.get("content-type", offered[0]).partition(";")[0].strip().lower()
    if given not in offered:
        raise Refused(
            "unsupported-media-type", f"the body is {given or 'untyped'}; this call takes {' or '.join(offered)}"
        )
    return given


def accepted(request: Request, default: str, *offered: str) -> str:
    """Choose the media type of the answer: the first one asked for, or the default."""
    header = request.headers.get("accept", "*/*").lower()
    asked = [part.partition(";")[0].strip() for part in header.split(",")]
    for media in asked:
        if media in offered:
            return media
        if media in {"*/*", "application/*", ""}:
            return default
    raise Refused("not-acceptable", f"the answer is given as {' or '.join(offered)}, not as {header}")


def json(data: bytes | str, line: int = 0) -> Any:
    """Parse JSON, perhaps of one line of many; NaN, infinities and numbers beyond float64 are no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        raise Refused("malformed-json", f"the body is not JSON: {error.msg}: {place}") from None


async def json_object(request: Request, limit: int, wrong: type[InvalidInput] = InvalidReading) -> dict[str, Any]:
    """Read a JSON object; `wrong` is what anything else is."""
    media_type(request, JSON)
    data = json(await raw(request, limit))
    if not isinstance(data, dict):
        raise wrong.at("", "the body must be an object")
    return data


def checked(model: type[Model], data: object, pointer: str = "") -> Model:
    """Check plain data against a model."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [_fault(item, pointer) for item in error.errors(include_url=False, include_input=False)]
        raise InvalidReading.of(faults) from None


def to_reading(body: ReadingBody, limits: Limits, pointer: str = "") -> Reading:
    """Make a reading of its checked body."""
    return reading(body.values, limits, timestamp=body.timestamp, seq=body.seq, pointer=f"{pointer}/values")


def usual_reading(data: bytes) -> Reading | None:
    """Make a reading of a JSON object of numbers with or without `seq`; None for all else, wrong or only unusual."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if body.__class__ is not dict:
        return None
    values = body.get("values")
    seq = body.get("seq")
    known = 1 if seq is None else 2
    if len(body) != known or values.__class__ is not dict or not values or (seq is not None and type(seq) is not int):
        return None
    numbers = list(values.values())
    for place, number in enumerate(numbers):
        if number.__class__ is float:
            if -LARGEST_VALUE <= number <= LARGEST_VALUE:
                continue
            return None
        if number.__class__ is not int or not -LARGEST_VALUE <= number <= LARGEST_VALUE:
            return None
        numbers[place] = float(number)
    return Reading(tuple(values), numbers, seq=seq)


async def aside(size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes: in another thread where they are many, so that others are answered meanwhile."""
    return await asyncio.to_thread(work) if size > LARGE else work()


def encoded(data: object, status: int = 200, media: str = JSON) -> Response:
    """Answer with JSON; NaN is null."""
    return Response(dumps(data), status, media_type=media)


def encoded_lines(data: list[Any]) -> Response:
    """Answer with NDJSON."""
    return Response(b"".join(map(dumps_line, data)), media_type=NDJSON)


def dumps_line(data: object) -> bytes:
    """Write JSON on a line of its own."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def dumps(data: object) -> bytes:
    """Write JSON; NaN is null."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


def too_large(limit: int, what: str = "the body") -> Refused:
    """Say that something is larger than a limit."""
    return Refused("body-too-large", f"{what} is larger than {limit} bytes")


def _fault(item: Mapping[str, Any], pointer: str) -> Fault:
    place = pointer + "".join(f"/{escaped(str(part))}" for part in item["loc"])
    message = {
        "extra_forbidden": "unknown field",
        "missing": "is missing",
        "model_type": "must be an object",
        "model_attributes_type": "must be an object",
    }.get(item["type"], str(item["msg"]).removeprefix("Value error, "))
    return Fault(place, message[:1].lower() + message[1:])

"""Bodies of requests: read within limits, checked, and told what is wrong with them and where."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from streamnorm.api.gunzip import Gunzip
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.schemas import ReadingBody
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.engine.validation import to_faults
from streamnorm.errors import InvalidInput, InvalidReading

JSON = "application/json"
NDJSON = "application/x-ndjson"
CODINGS = ("identity", "gzip", "x-gzip")
QUALITY = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)")

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
#: Bytes of JSON that take some five milliseconds.
LARGE = 256 * 1024


async def raw(request: Request, limit: int) -> bytes:
    """Read a whole body of at most `limit` bytes, which may come packed by gzip."""
    return b"".join([part async for part in parts(request, limit)])


async def parts(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Read a body of at most `limit` bytes in the parts it comes in, unpacked."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    exchange: RequestState | None = request.scope.get("exchange")
    size = 0
    async for part in unpacked(request):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if exchange is not None:
            exchange.reserve(len(part))
        yield part


async def unpacked(request: Request) -> AsyncIterator[bytes]:
    """Read a body in the parts it comes in, unpacked, without end."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in CODINGS:
        raise HTTPProblem("unsupported-media-type", f"the body is packed by {coding}; this service takes gzip")
    if coding == "identity":
        async for chunk in request.stream():
            yield chunk
        return
    unpacking = Gunzip()
    try:
        async for chunk in request.stream():
            for part in unpacking.feed(chunk):
                yield part
    except zlib.error as error:
        raise HTTPProblem("malformed-gzip", f"the body is not gzip: {error}") from None
    if not unpacking.whole:
        raise HTTPProblem("malformed-gzip", "the body is not gzip: it is cut short")


def media_type(request: Request, *offered: str) -> str:
    """Tell which of the media types a call takes the body has; none said is the first."""
    given = request.headers.get("content-type", offered[0]).partition(";")[0].strip().lower()
    if given not in offered:
        raise HTTPProblem(
            "unsupported-media-type", f"the body is {given or 'untyped'}; this call takes {' or '.join(offered)}"
        )
    return given


def accepted(request: Request, default: str, *offered: str, to: str) -> str:
    """Choose the media type of the answer: of those asked for the most, the first one; anything is the default.

    `to` is what is answered.
    """
    header = request.headers.get("accept", "*/*").lower()
    asked = [(_quality(part), part.partition(";")[0].strip()) for part in header.split(",")]
    for quality, media in sorted(asked, key=lambda one: -one[0]):
        if quality and (media in offered or media in {"*/*", "application/*", ""}):
            return media if media in offered else default
    raise HTTPProblem("not-acceptable", f"the answer to {to} is given as {' or '.join(offered)}, not as {header}")


def _quality(part: str) -> float:
    """Return the weight of one part of an Accept header (RFC 9110, section 12.4.2)."""
    found = QUALITY.search(part)
    return float(found[1]) if found else 1.0


def json(data: bytes | str, line: int = 0) -> Any:
    """Parse JSON, perhaps of one line of many; NaN, infinities and numbers beyond float64 are no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        raise HTTPProblem("malformed-json", f"the body is not JSON: {error.msg}: {place}") from None


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
        raise InvalidReading.of(to_faults(error.errors(include_url=False), pointer)) from None


def to_reading(body: ReadingBody, limits: Limits, pointer: str = "") -> Reading:
    """Build a reading of its checked body."""
    return parse_reading(body.values, limits, timestamp=body.timestamp, seq=body.seq, pointer=f"{pointer}/values")


async def aside(size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes: in another thread where they are many, so that others are answered meanwhile."""
    return await asyncio.to_thread(work) if size > LARGE else work()


def encoded(data: object, status: int = 200, media: str = JSON) -> Response:
    """Answer with JSON; NaN is null."""
    return Response(dumps(data), status, media_type=media)


def encoded_lines(data: Iterable[Any]) -> Response:
    """Answer with NDJSON."""
    return Response(b"".join(map(dumps_line, data)), media_type=NDJSON)


def dumps_line(data: object) -> bytes:
    """Write JSON on a line of its own."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def dumps(data: object) -> bytes:
    """Write JSON; NaN is null."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


def too_large(limit: int, what: str = "the body") -> HTTPProblem:
    """Say that something is larger than a limit."""
    return HTTPProblem("body-too-large", f"{what} is larger than {limit} bytes")

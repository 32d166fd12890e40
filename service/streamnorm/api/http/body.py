"""Request bodies: size limits, decompression, validation with JSON-pointer errors."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from streamnorm.api.http.gzip import BEGINNING, BoundedGzipDecoder
from streamnorm.api.http.negotiation import JSON, media_type
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.request_state import RequestState
from streamnorm.engine.validation import to_faults
from streamnorm.errors import InvalidInput, InvalidReading
from streamnorm.formats import lenient_json

IDENTITY = "identity"
CODINGS = (IDENTITY, "gzip", "x-gzip")

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
#: Larger bodies are parsed in a thread. The slowest codec, line protocol, takes about thirty milliseconds for as many
#: bytes; a thread costs a tenth of a millisecond.
LARGE = 64 * 1024


async def read_body(request: Request, limit: int, *, packed: str = IDENTITY) -> bytearray:
    """Read the whole body of a `request`, at most `limit` bytes, decompressing gzip.

    The coding `packed` is left to the caller.

    Raises:
        HTTPProblem: the body is too large, or is not encoded as declared.

    """
    body = bytearray()
    async for part in iter_body(request, limit, packed=packed):
        body += part
    request.scope["payload"] = body  # of which the beginning is kept if the request is refused
    return body


async def iter_body(request: Request, limit: int, *, packed: str = IDENTITY) -> AsyncIterator[bytes]:
    """Yield the parts of the body of a `request`, at most `limit` bytes, decompressed, but for the coding `packed`.

    Raises:
        HTTPProblem: the body is too large, or is not encoded as declared.

    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    exchange: RequestState | None = request.scope.get("exchange")
    size = 0
    async for part in iter_decoded(request, packed=packed):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if exchange is not None:
            exchange.reserve(len(part))
        yield part


async def iter_decoded(request: Request, *, packed: str = IDENTITY) -> AsyncIterator[bytes]:
    """Yield the parts of a `request`'s body of any size, decompressed; control returns to the event loop between them.

    Those of a body of the coding `packed` are left as they are.

    Raises:
        HTTPProblem: the body is not encoded as declared.

    """
    coding = request.headers.get("content-encoding", IDENTITY).strip().lower()
    if coding not in {*CODINGS, packed}:
        raise HTTPProblem("unsupported-media-type", f"the body is packed by {coding}; this service takes gzip")
    if coding in {IDENTITY, packed}:
        begun = False
        async for chunk in request.stream():
            if not begun and chunk.startswith(BEGINNING):
                detail = "the body looks like gzip; then the request needs the header Content-Encoding: gzip"
                raise HTTPProblem("unsupported-media-type", detail)
            begun = True
            yield chunk
        return
    decoder = BoundedGzipDecoder()
    try:
        async for chunk in request.stream():
            for part in decoder.feed(chunk):
                yield part
                await asyncio.sleep(0)
    except zlib.error as error:
        raise HTTPProblem("malformed-gzip", f"the body is not gzip: {error}") from None
    if not decoder.whole:
        raise HTTPProblem("malformed-gzip", "the body is not gzip: it is cut short")


def json(data: bytes | bytearray | str, line: int = 0) -> Any:
    """Parse JSON, optionally a given line of several; NaN is a missing number, infinities are invalid.

    Raises:
        HTTPProblem: the data are not JSON.

    """
    try:
        return lenient_json.loads(data)
    except orjson.JSONDecodeError as error:
        raise malformed_json(error.msg, line or error.lineno, error.colno) from None


def malformed_json(message: str, line: int, column: int) -> HTTPProblem:
    """Build the problem of a malformed JSON body from the parser's `message`, `line` and `column`, both from 1."""
    return HTTPProblem("malformed-json", f"the body is not JSON: {message}: line {line}, column {column}")


async def json_object(
    request: Request, limit: int, use: Callable[[dict[str, Any]], T], *, wrong: type[InvalidInput] = InvalidReading
) -> T:
    """Read a JSON object of at most `limit` bytes from the `request` and return what `use` makes of it.

    Large bodies are handled in another thread. `wrong` is the error raised for JSON that is not an object.
    """
    media_type(request, JSON)
    data = await read_body(request, limit)

    def work() -> T:
        document = json(data)
        if not isinstance(document, dict):
            raise wrong.at("", "the body must be an object")
        return use(document)

    return await in_thread_if_large(len(data), work)


def validate(model: type[Model], data: object, pointer: str = "") -> Model:
    """Validate plain `data` against a pydantic `model`.

    Raises:
        InvalidReading: the data are invalid; the error names every invalid member below `pointer`.

    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidReading.of(to_faults(error.errors(include_url=False), pointer)) from None


async def in_thread_if_large(size: int, work: Callable[[], T]) -> T:
    """Run `work` on a body of `size` bytes, in another thread if it is large, to keep the event loop responsive."""
    return await asyncio.to_thread(work) if size > LARGE else work()


def too_large(limit: int, what: str = "the body") -> HTTPProblem:
    """Build the problem of a body, or a part of it, that exceeds a limit in bytes."""
    return HTTPProblem("body-too-large", f"{what} is larger than {limit} bytes")

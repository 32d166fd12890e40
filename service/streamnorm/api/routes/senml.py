"""SenML bodies on the calls that take readings; the answer is SenML too."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response

from streamnorm.api import bodies
from streamnorm.api.dependencies import AppState
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.errors import InvalidReading
from streamnorm.formats import senml

EXAMPLE = [{"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.1}, {"n": "open", "vb": False}]
ANSWER = [{"n": "urn:dev:ow:10e2073a01080063:temp", "t": 1795338000.0, "v": 0.0}]


def described_too(route: dict[str, Any]) -> dict[str, Any]:
    """Add SenML to the description of a route."""
    schema = {"type": "array", "items": {"type": "object"}, "description": "a pack of SenML (RFC 8428); or as CBOR"}
    route["openapi_extra"]["requestBody"]["content"][senml.JSON] = {"schema": schema, "example": EXAMPLE}
    answer = route["responses"][200]
    answer["content"] = answer["content"] | {senml.JSON: {"schema": schema, "example": ANSWER}}
    return route


def sent(request: Request) -> bool:
    """Return whether the body claims to be SenML."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media in {senml.JSON, senml.CBOR}


async def observe(ctx: AppState, request: Request, stream_id: str, limit: int, *, learn: bool) -> Response:
    """Observe a pack: a reading for each of its times, in order, as a whole or not at all."""
    media = bodies.media_type(request, senml.JSON, senml.CBOR)
    data = await bodies.raw(request, limit)
    pack = bodies.json(data) if media == senml.JSON else cbor(data)
    records = senml.resolved(pack, ctx.service.clock())
    readings = senml.readings(records, ctx.service.limits)
    ones = [(stream_id, each.reading) for each in readings]
    if not ones:
        answers = []
    elif learn:
        answers = await ctx.service.observe_readings(ones, [f"/{each.records[0]}" for each in readings])
    else:
        answers = [await ctx.service.normalize(*one) for one in ones]
    ys: dict[int, Any] = {}
    for each, answer in zip(readings, answers, strict=True):
        ys |= zip(each.records, answer.values, strict=True)
    return encoded(senml.answered(records, ys), media)


def encoded(pack: list[dict[str, Any]], media: str) -> Response:
    """Answer with a pack."""
    if media == senml.JSON:
        return bodies.encoded(pack, media=media)
    dumps: Callable[[object], bytes] = library().dumps
    return Response(dumps(senml.numbered(pack)), media_type=media)


def cbor(data: bytes) -> Any:
    """Parse CBOR."""
    found = library()
    try:
        return found.loads(data)
    except (found.CBORDecodeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidReading.at("", f"the body is not CBOR: {error}") from None


def library() -> Any:
    """Return the library that knows CBOR, which is an extra."""
    if importlib.util.find_spec("cbor2") is None:
        raise HTTPProblem(
            "unsupported-media-type", "CBOR needs cbor2 beside the service: pip install 'streamnorm[senml]'"
        )
    return importlib.import_module("cbor2")

"""The routes that take one reading: observe, normalize, denormalize."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from streamnorm.api.codecs import serialize
from streamnorm.api.codecs.bulk import context_of, observe_body
from streamnorm.api.codecs.json.readings import parse_body
from streamnorm.api.codecs.registry import OF_READING
from streamnorm.api.dependencies import Ctx, StreamId
from streamnorm.api.http.body import json_object, validate
from streamnorm.api.http.negotiation import content_type
from streamnorm.api.http.responses import encoded
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.schemas import ReadingAnswer, ReadingBody, ValuesAnswer, ValuesBody
from streamnorm.engine.reading import parse_reading

router = APIRouter(prefix="/v1", tags=["readings"])

#: the problems of all calls that take readings
PROBLEMS = ("invalid-reading", "invalid-request", "limit-exceeded", "stale-sequence", "store-unavailable")

Learn = Annotated[bool, Query(description="false: normalize only, and leave the statistics as they are")]
Stats = Annotated[bool, Query(description="true: answer with each feature's mean and std too")]


@router.post(
    "/streams/{stream_id}/readings",
    **describe_route(ReadingBody, ReadingAnswer, "stream-not-found", *PROBLEMS, codecs=OF_READING),
)
async def observe(
    ctx: Ctx, request: Request, stream_id: StreamId, *, learn: Learn = True, stats: Stats = False
) -> Response:
    """Observe one reading: normalize it and learn from it."""
    limits, most = ctx.service.limits, ctx.max_reading_bytes
    if content_type(request) in OF_READING:
        return await observe_body(
            ctx, request, OF_READING, context_of(ctx, stream_id=stream_id), learn=learn, limit=most
        )
    reading = await json_object(request, most, lambda data: parse_body(data, limits))
    call = ctx.service.observe if learn else ctx.service.normalize
    return encoded(serialize.reading_to_json(stream_id, reading, await call(stream_id, reading, stats=stats)))


@router.post(
    "/streams/{stream_id}/denormalize",
    **describe_route(
        ValuesBody, ValuesAnswer, "stream-not-found", "cannot-invert", "invalid-reading", "invalid-request"
    ),
)
async def denormalize(ctx: Ctx, request: Request, stream_id: StreamId) -> Response:
    """Convert normalized values back to the sensor's units, by the current statistics."""
    limits = ctx.service.limits
    reading = await json_object(
        request, ctx.max_reading_bytes, lambda data: parse_reading(validate(ValuesBody, data).values, limits)
    )
    names, values = await ctx.service.denormalize(stream_id, reading)
    return encoded({"stream": stream_id, "values": serialize.reshape_like(reading, values, names)})

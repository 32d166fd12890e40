"""The calls that take one reading: observe, normalize, denormalize."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from streamnorm.api import answers, bodies
from streamnorm.api.dependencies import Ctx, StreamId
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.routes import senml
from streamnorm.api.schemas import ReadingAnswer, ReadingBody, ValuesAnswer, ValuesBody
from streamnorm.engine.reading import parse_reading

router = APIRouter(prefix="/v1", tags=["readings"])

#: what can be wrong with readings, wherever they come in
PROBLEMS = ("invalid-reading", "invalid-request", "limit-exceeded", "stale-sequence", "store-unavailable")

Learn = Annotated[bool, Query(description="false: normalize only, and leave the statistics as they are")]
Stats = Annotated[bool, Query(description="true: answer with each feature's mean and std too")]


@router.post(
    "/streams/{stream_id}/readings",
    **senml.described_too(describe_route(ReadingBody, ReadingAnswer, "stream-not-found", *PROBLEMS)),
)
async def observe(
    ctx: Ctx, request: Request, stream_id: StreamId, *, learn: Learn = True, stats: Stats = False
) -> Response:
    """Observe one reading: normalize it and learn from it."""
    if senml.sent(request):
        return await senml.observe(ctx, request, stream_id, ctx.max_reading_bytes, learn=learn)
    body = bodies.checked(ReadingBody, await bodies.json_object(request, ctx.max_reading_bytes))
    one = bodies.to_reading(body, ctx.service.limits)
    call = ctx.service.observe if learn else ctx.service.normalize
    return bodies.encoded(answers.of_reading(stream_id, one, await call(stream_id, one, stats=stats)))


@router.post(
    "/streams/{stream_id}/denormalize",
    **describe_route(
        ValuesBody, ValuesAnswer, "stream-not-found", "cannot-invert", "invalid-reading", "invalid-request"
    ),
)
async def denormalize(ctx: Ctx, request: Request, stream_id: StreamId) -> Response:
    """Turn normalized values back into the sensor's units, by today's statistics."""
    body = bodies.checked(ValuesBody, await bodies.json_object(request, ctx.max_reading_bytes))
    one = parse_reading(body.values, ctx.service.limits)
    values = await ctx.service.denormalize(stream_id, one)
    return bodies.encoded({"stream": stream_id, "values": answers.shaped(one, values)})

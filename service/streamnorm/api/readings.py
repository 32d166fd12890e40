"""The calls that take readings: observe, normalize, denormalize; one at a time and in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from streamnorm.api import answers, bodies
from streamnorm.api.context import Context, Ctx, StreamId
from streamnorm.api.openapi import described
from streamnorm.api.schemas import (
    BlockAnswerBody,
    BlockBody,
    ReadingAnswer,
    ReadingBody,
    ReadingsAnswer,
    ReadingsBody,
    StreamReadingBody,
    ValuesAnswer,
    ValuesBody,
)
from streamnorm.engine.block import Block
from streamnorm.engine.reading import ordinals, reading
from streamnorm.engine.table import table

router = APIRouter(prefix="/v1", tags=["readings"])

#: what can be wrong with readings, wherever they come in
PROBLEMS = ("invalid-reading", "invalid-request", "limit-exceeded", "stale-sequence", "store-unavailable")

Learn = Annotated[bool, Query(description="false: normalize only, and leave the statistics as they are")]
Stats = Annotated[bool, Query(description="true: answer with each feature's mean and std too")]


@router.post("/streams/{stream_id}/readings", **described(ReadingBody, ReadingAnswer, "stream-not-found", *PROBLEMS))
async def observe(
    ctx: Ctx, request: Request, stream_id: StreamId, *, learn: Learn = True, stats: Stats = False
) -> Response:
    """Observe one reading: normalize it and learn from it."""
    body = bodies.checked(ReadingBody, await bodies.json_object(request, ctx.max_reading_bytes))
    one = bodies.to_reading(body, ctx.service.limits)
    call = ctx.service.observe if learn else ctx.service.normalize
    return bodies.encoded(answers.of_reading(stream_id, one, await call(stream_id, one, stats=stats)))


@router.post(
    "/streams/{stream_id}/denormalize",
    **described(ValuesBody, ValuesAnswer, "stream-not-found", "cannot-invert", "invalid-reading", "invalid-request"),
)
async def denormalize(ctx: Ctx, request: Request, stream_id: StreamId) -> Response:
    """Turn normalized values back into the sensor's units, by today's statistics."""
    body = bodies.checked(ValuesBody, await bodies.json_object(request, ctx.max_reading_bytes))
    one = reading(body.values, ctx.service.limits)
    values = await ctx.service.denormalize(stream_id, one)
    return bodies.encoded({"stream": stream_id, "values": answers.shaped(one, values)})


@router.post(
    "/streams/{stream_id}/bulk",
    **described(
        BlockBody,
        BlockAnswerBody,
        "stream-not-found",
        "not-acceptable",
        *PROBLEMS,
        lines=(ReadingBody, ReadingAnswer),
    ),
)
async def observe_bulk(ctx: Ctx, request: Request, stream_id: StreamId, *, learn: Learn = True) -> Response:
    """Observe a block of one stream's readings, in order; a bad row refuses the whole block."""
    media = bodies.media_type(request, bodies.JSON, bodies.NDJSON)
    bodies.accepted(request, media, media)
    data = await bodies.raw(request, ctx.max_block_bytes)
    if media == bodies.NDJSON:
        found = [bodies.checked(ReadingBody, item, f"/{row}") for row, item in enumerate(bodies.lines(data))]
        given = await _observed(ctx, [stream_id] * len(found), found, "", learn=learn)
        return bodies.encoded_lines(given)
    block = _block(bodies.checked(BlockBody, bodies.json(data)))
    call = ctx.service.observe_block if learn else ctx.service.normalize_block
    return bodies.encoded(answers.of_block(stream_id, block, await call(stream_id, block)))


@router.post(
    "/bulk",
    **described(ReadingsBody, ReadingsAnswer, "not-acceptable", *PROBLEMS, lines=(StreamReadingBody, ReadingAnswer)),
)
async def observe_many(ctx: Ctx, request: Request) -> Response:
    """Observe readings of many streams, in order within each stream; a bad one refuses them all."""
    media = bodies.media_type(request, bodies.JSON, bodies.NDJSON)
    bodies.accepted(request, media, media)
    data = await bodies.raw(request, ctx.max_block_bytes)
    if media == bodies.NDJSON:
        found = [bodies.checked(StreamReadingBody, item, f"/{row}") for row, item in enumerate(bodies.lines(data))]
        return bodies.encoded_lines(await _observed(ctx, [body.stream for body in found], found, ""))
    found = bodies.checked(ReadingsBody, bodies.json(data)).readings
    given = await _observed(ctx, [body.stream for body in found], found, "/readings")
    return bodies.encoded({"readings": given})


async def _observed(
    ctx: Context, stream_ids: list[str], found: Sequence[ReadingBody], prefix: str, *, learn: bool = True
) -> list[dict[str, Any]]:
    pointers = [f"{prefix}/{row}" for row in range(len(found))]
    made = (bodies.to_reading(body, ctx.service.limits, at) for body, at in zip(found, pointers, strict=True))
    readings = list(zip(stream_ids, made, strict=True))
    if learn:
        given = await ctx.service.observe_readings(readings, pointers)
    else:
        given = [await ctx.service.normalize(stream_id, one) for stream_id, one in readings]
    return [answers.of_reading(*pair, answer) for pair, answer in zip(readings, given, strict=True)]


def _block(body: BlockBody) -> Block:
    values = table(body.values)
    names = ordinals(values.shape[1]) if body.features is None else tuple(body.features)
    times = None if body.timestamps is None else np.array(body.timestamps, dtype=np.float64)
    return Block(names, values, times, body.first_seq)

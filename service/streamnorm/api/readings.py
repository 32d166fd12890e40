"""The calls that take readings: observe, normalize, denormalize; one at a time and in blocks."""

from __future__ import annotations

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
from streamnorm.engine.block import Block, BlockAnswer, normalize_block, observe_block, observe_readings
from streamnorm.engine.reading import Answer, Reading, ordinals, reading
from streamnorm.engine.stream import Stream
from streamnorm.engine.table import table
from streamnorm.errors import StaleSequence

router = APIRouter(prefix="/v1", tags=["readings"])

Learn = Annotated[bool, Query(description="false: normalize only, and leave the statistics as they are")]
Stats = Annotated[bool, Query(description="true: answer with each feature's mean and std too")]
#: Blocks of fewer values are worked on at once: the way to another thread and back costs about as much.
HEAVY = 10_000


@router.post("/streams/{stream_id}/readings", **described(ReadingBody, ReadingAnswer, 404, 409, 413, 422))
async def observe(
    ctx: Ctx, request: Request, stream_id: StreamId, *, learn: Learn = True, stats: Stats = False
) -> Response:
    """Observe one reading: normalize it and learn from it."""
    body = bodies.checked(ReadingBody, await bodies.json_object(request, ctx.max_reading_bytes))
    one = bodies.to_reading(body, ctx.limits)
    now = ctx.clock()

    def answer(stream: Stream) -> dict[str, Any]:
        given = stream.observe(one, now, ctx.limits) if learn else stream.normalize(one)
        found = answers.of_reading(stream_id, one, given)
        return answers.with_stats(stream, one, found) if stats else found

    result = await (ctx.streams.update(stream_id, answer) if learn else ctx.streams.read(stream_id, answer))
    ctx.metrics.readings.inc(learn)
    return bodies.encoded(result)


@router.post("/streams/{stream_id}/denormalize", **described(ValuesBody, ValuesAnswer, 404, 413, 422))
async def denormalize(ctx: Ctx, request: Request, stream_id: StreamId) -> Response:
    """Turn normalized values back into the sensor's units, by today's statistics."""
    body = bodies.checked(ValuesBody, await bodies.json_object(request, ctx.max_reading_bytes))
    one = reading(body.values, ctx.limits)
    values = await ctx.streams.read(stream_id, lambda stream: stream.denormalize(one))
    return bodies.encoded({"stream": stream_id, "values": answers.shaped(one, values)})


@router.post(
    "/streams/{stream_id}/bulk",
    **described(BlockBody, BlockAnswerBody, 404, 406, 409, 413, 415, 422, lines=ReadingBody),
)
async def observe_bulk(ctx: Ctx, request: Request, stream_id: StreamId, *, learn: Learn = True) -> Response:
    """Observe a block of one stream's readings, in order; a bad row refuses the whole block."""
    media = bodies.media_type(request, bodies.JSON, bodies.NDJSON)
    bodies.accepted(request, media, media)
    data = await bodies.raw(request, ctx.max_block_bytes)
    if media == bodies.NDJSON:
        return await _observe_lines(ctx, stream_id, data, learn=learn)
    block = _block(bodies.checked(BlockBody, bodies.json(data)))
    now = ctx.clock()

    def change(stream: Stream) -> BlockAnswer:
        return (observe_block if learn else normalize_block)(stream, block, now, ctx.limits)

    if learn:
        result = await ctx.streams.update(stream_id, change, draft=True, heavy=block.values.size > HEAVY)
        ctx.metrics.readings.inc(len(block.values))
    else:
        result = await ctx.streams.read(stream_id, change)
    return bodies.encoded(answers.of_block(stream_id, block, result))


@router.post("/bulk", **described(ReadingsBody, ReadingsAnswer, 404, 406, 409, 413, 415, 422, lines=StreamReadingBody))
async def observe_many(ctx: Ctx, request: Request) -> Response:
    """Observe readings of many streams, in order within each stream; a bad one refuses them all."""
    media = bodies.media_type(request, bodies.JSON, bodies.NDJSON)
    bodies.accepted(request, media, media)
    data = await bodies.raw(request, ctx.max_block_bytes)
    if media == bodies.NDJSON:
        prefix = ""
        found = [bodies.checked(StreamReadingBody, item, f"/{row}") for row, item in enumerate(bodies.lines(data))]
    else:
        prefix = "/readings"
        found = bodies.checked(ReadingsBody, bodies.json(data)).readings
    readings = [bodies.to_reading(body, ctx.limits, f"{prefix}/{row}") for row, body in enumerate(found)]
    rows: dict[str, list[int]] = {}
    for row, body in enumerate(found):
        rows.setdefault(body.stream, []).append(row)
    given = await ctx.streams.update_many(
        {stream_id: _change(ctx, stream_id, readings, group, prefix) for stream_id, group in rows.items()}
    )
    ctx.metrics.readings.inc(len(readings))
    result: list[Any] = [None] * len(readings)
    for stream_id, group in rows.items():
        for row, answer in zip(group, given[stream_id], strict=True):
            result[row] = answers.of_reading(stream_id, readings[row], answer)
    return bodies.encoded_lines(result) if media == bodies.NDJSON else bodies.encoded({"readings": result})


def _change(ctx: Context, stream_id: str, readings: list[Reading], rows: list[int], prefix: str) -> Any:
    now = ctx.clock()

    def change(draft: Stream) -> list[Answer]:
        try:
            group = [readings[row] for row in rows]
            return observe_readings(draft, group, now, ctx.limits, [f"{prefix}/{row}" for row in rows])
        except StaleSequence as error:
            raise StaleSequence(error.seq, error.last_seq, stream_id) from None

    return change


async def _observe_lines(ctx: Context, stream_id: str, data: bytes, *, learn: bool) -> Response:
    found = [bodies.checked(ReadingBody, item, f"/{row}") for row, item in enumerate(bodies.lines(data))]
    readings = [bodies.to_reading(body, ctx.limits, f"/{row}") for row, body in enumerate(found)]
    now = ctx.clock()
    pointers = [f"/{row}" for row in range(len(readings))]

    def observed(stream: Stream) -> list[Answer]:
        return observe_readings(stream, readings, now, ctx.limits, pointers)

    def normalized(stream: Stream) -> list[Answer]:
        return [stream.normalize(one) for one in readings]

    if learn:
        heavy = sum(len(one.names) for one in readings) > HEAVY
        result = await ctx.streams.update(stream_id, observed, draft=True, heavy=heavy)
        ctx.metrics.readings.inc(len(readings))
    else:
        result = await ctx.streams.read(stream_id, normalized)
    return bodies.encoded_lines(
        [answers.of_reading(stream_id, one, answer) for one, answer in zip(readings, result, strict=True)]
    )


def _block(body: BlockBody) -> Block:
    values = table(body.values)
    names = ordinals(values.shape[1]) if body.features is None else tuple(body.features)
    times = None if body.timestamps is None else np.array(body.timestamps, dtype=np.float64)
    return Block(names, values, times, body.first_seq)

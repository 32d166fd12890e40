"""The calls that take many readings at once: as JSON, as NDJSON, as NumPy's arrays."""

from __future__ import annotations

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from streamnorm.api import answers, arrays, bodies, npy, senml, tensor
from streamnorm.api.access import check_streams
from streamnorm.api.context import Caller, Context, Ctx, StreamId
from streamnorm.api.lines import LineAnswers
from streamnorm.api.openapi import described
from streamnorm.api.readings import PROBLEMS, Learn
from streamnorm.api.schemas import (
    BlockAnswerBody,
    BlockBody,
    ReadingAnswer,
    ReadingBody,
    ReadingsAnswer,
    ReadingsBody,
    StreamReadingBody,
)
from streamnorm.api.talk import Lines
from streamnorm.api.texts import Parser
from streamnorm.engine.block import Block
from streamnorm.engine.limits import LARGEST_SEQ
from streamnorm.engine.reading import Array, ordinals
from streamnorm.engine.table import table
from streamnorm.stores.keys import Key

router = APIRouter(prefix="/v1", tags=["readings"])

#: Readings that are normalized before others have their turn: some five milliseconds.
AT_ONCE = 1000

Streaming = Annotated[
    bool, Query(description="true, with NDJSON both ways: answer each line as it is applied, while more are being sent")
]


@router.post(
    "/streams/{stream_id}/bulk",
    **senml.described_too(
        described(
            BlockBody,
            BlockAnswerBody,
            "stream-not-found",
            "not-acceptable",
            *PROBLEMS,
            lines=(ReadingBody, ReadingAnswer),
            arrays=npy.NPY,
        )
    ),
)
async def observe_bulk(
    ctx: Ctx,
    request: Request,
    stream_id: StreamId,
    *,
    learn: Learn = True,
    streaming: Streaming = False,
    features: Annotated[str | None, Query(description="with npy: names of the columns, separated by commas")] = None,
    first_seq: Annotated[int | None, Query(ge=0, le=LARGEST_SEQ, description="with npy: numbers the rows")] = None,
) -> Response:
    """Observe a block of one stream's readings, in order; a bad row refuses the whole block."""
    if senml.sent(request):
        return await senml.observe(ctx, request, stream_id, ctx.max_block_bytes, learn=learn)
    parse = Parser(ctx.service.limits, stream_id)
    if streaming:
        return _streamed(ctx, request, parse, learn=learn)
    media = bodies.media_type(request, bodies.JSON, bodies.NDJSON, npy.NPY)
    if media == bodies.NDJSON:
        bodies.accepted(request, media, media)
        return await _lines(ctx, request, parse, learn=learn)
    answer_media = bodies.accepted(request, media, bodies.JSON, npy.NPY)
    if media == npy.NPY:
        body = await arrays.received(request, ctx.max_binary_bytes)
        values = await bodies.aside(len(body), lambda: npy.from_npy(body))
        block = _of_array(npy.table_of(values, "the body", "rows", "features"), features, first_seq)
    else:
        data = await bodies.raw(request, ctx.max_block_bytes)
        block = await bodies.aside(len(data), lambda: _block(bodies.checked(BlockBody, bodies.json(data))))
    call = ctx.service.observe_block if learn else ctx.service.normalize_block
    answer = await call(stream_id, block)
    if answer_media == npy.NPY:
        said = answers.of_block(stream_id, block, answer)
        return arrays.Pieces(npy.to_npy(said.pop("values")), npy.NPY, answers.as_headers(said))
    return await bodies.aside(answer.values.nbytes, lambda: bodies.encoded(answers.of_block(stream_id, block, answer)))


@router.post(
    "/bulk",
    **described(
        ReadingsBody,
        ReadingsAnswer,
        "not-acceptable",
        *PROBLEMS,
        lines=(StreamReadingBody, ReadingAnswer),
        arrays=arrays.NPZ,
    ),
)
async def observe_many(ctx: Ctx, caller: Caller, request: Request, *, streaming: Streaming = False) -> Response:
    """Observe readings of many streams, in order within each stream; a bad one refuses them all."""
    parse = Parser(ctx.service.limits, caller=caller)
    if streaming:
        return _streamed(ctx, request, parse)
    media = bodies.media_type(request, bodies.JSON, bodies.NDJSON, arrays.NPZ)
    bodies.accepted(request, media, media)
    if media == bodies.NDJSON:
        return await _lines(ctx, request, parse)
    if media == arrays.NPZ:
        return await _tensor(ctx, caller, request)
    found = bodies.checked(ReadingsBody, bodies.json(await bodies.raw(request, ctx.max_block_bytes))).readings
    check_streams(caller, (body.stream for body in found))
    pointers = [f"/readings/{row}" for row in range(len(found))]
    readings = [
        (body.stream, bodies.to_reading(body, ctx.service.limits, at)) for body, at in zip(found, pointers, strict=True)
    ]
    given = await ctx.service.observe_readings(readings, pointers)
    return bodies.encoded(
        {"readings": [answers.of_reading(*pair, one) for pair, one in zip(readings, given, strict=True)]}
    )


def _streamed(ctx: Context, request: Request, parse: Parser, *, learn: bool = True) -> Response:
    """Answer NDJSON line by line, while it is still being sent."""
    bodies.media_type(request, bodies.NDJSON)
    bodies.accepted(request, bodies.NDJSON, bodies.NDJSON)
    limit = ctx.max_reading_bytes
    talk = Lines(ctx.service, parse, limit, ctx.metrics.refused, learn=learn)
    return LineAnswers(talk, bodies.unpacked(request), limit)


async def _lines(ctx: Context, request: Request, parse: Parser, *, learn: bool = True) -> Response:
    """Answer NDJSON as a whole, or refuse it as a whole."""
    data = await bodies.raw(request, ctx.max_block_bytes)
    readings = await bodies.aside(len(data), lambda: parse.lines(data))
    if learn:
        given = await ctx.service.observe_readings(readings, [f"/{row}" for row in range(len(readings))])
    else:
        given = []
        for row, (stream_id, one) in enumerate(readings):
            if row % AT_ONCE == 0:
                await asyncio.sleep(0)
            given.append(await ctx.service.normalize(stream_id, one))
    said = (answers.of_reading(*pair, answer) for pair, answer in zip(readings, given, strict=True))
    return await bodies.aside(len(data), lambda: bodies.encoded_lines(said))


async def _tensor(ctx: Context, caller: Key, request: Request) -> Response:
    """Answer the arrays `streams` (N names) and `values` (N × T × F)."""
    body = await arrays.received(request, ctx.max_binary_bytes)
    out, blocks = tensor.blocks_of(await bodies.aside(len(body), lambda: arrays.from_npz(body, tensor.MEMBERS)))
    check_streams(caller, blocks)
    found = tensor.answer(out, await ctx.service.observe_blocks(blocks))
    return arrays.Pieces(await bodies.aside(out.nbytes, lambda: arrays.to_npz(found)), arrays.NPZ)


def _block(body: BlockBody) -> Block:
    values = table(body.values)
    names = ordinals(values.shape[1]) if body.features is None else tuple(body.features)
    times = None if body.timestamps is None else np.array(body.timestamps, dtype=np.float64)
    return Block(names, values, times, body.first_seq)


def _of_array(values: Array, features: str | None, first_seq: int | None) -> Block:
    names = ordinals(values.shape[1]) if features is None else tuple(features.split(","))
    return Block(names, values, None, first_seq)

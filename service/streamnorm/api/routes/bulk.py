"""The calls that take many readings at once: as JSON, as NDJSON, as NumPy's arrays."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from streamnorm.api import arrays, bodies, forms, tensor
from streamnorm.api.arrays import NPZ
from streamnorm.api.bodies import JSON, NDJSON
from streamnorm.api.dependencies import AppState, Caller, Ctx, StreamId
from streamnorm.api.lines import LineAnswers
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.api.npy import NPY
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.routes import senml
from streamnorm.api.routes.readings import PROBLEMS, Learn
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
from streamnorm.auth.api_keys import ApiKey
from streamnorm.engine.limits import LARGEST_SEQ
from streamnorm.engine.reading import Answer

router = APIRouter(prefix="/v1", tags=["readings"])

#: Readings that are normalized before others have their turn: some five milliseconds.
AT_ONCE = 1000

Streaming = Annotated[
    bool, Query(description="true, with NDJSON both ways: answer each line as it is applied, while more are being sent")
]


@router.post(
    "/streams/{stream_id}/bulk",
    **senml.described_too(
        describe_route(
            BlockBody,
            BlockAnswerBody,
            "stream-not-found",
            "not-acceptable",
            *PROBLEMS,
            lines=(ReadingBody, ReadingAnswer),
            arrays=NPY,
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
    """Observe a block of one stream's readings, in order; a bad row refuses the whole block.

    The answer comes in the form that `Accept` asks for, by default in the form sent: NDJSON has a reading a line; JSON
    and npy are a table, npy with the counters as headers. Readings that differ in their features, or have channels,
    make no table, and are answered as NDJSON only.
    """
    if senml.sent(request):
        return await senml.observe(ctx, request, stream_id, ctx.max_block_bytes, learn=learn)
    parse = Parser(ctx.service.limits, stream_id)
    if streaming:
        return _streamed(ctx, request, parse, learn=learn)
    sent, wanted = forms.negotiated(request, JSON, NDJSON, NPY)
    if sent == NDJSON:
        readings, places = await forms.lines(ctx, request, parse)
        wanted = forms.still(wanted, request, readings)
        given = await (ctx.service.observe_readings(readings, places) if learn else _normalized(ctx, readings))
        return await forms.answer_one(stream_id, readings, given, wanted)
    block = await forms.block(ctx, request, sent, features, first_seq)
    answer = await (ctx.service.observe_block if learn else ctx.service.normalize_block)(stream_id, block)
    return await forms.answer_block(stream_id, block, answer, wanted)


@router.post(
    "/bulk",
    **describe_route(
        ReadingsBody,
        ReadingsAnswer,
        "not-acceptable",
        *PROBLEMS,
        lines=(StreamReadingBody, ReadingAnswer),
        arrays=NPZ,
    ),
)
async def observe_many(
    ctx: Ctx, caller: Caller, request: Request, *, learn: Learn = True, streaming: Streaming = False
) -> Response:
    """Observe readings of many streams, in order within each stream; a bad one refuses them all.

    The answer comes in the form that `Accept` asks for, by default in the form sent: JSON and NDJSON stand for each
    other, npz is answered as npz.
    """
    parse = Parser(ctx.service.limits, caller=caller)
    if streaming:
        return _streamed(ctx, request, parse, learn=learn)
    sent, wanted = forms.negotiated(request, JSON, NDJSON, NPZ)
    if sent == NPZ:
        return await _tensor(ctx, caller, request, learn=learn)
    readings, places = await (
        forms.lines(ctx, request, parse) if sent == NDJSON else forms.listed(ctx, request, caller)
    )
    given = await (ctx.service.observe_readings(readings, places) if learn else _normalized(ctx, readings))
    return await forms.answer_many(readings, given, wanted)


def _streamed(ctx: AppState, request: Request, parse: Parser, *, learn: bool = True) -> Response:
    """Answer NDJSON line by line, while it is still being sent."""
    forms.negotiated(request, NDJSON)
    limit = ctx.max_reading_bytes
    talk = Lines(ctx.service, parse, limit, ctx.metrics.refused, learn=learn)
    return LineAnswers(talk, bodies.unpacked(request), limit, request.scope.get("exchange"))


async def _normalized(ctx: AppState, readings: forms.Readings) -> list[Answer]:
    given = []
    for row, (stream_id, one) in enumerate(readings):
        if row % AT_ONCE == 0:
            await asyncio.sleep(0)
        given.append(await ctx.service.normalize(stream_id, one))
    return given


async def _tensor(ctx: AppState, caller: ApiKey, request: Request, *, learn: bool) -> Response:
    """Answer the arrays `streams` (N names) and `values` (N × T × F)."""
    body = await arrays.received(request, ctx.max_binary_bytes)
    out, blocks = tensor.blocks_of(await bodies.aside(len(body), lambda: arrays.from_npz(body, tensor.MEMBERS)))
    check_streams(caller, blocks)
    if learn:
        given = await ctx.service.observe_blocks(blocks)
    else:
        given = {name: await ctx.service.normalize_block(name, block) for name, block in blocks.items()}
    found = tensor.answer(out, given)
    return arrays.Pieces(await bodies.aside(out.nbytes, lambda: arrays.to_npz(found)), NPZ)

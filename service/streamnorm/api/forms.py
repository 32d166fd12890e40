"""The forms that many readings come and go in: NDJSON has one a line, JSON of one stream and npy are a table.

What was sent decides how the readings are observed; what was asked for, only how the answer is written. npz, the tables
of many streams, is answered in npz.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from fastapi import Request, Response

from streamnorm.api import answers, arrays, bodies, npy
from streamnorm.api.arrays import NPZ
from streamnorm.api.bodies import JSON, NDJSON
from streamnorm.api.dependencies import AppState
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.api.npy import NPY
from streamnorm.api.schemas import BlockBody, ReadingsBody
from streamnorm.api.texts import Parser
from streamnorm.auth.api_keys import ApiKey
from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.blocks.convert import concatenate, have_equal_features, table_rows
from streamnorm.engine.blocks.parse import parse_number_rows
from streamnorm.engine.reading import Answer, Reading, ordinal_names

#: readings, each with its stream
Readings = Sequence[tuple[str, Reading]]
#: of JSON, about
LINE = 100


def negotiated(request: Request, *forms: str) -> tuple[str, str]:
    """Tell which of a call's forms was sent, and which to answer in: the one asked for, by default the one sent."""
    sent = bodies.media_type(request, *forms)
    offered = [NPZ] if sent == NPZ else [form for form in forms if form != NPZ]
    return sent, bodies.accepted(request, sent, *offered, to=sent)


def still(wanted: str, request: Request, readings: Readings) -> str:
    """Return the form to answer one stream's readings in: the one wanted, unless they make no table."""
    if wanted == NDJSON or have_equal_features([one for _, one in readings]):
        return wanted
    return bodies.accepted(request, NDJSON, NDJSON, to="readings that make no table")


async def lines(ctx: AppState, request: Request, parse: Parser) -> tuple[Readings, list[str]]:
    """Read NDJSON; returns the readings, and the place of each in errors."""
    data = await bodies.raw(request, ctx.max_block_bytes)
    found = await bodies.aside(len(data), lambda: parse.lines(data))
    return found, [f"/{row}" for row in range(len(found))]


async def listed(ctx: AppState, request: Request, caller: ApiKey) -> tuple[Readings, list[str]]:
    """Read the JSON of many streams' readings; returns them, and the place of each in errors."""
    found = bodies.checked(ReadingsBody, bodies.json(await bodies.raw(request, ctx.max_block_bytes))).readings
    check_streams(caller, (body.stream for body in found))
    places = [f"/readings/{row}" for row in range(len(found))]
    limits = ctx.service.limits
    return [(body.stream, bodies.to_reading(body, limits, at)) for body, at in zip(found, places, strict=True)], places


async def block(ctx: AppState, request: Request, sent: str, features: str | None, first_seq: int | None) -> Block:
    """Read a table, as JSON or npy; the features and the first number are npy's."""
    if sent == JSON:
        data = await bodies.raw(request, ctx.max_block_bytes)
        return await bodies.aside(len(data), lambda: _of_json(bodies.checked(BlockBody, bodies.json(data))))
    body = await arrays.received(request, ctx.max_binary_bytes)
    found = await bodies.aside(len(body), lambda: npy.from_npy(body))
    values = npy.table_of(found, "the body", "rows", "features")
    names = ordinal_names(values.shape[1]) if features is None else tuple(features.split(","))
    return Block(names, values, None, first_seq)


def _of_json(body: BlockBody) -> Block:
    values = parse_number_rows(body.values)
    names = ordinal_names(values.shape[1]) if body.features is None else tuple(body.features)
    times = None if body.timestamps is None else np.array(body.timestamps, dtype=np.float64)
    return Block(names, values, times, body.first_seq)


async def answer_block(stream_id: str, block: Block, answer: BlockAnswer, wanted: str) -> Response:
    """Answer a block."""
    if wanted != NDJSON:
        last_seq = None if block.first_seq is None else block.last_seq
        return await _table(stream_id, block.names, answer, last_seq, wanted)
    as_arrays = block.names == ordinal_names(len(block.names))
    said = (answers.of_reading(stream_id, *row) for row in table_rows(block, answer, listed=as_arrays))
    return await bodies.aside(answer.values.nbytes, lambda: bodies.encoded_lines(said))


async def answer_one(stream_id: str, readings: Readings, given: Sequence[Answer], wanted: str) -> Response:
    """Answer readings of one stream."""
    if wanted == NDJSON:
        return await answer_many(readings, given, wanted)
    names, answer = concatenate([one for _, one in readings], given)
    return await _table(stream_id, names, answer, readings[-1][1].seq, wanted)


async def answer_many(readings: Readings, given: Iterable[Answer], wanted: str) -> Response:
    """Answer readings of many streams."""
    said = (answers.of_reading(*pair, answer) for pair, answer in zip(readings, given, strict=True))
    write = bodies.encoded_lines if wanted == NDJSON else lambda all_: bodies.encoded({"readings": list(all_)})
    return await bodies.aside(len(readings) * LINE, lambda: write(said))


async def _table(
    stream_id: str, names: tuple[str, ...], answer: BlockAnswer, last_seq: int | None, wanted: str
) -> Response:
    body = answers.of_block(stream_id, names, answer, last_seq)
    if wanted == NPY:
        return arrays.Pieces(npy.to_npy(body.pop("values")), NPY, answers.as_headers(body))
    return await bodies.aside(answer.values.nbytes, lambda: bodies.encoded(body))

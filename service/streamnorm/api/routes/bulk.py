"""Bulk routes: many readings as JSON, NDJSON, NumPy arrays or SenML."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from streamnorm.api.codecs.bulk import context_of, negotiate, observe_body
from streamnorm.api.codecs.json.readings import ReadingParser
from streamnorm.api.codecs.registry import OF_MANY, OF_STREAM, Codecs
from streamnorm.api.dependencies import AppState, Caller, Ctx, StreamId
from streamnorm.api.http.body import iter_decoded
from streamnorm.api.http.negotiation import NDJSON
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.routes.readings import PROBLEMS, Learn
from streamnorm.api.streaming.ndjson_response import NDJSONStreamingResponse
from streamnorm.api.streaming.sessions import LineSession
from streamnorm.engine.limits import LARGEST_SEQ

router = APIRouter(prefix="/v1", tags=["readings"])

Streaming = Annotated[
    bool, Query(description="true, with NDJSON both ways: answer each line as it is applied, while more are being sent")
]


@router.post(
    "/streams/{stream_id}/bulk",
    **describe_route(None, None, "stream-not-found", "not-acceptable", *PROBLEMS, codecs=OF_STREAM),
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
    """Observe a block of one stream's readings, in order; an invalid row rejects the whole block.

    The response has the media type that `Accept` asks for, by default that of the request: NDJSON has one reading per
    line; JSON and npy are tables, npy with the counters as headers. Readings that differ in their features, or have
    channels, do not form a table, and are answered as NDJSON only.
    """
    if streaming:
        return _streamed(ctx, request, OF_STREAM, ReadingParser(ctx.service.limits, stream_id), learn=learn)
    context = context_of(ctx, stream_id=stream_id, features=features, first_seq=first_seq)
    return await observe_body(ctx, request, OF_STREAM, context, learn=learn)


@router.post("/bulk", **describe_route(None, None, "stream-not-found", "not-acceptable", *PROBLEMS, codecs=OF_MANY))
async def observe_many(
    ctx: Ctx, caller: Caller, request: Request, *, learn: Learn = True, streaming: Streaming = False
) -> Response:
    """Observe readings of many streams, in order within each stream; an invalid one rejects them all.

    The response has the media type that `Accept` asks for, by default that of the request: JSON and NDJSON are
    interchangeable, npz is answered as npz.
    """
    if streaming:
        return _streamed(ctx, request, OF_MANY, ReadingParser(ctx.service.limits, caller=caller), learn=learn)
    return await observe_body(ctx, request, OF_MANY, context_of(ctx, caller=caller), learn=learn)


def _streamed(ctx: AppState, request: Request, codecs: Codecs, parse: ReadingParser, *, learn: bool = True) -> Response:
    """Answer NDJSON line by line, while the request is still being sent."""
    negotiate(request, codecs, NDJSON)
    limit = ctx.max_reading_bytes
    session = LineSession(ctx.service, parse, limit, ctx.metrics.refused, learn=learn)
    return NDJSONStreamingResponse(session, iter_decoded(request), limit, request.scope.get("exchange"))

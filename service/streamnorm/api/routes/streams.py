"""The routes that manage streams: list, describe, configure, snapshot, merge, reset, delete."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from streamnorm import advice
from streamnorm.advice.judge import Advice, feature_of
from streamnorm.api.codecs import serialize
from streamnorm.api.dependencies import Caller, Ctx, StreamId
from streamnorm.api.http.body import json_object
from streamnorm.api.http.responses import encoded
from streamnorm.api.middleware.authorization import restrict_prefix
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.schemas import (
    STREAM_CONFIGURATIONS,
    ConfiguredStream,
    StreamAdvice,
    StreamInfo,
    StreamPage,
    StreamProfile,
)
from streamnorm.engine.streams import snapshot
from streamnorm.engine.streams.feature_profile import kinds as feature_kinds
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.snapshot import Snapshot
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidConfiguration, InvalidSnapshot, StreamNotFound
from streamnorm.events.columns import columns

router = APIRouter(prefix="/v1/streams", tags=["streams"])

#: the problems of calls that require an existing stream
FOUND = ("stream-not-found", "invalid-request", "store-unavailable")
DEFAULT_PAGE = 100
LARGEST_PAGE = 1000


@router.get("", **describe_route(None, StreamPage, "invalid-request", "store-unavailable"))
async def list_streams(
    ctx: Ctx,
    caller: Caller,
    prefix: Annotated[str, Query(description="only ids that start with it")] = "",
    after: Annotated[str, Query(description="only ids beyond it: `next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="at most so many")] = DEFAULT_PAGE,
    *,
    kinds: Annotated[bool, Query(description="also count the features of each stream by kind of sensor")] = False,
) -> Response:
    """List streams in the order of their ids, in pages."""
    allowed = restrict_prefix(caller, prefix)
    streams = [] if allowed is None else await ctx.service.streams.page(allowed, after, limit + 1)
    page = [serialize.of_stream(stream_id, stream) for stream_id, stream in streams[:limit]]
    if kinds:
        for described, (stream_id, stream) in zip(page, streams[:limit], strict=True):
            described["kinds"] = Counter((feature_kinds(stream) | ctx.events.invalid(stream_id)).values())
            await asyncio.sleep(0)  # a look takes as long as a reading, and others wait
    return encoded({"streams": page, "next": page[-1]["stream"] if len(streams) > limit else None})


@router.get("/{stream_id}", **describe_route(None, StreamInfo, *FOUND))
async def describe(ctx: Ctx, stream_id: StreamId) -> Response:
    """Describe a stream: its configuration and counters."""
    return encoded(await ctx.service.streams.read(stream_id, lambda stream: serialize.of_stream(stream_id, stream)))


@router.put(
    "/{stream_id}",
    **describe_route(
        tuple(STREAM_CONFIGURATIONS.values()),
        ConfiguredStream,
        "invalid-configuration",
        "invalid-request",
        "store-unavailable",
        created=True,
    ),
)
async def configure(ctx: Ctx, request: Request, stream_id: StreamId) -> Response:
    """Create or reconfigure a stream; omitted members are as rules say, or the service's defaults.

    Statistics restart where they must, of those features only.
    """
    config = await json_object(request, ctx.max_reading_bytes, dict, wrong=InvalidConfiguration)
    ctx.service.check_configuration(stream_id, config)
    try:
        await ctx.service.streams.read(stream_id, lambda _: None)
        status = 200
    except StreamNotFound:
        status = 201
    stream, reason = await ctx.service.configure(stream_id, config)
    restarted = {"restarted": True, "reason": reason} if reason else {"restarted": False}
    return encoded(serialize.of_stream(stream_id, stream) | restarted, status)


@router.delete("/{stream_id}", status_code=204, **describe_route(None, None, *FOUND))
async def delete(ctx: Ctx, stream_id: StreamId) -> Response:
    """Delete a stream."""
    features = await ctx.service.streams.read(stream_id, lambda stream: tuple(stream.layout.names))
    await ctx.service.streams.delete(stream_id)
    ctx.events.discard(stream_id)
    ctx.bridges.forget(stream_id, features)
    return Response(status_code=204)


@router.get("/{stream_id}/profile", **describe_route(None, StreamProfile, *FOUND))
async def describe_features(ctx: Ctx, stream_id: StreamId) -> Response:
    """Tell what is known of each feature, and what kind of sensor it looks like."""
    now = ctx.service.clock()
    return encoded(
        await ctx.service.streams.read(stream_id, lambda stream: serialize.of_profile(stream_id, stream, now))
    )


@router.get("/{stream_id}/advice", **describe_route(None, StreamAdvice, *FOUND))
async def advise(ctx: Ctx, stream_id: StreamId) -> Response:
    """Say what somebody who knows sensors would do about the stream's features; nothing of it is applied."""
    past, now = columns(ctx.events.past(stream_id)), ctx.service.clock()

    def judge(stream: Stream) -> list[Advice]:
        return advice.advise(
            {
                name: feature_of(stream, name, each, past[name].values, past[name].times)
                for name, each in profile(stream, now).items()
                if name in past
            }
        )

    found = await ctx.service.streams.read(stream_id, judge)
    items = [each._asdict() for each in found]
    return encoded({"stream": stream_id, "advice": items, "toml": advice.to_toml(stream_id, found)})


@router.post("/{stream_id}/reset", **describe_route(None, StreamInfo, *FOUND))
async def reset(ctx: Ctx, stream_id: StreamId) -> Response:
    """Discard the statistics; the configuration and the sequence numbers are kept."""
    return encoded(serialize.of_stream(stream_id, await ctx.service.reset(stream_id)))


@router.get("/{stream_id}/snapshot", **describe_route(None, Snapshot, *FOUND))
async def export(ctx: Ctx, stream_id: StreamId) -> Response:
    """Export a stream's whole state."""
    return encoded(await ctx.service.streams.read(stream_id, snapshot.export))


@router.put(
    "/{stream_id}/snapshot",
    **describe_route(
        Snapshot,
        StreamInfo,
        "invalid-snapshot",
        "invalid-request",
        "limit-exceeded",
        "store-unavailable",
        created=True,
    ),
)
async def restore(ctx: Ctx, request: Request, stream_id: StreamId) -> Response:
    """Restore an exported state, replacing that of the stream or creating it."""
    data = await json_object(request, ctx.max_block_bytes, dict, wrong=InvalidSnapshot)
    stream, created = await ctx.service.restore(stream_id, data)
    return encoded(serialize.of_stream(stream_id, stream), 201 if created else 200)


@router.post(
    "/{stream_id}/merge",
    **describe_route(Snapshot, StreamInfo, "invalid-snapshot", "cannot-merge", "limit-exceeded", *FOUND),
)
async def merge(ctx: Ctx, request: Request, stream_id: StreamId) -> Response:
    """Merge an exported state, as if its readings had been observed here, too."""
    data = await json_object(request, ctx.max_block_bytes, dict, wrong=InvalidSnapshot)
    return encoded(serialize.of_stream(stream_id, await ctx.service.merge(stream_id, data)))

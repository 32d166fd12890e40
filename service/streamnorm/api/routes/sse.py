"""Server-sent events: readings, as they are observed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator

from streamnorm.api.dependencies import Caller, Ctx
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.http.responses import dumps
from streamnorm.api.middleware.authorization import check_streams, restrict_prefix
from streamnorm.api.openapi.document import describe_route
from streamnorm.engine.names import checked_stream_id
from streamnorm.errors import Forbidden
from streamnorm.events.buffers import Subscription
from streamnorm.events.event import ReadingEvent
from streamnorm.events.hub import EventHub

router = APIRouter(prefix="/v1", tags=["events"])

MEDIA_TYPE = "text/event-stream"
#: Seconds during which events are batched before they are sent.
PAUSE = 0.05
#: Seconds between summaries of all streams.
SUMMARY = 1.0
#: Seconds without events after which a comment is sent, so that proxies and clients keep the connection open.
SILENCE = 15.0
#: Bytes per write: later events are encoded only when earlier ones were sent, which bounds the memory.
PIECE = 8 * 1024
#: Encoded events that are kept for other subscribers, those of at most so many bytes before: about a megabyte in all.
SHARED, SHARED_BYTES = 1024, 512
#: Features of a stream in a summary.
SUMMARY_FEATURES = 4

EXAMPLE = (
    'event: reading\ndata: {"stream":"boiler-7","time":1795338000.0,"count":1234,"ready":true,'
    '"values":{"temp":21.4,"door":0.0},"normalized":{"temp":0.18,"door":-0.53}}\n\n'
)
DESCRIBED = describe_route(None, None, "invalid-request")
DESCRIBED["responses"][200] = {
    "description": "Events, as they come",
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": EXAMPLE}},
}
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # proxies must not buffer
StreamName = Annotated[str, AfterValidator(checked_stream_id)]


@router.get("/events", response_class=Response, **DESCRIBED)
async def events(
    ctx: Ctx,
    caller: Caller,
    request: Request,
    stream: Annotated[list[StreamName] | None, Query(description="only these; may be given several times")] = None,
    prefix: Annotated[str, Query(description="only streams whose ids start with it")] = "",
    *,
    history: Annotated[bool, Query(description="begin with the recent past of the named streams")] = False,
    latest: Annotated[bool, Query(description="once a second, send the latest reading of every stream")] = False,
) -> Response:
    """Follow readings, with their normalized values, as server-sent events, until either side closes the connection.

    - `history`: `{"stream", "readings": […]}`, first, with `history=true`: the recent readings of each named stream.
    - `reading`: `{"stream", "time", "count", "ready", "values", "normalized"}`, occasionally with `"mean"` and `"std"`;
      time is in seconds since 1970, a channel is represented by the mean of its elements.
    - `latest`: `{"streams": […]}`, where `latest=true`: once a second, the counters and first few values of each
      stream that has had a reading since; then the other events are of named streams only.
    - `kind`: `{"stream", "feature", "was", "kind", "time"}`: a feature became another kind of sensor: stuck, constant,
      drifting, alive again; or `invalid`: it sends nothing but missing values. Looked for once a second at most,
      in streams of more than 256 features every features/256 seconds.
    - `dropped`: `{"readings": n}`: the reader was too slow for its bounded queue, and the oldest went.
    - `end`: `{"reason"}`: the service stops, and you may come back later; or the key is good no more.
    """
    named = stream or []
    check_streams(caller, named)
    allowed = restrict_prefix(caller, prefix)
    if allowed is None:
        raise Forbidden(f"the key {caller.name!r} is for streams whose ids begin with {caller.prefix!r}")
    glance = allowed if latest else None
    subscription = ctx.events.subscribe(frozenset(named) if stream or latest else None, allowed, glance)
    exchange: RequestState | None = request.scope.get("exchange")
    if exchange is not None:
        exchange.on_revoked(lambda error: subscription.end(str(error)))
    past = [name for name in named if subscription.wants(name)] if history else []
    sent = event_stream(ctx.events, subscription, past)
    return StreamingResponse(sent, media_type=MEDIA_TYPE, headers=HEADERS)


async def event_stream(hub: EventHub, subscription: Subscription, past: list[str]) -> AsyncIterator[bytes]:
    """Yield encoded events from the `hub` until the `subscription` ends, lazily, in pieces of about `PIECE` bytes.

    `past` names the streams whose recent readings come first.
    """
    with subscription:
        yield b": streamnorm\n\n"
        for name in past:
            for piece in gathered(listed("history", "readings", map(ReadingEvent.event, hub.past(name)), stream=name)):
                yield piece
        last_sent = time.monotonic()
        glanced, seen = -math.inf, 0
        while not subscription.ended:
            changes = (encode_event("kind", **change._asdict()) for change in subscription.take_changes())
            parts: Iterator[bytes] = itertools.chain(queued(subscription), changes)
            now = time.monotonic()
            if subscription.glance is not None and now - glanced >= SUMMARY:
                names = [row.stream for row in hub.latest(seen, subscription.glance)]
                parts = itertools.chain(parts, glance(hub, names)) if names else parts
                glanced, seen = now, hub.number
            for piece in gathered(parts):
                yield piece
                last_sent = now
            if now - last_sent >= SILENCE:
                yield b":\n\n"
                last_sent = now
            await pause(subscription)
        yield encode_event("end", reason=subscription.reason)


async def pause(subscription: Subscription) -> None:
    """Wait for events, then a little longer, so that further ones are sent together with them."""
    for event, seconds in ((subscription.full, PAUSE), (subscription.wake, SUMMARY - PAUSE)):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


def queued(subscription: Subscription) -> Iterator[bytes]:
    """Yield the encoded events that are queued for a subscriber."""
    for _ in range(len(subscription.rows)):
        row, dropped = subscription.take_one()
        if dropped:
            yield encode_event("dropped", readings=dropped)
        if row is not None:
            yield encoded(row) if len(row.packed) <= SHARED_BYTES else encode_event("reading", **row.event())


@functools.lru_cache(maxsize=SHARED)
def encoded(row: ReadingEvent) -> bytes:
    """Return the encoded event of a reading, which is the same for all of its subscribers."""
    return encode_event("reading", **row.event())


def glance(hub: EventHub, names: list[str]) -> Iterator[bytes]:
    """Yield the encoded summary of the latest readings of streams."""
    rows = filter(None, map(hub.newest, names))
    return listed("latest", "streams", (row.summary(SUMMARY_FEATURES) for row in rows))


def listed(event: str, member: str, items: Iterable[Any], **data: Any) -> Iterator[bytes]:
    """Encode an `event` incrementally: the object `data` and, as its last member, the list of `items`."""
    head = b"event: " + event.encode() + b"\ndata: " + dumps({**data, member: []})[:-2]
    for item in items:
        yield head + dumps(item)
        head = b","
    yield (b"" if head == b"," else head) + b"]}\n\n"


def gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join parts to pieces of about `PIECE` bytes."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def encode_event(event: str, **data: Any) -> bytes:
    """Encode one event."""
    return b"event: " + event.encode() + b"\ndata: " + dumps(data) + b"\n\n"

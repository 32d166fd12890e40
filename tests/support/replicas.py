"""What the replicas' tests start replicas with, and ask of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.stores.redis.streams import SharedStreams

#: Starts a replica, on the test's own keys where no other prefix is given.
Start = Callable[..., Awaitable[SharedStreams]]

NOW = 1_795_338_000.0
LIMITS = Limits()

Change = Callable[[Stream], Answer]


def observing(x: object, seq: int | None = None) -> Change:
    """Return the change that observes a reading."""
    return lambda stream: stream.observe(parse_reading({"x": x}, LIMITS, seq=seq), NOW, LIMITS)


async def count(replica: SharedStreams, stream_id: str) -> int:
    """Read how many readings a stream has."""
    return await replica.read(stream_id, lambda stream: stream.count)

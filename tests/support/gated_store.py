"""Streams in memory over a store whose saves can be held up, or made to fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.engine.reading import Answer, parse_reading
from streamnorm.engine.state.layout import COUNT
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading, StoreUnavailable
from streamnorm.stores.codec import decode
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams

DEFAULT = plan(configuration({}, {}))
LIMITS = Limits()


class GatedStore(MemoryStore):
    """A store whose saves wait while the gate is closed, and fail while `failing`; it counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.failing = False
        self.saves: list[set[str]] = []
        self.attempts = 0
        self.closed = False

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Save once the gate is open."""
        self.attempts += 1
        self.entered.set()
        assert self.gate.wait(60)
        if self.failing:
            raise StoreUnavailable("the disk is full")
        self.saves.append(set(changes))
        super().save(changes)

    def close(self) -> None:
        """Note it."""
        self.closed = True


def observed(x: float, seq: int | None = None) -> Callable[[Stream], Answer]:
    """Build a change that observes one reading."""
    one = parse_reading([x], LIMITS, seq=seq)
    return lambda stream: stream.observe(one, 1.0, LIMITS)


def refused(stream: Stream) -> None:
    """Change a draft, and find that it cannot be."""
    stream.state[COUNT] = 99.0
    raise InvalidReading.at("/values", "wrong")


def count(stream: Stream) -> int:
    """Inspect a stream's count."""
    return stream.count


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has come about."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what happens in another thread sets no asyncio.Event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def started(store: MemoryStore, durability: Durability = "no") -> AsyncIterator[WriteBehindStreams]:
    """Start, and stop afterwards."""
    streams = WriteBehindStreams(store, DEFAULT, durability=durability)
    await streams.start()
    try:
        yield streams
    finally:
        await streams.stop()


def kept(store: MemoryStore, stream_id: str) -> int | None:
    """Count the readings of a stream that the store has."""
    blob = store.load(stream_id)
    return None if blob is None else decode(stream_id, blob).count

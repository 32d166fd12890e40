"""What is observed by other replicas, for those who watch here; and what is observed here, for those who watch there.

Rules:

1. Nobody watches: nothing is sent. A replica somebody watches at says once a second what is wanted, to all others, on
   one channel; those send what is wanted, and only that, to a channel of the watcher's own.
2. Everything is bounded by the same queues that readers have; what is full drops its oldest.
3. What was relayed is never relayed again.
4. Readings do not wait for any of this, and nothing of it is needed for them to be right.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import struct
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from streamnorm.bridges.bridge import State
from streamnorm.errors import StoreUnavailable
from streamnorm.events.buffers import Subscription
from streamnorm.events.event import MOST_BYTES, ReadingEvent
from streamnorm.events.hub import EventHub
from streamnorm.stores.redis.keyspace import partition, tag
from streamnorm.stores.redis.pubsub import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from streamnorm.stores.redis.topology import Topology

log = logging.getLogger(__name__)

#: Seconds that rows are gathered for before they are sent.
PAUSE = 0.05
#: Seconds between two notes of what is wanted; after three, who is silent wants nothing more.
NOTE = 1.0
PATIENCE = 3.0
_LENGTH = struct.Struct("<I")


class Want(NamedTuple):
    """What one reader wants: rows of streams, and the latest rows of streams now and then."""

    streams: list[str] | None
    prefix: str
    glance: str | None

    def wants(self, stream_id: str) -> bool:
        """Return whether a stream's rows are wanted."""
        return (self.streams is None or stream_id in self.streams) and stream_id.startswith(self.prefix)


class Watcher(Subscription):
    """Another replica that somebody watches at: what it wants, and what waits for it."""

    __slots__ = ("glanced", "seen", "until", "wanted")

    everywhere = False
    most_bytes = MOST_BYTES  # there are few

    def __init__(self, hub: EventHub) -> None:
        super().__init__(hub.subscriptions, None, "")
        self.wanted: list[Want] = []
        self.until = self.glanced = 0.0
        self.seen = hub.number

    def wants(self, stream_id: str) -> bool:
        """Return whether any reader there wants a stream's rows."""
        return any(want.wants(stream_id) for want in self.wanted)

    def due(self, hub: EventHub, now: float) -> list[ReadingEvent]:
        """Return what is to be sent now."""
        rows, _ = self.take()
        if now - self.glanced >= NOTE:
            sent = {row.stream for row in rows}
            for prefix in {want.glance for want in self.wanted if want.glance is not None}:
                latest = [row for row in hub.latest(self.seen, prefix, everywhere=False) if row.stream not in sent]
                sent.update(row.stream for row in latest)
                rows += latest
            self.glanced, self.seen = now, hub.number
        return rows


class Relay:
    """Exchanges events with the other replicas of a store; a `streamnorm.bridges.Bridge`."""

    name = "relay"

    def __init__(self, hub: EventHub, nodes: Topology, prefix: str) -> None:
        self._hub = hub
        self._nodes = nodes
        self._name = secrets.token_hex(8)
        self._notes = f"{prefix}:watched"
        self._rows = prefix + ":{}/events/{}"
        self._watchers: dict[str, Watcher] = {}
        self._wanted: list[Want] = []
        self._noted = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        own = self._channel(self._name)
        self._listener = Subscriber(nodes, partition(self._name), self._notes, own, self._heard)

    def attach(self) -> None:
        """Do nothing: it reads from the hub."""

    async def run(self) -> None:
        """Exchange events until stopped."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = [
                tasks.create_task(self._listener.run(), name="streamnorm relay in"),
                tasks.create_task(self._send(), name="streamnorm relay out"),
            ]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def state(self) -> State:
        """Return that it runs; whether the store can be reached is told by the streams."""
        return State(up=True, detail="exchanges events with other replicas")

    def metrics(self) -> Iterator[Metric]:
        """Return none."""
        return iter(())

    def forget(self, stream_id: str, features: Iterable[str]) -> None:
        """Do nothing."""

    def _channel(self, name: str) -> str:
        return self._rows.format(tag(partition(name)), name)

    async def _send(self) -> None:
        """Say what is wanted here, and send what is wanted there."""
        while True:
            await asyncio.sleep(PAUSE)
            now = time.monotonic()
            try:
                asked = [*self._note(now), *self._due(now)]
                if asked:
                    await self._nodes.ask(asked)
            except StoreUnavailable as error:  # who watches will see the next ones
                log.debug("events are not relayed: %s", error)
            except Exception:  # a defect of ours must not end it
                log.exception("events are not relayed")

    def _note(self, now: float) -> Iterator[tuple[int, tuple[Any, ...]]]:
        readers = [each for each in self._hub.subscriptions if each.everywhere]
        wanted = [Want(None if r.streams is None else sorted(r.streams), r.prefix, r.glance) for r in readers]
        if wanted != self._wanted or (wanted and now - self._noted >= NOTE):
            self._wanted, self._noted = wanted, now
            yield 0, ("PUBLISH", self._notes, orjson.dumps([self._name, [tuple(want) for want in wanted]]))

    def _due(self, now: float) -> Iterator[tuple[int, tuple[Any, ...]]]:
        for name, watcher in list(self._watchers.items()):
            if now > watcher.until:
                self._forget(name)
            elif rows := watcher.due(self._hub, now):
                yield partition(name), ("SPUBLISH", self._channel(name), packed(rows))

    def _heard(self, channel: bytes, data: bytes) -> None:
        """Update with what another replica has sent."""
        if channel.decode() != self._notes:
            for row in unpacked(data):
                self._hub.take(row)
            return
        name, wanted = orjson.loads(data)
        if name == self._name:
            return
        if not wanted:
            self._forget(name)
            return
        if name not in self._watchers:
            self._watchers[name] = Watcher(self._hub)
            self._watchers[name].__enter__()
        watcher = self._watchers[name]
        watcher.wanted = [Want(*want) for want in wanted]
        watcher.until = time.monotonic() + PATIENCE

    def _forget(self, name: str) -> None:
        watcher = self._watchers.pop(name, None)
        if watcher is not None:
            with contextlib.suppress(ValueError):
                watcher.__exit__()


def packed(rows: Sequence[ReadingEvent]) -> bytes:
    """Return rows as one message."""
    names = list(dict.fromkeys(row.names for row in rows))
    places = {each: place for place, each in enumerate(names)}
    head = orjson.dumps([names, [(row.stream, places[row.names], len(row.packed)) for row in rows]])
    return b"".join([_LENGTH.pack(len(head)), head, *(row.packed for row in rows)])


def unpacked(message: bytes) -> Iterator[ReadingEvent]:
    """Yield a message's rows.

    >>> rows = [ReadingEvent("boiler-7", ("temp",), bytes(40))]
    >>> list(unpacked(packed(rows))) == rows
    True
    """
    (length,) = _LENGTH.unpack_from(message)
    at = _LENGTH.size + length
    names, rows = orjson.loads(message[_LENGTH.size : at])
    for stream, place, size in rows:
        yield ReadingEvent(stream, tuple(names[place]), message[at : at + size])
        at += size

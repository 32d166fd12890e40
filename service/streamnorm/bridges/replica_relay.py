"""Relays events between replicas, for subscribers that are connected to another replica than the one that observes.

Rules:

1. Without subscribers nothing is sent. A replica with subscribers publishes a heartbeat with their interests once a
   second on a shared channel; the others send matching events, and only those, to that replica's own channel.
2. All queues are bounded like those of subscribers, and drop their oldest events.
3. Relayed events are never relayed again.
4. Observing readings never waits for the relay, and does not depend on it.
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
from streamnorm.events.buffers import Subscription, is_wanted
from streamnorm.events.event import MOST_BYTES, ReadingEvent
from streamnorm.events.hub import EventHub
from streamnorm.ingest.refusals import Refusals
from streamnorm.stores.redis.keyspace import partition, tag
from streamnorm.stores.redis.pubsub import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from streamnorm.stores.redis.topology import Topology

log = logging.getLogger(__name__)

#: Seconds during which events are batched before they are sent.
PAUSE = 0.05
#: Seconds between heartbeats; interests expire after `PATIENCE` seconds without one.
NOTE = 1.0
PATIENCE = 3.0
_LENGTH = struct.Struct("<I")


class Want(NamedTuple):
    """The interest of one subscriber: events of streams, and summaries of the streams with the prefix `glance`."""

    streams: list[str] | None
    prefix: str
    glance: str | None

    def wants(self, stream_id: str) -> bool:
        """Return whether the interest covers a stream."""
        return is_wanted(stream_id, self.streams, self.prefix)


class Watcher(Subscription):
    """Another replica with subscribers: their interests, and the queue of events for it."""

    __slots__ = ("glanced", "seen", "until", "wanted")

    everywhere = False
    most_bytes = MOST_BYTES  # there are few

    def __init__(self, hub: EventHub) -> None:
        super().__init__(hub.subscriptions, None, "")
        self.wanted: list[Want] = []
        self.until = self.glanced = 0.0
        self.seen = hub.number

    def wants(self, stream_id: str) -> bool:
        """Return whether any subscriber there is interested in a stream."""
        return any(want.wants(stream_id) for want in self.wanted)

    def due(self, hub: EventHub, now: float) -> list[ReadingEvent]:
        """Return the events to send at the time `now` (monotonic seconds)."""
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
    """Exchanges the events of the `hub` with the other replicas of a store; a `streamnorm.bridges.Bridge`.

    `nodes` are the store's, and `prefix` begins the names of its channels.
    """

    name = "relay"

    def __init__(self, hub: EventHub, nodes: Topology, prefix: str) -> None:
        self._hub = hub
        self._nodes = nodes
        self.refusals = Refusals()
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
        """Do nothing: the relay reads from the hub."""

    async def run(self) -> None:
        """Exchange events until stopped."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = [
                tasks.create_task(self._listener.run(), name="streamnorm relay in"),
                tasks.create_task(self._send(), name="streamnorm relay out"),
            ]

    async def stop(self) -> None:
        """Stop exchanging events."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def state(self) -> State:
        """Return that the relay is up; the streams report whether the store can be reached."""
        return State(up=True, detail="exchanges events with other replicas")

    def metrics(self) -> Iterator[Metric]:
        """Return none."""
        return iter(())

    def forget(self, stream_id: str, features: Iterable[str]) -> None:
        """Do nothing."""

    def _channel(self, name: str) -> str:
        return self._rows.format(tag(partition(name)), name)

    async def _send(self) -> None:
        """Publish heartbeats, and send events that other replicas are interested in."""
        while True:
            await asyncio.sleep(PAUSE)
            now = time.monotonic()
            try:
                commands = [*self._note(now), *self._due(now)]
                if commands:
                    await self._nodes.ask(commands)
            except StoreUnavailable as error:  # subscribers receive later events
                log.debug("events are not relayed: %s", error)
            except Exception:  # a defect of ours must not end it
                log.exception("events are not relayed")

    def _note(self, now: float) -> Iterator[tuple[int, tuple[Any, ...]]]:
        readers = [item for item in self._hub.subscriptions if item.everywhere]
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
        """Handle a message of another replica."""
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
    """Encode events as one message."""
    names = list(dict.fromkeys(row.names for row in rows))
    indexes = {item: index for index, item in enumerate(names)}
    head = orjson.dumps([names, [(row.stream, indexes[row.names], len(row.packed)) for row in rows]])
    return b"".join([_LENGTH.pack(len(head)), head, *(row.packed for row in rows)])


def unpacked(message: bytes) -> Iterator[ReadingEvent]:
    """Yield a message's events.

    >>> rows = [ReadingEvent("boiler-7", ("temp",), bytes(40))]
    >>> list(unpacked(packed(rows))) == rows
    True
    """
    (length,) = _LENGTH.unpack_from(message)
    at = _LENGTH.size + length
    names, rows = orjson.loads(message[_LENGTH.size : at])
    for stream, index, size in rows:
        yield ReadingEvent(stream, tuple(names[index]), message[at : at + size])
        at += size

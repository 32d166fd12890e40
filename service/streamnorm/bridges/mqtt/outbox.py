"""What is to be published and not yet confirmed by the broker; it outlives a connection, not the process."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from streamnorm.bridges.refusals import Refusals

log = logging.getLogger(__name__)

#: A minute of a thousand readings a second, some 10 MB; beyond it the oldest go.
MOST_WAITING = 60_000
#: On their way at once: enough for a broker that writes to disk, few enough for its own limits.
WINDOW = 100
#: Bytes that a packet has beside its topic and payload, at most.
PACKET_OVERHEAD = 16


@dataclass
class Publication:
    """One message, and when it was confirmed, or dropped."""

    topic: str
    payload: bytes
    retain: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self) -> None:
        """Note that it is dealt with."""
        if not self.done.done():
            self.done.set_result(None)


class Publisher(Protocol):
    """What a connection can."""

    #: bytes of the largest packet that the broker takes; None: of any
    max_packet: int | None

    async def publish(self, topic: str, /, payload: bytes, qos: int, retain: bool) -> None:  # noqa: FBT001
        """Publish, and wait for the confirmation."""


class Outbox:
    """Publications in their order."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: deque[Publication] = deque()
        self._sent: dict[int, Publication] = {}
        self._news = asyncio.Event()
        #: what was not published, by reason: full, too-large, denied, invalid-topic
        self.dropped = Refusals(log, "MQTT: messages not published")
        #: confirmed by the broker
        self.published = 0

    def __len__(self) -> int:
        """Return how many wait or are on their way."""
        return len(self._waiting) + len(self._sent)

    def put(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Add a message; returns what is done when it is confirmed, or dropped for want of room."""
        if len(self._waiting) >= self._most:
            oldest = self._waiting.popleft()
            oldest.settle()
            self.dropped.add("full", oldest.topic)
        publication = Publication(topic, payload, retain)
        self._waiting.append(publication)
        self._news.set()
        return publication.done

    async def send(self, connection: Publisher) -> None:
        """Publish over a connection until it breaks: first what the last one left unconfirmed, all in order."""
        self._waiting.extendleft(reversed(self._sent.values()))
        self._sent.clear()
        window = asyncio.Semaphore(WINDOW)
        async with asyncio.TaskGroup() as tasks:
            while True:
                while not self._waiting:
                    self._news.clear()
                    await self._news.wait()
                await window.acquire()
                publication = self._waiting.popleft()
                self._sent[id(publication)] = publication
                tasks.create_task(self._publish(connection, publication, window))

    async def _publish(self, connection: Publisher, publication: Publication, window: asyncio.Semaphore) -> None:
        topic, payload = publication.topic, publication.payload
        size = len(payload) + len(topic.encode()) + PACKET_OVERHEAD
        try:
            if connection.max_packet is not None and size > connection.max_packet:
                self.dropped.add("too-large", f"{topic}: {size} bytes, the broker takes {connection.max_packet}")
            else:
                await connection.publish(topic, payload, qos=1, retain=publication.retain)
                self.published += 1
        except ValueError as error:  # it would be so over every connection
            self.dropped.add("invalid-topic", f"{topic!r}: {error}")
        self._sent.pop(id(publication), None)
        window.release()
        publication.settle()

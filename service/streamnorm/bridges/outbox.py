"""What is to be published and not yet confirmed by the broker; it outlives a connection, not the process."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

log = logging.getLogger(__name__)

#: A minute of a thousand readings a second, some 10 MB; beyond it the oldest go.
MOST_WAITING = 60_000
#: On their way at once: enough for a broker that writes to disk, few enough for its own limits.
WINDOW = 100


@dataclass
class Publication:
    """One message, and when it was confirmed, or dropped."""

    topic: str
    payload: bytes
    retain: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Publisher(Protocol):
    """What a connection can."""

    async def publish(self, topic: str, /, payload: bytes, qos: int, retain: bool) -> None:  # noqa: FBT001
        """Publish, and wait for the confirmation."""


class Outbox:
    """Publications in their order."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: deque[Publication] = deque()
        self._sent: dict[int, Publication] = {}
        self._news = asyncio.Event()
        self._dropped = 0

    def put(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Add a message; returns what is done when it is confirmed, or dropped for want of room."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft().done.set_result(None)
            self._dropped += 1
            if self._dropped.bit_count() == 1:  # at 1, 2, 4, 8, …
                log.warning("%d normalized readings were not published: too many wait for the broker", self._dropped)
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
        await connection.publish(publication.topic, publication.payload, qos=1, retain=publication.retain)
        self._sent.pop(id(publication), None)
        window.release()
        if not publication.done.done():
            publication.done.set_result(None)

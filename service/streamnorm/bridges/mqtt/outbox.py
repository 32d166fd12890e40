"""The outbox: messages that the broker has not confirmed yet. It outlives a connection, not the process."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from streamnorm.compat.aiomqtt import MqttError
from streamnorm.ingest.refusals import Refusals

log = logging.getLogger(__name__)

#: A minute of a thousand readings a second, about 10 MB; beyond it the oldest are dropped.
MOST_WAITING = 60_000
#: The in-flight window: enough for a broker that writes to disk, few enough for its limits.
WINDOW = 100
#: Seconds, and at most twice as many, after which a broker that does not confirm a message is left.
CONFIRMATION_TIMEOUT = 10.0
#: Bytes that a packet has besides its topic and payload, at most.
PACKET_OVERHEAD = 16


@dataclass
class Publication:
    """One message, with a future that completes when it is confirmed or dropped."""

    topic: str
    payload: bytes
    retain: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self) -> None:
        """Complete the future."""
        if not self.done.done():
            self.done.set_result(None)


class Publisher(Protocol):
    """The connection that publishes messages."""

    #: bytes of the largest packet that the broker accepts; None: no limit
    max_packet: int | None

    def send(self, topic: str, payload: bytes, *, retain: bool, confirmed: Callable[[], None]) -> None:
        """Publish a `payload` to a `topic` with the `retain` flag; `confirmed` is called when the broker has it."""


class Outbox:
    """A bounded queue of messages in order of publication."""

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
        """Return how many messages are queued or in flight."""
        return len(self._waiting) + len(self._sent)

    def put(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Queue a message of `topic`, `payload` and `retain` flag, dropping the oldest if the queue is full.

        The future completes when the message is confirmed or dropped.
        """
        if len(self._waiting) >= self._most:
            oldest = self._waiting.popleft()
            oldest.settle()
            self.dropped.add("full", oldest.topic)
        publication = Publication(topic, payload, retain)
        self._waiting.append(publication)
        self._news.set()
        return publication.done

    async def send(self, connection: Publisher) -> None:
        """Publish over a connection until it breaks, in order, beginning with what the last one left unconfirmed.

        Raises:
            MqttError: the connection is broken, or the broker confirms nothing any more.

        """
        self._waiting.extendleft(reversed(self._sent.values()))
        self._sent.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._expect_confirmations())
            while True:
                while not self._waiting or len(self._sent) >= WINDOW:
                    self._news.clear()
                    await self._news.wait()
                self._send(connection, self._waiting.popleft())

    def _send(self, connection: Publisher, publication: Publication) -> None:
        topic, payload = publication.topic, publication.payload
        size = len(payload) + len(topic.encode()) + PACKET_OVERHEAD
        if connection.max_packet is not None and size > connection.max_packet:
            self.dropped.add("too-large", f"{topic}: {size} bytes, the broker takes {connection.max_packet}")
            publication.settle()
            return
        self._sent[id(publication)] = publication
        try:
            connection.send(
                topic, payload, retain=publication.retain, confirmed=partial(self._confirm, id(publication))
            )
        except ValueError as error:  # a retry cannot succeed
            self.dropped.add("invalid-topic", f"{topic!r}: {error}")
            self._sent.pop(id(publication)).settle()

    def _confirm(self, key: int) -> None:
        publication = self._sent.pop(key, None)
        if publication is not None:
            self.published += 1
            publication.settle()
            self._news.set()

    async def _expect_confirmations(self) -> None:
        """Wait until the broker leaves a message unconfirmed for too long."""
        oldest = None
        while True:
            await asyncio.sleep(CONFIRMATION_TIMEOUT)
            first = next(iter(self._sent.values()), None)
            if first is not None and first is oldest:
                raise MqttError(f"the broker did not confirm a message within {CONFIRMATION_TIMEOUT:g} s")
            oldest = first

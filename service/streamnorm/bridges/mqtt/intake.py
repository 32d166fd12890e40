"""Messages that came: each is observed once, its answer is published, and then it is acknowledged.

Rules:

1. A message is acknowledged when its reading is safe and its answer is published: what a crash leaves unacknowledged,
   the broker sends again. Readings with a `seq` are then applied once; others may be applied twice after a crash.
2. What is sent again because the connection broke, while this process knows that it was applied, is not applied again.
3. Of the copies that overlapping subscriptions bring, one counts.
4. Nothing is refused unseen: what is refused is counted, logged, and sent to the dead letter topic where there is one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiomqtt

from streamnorm.bridges.mqtt.client import RECEIVE_MAXIMUM, Client
from streamnorm.bridges.mqtt.topics import TopicTemplate, subscriptions
from streamnorm.bridges.refusals import Refusals
from streamnorm.engine.reading import Answer, Reading
from streamnorm.errors import (
    InvalidInput,
    InvalidReading,
    LimitExceeded,
    StaleSequence,
    StoreError,
    StreamnormError,
    TooManyStreams,
)
from streamnorm.formats.payload import decoded
from streamnorm.ingest import IngestService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

#: Seconds that commits are apart, so that a trickle of messages does not become a commit each.
LINGER = 0.1
#: Messages that may be sent again after the connection broke: those not acknowledged, and as many whose
#: acknowledgements did not arrive.
REMEMBERED = 2 * RECEIVE_MAXIMUM
#: Bytes from which on a message is decoded in another thread: it takes some milliseconds.
IN_THREAD = 64 * 1024
#: by the kind of error, the nearest first
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TooManyStreams, "too-many-streams"),
    (LimitExceeded, "limit-exceeded"),
    (StaleSequence, "stale-sequence"),
    (InvalidReading, "invalid-reading"),
    (InvalidInput, "invalid-reading"),
)

#: Publishes an answer; what it returns is done when the broker has it.
Publish = Callable[[str, Reading, Answer, float], asyncio.Future[None]]
#: Hears of a refusal: topic, payload, reason, detail.
DeadLetters = Callable[[str, bytes, str, str], None]


class Refused(Exception):
    """A message that is no reading, and why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Intake:
    """Takes the messages of one connection after the other; `settle` returns when every change so far is safe."""

    def __init__(
        self,
        service: IngestService,
        templates: Sequence[TopicTemplate],
        max_bytes: int,
        *,
        settle: Callable[[], Awaitable[None]],
        publish: Publish,
        dead_letters: DeadLetters,
    ) -> None:
        self._service = service
        self._templates = templates
        self._max_bytes = max_bytes
        self._settle = settle
        self._publish = publish
        self._dead_letters = dead_letters
        #: what is subscribed to
        self.subscriptions = subscriptions(templates)
        #: by the filter of the topic
        self.refusals = Refusals(log, "MQTT: messages refused")
        for template in templates:  # there before the first one: what watches sees it rise
            self.refusals.counts[template.filter, "invalid-reading"] = 0
        self.taken = 0
        #: messages that were left alone, by reason
        self.ignored: Counter[str] = Counter()
        #: readings of messages that are being observed
        self.own: set[int] = set()
        #: the last messages by their ids: what each was, and the work on it until it is done
        self._known: dict[int, tuple[bytes, asyncio.Task[bool] | None]] = {}
        #: by stream: done when the last message that waits or is decoded elsewhere has been observed
        self._turns: dict[str, asyncio.Future[None]] = {}
        self._commit: asyncio.Task[None] | None = None

    async def read(self, connection: Client, tasks: asyncio.TaskGroup, acknowledging: set[asyncio.Task[None]]) -> None:
        """Take messages until the connection breaks."""
        async for message in connection.messages:
            task = tasks.create_task(self._acknowledge(connection, message, self._work(connection, message)))
            acknowledging.add(task)
            task.add_done_callback(acknowledging.discard)

    def cancel(self) -> None:
        """End the work on messages, which are then sent again to the next run."""
        for _, work in self._known.values():
            if work is not None:
                work.cancel()

    def refuse(self, topic: str, payload: bytes, reason: str, detail: str) -> None:
        """Count, log and hand on a message that is refused."""
        label = next((each.filter for each in self._templates if each.matches(topic)), "")
        self.refusals.add(reason, f"{topic}: {detail}", label=label)
        self._dead_letters(topic, payload, reason, detail)

    def _work(self, connection: Client, message: aiomqtt.Message) -> asyncio.Task[bool] | None:
        """Start to work on a message, which outlives the connection; None where there is nothing to do."""
        topic = message.topic.value
        payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
        if ignored := "retained" if message.retain else "duplicate" if self._is_copy(topic, message) else "":
            self.ignored[ignored] += 1
            return None
        known = hashlib.blake2b(topic.encode() + b"\0" + payload, digest_size=16).digest()
        before = self._known.pop(message.mid, None)
        if message.mid in connection.again and before is not None and before[0] == known:
            self._known[message.mid] = before
            return before[1]
        work = asyncio.create_task(self._worked(topic, payload))
        if message.qos:
            self._known[message.mid] = known, work
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return work

    async def _acknowledge(self, connection: Client, message: aiomqtt.Message, work: asyncio.Task[bool] | None) -> None:
        if work is not None and not await asyncio.shield(work):
            self._known.pop(message.mid, None)
            return
        if message.mid in self._known:
            self._known[message.mid] = self._known[message.mid][0], None
        connection.acknowledge(message)

    def _is_copy(self, topic: str, message: aiomqtt.Message) -> bool:
        """Return whether a message comes by another subscription than the first one that its topic is of."""
        found = getattr(message.properties, "SubscriptionIdentifier", None) or ()
        ours = {each.identifier for each in self.subscriptions} & {*found}
        first = next((each for each in self.subscriptions if each.matches(topic)), None)
        return bool(ours) and first is not None and first.identifier not in ours

    async def _worked(self, topic: str, payload: bytes) -> bool:
        """Observe a message's readings, publish the answers, and wait until both are safe; False: it did not work.

        Tasks begin in the order of their messages, and change the streams before they first wait.
        """
        try:
            answers = await self._observe(topic, payload)
        except (StreamnormError, Refused) as error:
            if isinstance(error, StoreError):
                log.error("MQTT: %s: not kept, and not acknowledged: %s", topic, error)  # noqa: TRY400
                return False
            self.refuse(topic, payload, reason_of(error), str(error))
            return True
        self.taken += 1
        await self._safe()
        await asyncio.gather(*answers)
        return True

    async def _observe(self, topic: str, payload: bytes) -> list[asyncio.Future[None]]:
        stream, feature = self._match(topic)
        if len(payload) > self._max_bytes:
            detail = f"it has {len(payload)} bytes, the limit (max_reading_bytes) is {self._max_bytes}"
            raise Refused("message-too-large", detail)
        now = self._service.clock()
        if len(payload) <= IN_THREAD and stream not in self._turns:
            return await self._observed(stream, decoded(payload, now, self._service.limits, feature), now)
        async with self._turn(stream):
            readings = await asyncio.to_thread(decoded, payload, now, self._service.limits, feature)
            return await self._observed(stream, readings, now)

    async def _observed(self, stream: str, readings: list[Reading], now: float) -> list[asyncio.Future[None]]:
        own = {id(each) for each in readings}
        self.own |= own
        try:
            if len(readings) == 1:
                answers = [await self._service.observe(stream, readings[0])]
            else:
                pairs = [(stream, each) for each in readings]
                answers = await self._service.observe_readings(pairs, [""] * len(readings))
        finally:
            self.own -= own
        return [self._publish(stream, *pair, now) for pair in zip(readings, answers, strict=True)]

    @asynccontextmanager
    async def _turn(self, stream: str) -> AsyncIterator[None]:
        """Wait for the messages of a stream that came before, and have those that come later wait."""
        before = self._turns.get(stream)
        turn = self._turns[stream] = asyncio.get_running_loop().create_future()
        try:
            if before is not None:
                await asyncio.wait({before})
            yield
        finally:
            turn.set_result(None)
            if self._turns.get(stream) is turn:
                del self._turns[stream]

    def _match(self, topic: str) -> tuple[str, str]:
        try:
            found = next(filter(None, (each.match(topic) for each in self._templates)), None)
        except ValueError as error:
            raise Refused("invalid-stream-id", str(error)) from None
        if found is None:
            raise Refused("unsubscribed-topic", f"the topic {topic!r} is none that is subscribed to")
        return found

    async def _safe(self) -> None:
        """Wait for a commit that begins after now, together with whoever waits too."""
        if self._commit is None:
            self._commit = asyncio.create_task(self._committed())
        await asyncio.shield(self._commit)

    async def _committed(self) -> None:
        await asyncio.sleep(LINGER)
        self._commit = None
        while True:
            try:
                return await self._settle()
            except StoreError:  # told by the store
                await asyncio.sleep(1.0)


def reason_of(error: Exception) -> str:
    """Return the reason by which a refusal is counted."""
    if isinstance(error, Refused):
        return error.reason
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), "other")

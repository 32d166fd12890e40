"""Received messages: each is observed once, its answer is published, and then it is acknowledged.

Rules:

1. A message is acknowledged when its reading is durable and its answer is published: the broker redelivers what a crash
   leaves unacknowledged. Readings with a `seq` are then applied once; others may be applied twice after a crash.
2. A message redelivered after a reconnect is not applied again if this process knows that it was applied.
3. Of several copies due to overlapping subscriptions, one is processed.
4. No rejection is silent: rejected messages are counted, logged, and sent to the dead letter topic, if there is one.
5. The first mapping whose topics match makes a message's readings; without one, the message is a reading itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from streamnorm.bridges.mqtt.client import RECEIVE_MAXIMUM, Client
from streamnorm.bridges.mqtt.topics import TopicTemplate
from streamnorm.compat.aiomqtt import Message as MQTTMessage
from streamnorm.compat.aiomqtt import identifiers
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
from streamnorm.formats.topics import TopicFilter, subscriptions
from streamnorm.ingest import IngestService
from streamnorm.ingest.refusals import Refusals
from streamnorm.mappings import Mapping, Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

#: Seconds between commits, so that sparse messages share a commit.
LINGER = 0.1
#: Messages that may be redelivered after a reconnect: the unacknowledged ones, and as many whose acknowledgements were
#: lost.
REMEMBERED = 2 * RECEIVE_MAXIMUM
#: Larger messages (bytes) are decoded in another thread, since that takes several milliseconds.
IN_THREAD = 64 * 1024
#: reasons by error class, the most specific first
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TooManyStreams, "too-many-streams"),
    (LimitExceeded, "limit-exceeded"),
    (StaleSequence, "stale-sequence"),
    (InvalidReading, "invalid-reading"),
    (InvalidInput, "invalid-reading"),
)

#: A reading of a stream.
Pair = tuple[str, Reading]
#: Publishes an answer; the future completes when the broker has confirmed it.
Publish = Callable[[str, Reading, Answer, float], asyncio.Future[None]]
#: Receives a rejected message: topic, payload, reason, detail.
DeadLetters = Callable[[str, bytes, str, str], None]


class Refused(Exception):
    """A message that is not a valid reading, with the reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Intake:
    """Processes the messages of consecutive connections.

    Messages of `templates`, of at most `max_bytes`, are observed by `service`. `settle` returns when every change so
    far is durable; `publish` publishes answers, `dead_letters` rejected messages.
    """

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
        #: rejected messages, by topic filter and reason
        self.refusals = Refusals(log, "MQTT: messages refused")
        self.use(())
        self.taken = 0
        #: ignored messages, by reason
        self.ignored: Counter[str] = Counter()
        #: recent messages by message id: the digest of each, and its task until that is done
        self._known: dict[int, tuple[bytes, asyncio.Task[bool] | None]] = {}
        #: by stream, or mapping: completes when the last message queued, or decoded in a thread, has been observed
        self._turns: dict[str, asyncio.Future[None]] = {}
        self._commit: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[bool]] = set()
        #: the last connection that was read from
        self._connection: Client | None = None

    def use(self, mappings: Sequence[Mapping]) -> None:
        """Take these mappings of messages from now on, in place of those before."""
        self._mappings = mappings
        self._filters = [*(topic for each in mappings for topic in each.topics), *self._templates]
        #: the filters to subscribe to
        self.subscriptions = subscriptions(self._filters)
        for item in self._filters:  # exported before the first one, so that its increase is visible
            self.refusals.counts.setdefault((item.filter, "invalid-reading"), 0)

    async def read(self, connection: Client) -> None:
        """Process the messages of a `connection` until it breaks."""
        self._connection = connection
        async for message in connection.received():
            work = self._work(connection, message)
            if work is None:
                connection.acknowledge(message)
            else:
                work.add_done_callback(partial(self._acknowledge, connection, message))

    async def drain(self, seconds: float) -> None:
        """Wait at most so many `seconds` until the messages received so far are acknowledged."""
        if self._working:
            await asyncio.wait(self._working, timeout=seconds)

    def cancel(self) -> None:
        """Cancel the processing of messages, which the broker then redelivers to the next run."""
        for work in self._working:
            work.cancel()

    def refuse(self, topic: str, payload: bytes, reason: str, detail: str) -> None:
        """Reject a message: count and log its `topic`, `reason` and `detail`; publish its `payload` as dead letter."""
        label = next((item.filter for item in self._filters if item.matches(topic)), "")
        self.refusals.add(reason, f"{topic}: {detail}", label=label, payload=payload)
        self._dead_letters(topic, payload, reason, detail)

    def _work(self, connection: Client, message: MQTTMessage) -> asyncio.Task[bool] | None:
        """Start processing a message in a task that outlives the connection; None if there is nothing to do."""
        topic = message.topic.value
        payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
        if ignored := self._is_ignored(topic, message):
            self.ignored[ignored] += 1
            return None
        known = hashlib.blake2b(topic.encode() + b"\0" + payload, digest_size=16).digest()
        before = self._known.pop(message.mid, None)
        if message.mid in connection.again and before is not None and before[0] == known:
            self._known[message.mid] = before
            return before[1]
        work = asyncio.create_task(self._worked(topic, payload))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        if message.qos:
            self._known[message.mid] = known, work
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return work

    def _acknowledge(self, connection: Client, message: MQTTMessage, work: asyncio.Task[bool]) -> None:
        """Acknowledge a message whose work is done, unless it failed, or the connection is another one by now."""
        if work.cancelled():
            return
        error = work.exception()
        if error is not None:
            log.error("MQTT: %s: not acknowledged", message.topic.value, exc_info=error)
        if error is not None or not work.result():
            self._known.pop(message.mid, None)
            return
        if connection is self._connection:
            if message.mid in self._known:
                self._known[message.mid] = self._known[message.mid][0], None
            connection.acknowledge(message)

    def _is_ignored(self, topic: str, message: MQTTMessage) -> str:
        """Return why a message is left alone; empty if it is not."""
        if message.retain:
            return "retained"
        if self._is_copy(topic, message):
            return "duplicate"
        wanted = self._mapping(topic) is not None or any(template.matches(topic) for template in self._templates)
        return "no-reading" if not wanted and any(each.ignores(topic) for each in self._mappings) else ""

    def _mapping(self, topic: str) -> Mapping | None:
        return next((each for each in self._mappings if each.matches(topic)), None)

    def _is_copy(self, topic: str, message: MQTTMessage) -> bool:
        """Return whether a message was delivered for another subscription than the first that matches its topic."""
        ours = {item.identifier for item in self.subscriptions} & identifiers(message)
        first = next((item for item in self.subscriptions if item.matches(topic)), None)
        return bool(ours) and first is not None and first.identifier not in ours

    async def _worked(self, topic: str, payload: bytes) -> bool:
        """Observe a message's readings, publish the answers, and wait until both are durable; False if that failed.

        Tasks start in the order of their messages, and change the streams before they first await.
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
        for answer in answers:
            await answer
        return True

    async def _observe(self, topic: str, payload: bytes) -> list[asyncio.Future[None]]:
        mapping = self._mapping(topic)
        turn, feature = self._match(topic) if mapping is None else (f"mapping {mapping.name}", "")
        if len(payload) > self._max_bytes:
            detail = f"it has {len(payload)} bytes, the limit (max_reading_bytes) is {self._max_bytes}"
            raise Refused("message-too-large", detail)
        now, limits = self._service.clock(), self._service.limits

        def read() -> list[Pair]:
            if mapping is None:
                return [(turn, reading) for reading in decoded(payload, now, limits, feature)]
            return [each[:2] for each in mapping.readings(Message(payload, topic), limits)]

        if len(payload) <= IN_THREAD and turn not in self._turns:
            pairs = read()
            answers = await self._observed(pairs, now)
        else:
            async with self._turn(turn):
                pairs = await asyncio.to_thread(read)
                answers = await self._observed(pairs, now)
        if mapping is not None:
            mapping.heard.note(topic, (stream for stream, _ in pairs))
        return answers

    async def _observed(self, readings: list[Pair], now: float) -> list[asyncio.Future[None]]:
        if len(readings) == 1:
            answers = [await self._service.observe(*readings[0], origin=self)]
        else:
            answers = await self._service.observe_readings(readings, [""] * len(readings), origin=self)
        return [self._publish(*pair, answer, now) for pair, answer in zip(readings, answers, strict=True)]

    @asynccontextmanager
    async def _turn(self, stream: str) -> AsyncIterator[None]:
        """Serialize the messages of a stream, or of a mapping: wait for earlier ones, and make later ones wait."""
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
        match = next(filter(None, (template.match(topic) for template in self._templates)), None)
        if match is None:
            bringing = next((each for each in self._filters if TopicFilter(each.filter).matches(topic)), None)
            detail = f"leaves a level empty that {bringing.template!r} names" if bringing else "matches no subscription"
            raise Refused("unsubscribed-topic", f"the topic {topic!r:.200} {detail}")
        return match

    async def _safe(self) -> None:
        """Wait for a commit that has not begun yet, shared with all other waiting messages."""
        if self._commit is None:
            self._commit = asyncio.create_task(self._committed())
        await asyncio.shield(self._commit)

    async def _committed(self) -> None:
        await asyncio.sleep(LINGER)
        self._commit = None
        while True:
            try:
                return await self._settle()
            except StoreError:  # logged by the store
                await asyncio.sleep(1.0)


def reason_of(error: Exception) -> str:
    """Return the reason under which a rejected message is counted."""
    if isinstance(error, Refused):
        return error.reason
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), "other")

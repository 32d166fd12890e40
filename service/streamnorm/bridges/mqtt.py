"""The bridge to MQTT: subscribes to raw readings, publishes normalized ones.

Rules:

1. A message is acknowledged when its reading is safe and its answer is published: what a crash leaves unacknowledged,
   the broker sends again. Readings with a `seq` are then applied once; others may be applied twice after a crash.
2. What is sent again because the connection broke, while this process knows that it was applied, is not applied again.
3. The session is persistent: the broker keeps what is published while the service is away.
4. Readings that came in other ways are published too, as far as there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from streamnorm.bridges import messages
from streamnorm.bridges.connection import RECEIVE_MAXIMUM, Connection
from streamnorm.bridges.outbox import Outbox
from streamnorm.bridges.topics import Match, Topic, filled
from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.reading import Answer, Reading
from streamnorm.errors import InvalidConfiguration, InvalidInput, LimitExceeded, StaleSequence, StoreError
from streamnorm.formats.payload import decoded
from streamnorm.ingest import IngestService

log = logging.getLogger(__name__)

#: Seconds between attempts to reach the broker: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
#: Never: a device's readings of a week's holiday are worth more than the broker's memory, which has limits of its own.
SESSION_EXPIRY = 0xFFFFFFFF
#: Seconds that commits are apart, so that a trickle of messages does not become a commit each.
LINGER = 0.1
#: Seconds for what was begun, when the service stops.
DRAIN = 1.0
#: Messages that may be sent again after the connection broke: those not acknowledged, and as many whose
#: acknowledgements did not arrive.
REMEMBERED = 2 * RECEIVE_MAXIMUM
PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class Options:
    """Where the broker is, and what is said there."""

    url: str
    topics: tuple[Topic, ...]
    publish: str
    client_id: str
    #: prefix of Home Assistant's discovery; empty for none
    discovery: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        parts = urlsplit(self.url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise InvalidConfiguration.at("/mqtt", f"{self.url!r} is no mqtt:// or mqtts:// address")
        if "{stream}" not in self.publish:
            raise InvalidConfiguration.at("/mqtt_publish", f"the topic {self.publish!r} must have a level {{stream}}")
        if not self.topics:
            raise InvalidConfiguration.at("/mqtt_topics", "must name at least one topic")
        for topic in self.topics:
            if topic.match(filled(self.publish, "x")):
                detail = f"{self.publish!r} is one of the topics {topic.template!r}: answers would be taken as readings"
                raise InvalidConfiguration.at("/mqtt_publish", detail)


class Mqtt:
    """The bridge; a listener of the service for what comes in elsewhere."""

    max_rows: int | None = None

    def __init__(self, service: IngestService, options: Options, settle: Callable[[], Awaitable[None]]) -> None:
        self._service = service
        self._options = options
        self._settle = settle
        self._outbox = Outbox()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._own: set[int] = set()
        self._announced: set[tuple[str, str]] = set()
        #: the last messages by their ids: what each was, and the work on it until it is done
        self._taken: dict[int, tuple[bytes, asyncio.Task[bool] | None]] = {}
        self._commit: asyncio.Task[None] | None = None
        self._refused = 0

    async def start(self) -> None:
        """Start to connect."""
        self._service.listeners.append(self)
        self._task = asyncio.create_task(self._run(), name="streamnorm mqtt")

    async def stop(self) -> None:
        """Finish what was begun, tell the broker that nobody is here any more, and disconnect."""
        self._service.listeners.remove(self)
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=2 * DRAIN)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for _, work in self._taken.values():
            if work is not None:
                work.cancel()

    def on_reading(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> None:
        """Publish what came in another way."""
        if id(reading) not in self._own:
            self._publish(stream_id, reading, answer, now)

    def on_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:
        """Publish the readings of a block."""
        self._announce(stream_id, block.names)
        topic = filled(self._options.publish, stream_id)
        for payload in messages.of_block(stream_id, block, answer, now):
            self._outbox.put(topic, payload)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                async with self._connection() as connection:
                    pause = FIRST_PAUSE
                    await self._serve(connection)
            except* (aiomqtt.MqttError, OSError, ValueError) as group:
                log.warning("MQTT: %s; next attempt in %.1f s", _first(group), pause)
            except* Exception as group:
                log.exception("MQTT: failed; next attempt in %.1f s", pause, exc_info=group)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _connection(self) -> Connection:
        parts = urlsplit(self._options.url)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        return Connection(
            parts.hostname or "",
            parts.port or PORTS[parts.scheme],
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            identifier=self._options.client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            will=aiomqtt.Will(messages.status(self._options.client_id), messages.OFFLINE, qos=1, retain=True),
            tls_context=ssl.create_default_context() if parts.scheme == "mqtts" else None,
            keepalive=30,
        )

    async def _serve(self, connection: Connection) -> None:
        """Work over a connection until it breaks, or this is stopped."""
        status = messages.status(self._options.client_id)
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        await connection.subscribe([(topic.filter, options) for topic in self._options.topics])
        await connection.publish(status, messages.ONLINE, qos=1, retain=True)
        log.info("MQTT: connected to %s", urlsplit(self._options.url).hostname)
        self._announced.clear()
        acknowledging: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._outbox.send(connection))
            reading = tasks.create_task(self._read(connection, tasks, acknowledging))
            await self._stopping.wait()
            reading.cancel()
            if acknowledging:
                await asyncio.wait(acknowledging, timeout=DRAIN)
            for task in (sending, *acknowledging):
                task.cancel()
        await connection.publish(status, messages.OFFLINE, qos=1, retain=True)

    async def _read(
        self, connection: Connection, tasks: asyncio.TaskGroup, acknowledging: set[asyncio.Task[None]]
    ) -> None:
        async for message in connection.messages:
            task = tasks.create_task(self._acknowledge(connection, message, self._work(connection, message)))
            acknowledging.add(task)
            task.add_done_callback(acknowledging.discard)

    def _work(self, connection: Connection, message: aiomqtt.Message) -> asyncio.Task[bool] | None:
        """Start to work on a message, which outlives the connection; None where it was done over an earlier one."""
        payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
        known = hashlib.blake2b(message.topic.value.encode() + b"\0" + payload, digest_size=16).digest()
        taken = self._taken.pop(message.mid, None)
        if message.mid in connection.again and taken is not None and taken[0] == known:
            self._taken[message.mid] = taken
            return taken[1]
        work = asyncio.create_task(self._worked(message.topic.value, payload))
        if message.qos:
            self._taken[message.mid] = known, work
            if len(self._taken) > REMEMBERED:
                del self._taken[next(iter(self._taken))]
        return work

    async def _acknowledge(
        self, connection: Connection, message: aiomqtt.Message, work: asyncio.Task[bool] | None
    ) -> None:
        if work is not None and not await asyncio.shield(work):
            self._taken.pop(message.mid, None)
            return
        if message.mid in self._taken:
            self._taken[message.mid] = self._taken[message.mid][0], None
        connection.acknowledge(message)

    async def _worked(self, topic: str, payload: bytes) -> bool:
        """Observe a message's readings, publish the answers, and wait until both are safe; False: it did not work.

        Tasks begin in the order of their messages, and change the streams before they first wait.
        """
        try:
            answers = await self._observe(topic, payload)
        except (InvalidInput, LimitExceeded, StaleSequence, ValueError) as error:
            self._refuse(topic, error)
            return True
        except StoreError as error:
            log.error("MQTT: %s: not kept, and not acknowledged: %s", topic, error)  # noqa: TRY400
            return False
        await self._safe()
        await asyncio.gather(*answers)
        return True

    async def _observe(self, topic: str, payload: bytes) -> list[asyncio.Future[None]]:
        match = self._match(topic)
        now = self._service.clock()
        readings = decoded(payload, now, self._service.limits, match.feature)
        own = {id(each) for each in readings}
        self._own |= own
        try:
            if len(readings) == 1:
                answers = [await self._service.observe(match.stream, readings[0])]
            else:
                pairs = [(match.stream, each) for each in readings]
                answers = await self._service.observe_readings(pairs, [""] * len(readings))
        finally:
            self._own -= own
        return [self._publish(match.stream, *pair, now) for pair in zip(readings, answers, strict=True)]

    def _match(self, topic: str) -> Match:
        for each in self._options.topics:
            found = each.match(topic)
            if found is not None:
                return found
        message = f"the topic {topic!r} is none that was subscribed to"
        raise ValueError(message)

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

    def _publish(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> asyncio.Future[None]:
        self._announce(stream_id, reading.names)
        payload = messages.of_reading(stream_id, reading, answer, now)
        return self._outbox.put(filled(self._options.publish, stream_id), payload)

    def _announce(self, stream_id: str, names: tuple[str, ...]) -> None:
        """Tell Home Assistant of sensors that it has not been told of over this connection."""
        if not self._options.discovery:
            return
        topic = filled(self._options.publish, stream_id)
        for name in names:
            if (stream_id, name) not in self._announced:
                self._announced.add((stream_id, name))
                prefix, client = self._options.discovery, self._options.client_id
                self._outbox.put(*messages.discovery(prefix, client, stream_id, name, topic), retain=True)

    def _refuse(self, topic: str, error: Exception) -> None:
        self._refused += 1
        if self._refused.bit_count() == 1:  # at 1, 2, 4, 8, …
            log.warning("MQTT: %s: refused, as %d so far: %s", topic, self._refused, error)


def _first(group: BaseException) -> BaseException:
    return _first(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group

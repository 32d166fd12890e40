"""The bridge to MQTT: subscribes to raw readings, publishes normalized ones.

Rules:

1. The session is persistent: the broker queues messages while the service is down.
2. Readings received by other protocols are published, too, as far as the outbox has room.
3. A failed, refused or lost connection is logged, and retried with exponential backoff.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from time import monotonic

from prometheus_client.metrics_core import Metric

from streamnorm.bridges.bridge import State, contained
from streamnorm.bridges.mqtt import payloads
from streamnorm.bridges.mqtt.client import Client
from streamnorm.bridges.mqtt.discovery import NO_UNITS, Discovery, units_of
from streamnorm.bridges.mqtt.intake import Intake
from streamnorm.bridges.mqtt.metrics import of_bridge
from streamnorm.bridges.mqtt.options import Options
from streamnorm.bridges.mqtt.outbox import Outbox
from streamnorm.bridges.mqtt.reconnection import Reconnection
from streamnorm.bridges.mqtt.session import Session
from streamnorm.bridges.mqtt.topics import filled
from streamnorm.compat.aiomqtt import MqttError
from streamnorm.engine.blocks.observed import Batch, pairs
from streamnorm.engine.reading import Answer, Reading
from streamnorm.errors import InvalidConfiguration, StreamnormError, StreamNotFound
from streamnorm.events.kinds import KindChange, KindListeners
from streamnorm.ingest import IngestService

log = logging.getLogger(__name__)

#: Seconds to drain at a graceful shutdown.
DRAIN = 1.0
#: Seconds between checks for expired streams.
EXPIRY_INTERVAL = 60.0


class MqttBridge:
    """A bridge that listens to the `service` for readings received by other protocols.

    `options` are the checked settings; `settle` returns when every change made so far is durable; as one of the
    `kind_listeners` the bridge publishes changed kinds of sensors.
    """

    name = "mqtt"
    max_rows: int | None = None

    def __init__(
        self,
        service: IngestService,
        options: Options,
        settle: Callable[[], Awaitable[None]],
        kind_listeners: KindListeners,
    ) -> None:
        self._service = service
        self._kind_listeners = kind_listeners
        self._options = options
        self._outbox = Outbox()
        self._intake = Intake(
            service,
            options.topics,
            options.max_bytes,
            settle=settle,
            publish=self._publish,
            dead_letters=self._publish_dead_letter,
        )
        self.refusals = self._intake.refusals
        self._session = Session(options.folder)
        self._client_id = options.client_id
        self._discovery: Discovery | None = None
        #: when each stream was last active, if streams expire
        self._active: dict[str, float] = {}
        self._state = State(up=False, detail=f"connecting to {options.address}")
        self._stopping = asyncio.Event()
        #: set when the mappings have changed
        self._renewing = asyncio.Event()
        self._ended = asyncio.Event()
        self._reconnection = Reconnection()

    def attach(self) -> None:
        """Load the session, and register with the service."""
        self._session.load()
        self._client_id = self._options.client_id or self._session.client_id
        if self._options.discovery:
            self._discovery = Discovery(self._options.discovery, self._client_id, self._options.expire_after)
        self._service.listeners.append(self)
        self._options.mapping_listeners.append(self._renewing.set)
        if self._options.kinds:
            self._kind_listeners.append(self.on_kind_change)

    async def run(self) -> None:
        """Stay connected, reconnecting as needed."""
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                expiry = tasks.create_task(self._remove_expired())
                await self._connect()
                expiry.cancel()
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Drain pending messages, publish the offline status, and disconnect."""
        if self in self._service.listeners:
            self._service.listeners.remove(self)
        if self._renewing.set in self._options.mapping_listeners:
            self._options.mapping_listeners.remove(self._renewing.set)
        if self.on_kind_change in self._kind_listeners:
            self._kind_listeners.remove(self.on_kind_change)
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), 2 * DRAIN)
        self._intake.cancel()

    @contained
    def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:
        """Publish readings received by another protocol; see `streamnorm.ingest.ObservationListener.on_batch`."""
        if origin is not self._intake:  # which publishes the answers to its own readings before it acknowledges them
            for reading, answer in pairs(batch):
                self._publish(stream_id, reading, answer, now)

    @contained
    def on_kind_change(self, change: KindChange) -> None:
        """Publish that a feature became another kind of sensor."""
        self._outbox.put(filled(self._options.kinds, change.stream), payloads.of_kind(change))

    def state(self) -> State:
        """Return whether the broker is connected, and all subscriptions were granted."""
        return self._state

    def metrics(self) -> Iterator[Metric]:
        """Return the counts of received, published, pending and dropped messages."""
        return of_bridge(self._intake, self._outbox, up=self._state.up)

    def forget(self, stream_id: str, features: Iterable[str]) -> None:
        """Remove the sensors of a deleted stream from Home Assistant."""
        self._active.pop(stream_id, None)
        if self._discovery is not None:
            for topic, payload in self._discovery.removed(stream_id, tuple(features)):
                self._outbox.put(topic, payload, retain=True)

    async def _connect(self) -> None:
        while not self._stopping.is_set():
            began = monotonic()
            error: BaseException | None = None
            try:
                async with self._connection() as connection:
                    await self._serve(connection)
            except* (MqttError, OSError, ValueError) as group:
                error = _first(group)
            if error is None:
                continue
            detail, pause = self._reconnection.failed(error, monotonic() - began, self._client_id)
            self._state = State(up=False, detail=f"{self._options.address} is not connected: {detail}")
            log.warning("MQTT: %s; next attempt in %.1f s", detail, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _connection(self) -> Client:
        return Client(self._options, self._client_id, modern=self._reconnection.modern, refused=self._count)

    def _count(self, reason: str, detail: str) -> None:
        if reason == "denied":
            self._outbox.dropped.add(reason, detail)
            self._outbox.published -= 1  # the confirmation counts it as published
        else:
            self._intake.refuse(detail, b"", reason, "too many messages wait")

    async def _serve(self, connection: Client) -> None:
        """Exchange messages over a connection until it breaks, the mappings change or the bridge stops."""
        status = payloads.status(self._client_id)
        self._renew()
        refused = await self._subscribe(connection)
        await connection.publish(status, payloads.ONLINE, qos=1, retain=True)
        self._reconnection.accepted()
        version = "5" if self._reconnection.modern else "3.1.1"
        detail = f"connected to {self._options.address} as {self._client_id}, MQTT {version}"
        log.info("MQTT: %s", detail)
        self._state = State(up=not refused, detail=detail + "".join(f"; {item}" for item in refused))
        if self._discovery is not None:
            self._discovery.renew()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._outbox.send(connection))
            reading = tasks.create_task(self._intake.read(connection))
            ends = [tasks.create_task(event.wait()) for event in (self._stopping, self._renewing)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            await self._intake.drain(DRAIN)
            for task in (sending, *ends):
                task.cancel()
        await connection.publish(status, payloads.OFFLINE, qos=1, retain=True)

    def _renew(self) -> None:
        """Use the mappings as they are now."""
        self._renewing.clear()
        try:
            self._intake.use(self._options.mappings())
        except InvalidConfiguration as error:
            log.error("MQTT: the mappings stay as they were: %s", error)  # noqa: TRY400 - the fault is the file's

    async def _subscribe(self, connection: Client) -> list[str]:
        """Update the session's subscriptions to the settings; return what the broker refuses.

        Raises:
            MqttError: the broker refuses all subscriptions.

        """
        wanted = {item.filter for item in self._intake.subscriptions}
        for outdated in self._session.outdated(self._client_id, wanted):
            await connection.unsubscribe(outdated)
        self._session.keep(self._client_id, wanted)
        refused = []
        for template in self._intake.subscriptions:
            if reason := await connection.listen(template.filter, template.identifier):
                refused.append(f"it refuses the subscription {template.filter!r}: {reason}")
                log.error("MQTT: %s", refused[-1])
        if len(refused) == len(wanted):
            raise MqttError("; ".join(refused))
        return refused

    async def _remove_expired(self) -> None:
        """Remove the sensors of streams that expired after `stream_ttl` from Home Assistant."""
        ttl = self._options.stream_ttl
        while ttl and self._discovery is not None:
            await asyncio.sleep(EXPIRY_INTERVAL)
            due = self._service.clock() - ttl
            for stream_id in [name for name, active in self._active.items() if active < due]:
                try:
                    await self._service.streams.read(stream_id, lambda _: None)
                except StreamNotFound:
                    self.forget(stream_id, ())
                except StreamnormError as error:
                    log.debug("MQTT: %s: %s", stream_id, error)

    def _publish(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> asyncio.Future[None]:
        units = NO_UNITS if self._discovery is None else units_of(self._service.streams.peek(stream_id), reading)
        self._announce(stream_id, reading if answer.names is None else Reading(answer.names, []), units, now)
        payload = payloads.of_reading(stream_id, reading, answer, now, units)
        return self._outbox.put(filled(self._options.publish, stream_id), payload)

    def _publish_dead_letter(self, topic: str, payload: bytes, reason: str, detail: str) -> None:
        if self._options.dead_letter:
            letter = payloads.dead_letter(topic, payload, reason, detail, self._service.clock())
            self._outbox.put(self._options.dead_letter, letter)

    def _announce(self, stream_id: str, reading: Reading, units: Mapping[str, str], now: float) -> None:
        """Announce sensors to Home Assistant that were not announced over this connection yet."""
        if self._discovery is None:
            return
        if self._options.stream_ttl:
            self._active[stream_id] = now
        topic = filled(self._options.publish, stream_id)
        for announcement, payload in self._discovery.fresh(stream_id, topic, reading, units):
            self._outbox.put(announcement, payload, retain=True)


def _first(group: BaseException) -> BaseException:
    return _first(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group

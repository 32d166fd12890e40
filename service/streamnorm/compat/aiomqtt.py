"""aiomqtt and the paho client below it, and all that is used of their inside.

aiomqtt 2 acknowledges a message before it passes it on, and hides the DUP flag; the paho client supports both. It takes
several tasks a message, where none is needed. When a starting broker accepts a connection and drops it before CONNACK,
aiomqtt waits for ten seconds. Other modules use both only through this one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiomqtt
from aiomqtt import Message, MqttError, Will
from aiomqtt.exceptions import MqttCodeError, MqttConnectError
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

__all__ = [
    "TAKEN_OVER",
    "DroppedEarly",
    "ManualAckClient",
    "Message",
    "MqttError",
    "SessionLimits",
    "Will",
    "identifiers",
    "reason_of",
    "speaks_older",
]

#: Reason codes of MQTT 5.0, 2.4
UNSUPPORTED_VERSION, TAKEN_OVER, FAILURE = 0x84, 0x8E, 0x80


class DroppedEarly(MqttError):
    """The broker dropped the connection before CONNACK: it is starting, or does not support MQTT 5."""


@dataclass(frozen=True)
class SessionLimits:
    """The limits of a session."""

    #: seconds that the broker keeps it without a connection
    expiry: int
    #: messages sent before the first is acknowledged
    window: int
    #: queued messages without acknowledgement (QoS 0), which the window does not bound
    unacknowledged: int
    #: bytes of a packet
    packet: int
    #: seconds to connect
    connect: float


class ManualAckClient(aiomqtt.Client):
    """aiomqtt's client, of the broker at `host` and `port`, with manual acknowledgement and a session within `limits`.

    `modern` selects MQTT 5 instead of 3.1.1. `refused` is called with the reason and detail of each message that is
    rejected. The other arguments are aiomqtt's.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limits: SessionLimits,
        modern: bool,
        refused: Callable[[str, str], None],
        **options: Any,
    ) -> None:
        version: dict[str, Any] = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": False}
        if modern:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = limits.expiry
            properties.ReceiveMaximum = limits.window
            properties.MaximumPacketSize = limits.packet
            version = {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": False, "properties": properties}
        super().__init__(host, port, **version, **options)
        self._client.manual_ack_set(on=True)
        self._client.connect_timeout = limits.connect
        self.pending_calls_threshold = limits.window
        self._max_unacknowledged = limits.unacknowledged
        self._modern = modern
        self._refused = refused
        #: what is called when a message is confirmed, by its id
        self._confirmations: dict[int, Callable[[], None]] = {}
        #: ids of redelivered messages
        self.again: set[int] = set()
        #: whether the broker supports subscription identifiers
        self.identifies = modern
        #: bytes of the largest packet that the broker accepts; None: no limit
        self.max_packet: int | None = None

    async def listen(self, topic_filter: str, identifier: int) -> str | None:
        """Subscribe to a `topic_filter`, with an `identifier` where the broker supports that.

        Return the reason if the broker refuses, otherwise None.
        """
        properties = None
        if self.identifies:
            properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
            properties.SubscriptionIdentifier = identifier
        if self._modern:
            foreign = not topic_filter.startswith("$share/")  # there MQTT forbids to leave out one's own messages
            how = SubscribeOptions(qos=1, noLocal=foreign, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            answers: Iterable[Any] = await self.subscribe(topic_filter, options=how, properties=properties)
        else:
            answers = await self.subscribe(topic_filter, qos=1)
        for answer in answers:
            value = answer.value if isinstance(answer, ReasonCode) else answer
            if value >= FAILURE:
                return str(answer)
        return None

    async def received(self) -> AsyncIterator[Message]:
        """Yield messages as they come, those that came together without a task each.

        Raises:
            MqttError: the connection is broken.

        """
        async for message in self.messages:
            yield message
            while not self._queue.empty():
                yield self._queue.get_nowait()

    def send(self, topic: str, payload: bytes, *, retain: bool, confirmed: Callable[[], None]) -> None:
        """Publish a `payload` to a `topic` (QoS 1), with the `retain` flag; call `confirmed` when the broker has it.

        Raises:
            MqttError: the connection is broken.
            ValueError: nothing can be published to this topic.

        """
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise MqttCodeError(info.rc, "it was not published")
        self._confirmations[info.mid] = confirmed

    def acknowledge(self, message: Message) -> None:
        """Acknowledge a message; the broker redelivers unacknowledged ones after a reconnect."""
        self._client.ack(message.mid, message.qos)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self.identifies = self._modern and bool(getattr(properties, "SubscriptionIdentifierAvailable", 1))
        self.max_packet = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        if message.dup:
            self.again.add(message.mid)
        else:
            self.again.discard(message.mid)
        if not message.qos and len(self.messages) >= self._max_unacknowledged:
            self._refused("overloaded", message.topic)
            return
        super()._on_message(client, userdata, message)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        if isinstance(reason_code, ReasonCode) and reason_code.is_failure:
            self._refused("denied", f"the broker does not publish it: {reason_code}")
        confirmed = self._confirmations.pop(mid, None)
        if confirmed is None:
            super()._on_publish(client, userdata, mid, reason_code, properties)
        else:
            confirmed()

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if not self._connected.done():
            self._connected.set_exception(DroppedEarly("the broker dropped the connection before it answered"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)


def identifiers(message: Message) -> set[int]:
    """Return the identifiers of the subscriptions for which a broker delivered a message."""
    return {*(getattr(message.properties, "SubscriptionIdentifier", None) or ())}


def reason_of(error: BaseException) -> int | None:
    """Return the MQTT 5 reason code with which a broker closed or refused a connection, if there is one."""
    code = error.rc if isinstance(error, MqttCodeError) else None
    if isinstance(code, ReasonCode):
        return code.value
    return reason_of(error.__cause__) if error.__cause__ is not None else None


def speaks_older(error: BaseException) -> bool:
    """Return whether a broker refused MQTT 5."""
    return isinstance(error, MqttConnectError) and reason_of(error) == UNSUPPORTED_VERSION

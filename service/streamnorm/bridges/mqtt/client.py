"""A connection to an MQTT broker: aiomqtt's client, extended by features of the underlying paho client."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import aiomqtt
from aiomqtt.exceptions import MqttCodeError, MqttConnectError
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from streamnorm.bridges.mqtt.options import WEBSOCKETS, Options
from streamnorm.bridges.mqtt.payloads import OFFLINE, status
from streamnorm.formats.topics import TopicFilter

#: The in-flight window: messages sent before the first is acknowledged. Mosquitto's default of 20 would allow only 20
#: per commit.
RECEIVE_MAXIMUM = 1_000
#: Limit of queued messages without acknowledgement (QoS 0), which the in-flight window does not bound.
MAX_UNACKNOWLEDGED = 10_000
#: The session never expires, so that readings survive a long outage; the broker's memory has its own limits.
SESSION_EXPIRY = 0xFFFFFFFF
#: Bytes that a packet may have besides its payload: a topic, and properties.
PACKET_HEADROOM = 128 * 1024
#: Seconds to connect to the broker; a stop waits for it.
CONNECT_TIMEOUT = 3.0
KEEPALIVE = 30
#: Reason codes of MQTT 5.0, 2.4
SUCCESS, UNSUPPORTED_VERSION, TAKEN_OVER, FAILURE = 0, 0x84, 0x8E, 0x80


class DroppedEarly(aiomqtt.MqttError):
    """The broker dropped the connection before CONNACK: it is starting, or does not support MQTT 5."""


class Client(aiomqtt.Client):
    """aiomqtt's client with manual acknowledgement.

    aiomqtt 2 acknowledges a message before passing it on, and hides the DUP flag; the underlying paho client supports
    both. When a starting broker accepts a connection and drops it before CONNACK, aiomqtt waits for ten seconds; this
    client fails immediately. `refused` is called with the reason and detail of each rejected message; `modern` selects
    MQTT 5 instead of 3.1.1.
    """

    def __init__(self, options: Options, client_id: str, *, modern: bool, refused: Callable[[str, str], None]) -> None:
        address = options.address
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = options.max_bytes + PACKET_HEADROOM
        version: dict[str, Any] = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": False}
        if modern:
            version = {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": False, "properties": properties}
        if address.scheme in WEBSOCKETS:
            version |= {"transport": "websockets", "websocket_path": address.target}
        super().__init__(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=client_id,
            will=aiomqtt.Will(status(client_id), OFFLINE, qos=1, retain=True),
            tls_context=options.tls,
            keepalive=KEEPALIVE,
            **version,
        )
        self._client.manual_ack_set(on=True)
        self._client.connect_timeout = CONNECT_TIMEOUT
        self.pending_calls_threshold = RECEIVE_MAXIMUM
        self._modern = modern
        self._refused = refused
        #: ids of redelivered messages
        self.again: set[int] = set()
        #: whether the broker supports subscription identifiers
        self.identifies = modern
        #: bytes of the largest packet that the broker accepts; None: no limit
        self.max_packet: int | None = None

    async def listen(self, template: TopicFilter) -> str | None:
        """Subscribe to a template's filter; return the reason if the broker refuses, otherwise None."""
        properties = None
        if self.identifies:
            properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
            properties.SubscriptionIdentifier = template.identifier
        if self._modern:
            how = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            answers: Iterable[Any] = await self.subscribe(template.filter, options=how, properties=properties)
        else:
            answers = await self.subscribe(template.filter, qos=1)
        for answer in answers:
            value = answer.value if isinstance(answer, ReasonCode) else answer
            if value >= FAILURE:
                return str(answer)
        return None

    def acknowledge(self, message: aiomqtt.Message) -> None:
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
        if not message.qos and len(self.messages) >= MAX_UNACKNOWLEDGED:
            self._refused("overloaded", message.topic)
            return
        super()._on_message(client, userdata, message)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        if isinstance(reason_code, ReasonCode) and reason_code.is_failure:
            self._refused("denied", f"the broker does not publish it: {reason_code}")
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if not self._connected.done():
            self._connected.set_exception(DroppedEarly("the broker dropped the connection before it answered"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)


def reason_of(error: BaseException) -> int | None:
    """Return the MQTT 5 reason code with which a broker closed or refused a connection, if there is one."""
    code = error.rc if isinstance(error, MqttCodeError) else None
    if isinstance(code, ReasonCode):
        return code.value
    return reason_of(error.__cause__) if error.__cause__ is not None else None


def speaks_older(error: BaseException) -> bool:
    """Return whether a broker refused MQTT 5."""
    return isinstance(error, MqttConnectError) and reason_of(error) == UNSUPPORTED_VERSION
